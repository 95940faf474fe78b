"""The archive that is sent: the same bytes everywhere, exactly the commit's files, and read back before it counts."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.errors import UnprovenError
from buildguard.project.source_archive import PackedArchive, pack
from buildguard.stages import manifest
from buildguard.stages.archives import gzip as archives_gzip
from buildguard.stages.archives import reader, writer
from buildguard.stages.archives.writer import ArchiveItem
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.compare import damage
from tests.compare.chance import of_folder
from tests.conftest import REPOSITORY, interpreter, missing
from tests.stages.archives.readers import listings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_WHEN = {"GIT_AUTHOR_DATE": "1700000000 +0100", "GIT_COMMITTER_DATE": "1700000000 +0100"}
_PROGRAM = """
import sys
from pathlib import Path
from buildguard.system import git
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
repository = git.repository_of(Path("."))
print(pack(commit_of(repository, "HEAD"), Path(sys.argv[1])).written.digest)
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pack") / "repo"
    damage.repository(made)
    damage.write(
        made,
        {"deep/" * 30 + "file.py": b"x = 1\n", "n" * 200 + ".txt": b"long\n", os.fsdecode(b"\xff" * 120): b"odd\n"},
    )
    (made / "far").symlink_to("t" * 150)
    damage.git(made, "add", "--all")
    damage.git(made, "commit", "--quiet", "--message", "more", env=_WHEN)
    return made


def _packed(repo: Path, out: Path, **options: Any) -> PackedArchive:
    repository = gits.repository_of(repo)
    assert repository is not None
    return pack(commit_of(repository, "HEAD"), out, **options)


def _digest(python: Path, repo: Path, out: Path, env: dict[str, str] | None = None, umask: int = 0o022) -> str:
    done = subprocess.run(
        [python, "-c", _PROGRAM, out],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})},
        capture_output=True,
        umask=umask,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = done.stdout.decode().strip()
    unpacked = subprocess.run(["gzip", "-dc", out], capture_output=True, check=True).stdout
    assert hashlib.sha256(unpacked).hexdigest() == told
    return told


def test_one_commit_gives_one_tar_everywhere(repo: Path, tmp_path: Path) -> None:
    shallow, linked = tmp_path / "shallow", tmp_path / "linked"
    damage.git(repo, "clone", "--quiet", "--depth", "1", f"file://{repo}", str(shallow))
    damage.git(repo, "worktree", "add", "--quiet", str(linked))
    out = tmp_path / "out.tgz"
    first = _packed(repo, out).written.digest

    assert {_digest(interpreter(version), repo, out) for version in ("3.11", "3.12", "3.13")} == {first}
    python = interpreter("3.11")
    assert _digest(python, shallow, out) == first
    assert _digest(python, linked, out) == first
    assert _digest(python, repo, out, {"TZ": "Pacific/Auckland", "LC_ALL": "C"}, umask=0o077) == first
    assert _digest(python, repo, out, {"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8"}) == first


