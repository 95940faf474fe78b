"""The stages that a command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.compare.open_stage import CloudLocation, open_stages, take_snapshot
from buildguard.errors import UnprovenError, UsageError
from buildguard.stages.snapshot import StageKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from buildguard.diagnostic import UnreadableFile
    from buildguard.stages.snapshot import Snapshot
    from tests.conftest import Project


class _LostStage:
    def snapshot(self) -> Snapshot:
        raise UnprovenError("it was deleted", hint="fetch it")

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        return {}


def _kind(cwd: Path, text: str) -> str:
    return take_snapshot(open_stages(cwd, [text])[0].stage, text).kind


def test_each_name_opens_its_kind(repository: Callable[..., Project]) -> None:
    project = repository({"a.py": "x = 1\n"})
    project.git("archive", "--output=sent.tar", "HEAD")

    kinds = [_kind(project.path, text) for text in ("commit:", "commit:HEAD", "index:", "dir:.", ".", "sent.tar")]

    assert kinds == ["commit", "commit", "index", "worktree", "worktree", "archive"]
    assert _kind(project.path, "tar:sent.tar") == StageKind.ARCHIVE


def test_git_stages_are_narrowed_to_the_folder_beside_them(repository: Callable[..., Project]) -> None:
    project = repository({"app/a.py": "x = 1\n", "b.py": "x = 1\n"})

    commit, folder = open_stages(project.path, ["commit:HEAD", "dir:app"])

    assert (commit.prefix, folder.prefix) == (b"app/", b"app/")
    assert [list(stage.stage.snapshot().manifest.entries) for stage in (commit, folder)] == [[b"a.py"], [b"a.py"]]


def test_an_unpacked_folder_inside_a_working_tree_is_no_part_of_it(repository: Callable[..., Project]) -> None:
    project = repository({"a.py": "x = 1\n"})
    project.write({"unpacked/a.py": "x = 1\n"})

    assert open_stages(project.path, ["dir:unpacked"])[0].repository is None


@pytest.mark.parametrize("text", ["dir:nowhere", "nowhere", "tar:nowhere.tgz", "manifest:nowhere", "index:a.py"])
def test_what_is_missing_is_named(repository: Callable[..., Project], text: str) -> None:
    with pytest.raises(UsageError):
        open_stages(repository().path, [text])


@pytest.mark.interpreters
def test_a_commit_needs_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git repository"):
        open_stages(tmp_path, ["commit:HEAD"])


@pytest.mark.interpreters
def test_a_stage_that_cannot_be_read_is_unproven_and_has_no_files(tmp_path: Path) -> None:
    unread = take_snapshot(_LostStage(), "tar:gone.tgz")

    assert (unread.kind, len(unread.manifest.entries)) == (StageKind.UNREAD, 0)
    assert [item.reason for item in unread.unproven] == ["tar:gone.tgz: it was deleted; fetch it"]
    empty = take_snapshot(open_stages(tmp_path, ["dir:."])[0].stage, "dir:.")
    assert [item.reason for item in empty.unproven] == ["there is nothing in dir:."]


@pytest.mark.interpreters
def test_flags_win_over_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "buildguard.toml").write_text('[cloud]\nproject = "p"\nregion = "r"\n', "utf-8")

    assert CloudLocation(region="other").filled(tmp_path) == CloudLocation("p", "other")
