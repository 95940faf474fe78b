"""How often an answer about the standard library was wrong: each import that a standard library holds, executed.

`python -m tests.trust.imports` prints the counts for each Python of this machine. Statements come from the sources of all
standard libraries at hand, so that each Python meets those of the others too. Each is executed in a child under `-I -S`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from buildguard.engines.engine import ReadyEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.imports import standard_names
from buildguard.imports.library import StandardLibrary
from buildguard.imports.library_answers import Availability, LibraryAnswer
from buildguard.imports.records import ImportForm, ImportStatement, extract
from buildguard.project.target import PythonVersion
from buildguard.remote.library_query import LIVELY
from buildguard.system.cache import Cache
from tests.conftest import VERSIONS, interpreter

# Executes statements one after another, each in a child of its own, and tells of each whether it raised.
_EXECUTE = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
answers = []
for statement in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2): os.dup2(nowhere, stream)
            exec(statement, {"__name__": "x"})
        except BaseException: os._exit(1)
        os._exit(0)
    answers.append(os.waitpid(child, 0)[1])
json.dump(answers, sys.stdout)
"""
_SKIPPED = ("site-packages", "lib2to3/tests", "test/", "/tests/", "idlelib/idle_test")


class TruthCount(NamedTuple):
    """Statements that were executed, those that raised, those left undecided, and those that the answer was wrong about."""

    executed: int
    raised: int
    undecided: int
    wrong: tuple[str, ...]


def statements_of(versions: Sequence[str], every: int = 1) -> list[ImportStatement]:
    """The distinct imports of the standard library in the sources of some Pythons; of each `every` nth file."""
    distinct: dict[tuple[str, tuple[str, ...]], ImportStatement] = {}
    for version in versions:
        for file in _sources(version)[::every]:
            facts = extract(file.read_bytes(), (3, int(version.partition(".")[2])))
            for row in facts.imports if facts is not None else ():
                if not row.level and row.form is not ImportForm.CALL and _is_asked(row):
                    for name in row.names or ("",):
                        one = row._replace(names=(name,) if name else ())
                        distinct.setdefault((one.module, one.names), one)
    return [distinct[key] for key in sorted(distinct)]


def _sources(version: str) -> list[Path]:
    code = "import os; print(os.path.dirname(os.__file__))"
    done = subprocess.run([interpreter(version), "-I", "-S", "-c", code], capture_output=True, check=True)
    root = Path(done.stdout.decode().strip())
    return sorted(file for file in root.rglob("*.py") if not any(part in str(file) for part in _SKIPPED))


def _is_asked(row: ImportStatement) -> bool:
    if any(row.module == name or row.module.startswith(f"{name}.") for name in LIVELY):
        return False
    return standard_names.is_standard(row.module.partition(".")[0])


def count(version: str, rows: Sequence[ImportStatement]) -> TruthCount:
    """What one Python does with some imports, and what was answered for it."""
    engine = InterpreterEngine(PythonVersion(int(version.partition(".")[2])), Path("/nowhere"), 1)
    try:
        ready = engine.prepare()
        assert isinstance(ready, ReadyEngine)
        names: dict[str, set[str]] = {}
        for row in rows:
            names.setdefault(row.module, set()).update(name for name in row.names if name != "*")
        library = StandardLibrary(engine, ready, Cache(None))
        answers = library.ask([(module, frozenset(asked)) for module, asked in names.items()])
    finally:
        engine.close()
    statuses = _execute(version, [_written(row) for row in rows])
    verdicts = [_answer(answers[row.module], row) for row in rows]
    wrong = [
        f"{_written(row)}: {verdict}"
        for row, verdict, status in zip(rows, verdicts, statuses, strict=True)
        if verdict is not Availability.UNDECIDED and (verdict is Availability.PRESENT) != (status == 0)
    ]
    undecided = sum(verdict is Availability.UNDECIDED for verdict in verdicts)
    return TruthCount(len(rows), sum(map(bool, statuses)), undecided, tuple(wrong))


def _execute(version: str, texts: Sequence[str]) -> list[int]:
    done = subprocess.run(
        [interpreter(version), "-I", "-S", "-c", _EXECUTE],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
        cwd="/",
        env={"LC_ALL": "C"},
    )
    statuses: list[int] = json.loads(done.stdout)
    return statuses


def _written(row: ImportStatement) -> str:
    return f"from {row.module} import {row.names[0]}" if row.names else f"import {row.module}"


def _answer(answer: LibraryAnswer, row: ImportStatement) -> Availability:
    if answer.module is not Availability.PRESENT or row.names in {(), ("*",)}:
        return answer.module
    return answer.names[row.names[0]]


def main(versions: Iterable[str] = VERSIONS) -> int:
    """Print the counts of each Python; the number of wrong answers."""
    rows = statements_of(VERSIONS)
    wrong = 0
    for version in versions:
        counted = count(version, rows)
        wrong += len(counted.wrong)
        print(f"{version}: {counted.executed} executed, {counted.raised} raised, {counted.undecided} undecided")
        print("".join(f"  WRONG {line}\n" for line in counted.wrong), end="")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main()))
