"""The result with one line for each finding, as editors and `grep` read it: `path:line:column: CODE message`."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.check.result import CheckReport
from buildguard.cli.render.check_text import pythons, shown_path, statistics, summary
from buildguard.cli.render.layout import Detail, TextLayout
from buildguard.diagnostic import Diagnostic, Severity, Unproven, escape_text


def render(report: CheckReport, layout: TextLayout) -> str:
    """Every finding, then everything unproven, then the summary; with `--statistics` a line for each code instead."""
    lines = [
        *(statistics(report) if layout.statistics else (_line(layout, item) for item in report.diagnostics)),
        *(_unproven(layout, item) for item in report.counted_unproven),
        *([] if layout.detail is Detail.QUIET else [summary(report)]),
    ]
    return "\n".join([*lines, ""]) if lines else ""


def _line(layout: TextLayout, diagnostic: Diagnostic) -> str:
    place = "".join(f"{part}:" for part in _place(layout, diagnostic))
    warning = " [warning]" if diagnostic.severity is Severity.WARNING else ""
    text = f"{diagnostic.code} {escape_text(diagnostic.message)}{pythons(diagnostic)}{warning}"
    return f"{place} {text}" if place else text


def _place(layout: TextLayout, diagnostic: Diagnostic) -> Iterator[str]:
    if diagnostic.path is None:
        return
    yield shown_path(layout, diagnostic.path)
    yield from (str(number) for number in diagnostic.range[:2] if number is not None)


def _unproven(layout: TextLayout, item: Unproven) -> str:
    place = "" if item.path is None else f"{shown_path(layout, item.path)}: "
    target = f" (Python {item.target})" if item.target else ""
    return f"{place}unproven: {escape_text(item.reason)}{target}"
