"""The walk over the files that a start loads: from its first file on, along the imports that surely run, each file once."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple
from buildguard.project import django_settings
from buildguard.project.image_model import PlacedFile
from buildguard.project.start_command import StartCommand
from buildguard.startup.applications import EntryFile
from buildguard.startup.image_start import ImageStart
from buildguard.startup.modules import ModuleSearch, search, search_absolute
from buildguard.startup.source_facts import SourceFacts, SourceImport, read_facts

MOST_FILES = 5_000


class ReachedFile(NamedTuple):
    """A file that is loaded: its path in the image, where it comes from, its package, and whether it is the script itself."""

    path: str
    file: PlacedFile
    package: str
    is_main: bool = False

    @property
    def shown(self) -> str:
        """Its path for people: the project's, else the image's."""
        return self.file.source or self.path


class StartWalk:
    """Visits each file that a start loads; a subclass takes what it needs of each."""

    def __init__(self, image: ImageStart, start: StartCommand) -> None:
        self._image = image
        self._start = start
        self._seen: set[str] = set()
        self._pending: list[ReachedFile] = []
        self._settings = ""  # what Django reads

    def walk(self, entry: EntryFile) -> None:
        """Visit everything from a first file on."""
        if entry.module:
            self._reach_packages(entry.module)
        package = posixpath.dirname(entry.path) if entry.path.endswith("__init__.py") or entry.module else ""
        self._reach(ReachedFile(entry.path, entry.file, package, self._start.is_main))
        for loaded in self._start.loads:
            if loaded.module:
                self._reach_packages(loaded.module)
                self._reach_module(search(self._image, loaded.module, loaded.search_path))
        while self._pending and len(self._seen) < MOST_FILES:
            self._read(self._pending.pop(0))

    def _visit(self, reached: ReachedFile, facts: SourceFacts) -> None:
        """Take what is needed of a file."""

    def _miss(self, reached: ReachedFile, item: SourceImport, module: str, result: ModuleSearch) -> None:
        """Take note of a module that an import names and no file of the image is."""

    def _miss_named(self, reached: ReachedFile, item: SourceImport, result: ModuleSearch) -> None:
        """Take note of a module that settings name and no file of the image is."""

    def _reach(self, reached: ReachedFile) -> None:
        if reached.path not in self._seen:
            self._seen.add(reached.path)
            self._pending.append(reached)

    def _reach_packages(self, module: str) -> None:
        """The `__init__.py` of each package above a module is loaded before it."""
        parts = module.split(".")
        for end in range(1, len(parts)):
            self._reach_module(search(self._image, ".".join(parts[:end]), self._start.search_path))

    def _reach_module(self, result: ModuleSearch) -> None:
        if result.file is not None:
            self._reach(ReachedFile(result.path, result.file, posixpath.dirname(result.path)))

    def _read(self, reached: ReachedFile) -> None:
        content = None if reached.file.doubt else self._image.content(reached.file)
        if content is None:
            return
        facts = read_facts(content, is_main=reached.is_main)
        if facts is None:
            return
        self._follow_imports(reached, facts)
        self._visit(reached, facts)
        if facts.settings:
            self._follow_settings(reached, facts.settings)
        if self._settings and facts.tree is not None:
            for module, line in django_settings.listed_modules(facts.tree):
                self._follow_module(reached, SourceImport(module, 0, (), line, is_certain=True))

    def _follow_imports(self, reached: ReachedFile, facts: SourceFacts) -> None:
        for item in facts.imports:
            if item.is_certain:
                for module, result in self._resolve(reached, item):
                    self._take(reached, item, module, result)

    def _take(self, reached: ReachedFile, item: SourceImport, module: str, result: ModuleSearch) -> None:
        if result.file is not None:
            self._reach_module(result)
        else:
            self._miss(reached, item, module, result)

    def _resolve(self, reached: ReachedFile, item: SourceImport) -> Iterator[tuple[str, ModuleSearch]]:
        """Each module that an import loads: the packages above it, itself, and submodules that are taken from it by name."""
        search_path, base, look_up = self._start.search_path, item.module, search_absolute
        if item.level:
            look_up = search
            folder = reached.package
            if not folder:
                return
            for _ in range(item.level - 1):
                folder = posixpath.dirname(folder)
            search_path = (posixpath.dirname(folder),)
            name = posixpath.basename(folder)
            base = f"{name}.{item.module}" if item.module else name
        parts = base.split(".")
        result = ModuleSearch()
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            result = look_up(self._image, module, search_path)
            yield module, result
            if result.file is None and not result.package:
                return
        yield from self._submodules(base, result, item.names, search_path)

    def _submodules(
        self, base: str, result: ModuleSearch, names: Sequence[str], search_path: Sequence[str]
    ) -> Iterator[tuple[str, ModuleSearch]]:
        if not result.package:
            return
        content = self._image.content(result.file) if result.file is not None and not result.file.doubt else b""
        facts = read_facts(content or b"")
        for name in names:
            if facts is not None and facts.binds(name) is False and name != "*":
                found = search(self._image, f"{base}.{name}", search_path)
                yield f"{base}.{name}", self._or_lost_binding(found, result, name)

    def _or_lost_binding(self, submodule: ModuleSearch, package: ModuleSearch, name: str) -> ModuleSearch:
        """A search for a submodule; where that fails, the `__init__.py` that binds the name and is not in the image."""
        if not submodule.is_missing or submodule.lost:
            return submodule
        contents = {path: self._image.files.read(path) for path in package.lost}
        binding = (path for path, data in contents.items() if (facts := read_facts(data or b"")) and facts.binds(name))
        return submodule._replace(lost=tuple(binding))

    def _follow_settings(self, reached: ReachedFile, default: SourceImport) -> None:
        files = self._image.files
        paths = files.named(django_settings.may_set)
        files.load(paths)
        settings = django_settings.settings_module(paths, files.read, self._start.env, default.module)
        if settings:
            self._settings = settings
            self._follow_module(reached, default._replace(module=settings))

    def _follow_module(self, reached: ReachedFile, item: SourceImport) -> None:
        """A module that is loaded by its name, with the packages above it."""
        parts = item.module.split(".")
        parent = ModuleSearch()
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            result = search_absolute(self._image, module, self._start.search_path)
            self._take(reached, item, module, result)
            if result.file is None and not result.package:
                if not self._may_bind(parent, parts[end - 1]):
                    self._miss_named(reached, item, result)
                return
            parent = result

    def _may_bind(self, parent: ModuleSearch, name: str) -> bool:
        """Whether a module may have a name that is no module below it: a function of middleware, or one of another folder."""
        if parent.file is None:
            return False
        content = None if parent.file.doubt else self._image.content(parent.file)
        facts = read_facts(content) if content is not None else None
        return content is None or facts is None or b"__path__" in content or facts.binds(name) is not False
