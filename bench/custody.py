"""Manifests and archives beside the tools that people would use."""

from __future__ import annotations

import io
import random
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.limits import seconds
from bench.measure import Command, memory, ratio, side_by_side
from tests.project.ignore import test_gcloud

if TYPE_CHECKING:
    from bench.peers import Row

_PACK = """
import sys
from pathlib import Path
from buildguard.system import git
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
pack(commit_of(git.repository_of(Path(".")), "HEAD"), Path(sys.argv[1]))
"""
_LARGE = 1 << 30


def custody(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    """The manifest of a tree, the archive of a commit, and an archive of a gigabyte hashed."""
    ours, theirs, large = scratch / "ours.tgz", scratch / "theirs.tgz", scratch / "large.tgz"
    _write_large_archive(large)
    buildguard = str(Path(sys.executable).with_name("buildguard"))
    timings = side_by_side(
        {
            "manifest": Command([buildguard, "manifest"], folder),
            "sha256sum": Command(["sh", "-c", "git ls-files -z | xargs -0 -P2 sha256sum"], folder),
            "archive": Command([sys.executable, "-c", _PACK, str(ours)], folder),
            "tar -cz": Command(["tar", "--exclude=./.git", "-czf", str(theirs), "."], folder),
            "1 GB archive": Command([buildguard, "manifest", f"tar:{large}"], folder),
            "gzip and sha256sum": Command(["sh", "-c", f"gzip -dc '{large}' | sha256sum"], folder),
            **_gcloud(folder, scratch / "gcloud.tgz"),
        },
        rounds,
    )
    own, _child = memory(["manifest", f"tar:{large}"], folder)
    size = ours.stat().st_size / theirs.stat().st_size
    rows: list[Row] = [
        ("manifest: of `sha256sum` over 2 cores", ratio(timings["manifest"], timings["sha256sum"]), "1"),
        ("archive of a commit: of `tar -cz`", ratio(timings["archive"], timings["tar -cz"]), "0.40"),
        ("archive of a commit: size, of `tar -cz`", f"{size:.2f}", "1.15"),
    ]
    if "gcloud" in timings:
        rows.append(("archive of a commit: of gcloud's own", ratio(timings["archive"], timings["gcloud"]), ""))
    return [
        *rows,
        (
            "1 GB archive hashed: of `gzip -dc \\| sha256sum`",
            ratio(timings["1 GB archive"], timings["gzip and sha256sum"]),
            "1.3",
        ),
        ("1 GB archive hashed: peak memory, MB", f"{own:.0f}", "100"),
        *seconds("custody", timings, "manifest", "archive", "1 GB archive"),
    ]


def _gcloud(folder: Path, out: Path) -> dict[str, Command]:
    """What `gcloud builds submit` does before it uploads, where it is installed."""
    found = test_gcloud.sdk()
    if found is None:
        return {}
    root, python = found
    return {"gcloud": Command([str(python), str(test_gcloud.ASK), str(root), str(folder), str(out)], folder)}


def _write_large_archive(file: Path) -> None:
    """A gigabyte of text in some thousand files; the same each time."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz_=() \n", k=rng.randint(3, 12))) for _ in range(5000)]
    text = " ".join(rng.choices(words, k=1 << 17)).encode()
    with tarfile.open(file, "w:gz", compresslevel=1) as tar:
        written = number = 0
        while written < _LARGE:
            at = rng.randrange(len(text))
            content = (text[at:] + text)[: rng.randint(100_000, 1_000_000)]
            info = tarfile.TarInfo(f"d{number % 50}/f{number}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            written, number = written + len(content), number + 1
