"""A tree of every kind of file, stages made of it by real tools, and damage done to it for real, each with its cause."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_NFC = unicodedata.normalize("NFC", "café.txt")
_LARGE_FILE = b"the content that Git LFS holds\n" * 40
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (
    hashlib.sha256(_LARGE_FILE).hexdigest().encode(),
    len(_LARGE_FILE),
)
FILES = {
    "app/main.py": b"import os\n\n\ndef main():\n    return os.name\n",
    "app/text.py": "# é in a comment\nname = 'Zürich'\n".encode(),
    "app/marked.py": b"\xef\xbb\xbfx = 1\n",
    "app/windows.py": b"a = 1\r\nb = 2\r\n",
    "app/version.py": b'commit = "$Format:%H$"\nwhen = "$Format:%cI$"\n',
    "app/ident.py": b"# $Id$\nx = 1\n",
    "app/old.py": b"new = True\nanswer = 42\n",
    "app/no_end.py": b"x = 1",
    "app/empty.py": b"",
    "app/one.py": b"one = 1\n",
    "app/two.py": b"two = 22\n",
    "run.sh": b"#!/bin/sh\nexec python app/main.py\n",
    "data.bin": bytes(range(256)) * 8,
    "large.dat": _LARGE_FILE,
    "odd %name.txt": b"percent\n",
    "line\nbreak.txt": b"line break\n",
    _NFC: b"coffee\n",
    "README": b"read me\n",
    "readme.md": b"read me too\n",
    "deep/er/and/deeper/file.txt": b"deep\n",
}
OLD = {"app/old.py": b"new = False\n", "app/gone.py": b"gone = 1\n"}
LINKS = {"link.py": "app/main.py", "deep/dangling": "nowhere", "linked": "app"}
EXECUTABLE = "run.sh"


class Damage(NamedTuple):
    """What is done to a tree, and what a diff has to say: each path with its change and cause."""

    name: str
    do: Callable[[Path], object]
    expected: dict[str, tuple[str, str]]
    worktree: str = ""


class Tree(NamedTuple):
    """What a repository holds: files, what an older commit has in place of them or beside them, links, programs."""

    files: dict[str, bytes]
    old: dict[str, bytes]
    links: dict[str, str]
    programs: tuple[str, ...]


TREE = Tree(FILES, OLD, LINKS, (EXECUTABLE,))


def write(tree: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fill(place: Path, of: Tree = TREE) -> None:
    """The whole tree."""
    write(place, of.files)
    for name, target in of.links.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(target)
    for name in of.programs:
        (place / name).chmod(0o755)


def fill_clean(place: Path, of: Tree = TREE) -> None:
    """A fresh copy of the whole tree."""
    place.mkdir()
    fill(place, of)


def change(name: str, make: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Other bytes in a file."""

    def do(tree: Path) -> None:
        path = tree / name
        was = path.read_bytes()
        now = make(was)
        assert now != was, "the injection has to change something"
        path.write_bytes(now)

    return do


