"""The result as SARIF 2.1.0 (OASIS), for code scanning services."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from buildguard import __version__
from buildguard.check.fingerprint import fingerprints
from buildguard.check.result import CheckReport
from buildguard.cli.render.check_text import evidence
from buildguard.codes import DOCUMENTATION_URL, Code, meaning, page
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Diagnostic, Range

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "SRCROOT"
_ESCAPED = lazy_pattern(rb"\\x([89a-f][0-9a-f])")
_FINGERPRINT = "buildguard/v1"


def render(report: CheckReport) -> str:
    """The report as one SARIF log with one run; what is unproven makes the run unsuccessful."""
    codes = sorted({diagnostic.code for diagnostic in report.diagnostics})
    marks = fingerprints(report.diagnostics)
    run = {
        "tool": {"driver": _driver(codes)},
        "automationDetails": {"id": _category(report)},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "the root folder of the repository"}}},
        "invocations": [_invocation(report)],
        "results": [
            _result(diagnostic, codes) | {"partialFingerprints": {_FINGERPRINT: mark}}
            for diagnostic, mark in zip(report.diagnostics, marks, strict=True)
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(codes: list[Code]) -> dict[str, Any]:
    driver: dict[str, Any] = {"name": "buildguard", "semanticVersion": __version__, "version": __version__}
    if DOCUMENTATION_URL:
        driver["informationUri"] = DOCUMENTATION_URL
    return driver | {"rules": [_rule(code) for code in codes]}


def _category(report: CheckReport) -> str:
    """What code scanning compares with the previous run: the same targets."""
    return "/".join(["buildguard", *sorted({f"python-{row.python}" for row in report.targets}), ""])


def _rule(code: Code) -> dict[str, Any]:
    text = page(code)
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": code.summary},
        "fullDescription": {"text": meaning(code)},
        "help": {"text": text, "markdown": text},
    }
    if DOCUMENTATION_URL:
        rule["helpUri"] = f"{DOCUMENTATION_URL}/reference/codes/#{code.lower()}"
    return rule


def _invocation(report: CheckReport) -> dict[str, Any]:
    notifications = []
    for item in report.counted_unproven:
        notification: dict[str, Any] = {"level": "error", "message": {"text": item.reason}}
        if item.path is not None:
            notification["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(item.path)}}]
        notifications.append(notification)
    return {
        "executionSuccessful": not report.counted_unproven,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": notifications,
    }


def _result(diagnostic: Diagnostic, codes: list[Code]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": str(diagnostic.severity),
        "message": {"text": "\n\n".join(filter(None, (diagnostic.message, evidence(diagnostic), diagnostic.hint)))},
        "properties": {"target": diagnostic.target, "targets": list(diagnostic.shared), "engine": diagnostic.engine},
    }
    if diagnostic.path is not None:
        location: dict[str, Any] = {"artifactLocation": _artifact(diagnostic.path)}
        if diagnostic.range.line is not None:
            location["region"] = _region(diagnostic.range)
        result["locations"] = [{"physicalLocation": location}]
        if diagnostic.edits:
            result["fixes"] = [_fix(diagnostic)]
    return result


def _fix(diagnostic: Diagnostic) -> dict[str, Any]:
    """All edits of one repair; findings in the same f-string have the same."""
    assert diagnostic.path is not None
    replacements = [
        {"deletedRegion": _region(edit.range), "insertedContent": {"text": edit.text}} for edit in diagnostic.edits
    ]
    return {
        "description": {"text": "the same, written so that every Python accepts it"},
        "artifactChanges": [{"artifactLocation": _artifact(diagnostic.path), "replacements": replacements}],
    }


def _region(where: Range) -> dict[str, int]:
    names = ("startLine", "startColumn", "endLine", "endColumn")
    return {name: value for name, value in zip(names, where, strict=True) if value is not None}


def _artifact(path: str) -> dict[str, str]:
    return {"uri": quote(_bytes_of(path)), "uriBaseId": _ROOT}


def _bytes_of(path: str) -> bytes:
    r"""A path as the disk has it; reports write `\xNN` for a byte that is not UTF-8."""
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), path.encode("utf-8", "surrogateescape"))
