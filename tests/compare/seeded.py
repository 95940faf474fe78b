"""The kinds of damage of `damage`, each at places of its own in a tree of its own: a seed chooses both.

What is expected is said by kind, as there; which file, which byte and which name are the seed's.
"""

from __future__ import annotations

import hashlib
import random
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from tests.compare import damage
from tests.compare.damage import Damage, Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    _Make = Callable[[bytes], bytes]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ACCENTS = "éèüößñç"
_BOM = b"\xef\xbb\xbf"


class _World(NamedTuple):
    """A tree, and the names in it by what can be done to them."""

    tree: Tree
    names: dict[str, list[str]]


def damages(seed: int) -> tuple[Tree, list[Damage]]:
    """A tree, and each kind of damage at one place of it."""
    rng = random.Random(f"places {seed}")
    world = _world(rng)
    return world.tree, [*_changes(world, rng), *_others(world, rng)]


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(_LETTERS, k=rng.randint(3, 9)))


def _text(rng: random.Random, *, accents: bool = False) -> bytes:
    """Lines of words, no two texts alike; each line holds a word at least."""
    lines = [" ".join(_word(rng) for _ in range(rng.randint(1, 7))) for _ in range(rng.randint(4, 40))]
    if accents:
        at = rng.randrange(len(lines))
        lines[at] += " " + "".join(rng.choices(_ACCENTS, k=3)) + _word(rng)
    return ("\n".join(lines) + "\n").encode()


def _world(rng: random.Random) -> _World:
    files: dict[str, bytes] = {}
    names: dict[str, list[str]] = {}

    def add(kind: str, make: Callable[[], bytes], end: str = ".py", count: int = 3) -> None:
        for _ in range(count):
            folder = "".join(f"{_word(rng)}/" for _ in range(rng.randrange(3)))
            name = f"{folder}{_word(rng)}{len(files)}{end}"
            files[name] = make()
            names.setdefault(kind, []).append(name)

    add("plain", lambda: _text(rng), count=12)
    add("accents", lambda: _text(rng, accents=True))
    add("windows", lambda: _text(rng).replace(b"\n", b"\r\n"))
    add("marked", lambda: _BOM + _text(rng))
    add("open", lambda: _text(rng)[:-1])
    add("data", lambda: rng.randbytes(rng.randint(600, 9000)), ".bin")
    add("large", lambda: _text(rng) * 20, ".dat")
    add("subst", lambda: _text(rng) + b"at = '$Format:%H$'\n" + _text(rng))
    add("ident", lambda: _text(rng) + b"# $Id$\n" + _text(rng))
    add("accented", lambda: _text(rng), f"{rng.choice(_ACCENTS[:4])}.txt")
    add("old", lambda: _text(rng))
    add("program", lambda: b"#!/bin/sh\n" + _text(rng), ".sh")
    gone = [f"{_word(rng)}/gone{number}.py" for number in range(3)]
    names["gone"] = gone
    old = {name: _text(rng) for name in [*names["old"], *gone]}
    folder = next(name for name in files if "/" in name).partition("/")[0]
    links = {f"{_word(rng)}.link": rng.choice(names["plain"][:3]), f"{_word(rng)}/dangling": "no/where", "top": folder}
    return _World(Tree(files, old, links, tuple(names["program"])), names)


def _changes(world: _World, rng: random.Random) -> list[Damage]:
    """What changes the bytes of one file."""

    def cut(content: bytes) -> bytes:
        return content[: rng.randrange(1, len(content.rstrip()) - 1)]

    def torn(content: bytes) -> bytes:
        at = rng.randrange(1, len(content) - 64)
        return content[:at] + bytes(len(content) - at)

    def flipped(content: bytes) -> bytes:
        at = rng.randrange(len(content))
        return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]

    def mixed(content: bytes) -> bytes:
        lines = content.split(b"\n")
        ends = [rng.choice((b"\n", b"\r\n")) for _ in lines[1:]]
        ends[rng.randrange(len(ends))] = b"\r\n"
        return b"".join(line + end for line, end in zip(lines, [*ends, b""], strict=True))

    def edited(content: bytes) -> bytes:
        lines = content.split(b"\n")
        lines.insert(rng.randrange(1, len(lines) - 1), _text(rng).split(b"\n")[0] + b" edited")
        return b"\n".join(lines)

    def pointer(content: bytes) -> bytes:
        digest = hashlib.sha256(content).hexdigest().encode()
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (digest, len(content))

    identity = f"{rng.getrandbits(160):040x}".encode()
    ways: list[tuple[str, str, _Make, str]] = [
        ("crlf", "plain", lambda c: c.replace(b"\n", b"\r\n"), "line-endings"),
        ("lf", "windows", lambda c: c.replace(b"\r\n", b"\n"), "line-endings"),
        ("cr", "plain", lambda c: c.replace(b"\n", b"\r"), "line-endings"),
        ("mixed", "plain", mixed, "line-endings"),
        ("bom", "plain", lambda c: _BOM + c, "bom"),
        ("no bom", "marked", lambda c: c[3:], "bom"),
        ("two boms", "marked", lambda c: _BOM + c, "bom"),
        ("utf-16", "accents", lambda c: c.decode().encode("utf-16"), "transcoded"),
        ("utf-16 of Windows", "plain", lambda c: c.decode().replace("\n", "\r\n").encode("utf-16"), "transcoded"),
        ("latin-1", "accents", lambda c: c.decode().encode("latin-1"), "transcoded"),
        ("encoded twice", "accents", lambda c: c.decode("latin-1").encode(), "transcoded"),
        ("letters lost", "accents", lambda c: c.decode().encode("ascii", "replace"), "transcoded"),
        ("final newline", "plain", lambda c: c[:-1], "final-newline"),
        ("a newline more", "open", lambda c: c + b"\n", "final-newline"),
        ("cut", rng.choice(("plain", "data")), cut, "truncated"),
        ("emptied", rng.choice(("plain", "data", "old")), lambda _c: b"", "truncated"),
        ("torn", "data", torn, "truncated"),
        ("flip", "plain", flipped, "bit-flip"),
        ("flip in data", "data", flipped, "bit-flip"),
        ("pointer", "large", pointer, "lfs-pointer"),
        ("export-subst", "subst", lambda c: c.replace(b"$Format:%H$", identity), "keyword-expansion"),
        ("ident", "ident", lambda c: c.replace(b"$Id$", b"$Id: " + identity + b" $"), "keyword-expansion"),
        ("edited", "plain", edited, "content"),
    ]
    found = []
    for name, kind, make, cause in ways:
        path = rng.choice(world.names[kind])
        after = make(world.tree.files[path])  # made once: every hop of a seed gets the same bytes
        do = damage.change(path, lambda _content, after=after: after)  # type: ignore[misc]
        found.append(Damage(name, do, {path: ("changed", cause)}, "local-edit" if cause == "content" else ""))
    return found


