"""A program as its imports see it: the files of its image, the folders on its path, and the modules that it starts. Pure."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportStatement, ModuleFacts
from buildguard.imports.resolver import SearchPath
from buildguard.project.discovery import ImageRecipe
from buildguard.project.start_command import StartCommand

_TEST = lazy_pattern(
    r"(?:^|/)(?:tests?|[^/]*-tests?(?:\.py)?|[^/]*_tests|testing|e2e|fixtures|conftest\.py|tests\.py|test_[^/]*\.py|[^/]*_tests?\.py"
    r"|[^/]*\{\{[^/]*)(?:/|$)"
)
_FILES, _FOLDERS = 100_000, 10_000
_SOURCES = frozenset({ModuleKind.PACKAGE, ModuleKind.MODULE})


class StartedProgram(NamedTuple):
    """The files of one process, where its modules are looked for, and what it starts; no `starts` where that is unknown.

    `roots` are folders that may be on the path of files that no start reaches. `why_unknown` says why the image may hold a
    path that `tree` lacks, empty where it cannot. `open_path` says why other folders may be on the path. `by_name` are modules
    that a framework loads after the starts, and `listed` the imports that texts of a module stand for. `image` is what it is
    built by, None for the project itself. `is_main` is the process that the start ends in, and one `may_fail` where the start
    goes on without it. `folder` is where it runs, empty where that is unknown.
    """

    tree: FileTree
    path: SearchPath
    starts: tuple[LoadedModule, ...] = ()
    roots: tuple[str, ...] = ()
    why_unknown: Callable[[str], str] = lambda _path: ""
    open_path: str = ""
    by_name: Callable[[], tuple[LoadedModule, ...]] = tuple
    listed: Callable[[], tuple[tuple[LoadedModule, ImportStatement], ...]] = tuple
    image: ImageRecipe | None = None
    is_main: bool = True
    may_fail: bool = False
    folder: str = ""


@functools.lru_cache(_FILES)  # every file is asked about more than once
def is_test(path: str) -> bool:
    """Whether a path of the project is a test's, or in a folder whose name is a template (`{{name}}`): no module is."""
    folder, _slash, base = path.rpartition("/")
    return _is_folder_of_tests(folder) or _TEST.search(base) is not None


@functools.lru_cache(_FOLDERS)  # most files share their folder
def _is_folder_of_tests(folder: str) -> bool:
    return _TEST.search(folder) is not None


def words_of_imports(facts: Iterable[ModuleFacts | None]) -> set[str]:
    """Every word in the modules and names that some sources import, or let a star import take.

    What their imports run has the last part of its name among them.
    """
    modules: set[str] = set()
    names: set[tuple[str, ...]] = set()  # most are asked for by many
    for of_file in facts:
        if of_file is not None:
            modules.update([row.module for row in of_file.imports])
            names.update([row.names for row in of_file.imports])
            names.add(of_file.exports or ())
    return {word for module in modules for word in module.split(".")}.union(*names)


def last_word(path: str) -> str:
    """The last part of the dotted name of a file's module."""
    folder, base = posixpath.split(path)
    return posixpath.basename(folder) if base == "__init__.py" else base.removesuffix(".py")


def started_modules(command: StartCommand, tree: FileTree) -> Iterator[LoadedModule]:
    """The modules that the process of a start command runs, with what it loads by name; those before it are others."""
    if command.script in tree.origins:
        yield _of_file(command)
    if command.module and not command.script:
        yield from _named(command, tree)
    for path in command.configs:
        if path.endswith(".py") and path in tree.origins:
            yield LoadedModule("__config__", ModuleLocation(ModuleKind.MODULE, path))
    for loaded in command.loads:
        yield from started_modules(loaded, tree)


def _of_file(command: StartCommand) -> LoadedModule:
    """A file that runs as `__main__`; functions-framework loads it as a package of its own name, with its folder's modules."""
    if command.server != "functions-framework":
        return LoadedModule("__main__", ModuleLocation(ModuleKind.MODULE, command.script), home="")
    folder, base = posixpath.split(command.script)
    return LoadedModule(base.removesuffix(".py"), ModuleLocation(ModuleKind.PACKAGE, command.script, (folder,)))


