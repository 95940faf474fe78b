"""BG704: the files that a start needs, from its first file on: imports, files that are opened, settings, configuration.

What it needs and the image has is kept as well: a placeholder there is an error.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterable, Iterator

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.ignore.rules import parents
from buildguard.project.start_command import StartCommand, in_folder
from buildguard.startup import alembic
from buildguard.startup.applications import EntryFile
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.losses import LostFile, report_lost
from buildguard.startup.modules import ModuleSearch, may_be_installed
from buildguard.startup.source_facts import OpenedFile, SourceFacts, SourceImport
from buildguard.startup.walk import MOST_FILES, ReachedFile, StartWalk

_IMPORT = lazy_pattern(rb"(?m)^[ \t]*(?:from|import)[ \t]+([^\n#(]++(?:\([^)]{0,4000}+\))?)")
_WORD = lazy_pattern(rb"\w+")
_OPENS = lazy_pattern(rb"\bopen\(|\bread_\w+\(|\bload(?:txt)?\(|StaticFiles|fileConfig|Config\(|InferenceSession")
_LITERAL = lazy_pattern(rb"""["']([^"'\n]{1,200})["']""")
_TESTS = lazy_pattern(r"(?:^|/)(?:tests?|testing)(?:/|$)|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")


class StartupFile(NamedTuple):
    """A file, or a folder, that a start reads: its path in the image, what reads it, and whether that is certain."""

    path: str
    reason: str
    is_error: bool = True
    is_folder: bool = False
    source: str = ""  # the path of the project that is read there, where a source says so itself


def check_closure(
    image: ImageStart, start: StartCommand, entries: Iterable[EntryFile], findings: StartupFindings
) -> None:
    """Follow what a start loads, and report each file of the project that it needs and the image lacks."""
    if any("$" in folder for folder in start.search_path):
        return
    entries = [*entries]
    if entries and _any_mention(image, _lost_names(image)):
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
    """The first folder of a lost path that the image does not have, and the file itself; a module by its name as well."""
    folder = next((folder for folder in parents(path) if folder not in held), None)
    if folder is not None:
        yield posixpath.basename(folder)
    if folder is None and posixpath.basename(path) == "__init__.py":
        yield posixpath.basename(posixpath.dirname(path))
    elif folder is None or not path.endswith(".py"):
        yield from {posixpath.basename(path), posixpath.basename(path).removesuffix(".py")}


def _any_mention(image: ImageStart, names: set[bytes]) -> bool:
    """Whether a source of the image imports or opens something by one of some names."""
    paths = [
        path for path in image.files.below(image.service.context) if path.endswith(".py") and image.tree.holds(path)
    ]
    image.files.load(paths[:MOST_FILES])
    return any(_mentions(image.files.read(path) or b"", names) for path in paths[:MOST_FILES])


def _mentions(content: bytes, names: set[bytes]) -> bool:
    if b"DJANGO_SETTINGS_MODULE" in content or b"alembic" in content:
        return True
    if any(not names.isdisjoint(_WORD.findall(line)) for line in _IMPORT.findall(content)):
        return True
    return _OPENS.search(content) is not None and any(
        not names.isdisjoint(text.split(b"/")) for text in _LITERAL.findall(content)
    )


class _ClosureWalk(StartWalk):
    """A walk that reports what the image lacks."""

    def __init__(self, image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
        super().__init__(image, start)
        self._findings = findings

    def _visit(self, reached: ReachedFile, facts: SourceFacts) -> None:
        for opened in facts.opened:
            self._check_opened(reached, opened)

    def _miss(self, reached: ReachedFile, item: SourceImport, module: str, result: ModuleSearch) -> None:
        if not result.lost or result.unknown or self._image.tree.installs_project:
            return
        if result.package:
            if module == item.module and (not item.names or "*" in item.names):
                place = FindingPlace(reached.file.source, item.line)
                self._findings.leave_open(place, f"{result.lost[0]} is not in the image, and its names may be used")
            return
        source = next((path for path in result.lost if not _TESTS.search(path)), "")
        if source:
            importer = f"{reached.shown}:{item.line}"
            self._findings.explain_import(FindingPlace(reached.file.source, item.line))
            report_lost(self._image, self._findings, LostFile(source, f"{importer} imports {module}"))

    def _miss_named(self, reached: ReachedFile, item: SourceImport, result: ModuleSearch) -> None:
        """BG701 for a module that Django loads by its name, in a package of the project that lacks it."""
        if not (item.is_certain and result.is_missing) or result.lost:
            return
        if result.is_top and not self._is_elsewhere(reached, item.module):
            return  # a module at the top may be installed
        place = FindingPlace(reached.file.source, item.line)
        if doubt := self._why_undecided(item.module):
            self._findings.leave_open(place, f"module {item.module}: {doubt}")
            return
        where = ", ".join(self._start.search_path)
        lack = f"it does not exist in {where}" if result.is_top else "the image has no such file"
        message = f"Django loads the module {item.module}, and {lack}"
        self._findings.add(Code.BG701, place, message, "correct the name, or copy the module into the image")

    def _is_elsewhere(self, reached: ReachedFile, module: str) -> bool:
        """Whether the settings are in the image, in a folder that nothing puts on the path."""
        if module != self._settings or may_be_installed(self._image, module):
            return False
        end = f"/{module.replace('.', '/')}.py"
        is_there = any(path.endswith(end) for path in self._image.tree.model.files)
        return is_there and b"sys.path" not in (self._image.content(reached.file) or b"")

    def _why_undecided(self, module: str) -> str:
        if self._image.tree.installs_project:
            return "the project is installed"
        bases = [posixpath.join(folder, module.replace(".", "/")) for folder in self._start.search_path]
        for path in (f"{base}{end}" for base in bases for end in (".py", "/__init__.py")):
            if self._image.other_context(path):
                return "the build context is a guess"
            if any(self._image.files.git_ignore_rule(source) for source in self._image.tree.project_paths(path)):
                return "it is git-ignored, and may be made before the build"
        return ""

    def _check_opened(self, reached: ReachedFile, opened: OpenedFile) -> None:
        folder = posixpath.dirname(reached.path) if opened.path.is_beside else self._start.folder
        path = in_folder(folder, opened.path.text)
        where = f"{reached.file.source or reached.path}:{opened.line}"
        source = ""
        if opened.path.is_beside and reached.file.source:
            source = posixpath.normpath(posixpath.join(posixpath.dirname(reached.file.source), opened.path.text))
        needed = StartupFile(path, f"{where} opens it", opened.is_certain, opened.is_folder, source)
        check_needed(self._image, self._findings, needed)
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
    sources = [*tree.project_paths(path), *filter(None, [needed.source])]
    lost = [source for source in sources if _is_lost(image, source, is_folder=needed.is_folder)]
    unknown = tree.why_unknown(path)
    if lost and unknown:
        findings.leave_open(FindingPlace(lost[0]), unknown)
    elif lost:
        report_lost(image, findings, LostFile(lost[0], needed.reason, path), is_error=needed.is_error)


def _is_lost(image: ImageStart, source: str, *, is_folder: bool) -> bool:
    exists = image.files.is_folder if is_folder else image.files.is_file
    return bool(image.files.submodule_of(source)) or (exists(source) and image.tree.holds(source) is None)
