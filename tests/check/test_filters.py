"""Which diagnostics are reported: flags, configuration and comments."""

from __future__ import annotations

import pytest

from buildguard.check.filters import Filters, IgnoreComment, apply_ignores, filters
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity
from buildguard.errors import UsageError
from buildguard.project.config import Config


def _diagnostic(code: str, path: str | None = "a.py", line: int = 1, within: Range | None = None) -> Diagnostic:
    shown = DisplayPath(path) if path is not None else None
    return Diagnostic(Code(code), Severity.ERROR, shown, Range(line), "message", within=within)


def test_facts_about_files_cannot_be_filtered() -> None:
    diagnostics = [_diagnostic("BG101"), _diagnostic("BG205"), _diagnostic("BG404")]

    assert Filters(select=("BG4",)).keep(diagnostics) == [diagnostics[0], diagnostics[2]]
    assert Filters(ignore=("BG",)).keep(diagnostics) == [diagnostics[0]]
    assert Filters(per_file=(("a.py", ("BG205",)),)).keep(diagnostics) == [diagnostics[0], diagnostics[2]]
    assert Filters(per_file=(("b.py", ("BG205",)),)).keep(diagnostics) == diagnostics
    assert Filters(ignore=("BG101", "BG2"), per_file=(("*", ("BG303",)),)).futile() == ["BG101", "BG303"]


def test_flags_win_over_the_configuration_and_both_are_checked() -> None:
    config = Config("pyproject.toml", select=("BG2",), ignore=("BG205",))

    assert filters(config, (), ("BG404",)) == Filters(("BG2",), ("BG404",))
    with pytest.raises(UsageError, match="--select"):
        filters(config, ("E501",), ())
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        filters(Config("pyproject.toml", ignore=("nothing",)), (), ())


def test_a_comment_silences_its_own_line_only() -> None:
    diagnostics = [_diagnostic("BG205", line=1), _diagnostic("BG205", line=2), _diagnostic("BG205", "b.py", 1)]

    kept, notes = apply_ignores(diagnostics, [IgnoreComment("a.py", 1, ("BG205",))])

    assert kept == diagnostics[1:]
    assert notes == []


def test_a_comment_fits_on_the_last_line_of_an_fstring() -> None:
    inside = _diagnostic("BG205", line=2, within=Range(1, 1, 4, 2))

    assert apply_ignores([inside], [IgnoreComment("a.py", 4, ("BG2",))])[0] == []
    assert apply_ignores([inside], [IgnoreComment("a.py", 3, ("BG2",))])[0] == [inside]


@pytest.mark.parametrize(
    ("codes", "note"),
    [
        (("BG404",), "a.py:1: ignore[BG404] does nothing"),
        (("BG101",), "a.py:1: ignore[BG101] does nothing: BG101 cannot be ignored"),
        ((), "a.py:1: ignore names no code, and does nothing"),
        (("BG",), "a.py:1: ignore[BG] does nothing"),
    ],
)
def test_a_comment_that_does_nothing_is_noted(codes: tuple[str, ...], note: str) -> None:
    diagnostics = [_diagnostic("BG101"), _diagnostic("BG205")]

    assert apply_ignores(diagnostics, [IgnoreComment("a.py", 1, codes)]) == (diagnostics, [note])
