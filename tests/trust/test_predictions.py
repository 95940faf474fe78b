"""Predictions beside the real Pythons: a sample, and the whole page with BUILDGUARD_ALL."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.predictions import BEGIN, END
from buildguard.engines.miss_rates import MISS_RATES, miss_rate
from tests.conftest import ALL, REPOSITORY
from tests.trust.predictions import count, mutants, suites
from tests.wasm import RELEASES

_SEED = 4


@pytest.mark.interpreters
def test_a_sample_of_predictions(version: str, tmp_path: Path) -> None:
    sources = list(dict.fromkeys(mutants(_SEED, 4000 if ALL else 60)))
    if not sources:
        pytest.skip("no Python with its test suite")

    counted = count(version, sources, tmp_path)

    assert counted.rejected > 10 * len(counted.missed)
    assert len(counted.missed) <= counted.rejected // 500
    wrong, accepted = _pairs_of_page()[version][3]
    # a rate of rare events in another draw: twice what the page says of changed programs, and one
    assert len(counted.false_alarms) <= 1 + 2 * counted.accepted * wrong / accepted


@pytest.mark.interpreters
@pytest.mark.parametrize("version", RELEASES)
def test_predictions_for_newer_pythons(version: str, tmp_path: Path) -> None:
    counted = count(version, [*suites()[:: 1 if ALL else 20], *mutants(_SEED, 4000 if ALL else 100)], tmp_path)

    assert len(counted.missed) <= max(1, counted.rejected // 1000)
    assert counted.false_alarms == ()


def _pairs_of_page() -> dict[str, list[list[int]]]:
    """How many of how many, by version: misses and false alarms of snippets, then of changed programs."""
    page = (REPOSITORY / "docs/trust.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| 3.")]
    return {row[0]: [[int(part.replace(",", "")) for part in cell.split(" of ")] for cell in row[1:]] for row in rows}


def test_the_page_has_the_rates_that_are_stated() -> None:
    stated = {
        version: (missed[0] + more[0], missed[1] + more[1])
        for version, (missed, _alarms, more, _others) in _pairs_of_page().items()
    }
    assert stated == {f"3.{minor}": tuple(rate) for minor, rate in MISS_RATES.items()}
    assert [miss_rate(text) for text in ("unknown", "3.6", "3")] == [None, None, None]
    assert miss_rate("3.14.2") == MISS_RATES[14]