def _others(world: _World, rng: random.Random) -> list[Damage]:
    """What is done to names, links, bits, and whole files."""
    tree, names = world.tree, world.names
    one, two = rng.sample(names["plain"], 2)
    moved = f"{_word(rng)}/moved{rng.randrange(99)}.py"
    accented = rng.choice(names["accented"])
    decomposed = unicodedata.normalize("NFD", accented)
    lower = rng.choice(names["plain"])
    at = rng.choice([number for number, letter in enumerate(lower) if letter.isalpha() and number > lower.rfind("/")])
    upper = lower[:at] + lower[at].upper() + lower[at + 1 :]
    program, plain = rng.choice(names["program"]), rng.choice(names["plain"])
    old, gone, lost = rng.choice(names["old"]), rng.choice(names["gone"]), rng.choice(names["plain"])
    link, dangling, folder = tree.links
    extra, aim = f"{_word(rng)}/extra.py", rng.choice(names["accents"])
    added = _text(rng)

    def swap(top: Path) -> None:
        damage.write(top, {one: tree.files[two], two: tree.files[one]})

    def replaced(name: str, content: bytes) -> Callable[[Path], None]:
        def do(top: Path) -> None:
            (top / name).unlink()
            (top / name).write_bytes(content)

        return do

    edit = "local-edit"
    return [
        Damage("stale", lambda top: damage.write(top, {old: tree.old[old]}), {old: ("changed", "stale")}),
        Damage("risen", lambda top: damage.write(top, {gone: tree.old[gone]}), {gone: ("added", "stale")}),
        Damage(
            "nfd",
            damage.rename(accented, decomposed),
            {accented: ("removed", "name-normalization"), decomposed: ("added", "name-normalization")},
        ),
        Damage(
            "case",
            damage.rename(lower, upper),
            {lower: ("removed", "case-collision"), upper: ("added", "case-collision")},
        ),
        Damage("moved", damage.rename(one, moved), {one: ("removed", "moved"), moved: ("added", "moved")}),
        Damage("swapped", swap, {one: ("changed", "moved"), two: ("changed", "moved")}),
        Damage("executable", lambda top: (top / plain).chmod(0o755), {plain: ("mode", "mode")}),
        Damage("not executable", lambda top: (top / program).chmod(0o644), {program: ("mode", "mode")}),
        Damage("link copied", replaced(link, tree.files[tree.links[link]]), {link: ("type", "symlink-replaced")}),
        Damage("link as text", replaced(link, tree.links[link].encode()), {link: ("type", "symlink-replaced")}),
        Damage("file linked", damage.relink(plain, "x/y"), {plain: ("type", "symlink-replaced")}),
        Damage("link re-aimed", damage.relink(link, aim), {link: ("changed", "content")}, edit),
        Damage("dangling re-aimed", damage.relink(dangling, aim), {dangling: ("changed", "content")}, edit),
        Damage("folder link re-aimed", damage.relink(folder, aim), {folder: ("changed", "content")}, edit),
        Damage("link lost", lambda top: (top / dangling).unlink(), {dangling: ("removed", "content")}, edit),
        Damage("lost", lambda top: (top / lost).unlink(), {lost: ("removed", "content")}, edit),
        Damage("extra", lambda top: damage.write(top, {extra: added}), {extra: ("added", "content")}, edit),
    ]
