"""The result as GitLab's code quality report (artifacts:reports:codequality), for the widget of a merge request."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from buildguard.check.fingerprint import fingerprints
from buildguard.check.result import CheckReport
from buildguard.cli.render.check_text import evidence, pythons
from buildguard.diagnostic import Diagnostic, Severity, Unproven, escape_text

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor"}
_UNPROVEN = "unproven"


def render(report: CheckReport) -> str:
    """An array of all findings; what is unproven is one of them, so that an empty array is clean."""
    marks = fingerprints(report.reported)
    issues = [
        *(_finding(report, diagnostic, mark) for diagnostic, mark in zip(report.reported, marks, strict=True)),
        *(_unproven(report, item) for item in report.reported_unproven),
    ]
    return json.dumps(issues, indent=2, ensure_ascii=True) + "\n"


def _finding(report: CheckReport, diagnostic: Diagnostic, mark: str) -> dict[str, Any]:
    parts = (f"{diagnostic.message}{pythons(diagnostic)}", evidence(diagnostic), diagnostic.hint)
    return {
        "check_name": diagnostic.code,
        "description": "; ".join(escape_text(part) for part in parts if part),
        "severity": _SEVERITIES[diagnostic.severity],
        "fingerprint": mark,
        "location": _location(report, diagnostic.path, diagnostic.range.line, diagnostic.target),
    }


def _unproven(report: CheckReport, item: Unproven) -> dict[str, Any]:
    text = "\0".join((_UNPROVEN, item.path or "", item.target or "", item.reason))
    return {
        "check_name": _UNPROVEN,
        "description": f"unproven: {escape_text(item.reason)}",
        "severity": "major",
        "fingerprint": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32],
        "location": _location(report, item.path, None, item.target),
    }


def _location(report: CheckReport, path: str | None, line: int | None, target: str | None) -> dict[str, Any]:
    """A finding about the whole project is placed where its target is declared: GitLab requires a path."""
    if path is None:
        declared = (row.found_in for row in report.targets if target in {None, row.python})
        match = next(filter(None, (re.fullmatch(r"(.+):(\d+)", place) for place in declared)), None)
        path, line = (match[1], int(match[2])) if match else (".", None)
    return {"path": escape_text(path), "lines": {"begin": line or 1}}
