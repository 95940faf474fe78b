"""Imports of the project's own modules that fail: the record, and the words for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum
from buildguard.imports import standard_names
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportForm, ImportStatement, ModuleFacts

if TYPE_CHECKING:
    from typing import TypeAlias

    from buildguard.imports.third_party import PackageAnswer

FactsReader: TypeAlias = "Callable[[str], ModuleFacts | None]"


class FaultKind(StrEnum):
    """Why an import of the project's own cannot work."""

    MISSING = "missing"
    OTHER_CASE = "other case"
    UNBOUND = "unbound"
    NO_PACKAGE = "no package"
    BEYOND = "beyond"
    CIRCULAR = "circular"
    NOT_ON_PATH = "not on path"
    OTHER_PLACE = "other place"
    SHADOWS = "shadows"
    UNLOADED = "unloaded"
    EARLY = "early"


class ImportFault(NamedTuple):
    """An import that fails: where, what it asks for, and the chain of modules that runs it.

    `name` is a dotted module for what is missing, else a name in `source`. `certain` says that a start surely executes it.
    """

    kind: FaultKind
    module: LoadedModule
    row: ImportStatement
    name: str
    source: LoadedModule | None
    certain: bool
    chain: tuple[str, ...]
    detail: str = ""


class ImportContext(NamedTuple):
    """What reading imports needs to know beside the files.

    `facts` and `read` give those of a file of the tree, and its content. `standard` are the modules of the target's standard
    library. `may_be_foreign` says whether an installed package may bring a module of that name,
    and `ask_unlisted` what is known of it where no list of installed packages is: None for nothing.
    """

    facts: FactsReader
    read: Callable[[str], bytes | None]
    standard: Container[str]
    may_be_foreign: Callable[[str], bool]
    ask_unlisted: Callable[[str], PackageAnswer | None] = lambda _top: None


class FaultText(NamedTuple):
    """A message and a hint."""

    message: str
    hint: str


def describe(fault: ImportFault, origin: Callable[[str], str]) -> FaultText:
    """The words for a fault; `origin` gives the path in the project of a file of the image."""
    source = "" if fault.source is None else origin(fault.source.location.file) or fault.source.name
    return _TEXTS[fault.kind](fault, source)


def _missing(fault: ImportFault, source: str) -> FaultText:
    parent = fault.name.rpartition(".")[0]
    if _shadowed(fault) and source:
        message = f"no module named '{fault.name}': {source} shadows the standard library's '{_shadowed(fault)}'"
        return FaultText(message, f"rename {source}")
    if fault.source is not None and not fault.source.location.folders:
        return FaultText(f"no module named '{fault.name}': {source} is not a package", "correct the import")
    place = f"the package '{parent}' has no such module" if parent else "the project has no such module"
    return FaultText(f"no module named '{fault.name}': {place}", "add the file and commit it, or correct the import")


def _other_case(fault: ImportFault, _source: str) -> FaultText:
    right = ".".join([*fault.name.split(".")[:-1], fault.detail])
    return FaultText(
        f"no module named '{fault.name}': it is spelled '{right}', and names are case-sensitive on Linux",
        f"import {right}",
    )


def _unbound(fault: ImportFault, source: str) -> FaultText:
    message = f"{_refusal(fault)}: {source} {_why_unbound(fault)}"
    shadowed = _shadowed(fault)
    if shadowed:
        return FaultText(f"{message}, and shadows the standard library's '{shadowed}'", f"rename {source}")
    mistaken = "name" if fault.row.form is ImportForm.ATTRIBUTE else "import"
    return FaultText(message, f"define {fault.name} there, or correct the {mistaken}")


def _refusal(fault: ImportFault) -> str:
    if fault.row.form is ImportForm.ATTRIBUTE and fault.source is not None:
        return f"module '{fault.source.name}' has no attribute '{fault.name}'"
    return f"cannot import name '{fault.name}'"


def _why_unbound(fault: ImportFault) -> str:
    if fault.detail:
        return f"binds it in line {fault.detail}, and deletes it again or does not run that line here"
    return "names it in __all__, and never binds it" if fault.row.is_star else "never binds it"


def _shadowed(fault: ImportFault) -> str:
    """The module of the standard library that an absolute import may want; empty for any other import."""
    top = fault.row.module.partition(".")[0]
    return top if standard_names.is_standard(top) and not fault.row.level else ""


def _no_package(fault: ImportFault, _source: str) -> FaultText:
    name = fault.module.location.file.rpartition("/")[2]
    message = f"relative import with no parent package: {name} is {_how_started(fault)}"
    return FaultText(
        message, "import by the full name, or start it as a module of its package: python -m PACKAGE.MODULE"
    )


def _how_started(fault: ImportFault) -> str:
    return "started as a script" if fault.module.is_main else "imported as a top-level module"


def _beyond(fault: ImportFault, _source: str) -> FaultText:
    top = fault.module.package.partition(".")[0]
    return FaultText(
        f"relative import beyond the top-level package '{top}'", "use fewer dots, or import by the full name"
    )


def _circular(fault: ImportFault, source: str) -> FaultText:
    return FaultText(
        f"{_refusal(fault)}: {source} has not bound it yet, because the imports run in a circle ({fault.detail})",
        "move one of the imports below what the other needs, or into the function that uses it",
    )


def _not_on_path(fault: ImportFault, _source: str) -> FaultText:
    return FaultText(
        f"no module named '{fault.name}': it is in {fault.detail}, and that folder is not on sys.path",
        f"set ENV PYTHONPATH={fault.detail}, or start the program in that folder with python -m",
    )


def _other_place(fault: ImportFault, _source: str) -> FaultText:
    return FaultText(
        f"no module named '{fault.name}': {fault.detail}",
        f"copy the folder itself (COPY {fault.name} ./{fault.name}), or import the module by the name that it has in the image",
    )


def _shadows(fault: ImportFault, source: str) -> FaultText:
    wanted = f", which {fault.row.module} imports" if fault.row.module != fault.detail else ""
    return FaultText(
        f"{source} shadows the standard library's '{fault.detail}'{wanted}, and never binds '{fault.name}'",
        f"rename {source}",
    )


def _early(fault: ImportFault, _source: str) -> FaultText:
    package, _dot, name = ("" if fault.source is None else fault.source.name).rpartition(".")
    return FaultText(
        f"{_refusal(fault)}: {package} has not bound {name} yet, so that it is the module, because the imports run in a circle "
        f"({fault.detail})",
        f"from {package}.{name} import {name}, once that module no longer needs this one, or import it in the function that uses it",
    )


def _unloaded(fault: ImportFault, _source: str) -> FaultText:
    submodule = f"{fault.source.name}.{fault.name}" if fault.source is not None else fault.name
    return FaultText(f"{_refusal(fault)}: nothing imports {submodule}", f"import {submodule} before")


_TEXTS: Mapping[FaultKind, Callable[[ImportFault, str], FaultText]] = {
    FaultKind.MISSING: _missing,
    FaultKind.OTHER_CASE: _other_case,
    FaultKind.UNBOUND: _unbound,
    FaultKind.NO_PACKAGE: _no_package,
    FaultKind.BEYOND: _beyond,
    FaultKind.CIRCULAR: _circular,
    FaultKind.NOT_ON_PATH: _not_on_path,
    FaultKind.OTHER_PLACE: _other_place,
    FaultKind.SHADOWS: _shadows,
    FaultKind.UNLOADED: _unloaded,
    FaultKind.EARLY: _early,
}
