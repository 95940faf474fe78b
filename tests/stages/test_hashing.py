"""Hashing many files: right whatever their size and number, and unproven where a file does not hold still."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from buildguard.diagnostic import UnreadableFile
from buildguard.stages.hashing import HashedFile, hash_file, hash_files
from buildguard.stages.manifest import blob_id
from buildguard.system import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_files_of_every_size(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)

    found = hash_file(os.fsencode(tmp_path / "x"))

    assert isinstance(found, HashedFile)
    assert (found.size, found.digest, found.blob.hex()) == (size, hashlib.sha256(data).digest(), blob_id(data))


_PATHS = [b"f%d" % number for number in range(1200)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `_PATHS`, one of which is missing, one a link and one a FIFO; it is only read."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(1200):
        (folder / f"f{number}").write_bytes(b"%d" % number * (number % 7))
    (folder / "f600").unlink()
    (folder / "f601").unlink()
    (folder / "f601").symlink_to("f1")
    (folder / "f602").unlink()
    os.mkfifo(folder / "f602")
    return folder


def _right(folder: Path, found: list[HashedFile | UnreadableFile]) -> bool:
    for path, one in zip(_PATHS, found, strict=True):
        if path in {b"f600", b"f601", b"f602"}:
            if not isinstance(one, UnreadableFile):
                return False
        elif (
            not isinstance(one, HashedFile)
            or one.digest != hashlib.sha256((folder / os.fsdecode(path)).read_bytes()).digest()
        ):
            return False
    return True


@pytest.mark.interpreters
def test_many_files_on_two_cores(many: Path) -> None:
    done = []

    found = hash_files(os.fsencode(many) + b"/", _PATHS, meanwhile=lambda: done.append(1))

    assert _right(many, found)
    assert done == [1]
    assert isinstance(found[600], UnreadableFile)
    assert found[600].is_missing
    assert isinstance(found[602], UnreadableFile)
    assert found[602].special == "a FIFO"


@pytest.mark.parametrize("left", [0, 1, 500, 3001])
def test_what_a_child_did_not_live_to_tell_is_hashed_here(
    many: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    def dying(first: Callable[[], bytes], second: Callable[[], bytes]) -> tuple[bytes, bytes]:
        return first()[:left], second()

    monkeypatch.setattr(process, "run_in_parallel", dying)

    assert _right(many, hash_files(os.fsencode(many) + b"/", _PATHS))


def test_a_file_that_grows_while_it_is_read_is_unproven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)
    real = os.read

    def growing(handle: int, size: int) -> bytes:
        with path.open("ab") as out:
            out.write(b"more")
        return real(handle, size)

    monkeypatch.setattr(os, "read", growing)

    found = hash_file(os.fsencode(path))

    assert found == UnreadableFile("changed while it was read")


def test_a_file_that_changed_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)
    real = os.read
    calls: list[int] = []

    def once(handle: int, size: int) -> bytes:
        if not calls:
            path.write_bytes(b"y" * 50)
        calls.append(size)
        return real(handle, size)

    monkeypatch.setattr(os, "read", once)

    found = hash_file(os.fsencode(path))

    assert isinstance(found, HashedFile)
    assert found.digest == hashlib.sha256(b"y" * 50).digest()
