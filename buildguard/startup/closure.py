"""BG704: the files that a start needs, from its first file on: imports, files that are opened, settings, configuration.

What it needs and the image has is kept as well: a placeholder there is an error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from buildguard.project.ignore.rules import parents
from buildguard.project.image_model import PlacedFile
from buildguard.project.start_command import StartCommand, in_folder
from buildguard.startup import alembic, django
from buildguard.startup.applications import EntryFile
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.losses import report_lost
from buildguard.startup.modules import ModuleSearch, search
from buildguard.startup.source_facts import OpenedFile, SourceFacts, SourceImport, read_facts

_MOST_FILES = 5_000
_IMPORT = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+([^\n#(]++(?:\([^)]{0,4000}+\))?)")
_WORD = re.compile(rb"\w+")
_OPENS = re.compile(rb"\bopen\(|\bread_\w+\(|\bload(?:txt)?\(|StaticFiles|fileConfig|Config\(|InferenceSession")
_LITERAL = re.compile(rb"""["']([^"'\n]{1,200})["']""")
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing)(?:/|$)|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")


class ReachedFile(NamedTuple):
    """A file that is loaded: its path in the image, where it comes from, its package, and whether it is the script itself."""

    path: str
    file: PlacedFile
    package: str
    is_main: bool = False


class StartupFile(NamedTuple):
    """A file, or a folder, that a start reads: its path in the image, what reads it, and whether that is certain."""

    path: str
    reason: str
    is_error: bool = True
    is_folder: bool = False


def check_closure(
    image: ImageStart, start: StartCommand, entries: Iterable[EntryFile], findings: StartupFindings
) -> None:
    """Follow what a start loads, and report each file of the project that it needs and the image lacks."""
    if any("$" in folder for folder in start.search_path):
        return
    entries = [*entries]
    names = _lost_names(image) if entries else set()
    if names and _any_mention(image, names):
        walk = _ClosureWalk(image, start, findings)
        for entry in entries:
            walk.walk(entry)


def _lost_names(image: ImageStart) -> set[bytes]:
    """The names that files of the context go by that no COPY brings into the image, or that are placeholders there.

    Of a lost folder it is its own name alone.
    """
    context, tree = image.service.context, image.tree
    held, lost = set[str](), []
    for path in image.files.below(context):
        if tree.holds(path) is None:
            lost.append(path)
        else:
            held.update(parents(path))
    names = {name for path in lost for name in _names_of(path, held)}
    names.update(posixpath.basename(path) for path in image.placeholders)
    return {name.encode("utf-8", "surrogateescape") for name in names}


def _names_of(path: str, held: Container[str]) -> Iterator[str]:
    """The first folder of a lost path that the image does not have, and the file itself; a module without its suffix."""
    folder = next((folder for folder in parents(path) if folder not in held), None)
    if folder is not None:
        yield posixpath.basename(folder)
    if folder is None or not path.endswith(".py"):
        yield posixpath.basename(path).removesuffix(".py")


def _any_mention(image: ImageStart, names: set[bytes]) -> bool:
    """Whether a source of the image imports or opens something by one of some names."""
    paths = [
        path for path in image.files.below(image.service.context) if path.endswith(".py") and image.tree.holds(path)
    ]
    image.files.load(paths[:_MOST_FILES])
    return any(_mentions(image.files.read(path) or b"", names) for path in paths[:_MOST_FILES])


def _mentions(content: bytes, names: set[bytes]) -> bool:
    if b"DJANGO_SETTINGS_MODULE" in content or b"alembic" in content:
        return True
    if any(not names.isdisjoint(_WORD.findall(line)) for line in _IMPORT.findall(content)):
        return True
    return _OPENS.search(content) is not None and any(
        not names.isdisjoint(text.split(b"/")) for text in _LITERAL.findall(content)
    )


class _ClosureWalk:
    """A walk over the files that a start loads, each once."""

    def __init__(self, image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
        self._image = image
        self._start = start
        self._findings = findings
        self._seen: set[str] = set()
        self._pending: list[ReachedFile] = []
        self._is_django = False

    def walk(self, entry: EntryFile) -> None:
        if entry.module:
            self._reach_packages(entry.module)
        package = posixpath.dirname(entry.path) if entry.path.endswith("__init__.py") or entry.module else ""
        self._reach(ReachedFile(entry.path, entry.file, package, self._start.is_main))
        while self._pending and len(self._seen) < _MOST_FILES:
            self._read(self._pending.pop(0))

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
        for opened in facts.opened:
            self._check_opened(reached, opened)
        if facts.settings:
            self._follow_settings(reached, facts.settings)
        if self._is_django and facts.tree is not None:
            for module, line in django.listed_modules(facts.tree):
                self._follow_module(reached, module, line)

    # -------------------------------------------------------------------------------------- modules

    def _follow_imports(self, reached: ReachedFile, facts: SourceFacts) -> None:
        for item in facts.imports:
            if item.is_certain:
                for module, result in self._resolve(reached, item):
                    self._take(reached, item, module, result)

    def _take(self, reached: ReachedFile, item: SourceImport, module: str, result: ModuleSearch) -> None:
        if result.file is not None:
            self._reach_module(result)
        elif result.is_missing and result.lost and not self._image.tree.installs_project:
            source = next((path for path in result.lost if not _TESTS.search(path)), "")
            importer = f"{reached.file.source or reached.path}:{item.line}"
            if source:
                self._findings.explain_import(FindingPlace(reached.file.source, item.line))
                report_lost(self._image, self._findings, source, f"{importer} imports {module}")

    def _resolve(self, reached: ReachedFile, item: SourceImport) -> Iterator[tuple[str, ModuleSearch]]:
        """Each module that an import loads: the packages above it, itself, and submodules that are taken from it by name."""
        search_path, base = self._start.search_path, item.module
        if item.level:
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
            result = search(self._image, module, search_path)
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
                yield f"{base}.{name}", search(self._image, f"{base}.{name}", search_path)

    # -------------------------------------------------------------------------------------- other files

    def _follow_settings(self, reached: ReachedFile, default: str) -> None:
        settings = django.settings_module(self._image, self._start.env, default)
        if settings:
            self._is_django = True
            self._follow_module(reached, settings, 1)

    def _follow_module(self, reached: ReachedFile, name: str, line: int) -> None:
        """A module that is loaded by its name, with the packages above it."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            result = search(self._image, module, self._start.search_path)
            self._take(reached, SourceImport(name, 0, (), line, is_certain=True), module, result)
            if result.file is None and not result.package:
                return

    def _check_opened(self, reached: ReachedFile, opened: OpenedFile) -> None:
        folder = posixpath.dirname(reached.path) if opened.path.is_beside else self._start.folder
        path = in_folder(folder, opened.path.text)
        where = f"{reached.file.source or reached.path}:{opened.line}"
        check_needed(
            self._image, self._findings, StartupFile(path, f"{where} opens it", opened.is_certain, opened.is_folder)
        )
        config = alembic.read_config(self._image, path, self._start.folder) if path.endswith(".ini") else None
        for entry in alembic.loaded_files(self._image, config) if config is not None and opened.is_certain else ():
            self._reach(ReachedFile(entry.path, entry.file, ""))


def check_needed(image: ImageStart, findings: StartupFindings, needed: StartupFile) -> None:
    """BG704 for a file of the image that a start reads, where the project has it and the image does not."""
    path, tree = needed.path, image.tree
    placed = tree.find(path)
    if placed is not None:
        if needed.is_error:
            findings.need(placed.source, needed.reason)
        return
    if tree.is_folder(path):
        return
    lost = [source for source in tree.project_paths(path) if _is_lost(image, source, is_folder=needed.is_folder)]
    unknown = tree.why_unknown(path)
    if lost and unknown:
        findings.leave_open(FindingPlace(lost[0]), unknown)
    elif lost:
        report_lost(image, findings, lost[0], needed.reason, is_error=needed.is_error)


def _is_lost(image: ImageStart, source: str, *, is_folder: bool) -> bool:
    exists = image.files.is_folder if is_folder else image.files.is_file
    return bool(image.files.submodule_of(source)) or (exists(source) and image.tree.holds(source) is None)
