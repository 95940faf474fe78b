"""What git hides or substitutes is a note where it matters, and no note elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.compare import diff, manifest
from buildguard.errors import UsageError
from buildguard.system import git as gits
from buildguard.system import git_notes
from tests.conftest import Project


@pytest.fixture
def repo(repository: Callable[..., Project]) -> Project:
    return repository({"Dockerfile": "FROM python:3.11\n", "a.py": "x = 1\n", "b.py": "y = 1\n"})


def _notes(repo: Project, stage: str) -> list[str]:
    return list(manifest.manifest(repo.path, stage).snapshot.notes)


def _check_notes(repo: Project, *words: str) -> list[str]:
    notes: list[str] = repo.check("--engine", "static", "--proof", "predicted", *words).json["notes"]
    return notes


def test_an_ordinary_repository_has_no_note(repo: Project) -> None:
    repo.git("config", "core.ignoreCase", "true")  # as on every Mac
    repo.write({"new.py": "x = 1\n"})

    assert [_notes(repo, stage) for stage in ("commit:HEAD", "index:", "dir:.")] == [[], [], []]


@pytest.mark.parametrize("packed", [False, True])
def test_replace_refs(repo: Project, packed: bool) -> None:
    old, new = repo.git("rev-parse", "HEAD:a.py").strip(), repo.git("rev-parse", "HEAD:b.py").strip()
    repo.git("replace", old, new)
    if packed:
        repo.git("pack-refs", "--all", "--prune")
    expected = f"1 replace ref not followed: git shows other objects for {old[:12]}"

    assert _notes(repo, "commit:HEAD") == _notes(repo, "index:") == [expected]
    assert expected in _check_notes(repo, "commit:HEAD")
    assert _notes(repo, "dir:.") == []


def test_grafts(repo: Project) -> None:
    (repo.path / ".git/info/grafts").write_text(repo.git("rev-parse", "HEAD"))

    assert _notes(repo, "commit:HEAD") == ["grafts (.git/info/grafts) not followed: git shows another history"]


@pytest.mark.parametrize(
    ("option", "mark"), [("--assume-unchanged", "assume-unchanged"), ("--skip-worktree", "skip-worktree")]
)
def test_marks_of_the_index(repo: Project, option: str, mark: str) -> None:
    repo.git("update-index", option, "a.py", "b.py")
    repo.write({"a.py": "x = 2\n"})
    assert repo.git("status", "--porcelain") == ""
    expected = f"2 files marked {mark}, so git status hides changes there: a.py, b.py"

    chain = diff.diff(repo.path, ["commit:HEAD", "dir:."]).chain

    assert chain.exit_code == 1
    assert _notes(repo, "dir:.") == [expected]
    assert expected in _check_notes(repo)


def test_a_file_that_git_hides_by_its_case(repo: Project) -> None:
    repo.git("config", "core.ignoreCase", "true")
    repo.write({"A.py": "x = 2\n"})

    assert _notes(repo, "dir:.") == ["core.ignoreCase is set, so git status hides A.py"]
    assert "core.ignoreCase is set, so git status hides A.py" in _check_notes(repo)


def test_shallow_history_where_it_is_asked(repo: Project, tmp_path: Path) -> None:
    repo.commit({"a.py": "x = 2\n"})
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    shallow = Project(tmp_path / "shallow")

    clean = diff.diff(shallow.path, ["commit:HEAD", "dir:."]).chain
    shallow.write({"a.py": "x = 1\n"})
    stale = diff.diff(shallow.path, ["commit:HEAD", "dir:."]).chain
    opened = gits.repository_of(shallow.path)
    assert opened is not None

    assert clean.notes == ()
    assert any(note.startswith("shallow clone: ") for note in stale.notes)
    with pytest.raises(UsageError, match="shallow clone") as raised:
        opened.resolve("HEAD~1")
    assert "fetch-depth: 0" in raised.value.hint


def test_few_names_are_listed() -> None:
    paths = [b"%d" % number for number in range(5)]

    assert git_notes.on_marked("x", paths) == "5 files marked x, so git status hides changes there: 0, 1, 2 and 2 more"
    assert git_notes.on_case([b"B"], [b"a"]) == ""
