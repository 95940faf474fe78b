"""Why an import that seems to fail may work all the same: files that a build makes, modules that code makes. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram, is_test
from buildguard.imports.records import ModuleFacts

if TYPE_CHECKING:
    from buildguard.imports.changed_modules import ChangedModules

_GENERATED = lazy_pattern(
    r"_?version|__version__|_?build_info|.+_pb2(?:_grpc)?|.+_(?:thrift|rc|ui)|ui_.+|_?generated|.+_generated"
)
_EXTENSION = lazy_pattern(
    rb"""(?x)
    (?: \w*Extension\(\s*(?:name\s*=\s*)?    # setuptools, Cython, pybind11, setuptools-rust
      | \bmodule-name\s*=\s*                  # maturin
      | \bset_source\(\s*                     # cffi
      | \bextension_module\(\s*               # meson
      | \{\s*name\s*=\s*(?=["'][\w.]+["']\s*,\s*sources)  # setuptools, in pyproject.toml
    )["']([\w.]+)["']
    | (?: \b(?:pybind11|nanobind)_add_module\(\s* | \b[Pp]ython3?_add_library\(\s*  # CMake
      | ^\[lib\](?:\r?\n(?!\[)[^\n]*)*?\nname\s*=\s*" )([\w.]+)                                   # cargo
    """,
    re.MULTILINE,
)
# The names of scripts that build extension modules.
_MAY_BUILD = lazy_pattern(r"(?i)(?:setup|build|ext|ffi|compile|cython)[^/]*\.py$")
# What may name a file that a build makes: whole names, and ends of names.
_BUILD_FILES = frozenset(
    {
        "Makefile",
        "justfile",
        "Justfile",
        "noxfile.py",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "MANIFEST.in",
        "Cargo.toml",
        "meson.build",
        "CMakeLists.txt",
    }
)
_BUILD_SUFFIXES = (".sh", ".mk", ".yaml", ".yml", "Dockerfile")
_BUILD_ENDINGS = (*_BUILD_FILES, *_BUILD_SUFFIXES)
_STEP = ".buildguard/"
_ABSENT = frozenset({FaultKind.MISSING, FaultKind.NOT_ON_PATH, FaultKind.OTHER_PLACE, FaultKind.OTHER_CASE})
_UNBOUND = frozenset({FaultKind.UNBOUND, FaultKind.CIRCULAR, FaultKind.SHADOWS, FaultKind.UNLOADED, FaultKind.EARLY})


class ProjectTexts(NamedTuple):
    """What decides doubts: a file's content and facts, whether git ignores a path of the project, and the build's texts.

    The last are every build file of a project, and few projects give rise to a doubt that asks for them. `read_each` gives pairs of
    a file and its content for many, and keeps none of them; without it, `read` is asked for each.
    """

    read: Callable[[str], bytes | None]
    is_ignored: Callable[[str], bool]
    facts: Callable[[str], ModuleFacts | None]
    build_files: Callable[[], bytes] = bytes
    read_each: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]] | None = None


def is_build_file(path: str) -> bool:
    """Whether a file may say what a build makes."""
    return path.endswith(_BUILD_ENDINGS) and (
        path.endswith(_BUILD_SUFFIXES) or posixpath.basename(path) in _BUILD_FILES
    )


class DoubtFinder:
    """Finds the doubt in a fault."""

    def __init__(self, program: StartedProgram, texts: ProjectTexts) -> None:
        self._program = program
        self._tree = program.tree
        self._texts = texts
        self._absent: dict[tuple[str, LoadedModule | None, bool], str] = {}

    def find(
        self, faults: Iterable[ImportFault], reached: Callable[[], Collection[str]]
    ) -> Iterator[tuple[ImportFault, str]]:
        """Each of some faults, and why it may be none; empty where it is one. `reached` gives the files that the program executes.

        Every source is looked through for all of them at once.
        """
        pairs = [(fault, self._of_path(fault)) for fault in faults]
        left = [fault for fault, doubt in pairs if not doubt and fault.kind in _UNBOUND]
        if left:
            self._changes.look_for(left)
        files = reached() if left else ()
        for fault, doubt in pairs:
            yield fault, doubt or (self._changes.why_other(fault, files) if fault.kind in _UNBOUND else "")

    @cached_property
    def _changes(self) -> ChangedModules:
        from buildguard.imports.changed_modules import ChangedModules  # a hook without a fault does not need it

        return ChangedModules(self._texts, self._read_sources)

    def _of_path(self, fault: ImportFault) -> str:
        """Why a file may be there all the same, or something that does its work."""
        rewritten = self._changes.why_rewritten(fault.module.location.file)
        if rewritten:
            return rewritten
        is_package = fault.source is not None and bool(fault.source.location.folders)
        if fault.kind in _ABSENT or (fault.kind in {FaultKind.UNBOUND, FaultKind.CIRCULAR} and is_package):
            place = fault.name, fault.source, fault.kind in _ABSENT
            if place not in self._absent:  # many import the same
                self._absent[place] = next(self._of_absent(fault), "")
            return self._absent[place]
        return ""

    def _of_absent(self, fault: ImportFault) -> Iterator[str]:
        name = fault.name.rpartition(".")[2]
        folders = fault.source.location.folders if fault.source is not None else self._program.path.folders
        if _GENERATED.fullmatch(name):
            yield f"{fault.name} is generated"
        for folder in folders:
            yield from self._of_folder(folder, name)
        if self._is_named_by_build(name):
            yield f"a build file names {name}.py"
        if self._is_compiled(fault):
            yield f"a build compiles {fault.name}"
        if fault.source is not None and self._changes_modules(fault.source.location.file):
            yield f"{fault.source.name} changes where its modules come from"
        if self._is_registered(fault.name):
            yield f"the project puts {fault.name} into sys.modules"

    def _is_named_by_build(self, name: str) -> bool:
        file = name.encode() + b".py"  # a search for the bytes alone is fast, and hardly ever finds them
        texts = self._texts.build_files()
        return file in texts and re.search(rb"\b%s\b" % re.escape(file), texts) is not None

    def _is_compiled(self, fault: ImportFault) -> bool:
        """Whether a build file makes an extension module of a name, or of a package that would hold it."""
        package = fault.source.name if fault.source is not None and fault.kind not in _ABSENT else ""
        parts = [*filter(None, package.split(".")), *fault.name.split(".")]
        names = {".".join(parts[: end + 1]) for end in range(len(parts))} | {parts[-1]}
        return not names.isdisjoint(self._extensions)

    @cached_property
    def _extensions(self) -> frozenset[str]:
        """The extension modules that build files and build scripts name, dotted or by their last name."""
        scripts = (data for _path, data in self._read_sources(_may_build) if _is_build_script(data))
        pairs = (pair for text in (self._texts.build_files(), *scripts) for pair in _EXTENSION.findall(text))
        return frozenset(name.decode("utf-8", "replace") for pair in pairs for name in pair)

    def _of_folder(self, folder: str, name: str) -> Iterator[str]:
        stem = posixpath.join(folder, name)
        yield from filter(None, map(self._program.why_unknown, (f"{stem}.py", f"{stem}/__init__.py")))
        for child in self._tree.named(folder, name):
            if child not in {name, f"{name}.py"}:
                yield f"{child} may be built into it"
        origin = self._origin_of(folder)
        if origin is not None:
            stem = posixpath.join(origin, name)
            if self._texts.is_ignored(f"{stem}.py") or self._texts.is_ignored(f"{stem}/__init__.py"):
                yield f"git ignores {stem}.py"

    def _origin_of(self, folder: str) -> str | None:
        """The folder of the project that a folder of the tree was copied from, by any file in it."""
        for child in self._tree.children(folder):
            origin = self._tree.origins.get(posixpath.join(folder, child), "")
            if origin:
                return posixpath.dirname(origin)
        return None

    def _changes_modules(self, file: str) -> bool:
        data = self._texts.read(file) if file else None
        return data is not None and (b"__path__" in data or b"sys.modules" in data)

    def _is_registered(self, dotted: str) -> bool:
        name = dotted.rpartition(".")[2].encode()
        return self._registering is None or any(name in data for data in self._registering)

    @cached_property
    def _registering(self) -> list[bytes] | None:
        """The sources that put modules where others find them; None where one changes how modules are found."""
        registering = []
        for path, data in self._read_sources(lambda path: is_test(path) or self._is_dynamic(path)):
            is_finder = b"meta_path" in data or b"path_hooks" in data
            if not is_finder and b"sys.modules" not in data:
                continue
            if is_test(path) and not self._is_dynamic(path):  # asked late, as the facts of a test have to be read
                continue
            if is_finder:
                return None
            registering.append(data)
        return registering

    def _read_sources(self, is_wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        """The sources of the project whose path is wanted, each with its content."""
        wanted = (
            path
            for path, origin in self._tree.origins.items()
            if path.endswith(".py")
            and origin
            and not origin.startswith(_STEP)
            and is_wanted(path)  # it holds this text
        )
        if self._texts.read_each is not None:
            yield from self._texts.read_each(wanted)
            return
        for path in wanted:
            data = self._texts.read(path)
            if data is not None:
                yield path, data

    def _is_dynamic(self, path: str) -> bool:
        facts = self._texts.facts(path)
        return facts is None or facts.dynamic


def _may_build(path: str) -> bool:
    """Whether a source may build extension modules, by its name."""
    return _MAY_BUILD.search(path, path.rfind("/") + 1) is not None


def _is_build_script(source: bytes) -> bool:
    return b"Extension(" in source or b"set_source(" in source
