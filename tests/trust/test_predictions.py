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
    assert len(counted.false_alarms) <= 1


@pytest.mark.interpreters
@pytest.mark.parametrize("version", RELEASES)
def test_predictions_for_newer_pythons(version: str, tmp_path: Path) -> None:
    counted = count(version, [*suites()[:: 1 if ALL else 20], *mutants(_SEED, 4000 if ALL else 100)], tmp_path)

    assert len(counted.missed) <= max(1, counted.rejected // 1000)
    assert counted.false_alarms == ()


def test_the_page_has_the_rates_that_are_stated() -> None:
    page = (REPOSITORY / "docs/trust.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| 3.")]

    stated = {}
    for version, *cells in rows:
        pairs = [[int(part.replace(",", "")) for part in cell.split(" of ")] for cell in (cells[0], cells[2])]
        stated[version] = (sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))
    assert stated == {f"3.{minor}": tuple(rate) for minor, rate in MISS_RATES.items()}
    assert [miss_rate(text) for text in ("unknown", "3.6", "3")] == [None, None, None]
    assert miss_rate("3.14.2") == MISS_RATES[14]
