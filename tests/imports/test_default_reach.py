"""Without a start command every module counts as executed, and tests do not."""

from __future__ import annotations

from collections.abc import Callable

from buildguard.imports.default_reach import find_reach
from buildguard.imports.records import FileReach
from tests.conftest import Project


def test_tests_are_left_out_by_their_names() -> None:
    paths = ["app/main.py", "tests/helper.py", "app/test_x.py", "app/x_test.py", "conftest.py", "app/contest.py"]

    assert find_reach(paths) == {path: FileReach(certain=True) for path in ("app/main.py", "app/contest.py")}


def test_a_hook_reports_what_the_library_lacks_and_keeps_it_apart_from_a_whole_run(
    repository: Callable[..., Project],
) -> None:
    project = repository({"Dockerfile": "FROM python:3.13\nCOPY . .\nCMD python main.py\n", "main.py": "import b\n"})
    project.write({"main.py": "import cgi\nimport gone_module_of_ours.x\n"})
    project.git("add", "--all")

    staged = project.check("--staged")
    whole = project.check("index:")

    assert staged.codes()["main.py"] == ["BG601"]
    assert "BG601" in whole.codes()["main.py"]
