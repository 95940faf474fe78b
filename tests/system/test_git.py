"""Git is read through a git folder of our own: every kind of repository, each object checked against its id."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import diff, manifest
from buildguard.errors import UnprovenError
from buildguard.stages.worktree_changes import edited_paths
from buildguard.system import git as gits
from buildguard.system import git_directory
from buildguard.system.git_paths import split_rows
from tests.compare.damage import git, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.compare.chain import Chain
    from tests.conftest import Project

pytestmark = pytest.mark.interpreters

_FILES = {
    "Dockerfile": b"FROM python:3.11\n",
    "app.py": b"x = 1\n",
    "pkg/mod.py": b"y = 1\n",
    "pkg/other.py": b"z = 1\n",
}
_FORMATS = pytest.mark.parametrize("object_format", ["sha1", "sha256"])


def _repository(folder: Path, object_format: str = "sha1") -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")
    _commit(folder, _FILES)
    return folder


def _commit(repo: Path, files: dict[str, bytes] | None = None) -> str:
    write(repo, files or {})
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "change")
    return git(repo, "rev-parse", "HEAD").strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return _repository(tmp_path / "repo")


def _of(folder: Path) -> gits.Repository:
    repository = gits.repository_of(folder)
    assert repository is not None
    return repository


def _diff(repo: Path, *stages: str) -> Chain:
    return diff.diff(repo, stages or ("commit:HEAD", "index:", "dir:.")).chain


def _loose(repo: Path, name: str) -> Path:
    oid = git(repo, "rev-parse", name).strip()
    path = repo / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    return path


# ------------------------------------------------------------------------------------------ damage


def _swap(repo: Path, name: str, other: str) -> None:
    shutil.copyfile(_loose(repo, other), _loose(repo, name))


def _garbage(repo: Path, name: str, _other: str) -> None:
    _loose(repo, name).write_bytes(b"no object")


def _cut(repo: Path, name: str, _other: str) -> None:
    path = _loose(repo, name)
    path.write_bytes(path.read_bytes()[:-6])


def _swap_in_pack(repo: Path, name: str, other: str) -> None:
    """Let the index of a pack lead from each of two ids to the other's object."""
    git(repo, "repack", "-adq", "--depth=0")
    (index,) = (repo / ".git/objects/pack").glob("*.idx")
    data = bytearray(index.read_bytes())
    (number,) = struct.unpack_from(">I", data, 8 + 255 * 4)
    width = 20 if len(git(repo, "rev-parse", "HEAD").strip()) == 40 else 32
    ids = 8 + 256 * 4
    offsets = ids + number * (width + 4)
    listed = [data[ids + at * width : ids + (at + 1) * width].hex() for at in range(number)]
    one, two = (offsets + 4 * listed.index(git(repo, "rev-parse", spec).strip()) for spec in (name, other))
    data[one : one + 4], data[two : two + 4] = data[two : two + 4], data[one : one + 4]
    index.chmod(0o644)
    index.write_bytes(bytes(data))


@_FORMATS
@pytest.mark.parametrize("damage", [_swap, _garbage, _cut, _swap_in_pack])
def test_a_damaged_blob_is_a_finding(
    tmp_path: Path, object_format: str, damage: Callable[[Path, str, str], None]
) -> None:
    repo = _repository(tmp_path / "repo", object_format)
    damage(repo, "HEAD:pkg/mod.py", "HEAD:pkg/other.py")
    expected = {"pkg/mod.py"} if damage is not _swap_in_pack else {"pkg/mod.py", "pkg/other.py"}

    chains = [_diff(repo, "commit:HEAD", "dir:."), _diff(repo, "index:", "dir:."), _diff(repo, "dir:.", "commit:HEAD")]
    manifests = [manifest.manifest(repo, text) for text in ("commit:HEAD", "index:")]

    for chain in chains:
        rows = {os.fsdecode(row.path): (row.change, row.finding) for row in chain.hops[0].differences}
        assert rows == dict.fromkeys(expected, ("damaged", True))
        assert (chain.exit_code, chain.hops[0].identical) == (1, False)
    for one in manifests:
        assert {os.fsdecode(path) for path in one.snapshot.damaged} == expected
        assert one.exit_code == 1


