"""The files of an image as they are read out of its tar: kinds, digests, and what is kept of them."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from buildguard.diagnostic import UnreadableFile
from buildguard.docker import image_stage
from buildguard.docker.image_stage import ImageFiles, ImageStage
from buildguard.docker.sandbox import ImagePath
from buildguard.stages.stage import EntryKind
from tests.docker.fakes import special, tar_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from buildguard.docker.sandbox import Sandbox

_MEMBERS: dict[str, bytes | tarfile.TarInfo] = {
    "./": special(tarfile.DIRTYPE),
    "./main.py": b"x = 1\n",
    "./empty.py": b"",
    "./run": b"#!/usr/bin/env python3\nx = 2\n",
    "./data.bin": b"\0\1\2",
    "./link.py": special(tarfile.SYMTYPE, "main.py"),
    "./away.py": special(tarfile.SYMTYPE, "/etc/passwd"),
    "./round.py": special(tarfile.SYMTYPE, "round.py"),
    "./hard.py": special(tarfile.LNKTYPE, "main.py"),
    "./lost.py": special(tarfile.LNKTYPE, "nothing.py"),
    "./pipe": special(tarfile.FIFOTYPE),
    "./node_modules/n.py": b"n = 1\n",
}


class _Cell:
    def stat(self, path: str) -> ImagePath | None:
        return ImagePath("/srv/app", is_folder=True, is_executable=True) if path == "/app" else None

    def tar(self, path: str) -> Generator[bytes]:
        assert path == "/srv/app/."
        data = tar_of(_MEMBERS)
        yield from (data[at : at + 700] for at in range(0, len(data), 700))


def _files(*, whole: bool = False) -> Iterator[ImageFiles]:
    files = ImageFiles(cast("Sandbox", _Cell()), whole=whole)
    assert files.read("/app") == "/srv/app"
    yield files
    files.close()


@pytest.fixture
def files() -> Iterator[ImageFiles]:
    """What is read of a small project, Python alone kept."""
    yield from _files()


@pytest.fixture
def whole() -> Iterator[ImageFiles]:
    """The same, everything kept."""
    yield from _files(whole=True)


def test_a_folder_that_is_a_link_may_be_known_by_its_name() -> None:
    files = ImageFiles(cast("Sandbox", _Cell()))
    try:
        assert files.read("/app", is_named=True) == "/app"
        assert files.content(b"/app/hard.py") == files.content(b"/app/link.py") == b"x = 1\n"
        assert not [path for path in files.entries if path.startswith(b"/srv")]
    finally:
        files.close()


def test_a_folder_is_read_once(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Cell, "tar", lambda *_path: pytest.fail("it was read before"))

    assert files.read("/app") == "/srv/app"


def test_a_missing_folder_is_no_folder(files: ImageFiles) -> None:
    assert files.read("/nowhere") == ""


def test_every_member_has_its_kind_and_digest(files: ImageFiles) -> None:
    kinds = {path.decode().removeprefix("/srv/app/"): entry.kind for path, entry in files.entries.items()}

    assert kinds.pop("pipe") is EntryKind.OTHER
    assert kinds.pop("lost.py") is EntryKind.OTHER
    assert {kinds.pop(name) for name in ("link.py", "away.py", "round.py")} == {EntryKind.LINK}
    assert set(kinds) == {"main.py", "empty.py", "run", "data.bin", "hard.py", "node_modules/n.py"}
    assert set(kinds.values()) == {EntryKind.FILE}
    assert files.entries[b"/srv/app/data.bin"].digest == hashlib.sha256(b"\0\1\2").digest()
    assert files.entries[b"/srv/app/hard.py"] == files.entries[b"/srv/app/main.py"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("main.py", b"x = 1\n"),
        ("empty.py", b""),
        ("run", b"#!/usr/bin/env python3\nx = 2\n"),
        ("link.py", b"x = 1\n"),
        ("hard.py", b"x = 1\n"),
        ("data.bin", "was not kept"),
        ("away.py", "a symbolic link out of"),
        ("round.py", "a symbolic link that leads in a circle"),
        ("pipe", "something special"),
    ],
)
def test_content_is_what_was_kept_or_the_reason(files: ImageFiles, name: str, content: bytes | str) -> None:
    result = files.content(f"/srv/app/{name}".encode())

    if isinstance(content, str):
        assert isinstance(result, UnreadableFile)
        assert content in result.reason
    else:
        assert result == content


def test_a_whole_reading_keeps_all_and_knows_git_ids(whole: ImageFiles) -> None:
    assert whole.content(b"/srv/app/data.bin") == b"\0\1\2"
    blob = hashlib.sha1(b"blob 6\0x = 1\n", usedforsecurity=False).hexdigest()
    assert whole.entries[b"/srv/app/main.py"].blob == blob


def test_a_source_that_is_too_large_is_not_kept_and_no_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_stage, "MOST_KEPT", 5)
    files = ImageFiles(cast("Sandbox", _Cell()))
    try:
        files.read("/app")
        places = {name: b"/srv/app/" + name for name in (b"main.py", b"run", b"data.bin", b"empty.py", b"link.py")}
        stage = ImageStage("image:x", Path(), files, places)
        contents = {entry.path: content for entry, content in stage.contents(stage.entries())}
    finally:
        files.close()

    large = UnreadableFile("larger than 0 MB")
    assert contents == {b"main.py": large, b"run": large, b"link.py": large, b"data.bin": b"", b"empty.py": b""}


def test_the_stage_lists_the_project_and_names_links_that_leave_it(files: ImageFiles) -> None:
    stage = ImageStage("image:app", Path("/"), files, {path.removeprefix(b"/srv/app/"): path for path in files.entries})

    listed = {entry.path for entry in stage.entries()}
    assert b"main.py" in listed
    assert b"node_modules/n.py" not in listed
    contents: dict[bytes, object] = {entry.path: content for entry, content in stage.contents(stage.entries())}
    assert contents[b"main.py"] == b"x = 1\n"
    assert contents[b"data.bin"] == b""  # no script begins like that: nothing of it was kept


def test_a_note_names_a_link_out_of_the_image_stage(files: ImageFiles) -> None:
    stage = ImageStage("image:app", Path("/"), files, {b"away": b"/srv/app/away.py", b"in": b"/srv/app/link.py"})

    assert stage.notes() == ["away: a symbolic link to /etc/passwd, not followed"]
