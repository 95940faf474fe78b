"""`--format` and `--output`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.cli.output import Destination, colored, deliver_all, destinations
from buildguard.errors import UnprovenError, UsageError
from tests.conftest import BROKEN_BEFORE_312, Project


@pytest.mark.parametrize(
    ("form", "outputs", "expected"),
    [
        (None, (), [("text", None)]),
        ("json", (), [("json", None)]),
        ("json", ("out.json",), [("json", Path("out.json"))]),
        (None, ("-",), [("text", None)]),
        (None, ("sarif=a.sarif", "text=-"), [("sarif", Path("a.sarif")), ("text", None)]),
        (None, ("./a=b",), [("text", Path("a=b"))]),
        ("json", ("out/a=b",), [("json", Path("out/a=b"))]),
    ],
)
def test_where_a_result_goes(
    form: str | None, outputs: tuple[str, ...], expected: list[tuple[str, Path | None]]
) -> None:
    assert list(destinations(form, outputs)) == [Destination(*each) for each in expected]


@pytest.mark.parametrize(
    ("form", "outputs"),
    [
        ("json", ("sarif=a.sarif",)),
        (None, ("sarif=a.sarif", "b.txt")),
        (None, ("a", "b")),
        (None, ("text=-", "json=-")),
        (None, ("text=a", "json=a")),
        (None, ("json=",)),
        (None, (".",)),
        (None, ("a=b",)),
        ("json", ("SARIF=b",)),
    ],
)
def test_contradictions_are_refused_before_anything_runs(form: str | None, outputs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        destinations(form, outputs)


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("sarfi=out.sarif", "did you mean 'sarif'?"),
        ("html=/x/x.html", "--html /x/x.html"),
        ("run=3.txt", "a file of that name: --output ./run=3.txt"),
    ],
)
def test_a_format_that_does_not_exist_is_no_file(output: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        destinations(None, (output,))

    assert "the formats are text, concise, json, sarif" in error.value.what
    assert error.value.hint == hint


def test_one_file_that_cannot_be_written_does_not_lose_the_others(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match="could not be written"):
        deliver_all([("x", tmp_path / "missing" / "a"), ("y", tmp_path / "b")])

    assert (tmp_path / "b").read_text() == "y"


@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("diff", "commit:HEAD", "dir:."),
        ("diagnose",),
    ],
)
def test_every_command_that_colors_can_be_told_to(repository: Callable[..., Project], command: tuple[str, ...]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11-slim\n", "a.py": BROKEN_BEFORE_312})
    made.env["NO_COLOR"] = "1"

    always, never = (made.run(*command, "--color", choice).out for choice in ("always", "never"))

    assert "\x1b[" in always
    assert "\x1b" not in never


def test_a_text_keeps_its_colors_where_they_are_wanted() -> None:
    red = "\x1b[31mx\x1b[0m"

    assert [colored(red, choice, to_file=True) for choice in ("always", "auto", "never")] == [red, "x", "x"]
