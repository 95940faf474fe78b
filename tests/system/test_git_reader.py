"""Git's objects, each compared with its id."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.system import git_directory, git_reader
from buildguard.system.git_directory import GitDir
from buildguard.system.git_reader import DAMAGED, LINK, MISSING, SUBMODULE, GitEntry, ObjectReader
from tests.conftest import Project

_Open = Callable[[Project], ObjectReader]


@pytest.fixture
def opened() -> Iterator[_Open]:
    readers: list[ObjectReader] = []

    def of(repo: Project) -> ObjectReader:
        located = git_directory.find_parts(repo.path, inherited=False)
        assert located is not None
        readers.append(ObjectReader(GitDir(located[0])).__enter__())
        return readers[-1]

    yield of
    for reader in readers:
        reader.__exit__(None, None, None)


def _oids(repo: Project, *revisions: str) -> list[str]:
    return repo.git("rev-parse", *revisions).split()


def _loose(repo: Project, oid: str) -> Path:
    file = repo.path / ".git/objects" / oid[:2] / oid[2:]
    file.chmod(0o644)
    return file


def _commit_of_tree(repo: Project, raw: bytes) -> str:
    """A commit whose tree object has these bytes, whatever git thinks of them."""
    command = ["git", "hash-object", "-w", "--literally", "-t", "tree", "--stdin"]
    written = subprocess.run(command, cwd=repo.path, input=raw, capture_output=True, check=True)
    return repo.git("commit-tree", "-m", "odd", written.stdout.decode().strip()).strip()


def test_blobs_come_in_order(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"a.py": "x = 1\n", "b.py": b"\0\n\n", "empty": ""})
    oids = _oids(repo, "HEAD:b.py", "HEAD:empty", "HEAD:a.py", "HEAD:b.py")

    assert list(opened(repo).blobs(oids)) == [b"\0\n\n", b"", b"x = 1\n", b"\0\n\n"]


def test_more_blobs_than_are_asked_at_once(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({f"{number}.py": f"x = {number}\n" for number in range(600)})
    rows = [line.split() for line in repo.git("ls-files", "--stage", "*.py").splitlines()]

    contents = list(opened(repo).blobs([row[1] for row in rows]))

    assert contents == [f"x = {row[3].removesuffix('.py')}\n".encode() for row in rows]


def test_missing_and_damaged_objects_cost_no_other(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"a.py": "x = 1\n", "other.py": "x = 2\n", "cut.py": "x = 3\n", "last.py": "x = 4\n"})
    other, cut, first, last, tree = _oids(
        repo, "HEAD:other.py", "HEAD:cut.py", "HEAD:a.py", "HEAD:last.py", "HEAD^{tree}"
    )
    shutil.copyfile(_loose(repo, first), _loose(repo, other))
    file = _loose(repo, cut)
    file.write_bytes(file.read_bytes()[:8])

    contents = list(opened(repo).blobs([other, "0" * 40, cut, tree, last]))

    assert contents == [DAMAGED, MISSING, DAMAGED, DAMAGED, b"x = 4\n"]


def test_a_blob_that_is_too_large_is_hashed_and_not_kept(
    repository: Callable[..., Project], opened: _Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage of one is found as that of any other, and the next one is read where it begins."""
    monkeypatch.setattr(git_reader, "LARGEST", 1 << 20)
    monkeypatch.setattr(git_reader, "_PIECE", 1 << 18)
    large, other = b"x" * 3_000_001, b"y" * 3_000_001
    repo = repository({"large": large, "other": other, "a.py": "x = 1\n", "exact": b"z" * (1 << 20)})
    oids = _oids(repo, "HEAD:large", "HEAD:a.py", "HEAD:other", "HEAD:exact")
    shutil.copyfile(_loose(repo, oids[0]), _loose(repo, oids[2]))

    first, second, damaged, exact = opened(repo).blobs(oids)

    assert isinstance(first, UnreadableFile)
    assert (first.reason, first.size, first.sha256) == ("larger than 1 MiB", len(large), sha256(large).hexdigest())
    assert (second, damaged, exact) == (b"x = 1\n", DAMAGED, b"z" * (1 << 20))


def test_a_tree_has_every_row_with_its_mode(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"pkg/deep/a.py": "x = 1\n", "run": "x\n"})
    (repo.path / "run").chmod(0o755)
    (repo.path / "link").symlink_to("run")
    repo.git("add", "--all")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},lib")
    repo.git("commit", "--quiet", "--message", "more")
    head, *oids = _oids(repo, "HEAD", "HEAD:README", "HEAD:link", "HEAD:pkg/deep/a.py", "HEAD:run")

    tree = opened(repo).tree(head)

    assert tree.damaged == []
    assert sorted(tree.rows) == [
        GitEntry(b"README", "100644", oids[0]),
        GitEntry(b"lib", SUBMODULE, "12" * 20),
        GitEntry(b"link", LINK, oids[1]),
        GitEntry(b"pkg/deep/a.py", "100644", oids[2]),
        GitEntry(b"run", "100755", oids[3]),
    ]


def test_a_damaged_folder_is_named_and_the_rest_is_read(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"bad/a.py": "x = 1\n", "good/b.py": "x = 2\n"})
    head, bad, good = _oids(repo, "HEAD", "HEAD:bad", "HEAD:good")
    shutil.copyfile(_loose(repo, good), _loose(repo, bad))

    tree = opened(repo).tree(head)

    assert tree.damaged == [b"bad"]
    assert {row.path for row in tree.rows} == {b"README", b"good/b.py"}


def test_a_damaged_commit_is_damage_of_all_of_it(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository()
    first = _oids(repo, "HEAD")[0]
    second = repo.commit({"a.py": "x = 1\n"})
    shutil.copyfile(_loose(repo, first), _loose(repo, second))
    reader = opened(repo)

    assert reader.tree(second) == ([], [b""])
    with pytest.raises(UnprovenError, match="its date cannot be read"):
        reader.time_of(second)


def test_a_missing_commit_or_folder_is_an_error(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"pkg/a.py": "x = 1\n"})
    head, folder = _oids(repo, "HEAD", "HEAD:pkg")
    _loose(repo, folder).unlink()
    reader = opened(repo)

    with pytest.raises(UnprovenError, match="git has no commit 0000"):
        reader.tree("0" * 40)
    with pytest.raises(UnprovenError, match=f"git has no tree for pkg/ of commit {head}"):
        reader.tree(head)


def test_a_tree_object_that_is_malformed_is_damage(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository()
    raw = b"100644 a.py\0" + bytes(20) + b"rest"
    commit = _commit_of_tree(repo, raw)

    assert opened(repo).tree(commit) == ([], [b""])


def test_modes_of_old_versions_count_as_those_of_today(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository({"a.py": "x = 1\n"})
    blob = bytes.fromhex(_oids(repo, "HEAD:a.py")[0])
    raw = b"".join(b"%b %b\0%b" % (mode, name, blob) for mode, name in ((b"100664", b"a.py"), (b"100775", b"run")))
    commit = _commit_of_tree(repo, raw)

    assert [(row.path, row.mode) for row in opened(repo).tree(commit).rows] == [(b"a.py", "100644"), (b"run", "100755")]


def test_the_time_of_a_commit(repository: Callable[..., Project], opened: _Open) -> None:
    repo = repository()
    repo.git(
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "committer x> 7 ",
        env={"GIT_COMMITTER_DATE": "1234567890 +0200"},
    )

    assert opened(repo).time_of(_oids(repo, "HEAD")[0]) == 1_234_567_890
