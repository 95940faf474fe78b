"""An exported image is read in pieces, and a hard link has the content of its file."""

from __future__ import annotations

import io
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from buildguard.docker import image_source
from buildguard.docker.image_source import ExportedFilesystem
from tests.docker.fakes import special, tar_of

if TYPE_CHECKING:
    from pathlib import Path

_LARGE = bytes(range(256)) * 40 + b"end"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    file = tmp_path / "image.tar"
    members: dict[str, bytes | tarfile.TarInfo] = {
        "app/": special(tarfile.DIRTYPE),
        "app/large.bin": _LARGE,
        "app/one.py": b"x = 1\n",
        "app/hard.bin": special(tarfile.LNKTYPE, "app/large.bin"),
        "app/link.py": special(tarfile.SYMTYPE, "one.py"),
    }
    file.write_bytes(tar_of(members))
    return file


def test_a_large_file_comes_in_pieces(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "_PIECE", 1000)

    with closing(ExportedFilesystem(exported)) as files:
        pieces = list(files.tar("/app/."))

    assert max(map(len, pieces)) == tarfile.BLOCKSIZE * 2  # the end of the tar
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
        links = {member.name: member.linkname for member in tar.getmembers() if member.issym()}
    assert contents == {"large.bin": _LARGE, "one.py": b"x = 1\n", "hard.bin": _LARGE}
    assert links == {"link.py": "one.py"}


def test_one_file_is_a_tar_of_its_own(exported: Path) -> None:
    with closing(ExportedFilesystem(exported)) as files:
        data = b"".join(files.tar("/app/link.py"))

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.size) == ("one.py", 6)
