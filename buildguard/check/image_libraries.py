"""BG603 for compiled modules of an image that the start loads and the loader cannot: a missing library, another processor or C library."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Sequence

from buildguard.check.context import Job
from buildguard.check.image_imports import ImageImportFiles
from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, display_path
from buildguard.docker import native_modules
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.image_stage import ImageFiles, ImageStage
from buildguard.docker.images import Image
from buildguard.docker.shared_libraries import LibraryFinder, loader_folders, loader_settings
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.program import StartedProgram
from buildguard.imports.site_packages import InstalledSource
from buildguard.startup.source_facts import SourceImport, read_facts

_MOST_FILES = 3_000
_SUFFIX = lazy_pattern(r"(?:\.(?:cpython-\d+[\w-]*|abi3))?\.so")
# The package of Debian that has a library; others are named as they are.
_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libmagic.so.1": "libmagic1",
    "libmariadb.so.3": "libmariadb3",
    "libodbc.so.2": "unixodbc",
    "libpq.so.5": "libpq5",
    "libSM.so.6": "libsm6",
    "libsndfile.so.1": "libsndfile1",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
}


class LoadedModuleFile(NamedTuple):
    """A compiled module that a start loads: its path without the suffix, its name, and the import of the project that leads to it."""

    stem: str
    name: str
    importer: str
    line: int


class ImageLibraries:
    """The compiled modules of an image, and what they need."""

    def __init__(self, cell: ImageFilesystem, image: Image, files: ImageFiles) -> None:
        self._cell = cell
        self._image = image
        self._files = files
        compiled = {os.fsdecode(path): entry for path, entry in files.entries.items() if entry.elf_target is not None}
        self._compiled = compiled
        loaders = native_modules.LOADERS.get(image.platform.rpartition("/")[2], {})
        self._libcs = frozenset(name for name, path in loaders.items() if cell.stat(path) is not None)
        names = {posixpath.basename(path) for path in compiled}
        names |= {entry.libraries.soname for entry in compiled.values() if entry.libraries is not None}
        names |= {posixpath.basename(os.fsdecode(path)) for path in files.entries if b".so" in path}
        self._finder = LibraryFinder(
            lambda path: cell.stat(path) is not None, self._folders() if compiled else [], names
        )

    def _folders(self) -> list[str]:
        """The folders in which the loader of the image looks."""
        settings = ImageFiles(self._cell, whole=True)
        try:
            for path in loader_settings(self._image.platform):
                settings.read(path)
            contents = {os.fsdecode(path): settings.content(path) for path in settings.entries}
        finally:
            settings.close()
        configured = {path: content for path, content in contents.items() if isinstance(content, bytes)}
        return loader_folders(self._image.platform, self._image.variable("LD_LIBRARY_PATH"), configured)

    def problem(self, path: str) -> str:
        """Why a compiled module cannot be loaded; empty where nothing is wrong."""
        entry = self._compiled[path]
        assert entry.elf_target is not None
        words = entry.elf_target.misfit(self._image.platform, self._libcs)
        if words or entry.libraries is None:
            return words
        missing = self._finder.missing(path, entry.libraries)
        return f"needs {', '.join(missing)}, and the image does not have it" if missing else ""

    def misfits(self) -> Iterator[tuple[str, str]]:
        """The compiled modules that this image cannot load, and why."""
        for path in sorted(self._compiled):
            words = self.problem(path)
            if words:
                yield display_path(os.fsencode(path)), words

    def unloadable(self, job: Job, image: Image) -> Iterator[Diagnostic]:
        """BG603 for each import of the project on the way to a compiled module that cannot be loaded."""
        stage = job.place.stage
        if not isinstance(stage, ImageStage) or not self._compiled:
            return
        for loaded in loaded_modules(ImageImportFiles(stage, image)):
            for path in self._files_of(loaded.stem):
                words = self.problem(path)
                if words:
                    message = f"{loaded.name} cannot be loaded: {path} {words}"
                    place = Range(loaded.line)
                    yield Diagnostic(
                        Code.BG603,
                        Severity.ERROR,
                        DisplayPath(loaded.importer),
                        place,
                        message,
                        self._hint(path),
                        None,
                        "rule",
                    )

    def _files_of(self, stem: str) -> Sequence[str]:
        return [path for path in self._compiled if path.startswith(stem) and _SUFFIX.fullmatch(path[len(stem) :])]

    def _hint(self, path: str) -> str:
        libraries = self._compiled[path].libraries
        missing = self._finder.missing(path, libraries) if libraries is not None else []
        packages = [_PACKAGES[name] for name in missing if name in _PACKAGES]
        if packages and native_modules.MUSL not in self._libcs:
            return (
                f"RUN apt-get update && apt-get install -y --no-install-recommends {' '.join(dict.fromkeys(packages))}"
            )
        return "install the package that has it, or a build of the module for this image"


class _Importer(NamedTuple):
    """A file that is loaded: its path, its dotted package folder, and the project's import that led to it."""

    file: str
    importer: str
    line: int