def _flip(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def rename(old: str, new: str) -> Callable[[Path], object]:
    """Another name for a file."""

    def do(tree: Path) -> None:
        (tree / new).parent.mkdir(parents=True, exist_ok=True)
        (tree / old).rename(tree / new)

    return do


def relink(name: str, target: str) -> Callable[[Path], object]:
    """Another target for a link."""

    def do(tree: Path) -> None:
        (tree / name).unlink()
        (tree / name).symlink_to(target)

    return do


def _copy_for_link(tree: Path) -> None:
    (tree / "link.py").unlink()
    shutil.copyfile(tree / "app/main.py", tree / "link.py")


def _text_for_link(tree: Path) -> None:
    (tree / "link.py").unlink()
    (tree / "link.py").write_text("app/main.py")


def _swap(tree: Path) -> None:
    one, two = tree / "app/one.py", tree / "app/two.py"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def _expanded(content: bytes) -> bytes:
    return content.replace(b"$Format:%H$", b"0123456789" * 4).replace(b"$Format:%cI$", b"2026-11-21T16:32:00+00:00")


_CRLF = ("changed", "line-endings")
DAMAGES = [
    Damage("crlf", change("app/main.py", lambda c: c.replace(b"\n", b"\r\n")), {"app/main.py": _CRLF}),
    Damage("lf", change("app/windows.py", lambda c: c.replace(b"\r\n", b"\n")), {"app/windows.py": _CRLF}),
    Damage("cr", change("app/main.py", lambda c: c.replace(b"\n", b"\r")), {"app/main.py": _CRLF}),
    Damage("mixed", change("app/main.py", lambda c: c.replace(b"\n", b"\r\n", 1)), {"app/main.py": _CRLF}),
    Damage("bom", change("app/main.py", lambda c: b"\xef\xbb\xbf" + c), {"app/main.py": ("changed", "bom")}),
    Damage("no bom", change("app/marked.py", lambda c: c[3:]), {"app/marked.py": ("changed", "bom")}),
    Damage("two boms", change("app/marked.py", lambda c: c[:3] + c), {"app/marked.py": ("changed", "bom")}),
    Damage(
        "utf-16",
        change("app/text.py", lambda c: c.decode().encode("utf-16")),
        {"app/text.py": ("changed", "transcoded")},
    ),
    Damage(
        "utf-16 of a Windows shell",
        change("app/main.py", lambda c: c.decode().replace("\n", "\r\n").encode("utf-16")),
        {"app/main.py": ("changed", "transcoded")},
    ),
    Damage(
        "latin-1",
        change("app/text.py", lambda c: c.decode().encode("latin-1")),
        {"app/text.py": ("changed", "transcoded")},
    ),
    Damage(
        "encoded twice",
        change("app/text.py", lambda c: c.decode("latin-1").encode()),
        {"app/text.py": ("changed", "transcoded")},
    ),
    Damage(
        "letters lost",
        change("app/text.py", lambda c: c.decode().encode("ascii", "replace")),
        {"app/text.py": ("changed", "transcoded")},
    ),
    Damage("final newline", change("app/main.py", lambda c: c[:-1]), {"app/main.py": ("changed", "final-newline")}),
    Damage(
        "a newline more", change("app/no_end.py", lambda c: c + b"\n"), {"app/no_end.py": ("changed", "final-newline")}
    ),
    Damage("cut", change("app/main.py", lambda c: c[:20]), {"app/main.py": ("changed", "truncated")}),
    Damage("emptied", change("data.bin", lambda _c: b""), {"data.bin": ("changed", "truncated")}),
    Damage(
        "torn", change("data.bin", lambda c: c[:512] + bytes(len(c) - 512)), {"data.bin": ("changed", "truncated")}
    ),
    Damage("flip", change("app/main.py", _flip), {"app/main.py": ("changed", "bit-flip")}),
    Damage("flip in data", change("data.bin", _flip), {"data.bin": ("changed", "bit-flip")}),
    Damage(
        "stale", lambda tree: write(tree, {"app/old.py": OLD["app/old.py"]}), {"app/old.py": ("changed", "stale")}
    ),
    Damage("risen", lambda tree: write(tree, {"app/gone.py": OLD["app/gone.py"]}), {"app/gone.py": ("added", "stale")}),
    Damage("pointer", change("large.dat", lambda _c: _POINTER), {"large.dat": ("changed", "lfs-pointer")}),
    Damage(
        "export-subst", change("app/version.py", _expanded), {"app/version.py": ("changed", "keyword-expansion")}
    ),
    Damage(
        "ident",
        change("app/ident.py", lambda c: c.replace(b"$Id$", b"$Id: 0123456789abcdef0123456789abcdef01234567 $")),
        {"app/ident.py": ("changed", "keyword-expansion")},
    ),
    Damage(
        "nfd",
        rename(_NFC, unicodedata.normalize("NFD", _NFC)),
        {
            _NFC: ("removed", "name-normalization"),
            unicodedata.normalize("NFD", _NFC): ("added", "name-normalization"),
        },
    ),
    Damage(
        "case",
        rename("app/two.py", "app/Two.py"),
        {"app/two.py": ("removed", "case-collision"), "app/Two.py": ("added", "case-collision")},
    ),
    Damage("moved", rename("app/two.py", "two.py"), {"app/two.py": ("removed", "moved"), "two.py": ("added", "moved")}),
    Damage("swapped", _swap, {"app/one.py": ("changed", "moved"), "app/two.py": ("changed", "moved")}),
    Damage("executable", lambda tree: (tree / "app/main.py").chmod(0o755), {"app/main.py": ("mode", "mode")}),
    Damage("not executable", lambda tree: (tree / "run.sh").chmod(0o644), {"run.sh": ("mode", "mode")}),
    Damage("link copied", _copy_for_link, {"link.py": ("type", "symlink-replaced")}),
    Damage("link as text", _text_for_link, {"link.py": ("type", "symlink-replaced")}),
    Damage("file linked", relink("app/one.py", "two.py"), {"app/one.py": ("type", "symlink-replaced")}),
    Damage("link re-aimed", relink("link.py", "app/text.py"), {"link.py": ("changed", "content")}, "local-edit"),
    Damage("dangling re-aimed", relink("deep/dangling", "x"), {"deep/dangling": ("changed", "content")}, "local-edit"),
    Damage("folder link re-aimed", relink("linked", "deep"), {"linked": ("changed", "content")}, "local-edit"),
    Damage("link lost", lambda tree: (tree / "deep/dangling").unlink(), {"deep/dangling": ("removed", "content")}, "local-edit"),
    Damage("lost", lambda tree: (tree / "README").unlink(), {"README": ("removed", "content")}, "local-edit"),
    Damage("empty lost", lambda tree: (tree / "app/empty.py").unlink(), {"app/empty.py": ("removed", "content")}, "local-edit"),
    Damage("extra", lambda tree: write(tree, {"app/x.py": b"x\n"}), {"app/x.py": ("added", "content")}, "local-edit"),
    Damage("empty extra", lambda tree: write(tree, {"app/y.py": b""}), {"app/y.py": ("added", "content")}, "local-edit"),
    Damage("dangling extra", lambda tree: (tree / "new").symlink_to("no"), {"new": ("added", "content")}, "local-edit"),
    Damage(
        "edited",
        change("app/main.py", lambda c: c.replace(b"os.name", b"os.getcwd()")),
        {"app/main.py": ("changed", "content")},
        "local-edit",
    ),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------- stages


def git(folder: Path, *args: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *args],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape")


def repository(folder: Path, of: Tree = TREE) -> None:
    """A repository whose first commit is older, and whose second holds the tree; the worktree is clean."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / ".git/info/exclude").write_text("/stages/\n")
    fill(folder, of)
    write(folder, of.old)
    git(folder, "add", "--all")
    git(folder, "-c", "maintenance.auto=false", "commit", "--quiet", "--message", "older")
    write(folder, of.files)
    for name in of.old.keys() - of.files.keys():
        (folder / name).unlink()
    git(folder, "add", "--all")
    git(folder, "-c", "maintenance.auto=false", "commit", "--quiet", "--message", "newer")


def _zip(tree: Path, file: Path) -> None:
    """A zip as Python writes it: Info-ZIP's own does not mark its names as UTF-8."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            name = path.relative_to(tree).as_posix()
            if name.split("/")[0] in {".git", "stages"} or (path.is_dir() and not path.is_symlink()):
                continue
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = path.lstat().st_mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, os.readlink(path) if path.is_symlink() else path.read_bytes())


def stage_of(kind: str, tree: Path, repo: Path, name: str) -> str:
    """A stage of some kind that holds a tree, made inside the repository's folder `stages` or in the repository itself."""
    place = repo / "stages" / name
    place.parent.mkdir(exist_ok=True)
    if kind == "folder":
        shutil.copytree(tree, place, symlinks=True)
        return f"dir:{place}"
    if kind in {"tgz", "tar"}:
        subprocess.run(
            ["tar", "-C", tree, "--exclude=./.git", "--exclude=./stages", "-caf", f"{place}.{kind}", "."], check=True
        )
        return f"tar:{place}.{kind}"
    if kind == "pax":
        with tarfile.open(f"{place}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(tree, "", filter=lambda one: None if one.name.split("/")[0] in {".git", "stages"} else one)
        return f"{place}.tar"
    if kind == "zip":
        _zip(tree, Path(f"{place}.zip"))
        return f"{place}.zip"
    env = {"GIT_WORK_TREE": str(tree), "GIT_DIR": str(repo / ".git")}
    if kind == "commit":
        env["GIT_INDEX_FILE"] = f"{place}.index"
    git(tree, "add", "--all", "--force", ".", ":(exclude)stages", env=env)
    if kind == "index":
        return "index:"
    assert kind == "commit"
    made = git(tree, "write-tree", env=env).strip()
    return "commit:" + git(tree, "commit-tree", "-m", "made", "-p", "HEAD", made, env=env).strip()


def worktree_of(tree: Path, repo: Path) -> str:
    """The repository's own working tree, made to be like a tree."""
    for one in repo.iterdir():
        if one.name not in {".git", "stages"}:
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    shutil.copytree(tree, repo, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", "stages"))
    return f"dir:{repo}"
