"""Our own git folder: where the parts of a repository are, and nothing of its configuration in force."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.errors import UnprovenError
from buildguard.system import git_directory
from buildguard.system.git_directory import GitDir
from tests.conftest import Project

_Repository = Callable[..., Project]


def _opened(folder: Path) -> tuple[GitDir, str]:
    located = git_directory.find_parts(folder, inherited=False)
    assert located is not None
    return GitDir(located[0]), located[1]


def test_the_parts_of_a_repository(repository: _Repository) -> None:
    repo = repository({"pkg/a.py": "x = 1\n"})
    folder, head = _opened(repo.path / "pkg")

    assert head == repo.git("rev-parse", "HEAD").strip()
    assert folder.parts.object_format == "sha1"
    assert folder.parts.top == repo.path.resolve()
    assert folder.parts.objects == folder.parts.common_dir / "objects"


def test_a_linked_worktree_shares_the_objects_and_has_its_own_index(repository: _Repository) -> None:
    repo = repository({"a.py": "x = 1\n"})
    repo.git("worktree", "add", "--quiet", "../other")

    main, other = _opened(repo.path)[0].parts, _opened(repo.path.parent / "other")[0].parts

    assert (main.common_dir, main.objects) == (other.common_dir, other.objects)
    assert main.index_file != other.index_file
    assert main.git_dir != other.git_dir


def test_a_repository_without_a_commit_has_no_head(project: _Repository) -> None:
    empty = project()
    empty.git("init", "--quiet")

    assert _opened(empty.path)[1] == ""


@pytest.mark.interpreters
def test_a_folder_outside_of_every_repository_has_no_parts(tmp_path: Path) -> None:
    assert git_directory.find_parts(tmp_path, inherited=False) is None


def test_a_repository_that_git_refuses_is_an_error(repository: _Repository) -> None:
    repo = repository()
    (repo.path / ".git/config").write_text("[core\n")

    with pytest.raises(UnprovenError, match=r"git cannot read this repository: .*config"):
        git_directory.find_parts(repo.path, inherited=False)


def test_programs_of_the_configuration_are_not_in_force(repository: _Repository) -> None:
    repo = repository({"a.py": "x = 1\n"})
    for name, value in (
        ("core.fsmonitor", "touch started"),
        ("core.pager", "touch started"),
        ("diff.external", "touch started"),
        ("alias.log", "!touch started"),
        ("core.autocrlf", "input"),
    ):
        repo.git("config", name, value)
    folder, head = _opened(repo.path)

    assert folder.ask("ls-files", "-z") == b"README\0a.py\0"
    assert not folder.succeeds("config", "--get", "diff.external")
    assert folder.ask("log", "-1", "--format=%s", head) == b"change\n"
    assert not (repo.path / "started").exists()
    assert folder.setting("core.autocrlf") == "input"
    assert folder.setting("core.pager") == ""
    assert folder.data_options() == ("-c", "core.autocrlf=input", "-c", "core.filemode=true")


def test_a_setting_without_a_value_is_true(repository: _Repository) -> None:
    repo = repository()
    with (repo.path / ".git/config").open("a") as config:
        config.write("[core]\n\tprecomposeunicode\n")

    assert _opened(repo.path)[0].setting("core.precomposeUnicode") == "true"


def test_a_failing_command_is_an_error_in_the_words_of_git(repository: _Repository) -> None:
    folder, _head = _opened(repository().path)

    with pytest.raises(UnprovenError, match=r"git cat-file failed: .*Not a valid object name"):
        folder.ask("cat-file", "blob", "nothing")
    assert not folder.succeeds("cat-file", "-e", "nothing")
    assert folder.ask_here("rev-parse", "--verify", "--quiet", "nothing").status != 0


def test_where_the_hooks_are(repository: _Repository) -> None:
    repo = repository()
    folder, _head = _opened(repo.path)
    assert (repo.path / folder.path_of("hooks")).resolve() == (repo.path / ".git/hooks").resolve()

    repo.git("config", "core.hooksPath", "tools/hooks")

    assert folder.path_of("hooks") == "tools/hooks"


def test_variables_of_a_hook_count_only_where_they_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_EXEC_PATH", "/programs")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ssh")

    own = git_directory.environment(inherited=False)
    inherited = git_directory.environment(inherited=True)

    assert ("GIT_DIR" in own, inherited["GIT_DIR"]) == (False, "/elsewhere")
    assert own["GIT_EXEC_PATH"] == "/programs"
    assert {own["GIT_ALLOW_PROTOCOL"], inherited["GIT_ALLOW_PROTOCOL"]} == {"none"}
    assert {own["GIT_NO_REPLACE_OBJECTS"], own["LC_ALL"]} == {"1", "C"}


def test_a_git_inside_of_the_project_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\ntouch started\n")
    (tmp_path / "git").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert git_directory.program(tmp_path) != str(tmp_path / "git")

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnprovenError, match="git is not on PATH"):
        git_directory.program(tmp_path)
