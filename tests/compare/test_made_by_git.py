"""What git itself does to bytes, by its real filters and attributes: told apart from damage, and found once it is carried on."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import diff
from tests.compare.damage import git, write
from tests.conftest import missing

if TYPE_CHECKING:
    from pathlib import Path

    from buildguard.compare.chain import Chain, Hop
    from buildguard.compare.difference import Difference

pytestmark = pytest.mark.interpreters


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    made.mkdir()
    git(made, "init", "--quiet", "--initial-branch=main")
    return made


def _commit(repo: Path, files: dict[str, bytes]) -> None:
    write(repo, files)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "change")


def _checkout_again(repo: Path, *options: str) -> None:
    """Have git write every file again, under other settings."""
    for name in git(repo, "ls-files", "-z").split("\0")[:-1]:
        (repo / name).unlink()
    git(repo, *options, "checkout", "--", ".")


def _diff(repo: Path, *stages: str, strict: bool = False) -> Chain:
    return diff.diff(repo, stages, strict=strict).chain


def _row(hop: Hop) -> Difference:
    (row,) = hop.differences
    return row


def _packed(repo: Path, *words: str) -> str:
    out = repo.parent / "made.tar"
    subprocess.run(["git", *words, "archive", "--output", out, "HEAD"], cwd=repo, check=True, capture_output=True)
    return f"tar:{out}"


def _tarred(repo: Path) -> str:
    out = repo.parent / "worktree.tgz"
    subprocess.run(["tar", "-C", repo, "--exclude=./.git", "-czf", out, "."], check=True)
    return f"tar:{out}"


def test_autocrlf_in_the_worktree_is_told_and_is_no_finding(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\ny = 2\n"})
    git(repo, "config", "core.autocrlf", "true")
    _checkout_again(repo)
    assert (repo / "a.py").read_bytes() == b"x = 1\r\ny = 2\r\n"

    chain = _diff(repo, "commit:HEAD", "dir:.")

    row = _row(chain.hops[0])
    assert (row.cause, row.finding) == ("line-endings", False)
    assert "core.autocrlf=true" in row.evidence
    assert "LF became CRLF in 2 lines" in row.evidence
    assert not chain.hops[0].identical
    assert chain.first_changed == 0
    assert chain.exit_code == 0
    assert _diff(repo, "commit:HEAD", "dir:.", strict=True).exit_code == 1


def test_line_ends_that_no_filter_explains_are_a_finding(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n"})
    (repo / "a.py").write_bytes(b"x = 1\r\n")

    chain = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(chain.hops[0]).cause, chain.exit_code) == ("line-endings", 1)


def test_filtered_bytes_that_are_carried_on_are_a_finding_at_the_hop_where_they_came(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n", "run.sh": b"#!/bin/sh\n"})
    git(repo, "config", "core.autocrlf", "true")
    _checkout_again(repo)

    chain = _diff(repo, "commit:HEAD", "dir:.", _tarred(repo))

    assert [row.finding for row in chain.hops[0].differences] == [True, True]
    assert chain.hops[1].identical
    assert (chain.first_changed, chain.exit_code) == (0, 1)


def test_filtered_bytes_that_are_undone_are_none(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n"})
    as_committed = _packed(repo)
    git(repo, "config", "core.autocrlf", "true")
    _checkout_again(repo)

    chain = _diff(repo, "commit:HEAD", "dir:.", as_committed)

    assert [_row(hop).finding for hop in chain.hops] == [False, False]
    assert "as in commit:HEAD again" in _row(chain.hops[1]).evidence
    assert _row(chain.hops[1]).cause == "line-endings"  # what is committed now is not stale
    assert chain.exit_code == 0


def test_what_git_archive_leaves_out_of_a_working_tree(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n", "secret/b.py": b"", ".gitattributes": b"secret/ export-ignore\n"})
    packed = _packed(repo)
    write(repo, {"secret/new.py": b""})

    chain = _diff(repo, "commit:HEAD", "dir:.", packed)

    causes = {row.path: row.cause for row in chain.hops[1].differences}
    assert causes == {b"secret/b.py": "export-ignore", b"secret/new.py": "content"}


def test_damage_on_top_of_a_filter_is_found(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\ny = 2\n"})
    git(repo, "config", "core.autocrlf", "true")
    _checkout_again(repo)
    (repo / "a.py").write_bytes(b"x = 1\r\ny = 3\r\n")

    chain = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(chain.hops[0]).cause, chain.exit_code) == ("local-edit", 1)


def test_the_stat_cache_is_not_believed(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n"})
    before = os.stat(repo / "a.py")
    git(repo, "update-index", "--assume-unchanged", "a.py")
    (repo / "a.py").write_bytes(b"x = 5\n")
    os.utime(repo / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert git(repo, "status", "--porcelain") == ""

    chain = _diff(repo, "index:", "dir:.")

    assert (_row(chain.hops[0]).cause, chain.exit_code) == ("bit-flip", 1)


def test_ident_in_the_worktree_and_in_an_archive(repo: Path) -> None:
    _commit(repo, {".gitattributes": b"*.py ident\n", "a.py": b"# $Id$\nx = 1\n"})
    _checkout_again(repo)
    assert b"$Id: " in (repo / "a.py").read_bytes()

    worktree, archive = _diff(repo, "commit:HEAD", "dir:."), _diff(repo, "commit:HEAD", _packed(repo))

    assert (_row(worktree.hops[0]).cause, worktree.exit_code) == ("keyword-expansion", 0)
    assert (_row(archive.hops[0]).cause, archive.exit_code) == ("keyword-expansion", 1)


def test_a_working_tree_encoding(repo: Path) -> None:
    _commit(repo, {".gitattributes": b"*.txt working-tree-encoding=UTF-16LE-BOM\n"})
    (repo / "a.txt").write_bytes("\ufeffZürich\n".encode("utf-16-le"))
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "text")

    chain = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(chain.hops[0]).cause, chain.exit_code) == ("transcoded", 0)


def test_export_subst_and_export_ignore_of_git_archive(repo: Path) -> None:
    attributes = b"version.py export-subst\ndocs export-ignore\n*.notes export-ignore\ntests/ export-ignore\n"
    files = {
        ".gitattributes": attributes,
        "version.py": b'commit = "$Format:%H %d$"\ndate = "$Format:%ci$"\nby = "$Format:%an <%ae>$"\n',
        "docs/a.txt": b"a\n",
        "docs/b/c.txt": b"c\n",
        "x.notes": b"n\n",
        "app.py": b"x = 1\n",
        "tool.py": b"t = 1\n",
    }
    _commit(repo, files)

    chain = _diff(repo, "commit:HEAD", _packed(repo))

    rows = {os.fsdecode(row.path): (row.change, row.cause, row.finding) for row in chain.hops[0].differences}
    assert rows == {
        "version.py": ("changed", "keyword-expansion", True),
        "docs/a.txt": ("removed", "export-ignore", False),
        "docs/b/c.txt": ("removed", "export-ignore", False),
        "x.notes": ("removed", "export-ignore", False),
    }


def test_a_source_that_export_ignore_drops_is_a_finding(repo: Path) -> None:
    _commit(repo, {".gitattributes": b"tool.py export-ignore\n", "tool.py": b"t = 1\n", "app.py": b"x = 1\n"})

    chain = _diff(repo, "commit:HEAD", _packed(repo))

    row = _row(chain.hops[0])
    assert (row.cause, row.finding, chain.exit_code) == ("export-ignore", True, 1)


def test_git_archive_under_autocrlf(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n"})

    chain = _diff(repo, "commit:HEAD", _packed(repo, "-c", "core.autocrlf=true"))

    assert (_row(chain.hops[0]).cause, chain.exit_code) == ("line-endings", 1)


def test_lfs_pointers_are_verified_against_the_content(repo: Path) -> None:
    if shutil.which("git-lfs") is None:
        missing("git-lfs", "apt-get install git-lfs")
    git(repo, "lfs", "install", "--local")
    content = b"weights " * 1000
    _commit(repo, {".gitattributes": b"*.dat filter=lfs diff=lfs merge=lfs -text\n", "w.dat": content})
    pointer = git(repo, "cat-file", "blob", "HEAD:w.dat").encode()
    assert pointer.startswith(b"version https://git-lfs")

    smudged = _diff(repo, "commit:HEAD", "dir:.")
    carried = _diff(repo, "commit:HEAD", "dir:.", _tarred(repo))
    (repo / "w.dat").write_bytes(content + b"!")
    other = _diff(repo, "commit:HEAD", "dir:.")
    (repo / "w.dat").write_bytes(pointer)
    pointers = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(smudged.hops[0]).cause, smudged.exit_code) == ("lfs-pointer", 0)
    assert "the very content" in _row(smudged.hops[0]).evidence
    assert (_row(carried.hops[0]).finding, carried.exit_code) == (True, 1)
    assert (_row(other.hops[0]).cause, other.exit_code) == ("lfs-pointer", 1)
    assert pointers.exit_code == 0


def test_no_filter_program_of_the_repository_runs(repo: Path, tmp_path: Path) -> None:
    _commit(
        repo,
        {".gitattributes": b"*.py filter=evil export-subst\ndocs export-ignore\n", "a.py": b"x = 1\n", "docs/d": b""},
    )
    packed = _packed(repo)
    for name in ("clean", "smudge", "process"):
        git(repo, "config", f"filter.evil.{name}", f"touch {tmp_path}/ran; cat")
    git(repo, "config", "filter.evil.required", "true")
    git(repo, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    (repo / "a.py").write_bytes(b"x = 2\n")

    worktree, archive = _diff(repo, "commit:HEAD", "dir:."), _diff(repo, "commit:HEAD", packed)

    assert (worktree.exit_code, archive.exit_code) == (1, 0)
    assert not (tmp_path / "ran").exists()


def test_an_earlier_commit_is_named(repo: Path) -> None:
    for number in range(4):
        _commit(repo, {"a.py": b"x = %d%d\n" % (number, number * 7)})
    wanted = git(repo, "rev-parse", "HEAD~2").strip()
    (repo / "a.py").write_bytes(b"x = 17\n")

    row = _row(_diff(repo, "commit:HEAD", "dir:.").hops[0])

    assert row.cause == "stale"
    assert wanted[:10] in row.evidence


def test_modes_that_the_disk_cannot_hold_are_no_finding(repo: Path) -> None:
    _commit(repo, {"run.sh": b"#!/bin/sh\n"})
    (repo / "run.sh").chmod(0o755)
    assert _diff(repo, "commit:HEAD", "dir:.").exit_code == 1
    git(repo, "config", "core.fileMode", "false")

    chain = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(chain.hops[0]).explained, chain.exit_code) == ("core.fileMode=false", 0)


def test_links_that_the_disk_cannot_hold_are_no_finding(repo: Path) -> None:
    write(repo, {"a.py": b"x = 1\n"})
    (repo / "link").symlink_to("a.py")
    _commit(repo, {})
    git(repo, "config", "core.symlinks", "false")
    _checkout_again(repo)
    assert not (repo / "link").is_symlink()

    chain = _diff(repo, "commit:HEAD", "dir:.")
    (repo / "link").write_text("b.py")
    other = _diff(repo, "commit:HEAD", "dir:.")

    assert (_row(chain.hops[0]).explained, chain.exit_code) == ("core.symlinks=false", 0)
    assert other.exit_code == 1


def test_a_repository_with_sha256_objects(repo: Path, tmp_path: Path) -> None:
    other = tmp_path / "sha256"
    other.mkdir()
    git(other, "init", "--quiet", "--object-format=sha256")
    _commit(other, {"a.py": b"x = 1\n", "b.py": b"y = 1\n"})
    git(other, "config", "core.autocrlf", "true")
    _checkout_again(other)

    clean = _diff(other, "commit:HEAD", "index:", "dir:.")
    (other / "b.py").write_bytes(b"y = 3\r\n")
    damaged = _diff(other, "commit:HEAD", "dir:.")

    assert clean.exit_code == 0
    assert {os.fsdecode(row.path): row.finding for row in damaged.hops[0].differences} == {"a.py": False, "b.py": True}


def test_submodules(repo: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    _commit(inner, {"lib.py": b"y = 1\n"})
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    _commit(repo, {"a.py": b"x = 1\n"})

    clean = _diff(repo, "commit:HEAD", "index:", "dir:.", _tarred(repo))
    (repo / "sub/lib.py").write_bytes(b"y = 2\n")
    edited = _diff(repo, "commit:HEAD", "dir:.")
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "--quiet", str(repo), "bare")
    closed = _diff(bare, "commit:HEAD", "index:", "dir:.")
    half = _diff(bare, "commit:HEAD", f"tar:{tmp_path}/worktree.tgz")

    # git writes a file `.git` into each submodule, which `tar` takes along
    assert {os.fsdecode(row.path) for hop in clean.hops for row in hop.differences} <= {"sub/.git"}
    assert [os.fsdecode(row.path) for row in edited.hops[0].differences] == ["sub/lib.py"]
    assert edited.exit_code == 1
    assert closed.exit_code == 0
    assert any("submodule" in note for note in closed.snapshots[0].notes)
    assert half.exit_code == 3
    assert any(one.path == "sub/lib.py" for one in half.unproven)


def test_a_conflict_in_the_index_is_unproven(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n"})
    git(repo, "checkout", "--quiet", "-b", "other")
    _commit(repo, {"a.py": b"x = 2\n"})
    git(repo, "checkout", "--quiet", "main")
    _commit(repo, {"a.py": b"x = 3\n"})
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "merge", "other"],
        cwd=repo,
        capture_output=True,
        check=False,
    )

    chain = _diff(repo, "index:", "dir:.")

    assert any(one.path == "a.py" and "conflict" in one.reason for one in chain.unproven)
    assert chain.exit_code in {1, 3}


def test_a_damaged_object_is_unproven(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n", "b.py": b"y = 1\n"})
    oid = git(repo, "rev-parse", "HEAD:a.py").strip()
    other = git(repo, "rev-parse", "HEAD:b.py").strip()
    objects = repo / ".git/objects"
    path = objects / oid[:2] / oid[2:]
    path.chmod(0o644)
    shutil.copyfile(objects / other[:2] / other[2:], path)

    chain = _diff(repo, "commit:HEAD", "dir:.")

    assert chain.exit_code != 0


def test_a_missing_object_is_unproven(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n", "b.py": b"y = 1\n"})
    oid = git(repo, "rev-parse", "HEAD:a.py").strip()
    (repo / ".git/objects" / oid[:2] / oid[2:]).unlink()

    chain, worktree = _diff(repo, "commit:HEAD", "index:"), _diff(repo, "commit:HEAD", "dir:.")

    assert (chain.exit_code, worktree.exit_code) == (3, 3)
    assert {one.path for one in chain.unproven} == {"a.py"}
    assert worktree.hops[0].differences == ()  # not "added": no one could look
    assert not worktree.hops[0].identical


def test_a_folder_of_the_repository_is_compared_with_that_folder_of_the_commit(repo: Path) -> None:
    _commit(repo, {"backend/a.py": b"x = 1\n", "backend/b.py": b"y = 1\n", "frontend/c.py": b"z = 1\n"})
    (repo / "backend/a.py").write_bytes(b"x = 11\n")

    (hop,) = _diff(repo, "commit:HEAD", "dir:backend").hops

    assert [os.fsdecode(row.path) for row in hop.differences] == ["a.py"]
    assert len(hop.before.manifest.entries) == 2


def test_a_folder_that_git_ignores_is_a_folder(repo: Path) -> None:
    _commit(repo, {".gitignore": b"out/\n*.pyc\n", "a.py": b"x = 1\n"})
    write(repo, {"out/a.py": b"x = 1\n", "out/.gitignore": b"out/\n*.pyc\n", "out/x.pyc": b"stray"})

    (hop,) = _diff(repo, "commit:HEAD", "dir:out").hops

    assert [os.fsdecode(row.path) for row in hop.differences] == ["x.pyc"]


def test_what_lies_behind_a_link_to_a_folder_is_not_there(repo: Path, tmp_path: Path) -> None:
    _commit(repo, {"pkg/a.py": b"x = 1\n", "b.py": b""})
    write(tmp_path, {"elsewhere/a.py": b"x = 1\n"})
    shutil.rmtree(repo / "pkg")
    (repo / "pkg").symlink_to(tmp_path / "elsewhere")

    (hop,) = _diff(repo, "commit:HEAD", "dir:.").hops

    assert {os.fsdecode(row.path): row.change for row in hop.differences} == {"pkg": "added", "pkg/a.py": "removed"}


def test_the_other_faults_are_notes(repo: Path) -> None:
    _commit(repo, {"a.py": b"x = 1\n", "b.py": b"y = 1\n", ".gitignore": b"*.log\n"})
    first = _tarred(repo)
    os.chmod(repo / "a.py", 0o600)
    os.link(repo / "b.py", repo.parent / "twin")
    (repo / "empty").mkdir()
    os.mkfifo(repo / "pipe")
    write(repo, {"x.log": b"ignored"})

    chain, strict = _diff(repo, first, "dir:."), _diff(repo, first, "dir:.", strict=True)

    notes = "\n".join(chain.hops[0].notes)
    assert "permissions 0644 became 0600: a.py" in notes
    assert "empty folders only in dir:.: empty" in notes
    assert "special files only in dir:.: pipe (a FIFO)" in notes
    assert "hard links: b.py" in notes
    assert any("1 path ignored by git, not compared" in note for note in chain.snapshots[1].notes)
    assert (chain.exit_code, strict.exit_code) == (0, 1)
