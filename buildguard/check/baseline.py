"""A baseline: the known findings of old code, by fingerprint. It never covers BG1xx, BG3xx or what the target rejects."""

from __future__ import annotations

import json

from buildguard.check.fingerprint import fingerprints
from buildguard.check.result import CheckReport
from buildguard.codes import RULE_ERRORS, can_be_silenced
from buildguard.diagnostic import Diagnostic, count
from buildguard.errors import UsageError

DEFAULT_FILE = "buildguard-baseline.json"


def can_be_known(diagnostic: Diagnostic) -> bool:
    """Whether a baseline may cover a finding: a file that the target rejects stays a finding."""
    return can_be_silenced(diagnostic.code) and diagnostic.code not in RULE_ERRORS


def to_text(report: CheckReport) -> str:
    """The baseline of a report, as JSON that is easy to review."""
    rows = [
        {"fingerprint": mark, "code": diagnostic.code, "path": diagnostic.path}
        for diagnostic, mark in zip(report.diagnostics, fingerprints(report.diagnostics), strict=True)
        if can_be_known(diagnostic)
    ]
    return json.dumps({"schema": 1, "findings": rows}, indent=1) + "\n"


def parse(data: bytes, name: str) -> frozenset[str]:
    """The fingerprints of a baseline; raises UsageError for any other file."""
    try:
        return frozenset(str(row["fingerprint"]) for row in json.loads(data)["findings"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{name} is no baseline", hint="buildguard check --write-baseline") from error


def apply(report: CheckReport, known: frozenset[str], name: str) -> CheckReport:
    """The report without its known findings, and a note that counts them."""
    kept = [
        diagnostic
        for diagnostic, mark in zip(report.diagnostics, fingerprints(report.diagnostics), strict=True)
        if mark not in known or not can_be_known(diagnostic)
    ]
    left_out = len(report.diagnostics) - len(kept)
    notes = (f"not shown: {count(left_out, 'known finding')} of the baseline {name}",) if left_out else ()
    hidden = report.hidden + left_out
    return report._replace(diagnostics=tuple(kept), notes=(*report.notes, *notes), hidden=hidden)
