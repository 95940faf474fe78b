"""What a source imports and binds, as the program inside the target read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.diagnostic import Finding


class ImportForm(StrEnum):
    """How a module is asked for: `import x`, `from x import y`, `importlib.import_module("x")`, or `x.y` after an import."""

    IMPORT = "import"
    FROM = "from"
    CALL = "call"
    ATTRIBUTE = "attribute"


class Guard(StrEnum):
    """What keeps an import from running, or from failing the module; of two around one import the stronger."""

    NONE = ""
    CONDITIONAL = "conditional"  # under a test, loop or handler that only running it could decide
    MAIN = "main"  # under `if __name__ == "__main__"`
    IMPORTED = "imported"  # behind `if __name__ == "__main__"` that ends the program
    MODULE_ONLY = "module-only"  # ModuleNotFoundError is caught, a missing name is not
    HANDLER = "handler"  # in the handlers or the `else` of a `try` that catches ImportError
    TESTED = "tested"  # under a test of what is there: find_spec, hasattr, a flag that such a `try` sets
    EXCEPT = "except"  # ImportError is caught
    FALSE = "false"  # never runs on this target


class Bound(StrEnum):
    """Whether a name exists in a module."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


# Looked up for every import of a project: faster than calling the enum.
_FORMS = {form.value: form for form in ImportForm}
_GUARDS = {guard.value: guard for guard in Guard}
_DECODER = json.JSONDecoder()  # `loads` would look for the encoding of each text


class ImportStatement(NamedTuple):
    """One import: its place (from 1, columns in code points), and what it asks for.

    `module` is as written, without the dots of `level`; `names` are those after `from … import`, ("*",) for a star.
    `late` is inside a function; `lazy` is `lazy import` of Python 3.15.
    """

    line: int
    column: int
    form: ImportForm
    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    guard: Guard = Guard.NONE
    late: bool = False
    lazy: bool = False

    @property
    def is_star(self) -> bool:
        """Whether it is `from … import *`."""
        return self.names == ("*",)


# Made of all their fields, for every import of a project: without a call of what a record does about defaults.
_statement = partial(tuple.__new__, ImportStatement)


class TryEnd(StrEnum):
    """How the imports of a `try` end: one fails, one lacks its module, or each of them works."""

    FAILS = "fails"
    LACKS = "lacks"
    WORKS = "works"


class HandlerImport(NamedTuple):
    """An import that runs where some tries end in a certain way, by its place, and the guard that it has then.

    `tries` are how each has to end and the lines of its imports.
    """

    line: int
    column: int
    guard: Guard
    tries: tuple[tuple[TryEnd, tuple[int, ...]], ...]


class PathChange(NamedTuple):
    """A folder that a module adds to `sys.path`; None where it is computed. It begins with "@" at the module's own folder."""

    line: int
    folder: str | None


class EvaluatedType(NamedTuple):
    """A type expression that runs at import and needs a newer Python, as it is written.

    `kind` is "union" (`X | Y`) or "generic" (`list[int]`), with "-read" where a library evaluates the text of an annotation.
    """

    line: int
    column: int
    kind: str
    text: str
    guard: Guard = Guard.NONE


class NameUse(NamedTuple):
    """What a module takes by a dot, while it is executed, from what an import calls `name`.

    That import is of `module` with the dots of `level`, or of what is `imported` from it. `taken` has each dotted name with the
    first line in which it is.
    """

    name: str
    level: int
    module: str
    imported: str
    taken: Mapping[str, int]


_use = partial(tuple.__new__, NameUse)


