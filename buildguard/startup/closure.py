"""BG704: the files that a start needs, from its first file on: imports, files opened by a literal path, settings, configuration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container

from buildguard.project.ignore.rules import parents
from buildguard.project.start_command import StartCommand, in_folder
from buildguard.startup.applications import EntryFile
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.losses import report_lost
from buildguard.startup.modules import ModuleSearch
from buildguard.startup.source_facts import OpenedFile, SourceFacts, SourceImport
from buildguard.startup.walk import MOST_FILES, ReachedFile, StartWalk

_IMPORT = re.compile(rb"(?m)^[ \t]*(?:from|import)[ \t]+([^\n#(]++(?:\([^)]{0,4000}+\))?)")
_WORD = re.compile(rb"\w+")
_OPENS = re.compile(rb"\bopen\(|\bread_(?:text|bytes)\(")
_LITERAL = re.compile(rb"""["']([^"'\n]{1,200})["']""")
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing)(?:/|$)|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")


def check_closure(image: ImageStart, start: StartCommand, entry: EntryFile, findings: StartupFindings) -> None:
    """Follow what a start loads, and report each file of the project that it needs and the image lacks."""
    if any("$" in folder for folder in start.search_path):
        return
    names = _lost_names(image)
    if names and _any_mention(image, names):
        _ClosureWalk(image, start, findings).walk(entry)


def _lost_names(image: ImageStart) -> set[bytes]:
    """The names that files of the context, which no COPY brings into the image, go by: of a lost folder its own alone."""
    context, tree = image.service.context, image.tree
    held, lost = set[str](), []
    for path in image.files.below(context):
        if tree.holds(path) is None:
            lost.append(path)
        else:
            held.update(parents(path))
    return {_shallowest(path, held).encode("utf-8", "surrogateescape") for path in lost}


def _shallowest(path: str, held: Container[str]) -> str:
    """The first part of a lost path that the image does not have: a folder, a module without its suffix, or a file."""
    folder = next((folder for folder in parents(path) if folder not in held), None)
    return posixpath.basename(folder if folder is not None and path.endswith(".py") else path).removesuffix(".py")


def _any_mention(image: ImageStart, names: set[bytes]) -> bool:
    """Whether a source of the image imports or opens something by one of some names."""
    paths = [
        path for path in image.files.below(image.service.context) if path.endswith(".py") and image.tree.holds(path)
    ]
    image.files.load(paths[:MOST_FILES])
    return any(_mentions(image.files.read(path) or b"", names) for path in paths[:MOST_FILES])


def _mentions(content: bytes, names: set[bytes]) -> bool:
    if b"DJANGO_SETTINGS_MODULE" in content:
        return True
    if any(not names.isdisjoint(_WORD.findall(line)) for line in _IMPORT.findall(content)):
        return True
    return _OPENS.search(content) is not None and any(
        posixpath.basename(text) in names for text in _LITERAL.findall(content)
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
        if not result.is_missing or not result.lost or self._image.tree.installs_project:
            return
        source = next((path for path in result.lost if not _TESTS.search(path)), "")
        if source:
            importer = f"{reached.shown}:{item.line}"
            self._findings.explain_import(FindingPlace(reached.file.source, item.line))
            report_lost(self._image, self._findings, source, f"{importer} imports {module}")

    def _check_opened(self, reached: ReachedFile, opened: OpenedFile) -> None:
        path = in_folder(self._start.folder, opened.path)
        where = f"{reached.file.source or reached.path}:{opened.line}"
        check_needed(self._image, self._findings, path, f"{where} opens it", is_error=opened.is_certain)


def check_needed(
    image: ImageStart, findings: StartupFindings, path: str, reason: str, *, is_error: bool = True
) -> None:
    """BG704 for a file of the image that a start reads, where the project has it and the image does not."""
    if image.tree.find(path) is not None or image.tree.is_folder(path):
        return
    lost = [source for source in image.tree.project_paths(path) if image.files.is_file(source)]
    unknown = image.tree.why_unknown(path)
    if lost and unknown:
        findings.leave_open(FindingPlace(lost[0]), unknown)
    elif lost:
        report_lost(image, findings, lost[0], reason, is_error=is_error)


def check_configs(image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
    """The configuration of a server, and that of Alembic where it runs first."""
    for path in start.configs:
        _check_config(image, start, findings, path)
    for command in [start, *start.before]:
        names = [posixpath.basename(program.name) for program in command.programs]
        if names[-1:] == ["alembic"] or command.module == "alembic":
            words = list(command.arguments)
            name = words[words.index("-c") + 1] if "-c" in words[:-1] else "alembic.ini"
            check_needed(image, findings, in_folder(command.folder, name), "alembic reads it")


def _check_config(image: ImageStart, start: StartCommand, findings: StartupFindings, path: str) -> None:
    place = image.place_of(start.place)
    if image.tree.find(path) is not None:
        return
    if unknown := image.tree.why_unknown(path):
        findings.leave_open(place, f"{path}: {unknown}")
    elif any(image.files.is_file(source) for source in image.tree.project_paths(path)):
        check_needed(image, findings, path, f"{start.server} reads its configuration from it")
    else:
        findings.add(
            "BG701",
            place,
            f"{start.server} reads its configuration from {path}, and the image has no such file",
            "correct the path",
        )
