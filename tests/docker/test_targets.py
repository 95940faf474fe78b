"""Several targets and several engines in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import images
from tests.conftest import BROKEN_BEFORE_312, SOME_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_QUOTES = "names = ['a']\nprint(f'{', '.join(names)}')\n"


def test_one_finding_for_all_targets_that_share_it(project: Callable[..., Project]) -> None:
    made = project(
        {"a.py": _QUOTES, "b.py": BROKEN_BEFORE_312, "c.py": "match x:\n    case 1: pass\n", "d.py": "x = 1\n"}
    )

    report = made.check("--target", "3.12", "--target", "3.8", "--target", "3.11").json

    assert [row["python"] for row in report["targets"]] == ["3.12", "3.8", "3.11"]
    assert [
        (one["path"], one["code"], one["target"], one["targets"])
        for one in report["diagnostics"]
        if one["code"] != "BG403"
    ] == [
        ("a.py", "BG201", "3.8", ["3.8", "3.11"]),
        ("b.py", "BG101", "3.8", ["3.8", "3.11"]),
        ("c.py", "BG101", "3.8", ["3.8"]),
    ]
    assert report["summary"]["rejected_files"] == 3
    text = made.run("check", "--target", "3.12", "--target", "3.8", "--target", "3.11").out
    assert text.count("(Python 3.8, 3.11)") == 2
    assert "(Python 3.8)" in text


def test_several_on_one_line_stay_apart(project: Callable[..., Project]) -> None:
    made = project({"a.py": "x = f'{'a'}', f'{'b'}'\n"})

    diagnostics = made.check("--target", "3.9", "--target", "3.10").json["diagnostics"]

    found = [(one["code"], one["column"], one["targets"]) for one in diagnostics if one["code"] == "BG201"]
    assert found == [("BG201", 8, ["3.9", "3.10"]), ("BG201", 18, ["3.9", "3.10"])]


def test_many_targets_are_as_good_as_one_by_one(project: Callable[..., Project]) -> None:
    versions = SOME_VERSIONS
    files = {
        f"m{number}.py": text
        for number, text in enumerate([_QUOTES, BROKEN_BEFORE_312, "f(\n", "x = 1\n", "print 1\n"] * 4)
    }
    made = project({name: f"# {name}\n{text}" for name, text in files.items()})

    together = made.check(*[word for version in versions for word in ("--target", version)], "--no-cache").json
    alone = {version: made.check("--target", version, "--no-cache").json for version in versions}

    for version in versions:
        expected = {
            (one["path"], one["line"], one["code"]) for one in alone[version]["diagnostics"] if one["code"] != "BG403"
        }
        found = {
            (one["path"], one["line"], one["code"])
            for one in together["diagnostics"]
            if version in one["targets"] and one["code"] != "BG403"
        }
        assert found == expected, version
    assert together["summary"]["unproven"] == 0


@pytest.mark.usefixtures("spotless")
def test_several_images_share_the_cache(engine: str, project: Callable[..., Project]) -> None:
    """Each target has its own connection: nothing of what another one keeps is lost or taken for damage."""
    versions = ("3.9", "3.11", "3.12")
    files = {f"{version}/Dockerfile": f"FROM {images.base(version)}\n" for version in versions}
    made = project({**files, **{f"{version}/m{at}.py": f"x = {at}\n" for version in versions for at in range(30)}})

    first, second = (made.check("--engine", "container").json for _ in range(2))

    assert sorted(row["cached"] for row in first["targets"]) == [0, 0, 0]
    assert [row["cached"] for row in second["targets"]] == [30, 30, 30]
    assert first["notes"] == second["notes"] == []
    assert {one["code"] for one in second["diagnostics"]} == {"BG404"}


@pytest.mark.usefixtures("spotless")
def test_engines_that_disagree(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """An image tagged 3.11 that runs 3.12: both verdicts, both exact versions, and what that means."""
    liar = image(images.base("3.12"), tag=f"{images.REPOSITORY}/liar:python3.11")
    made = project({"Dockerfile": f"FROM {liar}\n", "a.py": BROKEN_BEFORE_312, "b.py": "x = 1\n", "c.py": "f(\n"})

    result = made.check("--engine", "interpreter,container")
    diagnostics = {(one["path"], one["code"]): one for one in result.json["diagnostics"]}

    assert result.code == 1
    assert {key for key in diagnostics if key[1] in {"BG104", "BG402"}} == {("a.py", "BG104"), ("Dockerfile", "BG402")}
    one = diagnostics["a.py", "BG104"]
    rows = {row["engine"]: row for row in result.json["targets"]}
    assert set(rows) == {"interpreter", "container"}
    for row in rows.values():
        assert row["interpreter"] in one["message"]
    assert (one["line"], one["severity"], one["engine"]) == (1, "error", "container,interpreter")
    assert "what the image runs is what counts" in one["hint"]
    assert diagnostics["c.py", "BG101"]["engine"] == "interpreter,container"
    assert made.check("--engine", "interpreter,container", "--ignore", "BG1").codes()["a.py"].count("BG104") == 1


@pytest.mark.usefixtures("spotless")
def test_engines_that_agree(engine: str, project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": f"FROM {images.base('3.11')}\n", "a.py": _QUOTES, "b.py": "x = 1\n"})

    result = made.check("--engine", "interpreter,container,static")

    assert [one["code"] for one in result.json["diagnostics"]] == ["BG404", "BG201"]
    assert [row["engine"] for row in result.json["targets"]] == ["interpreter", "container", "static"]
    assert [row["proof"] for row in result.json["targets"]] == ["compiled", "image", "predicted"]


@pytest.mark.usefixtures("spotless")
def test_the_image_tells_what_no_file_does(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """A base image whose name says nothing: its own interpreter is the one to ask."""
    tag = image(images.base("3.11"), tag=f"{images.REPOSITORY}/company-base:latest")
    made = project({"Dockerfile": f"FROM {tag}\n", "a.py": BROKEN_BEFORE_312})

    result = made.check()

    assert result.codes()["a.py"] == ["BG101"]
    (row,) = result.json["targets"]
    assert (row["engine"], row["proof"], row["image"]) == ("container", "image", tag)
    assert row["interpreter"] == f"CPython {row['python']}"


@pytest.mark.usefixtures("spotless")
def test_an_image_alone_is_a_target(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.13"))
    made = project({"a.py": BROKEN_BEFORE_312, "b.py": "f(\n"})

    result = made.check("--image", tag)

    assert result.codes() == {"b.py": ["BG101"]}
    assert result.json["targets"][0]["interpreter"].startswith("CPython 3.13.")


@pytest.mark.usefixtures("spotless")
def test_a_range_is_no_promise_of_its_lowest(engine: str, project: Callable[..., Project]) -> None:
    """`requires-python >= 3.8` lets a 3.13 in: the image that was named says what runs, and breaks nothing."""
    made = project({"pyproject.toml": "[project]\nrequires-python = '>=3.8,<3.13'\n", "a.py": BROKEN_BEFORE_312})

    inside = made.check("--image", images.base("3.12"))
    outside = made.check("--image", images.base("3.13"))

    assert (inside.code, inside.codes()) == (0, {})
    assert inside.json["targets"][0]["python"].startswith("3.12.")
    assert outside.codes() == {"pyproject.toml": ["BG402"]}
    assert ">=3.8,<3.13" in outside.json["diagnostics"][0]["message"]
    ignored = made.run("check", "--image", images.base("3.12"), "--engine", "interpreter")
    assert "--image is not used" in ignored.out


@pytest.mark.usefixtures("spotless")
def test_another_python_in_the_last_stage_is_no_proof_of_the_image(
    engine: str, project: Callable[..., Project]
) -> None:
    base = images.base("3.11")
    made = project({"Dockerfile": f"FROM {base}\nRUN uv python install 3.12\n", "a.py": "x = 1\n"})

    result = made.run("check", "--engine", "container", "--proof", "image")

    assert result.code == 3
    assert "compiled only, and --proof image is required: Dockerfile: line 2 installs another Python" in result.out
    made.write({"Dockerfile": f"FROM {base}\n"})
    assert made.run("check", "--proof", "image").code == 0


def test_one_image_for_two_pythons_is_refused(engine: str, project: Callable[..., Project]) -> None:
    made = project(
        {"a/Dockerfile": "FROM python:3.11\n", "a/x.py": "", "b/Dockerfile": "FROM python:3.12\n", "b/x.py": ""}
    )

    result = made.run("check", "--image", images.base("3.11"))

    assert result.code == 2
    assert "--service" in result.err