@_FORMATS
@pytest.mark.parametrize("place", ["commit:HEAD", "index:"])
def test_check_reports_a_damaged_object_with_its_path(
    project: Callable[..., Project], object_format: str, place: str
) -> None:
    made = project()
    made.git("init", "--quiet", f"--object-format={object_format}")
    made.commit({**_FILES, "pkg/sub/deep.py": b"w = 1\n"})
    _swap(made.path, "HEAD:pkg/mod.py", "HEAD:pkg/other.py")
    _swap(made.path, "HEAD:Dockerfile", "HEAD:app.py")

    result = made.check("--engine", "static", "--proof", "predicted", "--target", "3.11", place)

    assert result.code == 1
    assert {path: codes for path, codes in result.codes().items() if path} == {
        "pkg/mod.py": ["BG306"],
        "Dockerfile": ["BG306"],
    }
    [row] = result.json["unproven"]
    reason = "Dockerfile: its object in the repository is damaged: it does not match its id"
    assert (row["path"], row["reason"]) == (None, f"Python in build files was not looked at: {reason}")
    assert "BG306" in made.run("manifest", place).err
    assert '"BG306"' in made.run("manifest", "--format", "json", place).out


@_FORMATS
@pytest.mark.parametrize(("tree", "path"), [("HEAD:pkg", "pkg"), ("HEAD^{tree}", "."), ("HEAD", ".")])
def test_a_damaged_tree_or_commit_is_a_finding(tmp_path: Path, object_format: str, tree: str, path: str) -> None:
    repo = _repository(tmp_path / "repo", object_format)
    _commit(repo, {"pkg/mod.py": b"y = 2\n"})
    _swap(repo, tree, {"HEAD:pkg": "HEAD~1:pkg", "HEAD^{tree}": "HEAD~1^{tree}", "HEAD": "HEAD~1"}[tree])

    chain = _diff(repo, "commit:HEAD", "dir:.")
    one = manifest.manifest(repo, "commit:HEAD")

    assert {(os.fsdecode(row.path), row.change) for row in chain.hops[0].differences} == {(path, "damaged")}
    assert (chain.exit_code, one.exit_code) == (1, 1)


def test_check_of_a_damaged_root_is_no_pass(project: Callable[..., Project]) -> None:
    made = project()
    made.commit(_FILES)
    _swap(made.path, "HEAD^{tree}", "HEAD:pkg")

    result = made.check("--engine", "static", "--proof", "predicted", "commit:HEAD")

    assert result.code == 1
    assert [one["code"] for one in result.json["diagnostics"]] == ["BG306"]


def test_an_object_of_another_type_is_damage(repo: Path) -> None:
    _swap(repo, "HEAD:app.py", "HEAD:pkg")

    assert {os.fsdecode(row.path) for row in _diff(repo, "commit:HEAD", "dir:.").hops[0].differences} == {"app.py"}


def test_many_damaged_objects_are_all_named(repo: Path) -> None:
    files = {f"m/f{at}.py": b"x = %d\n" % at for at in range(300)}
    _commit(repo, files)
    for at in range(0, 300, 10):
        _garbage(repo, f"HEAD:m/f{at}.py", "")

    rows = _diff(repo, "commit:HEAD", "dir:.").hops[0].differences

    assert {os.fsdecode(row.path) for row in rows} == {f"m/f{at}.py" for at in range(0, 300, 10)}


def test_a_damaged_stage_read_back_as_a_manifest_proves_nothing(project: Callable[..., Project]) -> None:
    made = project()
    made.commit(_FILES)
    _garbage(made.path, "HEAD:app.py", "")
    (made.path / "m.json").write_text(made.run("manifest", "--format", "json", "commit:HEAD").out)

    assert made.run("diff", "manifest:m.json", "manifest:m.json").code == 3


def test_a_damaged_object_is_not_deployed(repo: Path, tmp_path: Path) -> None:
    from buildguard.project.source_archive import pack
    from buildguard.stages.git_objects import commit_of

    _swap(repo, "HEAD:pkg/mod.py", "HEAD:pkg/other.py")

    with pytest.raises(UnprovenError, match=r"pkg/mod\.py: its object in the repository is damaged"):
        pack(commit_of(_of(repo), "HEAD"), tmp_path / "out.tgz")


# ------------------------------------------------------------------------------------------ what is not believed


def test_a_replace_ref_is_not_followed(repo: Path) -> None:
    real = git(repo, "rev-parse", "HEAD").strip()
    other = _commit(repo, {"app.py": b"x = 'evil'\n"})
    git(repo, "replace", real, other)
    git(repo, "reset", "--quiet", "--hard", real)
    assert b"evil" in (repo / "app.py").read_bytes()

    chain = _diff(repo, f"commit:{real}", "dir:.")

    assert {os.fsdecode(row.path) for row in chain.hops[0].differences} == {"app.py"}
    assert chain.exit_code == 1


