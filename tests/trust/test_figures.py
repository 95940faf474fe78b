"""Each figure on a small scale; and that a guard which is broken would be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compare import chance
from tests.trust import figures
from tests.trust.figures import FIGURES, Figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ELSEWHERE = {"kills", "faulty", "broken_lines", "walks", "broken", "library"}  # whole in tests of their own


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "figure", [one for one in FIGURES if one.__name__ not in _ELSEWHERE], ids=lambda one: one.__name__
)
def test_nothing_is_wrong(tmp_path: Path, figure: Callable[[Path, float], Figure]) -> None:
    found = figure(tmp_path, 0.01)

    assert found.tries >= 4
    assert found.wrong == ()


def test_a_broken_guard_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "judged", lambda _before, _after: False)

    found = figures.injections(tmp_path, 0)

    assert len(found.wrong) == found.tries
    assert "100.00% seen" in figures.table([found])


def test_the_page_tells_the_rate() -> None:
    assert "| A | x | 3,000 | 0 | below 0.100% |" in figures.table([Figure("A", "x", 3000, ())])