class ModuleFacts(NamedTuple):
    """What is known of one module.

    `bound` has every name that the module binds at its top, on any path, with the first line where it does; star imports
    are among `imports`. `attributes` are the names that it takes by a dot from a module of the standard library, as far as not
    every Python has them; `patched` those that it sets there itself. `exports` is a literal `__all__`, None without one or where it is computed. A `dynamic` module may
    bind names that no reader can see (`__getattr__`, `globals()`, `exec`, `sys.modules`): no name is missing from it.
    `unsure` are the bound names that may be missing in the end, because they are bound under a condition or deleted; "*" stands
    for all of them. `version` is the target's, as far as it was known. `handlers` say when the imports in handlers run.
    `uses` are what it takes by a dot from anything but the standard library, whatever guards that.
    """

    imports: tuple[ImportStatement, ...]
    bound: Mapping[str, int]
    exports: tuple[str, ...] | None
    dynamic: bool
    paths: tuple[PathChange, ...]
    evaluated: tuple[EvaluatedType, ...]
    attributes: tuple[ImportStatement, ...] = ()
    patched: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()
    version: tuple[int, ...] = ()
    handlers: tuple[HandlerImport, ...] = ()
    uses: tuple[NameUse, ...] = ()

    def may_lack(self, name: str) -> bool:
        """Whether a name that the module binds at some place may not be there in the end."""
        return name in self.unsure or "*" in self.unsure

    def may_make(self, name: str) -> bool:
        """Whether the module may have a name that no statement binds."""
        # every module has its annotations from 3.10 on, and before where it has some
        return self.dynamic or name == "__annotations__"

    @property
    def library_uses(self) -> tuple[ImportStatement, ...]:
        """What it may ask of the standard library."""
        return (*self.imports, *self.attributes) if self.attributes else self.imports


class FileReach(NamedTuple):
    """How a file of the project is reached: whether surely at import, and the chain of modules that leads to it."""

    certain: bool
    chain: tuple[str, ...] = ()

    @property
    def is_from_start(self) -> bool:
        """Whether a start surely executes it: only what a start reaches has a chain."""
        return self.certain and bool(self.chain)


class UndecidedImport(NamedTuple):
    """An import of which nothing can be said: its file and line, why, and whether a start surely executes it."""

    path: str
    line: int
    reason: str
    is_executed: bool = False


class ProjectImports(NamedTuple):
    """The findings in a project's imports by file, what is undecided, and how each file is reached (tests that nothing reaches: not)."""

    findings: Mapping[str, tuple[Finding, ...]]
    undecided: tuple[UndecidedImport, ...]
    reach: Mapping[str, FileReach]


def patched_names(facts: Iterable[ModuleFacts | None]) -> set[str]:
    """The names that some modules set in others."""
    return {name for of_file in facts if of_file is not None for name in of_file.patched}


def facts_from(data: bytes) -> ModuleFacts | None:
    """Read the facts that came with a verdict; None where there are none. Raises ValueError for what are no facts."""
    if not data:
        return None
    try:
        rows = _DECODER.decode(data.decode("ascii"))
        return ModuleFacts(
            tuple(
                [
                    _statement((line, column, _FORMS[form], module, tuple(names), level, _GUARDS[guard], late, lazy))
                    for line, column, form, module, names, level, guard, late, lazy in rows["imports"]
                ]
            ),
            MappingProxyType(rows["bound"]),
            None if rows["exports"] is None else tuple(rows["exports"]),
            bool(rows["dynamic"]),
            tuple(PathChange(line, folder) for line, folder in rows["paths"]),
            tuple(
                EvaluatedType(line, column, kind, text, _GUARDS[guard])
                for line, column, kind, text, guard in rows["evaluated"]
            ),
            tuple(
                ImportStatement(line, column, ImportForm.ATTRIBUTE, module, (name,), 0, _GUARDS[guard], late)
                for line, column, module, name, guard, late in rows["attributes"]
            ),
            tuple(rows["patched"]),
            frozenset(rows["unsure"]),
            tuple(rows["version"]),
            tuple(
                HandlerImport(line, column, _GUARDS[guard], tuple((TryEnd(end), tuple(lines)) for end, lines in tries))
                for line, column, guard, tries in rows["handlers"]
            ),
            tuple(
                [_use((name, level, module, imported, taken)) for name, level, module, imported, taken in rows["uses"]]
            ),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"these are no facts: {error}") from error


def extract(source: bytes, version: tuple[int, ...], platform: str = "linux") -> ModuleFacts | None:
    """The facts of a source, read by the Python that runs this; None where that Python cannot compile it.

    `version` is the target's, as far as it is known: (3, 11) or (3, 11, 9).
    """
    import warnings

    from buildguard.remote.import_facts import import_facts

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code = compile(source, "<source>", "exec", 0, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return facts_from(import_facts(source, code, version, platform))
