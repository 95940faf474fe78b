"""`# buildguard: ignore[BG205]`: the comments that silence a finding on their line. Pure."""

from __future__ import annotations

from buildguard.check.merge import MARK
from buildguard.codes import SourceMark
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Finding, Severity
from buildguard.fstrings.statements import comments
from buildguard.project import source_text

_COMMENT = lazy_pattern(r"\#\s*buildguard:\s*ignore\b\s*(?:\[(?P<codes>[^\]]*)\])?")


def find_ignores(data: bytes) -> tuple[Finding, ...]:
    """The comments of a source that silence something; the message of each holds its codes, separated by blanks."""
    if MARK not in data:
        return ()
    from buildguard.fstrings.rules import LineIndex

    text = source_text.decode_source(data)
    if text is None:
        return ()
    lines = LineIndex(text)
    ignore_findings = []
    for start, end in comments(text):
        match = _COMMENT.search(text, start, end)
        if match is not None:
            codes = " ".join(code.strip() for code in (match["codes"] or "").split(",")).strip()
            ignore_findings.append(
                Finding(SourceMark.IGNORE, lines.range(match.start(), match.end()), codes, severity=Severity.WARNING)
            )
    return tuple(ignore_findings)
