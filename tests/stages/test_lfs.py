"""Pointers of Git LFS."""

from __future__ import annotations

import pytest

from buildguard.stages import lfs

_DIGEST = "ab" * 32
_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{_DIGEST}\nsize 12345\n"


@pytest.mark.parametrize(
    "text", [_POINTER, _POINTER.replace("oid", "ext-0-foo sha256:00\noid"), _POINTER + "later-key x\n"]
)
def test_a_pointer_gives_digest_and_size(text: str) -> None:
    assert lfs.parse_pointer(text.encode()) == (_DIGEST, 12345)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n" + _POINTER,
        _POINTER.replace("/v1", "/v2"),
        _POINTER.replace(_DIGEST, _DIGEST[1:]),
        _POINTER.replace(_DIGEST, _DIGEST.upper()),
        _POINTER.replace("size 12345\n", ""),
        _POINTER.replace("12345\n", "12345"),
        _POINTER.replace("12345", "-1"),
        _POINTER.replace("oid", "x" * 2000 + " y\noid"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert lfs.parse_pointer(text.encode()) is None
