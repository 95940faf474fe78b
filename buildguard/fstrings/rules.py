"""BG201 to BG207: what a target refuses in the f-strings of a source, or warns of. Pure.

The *text* of each outermost f-string is judged, by the two passes that 3.8 to 3.11 really make; see `legacy`.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from buildguard.codes import RULE_ERRORS, Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.fstrings.parser import FString, OvernestedString, find_suspects
from buildguard.fstrings.violations import find_violations
from buildguard.project import source_text

_NEWLINE = lazy_pattern(r"\r\n|\r|\n")
_MESSAGES = {
    Code.BG201: "f-string reuses its own quote inside a replacement field",
    Code.BG202: "backslash inside a replacement field",
    Code.BG203: "comment inside a replacement field",
    Code.BG204: "line break inside a replacement field of a single-quoted f-string",
    Code.BG205: "nested f-string: legal here, and one edit away from breaking",
    Code.BG206: "nested deeper than the target allows",
    Code.BG207: "white space after a conversion",
}
_SINCE = "legal from 3.12 on (PEP 701)"
_HINTS = {
    Code.BG201: f"{_SINCE}: use the other kind of quotes inside",
    Code.BG202: f"{_SINCE}: bind the text to a name before the f-string",
    Code.BG203: f"{_SINCE}: move the comment above the statement",
    Code.BG204: f"{_SINCE}: write the field on one line",
    Code.BG205: "bind the inner string to a name before the f-string",
    Code.BG206: "build the inner text before the f-string",
    Code.BG207: f"{_SINCE}: remove it",
}


class FStringVerdict(NamedTuple):
    """An outermost f-string with something to be said of it; `range` is all of the literal."""

    literal: FString | OvernestedString
    range: Range
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Whether the target refuses it."""
        return any(finding.code in RULE_ERRORS for finding in self.findings)


class LineIndex:
    """Turns offsets in a decoded text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def range(self, start: int, end: int) -> Range:
        """The range between two offsets."""
        return Range(*self.place(start), *self.place(end))

    def excerpt(self, line: int, column: int) -> str:
        """A line without its end, cut some way after the column."""
        end = self._starts[line] if line < len(self._starts) else len(self._text)
        return self._text[self._starts[line - 1] : end].rstrip("\r\n")[: source_text.excerpt_length(column)]


def judge(text: str, minor: int) -> Iterator[FStringVerdict]:
    """Each outermost f-string of a decoded source that Python 3.`minor` refuses, or that deserves a warning."""
    lines: LineIndex | None = None
    for literal in find_suspects(text):
        violations = find_violations(text, literal, minor)
        if not violations:
            continue
        lines = lines or LineIndex(text)
        whole = lines.range(literal.start, literal.end)
        yield FStringVerdict(
            literal,
            whole,
            tuple(
                Finding(
                    violation.code,
                    lines.range(violation.start, violation.end),
                    _message(violation.code, violation.what),
                    _HINTS[violation.code],
                    lines.excerpt(*lines.place(violation.start)),
                    Severity.ERROR if violation.code in RULE_ERRORS else Severity.WARNING,
                    whole,
                )
                for violation in violations
            ),
        )


def mask_fstrings(text: str, minor: int) -> str:
    """A source with every f-string that 3.`minor` refuses replaced by an empty one that ends at the same place."""
    pieces, at = [], 0
    for judged in judge(text, minor):
        if judged.refused:
            pieces += [text[at : judged.literal.start], _empty(text[judged.literal.start : judged.literal.end])]
            at = judged.literal.end
    return "".join([*pieces, text[at:]])


def _empty(literal: str) -> str:
    newlines = _NEWLINE.findall(literal)
    if not newlines:
        return 'f""'.ljust(len(literal))
    # its last line may be no longer than one quote
    return 'f"' + "".join(f"\\{newline}" for newline in newlines) + '"'.rjust(len(_NEWLINE.split(literal)[-1]))


def findings(data: bytes, minor: int) -> tuple[Finding, ...]:
    """BG201 to BG207 of one source for the target 3.`minor`; nothing where its bytes cannot be decoded."""
    text = source_text.decode_source(data)
    return () if text is None else tuple(finding for judged in judge(text, minor) for finding in judged.findings)


def refuses(data: bytes, minor: int) -> bool:
    """Whether Python 3.`minor` refuses an f-string of a source."""
    return any(finding.code in RULE_ERRORS for finding in findings(data, minor))


def _message(code: Code, what: str) -> str:
    return f"{_MESSAGES[code]}: {what}" if what else _MESSAGES[code]
