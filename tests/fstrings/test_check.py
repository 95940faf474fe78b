"""f-strings in `check`: one finding for one place, with the compiler's words, and the ways to silence it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Callable

# how findings are merged, silenced and shown; what is found is asked on every host, in test_every_case.py and the tests of the rules
pytestmark = pytest.mark.one_host

_DOCKERFILE = {"Dockerfile": "FROM python:3.11\n"}
_REUSE = "d = {'k': 1}\ns = f'{d['k']}'\n"
_NESTED = "s = f\"{', '.join(f'{n}' for n in x)}\"\n"


def _one(project: Project, *args: str) -> dict[str, object]:
    (one,) = (one for one in project.check(*args).json["diagnostics"] if one["path"] is not None)
    return dict(one)


def test_one_finding_with_the_compilers_words(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE})

    one = _one(made)

    assert (one["code"], one["line"], one["column"], one["end_line"], one["end_column"]) == ("BG201", 2, 10, 2, 13)
    assert (one["severity"], one["engine"], one["target"], one["fixable"]) == ("error", "rule", "3.11", True)
    assert one["evidence"] == "SyntaxError: f-string: unmatched '[' (line 2)"
    text = made.run("check").out
    assert "      Python 3.11 reports: SyntaxError: f-string: unmatched '[' (line 2)" in text
    assert "`buildguard fix` does it" in text
    assert "Python 3.11 reports" in made.run("check", "--format", "github").out


@pytest.mark.parametrize("args", [("--ignore", "BG201"), ("--ignore", "BG2"), ("--select", "BG401")])
def test_an_ignored_rule_leaves_the_compilers_finding(project: Callable[..., Project], args: tuple[str, str]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE})

    result = made.check(*args)

    assert result.codes()["a.py"] == ["BG101"]
    assert (
        "put the expression into a name"
        in result.json["diagnostics"][0]["hint"] + result.json["diagnostics"][-1]["hint"]
    )
    assert result.code == 1


def test_an_ignored_place_leaves_the_compilers_finding_beside_others(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE + "t = f'{x!r }'\n"})

    assert made.check().codes()["a.py"] == ["BG201", "BG207"]
    assert made.check("--ignore", "BG201").codes()["a.py"] == ["BG101", "BG207"]
    assert made.check("--ignore", "BG207").codes()["a.py"] == ["BG201"]


def test_an_error_behind_an_f_string_is_found_too(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE + "x = (1,\n", "b.py": "x = )\n" + _REUSE})

    found = {(one["path"], one["code"], one["line"]) for one in made.check().json["diagnostics"] if one["path"]}

    assert found == {("a.py", "BG201", 2), ("a.py", "BG101", 3), ("b.py", "BG101", 1), ("b.py", "BG201", 3)}


def test_each_finding_of_a_file_is_told(project: Callable[..., Project]) -> None:
    lines = ["f'{d['k']}'", "f'{\nx}'", "f'''{x # c\n}'''", "f'{x!r }'", "f'{x:{w:{y}}}'", "f\"{'\\n'}\""]
    made = project({**_DOCKERFILE, "a.py": "".join(f"s = {line}\n" for line in lines)})

    result = made.check()

    assert result.codes()["a.py"] == ["BG201", "BG204", "BG203", "BG207", "BG206", "BG202"]
    assert result.json["summary"]["rejected_files"] == 1
    assert sum(bool(one["evidence"]) for one in result.json["diagnostics"]) == 1


def test_a_comment_silences_its_line(project: Callable[..., Project]) -> None:
    made = project(
        {
            **_DOCKERFILE,
            "a.py": _NESTED.replace("\n", "  # buildguard: ignore[BG205]\n") + _NESTED,
            "b.py": _NESTED.replace("\n", "  # buildguard: ignore[BG2, BG401]\n"),
            "c.py": 's = f"""{\n x}{f\'{y}\'}\n"""  # buildguard: ignore[BG205]\n',
        }
    )

    result = made.check()

    assert result.codes() == {"a.py": ["BG205"]}
    assert [one["line"] for one in result.json["diagnostics"]] == [2]
    assert [note for note in result.json["notes"] if "does nothing" in note] == ["b.py:1: ignore[BG401] does nothing"]


