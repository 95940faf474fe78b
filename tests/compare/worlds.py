"""Random repositories whose truth is known: objects, working tree and archives are written here, without git's help.

What a commit holds, what a checkout of it gives and what was damaged afterwards is kept in plain dictionaries, so that the
differences between two stages follow from these alone: neither git nor buildguard takes part. Git is run only to fill the
index (`read-tree`) and to mark rows of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
# a path's mode and content (a link's text, a submodule's commit)
Tree: TypeAlias = dict[str, tuple[str, bytes]]

ATTRIBUTES = b"""\
*.crlf text eol=crlf
*.idn ident
*.u16 text working-tree-encoding=UTF-16LE
*.flt filter=evil
*.lfs filter=lfs -text
hidden/** export-ignore
*.sub export-subst
"""
_WORDS = (b"x = 1\n", b"y = 'z'\n", b"def f():\n    return 1\n", b"# comment\n", "é = 'ü'\n".encode())
_PLAIN = (
    "a.py",
    "b.py",
    "pkg/c.py",
    "pkg/deep/d.py",
    "run.sh",
    "data.bin",
    "é.py",
    "with space.txt",
    "-dash",
    "pkg/e.txt",
)
_SPECIAL = ("w.crlf", "pkg/i.idn", "t.u16", "f.flt", "big.lfs", "v.sub", "hidden/h.py", "hidden/deep/i.py")
_DATE = b"Test <t@example.invalid> 1700000000 +0000"


class Objects:
    """An object database in the making: loose objects, written as git's documentation describes them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name

    def put(self, kind: bytes, content: bytes) -> str:
        data = b"%b %d\0%b" % (kind, len(content), content)
        oid = hashlib.new(self.name, data).hexdigest()
        file = self._folder / oid[:2] / oid[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(zlib.compress(data, 1))
        return oid

    def tree(self, files: Tree) -> str:
        inside: dict[str, Tree] = {}
        rows: list[tuple[bytes, bytes, str]] = []
        for path, (mode, content) in files.items():
            top, slash, rest = path.partition("/")
            if slash:
                inside.setdefault(top, {})[rest] = (mode, content)
            else:
                oid = content.decode() if mode == SUBMODULE else self.put(b"blob", content)
                rows.append((os.fsencode(top), mode.encode(), oid))
        rows += [(os.fsencode(top), b"40000", self.tree(below)) for top, below in inside.items()]
        rows.sort(key=lambda row: row[0] + (b"/" if row[1] == b"40000" else b""))
        return self.put(b"tree", b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(oid)) for name, mode, oid in rows))

    def commit(self, files: Tree) -> str:
        tree = self.tree(files).encode()
        return self.put(b"commit", b"tree %b\nauthor %b\ncommitter %b\n\nmade\n" % (tree, _DATE, _DATE))


@dataclass
class World:
    """A repository: what its commit holds, what is on disk, and what of that git does not list."""

    folder: Path
    committed: Tree
    disk: Tree
    commit: str
    hidden: set[str] = field(default_factory=set)  # paths, or folders with a final `/`, that git does not list
    closed: set[str] = field(default_factory=set)  # submodules that are not checked out
    features: set[str] = field(default_factory=set)


def _content(dice: random.Random) -> bytes:
    return b"".join(dice.choice(_WORDS) for _ in range(dice.randint(1, 6)))


def _smudged(path: str, content: bytes, object_format: str) -> bytes:
    """What a checkout makes of a content, by the attributes above."""
    match path.rpartition(".")[2]:
        case "crlf":
            return content.replace(b"\n", b"\r\n")
        case "idn":
            oid = hashlib.new(object_format, b"blob %d\0%b" % (len(content), content)).hexdigest().encode()
            return content.replace(b"$Id$", b"$Id: %b $" % oid)
        case "u16":
            return content.decode().encode("utf-16-le")
        case "flt":
            return content[::-1]
        case "lfs":
            return _LARGE
    return content


_LARGE = b"large\n" * 50
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (
    hashlib.sha256(_LARGE).hexdigest().encode(),
    len(_LARGE),
)


def _files(dice: random.Random) -> Tree:
    files: Tree = {}
    for path in dice.sample(_PLAIN, dice.randint(3, len(_PLAIN))):
        files[path] = (PROGRAM if path == "run.sh" else FILE, _content(dice))
    for path in dice.sample(_SPECIAL, dice.randint(0, len(_SPECIAL))):
        files[path] = (
            FILE,
            {"idn": b"# $Id$\n", "lfs": POINTER, "sub": b"$Format:%H$\n"}.get(path[-3:], _content(dice)),
        )
    if any(path in files for path in _SPECIAL):
        files[".gitattributes"] = (FILE, ATTRIBUTES)
    if dice.random() < 0.5:
        files["link"] = (LINK, dice.choice((b"a.py", b"nowhere", b"pkg", b"../out")))
    return files


def write_tree(folder: Path, files: Tree) -> None:
    for path, (mode, content) in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if mode == LINK:
            file.symlink_to(os.fsdecode(content))
        else:
            file.write_bytes(content)
            file.chmod(0o755 if mode == PROGRAM else 0o644)


def _git_folder(folder: Path, object_format: str) -> None:
    (folder / "refs/heads").mkdir(parents=True)
    (folder / "info").mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    extension = "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
    version = extension if object_format == "sha256" else "\trepositoryformatversion = 0\n"
    (folder / "config").write_text(f'[core]\n\tbare = false\n{version}[filter "evil"]\n\tclean = rev\n\tsmudge = rev\n')


def _git(folder: Path, *words: str, stdin: str = "") -> None:
    done = subprocess.run(["git", *words], cwd=folder, check=False, capture_output=True, input=stdin.encode())
    assert done.returncode == 0, (words, done.stderr)


def _repository(folder: Path, files: Tree, object_format: str, objects: Path | None = None) -> str:
    """A repository with one commit of some files, nothing on disk; its id. `objects` is another object folder to borrow from."""
    git_dir = folder / ".git"
    _git_folder(git_dir, object_format)
    (git_dir / "objects/info").mkdir(parents=True)
    if objects is not None:
        (git_dir / "objects/info/alternates").write_text(f"{objects}\n")
    commit = Objects(objects or git_dir / "objects", object_format).commit(files)
    (git_dir / "refs/heads/main").write_text(f"{commit}\n")
    return commit


def of_files(folder: Path, files: Tree) -> World:
    """A repository of some files, checked out."""
    repo = folder / "repo"
    commit = _repository(repo, files, "sha1")
    _git(repo, "read-tree", "HEAD")
    disk = {path: (mode, _smudged(path, content, "sha1")) for path, (mode, content) in files.items()}
    write_tree(repo, disk)
    return World(repo, files, disk, commit)


def make(folder: Path, dice: random.Random) -> World:
    """A clean world."""
    object_format = dice.choice(("sha1", "sha1", "sha1", "sha256"))
    committed, repo = _files(dice), folder / "repo"
    features = {object_format}
    submodule = _files(dice) if dice.random() < 0.25 else {}
    checked_out = dice.random() < 0.7
    inner = _repository(repo / "sub" if checked_out else folder / "sub", submodule, object_format) if submodule else ""
    if inner:
        committed["sub"] = (SUBMODULE, inner.encode())
        features.add("submodule" if checked_out else "closed submodule")
    objects = folder / "store" if dice.random() < 0.2 else None
    features |= {"alternates"} if objects else set()
    commit = _repository(repo, committed, object_format, objects)
    if dice.random() < 0.2:
        repo = _linked(folder, repo)
        features.add("worktree")
        if submodule and checked_out:
            shutil.copytree(folder / "repo/sub", repo / "sub")
    _git(repo, "read-tree", "HEAD")
    disk = {
        path: (mode, _smudged(path, content, object_format))
        for path, (mode, content) in committed.items()
        if mode != SUBMODULE
    }
    world = World(repo, committed, disk, commit, features=features)
    if submodule and checked_out:
        _open_submodule(world, submodule, object_format)
    elif submodule:
        world.closed.add("sub")
        (repo / "sub").mkdir(exist_ok=True)
    write_tree(repo, world.disk)
    for change in (_hide, _sparse, _nest, _conflict):
        if dice.random() < 0.2:
            change(world, dice)
    return world


def cleaned(path: str, content: bytes) -> bytes:
    """What git, without a program, would commit of a content on disk, by the attributes above."""
    match path.rpartition(".")[2]:
        case "crlf":
            return content.replace(b"\r\n", b"\n")
        case "idn":
            return re.sub(rb"\$Id: [^$\n]*\$", b"$Id$", content)
        case "u16":
            return content.decode("utf-16-le", "replace").encode()
        case "lfs":
            return POINTER if content == _LARGE else content
    return content


def _linked(folder: Path, repo: Path) -> Path:
    """A linked worktree of a repository, its git folder written by hand."""
    linked = folder / "linked"
    linked.mkdir()
    own = repo / ".git/worktrees/linked"
    own.mkdir(parents=True)
    (own / "HEAD").write_text((repo / ".git/refs/heads/main").read_text())
    (own / "commondir").write_text("../..\n")
    (own / "gitdir").write_text(f"{linked}/.git\n")
    (linked / ".git").write_text(f"gitdir: {own}\n")
    return linked


def _open_submodule(world: World, files: Tree, object_format: str) -> None:
    """The files of a submodule count one by one, with or without its own row."""
    _git(world.folder / "sub", "read-tree", "HEAD")
    world.committed |= {f"sub/{path}": entry for path, entry in files.items()}
    world.disk |= {
        f"sub/{path}": (mode, _smudged(path, content, object_format)) for path, (mode, content) in files.items()
    }


def _hide(world: World, dice: random.Random) -> None:
    """Files that git ignores: a diff does not list them."""
    common = world.folder if (world.folder / ".git").is_dir() else world.folder.parent / "repo"
    (common / ".git/info/exclude").write_text("*.log\ncache\n")
    write_tree(world.folder, {"x.log": (FILE, b"log\n"), "cache/y": (FILE, b"y\n")})
    world.hidden |= {"x.log", "cache/"}
    world.features.add("ignored")


def _sparse(world: World, dice: random.Random) -> None:
    """A file outside of a sparse checkout: marked, and not on disk."""
    path = dice.choice([path for path in world.disk if not path.startswith("sub/") and path != ".gitattributes"])
    _git(world.folder, "--literal-pathspecs", "update-index", "--skip-worktree", "--", path)
    (world.folder / path).unlink()
    del world.disk[path]
    world.features.add("sparse")


def _conflict(world: World, dice: random.Random) -> None:
    """A path that the index holds in three versions, as a merge leaves it."""
    path = dice.choice([path for path in world.disk if path in world.committed and not path.startswith("sub/")])
    mode, content = world.committed[path]
    oid = hashlib.new(
        "sha256" if "sha256" in world.features else "sha1", b"blob %d\0%b" % (len(content), content)
    ).hexdigest()
    rows = [f"0 {'0' * len(oid)}\t{path}", *(f"{mode} {oid} {stage}\t{path}" for stage in (1, 2, 3))]
    _git(world.folder, "update-index", "--index-info", stdin="\n".join(rows) + "\n")
    world.features.add("conflict")


def _nest(world: World, dice: random.Random) -> None:
    """A repository inside that is no submodule: its files are untracked ones."""
    files: Tree = {"n.py": (FILE, b"n = 1\n")}
    commit = _repository(world.folder / "nested", files, "sha1")
    _git(world.folder / "nested", "read-tree", "HEAD")
    write_tree(world.folder / "nested", files)
    world.disk["nested"] = (SUBMODULE, commit.encode())
    world.disk["nested/n.py"] = files["n.py"]
    world.features.add("nested")


# ------------------------------------------------------------------------------------------ damage


def _pick(tree: Tree, dice: random.Random) -> str:
    return dice.choice(
        sorted(
            path
            for path, (mode, content) in tree.items()
            if mode in {FILE, PROGRAM} and content and not path.endswith(".gitattributes")
        )
    )


def _flip(tree: Tree, dice: random.Random) -> None:
    path = _pick(tree, dice)
    mode, content = tree[path]
    at = dice.randrange(len(content))
    tree[path] = (mode, content[:at] + bytes([content[at] ^ (1 << dice.randrange(8))]) + content[at + 1 :])


def _cut(tree: Tree, dice: random.Random) -> None:
    path = _pick(tree, dice)
    tree[path] = (tree[path][0], tree[path][1][: dice.randrange(len(tree[path][1]))])


def _drop(tree: Tree, dice: random.Random) -> None:
    del tree[_pick(tree, dice)]


def _add(tree: Tree, dice: random.Random) -> None:
    tree[dice.choice(("new.py", "pkg/new.py", "z/y/x.py"))] = (FILE, b"new = 1\n")


def _mode(tree: Tree, dice: random.Random) -> None:
    path = _pick(tree, dice)
    tree[path] = (FILE if tree[path][0] == PROGRAM else PROGRAM, tree[path][1])


def _relink(tree: Tree, dice: random.Random) -> None:
    tree[_pick(tree, dice)] = (LINK, dice.choice((b"elsewhere", b"/etc/passwd", b".")))


def _rename(tree: Tree, dice: random.Random) -> None:
    path = _pick(tree, dice)
    tree[f"{path}.moved"] = tree.pop(path)


def _line_ends(tree: Tree, dice: random.Random) -> None:
    path = _pick(tree, dice)
    tree[path] = (tree[path][0], tree[path][1].replace(b"\n", b"\r\n") + b"\r\n")


DAMAGES: tuple[Callable[[Tree, random.Random], None], ...] = (
    _flip,
    _cut,
    _drop,
    _add,
    _mode,
    _relink,
    _rename,
    _line_ends,
)


def damaged(tree: Tree, dice: random.Random) -> Tree:
    """A copy with nothing or a few things done to it."""
    changed = dict(tree)
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        dice.choice(DAMAGES)(changed, dice)
    return changed


def rewrite(folder: Path, before: Tree, after: Tree) -> None:
    """Bring a folder from one tree to another; submodules stay as they are."""
    for path, (mode, _content) in before.items():
        if mode != SUBMODULE and after.get(path) != before[path]:
            (folder / path).unlink()
    write_tree(
        folder, {path: entry for path, entry in after.items() if entry[0] != SUBMODULE and before.get(path) != entry}
    )


# ------------------------------------------------------------------------------------------ archives


def _python_tar(file: Path, tree: Tree, form: int) -> None:
    with tarfile.open(file, "w:gz", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for path, (mode, content) in tree.items():
            info = tarfile.TarInfo(path)
            info.mode = 0o755 if mode == PROGRAM else 0o644
            if mode == LINK:
                info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(content)
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def _tool(file: Path, tree: Tree, *words: str) -> None:
    folder = file.with_name("packed")
    folder.mkdir()
    write_tree(folder, tree)
    subprocess.run(
        [word.replace("{}", str(file)) for word in words],
        cwd=folder,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    shutil.rmtree(folder)


def _zip(file: Path, tree: Tree) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, (mode, content) in tree.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = (int(mode, 8) if mode == LINK else 0o100755 if mode == PROGRAM else 0o100644) << 16
            archive.writestr(info, content)


WRITERS: dict[str, tuple[str, Callable[[Path, Tree], None]]] = {
    "Python's tarfile, pax": ("x.tgz", lambda file, tree: _python_tar(file, tree, tarfile.PAX_FORMAT)),
    "Python's tarfile, GNU": ("x.tgz", lambda file, tree: _python_tar(file, tree, tarfile.GNU_FORMAT)),
    "GNU tar": ("x.tar", lambda file, tree: _tool(file, tree, "tar", "-cf", "{}", ".")),
    "bsdtar": ("x.tgz", lambda file, tree: _tool(file, tree, "bsdtar", "-czf", "{}", ".")),
    "zip": ("x.zip", _zip),
}


def exported(world: World) -> Tree:
    """What `git archive` makes of the commit: nothing hidden, no submodule, and its id in place of a keyword."""
    return {
        path: (mode, content.replace(b"$Format:%H$", world.commit.encode()) if path.endswith(".sub") else content)
        for path, (mode, content) in world.committed.items()
        if not path.startswith(("hidden/", "sub/")) and mode != SUBMODULE
    }


def differences(before: Tree, after: Tree) -> dict[str, str]:
    """The truth: how two trees differ, by dictionaries alone."""
    rows: dict[str, str] = {}
    kinds = {FILE: "file", PROGRAM: "file"}
    for path in before.keys() | after.keys():
        if path not in before or path not in after:
            rows[path] = "removed" if path in before else "added"
            continue
        (mode, content), (new_mode, new_content) = before[path], after[path]
        if kinds.get(mode, mode) != kinds.get(new_mode, new_mode):
            rows[path] = "type"
        elif content != new_content:
            rows[path] = "changed"
        elif mode != new_mode:
            rows[path] = "mode"
    return rows
