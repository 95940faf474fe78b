"""The image stage of `diff`: the project's files of an image under the project's own paths."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.compare import image_stage
from buildguard.compare.image_stage import ImageSnapshotter
from buildguard.docker import client, images, sandbox
from buildguard.docker.image_stage import ImageEntry
from buildguard.docker.images import Image
from buildguard.errors import UsageError
from buildguard.project.image_reference import ImageDigest
from buildguard.stages.manifest import EXECUTABLE, FILE, LINK
from buildguard.stages.snapshot import StageKind
from buildguard.stages.stage import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_IMAGE = Image("acme/web", "sha256:1", ImageDigest(""), "linux/amd64", (), "/app", ())


def _held(content: bytes, kind: EntryKind = EntryKind.FILE, link: bytes = b"") -> ImageEntry:
    return ImageEntry(kind, len(content), hashlib.sha256(content).digest(), 0, link)


class _Files:
    """What was read of an image."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        self.entries = {
            b"/app/a.py": _held(b"x = 1\n"),
            b"/app/run": _held(b"#!", EntryKind.EXECUTABLE),
            b"/app/link": _held(b"", EntryKind.LINK, b"a.py"),
            b"/app/pipe": _held(b"", EntryKind.OTHER),
            b"/app/hard": _held(b"", EntryKind.OTHER, b"elsewhere"),
            b"/usr/lib/x.py": _held(b"y"),
        }

    def read(self, folder: str, *, is_named: bool = False) -> str:
        return folder

    def content(self, path: bytes) -> bytes:
        assert path == b"/app/a.py"
        return b"x = 1\n"

    def close(self) -> None:
        """Nothing was kept."""


class _Daemon:
    def close(self) -> None:
        """No connection."""


@contextmanager
def _opened(*_arguments: Any) -> Iterator[None]:
    yield None


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSnapshotter:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setattr(client, "connect", _Daemon)
    monkeypatch.setattr(sandbox, "remove_orphans", lambda _daemon: None)
    monkeypatch.setattr(sandbox, "open_image_files", _opened)
    monkeypatch.setattr(images, "find", lambda *_arguments: _IMAGE)
    monkeypatch.setattr(image_stage, "ImageFiles", _Files)
    return ImageSnapshotter(tmp_path, "image:acme/web:/app")


def test_entries_have_the_paths_of_the_project(stage: ImageSnapshotter) -> None:
    seen = stage.snapshot()

    assert (seen.kind, seen.digests) == (StageKind.IMAGE, (("image", "sha256:1"),))
    assert {path: entry.mode for path, entry in seen.manifest.entries.items()} == {
        b"a.py": FILE,
        b"run": EXECUTABLE,
        b"link": LINK,
    }
    assert seen.manifest.entries[b"a.py"].sha256 == hashlib.sha256(b"x = 1\n").hexdigest()
    assert seen.manifest.extras.special == {b"pipe": "something special"}
    assert [item.path for item in seen.unproven] == ["hard"]
    assert seen.notes == ("the project is in /app, by the command line",)


def test_contents_are_those_of_the_image_and_links_their_text(stage: ImageSnapshotter) -> None:
    stage.snapshot()

    assert stage.originals([b"a.py", b"link"]) == {b"a.py": b"x = 1\n", b"link": b"a.py"}


def test_a_name_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ImageSnapshotter(tmp_path, "image:")
