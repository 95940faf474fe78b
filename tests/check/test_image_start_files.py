"""What an image's own command starts Python with is looked for as Python does, wherever it is in the image."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildguard.check.image_start_files import find_missing_start, find_shadows, find_start_files, read_start
from buildguard.docker.image_source import ExportedFilesystem
from buildguard.docker.image_stage import ImageFiles
from buildguard.docker.images import Image
from buildguard.project.image_reference import ImageDigest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILES = {
    "app/main.py": b"",
    "app/start": b"x = 1\n",
    "opt/z/main.py": b"",
    "opt/z/pkg/__init__.py": b"",
    "opt/z/pkg/__main__.py": b"",
    "opt/run.sh": b"#!/bin/sh\nexec python /opt/z/main.py\n",
    "usr/local/bin/python": b"",
    "usr/local/lib/python3.8/json/__init__.py": b"",
    "usr/local/lib/python3.8/random.py": b"",
    "usr/local/lib/python3.8/site-packages/web/__init__.py": b"",
    "path/json/__init__.py": b"",
    "path/random/none.py": b"",
    "path/os.py": b"",
    "path/graphlib.py": b"",
    "path/own.cpython-38-x86_64-linux-gnu.so": b"",
    "bare/random.pyc": b"",
}
_LINKS = {"srv": "/opt", "app/linked.py": "/opt/z/main.py", "app/lost.py": "nowhere.py", "app/round.py": "round.py"}


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[ExportedFilesystem]:
    file = tmp_path / "image.tar"
    with tarfile.open(file, "w") as tar:
        for folder in ("app", "opt", "opt/z", "opt/z/pkg", "usr", "usr/local", "usr/local/bin"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, content in _FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, target in _LINKS.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    opened = ExportedFilesystem(file)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("folder", "command", "expected"),
    [
        ("/app", "python main.py", "/app/main.py"),
        ("/opt/z", "python main.py", "/opt/z/main.py"),
        ("/srv/z", "python main.py", "/opt/z/main.py"),
        ("/app", "python /opt/z/main.py --port 80", "/opt/z/main.py"),
        ("/app", "python -m main", "/app/main.py"),
        ("/opt/z", "python -m pkg", "/opt/z/pkg/__main__.py"),
        ("/opt/z", "gunicorn pkg:app", "/opt/z/pkg/__init__.py"),
        ("/app", "/opt/run.sh", "/opt/z/main.py"),
        ("/app", "python start", "/app/start"),
        ("/app", "python start/more.py", ""),
        ("/app", "python linked.py", "/opt/z/main.py"),
        ("/app", "python lost.py", ""),
        ("/app", "python round.py", ""),
        ("/app", "python gone.py", ""),
        ("/app", "python -m http.server", ""),
        ("/app", "python", ""),
        ("/app", "nginx", ""),
        ("/app", "", ""),
    ],
)
def test_the_file_of_a_start(cell: ExportedFilesystem, folder: str, command: str, expected: str) -> None:
    image = Image("x", "sha256:1", ImageDigest(""), "linux/amd64", (), folder, tuple(command.split()))
    files = ImageFiles(cell)
    try:
        found = find_start_files(read_start(image, cell, files), image, cell, files)
        assert [path.decode() for path in found] == ([expected] if expected else [])
        assert files.entries.keys() >= {*found}
    finally:
        files.close()


def _image(folder: str, command: str, *env: str) -> Image:
    return Image("x", "sha256:1", ImageDigest(""), "linux/amd64", env, folder, tuple(command.split()))


@pytest.mark.parametrize(
    ("folder", "command", "missing"),
    [
        ("/app", "python main.py", ""),
        ("/app", "python gone.py", "/app/gone.py"),
        ("/srv/z", "python main.py", ""),
        ("/app", "python -m main", ""),
        ("/", "python -m main", "the module main"),
        ("/app", "python -m pkg.other", "the module pkg.other"),
        ("/opt/z", "python -m pkg.other", "the module pkg.other"),
        ("/opt/z", "python -m pkg", ""),
        ("/app", "python -m web.other", ""),  # a package may search where it likes
        ("/app", "python -m http.server", ""),
        ("/path", "python -m own", ""),
        ("/app", "/opt/run.sh", ""),
        ("/app", "/opt/gone.sh", "/opt/gone.sh"),
        ("/app", "nginx", "nginx"),
        ("/app", "pypy main.py", ""),  # its engine reports it
        ("/app", "python", ""),
        ("/app", "", ""),
    ],
)
def test_what_an_image_starts_and_does_not_have(
    cell: ExportedFilesystem, folder: str, command: str, missing: str
) -> None:
    files = ImageFiles(cell)
    try:
        image = _image(folder, command)
        assert find_missing_start(read_start(image, cell, files), image, cell, files) == missing
    finally:
        files.close()


def test_a_relative_folder_on_path_may_have_any_program(cell: ExportedFilesystem) -> None:
    files = ImageFiles(cell)
    try:
        image = _image("/app", "nginx", "PATH=/bin:tools")
        assert find_missing_start(read_start(image, cell, files), image, cell, files) == ""
    finally:
        files.close()


@pytest.mark.parametrize(
    ("folder", "command", "env", "shadows"),
    [
        ("/path", "python -m own", (), [(b"/path/json/__init__.py", "json")]),
        ("/app", "python main.py", ("PYTHONPATH=/path",), [(b"/path/json/__init__.py", "json")]),
        ("/bare", "gunicorn main:app", (), [(b"/bare/random.pyc", "random")]),
        ("/app", "python main.py", (), []),
        ("/", "python -m own", (), []),
        ("/path", "python", (), []),
    ],
)
def test_a_file_in_place_of_the_standard_library(
    cell: ExportedFilesystem, folder: str, command: str, env: tuple[str, ...], shadows: list[tuple[bytes, str]]
) -> None:
    """A folder without `__init__.py`, what Python starts with and what its library lacks do not count."""
    files = ImageFiles(cell)
    try:
        image = _image(folder, command, *env)
        assert list(find_shadows(read_start(image, cell, files), image, cell, files)) == shadows
    finally:
        files.close()
