"""Paths in git's objects that no checkout can have: the tree or the index that holds one is refused, as an archive is."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from buildguard.compare import diff, manifest
from buildguard.errors import UnprovenError
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from buildguard.system import git_paths
from buildguard.system.git_paths import columns_of, columns_of_files, refuse_overlaps, refuse_unsafe_paths
from tests.conftest import Project

_FILE, _FOLDER = b"100644", b"40000"
_Row = tuple[bytes, bytes, str]


def _store(repo: Project, kind: str, content: bytes) -> str:
    """An object with these bytes, whatever git thinks of them."""
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    return (
        subprocess.run(command, cwd=repo.path, input=content, capture_output=True, check=True).stdout.decode().strip()
    )


def _tree(repo: Project, rows: Sequence[_Row]) -> str:
    return _store(repo, "tree", b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(oid)) for mode, name, oid in rows))


@pytest.fixture
def repo(repository: Callable[..., Project]) -> Project:
    return repository({"Dockerfile": "FROM python:3.11\n", "a.py": "x = 1\n"})


def _commit(repo: Project, *names: bytes, below: bytes = b"") -> str:
    """A commit of files with these names; those of the folder `below`, if one is given."""
    blob = _store(repo, "blob", b"evil = 1\n")
    tree = _tree(repo, [(_FILE, name, blob) for name in names])
    if below:
        tree = _tree(repo, [(_FOLDER, below, tree)])
    return repo.git("commit-tree", "-m", "odd", tree).strip()


def _file_beside_folder(repo: Project) -> str:
    blob = _store(repo, "blob", b"evil = 1\n")
    inner = _tree(repo, [(_FILE, b"x.py", blob)])
    return repo.git("commit-tree", "-m", "odd", _tree(repo, [(_FILE, b"a", blob), (_FOLDER, b"a", inner)])).strip()


_ODD: dict[str, tuple[Callable[[Project], str], str]] = {
    "out of the root": (lambda repo: _commit(repo, b"../evil.py"), "a name with a slash"),
    "absolute": (lambda repo: _commit(repo, b"/abs.py"), "a name with a slash"),
    "slash": (lambda repo: _commit(repo, b"a/x.py"), "a name with a slash"),
    "folder above": (lambda repo: _commit(repo, b"evil.py", below=b".."), "leads out of the root"),
    "folder itself": (lambda repo: _commit(repo, b"evil.py", below=b"."), "not in its plainest form"),
    "git folder": (lambda repo: _commit(repo, b"config", below=b".git"), "takes for its own"),
    "git folder in capitals": (lambda repo: _commit(repo, b"config", below=b".GiT"), "takes for its own"),
    "git folder of NTFS": (lambda repo: _commit(repo, b"config", below=b"git~1"), "takes for its own"),
    "git folder with a stream": (lambda repo: _commit(repo, b"config", below=b".git::$INDEX_ALLOCATION"), "its own"),
    "git folder of HFS": (lambda repo: _commit(repo, b"config", below=b".g\xe2\x80\x8cit"), "takes for its own"),
    "git file": (lambda repo: _commit(repo, b".git", below=b"sub"), "takes for its own"),
    "twice": (lambda repo: _commit(repo, b"a.py", b"a.py"), "twice"),
    "file beside folder": (_file_beside_folder, "as a file and as a folder"),
    "long name": (lambda repo: _commit(repo, b"n" * 256), "more than 255 bytes"),
}


@pytest.mark.parametrize("kind", _ODD)
def test_a_tree_that_no_checkout_can_have_is_refused(repo: Project, tmp_path: Path, kind: str) -> None:
    make, words = _ODD[kind]
    commit = make(repo)
    opened = gits.repository_of(repo.path)
    assert opened is not None

    listed = manifest.manifest(repo.path, f"commit:{commit}")
    compared = diff.diff(repo.path, [f"commit:{commit}", f"commit:{commit}"])

    assert listed.exit_code == 3
    assert words in listed.snapshot.unproven[0].reason
    assert compared.chain.exit_code == 3
    with pytest.raises(UnprovenError, match=words):
        pack(commit_of(opened, commit), tmp_path / "out.tgz")


def test_check_refuses_such_a_tree(repo: Project) -> None:
    result = repo.check("--engine", "static", "--proof", "predicted", f"commit:{_commit(repo, b'../evil.py')}")

    assert result.code == 3
    assert "../evil.py" in result.json["unproven"][0]["reason"]


def test_an_empty_name_is_no_tree(repo: Project) -> None:
    blob = _store(repo, "blob", b"evil = 1\n")
    commit = repo.git("commit-tree", "-m", "odd", _tree(repo, [(_FILE, b"", blob)])).strip()

    assert manifest.manifest(repo.path, f"commit:{commit}").exit_code == 1


def test_a_tree_that_grows_without_end_is_refused(repo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = _store(repo, "blob", b"x = 1\n")
    tree = _tree(repo, [(_FILE, b"%d" % number, blob) for number in range(10)])
    for _ in range(8):
        tree = _tree(repo, [(_FOLDER, b"%d" % number, tree) for number in range(10)])
    commit = repo.git("commit-tree", "-m", "bomb", tree).strip()
    monkeypatch.setattr("buildguard.system.git_reader._MOST_ROWS", 1000)
    opened = gits.repository_of(repo.path)
    assert opened is not None

    with pytest.raises(UnprovenError, match="more than a million"):
        opened.tree(commit)


def _rename_in_index(repo: Project, old: bytes, new: bytes) -> None:
    """Give a row of the index another path of the same length; its checksum is made right again."""
    assert len(old) == len(new)
    file = repo.path / ".git/index"
    body = file.read_bytes()[:-20]
    assert old in body
    body = body.replace(old, new)
    file.write_bytes(body + hashlib.sha1(body, usedforsecurity=False).digest())


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (b"../evil.py", "leads out of the root"),
        (b"/tmp/ev.py", "absolute"),
        (b".git/ev.py", "takes for its own"),
        (b"bc/../ev.p", "leads out of the root"),
    ],
)
def test_an_index_that_leads_out_of_the_folder_is_refused(repo: Project, new: bytes, words: str) -> None:
    repo.commit({"bc/evil.py": "x = 1\n"})
    _rename_in_index(repo, b"bc/evil.py", new)

    for stage in ("index:", "dir:."):
        listed = manifest.manifest(repo.path, stage)
        assert listed.exit_code == 3, stage
        assert words in listed.snapshot.unproven[0].reason, stage


def test_a_file_beside_a_folder_in_the_index_is_refused(repo: Project) -> None:
    repo.commit({"b-": "", "bc/evil.py": "x = 1\n"})
    _rename_in_index(repo, b"b-\0", b"bc\0")

    assert "as a file and as a folder" in manifest.manifest(repo.path, "index:").snapshot.unproven[0].reason


def test_a_conflict_between_a_file_and_a_folder_is_no_such_index(repo: Project) -> None:
    repo.commit({"thing": "file\n"})
    repo.git("checkout", "-q", "-b", "other", "HEAD~1")
    repo.commit({"thing/x.py": "x = 1\n"})
    subprocess.run(["git", "merge", "-q", "main"], cwd=repo.path, capture_output=True, check=False)

    reasons = [item.reason for item in manifest.manifest(repo.path, "index:").snapshot.unproven]

    assert reasons
    assert all("conflict" in reason for reason in reasons)


@pytest.mark.parametrize(
    "path",
    [
        b".gitignore",
        b".github/x",
        b"a/.gitmodules",
        b"git",
        b"a..b",
        b"...",
        b"..a",
        b".a/b",
        b"gitt~1",
        b"x.git/config",
    ],
)
def test_an_ordinary_name_is_not_refused(path: bytes) -> None:
    refuse_unsafe_paths([b"a.py", path], "x")


def _listing(*rows: tuple[str, bytes], tag: bytes = b"") -> bytes:
    """What git writes of some files, each with what stands in the place of its mode and a path."""
    return b"".join(b"%b%b %b 0\t%b\0" % (tag, mode.encode(), b"a" * 40, path) for mode, path in rows)


def _paths_of(listing: bytes) -> list[bytes] | str:
    try:
        return columns_of(listing).paths
    except UnprovenError as error:
        return error.what


@pytest.mark.parametrize(
    "rows",
    [
        [("100644", b"a"), ("100755", b"a.b"), ("100644", b"b/c.py")],
        [("100644", b"a"), ("120000", b"b"), ("160000", b"c")],
        [("100644", b"a\tb"), ("100644", b"c")],
        [("100644", b"b"), ("100644", b"a")],
        [("100644", b"a"), ("100644", b"a")],
        [("100644", b"a"), ("100644", b"a-b"), ("100644", b"a/b.py")],
        [("100644", b"a.py"), ("100644", b"a.py/b.py")],
        [("100644", b"a"), *[("100644", b"m%02d.py" % number) for number in range(40)]],
        [("100644", b"a"), *[("100644", b"a/m%02d.py" % number) for number in range(40)]],
        [("1006440", b"a"), ("100644", b"bc")],
        [("100644", b"a"), ("1006440", b"bc")],
        [("100644", b"a"), ("100644", b"b/../c")],
    ],
)
def test_an_index_of_files_alone_is_read_as_any_other(
    rows: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = _listing(*rows)
    quickly = _paths_of(listing)
    monkeypatch.setattr(git_paths, "columns_of_files", lambda _listing: None)

    assert quickly == _paths_of(listing)


def test_an_index_of_files_alone_has_their_modes_and_ids() -> None:
    columns = columns_of_files(_listing(("100644", b"a"), ("100755", b"b"), tag=b"H "), b"H ")

    assert columns is not None
    assert columns.modes() == ["100644", "100755"]
    assert columns.oids() == ["a" * 40] * 2
    assert columns.modes_and_paths() == [(b"100644", b"a"), (b"100755", b"b")]
    assert columns_of_files(_listing(("100644", b"a"), tag=b"S "), b"H ") is None
    assert columns_of_files(b"") is None


def test_no_path_is_no_trouble() -> None:
    refuse_unsafe_paths([], "x")
    refuse_overlaps([], "x")
