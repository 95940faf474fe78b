"""Which f-strings need no second look, told at the speed of `re`. Pure.

An *innocent* f-string is one that the pattern below takes whole: its fields hold neither a backslash, a comment, a
line break, a nested f-string nor any quote but the other kind around plain text. Every Python reads those alike, so
only the rest is read closely. Nothing here may miss; calling an innocent one suspect costs time and nothing else.
"""

from __future__ import annotations

import re
from functools import cache

from buildguard.definitions import lazy_pattern
from buildguard.remote.source_encoding import coding_of

_WORD = r"A-Za-z0-9_\x80-\U0010ffff"
_BYTES = r"A-Za-z0-9_\x80-\xff"
_F = r"(?:[fF][rR]?|[rR][fF])"
_T = r"(?:[tT][rR]?|[rR][tT])"


def _field(plain: str, newline: str) -> str:
    code = rf"(?>[^{{}}\"'\\#\r\n!:]{plain})++"
    # its colon may as well belong to a slice or a lambda: then this is code
    spec = rf"(?>[^{{}}\"'\\#!{newline}]|\{{[^{{}}\"'\\#\r\n!:]++\}})*+"
    return rf"\{{{code}(?>![sra])?+(?>:{spec})?+\}}"


def _single(quote: str, other: str) -> str:
    field = _field(rf"|(?<![fFrRtT]){other}[^'\"\\\r\n]*+{other}", r"\r\n")
    return rf"{quote}(?!{quote}{quote})(?>[^{{}}{quote}\\\r\n]|\\[^{{}}\r\n]|\{{\{{|\}}\}}|{field})*+{quote}"


def _triple(quote: str) -> str:
    text = rf"[^{{}}{quote}\\]|\\[^{{}}]|\{{\{{|\}}\}}|{quote}(?!{quote}{quote})"
    return rf"{quote * 3}(?>{text}|{_field('', '')})*+{quote * 3}"


def _plain(quote: str) -> str:
    triple = rf"{quote * 3}(?>[^{quote}\\]|\\[\s\S]|{quote}(?!{quote}{quote}))*+{quote * 3}"
    return rf"{triple}|{quote}(?!{quote}{quote})(?>[^{quote}\\\r\n]|\\(?>\r\n|[\s\S]))*+{quote}"


@cache
def _harmless_pattern() -> str:
    return "|".join((_triple('"'), _triple("'"), _single('"', "'"), _single("'", '"')))


@cache
def _harmless_prefix() -> re.Pattern[str]:
    """Everything up to the first literal that needs a close look; compiled when it is first needed."""
    plain = f"{_plain(chr(34))}|{_plain(chr(39))}"
    return re.compile(
        rf"(?>[^{_WORD}\"'#]++|[{_WORD}]++(?![\"'])|#[^\r\n]*+"
        rf"|(?>(?!(?:{_F}|{_T})[\"'])[{_WORD}]++)?+(?>{plain})|{_F}(?>{_harmless_pattern()}))*+"
    )


@cache
def _suspects() -> list[re.Pattern[bytes]]:
    opens = rf"(?=[\"'])(?:(?<=[^{_BYTES}][fF])|(?<=[^{_BYTES}][rR][fF])|(?<=[^{_BYTES}][fF][rR]))"
    return [re.compile(rf"{letter}[rR]?{opens}(?!{_harmless_pattern()})".encode()) for letter in "fF"]


_INNER = lazy_pattern(rb"\{[^\n\\{]*[fF][rR]?[\"']")
_INNER_OVER_LINES = lazy_pattern(rb"\{[^\\{]*[fF][rR]?[\"']")
_AT_THE_START = lazy_pattern(rb"(?:[fF][rR]?|[rR][fF])[\"']")  # where nothing stands before it to look back at
_OPENING = lazy_pattern(rb"[fF][rR]?[\"']")
_TRIPLE = [lazy_pattern(rf"{letter}[rR]?(?:\"\"\"|''')".encode()) for letter in "fF"]


def next_suspect(text: str, at: int) -> int:
    """Where, from a place between two tokens on, something stands that is not innocent; the end of the text if nothing."""
    match = _harmless_prefix().match(text, at)
    assert match is not None
    return match.end()


def may_be_refused(data: bytes) -> bool:
    """Whether a source may hold an f-string that some Python refuses; True for every one that does."""
    if _AT_THE_START.match(data) or not coding_of(data).is_utf8:
        return True
    return any(suspect.search(data) is not None for suspect in _suspects())


def may_nest(data: bytes) -> bool:
    """Whether a source that 3.8 to 3.11 accept may hold a nested f-string; True for every one that does."""
    if not coding_of(data).is_utf8:
        return True
    inner = _INNER.search(data)
    if any(pattern.search(data) for pattern in _TRIPLE):
        return inner is not None or _INNER_OVER_LINES.search(data) is not None
    return inner is not None and any(_is_within(data, match) for match in _INNER.finditer(data))


def _is_within(data: bytes, inner: re.Match[bytes]) -> bool:
    """Whether a single-quoted f-string may open before a place on its line, or on a line that goes on there."""
    line = data.rfind(b"\n", 0, inner.start()) + 1
    return (
        data[max(0, line - 3) : line].rstrip(b"\r\n").endswith(b"\\")
        or _OPENING.search(data, line, inner.start()) is not None
    )