@pytest.mark.parametrize("run", ["first", "second"])
def test_a_comment_that_does_nothing_is_reported(project: Callable[..., Project], run: str) -> None:
    made = project(
        {
            **_DOCKERFILE,
            "a.py": "x = 1  # buildguard: ignore[BG205]\ny = 's # buildguard: ignore[BG205]'\n",
            "b.py": "f(  # buildguard: ignore[BG101]\n",
            "c.py": "x = 1  # buildguard: ignore\n",
        }
    )
    if run == "second":
        made.check()

    result = made.check()

    assert result.codes() == {"b.py": ["BG101"]}
    assert [note for note in result.json["notes"] if "ignore" in note] == [
        "a.py:1: ignore[BG205] does nothing",
        "b.py:1: ignore[BG101] does nothing: BG101 cannot be ignored",
        "c.py:1: ignore names no code, and does nothing",
    ]


def test_silencing_by_comment_leaves_the_compilers_finding(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE.replace("}'\n", "}'  # buildguard: ignore[BG201]\n")})

    assert made.check().codes()["a.py"] == ["BG101"]


def test_per_file_ignores(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "tests/a.py": _NESTED, "b.py": _NESTED})
    made.write({"buildguard.toml": 'per-file-ignores = { "tests/**" = ["BG205"] }\n'})

    assert made.check().codes() == {"b.py": ["BG205"]}


def test_a_nested_f_string_is_a_warning_below_312_only(project: Callable[..., Project]) -> None:
    made = project({"a.py": _NESTED})

    assert _one(made, "--target", "3.11")["severity"] == "warning"
    assert made.check("--target", "3.11").code == 0
    assert made.check("--target", "3.11", "--strict").code == 1
    assert made.check("--target", "3.12").codes() == {}
    assert made.check("--target", "3.11", "--target", "3.12").codes() == {"a.py": ["BG205"]}


def test_rules_need_no_engine(project: Callable[..., Project]) -> None:
    made = project({"a.py": _REUSE, "b.py": "x = 1\n"})

    result = made.check("--target", "3.11", "--engine", "container")

    assert result.codes() == {"a.py": ["BG201"]}
    assert result.code == 1
    assert result.json["unproven"]


def test_what_ruff_does_not_know_is_predicted(project: Callable[..., Project]) -> None:
    made = project({"a.py": "s = f'{x!r }'\n", "b.py": "s = f'{x:{w:{y}}}'\n", "c.py": _REUSE, "d.py": _NESTED})

    codes = made.check("--target", "3.11", "--engine", "static", "--proof", "predicted").codes()

    expected = {"a.py": ["BG207"], "b.py": ["BG206"], "c.py": ["BG201"], "d.py": ["BG205"]}
    assert {path: codes.get(path) for path in expected} == expected


def test_findings_come_from_the_cache_as_they_were(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _REUSE, "b.py": _NESTED})

    first, second = made.check().json, made.check().json

    assert second["targets"][0]["cached"] == 2
    assert first["diagnostics"] == second["diagnostics"]


def test_sarif_carries_fixes_that_can_be_applied(project: Callable[..., Project]) -> None:
    source = "def f(x):\n    return f\"{'\\n'.join(x)}\", f'{d['k']}'\n"
    made = project({**_DOCKERFILE, "a.py": source})

    sarif = json.loads(made.run("check", "--format", "sarif").out)

    fixes = [fix for result in sarif["runs"][0]["results"] for fix in result.get("fixes", ())]
    edits = [one for fix in fixes for change in fix["artifactChanges"] for one in change["replacements"]]
    lines = source.splitlines(keepends=True)
    for edit in sorted(
        edits, key=lambda one: (one["deletedRegion"]["startLine"], -one["deletedRegion"]["startColumn"])
    ):
        region = edit["deletedRegion"]
        assert region["startLine"] == region["endLine"]
        line = lines[region["startLine"] - 1]
        new = line[: region["startColumn"] - 1] + edit["insertedContent"]["text"] + line[region["endColumn"] - 1 :]
        lines[region["startLine"] - 1] = new
    assert made.run("fix").code == 0
    assert "".join(lines) == (made.path / "a.py").read_text()