def test_every_reader_finds_the_commit_in_it(repo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tgz"
    packed = _packed(repo, out)
    checkout = tmp_path / "checkout"
    damage.git(repo, "clone", "--quiet", str(repo), str(checkout))
    expected = of_folder(checkout).manifest.entries

    assert reader.read(out).manifest.entries == expected
    assert {path: one._replace(blob="") for path, one in expected.items()} == packed.written.manifest.entries
    for tool in (["tar"], ["bsdtar"], ["busybox", "tar"]):
        if shutil.which(tool[0]) is None:
            missing(tool[0], "apt-get install libarchive-tools busybox-static")
        unpacked = tmp_path / tool[0]
        unpacked.mkdir()
        subprocess.run([*tool, "-xzf", out, "-C", unpacked], check=True)
        carried = unpacked / ".buildguard" / "manifest"
        assert manifest.parse(carried.read_bytes(), "it").digest == packed.written.manifest.digest
        assert hashlib.sha256(carried.read_bytes()).hexdigest() == packed.written.manifest.digest.removeprefix(
            "sha256:"
        )
        assert of_folder(unpacked).manifest.entries == expected


def test_the_headers_say_nothing_of_the_machine(repo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tgz"
    packed = _packed(repo, out)

    assert out.read_bytes()[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    with tarfile.open(out) as tar:
        members = tar.getmembers()
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}
    assert {one.mtime for one in members} == {1_700_000_000}
    assert {one.mode for one in members if one.isreg()} == {0o644, 0o755}
    names = [one.name for one in members][:-2]
    assert names == sorted(names, key=os.fsencode)
    assert packed.written.file_digest == hashlib.sha256(out.read_bytes()).hexdigest()
    assert packed.written.size == out.stat().st_size


def test_untracked_and_edited_files_are_not_sent(repo: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    damage.git(repo, "clone", "--quiet", str(repo), str(checkout))
    clean = _packed(checkout, tmp_path / "a.tgz").written.digest
    damage.write(checkout, {"untracked.py": b"secret\n", "app/main.py": b"edited\n"})

    assert _packed(checkout, tmp_path / "b.tgz").written.digest == clean


def test_a_dirty_run_says_so_and_sends_the_bytes_of_the_worktree(repo: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    damage.git(repo, "clone", "--quiet", str(repo), str(checkout))
    damage.write(checkout, {"untracked.py": b"secret\n", "app/main.py": b"edited\n"})
    os.utime(checkout / "app/main.py", (1_800_000_000, 1_800_000_000))
    (checkout / "app/one.py").chmod(0o755)
    (checkout / "README").unlink()
    out = tmp_path / "out.tgz"

    packed = _packed(checkout, out, worktree=checkout)

    assert set(packed.dirty) == {b"app/main.py", b"app/one.py", b"README"}
    found = reader.read(out).manifest.entries
    assert found[b"app/main.py"].sha256 == hashlib.sha256(b"edited\n").hexdigest()
    assert found[b"app/one.py"].mode == manifest.EXECUTABLE
    assert not {b"untracked.py", b"README"} & found.keys()
    with tarfile.open(out) as tar:
        # with the time of the commit a builder would take it for the file that it has
        assert tar.getmember("app/main.py").mtime == 1_800_000_000
        assert tar.getmember("app/two.py").mtime == 1_700_000_000


def test_what_is_dropped_is_told_with_its_rule(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    damage.repository(repo)
    damage.write(repo, {".gcloudignore": b"#!include:.gitignore\n/app/one.py\n", ".gitignore": b"*.bin\n"})
    damage.git(repo, "add", "--all")
    damage.git(repo, "commit", "--quiet", "--message", "rules")

    packed = _packed(repo, tmp_path / "out.tgz")

    assert {path: str(rule) for path, rule in packed.dropped} == {
        b"app/one.py": ".gcloudignore:2: /app/one.py",
        b"data.bin": ".gitignore:1: *.bin",
    }
    assert not {b"app/one.py", b"data.bin"} & packed.written.manifest.entries.keys()


def test_a_folder_of_the_project_is_sent_as_the_root(repo: Path, tmp_path: Path) -> None:
    packed = _packed(repo, tmp_path / "out.tgz", prefix=b"app/")

    assert b"main.py" in packed.written.manifest.entries
    assert all(not path.startswith(b"app/") for path in packed.written.manifest.entries)


def test_a_committed_manifest_is_not_ours(repo: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    damage.git(repo, "clone", "--quiet", str(repo), str(checkout))
    damage.write(checkout, {".buildguard/manifest": b"a lie", ".buildguard/verify.py": b"x = 1\n"})
    damage.git(checkout, "add", "--all")
    damage.git(checkout, "commit", "--quiet", "--message", "a lie")
    out = tmp_path / "out.tgz"

    packed = _packed(checkout, out)

    with tarfile.open(out) as tar:
        inside = tar.extractfile(".buildguard/manifest")
        assert inside is not None
        assert inside.read() == packed.written.manifest.rows()
        assert tar.getmember(".buildguard/verify.py").size == 6
        assert [one.name for one in tar].count(".buildguard") == 1


class _Lossy:
    """A compressor that loses a byte, once."""

    error = zlib.error

    def __init__(self) -> None:
        self._real = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)

    @staticmethod
    def compressobj(*_settings: int, **_dictionary: bytes) -> _Lossy:
        return _Lossy()

    decompressobj = staticmethod(zlib.decompressobj)

    def compress(self, data: bytes) -> bytes:
        return self._real.compress(data[:100] + data[101:])

    def flush(self, mode: int) -> bytes:
        return self._real.flush(mode)


class _Broken(_Lossy):
    """A compressor whose output is none."""

    @staticmethod
    def compressobj(*_settings: int, **_dictionary: bytes) -> _Broken:
        return _Broken()

    def flush(self, mode: int) -> bytes:
        return super().flush(mode) + b"\xff\xff"


@pytest.mark.parametrize("library", [_Lossy, _Broken])
def test_a_compressor_that_loses_bytes_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: type[_Lossy]
) -> None:
    monkeypatch.setattr(archives_gzip, "_library", lambda: (library, 1))

    with pytest.raises(UnprovenError, match="unpacks to something else"):
        writer.write_archive(tmp_path / "x.tgz", [ArchiveItem(b"a.py", manifest.FILE, os.urandom(5 << 20), 1)], [], 1)


@pytest.mark.parametrize("standard", [False, True])
def test_many_pieces_are_one_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, standard: bool) -> None:
    """What lies further back than a piece is long, what is larger than a piece, and what no compressor makes smaller."""
    if standard:
        monkeypatch.setattr(archives_gzip, "_library", lambda: (zlib, 4))
    once = os.urandom(20_000)
    contents = [once * 60, b"", once, os.urandom(3 << 20), *(once[at:] for at in range(0, 20_000, 1000))]
    items = [ArchiveItem(b"f%03d" % number, manifest.FILE, one, 1) for number, one in enumerate(contents)]

    written = writer.write_archive(tmp_path / "x.tgz", items, [], 1)

    data = (tmp_path / "x.tgz").read_bytes()
    inside = gzip.decompress(data)
    assert hashlib.sha256(inside).hexdigest() == written.digest
    assert b"".join(archives_gzip.gunzip(iter([data]))) == inside
    subprocess.run(["gzip", "-t", tmp_path / "x.tgz"], check=True)
    with tarfile.open(tmp_path / "x.tgz") as tar:
        for one, content in zip(items, contents, strict=True):
            found = tar.extractfile(one.path.decode())
            assert found is not None
            assert found.read() == content
    assert len(data) < len(inside) * 0.8


def test_a_disk_that_loses_bytes_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        os.pwrite(descriptor, b"\0", 30)

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(UnprovenError, match="does not hold what was written"):
        writer.write_archive(tmp_path / "x.tgz", [ArchiveItem(b"a.py", manifest.FILE, os.urandom(500), 1)], [], 1)


def test_a_full_disk_is_no_archive() -> None:
    from pathlib import Path

    with pytest.raises(UnprovenError, match="could not be written"):
        writer.write_archive(Path("/dev/full"), [ArchiveItem(b"a.py", manifest.FILE, b"x", 1)], [], 1)


def test_without_the_fast_library_the_tar_is_the_same(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = _packed(repo, tmp_path / "fast.tgz").written
    monkeypatch.setattr(archives_gzip, "_library", lambda: (zlib, 4))

    standard = _packed(repo, tmp_path / "standard.tgz").written

    assert fast.digest == standard.digest
    assert fast.file_digest != standard.file_digest


def test_names_that_a_reader_would_change_come_back(tmp_path: Path) -> None:
    long = "e\u0301" * 60 + ".py"
    names = ["a:b.py", "\\x.py", "c:/d.py", long]
    made = tmp_path / "repo"
    made.mkdir()
    damage.git(made, "init", "--quiet")
    damage.write(made, dict.fromkeys(names, b"x = 1\n"))
    damage.git(made, "add", "--all")
    damage.git(made, "commit", "--quiet", "--message", "odd")

    _packed(made, tmp_path / "out.tgz")
    seen = listings(tmp_path / "out.tgz", "tar", tmp_path)

    expected = {os.fsencode(name) for name in names}
    assert expected <= set(reader.read(tmp_path / "out.tgz").manifest.entries)
    for program, listing in seen.items():
        assert expected <= set(listing), program
