"""Python outside of `.py` files, from the command line: findings point into the file that contains it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.check.snippets import SnippetStage
from buildguard.project.snippets.mapped_text import map_whole
from buildguard.system.pythons import candidates
from tests.conftest import Project

pytestmark = pytest.mark.interpreters

_REUSE = 'f"{x["a"]}"'  # 3.12 accepts it


def _places(made: Project, *args: str) -> list[tuple[str, str, int]]:
    return [(each["code"], each["path"], each["line"]) for each in made.check(*args).json["diagnostics"]]


def test_a_file_that_only_the_dockerfile_contains(repository: Callable[..., Project]) -> None:
    text = f"FROM python:3.11-slim\nWORKDIR /srv\nCOPY <<EOF gen.py\nx = {{'a': 1}}\nprint({_REUSE})\nEOF\nCMD python gen.py\n"
    made = repository({"Dockerfile": text})

    result = made.check()

    assert result.code == 1
    report = result.json
    (finding,) = report["diagnostics"]
    assert (finding["code"], finding["path"], finding["line"], finding["column"]) == ("BG201", "Dockerfile", 5, 12)
    assert finding["fixable"] is False
    assert "buildguard fix" not in finding["hint"]
    assert finding["evidence"].endswith("(line 5)")
    assert (report["snippets"], report["unproven"], report["not_checked"]) == (1, [], [])
    assert [(row["python"], row["proof"]) for row in report["targets"]] == [("3.11", "compiled")]

    made.commit({"Dockerfile": text.replace("3.11", "3.12")})
    clean = made.run("check")
    assert clean.code == 0
    assert clean.out.splitlines()[-1].startswith("clean: 0 files and 1 snippet compiled")


def test_each_stage_and_step_by_its_own_python(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": (
                "FROM python:3.9 AS build\nRUN python - <<'EOF'\nmatch 1:\n    case 1: pass\nEOF\n"
                "FROM python:3.12\nCOPY --from=build /x /x\nCOPY app.py .\nRUN python -c 'match 1:\\\n case 1: pass'\n"
                "HEALTHCHECK CMD python -c 'import (x)'\n"
            ),
            "cloudbuild.yaml": (
                "steps:\n- name: python:3.8\n  script: |\n    #!/usr/bin/env python3\n    try: pass\n    except* E: pass\n"
                "- name: python:3.12\n  args: [python, -c, 'type X = int']\n- name: gcr.io/x/y\n  args: [python, -c, 'x =']\n"
            ),
            "app.py": "import x; x\n",
            "hook.pth": "lib\nimport os; print 1\n",
        }
    )

    assert _places(made, "--ignore", "BG6", "--ignore", "BG4", "--ignore", "BG7") == [
        ("BG101", "Dockerfile", 3),
        ("BG101", "Dockerfile", 10),
        ("BG101", "Dockerfile", 11),
        ("BG101", "cloudbuild.yaml", 6),
        ("BG101", "hook.pth", 2),
    ]
    verbose = made.run("check", "-v").out
    assert "not checked: 1 snippet\n" in verbose
    assert (
        "not checked: cloudbuild.yaml:10: the Python version in gcr.io/x/y is unknown: its name has none\n" in verbose
    )
    assert [row["python"] for row in made.check().json["targets"]] == ["3.12"]
    assert _places(made, "app.py") == []


def test_what_is_not_looked_at_is_counted(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": "FROM python:3.12\nRUN python -c \"print('$X')\"\n",
            "app.py": "",
            "t/a.py.j2": "{{",
            "t/b.py.j2": "{{",
            "c.ipynb": "{}",
            "d.ipynb": "{}",
            "e.ipynb": "{}",
        }
    )

    result = made.run("check")
    assert result.code == 0
    assert "not checked: 3 notebooks, 2 templates (.j2), 1 snippet\n" in result.out
    assert "a.py.j2" not in result.out
    verbose = made.run("check", "-v").out
    assert "not checked: t/a.py.j2\n" in verbose
    assert "not checked: Dockerfile:2: a variable is part of this source" in verbose
    assert made.run("check", "--strict").code == 3
    assert "not checked: 3 notebooks\n" in made.run("check", "app.py", "c.ipynb", "d.ipynb", "e.ipynb").out


def test_lines_in_messages_and_comments_are_those_of_the_file(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": (
                "FROM python:3.12\nRUN python <<'EOF'\nif x:\npass\nEOF\n"
                "COPY <<'EOF' a.py\nx = f'{x!r:{f'{y}'}}'  # buildguard: ignore[BG205]\nx = '\\d'\nEOF\n"
            ),
            "app.py": "",
        }
    )

    report = made.check("--target", "3.11").json

    (error,) = [each for each in report["diagnostics"] if each["severity"] == "error" and each["line"] == 4]
    assert error["message"] == "IndentationError: expected an indented block after 'if' statement on line 3"
    assert {each["line"] for each in report["diagnostics"] if each["code"] == "BG105"} <= {8}


def test_a_command_is_dedented_from_314_on(repository: Callable[..., Project]) -> None:
    text = "FROM python:3.13\nRUN python -c '\\\n  x = 1'\nRUN python - <<EOF\n  x = 1\nEOF\n"
    made = repository({"Dockerfile": text, "app.py": ""})

    assert _places(made) == [("BG101", "Dockerfile", 3), ("BG101", "Dockerfile", 5)]
    predicted = _places(made, "--target", "3.14", "--proof", "predicted", "--engine", "static")
    assert [place for place in predicted if place[0] == "BG101"] == [("BG101", "Dockerfile", 5)]


def test_a_snippet_of_a_stage_that_nothing_compiles_is_left_open(repository: Callable[..., Project]) -> None:
    text = "FROM python:3.15 AS build\nRUN python -c 'x'\nFROM python:3.12\nCOPY --from=build /x /x\n"
    made = repository({"Dockerfile": text, "app.py": ""})
    if any(candidates("3.15", made.path)):
        pytest.skip("Python 3.15 is here")

    report = made.check().json

    assert report["exit_code"] == 0
    assert [(each["path"], each["line"], each["reason"]) for each in report["not_checked"]] == [
        ("Dockerfile", 2, "Python 3.15 is not at hand, so this is a prediction")
    ]


def test_snippets_as_a_stage(project: Callable[..., Project]) -> None:
    stage = SnippetStage(project().path, {b"Dockerfile:0": map_whole("x = 1", 4)})

    assert [content for _entry, content in stage.contents(stage.entries())] == [b"x = 1"]
    assert stage.notes() == []


@pytest.mark.parametrize("args", [(), ("--target", "3.11")])
def test_a_build_file_that_cannot_be_read_leaves_all_open(
    repository: Callable[..., Project], args: tuple[str, ...]
) -> None:
    made = repository({"Dockerfile": "FROM python:3.11-slim\nCOPY . .\nRUN python -c 'x = 1'\n", "a.py": "x = 1\n"})
    assert made.check(*args).code == 0
    (made.path / "b").mkdir()
    (made.path / "b/Dockerfile").symlink_to("/nowhere")

    result = made.check(*args)

    assert result.code == 3
    if args:  # else no target is known at all
        assert any("Python in build files was not looked at" in each["reason"] for each in result.json["unproven"])
