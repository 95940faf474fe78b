"""`--format` and `--output`."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.cli.output import Destination, deliver_all, destinations
from buildguard.errors import UnprovenError, UsageError


@pytest.mark.parametrize(
    ("form", "outputs", "expected"),
    [
        (None, (), [("text", None)]),
        ("json", (), [("json", None)]),
        ("json", ("out.json",), [("json", Path("out.json"))]),
        (None, ("-",), [("text", None)]),
        (None, ("sarif=a.sarif", "text=-"), [("sarif", Path("a.sarif")), ("text", None)]),
        (None, ("a=b",), [("text", Path("a=b"))]),
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
    ],
)
def test_contradictions_are_refused_before_anything_runs(form: str | None, outputs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        destinations(form, outputs)


def test_one_file_that_cannot_be_written_does_not_lose_the_others(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match="could not be written"):
        deliver_all([("x", tmp_path / "missing" / "a"), ("y", tmp_path / "b")])

    assert (tmp_path / "b").read_text() == "y"
