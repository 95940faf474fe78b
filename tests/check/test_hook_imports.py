"""Imports in a hook: judged against the index, quickly."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Project

_FILES = {
    "Dockerfile": "FROM python:3.13\nCOPY . .\nCMD python main.py\n",
    "main.py": "import b\n",
    "b.py": "x = 1\n",
    "helpers.py": "x = 1\n",
}
_BROKEN = "import cgi\nfrom helpers import nope\nimport Helpers\n"


def _severities(project: Project) -> list[tuple[str, int, str]]:
    rows = project.check("--staged").json["diagnostics"]
    return [(row["code"], row["line"], row["severity"]) for row in rows if row["code"].startswith("BG6")]


def test_a_hook_judges_the_index_from_the_start(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)
    project.write({"b.py": _BROKEN})
    project.git("add", "--all")
    project.write({"helpers.py": "nope = 1\n"})  # not staged: the next commit lacks it

    assert _severities(project) == [("BG601", 1, "error"), ("BG604", 2, "error"), ("BG604", 3, "error")]


def test_a_hook_on_a_large_project_judges_the_staged_files_alone(
    repository: Callable[..., Project],
) -> None:
    project = repository({**_FILES, **{f"other/m{number}.py": "" for number in range(200)}})
    project.write({"b.py": _BROKEN})
    project.git("add", "--all")

    assert _severities(project) == [("BG601", 1, "error"), ("BG604", 2, "warning"), ("BG604", 3, "warning")]