def test_a_replaced_blob_is_not_read(repo: Path) -> None:
    oid = git(repo, "rev-parse", "HEAD:app.py").strip()
    (repo / "app.py").write_bytes(b"x = 'evil'\n")
    git(repo, "replace", oid, git(repo, "hash-object", "-w", "app.py").strip())

    assert _diff(repo, "commit:HEAD", "dir:.").exit_code == 1


def test_a_graft_changes_no_history(repo: Path) -> None:
    second = _commit(repo, {"app.py": b"x = 2\n"})
    third = _commit(repo, {"app.py": b"x = 3\n"})
    (repo / ".git/info/grafts").write_text(f"{third}\n")

    assert _of(repo).resolve("HEAD~1") == second


def test_case_is_never_ignored(repo: Path) -> None:
    git(repo, "config", "core.ignoreCase", "true")
    write(repo, {"APP.py": b"evil\n"})
    assert "APP.py" not in git(repo, "status", "--porcelain")

    rows = {os.fsdecode(row.path): row.change for row in _diff(repo, "commit:HEAD", "dir:.").hops[0].differences}

    assert rows == {"APP.py": "added"}


def test_check_sees_a_file_that_differs_in_case(project: Callable[..., Project]) -> None:
    made = project()
    made.commit(_FILES)
    made.git("config", "core.ignoreCase", "true")
    made.write({"APP.py": "def f(:\n"})

    assert made.check("--engine", "static", "--proof", "predicted").codes()["APP.py"] == ["BG101"]


