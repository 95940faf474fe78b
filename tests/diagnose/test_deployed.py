"""What was deployed is judged: the commit, and not what was edited since."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from buildguard.diagnose.run import diagnose

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.diagnose.hypotheses import Diagnosis
    from tests.conftest import Project

_BROKEN = 'def show(row):\n    return f"{row["id"]}"\n'
_FIXED = "def show(row):\n    return f\"{row['id']}\"\n"
_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY src/ ./\n"
_HEALTHY = b"INFO:     Application startup complete.\n"
_SYNTAX = b"""\
Traceback (most recent call last):
  File "/srv/app/a.py", line 2
    return f"{row["id"]}"
                   ^^
SyntaxError: f-string: unmatched '['
"""


def _verdict(found: Diagnosis, cause: str = "target-older-than-code") -> str:
    return next(one.verdict for one in found.hypotheses if one.id == cause)


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    return repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": _FIXED})


@pytest.mark.parametrize(
    "edit",
    [{"src/app/a.py": _BROKEN}, {"src/app/new.py": _BROKEN}, {"Dockerfile": "FROM python:3.14-slim\nCOPY src/ ./\n"}],
    ids=["edited", "untracked", "Dockerfile"],
)
@pytest.mark.parametrize("staged", [False, True])
def test_a_local_edit_is_a_note(project: Project, edit: dict[str, str | bytes], *, staged: bool) -> None:
    project.write(edit)
    if staged:
        project.git("add", "--all")

    for log in (_HEALTHY, None):
        found = diagnose(project.path, log)

        assert _verdict(found) == "refuted"
        assert found.cause == ("healthy" if log else "unknown")
        assert (found.place, found.next) == ((), ())
        (note,) = found.notes
        assert note == f"not examined, because it was not deployed: uncommitted changes in {next(iter(edit))}"


def test_what_was_committed_is_judged_although_it_is_repaired_on_disk(project: Project) -> None:
    project.commit({"src/app/a.py": _BROKEN})
    project.write({"src/app/a.py": _FIXED, "x.log": _SYNTAX})

    result = project.run("diagnose", "--log", "x.log", "--format", "json")

    assert (result.code, result.json["cause"]) == (1, "target-older-than-code")
    assert result.json["place"] == [{"path": "src/app/a.py", "line": 2}]
    assert any("src/app/a.py" in note for note in result.json["notes"])
    for form, title in (("text", "notes:"), ("markdown", "**Notes**")):
        assert title in project.run("diagnose", "--log", "x.log", "--format", form).out


def test_without_a_commit_the_files_on_disk_are_judged(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    shutil.copytree(project.path / "src", folder / "src")
    shutil.copy(project.path / "Dockerfile", folder)
    assert diagnose(folder, _HEALTHY).cause == "healthy"

    (folder / "src/app/a.py").write_text(_BROKEN)

    assert _verdict(diagnose(folder, _HEALTHY)) == "proven"


def test_a_deploy_of_the_files_on_disk_is_judged_by_them(project: Project) -> None:
    project.write({"src/app/a.py": _BROKEN})

    assert _verdict(diagnose(project.path, _SYNTAX, source="dir:.")) == "proven"
    assert _verdict(diagnose(project.path, _SYNTAX, source="commit:HEAD")) == "untested"


def test_that_a_python_compiles_a_file_is_said_only_if_one_did(project: Project) -> None:
    """Not of a prediction, nor of an earlier run, nor of nothing at all."""
    assert diagnose(project.path, _HEALTHY).exit_code == 0  # fills the cache
    asked = diagnose(project.path, _SYNTAX)
    project.commit({"src/app/a.py": "x = 1\n" + _FIXED})
    project.env = {"PATH": "/usr/bin:/bin", "PYENV_ROOT": "/nowhere", "DOCKER_HOST": "unix:///nowhere"}
    project.commit({"Dockerfile": "FROM python:3.10-slim\nWORKDIR /srv\nCOPY src/ ./\n", "x.log": _SYNTAX})
    predicted = project.run("diagnose", "--log", "x.log", "--format", "json").json
    project.commit({"Dockerfile": "FROM scratch\nWORKDIR /srv\nCOPY src/ ./\n"})
    unasked = project.run("diagnose", "--log", "x.log", "--format", "json").json

    assert "CPython 3.11" in asked.sentence
    assert "compiles" in asked.sentence
    for found in (predicted, unasked):
        assert found["cause"] == "unknown"
        assert not any(word in found["sentence"] for word in ("compiles", "accepts"))
        older = next(one for one in found["hypotheses"] if one["id"] == "target-older-than-code")
        assert older["verdict"] == "untested"


def test_a_file_that_could_not_be_judged_leaves_it_open(project: Project) -> None:
    """Everything else compiles, and that is not every source."""
    project.git("rm", "--quiet", "--cached", "src/app/a.py")
    project.git("update-index", "--add", "--cacheinfo", f"100644,{'1' * 40},src/app/lost.py")
    project.write({"src/app/b.py": "x = 1\n"})
    project.git("add", "src/app/b.py")
    tree = project.git("write-tree", "--missing-ok").strip()
    head = project.git("commit-tree", tree, "-p", "HEAD", "-m", "one object is missing").strip()
    project.git("update-ref", "HEAD", head)

    found = diagnose(project.path, _HEALTHY)

    assert (found.cause, found.exit_code) == ("unknown", 3)
    assert _verdict(found) == _verdict(found, "encoding") == "untested"
    assert "src/app/lost.py" in found.sentence


@pytest.mark.parametrize("kind", ["clean", "process"])
def test_listing_local_edits_runs_no_program_of_the_repository(project: Project, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    project.commit({".gitattributes": "*.py filter=evil diff=evil\n"})
    for name in (f"filter.evil.{kind}", "diff.evil.textconv", "diff.evil.command", "diff.external", "core.fsmonitor"):
        project.git("config", name, f"touch {mark};")
    project.git("config", "filter.evil.required", "true")
    project.write({"src/app/a.py": _BROKEN})

    found = diagnose(project.path, _HEALTHY)

    assert any("uncommitted changes in src/app/a.py" in note for note in found.notes)
    assert not mark.exists()
