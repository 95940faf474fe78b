"""`python -m bench.diagnose`: ask `diagnose` about every labelled log, and rewrite its part of docs/trust.md.

Each log is one of: right (an accepted cause with its place), unplaced (without it), unknown, wrong, and healthy though it failed. It
ends with status 1 where one was called healthy, or more than 3 % were wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from pathlib import Path
from typing import NamedTuple

from tests.diagnose.labelled import (
    CASES,
    HEALTHY,
    OWN_CASES,
    RIGHT,
    UNKNOWN,
    UNPLACED,
    WRONG,
    LabelledLog,
    answer,
    grade,
    make_repository,
    read_cases,
)

_PAGE = Path(__file__).parents[1] / "docs/trust.md"
_BEGIN, _END = "<!-- diagnose -->\n", "<!-- end of diagnose -->\n"
_MOST_WRONG = 0.03
_Z = 1.96  # of a normal distribution, for 95 %
_GRADES = {
    RIGHT: "right, with the place",
    UNPLACED: "right, without the place",
    UNKNOWN: "unknown",
    WRONG: "wrong",
    HEALTHY: "healthy, though it failed",
}
# What was answered for the held-out logs when they were first asked about; never counted again.
_FIRST_SIGHT = {RIGHT: 85, UNPLACED: 0, UNKNOWN: 6, WRONG: 1, HEALTHY: 0}


class GradedLog(NamedTuple):
    """A log's file, its label, what was answered, and how that compares."""

    file: str
    expected: str
    cause: str
    grade: str
    id: str


def main() -> None:
    """Grade every log, print the confusion matrix, and write the rates."""
    files = [CASES, *sorted(OWN_CASES.glob("*.jsonl"))]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        graded = list(pool.map(grade_log, [(file, case) for file in files for case in read_cases(file)], chunksize=8))
    text = report(graded)
    print(text)
    for log in graded:
        if log.grade in {WRONG, HEALTHY}:
            print(f"{log.grade} {log.file} {log.id}: {log.cause}, not {log.expected}")
    before = _PAGE.read_text("utf-8")
    page, others = before.partition(_BEGIN)[0].rstrip("\n"), before.partition(_END)[2]
    _PAGE.write_text(f"{page}\n\n{_BEGIN}{text}{_END}{others}", "utf-8")
    counts = Counter(log.grade for log in graded)
    sys.exit(1 if counts[HEALTHY] or counts[WRONG] > _MOST_WRONG * len(graded) else 0)


def grade_log(task: tuple[Path, LabelledLog]) -> GradedLog:
    """The grade of one log, asked in a repository of its own."""
    file, case = task
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BUILDGUARD_CACHE_DIR"] = f"{folder}/cache"
        root = Path(folder) / case.id
        make_repository(case, root)
        diagnosis = answer(case, root)
    # where several causes are accepted, the one that was answered stands for all
    label = diagnosis.cause if diagnosis.cause in case.expected else case.expected[0]
    return GradedLog(file.stem, label, diagnosis.cause, grade(case, diagnosis), case.id)


def wilson(count: int, tries: int) -> tuple[float, float]:
    """The interval that holds the true rate with 95 % confidence."""
    if not tries:
        return 0.0, 1.0
    rate, weight = count / tries, _Z**2 / tries
    middle, half = rate + weight / 2, _Z * sqrt(rate * (1 - rate) / tries + weight / (4 * tries))
    return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))


def report(graded: Sequence[GradedLog]) -> str:
    """The section of the page: the logs that the rules were fitted to, the rate on those they had never seen, and the matrix."""
    unseen = sum(_FIRST_SIGHT.values())
    lines = [
        "## What `diagnose` answers",
        "",
        f"`python -m bench.diagnose` asks about {len(graded)} labelled failure logs, most of programs and tools that were made to fail, and writes this section.",
        "",
        f"The rate to expect is that of {unseen} logs (`tests/cases/logs/held-out.jsonl`) that were labelled first and asked about once, when the rules stood:",
        "those answers are recorded here as they were, with Wilson's intervals (95 %). Their author also wrote the rules. The rules have been corrected",
        "with all logs since, those included, so the other column shows that no rule broke, and is no rate.",
        "",
        f"| answer | {unseen} held-out logs, at first sight | interval | all {len(graded)} logs, after corrections |",
        "|---|---|---|---|",
        *(_rate_row(name, grade, graded) for grade, name in _GRADES.items()),
        "",
        "Each row is a label, and what is answered for it now:",
        "",
        *_matrix(graded),
        "",
    ]
    return "\n".join(lines)


def _rate_row(name: str, grade: str, graded: Sequence[GradedLog]) -> str:
    count, tries = _FIRST_SIGHT[grade], sum(_FIRST_SIGHT.values())
    low, high = wilson(count, tries)
    now = sum(log.grade == grade for log in graded)
    return f"| {name} | {count} ({100 * count / tries:.1f} %) | {100 * low:.1f} to {100 * high:.1f} % | {now} |"


def _matrix(graded: Iterable[GradedLog]) -> list[str]:
    """The confusion matrix, a label a row; right answers are counted, the others are named."""
    rows: dict[str, Counter[str]] = {}
    for log in graded:
        rows.setdefault(log.expected, Counter())[log.cause] += 1
    lines = ["| label | logs | right | other answers |", "|---|---|---|---|"]
    for label, answers in sorted(rows.items()):
        others = ", ".join(f"{cause} {count}" for cause, count in answers.most_common() if cause != label)
        lines.append(f"| {label} | {answers.total()} | {answers[label]} | {others or 'none'} |")
    return lines


if __name__ == "__main__":
    main()
