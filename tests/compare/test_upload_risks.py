"""What is sent of a commit, what is left behind, and what builds well and fails later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.compare.upload_risks import UploadPlan, plan_upload
from buildguard.stages.manifest import EXECUTABLE, FILE, LINK, Extras, Manifest, of_bytes
from buildguard.stages.snapshot import Snapshot, StageKind

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
    return plan_upload(committed, here, lambda name: files.get(name, (FILE, None))[1], [recipe], has_git=True)


def _killers(plan: UploadPlan) -> list[tuple[str, bytes]]:
    return [(risk.kind, risk.path) for risk in plan.killers]


def test_a_plain_project_is_sent_without_a_word() -> None:
    plan = _plan({"Dockerfile": (FILE, b"FROM x\n"), "a.py": (FILE, b"x\n")}, copied=("a.py",))

    assert (set(plan.sent), plan.dropped, plan.killers) == ({b"Dockerfile", b"a.py"}, (), ())


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
    assert [risk.message for risk in plan.killers if risk.kind == "mode"] == [
        "executable here, and not in the commit",
        "executable in the commit only",
    ]


def test_a_large_file_is_sent_with_every_build() -> None:
    files: _Files = {"a.bin": (FILE, b"x")}
    committed = Snapshot("commit:HEAD", StageKind.COMMIT, _manifest(files))
    large = committed.manifest.entries[b"a.bin"]._replace(size=51 << 20)
    committed = committed._replace(manifest=Manifest([large]))

    plan = plan_upload(committed, committed.manifest, lambda _name: None, [], has_git=True)

    assert [(risk.kind, risk.message) for risk in plan.killers] == [("large", "51 MB are sent with every build")]
