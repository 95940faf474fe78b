"""The text of a source: decoded as its cookie declares, encoded again, and cut to an excerpt. Pure."""

from __future__ import annotations

import codecs

from buildguard.project.codec_names import local_name
from buildguard.remote.source_encoding import BOM, coding_of, hides_code

_EXCERPT, _PAST_COLUMN = 400, 200


def excerpt_length(column: int | None) -> int:
    """How many characters of a line are kept: enough to show what stands around a column."""
    return max(_EXCERPT, (column or 0) + _PAST_COLUMN)


def excerpt_of(data: bytes, line: int | None, column: int | None = None) -> str:
    """One line of a source, for people: decoded as well as it can be, cut some way after the column."""
    if line is None or line < 1:
        return ""
    length = excerpt_length(column)
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
        if start == 0:
            return ""
    end = data.find(b"\n", start)
    raw = data[start : end if end >= 0 else None][: 4 * length]
    text = raw.removeprefix(BOM).removesuffix(b"\r") if start == 0 else raw.removesuffix(b"\r")
    return text.decode("utf-8", "replace")[:length]


def decode_source(data: bytes) -> str | None:
    """The text of a source as CPython decodes it, without its BOM; None where it cannot be, or must not be."""
    name = codec_of(data)
    try:
        return data.removeprefix(BOM).decode(name) if name else None
    except (UnicodeError, ValueError, LookupError):
        return None


def encode_source(changed: str, data: bytes) -> bytes | None:
    """A changed text in the encoding, and with the BOM, of the source that it comes from; None where that fails."""
    name = codec_of(data)
    bom = BOM if data.startswith(BOM) else b""
    try:
        return bom + changed.encode(name) if name else None
    except (UnicodeError, ValueError, LookupError):
        return None


def codec_of(data: bytes) -> str | None:
    """The codec, by a name that this Python knows, that CPython decodes a source with; None if it is unknown, or hides code."""
    coding = coding_of(data)
    if coding.is_utf8:
        return "utf-8"
    name = local_name(coding.codec)
    if coding.has_bom or not _decodes(data, name) or hides_code(name):
        return None
    return name


def _decodes(data: bytes, name: str) -> bool:
    """Whether a codec of that name exists, is one for text, and reads these bytes."""
    try:
        codec = codecs.lookup(name)
        if not getattr(codec, "_is_text_encoding", True):
            return False
        data.decode(name)
    except (LookupError, ValueError):
        return False
    return True
