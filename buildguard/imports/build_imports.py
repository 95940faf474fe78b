"""The imports of a workspace, judged inside of a build by the Python that runs there: the step file holds this room's text.

It runs on Python 3.8 with the standard library alone, so do the modules that it imports. What only the image or the
machine of a developer shows (git-ignored files, installed packages) leaves an import undecided.
"""

from __future__ import annotations

import fnmatch
import functools
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Finding, Severity
from buildguard.imports.declared import DECLARES, ProvidedModules
from buildguard.imports.doubts import ProjectTexts, is_build_file
from buildguard.imports.evaluated import BACKPORT, judge_types
from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.handlers import decide_handlers
from buildguard.imports.library_answers import AnswerJudge, LibraryAnswer, LibraryReply, Question, replies_from
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import FileReach, ModuleFacts, ProjectImports, facts_from, patched_names
from buildguard.imports.resolver import SearchPath
from buildguard.imports.standard import LibraryModules
from buildguard.imports.standard_imports import ImportJudge, questions_of
from buildguard.remote.library_query import answer_questions

_ROOT = "/workspace"
START, FRONT, BACK, UNKNOWN = "--start=", "--front=", "--path=", "--start=?"
WORKS_IN, WORKS_ANYWHERE = "--folder=", "--folder=?"  # where the program runs, if it is not the workspace


class BuildSources(NamedTuple):
    """A workspace: every path, the facts of each source that compiles as JSON, and a reader of files."""

    paths: Sequence[str]
    facts: Mapping[str, bytes]
    read: Callable[[str], bytes | None]


class BuildFinding(NamedTuple):
    """An import that fails where the start command runs it."""

    code: str
    path: str
    line: int
    column: int
    message: str


def judge_build(sources: BuildSources, words: Iterable[str]) -> tuple[list[BuildFinding], int]:
    """The errors in the imports of a workspace, and how many imports are undecided.

    `words` describe the program, as `program_words` of the command that wrote the step gives them.
    """
    return _BuildJudge(sources, list(words)).judge()


