"""How a source says that it is encoded, after PEP 263 as CPython's tokenizer has it. Also a part of the step file."""

from __future__ import annotations

import codecs
import re
import warnings
from collections import namedtuple

BOM = codecs.BOM_UTF8
_FIRST_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"[ \t\f]*(?:#|[\r\n]|$)")
_FIRST_LETTERS = (("utf-8", ("utf-8",)), ("iso-8859-1", ("latin-1", "iso-8859-1", "iso-latin-1")))
# Every visible ASCII character, and sequences with which a codec turns plain ASCII into something else.
_PLAIN = bytes(range(32, 127)) + b"\t\r\n+AGE-\\u0061\\x41\\N{DIGIT ONE}~{!!~}\n"


# `typing` takes longer to load than all of this
class SourceEncoding(namedtuple("SourceEncoding", ("cookie", "line", "has_bom"))):  # noqa: PYI024
    """How a source says that it is encoded: `cookie` is None where it says nothing, `line` where it says it."""

    __slots__ = ()
    cookie: str | None
    line: int
    has_bom: bool

    @property
    def is_utf8(self) -> bool:
        """Whether CPython reads it as UTF-8 without a codec."""
        return self.codec == "utf-8"

    @property
    def codec(self) -> str:
        """The codec that CPython looks up: of UTF-8 and Latin-1 it compares the first letters only (`latin-1-unix`)."""
        if self.cookie is None:
            return "utf-8"
        start = self.cookie[:12].lower().replace("_", "-")
        for codec, names in _FIRST_LETTERS:
            if start in names or start.startswith(tuple(name + "-" for name in names)):
                return codec
        return self.cookie


def coding_of(data: bytes) -> SourceEncoding:
    """The BOM and the cookie of a source."""
    has_bom = data.startswith(BOM)
    at = len(BOM) if has_bom else 0
    for line in (1, 2):
        match = _FIRST_LINES.match(data, at)
        text = match.group() if match else b""
        cookie = _COOKIE.match(text)
        if cookie:
            return SourceEncoding(cookie.group(1).decode("ascii", "replace"), line, has_bom)
        if not _BLANK.match(text):
            break
        at += len(text)
    return SourceEncoding(None, 0, has_bom)


def hides_code(name: str) -> bool:
    """Whether a codec turns what reads as a comment or text into something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unicode_escape warns of the very text that unmasks it
        try:
            return _PLAIN.decode(name) != _PLAIN.decode("ascii")
        except (UnicodeError, ValueError):
            return True


def undecodable(data: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
