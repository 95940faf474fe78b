"""Causes by contents alone: what must not be claimed."""

from __future__ import annotations

import time

import pytest

from buildguard.compare import causes


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        # no line endings where there is no text, nor an encoding where only those changed
        (b"a\0b\r\n", b"a\0b\n", "content"),
        (b"\x80\r\n\0", b"\x80\n\0", "content"),
        # a larger file was not cut, and one that lost its beginning neither
        (b"abc", b"abcdef", "content"),
        (b"abcdef", b"def", "content"),
        # two bits in one byte are an edit of a letter, as likely as not
        (b"x = 'a'\n", b"x = 'b'\n", "content"),
        (b"x = 'b'\n", b"x = 'c'\n", "bit-flip"),
        (b"abcdefgh" * 9, b"hgfedcba" * 9, "content"),
        # a template that was filled in with what git would never put there
        (b"v = '$Format:%H$'\n", b"v = 'hello'\n", "content"),
        (b"v = '$Format:%H$'\n", b"w = '" + b"a" * 40 + b"'\n", "content"),
        (b"v = '$Format:%H$'\nx = 1\n", b"v = '" + b"a" * 40 + b"'\nx = 2\n", "content"),
        (b"$Format:%an %s$\n", b"Ann Ode fixed it\n", "keyword-expansion"),
        (b"$Format:%H$ $Format:%h$.", b"a" * 40 + b" " + b"a" * 7 + b".", "keyword-expansion"),
        (b"# $Id$\nx = 1\n", b"# $Id: 12 $\nx = 2\n", "content"),
        (b"", b"x", "content"),
        (b"x\n", b"\xef\xbb\xbfx\r\n", "bom"),
        (b"x\n", b"x\n\n\n", "final-newline"),
        (b"x\n", b"x", "final-newline"),
        ("é".encode(), b"?", "transcoded"),
        (b"?", "é".encode(), "content"),
        ("€".encode(), b"\x80", "transcoded"),
        ("x\ny\n".encode("utf-16-le"), b"x\ny\n", "transcoded"),
    ],
)
def test_a_cause_is_computed(before: bytes, after: bytes, cause: str) -> None:
    assert causes.find_cause(before, after).name == cause


def test_the_evidence_shows_why() -> None:
    assert causes.find_cause(b"a\nb\nc\n", b"a\r\nb\nc\r\n").evidence == "LF became LF and CRLF in 2 lines"
    assert causes.find_cause(b"x" * 30, b"x" * 12).evidence == "cut at byte 12 of 30"
    assert causes.find_cause(b"x" * 30, b"x" * 10 + bytes(20)).evidence == "nothing but zeros from byte 10 of 30 on"
    assert causes.find_cause(b"aaaa", b"aaca").evidence == "1 bit at offset 2"
    assert causes.find_cause(b"a\nb\n", b"a\nc d\n").evidence == "@@ -2 +2 @@\n-b\n+c d"
    assert "first other one at offset 2" in causes.find_cause(b"ab\0", b"ab\1\2").evidence


# made when they are needed: a test process that holds megabytes for good makes its children look greedy
_HOSTILE = {
    "templates": lambda: (b"$Format:%s$" * 3000, b"x" * 100_000),
    "one template": lambda: (b"$Format:" + b"%s" * 2000 + b"$\n", b"x" * 4000 + b"\n"),
    "reversed": lambda: (
        b"\n".join(b"%d" % n for n in range(40_000)),
        b"\n".join(b"%d" % n for n in range(40_000, 0, -1)),
    ),
    "ids": lambda: (b"$Id$" * 50_000, b"$Id: x$" * 50_000),
    "large": lambda: (b"x" * (17 << 20), b"y" * (17 << 20)),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_contents_do_not_hang(name: str) -> None:
    before, after = _HOSTILE[name]()
    started = time.process_time()

    causes.find_cause(before, after)

    assert time.process_time() - started < 20
