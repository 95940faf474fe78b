"""What is sent of a commit, what is left behind, and what builds well and fails later."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import diff
from buildguard.compare.upload_risks import UploadFolder, UploadPlan, UploadRisk, plan_upload
from buildguard.diagnostic import DisplayPath, Unproven
from buildguard.stages.manifest import EXECUTABLE, FILE, LINK, Extras, Manifest, of_bytes
from buildguard.stages.snapshot import Snapshot, StageKind
from tests.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

_Files = dict[str, tuple[str, bytes]]


def _manifest(files: _Files, extras: Extras = Extras()) -> Manifest:  # noqa: B008
    return Manifest([of_bytes(path.encode(), mode, content) for path, (mode, content) in files.items()], extras)


def _plan(
    files: _Files,
    worktree: _Files | None = None,
    *,
    copied: tuple[str, ...] = (),
    extras: Extras = Extras(),  # noqa: B008
    marks: Mapping[bytes, str] = {},
) -> UploadPlan:
    committed = Snapshot("commit:HEAD", StageKind.COMMIT, _manifest(files), marks=marks)
    recipe = ("Dockerfile", "", frozenset(path.encode() for path in copied))
    here = _manifest(files if worktree is None else worktree, extras)
    folder = UploadFolder(here, lambda name: files.get(name, (FILE, None))[1], has_git=True)
    return plan_upload(committed, folder, [recipe])


def _killers(plan: UploadPlan) -> list[tuple[str, bytes]]:
    return [(risk.kind, risk.path) for risk in plan.risks]


def test_a_plain_project_is_sent_without_a_word() -> None:
    plan = _plan({"Dockerfile": (FILE, b"FROM x\n"), "a.py": (FILE, b"x\n")}, copied=("a.py",))

    assert (set(plan.sent), plan.dropped, plan.risks) == ({b"Dockerfile", b"a.py"}, (), ())


def test_what_an_ignore_rule_drops_matters_where_it_is_code_or_copied() -> None:
    files = {
        ".gcloudignore": (FILE, b"lib/\n"),
        "lib/a.py": (FILE, b"x\n"),
        "lib/b.txt": (FILE, b"x\n"),
    }

    plan = _plan(files, copied=("lib/b.txt",))

    assert [(drop.path, drop.matters) for drop in plan.dropped] == [(b"lib/a.py", True), (b"lib/b.txt", True)]
    assert _killers(plan) == [("dropped", b"lib/a.py"), ("dropped", b"lib/b.txt")]
    assert not _plan(files).dropped[1].matters


def test_docker_leaves_out_what_the_dockerfile_copies() -> None:
    files = {".dockerignore": (FILE, b"*.py\n"), "a.py": (FILE, b"x\n"), "b.py": (FILE, b"x\n")}

    assert _killers(_plan(files, copied=("a.py",))) == [("dockerignore", b"a.py")]


def test_untracked_files_are_what_gcloud_would_send() -> None:
    worktree: _Files = {"a.py": (FILE, b"x\n"), "new.py": (FILE, b"x\n")}

    assert _killers(_plan({"a.py": (FILE, b"x\n")}, worktree)) == [("untracked", b"new.py")]


def test_links_that_will_dangle() -> None:
    files: _Files = {
        "out": (LINK, b"../elsewhere"),
        "gone": (LINK, b"missing.py"),
        "folder": (LINK, b"lib"),
        "fine": (LINK, b"lib/a.py"),
        "lib/a.py": (FILE, b"x\n"),
    }

    assert _killers(_plan(files)) == [("symlink", b"gone"), ("symlink", b"out")]
    assert _killers(_plan(files, copied=("fine",)))[0] == ("symlink", b"fine")


def test_names_sizes_and_modes() -> None:
    files: _Files = {"A.py": (FILE, b"x"), "a.py": (FILE, b"x"), "run": (FILE, b"x"), "was": (EXECUTABLE, b"x")}
    worktree: _Files = {**files, "run": (EXECUTABLE, b"x"), "was": (FILE, b"x")}
    extras = Extras(twins={b"a.py": b"A.py"})

    plan = _plan(files, worktree, extras=extras, marks={b"run": "crlf", b"gone": "lfs"})

    assert _killers(plan) == [
        ("collision", b"a.py"),
        ("mode", b"run"),
        ("mode", b"was"),
        ("hard-link", b"a.py"),
        ("crlf", b"run"),
    ]
    assert [risk.message for risk in plan.risks if risk.kind == "mode"] == [
        "executable here, and not in the commit",
        "executable in the commit only",
    ]


def test_a_large_file_is_sent_with_every_build() -> None:
    files: _Files = {"a.bin": (FILE, b"x")}
    committed = Snapshot("commit:HEAD", StageKind.COMMIT, _manifest(files))
    large = committed.manifest.entries[b"a.bin"]._replace(size=51 << 20)
    committed = committed._replace(manifest=Manifest([large]))

    plan = plan_upload(committed, UploadFolder(committed.manifest, lambda _name: None, has_git=True), [])

    assert [(risk.kind, risk.message) for risk in plan.risks] == [("large", "51 MB are sent with every build")]


def test_what_could_not_be_read_on_disk_leaves_the_number_open() -> None:
    committed = Snapshot("commit:HEAD", StageKind.COMMIT, _manifest({"a.py": (FILE, b""), "app/b.py": (FILE, b"")}))
    here = _manifest({"a.py": (FILE, b"")})

    plan = plan_upload(committed, UploadFolder(here, lambda _name: None, has_git=True, unread=frozenset({"app"})), [])

    assert _killers(plan) == [("unread", b"app")]
    assert plan.words == "a build would upload at least 1 file; gcloud's ignore rules drop 0"
    unknown = UploadPlan((), (), (UploadRisk("unknown", b"", "not readable"),))
    assert unknown.words == "what a build would upload is unknown"


def test_a_file_of_the_commit_that_was_not_read_is_not_called_untracked() -> None:
    committed = Snapshot("commit:HEAD", StageKind.COMMIT, _manifest({}))
    committed = committed._replace(unproven=(Unproven(DisplayPath("a.py"), None, "missing"),))
    folder = UploadFolder(_manifest({"a.py": (FILE, b""), "b.py": (FILE, b"")}), lambda _name: None, has_git=True)

    assert [risk.path for risk in plan_upload(committed, folder, []).risks] == [b"b.py"]


def _upload(made: Project) -> UploadPlan:
    plan = diff.diff(made.path, ["commit:HEAD", "dir:."]).plan
    assert plan is not None
    return plan


def test_what_only_git_ignores_is_sent(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n", "a.py": "x = 1\n", "sub/.gitignore": "nested.txt\n"})
    (made.path / ".git/info/exclude").write_text("hidden.py\ncache\n")
    made.write({"hidden.py": "x = 1\n", "cache/a": "", "cache/deep/b": "", "sub/nested.txt": ""})

    plan = _upload(made)

    assert set(plan.sent) == {
        b"Dockerfile",
        b"README",
        b"a.py",
        b"hidden.py",
        b"cache/a",
        b"cache/deep/b",
        b"sub/nested.txt",
    }
    assert [(risk.path, risk.message.partition(",")[0]) for risk in plan.risks if risk.kind == "untracked"] == [
        (b"cache", "git ignores 2 files in it"),
        (b"hidden.py", "git ignores it"),
        (b"sub/nested.txt", "git ignores it"),
    ]


def test_the_rules_on_disk_count(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n", "b.txt": "", ".gitignore": "*.log\n.gcloudignore\n"})
    made.write({"x.log": ""})
    assert set(_upload(made).sent) == {b"README", b"a.py", b"b.txt"}

    made.write({".gcloudignore": "*.txt\n.git\n"})

    assert set(_upload(made).sent) == {b"README", b"a.py", b"x.log", b".gitignore", b".gcloudignore"}


def test_git_itself_is_sent_where_no_rule_drops_it(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n", ".gcloudignore": "*.txt\n"})

    plan = _upload(made)

    assert b".git/HEAD" in plan.sent
    assert [risk.path for risk in plan.risks] == [b".git"]


def test_what_gcloud_itself_would_send(repository: Callable[..., Project]) -> None:
    """Its listing follows links to folders, which its upload does not; this tree has no such link."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not on PATH: install the Google Cloud SDK to compare")
    made = repository({"a.py": "x = 1\n", "sub/b.py": "", "sub/.gitignore": "c.py\n", ".gitignore": "*.log\n"})
    (made.path / ".git/info/exclude").write_text("hidden.py\n")
    made.write({"hidden.py": "", "sub/c.py": "", "x.log": "", "new.py": ""})

    done = subprocess.run(
        [gcloud, "meta", "list-files-for-upload", "."], cwd=made.path, capture_output=True, check=True, timeout=300
    )

    assert set(_upload(made).sent) == {line for line in done.stdout.splitlines() if line}
