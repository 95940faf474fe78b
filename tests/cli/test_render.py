"""Reports: valid for programs, short and true for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema

from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render.formats import render
from buildguard.cli.render.layout import TextLayout
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven
from tests.cli.render.schemas import sarif_schema
from tests.conftest import BROKEN_BEFORE_312, Project

if TYPE_CHECKING:
    from collections.abc import Callable

_DOCKERFILE = {"Dockerfile": "FROM python:3.11-slim\n"}


def test_sarif_is_valid(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a b.py": BROKEN_BEFORE_312, ".python-version": "3.12\n", "c.py": b"# \xff\n"})
    made.write({"d.py": "s = f'{\"\\n\".join(x)}'\n"})
    (made.path / "gone.py").symlink_to("nowhere")

    result = made.run("check", "--format", "sarif")

    log = json.loads(result.out)
    jsonschema.Draft7Validator(sarif_schema()).validate(log)
    (run,) = log["runs"]
    assert {one["id"] for one in run["tool"]["driver"]["rules"]} == {
        "BG101",
        "BG102",
        "BG107",
        "BG202",
        "BG401",
        "BG403",
    }
    assert sum("fixes" in one for one in run["results"]) == 1
    assert all(one["help"]["text"].startswith("# BG") for one in run["tool"]["driver"]["rules"])
    first = next(one for one in run["results"] if one["ruleId"] == "BG101")
    location = first["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "a%20b.py"
    assert location["region"]["startLine"] == 1
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "gone.py" in json.dumps(run["invocations"])


def test_the_schema_would_notice() -> None:
    broken = {"version": "2.1.0", "runs": [{"results": []}]}

    assert not jsonschema.Draft7Validator(sarif_schema()).is_valid(broken)


def _report(*diagnostics: Diagnostic, unproven: tuple[Unproven, ...] = ()) -> CheckReport:
    row = TargetRow("3.11", "Dockerfile:1", "interpreter", "compiled", "CPython 3.11.9", None, None, 9, 0)
    return CheckReport(".", (row,), diagnostics, unproven, (), 9, 0.25)


def _diagnostic(
    path: str = "a.py", *, message: str = "no", where: Range | None = None, excerpt: str = ""
) -> Diagnostic:
    return Diagnostic(
        Code.BG101,
        Severity.ERROR,
        DisplayPath(path),
        where or Range(3, 5, 3, 8),
        message,
        "",
        "3.11",
        "interpreter",
        excerpt=excerpt,
    )


def test_github_annotations_are_escaped() -> None:
    text = render(_report(_diagnostic("a,b:c.py", message="100%\nnext\x1b[0m")), "github")

    assert text.splitlines()[0] == (
        "::error file=a%2Cb%3Ac.py,line=3,endLine=3,col=5,endColumn=8,"
        "title=buildguard BG101 (Python 3.11)::100%25%0Anext\\x1b[0m"
    )
    assert "::error title=buildguard%3A unproven::gone" in render(
        _report(unproven=(Unproven(None, None, "gone"),)), "github"
    )


def test_the_range_is_underlined() -> None:
    lines = render(_report(_diagnostic(excerpt="\tx = 'é' + 1", where=Range(1, 6, 1, 9))), "text").splitlines()

    assert lines[2] == "       x = 'é' + 1"
    assert lines[3] == "           ^^^"


def test_wide_letters_take_two_columns() -> None:
    lines = render(_report(_diagnostic(excerpt="x = '漢字' $", where=Range(1, 10))), "text").splitlines()

    assert lines[3] == " " * (6 + 11) + "^"


def test_long_lines_are_cut_around_the_range() -> None:
    excerpt = "a" * 200 + "HERE" + "b" * 200
    lines = render(_report(_diagnostic(excerpt=excerpt, where=Range(1, 201, 1, 205))), "text").splitlines()

    assert len(lines[2]) < 120
    start = lines[3].index("^")
    assert lines[2][start : start + 4] == "HERE"


def test_foreign_text_cannot_reach_the_terminal() -> None:
    one = _diagnostic("a\x1b[2J.py", message="\x07\u202e", excerpt="\x1b]0;title\x07", where=Range(1, 1))

    for form in ("text", "concise", "github"):
        text = render(_report(one, unproven=(Unproven(DisplayPath("b\x1b.py"), None, "\x1b"),)), form)
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text


def test_every_finding_is_shown_without_a_terminal(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, **{f"m{n:03}.py": BROKEN_BEFORE_312 for n in range(200)}})

    text, concise = made.run("check").out, made.run("check", "--format", "concise", "-q").out

    assert text.count("BG101 error") == 200
    assert "more" not in text
    assert "200 files do not compile; the start command is known to execute none of them" in text
    assert text.splitlines()[-1].startswith("200 errors")
    assert sum(": BG101 " in line for line in concise.splitlines()) == 200
    assert len(made.check().json["diagnostics"]) == len(concise.splitlines())


def test_nothing_is_coloured_without_a_terminal(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": BROKEN_BEFORE_312})

    assert "\x1b" not in made.run("check").out
    assert "\x1b[" in render(_report(_diagnostic()), "text", TextLayout(color=True))


def test_a_result_that_could_not_begin_is_json_too(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": ""})
    (made.path / ".git").mkdir()
    made.env["PATH"] = "/nowhere"

    result = made.check()

    assert result.code == 3
    assert "git is not on PATH" in result.json["unproven"][0]["reason"]