def loaded_modules(files: ImageImportFiles) -> Iterator[LoadedModuleFile]:
    """The compiled modules that the start surely loads: along imports at module level, through the installed packages."""
    packages = files.packages(lambda _file: None)
    programs = (program for program in files.programs(packages) if not program.may_fail)
    loaded = (module for program in programs for module in _loaded_by(program, packages, files.read))
    yield from {module.stem: module for module in loaded}.values()


def _loaded_by(
    program: StartedProgram, packages: InstalledSource, read: Callable[[str], bytes | None]
) -> Iterator[LoadedModuleFile]:
    finder = _ModuleFinder(read, packages.tree, (*program.path.folders, *packages.folders))
    pending = [_Importer(start.location.file, "", 0) for start in program.starts if start.location.file]
    seen = {each.file for each in pending}
    while pending and len(seen) < _MOST_FILES:
        current = pending.pop(0)
        for module, kind in finder.imported(current, program.tree.origins.get(current.file)):
            if module.stem in seen:
                continue
            seen.add(module.stem)
            if kind is ModuleKind.COMPILED:
                yield module
            else:
                pending.append(_Importer(module.stem, module.importer, module.line))


class _ModuleFinder(NamedTuple):
    """Finds what an import runs among the files of an image."""

    read: Callable[[str], bytes | None]
    tree: FileTree
    folders: Sequence[str]

    def imported(self, current: _Importer, own: str | None) -> Iterator[tuple[LoadedModuleFile, ModuleKind]]:
        """What a file surely imports, with the import of the project (in `own`, its path there) that led to it."""
        facts = read_facts(self.read(current.file) or b"")
        for item in facts.imports if facts is not None else ():
            place = (own, item.line) if own else (current.importer, current.line)
            for location in self.locations(current.file, item) if item.is_certain else ():
                if location.file:
                    name = item.module or ".".join(item.names)
                    yield LoadedModuleFile(location.file, name, *place), location.kind

    def locations(self, file: str, item: SourceImport) -> Iterator[ModuleLocation]:
        """The modules of a dotted name, and submodules that are taken by name."""
        parts = item.module.split(".") if item.module else []
        above = file
        for _ in range(item.level):
            above = posixpath.dirname(above)
        last: ModuleLocation | None = ModuleLocation(ModuleKind.NAMESPACE, "", (above,) if item.level else ())
        if parts:
            lookup = self.tree.look_below(parts, [above] if item.level else self.folders)
            yield from lookup.modules
            last = lookup.last
            yield from self._native_twins(lookup.modules)
        if last is not None and last.folders:
            yield from self._submodules(last, item.names)

    def _native_twins(self, modules: Sequence[ModuleLocation]) -> Iterator[ModuleLocation]:
        """A package that loads the compiled module of its own name, as OpenCV's does by a loader of its own."""
        for location in modules:
            for folder in location.folders:
                twin = self.tree.find(posixpath.basename(folder), [folder])
                if twin is not None and twin.kind is ModuleKind.COMPILED:
                    yield twin

    def _submodules(self, package: ModuleLocation, names: Sequence[str]) -> Iterator[ModuleLocation]:
        facts = read_facts(self.read(package.file) or b"") if package.file.endswith(".py") else None
        for name in names:
            location = self.tree.find(name, package.folders)
            if location is None or location.kind is ModuleKind.NAMESPACE:
                continue
            # a package binds the name of its own compiled module by importing it
            if location.kind is ModuleKind.COMPILED or facts is None or facts.binds(name) is False:
                yield location
