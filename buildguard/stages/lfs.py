"""Pointers of Git LFS: what git stores in place of a large file. Pure."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern

_POINTER = lazy_pattern(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n"
)


def parse_pointer(content: bytes) -> tuple[str, int] | None:
    """The SHA-256 and size that a Git LFS pointer stands for; None for anything else."""
    match = _POINTER.match(content[:1024])
    return (match[1].decode("ascii"), int(match[2])) if match else None