class _BuildJudge:
    def __init__(self, sources: BuildSources, words: list[str]) -> None:
        self._sources = sources
        self._words = words
        self._provided = ProvidedModules(self._declarations, sources.facts)
        facts = {path: facts_from(data) for path, data in sources.facts.items()}
        self._facts = decide_handlers(facts, _ask_library, self._provided.brings)
        self._tree = FileTree({f"{_ROOT}/{path}": path for path in sources.paths})
        self._ignores = [path for path in sources.paths if posixpath.basename(path) == ".gitignore"]

    def judge(self) -> tuple[list[BuildFinding], int]:
        if self._is_lost:
            return [], sum(len(facts.imports) for facts in self._facts.values() if facts is not None)
        project = self._of_project()
        reach = {path: how for path, how in project.reach.items() if self._facts.get(path) is not None}
        findings = [(path, finding) for path, of_file in project.findings.items() for finding in of_file]
        undecided = len(project.undecided)
        for path, finding in self._of_library(reach):
            if isinstance(finding, Finding):
                findings.append((path, finding))
            else:
                undecided += 1
        errors = [(path, finding) for path, finding in findings if finding.severity is Severity.ERROR]
        return [_build_finding(path, finding) for path, finding in errors], undecided

    # --- the project's own modules

    def _of_project(self) -> ProjectImports:
        program = self._program()
        context = ImportContext(
            self._facts_at, self._read_at, LibraryModules(sys.version_info[1]), lambda _dotted: True
        )
        texts = ProjectTexts(
            self._read_at, self._may_be_ignored, self._facts_at, functools.lru_cache(maxsize=None)(self._build_texts)
        )
        return read_imports([ProgramSubject(program, context, texts)])

    def _program(self) -> StartedProgram:
        front, back = (self._folders(kind) for kind in (FRONT, BACK))
        roots = tuple(dict.fromkeys([*front, *back, _ROOT]))
        starts = tuple(self._starts())
        folder = next(iter(self._folders(WORKS_IN)), _ROOT) if starts and WORKS_ANYWHERE not in self._words else ""
        return StartedProgram(self._tree, SearchPath(front, back), starts, roots, folder=folder)

    @property
    def _is_lost(self) -> bool:
        """Whether a program is started of which no file is known: what it runs is not known either."""
        return any(word.startswith(START) for word in self._words) and not list(self._starts())

    def _folders(self, kind: str) -> tuple[str, ...]:
        folders = [word[len(kind) :] for word in self._words if word.startswith(kind)]
        return tuple(posixpath.normpath(posixpath.join(_ROOT, folder)) for folder in folders)

    def _starts(self) -> Iterator[LoadedModule]:
        """The modules that are started, where their files are still there."""
        for word in self._words:
            if word.startswith(START):
                name, _, file = word[len(START) :].partition("=")
                name, _, home = name.partition("@")
                path = f"{_ROOT}/{file}"
                if path in self._tree.origins:
                    is_package = posixpath.basename(file) == "__init__.py"
                    kind = ModuleKind.PACKAGE if is_package else ModuleKind.MODULE
                    folders = (posixpath.dirname(path),) if is_package else ()
                    yield LoadedModule(name, ModuleLocation(kind, path, folders), home if name == "__main__" else None)

    def _facts_at(self, file: str) -> ModuleFacts | None:
        return self._facts.get(self._tree.origins.get(file, ""))

    def _read_at(self, file: str) -> bytes | None:
        path = self._tree.origins.get(file)
        return None if path is None else self._sources.read(path)

    def _build_texts(self) -> bytes:
        texts = (self._sources.read(path) for path in filter(is_build_file, self._sources.paths))
        return b"\n".join(text for text in texts if text is not None and len(text) <= 1 << 20)

    def _may_be_ignored(self, path: str) -> bool:
        """Whether git may ignore a path: any rule counts that fits a part of it, and without rules everything is possible."""
        parts = path.split("/")
        return not self._ignores or any(
            fnmatch.fnmatchcase(part, pattern) for pattern in self._patterns() for part in parts
        )

    def _patterns(self) -> Iterator[str]:
        for file in self._ignores:
            lines = (self._sources.read(file) or b"").decode("utf-8", "replace").splitlines()
            for line in lines:
                if line.strip() and not line.startswith(("#", "!")):
                    yield from (part for part in line.strip().split("/") if part.strip("*"))

    # --- the standard library, and types

    def _of_library(self, reach: Mapping[str, FileReach]) -> Iterator[tuple[str, Finding | str]]:
        known = {path: facts for path, facts in self._facts.items() if facts is not None and path in reach}
        version = f"3.{sys.version_info[1]}"
        brings = self._provided.brings
        judge = ImportJudge(self._answers(known.values()), version, brings, patched_names(self._facts.values()))
        for path, facts in known.items():
            verdict = judge.judge(facts.library_uses, reach[path])
            yield from ((path, finding) for finding in verdict.findings)
            yield from ((path, reason) for _line, reason, _is_executed in verdict.undecided)
            if facts.evaluated:
                has_backport = self._provided.declares(BACKPORT)
                types = judge_types(facts.evaluated, reach[path], version, has_backport=has_backport)
                yield from ((path, finding) for finding in types.findings)
                yield from ((path, reason) for _line, reason, _is_executed in types.undecided)

    def _answers(self, facts: Iterable[ModuleFacts]) -> dict[str, LibraryAnswer]:
        return _ask_library(questions_of(row for of_file in facts for row in of_file.library_uses))

    def _declarations(self) -> Iterator[tuple[str, str]]:
        for path in self._sources.paths:
            data = self._sources.read(path) if DECLARES.search(path) else None
            if data is not None:
                yield path, data.decode("utf-8", "replace")


def _ask_library(questions: set[Question]) -> dict[str, LibraryAnswer]:
    return AnswerJudge(sys.version_info[1], sys.platform, is_image=False).answer(questions, _ask)


def _ask(questions: list[Question]) -> Mapping[str, LibraryReply]:
    import json

    data = json.dumps([[module, sorted(names)] for module, names in questions]).encode("ascii")
    return replies_from(answer_questions(data))


def _build_finding(path: str, finding: Finding) -> BuildFinding:
    return BuildFinding(finding.code, path, finding.range.line or 0, finding.range.column or 0, finding.message)
