"""The result as workflow commands of GitHub Actions, which show up beside the lines of a pull request."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from buildguard.check.result import CheckReport
from buildguard.cli.render.check_text import evidence, summary
from buildguard.diagnostic import Diagnostic, escape_text


def render(report: CheckReport) -> str:
    """One annotation for each diagnostic and each thing unproven, then the summary for the log."""
    lines = [_annotation(diagnostic) for diagnostic in report.diagnostics]
    for unproven in report.counted_unproven:
        where = {"file": unproven.path, "title": "buildguard: unproven"}
        lines.append(command("error", where, unproven.reason))
    return "\n".join([*lines, ""]) + echoed(summary(report) + "\n")


def echoed(text: str) -> str:
    """A text for a log of GitHub Actions, which runs no workflow command that stands in it: source lines may contain one."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _annotation(diagnostic: Diagnostic) -> str:
    pythons = f" (Python {', '.join(diagnostic.shared)})" if diagnostic.shared else ""
    where = {
        "file": diagnostic.path,
        "line": diagnostic.range.line,
        "endLine": diagnostic.range.end_line,
        "col": diagnostic.range.column,
        "endColumn": diagnostic.range.end_column if diagnostic.range.end_line == diagnostic.range.line else None,
        "title": f"buildguard {diagnostic.code}{pythons}",
    }
    return command(
        str(diagnostic.severity),
        where,
        "\n".join(filter(None, (diagnostic.message, evidence(diagnostic), diagnostic.hint))),
    )


def command(name: str, properties: Mapping[str, object], message: str) -> str:
    """A workflow command; neither its values nor its message can hold another one."""
    pairs = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    text = "\n".join(escape_text(line) for line in message.split("\n"))
    return f"::{name} {pairs}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(escape_text(text)).replace(":", "%3A").replace(",", "%2C")
