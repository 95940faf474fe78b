"""Random tars and zips out of odd pieces: headers that are nearly right, each with its checksum."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile
import zlib

_NAMES = (
    b"a.py", b"b.py", b"d/a.py", b"d/e/b.py", b"./a.py", b"./d/c.py", b"d", b"d/", b"./d/", b"e/", b".", b"./", b"./.", b"/", b"", b"a:b.py",
    b"a:", b"c:/a.py", b"./a:b.py", b"\\x.py", b"d\\x.py", b" ", b"a ", b" a", "ü.py".encode(), b"e\xcc\x81.py", b"\xff.py", b"n" * 100,
    b"n" * 99 + b"/", b"d/" * 49 + b"ab", b"././a.py", b"-x", b"--help", b"a\nb.py", b"a\x1bb", b"a%b", b"...", b".a", b"d//a.py",
    b"d/./a.py", b"d/../a.py", b"../a.py", b"/abs.py", b"//?/a.py", b"a.py/", b"a*b", b"[a]", b"~", b"~/x", b"$HOME", b"a\tb", b"a\rb",
    b"'q'", b'"q"', b"a\\nb", b"a\\101", b"CON", b"a.", b"@a", b"GNUSparseFile.0/a", b"._a.py", b"d/._a.py", b".DS_Store", b"a\x7fb",
    b"\xe2\x80\xae.py", b"PaxHeader/a", b"././@LongLink", b"@LongLink", b"=a", b"a=b",
)  # fmt: skip
_NUMBERS = (
    b"0000000\0", b"0000644\0", b"000644 \0", b"0000755 ", b"   644 \0", b"644\0\0\0\0\0", b"        ", b"\0\0\0\0\0\0\0\0", b"zzzzzzz\0",
    b"00006448", b"0000648\0", b"-000001\0", b"+000001\0", b"0x00001\0", b"\x80\0\0\0\0\0\0\1", b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\xff\xff\xff\xff\xff\xff\xff", b"\0000644\0", b"0644\0junk"[:8], b"644 junk", b"\t  0644\0", b"77777777", b"7777777\0", b"0100644\0",
    b"0104755\0", b"0000001 ", b"0\0\0\0\0\0\0\x01", b" \0      ", b"0 0 0 0\0",
)  # fmt: skip
_LINKS = (
    b"",
    b"a.py",
    b"./a.py",
    b"d/a.py",
    b"../x",
    b"a:b.py",
    b"d/",
    b"nowhere",
    b"n" * 100,
    b"\xff",
    b"a.py\0x",
    b"./d/../a.py",
    b"a//b",
)
_PAX = (
    (b"mtime", b"1"), (b"mtime", b"1.5"), (b"mtime", b"-1"), (b"mtime", b"1."), (b"mtime", b".5"), (b"mtime", b"1e5"), (b"mtime", b"9" * 19),
    (b"mtime", b"-1.5"), (b"uid", b"1"), (b"uid", b"zz"), (b"uid", b"-1"), (b"uid", b"9" * 30), (b"gid", b"0"), (b"gid", b"1.5"), (b"uname", b"root"),
    (b"uname", b"\xff"), (b"gname", b""), (b"hdrcharset", b"BINARY"), (b"hdrcharset", b"ISO-IR 10646 2000 UTF-8"), (b"comment", b"x"),
    (b"atime", b"zz"), (b"atime", b"1.25"), (b"ctime", b"2"), (b"ctime", b"x"), (b"SCHILY.xattr.user.a", b"b"), (b"SCHILY.dev", b"x"),
    (b"LIBARCHIVE.xattr.user.a", b"Yg"), (b"LIBARCHIVE.creationtime", b"x"), (b"SCHILY.fflags", b"nodump"), (b"SCHILY.nlink", b"zz"),
    (b"SCHILY.acl.access", b"user::rw-"), (b"RHT.security.selinux", b"x"), (b"SCHILY.ino", b"-"), (b"size", b"0"), (b"size", b"6"),
    (b"LIBARCHIVE.symlinktype", b"dir"), (b"GNU.sparse.name", b"x"), (b"SCHILY.realsize", b"3"), (b"VENDOR.x", b"y"),
)  # fmt: skip
_PLACES = {
    "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12), "uname": (265, 32), "gname": (297, 32),
    "major": (329, 8), "minor": (337, 8),
}  # fmt: skip


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def record(key: bytes, value: bytes) -> bytes:
    """One line of an extended header."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


class _Header:
    """A header block in the making."""

    def __init__(self, name: bytes, kind: bytes, size: int, magic: bytes) -> None:
        self.block = bytearray(512)
        self.block[: len(name[:100])] = name[:100]
        self.block[156:157] = kind
        self.block[257:265] = magic
        for place, number in (("mode", b"0000644\0"), ("uid", b"0000000\0"), ("gid", b"0000000\0")):
            self.put(place, number)
        self.put("size", b"%011o\0" % size)
        self.put("mtime", b"%011o\0" % 1_700_000_000)

    def put(self, place: str, value: bytes) -> None:
        start, length = _PLACES[place]
        self.block[start : start + length] = value[:length].ljust(length, b"\0")

    def sealed(self, form: bytes = b"%06o\0 ") -> bytes:
        self.block[148:156] = b" " * 8
        self.block[148:156] = (form % sum(self.block))[:8].ljust(8, b"\0")
        return bytes(self.block)


def _extension(kind: bytes, data: bytes) -> bytes:
    magic = b"ustar\x0000" if kind in b"xg" else b"ustar  \0"
    return _Header(b"././@LongLink" if kind in b"LK" else b"PaxHeaders/x", kind, len(data), magic).sealed() + _padded(
        data
    )


