"""The result as SARIF 2.1.0 (OASIS), for code scanning services."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from buildguard import __version__
from buildguard.check.result import Report
from buildguard.cli.render.check_text import evidence
from buildguard.codes import CODES, page
from buildguard.diagnostic import Diagnostic, Range

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report) -> str:
    """The report as one SARIF log with one run; what is unproven makes the run unsuccessful."""
    codes = sorted({one.code for one in report.diagnostics})
    run = {
        "tool": {"driver": {"name": "buildguard", "version": __version__, "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": [_result(one, codes) for one in report.diagnostics],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    text = page(code)
    return {
        "id": code,
        "shortDescription": {"text": CODES[code]},
        "help": {"text": text, "markdown": text},
    }


def _invocation(report: Report) -> dict[str, Any]:
    notifications = []
    for one in report.unproven:
        notification: dict[str, Any] = {"level": "error", "message": {"text": one.reason}}
        if one.path is not None:
            notification["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(one.path)}}]
        notifications.append(notification)
    return {
        "executionSuccessful": not report.unproven,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": notifications,
    }


def _result(one: Diagnostic, codes: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": codes.index(one.code),
        "level": str(one.severity),
        "message": {"text": "\n\n".join(filter(None, (one.message, evidence(one), one.hint)))},
        "properties": {"target": one.target, "targets": list(one.shared), "engine": one.engine},
    }
    if one.path is not None:
        location: dict[str, Any] = {"artifactLocation": _artifact(one.path)}
        if one.range.line is not None:
            location["region"] = _region(one.range)
        result["locations"] = [{"physicalLocation": location}]
        if one.edits:
            result["fixes"] = [_fix(one)]
    return result


def _fix(one: Diagnostic) -> dict[str, Any]:
    """All edits of one repair; findings in the same f-string have the same."""
    assert one.path is not None
    replacements = [
        {"deletedRegion": _region(edit.range), "insertedContent": {"text": edit.text}} for edit in one.edits
    ]
    return {
        "description": {"text": "the same, written so that every Python accepts it"},
        "artifactChanges": [{"artifactLocation": _artifact(one.path), "replacements": replacements}],
    }


def _region(where: Range) -> dict[str, int]:
    names = ("startLine", "startColumn", "endLine", "endColumn")
    return {name: value for name, value in zip(names, where, strict=True) if value is not None}


def _artifact(path: str) -> dict[str, str]:
    return {"uri": quote(path), "uriBaseId": "SRCROOT"}
