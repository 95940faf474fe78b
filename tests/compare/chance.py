"""Random trees and random damage, with an oracle of its own: whether two trees differ is told without buildguard."""

from __future__ import annotations

import os
import random
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from buildguard.compare import difference
from buildguard.compare.explain import explain_differences
from buildguard.compare.hop_evidence import HopEvidence
from buildguard.stages.archives import reader
from buildguard.stages.filesystem_snapshot import DiskSnapshotter
from buildguard.stages.snapshot import Snapshot, StageKind

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = (
    "a.py",
    "b.py",
    "Ü.py",
    "u\u0308.py",
    "c d.txt",
    "x\\y",
    "new\nline",
    "run",
    "É",
    "data.bin",
    ".hidden",
    "-",
    "#",
)
_LINES = (b"x = 1", b"", b"# comment", "s = 'Zürich'".encode(), b"\tpass", b"print(f'{x}')", b"\0\1\2")


def tree(root: Path, rng: random.Random) -> None:
    """Some files, folders and links."""
    root.mkdir()
    folders = [root]
    for number in range(rng.randint(0, 3)):
        folder = rng.choice(folders) / f"d{number}"
        folder.mkdir(exist_ok=True)
        folders.append(folder)
    for name in rng.sample(_NAMES, rng.randint(3, 8)):
        path = rng.choice(folders) / name
        path.write_bytes(content(rng))
        path.chmod(rng.choice((0o644, 0o644, 0o755)))
    if rng.random() < 0.5:
        (rng.choice(folders) / "link").symlink_to(rng.choice(("a.py", "nowhere", "d0")))


def content(rng: random.Random) -> bytes:
    end = rng.choice((b"\n", b"\n", b"\r\n"))
    return end.join(rng.choice(_LINES) for _ in range(rng.randint(0, 12))) + rng.choice((b"", end))


def seen(root: Path) -> dict[bytes, tuple[str, int, bytes]]:
    """The oracle: every file and link below a folder with its kind, executable bit and content."""
    found = {}
    base = os.fsencode(root)
    for folder, folders, files in os.walk(base):
        for name in [*files, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[os.path.relpath(path, base)] = ("link", 0, os.readlink(path))
            else:
                found[os.path.relpath(path, base)] = (
                    "file",
                    os.stat(path).st_mode & 0o100,
                    Path(os.fsdecode(path)).read_bytes(),
                )
    return found


def damage(root: Path, rng: random.Random) -> str:
    """Do something to a tree until the oracle says that it is another one; what it was."""
    before = seen(root)
    while True:
        name = _once(root, rng)
        if seen(root) != before:
            return name


def _once(root: Path, rng: random.Random) -> str:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    path = rng.choice(files) if files else root / "made"
    do = rng.choice(_WAYS if files else [_extra])
    do(path, root, rng)
    return do.__name__.strip("_")


def _flip(path: Path, _root: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))


def _cut(path: Path, _root: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randint(0, len(data))])


def _swap(path: Path, root: Path, rng: random.Random) -> None:
    other = rng.choice([one for one in sorted(root.rglob("*")) if one.is_file() and not one.is_symlink()])
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def _rename(path: Path, _root: Path, rng: random.Random) -> None:
    new = path.with_name(rng.choice((path.name.upper(), path.name + "x", "z", path.name.lower())))
    if not os.path.lexists(new):
        path.rename(new)


def _duplicate(path: Path, _root: Path, _rng: random.Random) -> None:
    shutil.copy(path, path.with_name(path.name + "2"))


def _remove(path: Path, _root: Path, _rng: random.Random) -> None:
    path.unlink()


def _extra(path: Path, _root: Path, rng: random.Random) -> None:
    path.with_name("extra").write_bytes(content(rng))


def _insert(path: Path, _root: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    at = rng.randint(0, len(data))
    path.write_bytes(data[:at] + rng.choice((b"\r", b"\n", b"\xef\xbb\xbf", b"\0", b" ", b"x")) + data[at:])


def _mode(path: Path, _root: Path, _rng: random.Random) -> None:
    path.chmod(path.stat().st_mode ^ 0o111)


def _link(path: Path, _root: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("a.py", "x")))


def _copy_of_link(_path: Path, root: Path, _rng: random.Random) -> None:
    for one in sorted(root.rglob("link")):
        if one.is_symlink():
            text = os.readlink(one)
            one.unlink()
            one.write_text(text)


_WAYS: list[Callable[[Path, Path, random.Random], None]] = [
    _flip, _cut, _swap, _rename, _duplicate, _remove, _extra, _insert, _mode, _link, _copy_of_link,
]  # fmt: skip


def of_folder(root: Path) -> Snapshot:
    return DiskSnapshotter("dir:x", root, None).snapshot()


def of_tar(root: Path) -> Snapshot:
    """By Python's own writer, so that thousands need no process each."""
    file = root.with_suffix(".tar")
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(root, "")
    return Snapshot("tar:x", StageKind.ARCHIVE, reader.read(file).manifest)


def judged(before: Snapshot, after: Snapshot) -> bool:
    """Whether anything differs, by the rows and by the root digests, which have to agree."""
    rows = difference.find_differences(before, after)
    assert bool(rows) == (before.manifest.digest != after.manifest.digest)
    return bool(explain_differences(rows, before, after, HopEvidence()))


def injection(folder: Path, seed: int) -> tuple[str, bool]:
    """One random injection at one random pair of stages: what was done, and whether it was seen."""
    rng = random.Random(seed)
    clean, damaged = folder / "clean", folder / "damaged"
    for one in (clean, damaged):
        shutil.rmtree(one, ignore_errors=True)
    tree(clean, rng)
    shutil.copytree(clean, damaged, symlinks=True)
    first, second = rng.choice((of_folder, of_tar)), rng.choice((of_folder, of_tar))
    before = first(clean)
    assert not judged(before, second(damaged)), "a clean copy is identical"
    name = damage(damaged, rng)
    return name, judged(before, second(damaged))
