"""Plans of repair, made in children under limits: libcst can take minutes over a few bytes, or end its process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Edit, Finding, Range, Severity
from buildguard.errors import UnprovenError
from buildguard.project.source_text import decode_source
from buildguard.system import process
from buildguard.system.json_workers import JsonWorkers, LostAnswer

SEPARATE = "separate the data from the f-string: bind what the field computes to a name before the statement"
_MEMORY = 4 << 30
_SECONDS = 20
_PER_SECOND = 20_000  # characters of a source full of f-strings, on a slow machine
_SHARE = 8, 40_000  # sources and characters for one child: most of its time is the import of libcst
_MAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from buildguard.fstrings.planner_process import main; main()"


class FixRequest(NamedTuple):
    """A decoded source, the target 3.`minor`, and the f-strings to repair there by their place; none means all."""

    text: str
    minor: int
    only: tuple[Range, ...] = ()


class FStringRepair(NamedTuple):
    """What repairs the f-string at `within`: edits, and the kind of each change; or why nothing does, and a note."""

    within: Range
    edits: tuple[Edit, ...]
    reason: str
    note: str


class FixPlan(NamedTuple):
    """The repairs of one source, its text after all of them, and the names that this binds to constants.

    `lost` says why there is no plan at all.
    """

    repairs: tuple[FStringRepair, ...] = ()
    after: str = ""
    names: tuple[str, ...] = ()
    lost: str = ""


class FixableSource(Protocol):
    """A source, and what the rules say of it."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    @property
    def rule_findings(self) -> tuple[Finding, ...]:
        """What the rules found in it."""


def with_edits(refused: Sequence[FixableSource], minor: int) -> Iterator[tuple[tuple[Finding, ...], bool]]:
    """The findings of the rules in some sources, each with the edits that repair it, or with why there are none.

    False beside them where no plan was made, which says nothing of the source.
    """
    patients = [FixRequest(decode_source(source.data) or "", minor) for source in refused]
    for source, operation in zip(refused, plan_fixes(patients), strict=True):
        repairs = {repair.within: repair for repair in operation.repairs}
        ruled = (
            _with_edits(finding, repairs.get(finding.within or Range()), operation.lost)
            for finding in source.rule_findings
        )
        yield tuple(ruled), not operation.lost


def _with_edits(finding: Finding, repair: FStringRepair | None, lost: str) -> Finding:
    if finding.severity is Severity.WARNING:
        return finding
    if repair is None:
        return finding._replace(hint=f"{finding.hint}; no repair was planned: {lost}") if lost else finding
    if repair.edits:
        note = f" ({repair.note})" if repair.note else ""
        return finding._replace(hint=f"{finding.hint}; `buildguard fix` does it{note}", edits=repair.edits)
    return finding._replace(hint=f"{finding.hint}; {SEPARATE} ({repair.reason})")


def plan_fixes(patients: Sequence[FixRequest]) -> Iterator[FixPlan]:
    """How to repair each of some sources, in their order."""
    path = [folder for folder in sys.path if os.path.isabs(folder)]
    dialogue = JsonWorkers([sys.executable, "-P", "-B", "-c", _MAIN, json.dumps(path)], job_count(patients))
    done = 0
    try:
        for answer in dialogue.ask(patients):
            yield FixPlan(lost=answer.reason) if isinstance(answer, LostAnswer) else _parse_plan(answer)
            done += 1
    except UnprovenError as error:  # a repair that could not be planned takes nothing from the findings
        yield from [FixPlan(lost=error.what)] * (len(patients) - done)
    finally:
        dialogue.close()


def job_count(patients: Sequence[FixRequest]) -> int:
    """How many children plan some repairs: a second one has to have enough to do for what its start costs."""
    sources, characters = _SHARE
    shares = max(-(-len(patients) // sources), sum(len(patient.text) for patient in patients) // characters)
    return max(1, min(process.cores(), len(patients), shares))


def _parse_plan(answer: dict[str, Any]) -> FixPlan:
    repairs = (
        FStringRepair(
            Range(*fields["within"]),
            tuple(Edit(Range(*where), text) for where, text in fields["edits"]),
            fields["reason"],
            fields["note"],
        )
        for fields in answer["repairs"]
    )
    return FixPlan(tuple(repairs), answer["after"], tuple(answer["names"]))


def main() -> None:
    """The child: a patient a line in, an operation a line out."""
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_AS", _MEMORY)
    sys.setrecursionlimit(5000)
    for line in sys.stdin.buffer:
        _limit("RLIMIT_CPU", int(sum(os.times()[:2])) + _SECONDS + len(line) // _PER_SECOND)
        text, minor, only = json.loads(line)
        patient = FixRequest(text, minor, tuple(Range(*where) for where in only))
        sys.stdout.write(json.dumps(_plan_one(patient)) + "\n")
        sys.stdout.flush()


def _plan_one(patient: FixRequest) -> dict[str, Any]:
    from buildguard.fstrings.fix_plan import plan_rewrite
    from buildguard.fstrings.libcst_check import find_doubt
    from buildguard.fstrings.rules import LineIndex

    lines = LineIndex(patient.text)
    rewrite = plan_rewrite(patient.text, patient.minor, find_doubt, patient.only)
    repairs = [
        {
            "within": fix.verdict.range,
            "edits": [(lines.range(edit.start, edit.end), edit.text) for edit in fix.edits],
            "reason": fix.reason,
            "note": fix.note,
        }
        for fix in rewrite.fixes
    ]
    return {"repairs": repairs, "after": rewrite.after, "names": rewrite.lifted}


def _limit(which: str, wanted: int) -> None:
    try:
        import resource

        kind = getattr(resource, which)
        _soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # macOS refuses some of them