def test_a_working_tree_that_is_elsewhere_is_refused(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    git(repo, "config", "core.worktree", str(tmp_path / "other"))

    with pytest.raises(UnprovenError, match=r"core\.worktree"):
        gits.repository_of(repo)


# ------------------------------------------------------------------------------------------ every kind of repository


def _linked(repo: Path, tmp_path: Path) -> Path:
    git(repo, "worktree", "add", "--quiet", str(tmp_path / "linked"), "-b", "linked")
    return tmp_path / "linked"


def _shallow(repo: Path, tmp_path: Path) -> Path:
    _commit(repo, {"app.py": b"x = 2\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repo}", "shallow")
    return tmp_path / "shallow"


def _with_alternates(repo: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--shared", str(repo), "shared")
    assert (tmp_path / "shared/.git/objects/info/alternates").exists()
    return tmp_path / "shared"


def _relative_alternates(repo: Path, tmp_path: Path) -> Path:
    shared = _with_alternates(repo, tmp_path)
    (shared / ".git/objects/info/alternates").write_text("../../../repo/.git/objects\n")
    return shared


def _split_index(repo: Path, _tmp_path: Path) -> Path:
    git(repo, "update-index", "--split-index")
    _commit(repo, {"app.py": b"x = 2\n"})
    assert list((repo / ".git").glob("sharedindex.*"))
    return repo


def _split_in_linked(repo: Path, tmp_path: Path) -> Path:
    linked = _linked(repo, tmp_path)
    git(linked, "update-index", "--split-index")
    return linked


def _sparse_index(repo: Path, _tmp_path: Path) -> Path:
    git(repo, "sparse-checkout", "init", "--cone", "--sparse-index")
    git(repo, "sparse-checkout", "add", "pkg")
    git(repo, "sparse-checkout", "set")
    assert "pkg/" in git(repo, "ls-files", "--sparse").split("\n")
    git(repo, "sparse-checkout", "set", "pkg")
    return repo


def _separate(repo: Path, tmp_path: Path) -> Path:
    git(repo, "init", "--quiet", f"--separate-git-dir={tmp_path}/git dir")
    assert (repo / ".git").is_file()
    return repo


def _packed(repo: Path, _tmp_path: Path) -> Path:
    git(repo, "gc", "--quiet", "--aggressive", "--prune=now")
    git(repo, "multi-pack-index", "write")
    git(repo, "commit-graph", "write", "--reachable")
    return repo


def _odd_name(repo: Path, tmp_path: Path) -> Path:
    other = tmp_path / "line\nsha1\nbreak"
    repo.rename(other)
    return other


_KINDS = [
    _linked,
    _shallow,
    _with_alternates,
    _relative_alternates,
    _split_index,
    _split_in_linked,
    _sparse_index,
    _separate,
    _packed,
]


@_FORMATS
@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_of_repository(tmp_path: Path, kind: Callable[[Path, Path], Path], object_format: str) -> None:
    repo = kind(_repository(tmp_path / "repo", object_format), tmp_path)

    clean = _diff(repo)
    (repo / "pkg/mod.py").write_bytes(b"y = 3\n")
    edited = _diff(repo)
    staged_before = _of(repo).staged_paths()
    git(repo, "add", "pkg/mod.py")

    assert [hop.identical for hop in clean.hops] == [True, True]
    assert len(clean.hops[0].before.manifest.entries) == len(_FILES)
    assert [os.fsdecode(row.path) for row in edited.hops[1].differences] == ["pkg/mod.py"]
    assert (staged_before, _of(repo).staged_paths()) == ([], [b"pkg/mod.py"])
    assert list(_of(repo).history(_of(repo).head, [b"pkg/mod.py"]))
    assert _of(repo).time_of(_of(repo).head) == int(git(repo, "show", "-s", "--format=%ct", "HEAD"))
    assert edited_paths(_of(repo)) == [b"pkg/mod.py"]


def test_refs_in_a_table_are_read_or_refused(repo: Path, tmp_path: Path) -> None:
    """Git reads them from 2.45 on; an older one says that it cannot, and so do we."""
    words = ["git", "init", "--quiet", "--ref-format=reftable", str(tmp_path / "table")]
    if subprocess.run(words, capture_output=True, check=False).returncode == 0:
        _commit(tmp_path / "table", _FILES)
        assert [hop.identical for hop in _diff(tmp_path / "table").hops] == [True, True]
        return
    git(repo, "config", "core.repositoryFormatVersion", "1")
    git(repo, "config", "extensions.refStorage", "reftable")

    with pytest.raises(UnprovenError, match="git cannot read this repository"):
        gits.repository_of(repo)


def test_a_sparse_index_is_opened(repo: Path, tmp_path: Path) -> None:
    _sparse_index(repo, tmp_path)
    git(repo, "sparse-checkout", "set")

    assert len(_of(repo).index_rows()) == len(_FILES)


def test_a_folder_whose_name_could_be_misread_is_refused_or_read(repo: Path, tmp_path: Path) -> None:
    odd = _odd_name(repo, tmp_path)

    with pytest.raises(UnprovenError, match="its paths cannot be read"):
        gits.repository_of(odd)


def test_a_line_break_in_a_folder_is_read(repo: Path, tmp_path: Path) -> None:
    repo.rename(tmp_path / "line\nbreak")

    assert _diff(tmp_path / "line\nbreak").exit_code == 0


def test_a_partial_clone_is_not_completed(repo: Path, tmp_path: Path) -> None:
    git(repo, "config", "uploadpack.allowFilter", "true")
    _commit(repo, {"app.py": b"x = 2\n"})
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{repo}", "partial")
    partial = tmp_path / "partial"

    chain = _diff(partial, "commit:HEAD~1", "commit:HEAD")

    assert [one.path for one in chain.unproven] == ["app.py"]
    assert chain.unproven[0].reason.endswith("to fetch it: git fetch --refetch --no-filter")
    assert chain.exit_code == 3
    missing = git(partial, "rev-list", "--objects", "--missing=print", "HEAD")
    assert f"?{git(repo, 'rev-parse', 'HEAD~1:app.py').strip()}" in missing.split()


def test_a_submodule_keeps_its_own_index_in_a_hook(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = _repository(tmp_path / "inner")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    _commit(repo)
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.chdir(repo)

    chain = _diff(repo)

    assert [hop.identical for hop in chain.hops] == [True, True]
    assert b"sub/app.py" in chain.hops[1].after.manifest.entries


def test_the_index_of_a_hook_is_read(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(repo / ".git/index", repo / ".git/other-index")
    (repo / "app.py").write_bytes(b"x = 2\n")
    git(repo, "add", "app.py")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/other-index")

    assert _of(repo).staged_paths() == []


def test_settings_for_files_stay_in_force(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "ignored").write_text("*.log\n")
    (repo / ".git/info/exclude").write_text("*.tmp\n")
    git(repo, "config", "core.excludesFile", str(tmp_path / "ignored"))
    write(repo, {"a.log": b"", "b.tmp": b"", "c.txt": b""})

    assert _of(repo).untracked() == [b"c.txt"]


# ------------------------------------------------------------------------------------------ what was edited


def test_a_file_that_was_only_touched_is_not_edited(repo: Path) -> None:
    write(repo, {".gitattributes": b"*.dat filter=lfs\n*.txt text eol=crlf\n", "a.txt": b"one\r\n"})
    (repo / "link").symlink_to("app.py")
    _commit(repo)
    for name in ("app.py", "a.txt"):
        os.utime(repo / name, (1, 1))
    (repo / "link").unlink()
    (repo / "link").symlink_to("app.py")

    assert edited_paths(_of(repo)) == []


def test_what_git_status_calls_changed(repo: Path) -> None:
    (repo / "app.py").write_bytes(b"x = 2\n")
    (repo / "pkg/mod.py").chmod((repo / "pkg/mod.py").stat().st_mode | stat.S_IXUSR)
    (repo / "pkg/other.py").unlink()
    write(repo, {"staged.py": b"", "untracked.py": b""})
    git(repo, "add", "staged.py")

    assert edited_paths(_of(repo)) == [b"app.py", b"pkg/mod.py", b"pkg/other.py", b"staged.py"]


def test_a_change_that_is_staged_and_taken_back_is_edited(repo: Path) -> None:
    (repo / "app.py").write_bytes(b"x = 2\n")
    git(repo, "add", "app.py")
    os.utime(repo / "app.py", (1, 1))

    assert edited_paths(_of(repo)) == [b"app.py"]


@pytest.mark.parametrize(("content", "edited"), [(b"large " * 100, []), (b"other " * 100, [b"w.dat"])])
def test_a_file_behind_an_lfs_pointer(repo: Path, content: bytes, edited: list[bytes]) -> None:
    large = b"large " * 100
    digest = hashlib.sha256(large).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(large)}\n"
    _commit(repo, {"w.dat": pointer.encode(), ".gitattributes": b"*.dat filter=lfs\n"})
    (repo / "w.dat").write_bytes(content)

    assert edited_paths(_of(repo)) == edited


def test_a_submodule_that_was_edited_or_moved(repo: Path, tmp_path: Path) -> None:
    inner = _repository(tmp_path / "inner")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    _commit(repo)
    assert edited_paths(_of(repo)) == []
    (repo / "sub/app.py").write_bytes(b"x = 2\n")
    assert edited_paths(_of(repo)) == [b"sub"]
    git(repo / "sub", "commit", "--quiet", "--all", "--message", "inside")
    assert edited_paths(_of(repo)) == [b"sub"]


def test_whether_a_commit_is_pushed(repo: Path, tmp_path: Path) -> None:
    assert _of(repo).is_pushed() is None
    git(tmp_path, "clone", "--quiet", str(repo), "clone")
    clone = tmp_path / "clone"
    assert _of(clone).is_pushed() is True
    _commit(clone, {"app.py": b"x = 2\n"})
    assert _of(clone).is_pushed() is False
    first = git(clone, "rev-parse", "HEAD~1").strip()
    assert _of(clone).distance(_of(clone).head, first) == (1, 0)
    assert _of(clone).number_changed(first, _of(clone).head) == 1


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write(tmp_path, {"a.py": b""})
    git(tmp_path, "add", "a.py")

    assert _of(tmp_path).staged_paths() == [b"a.py"]
    assert _of(tmp_path).head == ""


def test_a_folder_of_our_own_goes_with_its_owner(repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    done = subprocess.run(
        [Path(sys.executable).with_name("buildguard"), "manifest", "commit:HEAD"],
        cwd=repo,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    assert list((tmp_path / "temporary").iterdir()) == []


def test_two_threads_may_need_a_folder_of_our_own_at_once(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = _of(repo)
    write_folder = git_directory._write
    begun, rows = threading.Event(), []

    def slowly(folder: Path, parts: git_directory.GitParts) -> None:
        if not begun.is_set():
            begun.set()
            time.sleep(0.3)  # the other one asks meanwhile
        write_folder(folder, parts)

    monkeypatch.setattr(git_directory, "_write", slowly)
    first = threading.Thread(target=lambda: rows.append(repository.index_rows()))
    first.start()
    begun.wait(120)
    rows.append(repository.index_rows())
    first.join()

    assert [len(one) for one in rows] == [len(_FILES), len(_FILES)]


@pytest.mark.parametrize("odd", [b"1000644 %s 0\ta", b"00644 %s 0\tab\tc", b"644 %s 0\t"])
def test_rows_of_other_widths_than_git_writes_are_refused(odd: bytes) -> None:
    plain = b"100644 %s 0\tfile" % (b"0" * 40)
    row = odd % (b"1" * 40)

    for rows in ([plain, row], [row, plain], [plain, row, plain]):
        with pytest.raises(UnprovenError, match="a mode that git does not write"):
            split_rows(rows)
