"""The result as workflow commands of GitHub Actions, which show up beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.check.result import Report
from buildguard.cli.render.check_text import evidence, summary
from buildguard.diagnostic import Diagnostic, shown


def render(report: Report) -> str:
    """One annotation for each diagnostic and each thing unproven, then the summary for the log."""
    lines = [_annotation(one) for one in report.diagnostics]
    for unproven in report.unproven:
        where = {"file": unproven.path, "title": "buildguard: unproven"}
        lines.append(_command("error", where, unproven.reason))
    return "\n".join([*lines, summary(report), ""])


def _annotation(one: Diagnostic) -> str:
    where = {
        "file": one.path,
        "line": one.range.line,
        "endLine": one.range.end_line,
        "col": one.range.column,
        "endColumn": one.range.end_column if one.range.end_line == one.range.line else None,
        "title": f"buildguard {one.code} (Python {', '.join(one.shared)})",
    }
    return _command(str(one.severity), where, "\n".join(filter(None, (one.message, evidence(one), one.hint))))


def _command(name: str, properties: Mapping[str, object], message: str) -> str:
    pairs = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    text = "\n".join(shown(line) for line in message.split("\n"))
    return f"::{name} {pairs}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shown(text)).replace(":", "%3A").replace(",", "%2C")
