"""Whether the imports of a target's sources can be satisfied there: from facts and answers to findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from buildguard.check.compile_files import FileVerdict
from buildguard.check.context import Job
from buildguard.check.import_results import ImportSubject, TargetImports
from buildguard.check.merge import diagnostic_of
from buildguard.check.shared_imports import SharedProjectImports
from buildguard.codes import RULE_ERRORS, Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, display_path
from buildguard.errors import UnprovenError
from buildguard.imports.declared import DECLARES, ProvidedModules, may_declare
from buildguard.imports.library import StandardLibrary
from buildguard.imports.library_answers import LibraryAnswer
from buildguard.imports.program import is_test, last_word, words_of_imports
from buildguard.imports.records import (
    FileReach,
    ModuleFacts,
    ProjectImports,
    UndecidedImport,
    extract,
    facts_from,
    patched_names,
)
from buildguard.imports.standard_imports import ImportJudge, ImportVerdict, questions_of

_MANY = 500  # files: with fewer, the interpreter answers sooner than a thread starts
_REFUSALS = frozenset({Code.BG101, *RULE_ERRORS})
_UNREAD = "the imports of the file could not be read"


class ImportCheck:
    """The imports of one target's sources, judged with the engine that compiled them."""

    def __init__(self, job: Job, subject: ImportSubject) -> None:
        self._job = job
        self._stage = job.place.stage
        self._subject = subject
        self._target = subject.target
        self._library = StandardLibrary(subject.engine, subject.ready, subject.judge.cache)
        self._provided = ProvidedModules(self._declarations, subject.sources)
        self._without_imports: set[str] = set()  # of the files that do not compile

    def run(self) -> TargetImports:
        """Judge the imports of every source that compiles. Raises UnprovenError where an answer cannot be read."""
        read = self._subject.sources
        try:
            facts = self._decided(self._first_facts(read))
            project, answers = self._project_and_answers(facts)
            while tests := {path: read[path] for path in project.reach if path in read and path not in facts}:
                facts.update(self._decided(self._facts(tests)))
                project, answers = self._project_and_answers(facts)
            return self._judge(read, facts, project, answers)
        except ValueError as error:
            raise UnprovenError(f"the imports could not be read: {error}") from error

    def _first_facts(self, read: Mapping[str, FileVerdict]) -> dict[str, ModuleFacts | None]:
        """The facts of all sources but tests, and of those tests that another module may import."""
        facts = self._facts({path: verdict for path, verdict in read.items() if not is_test(path)})
        tests = {path: last_word(path) for path in read.keys() - facts.keys()}
        words: set[str] = set()
        latest = facts
        while latest and tests:
            words |= words_of_imports(latest.values())
            wanted = [path for path, word in tests.items() if word in words]
            latest = self._facts({path: read[path] for path in wanted}) if wanted else {}
            facts.update(latest)
            tests = {path: word for path, word in tests.items() if path not in facts}
        return facts

    def _decided(self, facts: dict[str, ModuleFacts | None]) -> dict[str, ModuleFacts | None]:
        """The same facts, where an import counts as unguarded in a handler that surely runs."""
        if not any(rows is not None and rows.handlers for rows in facts.values()):
            return facts
        from buildguard.imports.handlers import decide_handlers

        return decide_handlers(facts, self._library.ask, self._provided.brings)

    def _project_and_answers(
        self, facts: Mapping[str, ModuleFacts | None]
    ) -> tuple[ProjectImports, Mapping[str, LibraryAnswer]]:
        """What the project's own files show, and what the interpreter says of its library; of many files at the same time."""
        uses = (row for rows in facts.values() if rows is not None for row in rows.library_uses)
        questions = questions_of(uses)
        if len(facts) < _MANY:
            return self._of_project(facts), self._library.ask(questions)
        from buildguard.system import threads

        return threads.run_both(partial(self._of_project, facts), partial(self._library.ask, questions))

    def _of_project(self, facts: Mapping[str, ModuleFacts | None]) -> ProjectImports:
        shared = self._job.project_imports or SharedProjectImports()
        return shared.judge(self._job, self._target, facts)

    def _facts(self, read: Mapping[str, FileVerdict]) -> dict[str, ModuleFacts | None]:
        def contents(digests: set[bytes]) -> Iterator[bytes]:
            entries = {verdict.digest: verdict.entry for verdict in read.values() if verdict.digest in digests}
            for _entry, content in self._stage.contents(entries.values()):
                if isinstance(content, bytes):
                    yield content

        digests = (verdict.digest for verdict in read.values())
        rows = self._subject.judge.facts.of(digests, contents, self._subject.engine.compile)
        by_digest = {digest: facts_from(data) for digest, data in rows.items()}
        facts = {path: by_digest[verdict.digest] for path, verdict in read.items()}
        refused = {path: read[path] for path, known in facts.items() if known is None and _is_refused(read[path])}
        return {**facts, **self._facts_of_refused(refused)} if refused else facts

    def _facts_of_refused(self, refused: Mapping[str, FileVerdict]) -> dict[str, ModuleFacts | None]:
        """What sources import that the target cannot compile, and this Python can: repaired, they would fail there next."""
        paths = {verdict.entry: path for path, verdict in refused.items()}
        version = (3, self._library.minor)
        facts: dict[str, ModuleFacts | None] = {}
        for entry, data in self._stage.contents(paths):
            if isinstance(data, bytes):
                facts[paths[entry]] = extract(data, version)
                if b"import" not in data:
                    self._without_imports.add(paths[entry])
        return facts

    def _judge(
        self,
        read: Mapping[str, FileVerdict],
        facts: Mapping[str, ModuleFacts | None],
        project: ProjectImports,
        answers: Mapping[str, LibraryAnswer],
    ) -> TargetImports:
        reach = {path: how for path, how in project.reach.items() if path in facts}
        known = {path: rows for path, rows in facts.items() if path in reach and rows is not None}
        brings = self._provided.brings
        judge = ImportJudge(answers, f"3.{self._library.minor}", brings, patched_names(facts.values()))
        diagnostics = list(self._of_project_files(project, read))
        unread = reach.keys() - known.keys() - self._without_imports
        undecided = [UndecidedImport(path, 1, _UNREAD, reach[path].certain) for path in sorted(unread)]
        undecided += (item for item in project.undecided if item.path in known)
        for path, rows in known.items():
            verdicts = [judge.judge(rows.library_uses, reach[path])]
            if rows.evaluated:
                verdicts.append(self._types(rows, reach[path]))
            for verdict in filter(any, verdicts):  # of most files nothing is said
                diagnostics += self._diagnostics(read[path], path, verdict.findings)
                undecided += [UndecidedImport(path, *item) for item in verdict.undecided]
        refused = _reached_refusals(project.reach, read)
        executed = tuple(path for path in refused if project.reach[path].is_from_start)
        is_final = not self._library.is_lost
        return TargetImports(tuple(diagnostics), tuple(undecided), executed, tuple(refused), is_final=is_final)

    def _of_project_files(self, project: ProjectImports, read: Mapping[str, FileVerdict]) -> Iterator[Diagnostic]:
        """What was found in the imports of the project's own modules."""
        for path, findings in project.findings.items():
            if path in read:
                yield from self._diagnostics(read[path], path, findings)

    def _types(self, rows: ModuleFacts, reach: FileReach) -> ImportVerdict:
        from buildguard.imports.evaluated import BACKPORT, judge_types

        has_backport = self._provided.declares(BACKPORT)
        return judge_types(rows.evaluated, reach, f"3.{self._library.minor}", has_backport=has_backport)

    def _diagnostics(self, verdict: FileVerdict, path: str, findings: Sequence[Finding]) -> Iterator[Diagnostic]:
        if not findings:
            return
        from buildguard.project.source_text import excerpt_of

        ((_entry, content),) = self._stage.contents([verdict.entry])
        for finding in findings:
            excerpt = excerpt_of(content, finding.range.line) if isinstance(content, bytes) else ""
            yield diagnostic_of(finding._replace(excerpt=excerpt), DisplayPath(path), self._target.python, "rule")

    def _declarations(self) -> Iterator[tuple[str, str]]:
        named = ((entry, display_path(entry.path)) for entry in self._stage.entries())
        entries = [
            entry
            for entry, path in named
            if may_declare(path)
            and DECLARES.search(path)
            and (not entry.path.count(b"/") or self._target.covers(entry.path))
        ]
        for entry, content in self._stage.contents(entries):
            if isinstance(content, bytes):
                yield display_path(entry.path), content.decode("utf-8", "replace")


def _reached_refusals(reach: Mapping[str, FileReach], read: Mapping[str, FileVerdict]) -> list[str]:
    """The files that a start executes, or may, and that do not compile; without a start every one counts as executed."""
    reached = (path for path, how in reach.items() if (how.chain or how.certain) and path in read)
    return sorted(path for path in reached if _is_no_program(read[path]))


def _is_no_program(verdict: FileVerdict) -> bool:
    """Whether the target's compiler makes nothing of a source."""
    return any(finding.code in _REFUSALS or finding.code is Code.BG103 for finding in verdict.findings)


def _is_refused(verdict: FileVerdict) -> bool:
    """Whether the target's compiler refuses a source, and did not die of it."""
    codes = {finding.code for finding in verdict.findings}
    return Code.BG103 not in codes and not codes.isdisjoint(_REFUSALS)