def _extended(dice: random.Random) -> bytes:
    """What stands before a member, sometimes."""
    chance = dice.random()
    if chance < 0.6:
        return b""
    if chance < 0.72:
        name = dice.choice(_NAMES) or b"x"
        return _extension(dice.choice((b"L", b"L", b"K")), name + dice.choice((b"\0", b"\0", b"", b"\0\0", b"\0x")))
    records = [dice.choice(_PAX) for _ in range(dice.choice((0, 1, 1, 2)))]
    if dice.random() < 0.5:
        records.append((dice.choice((b"path", b"path", b"linkpath")), dice.choice(_NAMES)))
    return _extension(b"x", b"".join(record(*pair) for pair in records))


def _odd_number(dice: random.Random, length: int) -> bytes:
    number = dice.choice(_NUMBERS)
    return number if length == 8 else number[:1] * (length - 8) + number


def _member(dice: random.Random) -> bytes:
    kind = dice.choice((b"0", b"0", b"0", b"0", b"\0", b"5", b"2", b"1", b"7"))
    content = dice.choice((b"", b"x = 1\n", b"y" * 600)) if kind in b"0\0" else b""
    magic = dice.choice((b"ustar\x0000", b"ustar\x0000", b"ustar  \0"))
    header = _Header(dice.choice(_NAMES), kind, len(content), magic)
    if kind in b"12" or dice.random() < 0.05:
        link = dice.choice(_LINKS)
        header.block[157 : 157 + len(link)] = link
    if magic[5] == 0 and dice.random() < 0.15:
        prefix = dice.choice((b"p", b"p/", b"./p", b".", b"p\0x", b"p" * 155, b"/p", b"p/q", b"a:", b"\\"))
        header.block[345 : 345 + len(prefix)] = prefix
    for place in dice.sample(sorted(_PLACES), dice.choice((0, 0, 0, 1, 1, 2))):
        if place != "size" or dice.random() < 0.3:
            header.put(place, _odd_number(dice, _PLACES[place][1]))
    if dice.random() < 0.05:
        header.block[dice.randrange(500, 512)] = dice.randrange(256)
    form = dice.choice((b"%06o\0 ", b"%06o\0 ", b"%07o\0", b"%6o\0 ", b"%o ", b"%08o", b" %05o\0 "))
    return header.sealed(form) + _padded(content)


def tar(dice: random.Random) -> bytes:
    """A tar of one to three members."""
    members = b"".join(_extended(dice) + _member(dice) for _ in range(dice.randint(1, 3)))
    start = _extension(b"g", record(b"comment", b"c" * 40)) if dice.random() < 0.05 else b""
    return start + members + bytes(dice.choice((1024, 1024, 10240, 9216)))


# ------------------------------------------------------------------------------------------ zip

_EXTRAS = (
    b"", b"", b"", b"UT\x05\0\1\0\0\0\0", b"ux\x0b\0\1\4\0\0\0\0\4\0\0\0\0", b"\x99\x99\0\0", b"\0\0\0\0", b"ABC", b"\1\0\0\0", b"\xca\xfe\0\0",
)  # fmt: skip
_MODES = (0o100644, 0o100755, 0o644, 0o755, 0, 0o120777, 0o040755, 0o010644, 0o104755, 0o020644, 0o100000)


def _unicode_path(name: bytes, other: bytes) -> bytes:
    return struct.pack("<2HBL", 0x7075, 5 + len(other), 1, zlib.crc32(name)) + other


def zip_file(dice: random.Random) -> bytes:
    """A zip of one to three members."""
    out = io.BytesIO()
    local, central, count = b"", b"", dice.randint(1, 3)
    for _ in range(count):
        name = dice.choice(_NAMES)
        mode = dice.choice(_MODES)
        content = b"a.py" if stat.S_ISLNK(mode) else dice.choice((b"", b"x = 1\n" * 20))
        if name.endswith(b"/"):
            content = b""
        flags = dice.choice((0, 0, 0x800, 0x800, 0x2, 0x8, 0x1, 0x20, 0x2000))
        if not content:
            flags &= ~8  # unzip takes the descriptor of an empty file for the next member
        method = dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = squeeze.compress(content) + squeeze.flush() if method else content
        extra = dice.choice(_EXTRAS)
        if dice.random() < 0.1:
            extra += _unicode_path(name, dice.choice((name, name, b"other.py")))
        system = dice.choice((3, 3, 3, 0, 10, 19, 7))
        attributes = (mode << 16 | dice.choice((0, 0, 0x10, 0x20, 1))) & 0xFFFFFFFF
        check = zlib.crc32(content)
        sizes = (check, len(packed), len(content))
        inner = (0, 0, 0) if flags & 8 else sizes
        head = (dice.choice((10, 20, 20, 45)), flags, method, dice.choice((0, 0x6000)), dice.choice((0, 0x21, 0x5A21)))
        central += struct.pack(
            "<4s2B5H3L5H2L",
            b"PK\1\2",
            20,
            system,
            *head,
            *sizes,
            len(name),
            len(extra),
            0,
            0,
            0,
            attributes,
            len(local),
        )
        central += name + extra
        local += struct.pack("<4s5H3L2H", b"PK\3\4", *head, *inner, len(name), len(extra)) + name + extra + packed
        if flags & 8:
            local += b"PK\7\x08" + struct.pack("<3L", *sizes)
    out.write(local + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central), len(local), 0))
    return out.getvalue()
