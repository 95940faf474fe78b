"""What the bytes of a source say before any compiler sees them: encoding, and text that misleads.

Pure: bytes in, findings out. "It compiles" is no proof that these are right: `compile` and `import` accept
undecodable bytes in a comment, which `python file.py` refuses, and run code that a coding cookie hides.
The rules for cookies are those of PEP 263 as CPython's tokenizer has them.
"""

from __future__ import annotations

import codecs
import re

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Finding, Range, Severity, escape_text
from buildguard.remote.source_encoding import SourceEncoding, coding_of, hides_code, undecodable

MERGE_CONFLICT = "an unresolved merge conflict"  # the message of BG106 for it
_TO_UTF8 = "save the file as UTF-8"
_WIDE_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_NEWLINE = lazy_pattern(r"\r\n|\r|\n")
_BIDI = lazy_pattern("[\u202a-\u202e\u2066-\u2069]")
_LFS = b"version https://git-lfs.github.com/spec/"
_MERGE = lazy_pattern(rb"^<<<<<<< .*$(?s:.*?)^=======\r?$(?s:.*?)^>>>>>>> ", re.MULTILINE)
_TRIPLE = lazy_pattern(
    rb"#[^\n]*|'''(?s:(?:\\.|.)*?)'''|\"\"\"(?s:(?:\\.|.)*?)\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
)


def findings(data: bytes, *, is_codec_known: bool = False) -> list[Finding]:
    """BG102 and BG106 of one source; `is_codec_known` where its target has looked up the codec that it declares."""
    results: list[Finding] = []
    if data.isascii():
        if b"\0" in data:
            results.append(_nul(data))
        if b"coding" in data[:4096] or b"coding" in b"".join(data.split(b"\n", 2)[:2]):
            results += _cookie_findings(data, coding_of(data), is_known=is_codec_known)
    else:
        results += _encoding_findings(data, is_codec_known=is_codec_known)
    if b"\x1b" in data:
        where = _place(data, data.index(b"\x1b"))
        results.append(_misleading_finding(data, where, "an ESC character, which a terminal obeys instead of showing"))
    if data.startswith(_LFS):
        results.append(_lfs(data))
    if b"\n>>>>>>> " in data:
        results += _merge_markers(data)
    return results


def refused_as_script(data: bytes) -> Finding | None:
    """BG107 for a source that compiles: the file tokenizer, unlike `compile`, checks comments too."""
    from buildguard.project.source_text import excerpt_of

    coding = coding_of(data)
    if coding.cookie is not None or coding.has_bom:
        return None  # measured on 3.8 to 3.13: declared as UTF-8, comments are not checked
    at = undecodable(data)
    if at is None:
        return None
    where = _place(data, at)
    return Finding(
        Code.BG107,
        where,
        "imported it compiles, run as a script Python refuses it: a byte in a comment is not UTF-8",
        hint=_TO_UTF8,
        excerpt=excerpt_of(data, where.line, where.column),
    )


def as_old_scripts_read_it(data: bytes) -> bytes:
    """The text that Python up to 3.11.3 runs when a script holds NUL: each line cut there, joined with the next."""
    return re.sub(rb"\0[^\n]*(?:\n|$)", b"", data)


def runs_as_script(data: bytes) -> Finding:
    """BG107 for a source with NUL that an import refuses and a script start, up to 3.11.3, does not."""
    where = _place(data, data.index(b"\0"))
    return Finding(
        Code.BG107,
        where,
        "an import refuses the NUL byte, run as a script this Python reads past it and runs something else",
        hint="restore the file from git: NUL bytes are damage, not source",
    )


def _encoding_findings(data: bytes, *, is_codec_known: bool) -> list[Finding]:
    for mark, name in _WIDE_BOMS.items():
        if data.startswith(mark):
            return [
                _undecodable_finding(data, Range(1, 1), f"this is {name}, and Python reads source as UTF-8", _TO_UTF8)
            ]
    results = []
    if b"\0" in data:
        results.append(_nul(data))
    coding = coding_of(data)
    if coding.is_utf8:
        at = undecodable(data)
        if at is not None:
            results.append(
                _undecodable_finding(data, _place(data, at), f"byte 0x{data[at]:02x} is not UTF-8", _TO_UTF8)
            )
        elif b"\xe2\x80" in data or b"\xe2\x81" in data:
            results += _bidi_findings(data)
    else:
        results += _cookie_findings(data, coding, is_known=is_codec_known)
    return results


