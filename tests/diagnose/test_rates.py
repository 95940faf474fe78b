"""The figures that bench.diagnose publishes."""

from __future__ import annotations

import pytest

from bench.diagnose import GradedLog, report, wilson


@pytest.mark.parametrize(
    ("count", "tries", "low", "high"),
    [(0, 100, 0.0, 0.037), (50, 100, 0.404, 0.596), (100, 100, 0.963, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_wilsons(count: int, tries: int, low: float, high: float) -> None:
    """Against published values."""
    assert wilson(count, tries) == pytest.approx((low, high), abs=0.001)


def test_the_matrix_counts_each_answer() -> None:
    """Right ones are counted, others are named; the rate is that of the first sight, and not of logs that were corrected with."""
    text = report(
        [
            GradedLog("logs", "port", "port", "right", "1"),
            GradedLog("logs", "port", "unknown", "unknown", "2"),
            GradedLog("held-out", "crash", "port", "wrong", "3"),
        ]
    )

    assert "| port | 2 | 1 | unknown 1 |" in text
    assert "| crash | 1 | 0 | port 1 |" in text
    assert "| right, with the place | 85 (92.4 %) | 85.1 to 96.3 % | 1 |" in text
    assert "| healthy, though it failed | 0 (0.0 %) |" in text
