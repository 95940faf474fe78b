"""Plans of repair, made in children under limits: libcst can take minutes over a few bytes, or end its process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from buildguard.diagnostic import Edit, Finding, Range, Severity
from buildguard.errors import UnprovenError
from buildguard.project.source_text import decoded
from buildguard.system import process
from buildguard.system.json_workers import Dialogue, Lost

SEPARATE = "separate the data from the f-string: bind what the field computes to a name before the statement"
_MEMORY = 4 << 30
_SECONDS = 20
_PER_SECOND = 20_000  # characters of a source full of f-strings, on a slow machine
_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from buildguard.fstrings.planner_process import main; main()"


class Patient(NamedTuple):
    """A decoded source, the target 3.`minor`, and the f-strings to repair there by their place; none means all."""

    text: str
    minor: int
    only: tuple[Range, ...] = ()


class Repair(NamedTuple):
    """What repairs the f-string at `within`: edits, and the kind of each change; or why nothing does, and a note."""

    within: Range
    edits: tuple[Edit, ...]
    reason: str
    note: str


class Operation(NamedTuple):
    """The repairs of one source, its text after all of them, and the names that this binds to constants.

    `lost` says why there is no plan at all.
    """

    repairs: tuple[Repair, ...] = ()
    after: str = ""
    names: tuple[str, ...] = ()
    lost: str = ""


class Refused(Protocol):
    """A source, and what the rules say of it."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    @property
    def ruled(self) -> tuple[Finding, ...]:
        """What the rules found in it."""


def with_edits(refused: Sequence[Refused], minor: int) -> Iterator[tuple[tuple[Finding, ...], bool]]:
    """The findings of the rules in some sources, each with the edits that repair it, or with why there are none.

    False beside them where no plan was made, which says nothing of the source.
    """
    patients = [Patient(decoded(one.data) or "", minor) for one in refused]
    for one, operation in zip(refused, operations(patients), strict=True):
        repairs = {repair.within: repair for repair in operation.repairs}
        ruled = (_with_edits(found, repairs.get(found.within or Range()), operation.lost) for found in one.ruled)
        yield tuple(ruled), not operation.lost


def _with_edits(found: Finding, repair: Repair | None, lost: str) -> Finding:
    if found.severity is Severity.WARNING:
        return found
    if repair is None:
        return found._replace(hint=f"{found.hint}; no repair was planned: {lost}") if lost else found
    if repair.edits:
        note = f" ({repair.note})" if repair.note else ""
        return found._replace(hint=f"{found.hint}; `buildguard fix` does it{note}", edits=repair.edits)
    return found._replace(hint=f"{found.hint}; {SEPARATE} ({repair.reason})")


def operations(patients: Sequence[Patient]) -> Iterator[Operation]:
    """How to repair each of some sources, in their order."""
    path = [folder for folder in sys.path if os.path.isabs(folder)]
    jobs = min(process.cores(), len(patients))
    dialogue = Dialogue([sys.executable, "-P", "-B", "-c", _MAIN, json.dumps(path)], jobs)
    done = 0
    try:
        for answer in dialogue.ask(patients):
            yield Operation(lost=answer.reason) if isinstance(answer, Lost) else _operation(answer)
            done += 1
    except UnprovenError as error:  # a repair that nobody could plan takes nothing from what was found
        yield from [Operation(lost=error.what)] * (len(patients) - done)
    finally:
        dialogue.close()


def _operation(answer: dict[str, Any]) -> Operation:
    repairs = (
        Repair(
            Range(*one["within"]),
            tuple(Edit(Range(*where), text) for where, text in one["edits"]),
            one["reason"],
            one["note"],
        )
        for one in answer["repairs"]
    )
    return Operation(tuple(repairs), answer["after"], tuple(answer["names"]))


def main() -> None:
    """The child: a patient a line in, an operation a line out."""
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_AS", _MEMORY)
    sys.setrecursionlimit(5000)
    for line in sys.stdin.buffer:
        _limit("RLIMIT_CPU", int(sum(os.times()[:2])) + _SECONDS + len(line) // _PER_SECOND)
        text, minor, only = json.loads(line)
        patient = Patient(text, minor, tuple(Range(*where) for where in only))
        sys.stdout.write(json.dumps(_planned(patient)) + "\n")
        sys.stdout.flush()


def _planned(patient: Patient) -> dict[str, Any]:
    from buildguard.fstrings.fix_plan import plan
    from buildguard.fstrings.libcst_check import doubt
    from buildguard.fstrings.rules import Lines

    lines = Lines(patient.text)
    made = plan(patient.text, patient.minor, doubt, patient.only)
    repairs = [
        {
            "within": fix.judged.range,
            "edits": [(lines.range(edit.start, edit.end), edit.text) for edit in fix.edits],
            "reason": fix.reason,
            "note": fix.note,
        }
        for fix in made.fixes
    ]
    return {"repairs": repairs, "after": made.after, "names": made.lifted}


def _limit(which: str, wanted: int) -> None:
    try:
        import resource

        kind = getattr(resource, which)
        _soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # macOS refuses some of them