def _cookie_findings(data: bytes, coding: SourceEncoding, *, is_known: bool) -> list[Finding]:
    from buildguard.project.codec_names import local_name
    from buildguard.project.source_text import excerpt_of

    if coding.cookie is None or coding.is_utf8:
        return []
    name, where = local_name(coding.codec), Range(coding.line, 1)
    if coding.has_bom:
        return [
            _undecodable_finding(
                data, where, f"the file starts with a UTF-8 BOM and declares {name}", "remove one of the two"
            )
        ]
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        unknown = f"no Python codec is called {escape_text(name)}"
        return [] if is_known else [_undecodable_finding(data, where, unknown, _TO_UTF8)]
    if not getattr(codec, "_is_text_encoding", True):
        return [_undecodable_finding(data, where, f"{name} is no text encoding", _TO_UTF8)]
    if hides_code(name):
        message = f"the coding cookie {name} turns what reads as a comment or text into other code"
        hint = "save the file as UTF-8 without a cookie"
        return [Finding(Code.BG106, where, message, hint, excerpt_of(data, where.line, where.column))]
    return _decoded_findings(data, name, where, misread=codec.name not in {"ascii", "utf-8"})


def _decoded_findings(data: bytes, name: str, where: Range, *, misread: bool) -> list[Finding]:
    """What a harmless codec makes of the file: an error where it cannot read it, a warning where others misread it."""
    try:
        data.decode(name)
    except UnicodeDecodeError as error:
        at = _place(data, error.start)
        return [_undecodable_finding(data, at, f"byte 0x{data[error.start]:02x} is not {name}", _TO_UTF8)]
    except (UnicodeError, ValueError):
        return [_undecodable_finding(data, where, f"the file is not {name} throughout", _TO_UTF8)]
    if not misread:
        return []
    return [_misleading_finding(data, where, f"source in {name}: everybody else reads it as UTF-8", _TO_UTF8)]


def _bidi_findings(data: bytes) -> list[Finding]:
    text = data.decode("utf-8")
    match = _BIDI.search(text)
    if match is None:
        return []
    where = _place(data, len(text[: match.start()].encode("utf-8")))
    return [
        _misleading_finding(data, where, f"a bidirectional control (U+{ord(match.group()):04X}) reorders what is shown")
    ]


def _merge_markers(data: bytes) -> list[Finding]:
    from buildguard.project.source_text import excerpt_of

    match = _MERGE.search(data)
    if match is None or _in_string(data, match.start()):
        return []
    where = _place(data, match.start())
    return [
        Finding(
            Code.BG106,
            where,
            MERGE_CONFLICT,
            "resolve the conflict and commit",
            excerpt_of(data, where.line, where.column),
        )
    ]


def _in_string(data: bytes, at: int) -> bool:
    """Whether an offset is inside a string literal: there, conflict markers are data of the program."""
    return any(match.start() < at < match.end() for match in _TRIPLE.finditer(data) if match.start() < at)


def _lfs(data: bytes) -> Finding:
    from buildguard.project.source_text import excerpt_of

    message = "a Git LFS pointer stands where the source should be"
    return Finding(
        Code.BG106,
        Range(1, 1),
        message,
        "git lfs pull, and let git lfs run where the build starts",
        excerpt_of(data, 1),
    )


def _nul(data: bytes) -> Finding:
    where = _place(data, data.index(b"\0"))
    return _undecodable_finding(
        data, where, "a NUL byte: the file is damaged, or it is no text", "restore the file from git"
    )


def _undecodable_finding(data: bytes, where: Range, message: str, hint: str) -> Finding:
    from buildguard.project.source_text import excerpt_of

    return Finding(Code.BG102, where, message, hint, excerpt_of(data, where.line, where.column))


def _misleading_finding(data: bytes, where: Range, message: str, hint: str = "remove it") -> Finding:
    from buildguard.project.source_text import excerpt_of

    return Finding(Code.BG106, where, message, hint, excerpt_of(data, where.line, where.column), Severity.WARNING)


def _place(data: bytes, offset: int) -> Range:
    """Line and column of a byte offset; CR, LF and CRLF each end a line, as CPython reads them."""
    before = data[:offset].decode("utf-8", "replace").removeprefix("\ufeff")
    lines = _NEWLINE.split(before)
    return Range(len(lines), len(lines[-1]) + 1)
