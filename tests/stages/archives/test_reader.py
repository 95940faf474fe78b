"""Source archives: as people make them they are read, and what two parsers would read differently is refused by name."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages.archives import gzip as archives_gzip
from buildguard.stages.archives import reader
from tests.compare import damage
from tests.compare.chance import of_folder
from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.stages.manifest import Manifest


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("archives") / "repo"
    damage.repository(made)
    (made / ("long" * 40)).mkdir()
    (made / ("long" * 40) / ("name" * 50)).write_bytes(b"long\n")
    (made / "twin").hardlink_to(made / "README")
    damage.git(made, "add", "--all")
    damage.git(made, "commit", "--quiet", "--message", "more")
    return made


_COMMANDS = {
    "tar -C dir -czf": "tar -C {repo} --exclude=./.git -czf {out} .",
    "tar of names": "cd {repo} && tar --no-unquote --exclude=.git -cf {out} *",
    "tar --format=pax": "tar -C {repo} --exclude=./.git --format=pax -cf {out} .",
    "tar --format=gnu": "tar -C {repo} --exclude=./.git --format=gnu -cf {out} .",
    "tar | gzip -1": "tar -C {repo} --exclude=./.git -cf - . | gzip -1 > {out}",
    "git archive": "git -C {repo} archive HEAD > {out}",
    "git archive --format=tgz": "git -C {repo} archive --format=tgz HEAD > {out}",
    "git archive --format=zip": "git -C {repo} archive --format=zip HEAD > {out}",
    "bsdtar": "bsdtar -C {repo} --exclude ./.git -czf {out} .",
    "bsdtar pax": "bsdtar -C {repo} --exclude ./.git --format=pax -cf {out} .",
    "zip -ry": "cd {repo} && zip -qry {out}.zip . -x './.git/*' './caf*' && mv {out}.zip {out}",
    "zip -r to a pipe": "cd {repo} && zip -qry - . -x './.git/*' './caf*' > {out}",
}


@pytest.mark.interpreters
@pytest.mark.parametrize("command", _COMMANDS)
def test_archives_as_people_make_them(repo: Path, tmp_path: Path, command: str) -> None:
    tool = command.split(maxsplit=1)[0]
    if shutil.which(tool) is None:
        missing(tool, f"apt-get install {({'bsdtar': 'libarchive-tools'}).get(tool, tool)}")
    out = tmp_path / "out"
    subprocess.run(
        ["sh", "-c", _COMMANDS[command].format(repo=repo, out=out)], check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )

    found = reader.read(out)

    expected = dict(of_folder(repo).manifest.entries)
    if command == "tar of names":
        expected = {path: one for path, one in expected.items() if not path.startswith(b".")}
    if command.startswith("zip"):
        # Info-ZIP marks its names as UTF-8 only where the locale calls itself so
        expected = {path: one for path, one in expected.items() if path.isascii()}
    assert found.manifest.entries == expected
    if command.startswith("git archive") and "zip" not in command:
        assert found.comment == damage.git(repo, "rev-parse", "HEAD").strip()


@pytest.mark.interpreters
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archives_of_python(repo: Path, tmp_path: Path, form: int, mode: str) -> None:
    out = tmp_path / "out"

    def kept(one: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if one.name == ".git" or (form == tarfile.USTAR_FORMAT and "long" in one.name) else one

    with tarfile.open(out, mode, format=form) as tar:  # type: ignore[call-overload]
        tar.add(repo, "", filter=kept)

    expected = of_folder(repo).manifest.entries
    assert reader.read(out).manifest.entries == {
        path: one for path, one in expected.items() if form != tarfile.USTAR_FORMAT or b"long" not in path
    }


# ---------------------------------------------------------------------------------------------- hostile tars


def _tar(*members: tuple[str, bytes, dict[str, object]], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _read(tmp_path: Path, data: bytes) -> Manifest:
    (tmp_path / "x").write_bytes(data)
    return reader.read(tmp_path / "x").manifest


_FILE: tuple[str, bytes, dict[str, object]] = ("a.py", b"x = 1\n", {})
_LINK: dict[str, object] = {"type": tarfile.SYMTYPE}
_HARD: dict[str, object] = {"type": tarfile.LNKTYPE}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../escape", b"x", {})], r"leads out of the root \(\.\./escape\)"),
        ([("a/../../b", b"x", {})], "leads out of the root"),
        ([("/etc/passwd", b"x", {})], r"an absolute path \(/etc/passwd\)"),
        ([("a//b", b"x", {})], "not in its plainest form"),
        ([("a/./b", b"x", {})], "not in its plainest form"),
        ([_FILE, _FILE], r"it is there twice \(a\.py\)"),
        ([_FILE, ("./a.py", b"y", {})], "it is there twice"),
        ([("d", b"", {"type": tarfile.DIRTYPE}), ("d", b"", {"type": tarfile.DIRTYPE})], "it is there twice"),
        ([("l", b"", {**_LINK, "linkname": "/tmp"}), ("l/x", b"x", {})], r"below a file or a link \(l/x\)"),
        ([_FILE, ("a.py/x", b"x", {})], "below a file or a link"),
        ([("d/x", b"x", {}), ("d", b"y", {})], "a folder and a file of one name"),
        ([("d/x", b"x", {}), ("d", b"", {**_LINK, "linkname": "e"})], "a folder and a file of one name"),
        ([("h", b"", {**_HARD, "linkname": "a.py"}), _FILE], "a hard link to no earlier file"),
        ([("l", b"", {**_LINK, "linkname": "a"}), ("h", b"", {**_HARD, "linkname": "l"})], "a hard link to no earlier"),
        ([_FILE, ("h", b"", {**_HARD, "linkname": "../a.py"})], "leads out of the root"),
        ([("p", b"", {"type": tarfile.FIFOTYPE})], "a device, a FIFO"),
        ([("c", b"", {"type": tarfile.CHRTYPE})], "a device, a FIFO"),
        ([("b", b"", {"type": tarfile.BLKTYPE})], "a device, a FIFO"),
        ([("s", b"x", {"mode": 0o4755})], r"set-id bits\) \(s\)"),
        ([("s", b"x", {"mode": 0o2755})], "set-id bits"),
        ([("x" * 300, b"x", {})], "more than 255 bytes"),
        ([("/".join(["d" * 200] * 30), b"x", {})], "more than 4096 bytes"),
    ],
)
def test_hostile_members(tmp_path: Path, members: list[tuple[str, bytes, dict[str, object]]], words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        _read(tmp_path, _tar(*members))


def test_links_that_leave_or_dangle_are_data(tmp_path: Path) -> None:
    links: list[tuple[str, bytes, dict[str, object]]] = [
        ("l", b"", {**_LINK, "linkname": "/etc/passwd"}),
        ("m", b"", {**_LINK, "linkname": "../../x"}),
    ]

    found = _read(tmp_path, _tar(*links, _FILE, ("h", b"", {**_HARD, "linkname": "a.py"})))

    assert found.entries[b"l"].text == b"/etc/passwd"
    assert found.entries[b"h"].sha256 == found.entries[b"a.py"].sha256
    assert found.extras.twins == {b"h": b"a.py"}


def _header(name: bytes, size: int = 0, kind: bytes = b"0", magic: bytes = b"ustar\x0000", **fields: bytes) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = fields.get("size_field", b"%011o\0" % size)
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[157 : 157 + len(fields.get("link", b""))] = fields.get("link", b"")
    block[257:265] = magic
    block[345 : 345 + len(fields.get("prefix", b""))] = fields.get("prefix", b"")
    for field, at in (("uid", 108), ("gid", 116), ("major", 329), ("minor", 337)):
        block[at : at + 8] = fields.get(field, bytes(8))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    data = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        data += b"%d %b=%b\n" % (length, key, value)
    return _header(b"pax", len(data), kind) + _padded(data)


def _long(name: bytes, kind: bytes = b"L") -> bytes:
    return _header(b"././@LongLink", len(name) + 1, kind, b"ustar  \0") + _padded(name + b"\0")


_END = bytes(1024)
_A = _header(b"a", 1) + _padded(b"x")


# each of these is read differently by two parsers that report success, or hangs one of them
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_pax((b"path", b"p")) + _long(b"g") + _A + _END, "several extended headers"),
        (_long(b"g") + _pax((b"path", b"p")) + _A + _END, "several extended headers"),
        (_pax((b"path", b"p")) + _pax((b"path", b"q")) + _A + _END, "several extended headers"),
        (_long(b"g") + _long(b"h") + _A + _END, "several extended headers"),
        (_pax((b"path", b"global"), kind=b"g") + _A + _END, "more than a comment"),
        (_pax((b"size", b"5"), kind=b"g") + _A + _END, "more than a comment"),
        (_pax((b"path", b"p")) + _pax((b"comment", b"c"), kind=b"g") + _A + _END, "stands between"),
        (_pax((b"size", b"1_0")) + _A + _END, "a number in an extended header"),
        (_pax((b"size", "٣".encode())) + _A + _END, "a number in an extended header"),
        (_pax((b"size", b"0x5")) + _A + _END, "a number in an extended header"),
        (_pax((b"size", b"-1")) + _A + _END, "a number in an extended header"),
        (_pax((b"size", b"01")) + _A + _END, "a number in an extended header"),
        (_pax((b"size", b"600")) + _A + _END, "contradict"),
        (_pax((b"path", b"a\0b")) + _A + _END, "no proper name"),
        (_pax((b"unknown.key", b"1")) + _A + _END, "not every parser understands"),
        (_pax((b"GNU.sparse.major", b"1")) + _A + _END, "not every parser understands"),
        (_pax((b"hdrcharset", b"KOI8-R")) + _A + _END, "not every parser understands"),
        (_pax((b"path", b"p"), (b"path", b"q")) + _A + _END, "says something twice"),
        (_pax((b"path", b"p")) + _END, "belongs to no member"),
        (_header(b"l", 512, b"2", link=b"t") + _header(b"hidden", 0) + _END, "is no file, and has content"),
        (_header(b"d", 512, b"5") + bytes(512) + _END, "is no file, and has content"),
        (_header(b"d/", 0, b"0") + _END, "a folder by its name"),
        (_header(b"d/", 0, b"\0") + _END, "a folder by its name"),
        (_A + bytes(512) + _A + _END, "lone block"),
        (_A + _header(b"b", 1)[:-1] + b"\1" + _padded(b"y") + _END, "checksum"),
        (_header(b"a", 0, b"0", b"ustar  \0", prefix=b"deep/dir") + _END, "GNU's old form"),
        (_header(b"a", 0, b"0", b"\0" * 8) + _END, "neither a tar|older than POSIX"),
        (_header(b"a", 1) + b"x" + b"\1" * 511 + _END, "padding is not empty"),
        (_header(b"a", 0, b"7") + _END, "neither file, folder nor link"),
        (_header(b"a", 0, b"S") + _END, "neither file, folder nor link"),
        (_header(b"a", 0, b"M") + _END, "neither file, folder nor link"),
        (_header(b"a", 0, size_field=b"\xff" * 11 + b"\0") + _END, "negative, or too large"),
        (_header(b"a", 0, size_field=b"\x80" + b"\x7f" * 11) + _END, "negative, or too large"),
        (_header(b"l", 0, b"2") + _END, "a link to nothing"),
        (_pax((b"linkpath", b"a")) + _header(b"l", 0, b"2") + _END, "a link to nothing"),
        (_header(b".", 0, b"0") + _END, "the root by its name, and no folder"),
        (_header(b"./", 0, b"2", link=b"a") + _END, "the root by its name, and no folder"),
        (_header(b".", 0, b"2", link=b"a") + _END, "the root by its name, and no folder"),
        (_pax((b"path", b"p")) + _header(b"d/", 0, b"\0") + _END, "a folder by its name"),
        (_long(b"p") + _header(b"d/", 1, b"\0") + _padded(b"x") + _END, "a folder by its name"),
        (_header(b"a:b.py", 0) + _END, "like a path of Windows"),
        (_header(b"\\b.py", 0) + _END, "like a path of Windows"),
        (_pax((b"path", b"c:/b.py")) + _header(b"a", 0) + _END, "like a path of Windows"),
        (_header(b"a", 0, uid=b"zzzzzzz\0") + _END, "a number in a header is none"),
        (_header(b"a", 0, gid=b"        ") + _END, "a number in a header is none"),
        (_header(b"a", 0, gid=b"\xff" * 8) + _END, "negative, or too large"),
        (_header(b"a", 0, uid=b"\x80\1" + bytes(6)) + _END, "owner or a device is too large"),
        (_header(b"a", 0, major=b"-000001\0") + _END, "a number in a header is none"),
        (_header(b"a", 0, minor=b"0x00001\0") + _END, "a number in a header is none"),
        (_pax((b"uid", b"zz")) + _A + _END, "a number in an extended header is none"),
        (_pax((b"gid", b"9" * 12)) + _A + _END, "an owner's number in an extended header is too large"),
        (_pax((b"atime", b"x")) + _A + _END, "a time in an extended header is none"),
        (_pax((b"mtime", b"9" * 19)) + _A + _END, "a time in an extended header is too large"),
        (_pax((b"SCHILY.dev", b"x")) + _A + _END, "a number in an extended header is none"),
        (_A + bytes(512), "cut short"),
        (_A, "cut short"),
        (_A + _END + b"PK\5\6" + bytes(18), "something follows"),
        (_A + _END + _A + _END, "something follows"),
        (b"", "neither a tar|cut short"),
        (b"\x1f\x8b", "cut short"),
    ],
)  # fmt: skip
def test_ambiguous_tars(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        _read(tmp_path, data)


def test_what_the_crafted_pieces_are_made_of_is_good(tmp_path: Path) -> None:
    good = _pax((b"comment", b"c" * 40), kind=b"g") + _pax((b"path", b"p")) + _A + _long(b"g" * 200) + _A + _END

    assert set(_read(tmp_path, good).entries) == {b"p", b"g" * 200}


# ---------------------------------------------------------------------------------------------- gzip


def _with_flags(data: bytes, flags: int, extra: bytes) -> bytes:
    return data[:3] + bytes([flags]) + data[4:10] + extra + data[10:]


_GZ = gzip.compress(_A + _END, mtime=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_GZ[:-1], "cut short"),
        (_GZ[:-8], "cut short"),
        (_GZ[:-20], "cut short"),
        (_GZ[:9], "cut short"),
        (_GZ[:-8] + bytes(4) + _GZ[-4:], "checksum or its length"),
        (_GZ[:-4] + bytes(4), "checksum or its length"),
        (_GZ + b"\0", "something follows"),
        (_GZ + b"garbage", "something follows"),
        (_GZ + _GZ, "something follows"),
        (_GZ[:20] + b"\xff\xff" + _GZ[22:], "damaged|checksum|cut short"),
        (_with_flags(_GZ, 4, b"\x02\0ab"), "fields that readers treat differently"),
        (_with_flags(_GZ, 2, b"\0\0"), "fields that readers treat differently"),
        (_with_flags(_GZ, 0x20, b""), "fields that readers treat differently"),
        (_with_flags(_GZ, 8, b"n" * 600 + b"\0"), "more than 512 bytes"),
        (gzip.compress(_GZ, mtime=0), "cut short"),
        (gzip.compress(b"", mtime=0), "cut short"),
    ],
)
@pytest.mark.parametrize("library", ["fast", "standard"])
def test_damaged_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, words: str, library: str) -> None:
    if library == "standard":
        monkeypatch.setattr(archives_gzip, "_library", lambda: (zlib, 4))
    else:
        assert archives_gzip._library()[0] is not zlib

    with pytest.raises(UnprovenError, match=words):
        _read(tmp_path, data)


def test_a_name_in_the_header_is_nothing_bad(tmp_path: Path) -> None:
    assert set(_read(tmp_path, _with_flags(_GZ, 8, b"src.tar\0")).entries) == {b"a"}


def test_a_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    out = tmp_path / "bomb.tgz"
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # after a full flush equal bytes are packed to equal bytes
    head = packer.compress(_header(b"zeros", 1 << 30)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    out.write_bytes(gzip.compress(b"")[:10] + head + zeros * 1024)

    with pytest.raises(UnprovenError, match="bomb"):
        reader.read(out)


@pytest.mark.interpreters
def test_memory_stays_flat(tmp_path: Path) -> None:
    """A member of half a gigabyte, and twenty thousand small ones, in a process that may have little."""
    big, many = tmp_path / "big.tar", tmp_path / "many.tar"
    with big.open("wb") as out:
        out.write(_header(b"big", 1 << 29))
        out.truncate(512 + (1 << 29) + 1024)
    with many.open("wb") as out:
        for number in range(20_000):
            out.write(_header(b"f%d" % number, 3) + _padded(b"abc"))
        out.write(_END)
    program = (
        "import resource, sys; from pathlib import Path; from buildguard.stages.archives import reader as source\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = source.read(Path(sys.argv[1]))\n"
        "print(len(found.manifest.entries), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )

    for file, entries in ((big, 1), (many, 20_000)):
        done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, check=True)
        count, grown = map(int, done.stdout.split())
        assert count == entries
        assert grown < 40 << 10  # kilobytes


# ---------------------------------------------------------------------------------------------- zip


def _zip(change: Callable[[zipfile.ZipFile], object] = lambda _zip: None) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        warnings.simplefilter("ignore")  # of a name that is there twice
        made.writestr("a.py", "x = 1\n" * 20)
        made.writestr("b/c.py", "y = 1\n")
        change(made)
    return out.getvalue()


_ZIP = _zip()
_TINY_END = b"PK\5\6" + bytes(18)


def _with_comment(data: bytes, comment: bytes) -> bytes:
    return data[:-2] + struct.pack("<H", len(comment)) + comment


def _link_in_zip(made: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("l")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    made.writestr(info, "a.py")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_ZIP[:-1], "cut short|before, between or behind"),
        (_ZIP[: len(_ZIP) // 2], "cut short"),
        (_ZIP + b"x", "before, between or behind"),
        (b"PK\3\4" + _ZIP, "before, between or behind"),
        (_ZIP + _ZIP, "before, between or behind"),
        (_with_comment(_ZIP, _TINY_END), "before, between or behind|does not list"),
        (_ZIP.replace(b"b/c.py", b"b/d.py", 1), "contradict"),
        (_ZIP[::-1].replace(b"b/c.py"[::-1], b"b/d.py"[::-1], 1)[::-1], "contradict"),
        (_ZIP.replace(b"b/c.py", b"../.py"), "leads out of the root"),
        (_ZIP.replace(b"b/c.py", b"b\0c.py"), "no proper name"),
        (_ZIP.replace(b"b/c.py", b"/cc.py"), "an absolute path"),
        (_zip(lambda made: made.writestr("a.py", "again")), "it is there twice"),
        (_zip(lambda made: made.writestr("a.py/x", "below")), "below a file or a link"),
        (_ZIP[:40] + bytes([_ZIP[40] ^ 1]) + _ZIP[41:], "damaged|checksum|larger|contradict"),
    ],
)
def test_damaged_and_ambiguous_zips(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        _read(tmp_path, data)


def test_a_zip_with_a_link_and_a_comment(tmp_path: Path) -> None:
    found = _read(tmp_path, _with_comment(_zip(_link_in_zip), b"made by hand"))

    assert found.entries[b"l"].mode == "120000"
    assert found.entries[b"l"].text == b"a.py"
    assert set(found.entries) == {b"a.py", b"b/c.py", b"l"}


def _large_link(made: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("l")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    made.writestr(info, "a" * 5000)


def test_bombs_in_zips(tmp_path: Path) -> None:
    bomb = _zip(lambda made: made.writestr("zeros", bytes(64 << 20)))
    assert len(bomb) < 100_000

    with pytest.raises(UnprovenError, match="looks like a bomb"):
        _read(tmp_path, bomb)
    with pytest.raises(UnprovenError, match="a link of more than 4096 bytes"):
        _read(tmp_path, _zip(_large_link))


def test_a_member_hidden_behind_the_directory_is_found(tmp_path: Path) -> None:
    """A member that no directory entry mentions: every reader of zips overlooks it."""
    both = _zip(lambda made: made.writestr("evil.py", "evil = 1\n"))
    start = struct.unpack_from("<L", both, len(both) - 6)[0]
    directory = both[start : len(both) - 22]
    listed = directory[: directory.index(b"evil.py") - 46]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(listed), start, 0)
    data = both[:start] + listed + end
    with zipfile.ZipFile(io.BytesIO(data)) as accepted:
        assert accepted.namelist() == ["a.py", "b/c.py"]
        assert accepted.testzip() is None

    with pytest.raises(UnprovenError, match="does not list"):
        _read(tmp_path, data)


@pytest.mark.parametrize("hidden", [b"hidden", _ZIP[: _ZIP.index(b"PK\3\4", 4)]], ids=["bytes", "member"])
def test_room_between_members_is_refused(tmp_path: Path, hidden: bytes) -> None:
    second, start = _ZIP.index(b"PK\3\4", 4), struct.unpack_from("<L", _ZIP, len(_ZIP) - 6)[0]
    moved = bytearray(_ZIP[:second] + hidden + _ZIP[second:])
    entry = moved.rindex(b"PK\1\2")
    struct.pack_into("<L", moved, entry + 42, second + len(hidden))
    struct.pack_into("<L", moved, len(moved) - 6, start + len(hidden))
    with zipfile.ZipFile(io.BytesIO(bytes(moved))) as accepted:
        assert accepted.testzip() is None

    with pytest.raises(UnprovenError, match="overlap, or leave room"):
        _read(tmp_path, bytes(moved))


def test_an_unreadable_archive_names_what_happened(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match="cannot be read"):
        reader.read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnprovenError):
        reader.read(tmp_path / "pipe")