def _named(command: StartCommand, tree: FileTree) -> Iterator[LoadedModule]:
    """A dotted name's packages and itself; with `python -m` it is `__main__`, of a package its `__main__.py`."""
    parts = command.module.split(".")
    lookup = tree.look_up(command.module, command.search_path)
    if lookup.last is None or lookup.is_unclear:
        return
    for number, location in enumerate(lookup.modules[:-1]):
        if location.file:
            yield LoadedModule(".".join(parts[: number + 1]), location)
    last = lookup.last
    if not command.is_main:
        yield LoadedModule(command.module, last)
    elif last.folders:
        yield from [LoadedModule(command.module, last)] if last.file else []
        main = tree.find("__main__", last.folders)
        if main is not None and main.file:
            yield LoadedModule("__main__", main, home=command.module)
    else:
        yield LoadedModule("__main__", last, home=command.module.rpartition(".")[0])


def modules_named(name: str, tree: FileTree, folders: Sequence[str]) -> Iterator[LoadedModule]:
    """A module by its dotted name with the packages above it, as far as the project has them as sources."""
    lookup = tree.look_up(name, folders)
    parts = name.split(".")
    for number, location in enumerate(() if lookup.is_unclear else lookup.modules):
        if location.kind in _SOURCES:
            yield LoadedModule(".".join(parts[: number + 1]), location)


def absolute_name(module: str, level: int, package: str) -> str:
    """The dotted name that a relative import in a package means; `level` are its dots."""
    parts = package.split(".")
    above = parts[: len(parts) - level + 1] if level else []
    return ".".join(filter(None, [*above, module]))


def working_folder(command: StartCommand | None) -> str:
    """The folder in which the programs of a start run; empty where it is unknown, or not one."""
    if command is None:
        return ""
    folders = {part.folder for part in (command, *command.before) if part is command or part.script or part.module}
    return command.folder if len(folders) == 1 and "$" not in command.folder else ""


def extended_path(path: SearchPath, added: Iterable[tuple[str, str]], folder: str) -> SearchPath:
    """A search path with the folders that modules add themselves: pairs of a module's file and the folder that it names.

    A relative folder starts in the `folder` where the program runs; where that is unknown it is left out.
    """
    front = list(path.folders)
    for file, name in added:
        if name.startswith("@"):
            front.append(posixpath.normpath(posixpath.dirname(file) + name.removeprefix("@")))
        elif folder or name.startswith("/"):
            front.append(posixpath.normpath(posixpath.join(folder, name)))
    added_folders = [name for name in dict.fromkeys(front) if name not in path.folders]
    return path._replace(back=(*path.back, *added_folders), added=(*path.added, *added_folders))


def home_of(file: str, tree: FileTree) -> tuple[str, str]:
    """The folder above a file's outermost package, and the dotted name that the file has from there."""
    folder, base = posixpath.split(file)
    home, package = tree.home_of(folder)
    name = "" if base == "__init__.py" else base.removesuffix(".py")
    return home, f"{package}.{name}" if package and name else package or name


@functools.lru_cache(_FOLDERS)
def folders_above(folder: str, roots: tuple[str, ...]) -> tuple[str, ...]:
    """A folder and those above it, up to the nearest root that holds it."""
    folders = [folder]
    while folder not in {"", "/", *roots}:
        folder = posixpath.dirname(folder)
        folders.append(folder)
    return tuple(folders)


def sources_of(tree: FileTree, is_wanted: Callable[[str], bool], among: Collection[str] | None = None) -> list[str]:
    """The Python files of a tree whose path in the project is wanted, sorted; with `among`, no others are asked about."""
    candidates = tree.origins if among is None else tree.from_project(among)
    sources = ((path, tree.origins[path]) for path in candidates if path.endswith(".py"))
    return sorted(path for path, origin in sources if origin and is_wanted(origin))
