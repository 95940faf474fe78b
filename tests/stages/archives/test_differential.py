"""What the readers accept, every other program reads the same way: GNU tar, bsdtar, unzip and Python's own modules."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages.archives import reader
from buildguard.stages.manifest import EXECUTABLE, LINK, Manifest
from tests.conftest import ALL
from tests.stages.archives import odd_archives
from tests.stages.archives.readers import Listing, composed, listings

pytestmark = pytest.mark.interpreters

_CASES = 5_000 if ALL else 120


def _ours(manifest: Manifest) -> Listing:
    entries: Listing = dict.fromkeys(manifest.extras.folders, ("d", ""))
    for path, entry in manifest.entries.items():
        program = "x" if entry.mode == EXECUTABLE else "-"
        entries[path] = ("l", entry.text) if entry.mode == LINK else (program, entry.sha256)
    for path in list(entries):
        while path := os.path.dirname(path):
            entries[path] = ("d", "")
    return entries


def differences(data: bytes, kind: str, place: Path) -> list[str]:
    """How other programs read an archive that the reader accepts; empty where it refuses it, or all agree."""
    file = place / f"x.{kind}"
    file.write_bytes(data)
    try:
        ours = _ours(reader.read(file).manifest)
    except UnprovenError:
        return []
    answers = listings(file, kind, place)
    wrong = [name for name, answer in answers.items() if not _is_same(name, answer, ours)]
    return [f"{name}: {answers[name]!r}, ours: {ours!r}" for name in wrong] or ["="]


def _is_same(program: str, answer: Listing | str, ours: Listing) -> bool:
    """Whether a program sees the same tree; bsdtar composes names of pax headers and zips, and no others."""
    if isinstance(answer, str):
        # unzip takes the sizes behind stored data for a part of the next member, and refuses the file
        return program == "unzip" and "overlapped components" in answer
    return answer == ours or (program == "bsdtar" and _composed(answer) == _composed(ours))


def _composed(listing: Listing) -> Listing:
    return {
        composed(path): (kind, composed(text) if isinstance(text, bytes) else text)
        for path, (kind, text) in listing.items()
    }


@pytest.mark.interpreters
@pytest.mark.parametrize(("kind", "make"), [("tar", odd_archives.tar), ("zip", odd_archives.zip_file)])
def test_accepted_archives_are_read_alike(tmp_path: Path, kind: str, make: Callable[[random.Random], bytes]) -> None:
    accepted = 0
    for seed in range(_CASES):
        found = differences(make(random.Random(seed)), kind, tmp_path)
        accepted += bool(found)
        assert found in ([], ["="]), (seed, found)

    assert accepted > _CASES // 50
