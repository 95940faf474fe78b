"""BG605: type expressions that the target evaluates at import and does not support. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from buildguard.codes import Code
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports.records import EvaluatedType, FileReach, Guard
from buildguard.imports.standard_imports import ImportVerdict

BACKPORT = "eval_type_backport"
_READ = "-read"
_SINCE = {"union": "3.10", "generic": "3.9"}
_UNDECIDED = "undecided-union"


def judge_types(rows: Iterable[EvaluatedType], reach: FileReach, version: str, *, has_backport: bool) -> ImportVerdict:
    """A finding for each expression; undecided is one of classes whose metaclass may give `|` a meaning.

    `has_backport` is whether what reads annotations understands newer ones.
    """
    counted = [row for row in rows if not (has_backport and row.kind.endswith(_READ))]
    return ImportVerdict(
        tuple(_finding(row, reach, version) for row in counted if not row.kind.startswith(_UNDECIDED)),
        tuple((row.line, _undecided(row), reach.certain) for row in counted if row.kind.startswith(_UNDECIDED)),
    )


def _undecided(row: EvaluatedType) -> str:
    return f"a metaclass may give {row.text} a meaning; without one it needs Python {_SINCE['union']}"


def _finding(row: EvaluatedType, reach: FileReach, version: str) -> Finding:
    kind = row.kind.removesuffix(_READ)
    chain = f" ({' → '.join(reach.chain)})" if len(reach.chain) > 1 else ""
    reader = ", and pydantic evaluates this annotation" if row.kind.endswith(_READ) else " at import"
    message = f"{row.text} raises TypeError on Python {version}{reader}: it needs Python {_SINCE[kind]}{chain}"
    certain = reach.certain and row.guard is Guard.NONE
    severity = Severity.ERROR if certain else Severity.WARNING
    return Finding(Code.BG605, Range(row.line, row.column), message, _hint(row, kind), severity=severity)


def _hint(row: EvaluatedType, kind: str) -> str:
    if row.kind.endswith(_READ):
        return "write Optional or Union from typing, or install eval_type_backport"
    if kind == "union":
        return "write Optional or Union from typing; in annotations `from __future__ import annotations` does as well"
    return "take the type from typing (List, Dict …); in annotations `from __future__ import annotations` does as well"
