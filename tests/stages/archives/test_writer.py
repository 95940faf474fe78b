"""Small archives for containers, and single members: other readers have to see in them what was put in."""

from __future__ import annotations

import io
import tarfile

from buildguard.stages.archives.writer import END, FILE_TYPE, MemberHeader, pack_files, pack_member


def _members(data: bytes) -> list[tuple[str, int, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [(member, tar.extractfile(member) if member.isreg() else None) for member in tar]
        return [(member.name, member.mode, file.read() if file is not None else b"/") for member, file in found]


def test_files_and_folders_with_their_modes() -> None:
    data = pack_files(
        [("builder/script", 0o755, b"#!/bin/sh\n"), ("a", 0o644, b"x" * 513)], [("builder/outputs", 0o777)]
    )

    assert _members(data) == [
        ("builder/outputs", 0o777, b"/"),
        ("builder/script", 0o755, b"#!/bin/sh\n"),
        ("a", 0o644, b"x" * 513),
    ]


def test_an_archive_of_nothing_is_one() -> None:
    assert _members(pack_files([])) == []


def test_a_name_that_fits_no_header() -> None:
    name = "n" * 300
    member = pack_member(MemberHeader(name.encode(), FILE_TYPE, 0o600, 1), b"x")

    assert _members(b"".join(member) + END) == [(name, 0o600, b"x")]
