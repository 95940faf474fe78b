"""The 29 faults of which every other format in use misses some: each is listed, as a finding or as a note."""

from __future__ import annotations

import os
import shutil
import unicodedata
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import diff
from tests.compare.damage import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_NFC = unicodedata.normalize("NFC", "é.txt")


def _keeping_times(name: str, content: bytes) -> Callable[[Path], object]:
    def do(tree: Path) -> None:
        before = os.stat(tree / name)
        (tree / name).write_bytes(content)
        os.utime(tree / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return do


def _relinked(name: str, target: str) -> Callable[[Path], object]:
    def do(tree: Path) -> None:
        (tree / name).unlink()
        (tree / name).symlink_to(target)

    return do


def _copied(tree: Path) -> None:
    (tree / "link").unlink()
    shutil.copy(tree / "a.py", tree / "link")


def _linked(tree: Path) -> None:
    (tree / "copy.py").unlink()
    (tree / "copy.py").symlink_to("a.py")


def _swapped(tree: Path) -> None:
    (tree / "a.py").rename(tree / "x")
    (tree / "b.py").rename(tree / "a.py")
    (tree / "x").rename(tree / "b.py")


FINDINGS: dict[str, Callable[[Path], object]] = {
    "bit flip with size and time kept": _keeping_times("a.py", b"x = 3\n"),
    "LF to CRLF": lambda tree: write(tree, {"a.py": b"x = 1\r\n"}),
    "BOM": lambda tree: write(tree, {"a.py": b"\xef\xbb\xbfx = 1\n"}),
    "truncation": lambda tree: write(tree, {"a.py": b"x"}),
    "emptied": lambda tree: write(tree, {"a.py": b""}),
    "missing file": lambda tree: (tree / "a.py").unlink(),
    "missing empty file": lambda tree: (tree / "empty.py").unlink(),
    "extra file": lambda tree: write(tree, {"new.py": b"n\n"}),
    "extra file that an ignore rule names": lambda tree: write(tree, {"x.log": b"n\n"}),
    "extra empty file": lambda tree: write(tree, {"new.py": b""}),
    "+x": lambda tree: (tree / "a.py").chmod(0o755),
    "-x": lambda tree: (tree / "run").chmod(0o644),
    "link re-aimed": _relinked("link", "b.py"),
    "dangling link removed": lambda tree: (tree / "dangling").unlink(),
    "dangling link re-aimed": _relinked("dangling", "elsewhere"),
    "link to a folder re-aimed": _relinked("folder", "other"),
    "link to copy": _copied,
    "file to link with the same bytes": _linked,
    "NFC to NFD": lambda tree: (tree / _NFC).rename(tree / unicodedata.normalize("NFD", _NFC)),
    "case": lambda tree: (tree / "b.py").rename(tree / "B.py"),
    "two files swapped": _swapped,
    "extra dangling link": lambda tree: (tree / "new").symlink_to("nowhere"),
    "extra link to a folder": lambda tree: (tree / "new").symlink_to("other"),
    "a name with a backslash": lambda tree: write(tree, {"app\\evil.py": b"n\n"}),
    "a name with a line break": lambda tree: write(tree, {"a\nb.py": b"n\n"}),
}
NOTES: dict[str, Callable[[Path], object]] = {
    "0600": lambda tree: (tree / "a.py").chmod(0o600),
    "empty folder removed": lambda tree: (tree / "hollow").rmdir(),
    "empty folder added": lambda tree: (tree / "new").mkdir(),
    "FIFO": lambda tree: os.mkfifo(tree / "new"),
}


def _trees(tmp_path: Path, do: Callable[[Path], object]) -> list[str]:
    for name in ("clean", "damaged"):
        tree = tmp_path / name
        files = ("a.py", "copy.py", "b.py", "run", _NFC, "app/evil.py", "other/o.py", "real/r.py", ".gitignore")
        write(tree, {one: b"%b = 2\n" % one.encode() for one in files})
        write(tree, {"a.py": b"x = 1\n", "copy.py": b"x = 1\n", "empty.py": b"", ".gitignore": b"*.log\n"})
        (tree / "hollow").mkdir()
        (tree / "run").chmod(0o755)
        for link, target in {"link": "a.py", "dangling": "nowhere", "folder": "real"}.items():
            (tree / link).symlink_to(target)
    do(tmp_path / "damaged")
    return [f"dir:{tmp_path}/clean", f"dir:{tmp_path}/damaged"]


def test_there_are_twenty_nine() -> None:
    assert len(FINDINGS) + len(NOTES) == 29


@pytest.mark.parametrize("fault", FINDINGS)
def test_each_of_these_is_a_finding(tmp_path: Path, fault: str) -> None:
    chain = diff.diff(tmp_path, _trees(tmp_path, FINDINGS[fault])).chain

    assert chain.hops[0].findings
    assert chain.exit_code == 1


@pytest.mark.parametrize("fault", NOTES)
def test_each_of_these_is_a_note_and_a_finding_if_asked(tmp_path: Path, fault: str) -> None:
    stages = _trees(tmp_path, NOTES[fault])

    chain, strict = diff.diff(tmp_path, stages).chain, diff.diff(tmp_path, stages, strict=True).chain

    assert chain.hops[0].notes
    assert (chain.hops[0].differences, chain.exit_code, strict.exit_code) == ((), 0, 1)
