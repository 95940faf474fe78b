"""What breaks when the base moves: the findings of each file on several Pythons, side by side. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from buildguard.check.result import CheckReport
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Severity
from buildguard.errors import UsageError
from buildguard.project.proof_grade import ProofGrade


class RehearsedFile(NamedTuple):
    """The codes of a file's errors on each target that has some, and the lowest target that it works on.

    `unproven` are the targets on which it could not be examined; `lowest` is None where it works on no target for sure.
    """

    path: str
    codes: Mapping[str, tuple[str, ...]]
    unproven: tuple[str, ...]
    lowest: str | None


class Rehearsal(NamedTuple):
    """The targets from the oldest to the newest, the files that not all of them accept, and how many others there are.

    `predicted` are the targets that no interpreter of their version spoke for.
    """

    targets: tuple[str, ...]
    files: tuple[RehearsedFile, ...]
    others: int
    predicted: tuple[str, ...] = ()


def rehearse(report: CheckReport) -> Rehearsal:
    """The matrix of a report; raises UsageError where it has one target only."""
    targets = tuple(sorted({row.python for row in report.targets}, key=_order))
    if len(targets) < 2:  # noqa: PLR2004
        raise UsageError(
            "--rehearse compares several targets", hint="buildguard check --target 3.13 --target 3.14 --rehearse"
        )
    codes, unproven = _codes(report, targets), _unproven(report, targets)
    paths = sorted(codes.keys() | unproven.keys())
    files = tuple(_file(path, codes[path], unproven[path], targets) for path in paths)
    predicted = {row.python for row in report.targets if row.proof in {ProofGrade.PREDICTED, ProofGrade.NONE}}
    return Rehearsal(targets, files, report.files - len(files), tuple(name for name in targets if name in predicted))


def _codes(report: CheckReport, targets: Iterable[str]) -> Mapping[str, Mapping[str, list[str]]]:
    """The codes of the errors in each file, by target."""
    codes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for diagnostic in report.diagnostics:
        if diagnostic.severity is Severity.ERROR and diagnostic.path is not None:
            for target in diagnostic.shared or targets:
                codes[diagnostic.path][target].append(diagnostic.code)
    return codes


def _unproven(report: CheckReport, targets: Iterable[str]) -> Mapping[str, set[str]]:
    """The targets on which each file could not be examined."""
    unproven: dict[str, set[str]] = defaultdict(set)
    for item in report.unproven:
        if item.path is not None:
            unproven[item.path].update([item.target] if item.target is not None else targets)
    return unproven


def _file(path: str, codes: Mapping[str, list[str]], unproven: set[str], targets: Iterable[str]) -> RehearsedFile:
    kept = {target: tuple(sorted(set(codes[target]))) for target in targets if target in codes}
    open_targets = tuple(target for target in targets if target in unproven)
    lowest = next((target for target in targets if target not in kept and target not in unproven), None)
    return RehearsedFile(path, MappingProxyType(kept), open_targets, lowest)


def _order(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split(".") if part.isdigit())
