"""The proof of a repair: the targets compile what came out, and it means what went in.

Only an interpreter of 3.12 or later reads both texts: `remote/ast_compare.py` compares their syntax trees there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.engines.engine import Engine
from buildguard.engines.interpreter import greeting_of
from buildguard.engines.pool import source_of
from buildguard.errors import UnprovenError
from buildguard.remote import program
from buildguard.system import process
from buildguard.system.json_workers import JsonWorkers, LostAnswer
from buildguard.system.pythons import candidates

_READERS = ("3.15", "3.14", "3.13", "3.12")  # the newest first: what older releases printed was a fault in some cases
_AST_COMPARE = program("ast_compare.py")
_MEMORY = 4 << 30
_NOT_THIS_ONE = "rejects the file as it is"


class SourcePair(NamedTuple):
    """Two texts that should mean the same, and the names that the second one binds to constants."""

    before: str
    after: str
    names: tuple[str, ...]


class MeaningComparison(NamedTuple):
    """Which interpreter compared, and for each question why the meaning is in doubt; empty where it is the same."""

    interpreter: str
    doubts: tuple[str, ...]


def compare_meaning(questions: Sequence[SourcePair], root: Path) -> MeaningComparison:
    """Compare what the texts of each question mean. Raises UnprovenError if no interpreter here reads both."""
    doubts = [""] * len(questions)
    open_ones = list(range(len(questions)))
    used: list[str] = []
    with closing(_readers(root, min(process.cores(), len(questions)))) as readers:
        for name, executable, dialogue in readers:
            answers = _ask(dialogue, [questions[at] for at in open_ones])
            for at, answer in zip(open_ones, answers, strict=True):
                doubts[at] = answer
            used.append(_release(executable, name))
            # one release may not read what the next one does: 3.12.1 stumbles over legal format specs
            open_ones = [at for at in open_ones if _NOT_THIS_ONE in doubts[at]]
            if not open_ones:
                break
    if not used:
        raise UnprovenError(
            "no Python 3.12 or later on this machine, so equal meaning is unproven",
            hint="uv python install 3.13",
        )
    return MeaningComparison(" and ".join(f"Python {name}" for name in dict.fromkeys(used)), tuple(doubts))


def list_rejections(engine: Engine, sources: Sequence[bytes]) -> list[str]:
    """What an engine says against each source; empty where it accepts it. Raises UnprovenError where it is lost."""
    reasons = ["the engine gave no answer"] * len(sources)
    for outcome in engine.compile(iter([source_of(number, data) for number, data in enumerate(sources)])):
        rejected = outcome.rejected
        if outcome.unproven:
            reasons[outcome.number] = outcome.unproven
        elif rejected is not None:
            line = "" if rejected.range.line is None else f"line {rejected.range.line}: "
            reasons[outcome.number] = f"{line}{rejected.kind}: {rejected.message}"
        else:
            reasons[outcome.number] = ""
    return reasons


def _readers(root: Path, jobs: int) -> Generator[tuple[str, Path, JsonWorkers]]:
    """The interpreters that read both texts, the newest release of each version, newest first, ready for questions."""
    for version in _READERS:
        paths = [path for path, _where in candidates(version, root)]
        if len(paths) > 1:
            paths.sort(key=lambda path: _release_numbers(path, version), reverse=True)
        for path in paths:
            argv = [os.fspath(path), "-I", "-S", "-B", "-c", _AST_COMPARE.read_text("utf-8"), str(_MEMORY)]
            dialogue = JsonWorkers(argv, jobs)
            try:
                if _answers(dialogue):
                    yield version, path, dialogue
                    break
            finally:
                dialogue.close()


def _release_numbers(executable: Path, version: str) -> list[int]:
    """The numbers of a release, for comparison."""
    return [int(number) for number in re.findall(r"\d+", _release(executable, version))]


def _answers(dialogue: JsonWorkers) -> bool:
    same = SourcePair("x = f'{\"a\"}'\n", 'x = f"a"\n', ())
    other = same._replace(after="x = f'b'\n")
    # one at a time: one process answers both, and the first of the real questions
    return [bool(_ask(dialogue, [pair])[0]) for pair in (same, other)] == [False, True]


def _release(executable: Path, name: str) -> str:
    """The patch release of an interpreter, such as 3.13.1; its minor version if it does not answer."""
    try:
        return greeting_of(executable).version
    except UnprovenError:
        return name


def _ask(dialogue: JsonWorkers, questions: Sequence[SourcePair]) -> list[str]:
    try:
        return [
            answer.reason if isinstance(answer, LostAnswer) else str(answer)
            for answer in dialogue.ask([question._asdict() for question in questions])
        ]
    except UnprovenError as error:
        return [error.what] * len(questions)
