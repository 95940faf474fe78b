"""Imports in the handlers of a `try`: they run where the imports of its body fail, which the target's library decides. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from buildguard.imports.library_answers import Availability, LibraryAnswer, Question
from buildguard.imports.records import Guard, HandlerImport, ImportStatement, ModuleFacts, TryEnd
from buildguard.imports.standard_imports import questions_of


def decide_handlers(
    facts: Mapping[str, ModuleFacts | None],
    ask: Callable[[set[Question]], Mapping[str, LibraryAnswer]],
    brings: Callable[[str], str],
) -> dict[str, ModuleFacts | None]:
    """The facts of modules, where an import counts as unguarded in a handler that surely runs.

    `ask` answers for the target's library, and `brings` says why a module may come from elsewhere.
    """
    asked = {path: of_file for path, of_file in facts.items() if of_file is not None and of_file.handlers}
    if not asked:
        return dict(facts)
    rows = (row for of_file in asked.values() for row in _rows_of_tries(of_file))
    tries = _Tries(ask(questions_of(rows)), brings)
    return {**facts, **{path: tries.decide(of_file) for path, of_file in asked.items()}}


def _rows_of_tries(facts: ModuleFacts) -> Iterator[ImportStatement]:
    """The imports that decide whether a handler runs, as if nothing guarded them."""
    lines = {line for item in facts.handlers for _end, lines in item.tries for line in lines}
    return (row._replace(guard=Guard.NONE) for row in facts.imports if row.line in lines)


class _Tries:
    """Decides how the tries of modules end."""

    def __init__(self, answers: Mapping[str, LibraryAnswer], brings: Callable[[str], str]) -> None:
        self._answers = answers
        self._brings = brings

    def decide(self, facts: ModuleFacts) -> ModuleFacts:
        """The facts of one module, with the guard that an import has in a handler that runs."""
        running = {(item.line, item.column): item.guard for item in facts.handlers if self._runs(item, facts.imports)}
        imports = (row._replace(guard=running.get((row.line, row.column), row.guard)) for row in facts.imports)
        return facts._replace(imports=tuple(imports))

    def _runs(self, item: HandlerImport, imports: tuple[ImportStatement, ...]) -> bool:
        return all(self._ends(end, [row for row in imports if row.line in lines]) for end, lines in item.tries)

    def _ends(self, end: TryEnd, rows: list[ImportStatement]) -> bool:
        """Whether the imports of a `try` surely end so."""
        if end is TryEnd.WORKS:
            return all(set(self._states(row)) == {Availability.PRESENT} for row in rows)
        if end is TryEnd.LACKS:
            return any(self._states(row)[0] is Availability.MISSING for row in rows)
        return any(Availability.MISSING in self._states(row) for row in rows)

    def _states(self, row: ImportStatement) -> list[Availability]:
        """Whether the target has the module of an import, and each name that is taken from it."""
        states = _answered(row, self._answers.get(row.module))
        is_brought = Availability.MISSING in states and self._brings(row.module)
        return [Availability.UNDECIDED] if is_brought else states


def _answered(row: ImportStatement, answer: LibraryAnswer | None) -> list[Availability]:
    if answer is None or row.level:
        return [Availability.UNDECIDED]
    if answer.module is not Availability.PRESENT:
        return [answer.module]
    return [answer.module, *(answer.names.get(name, Availability.UNDECIDED) for name in row.names)]
