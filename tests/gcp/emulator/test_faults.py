"""Faults by name: for ever or so many times, and a mistyped one is named."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.gcp.emulator.faults import FaultName, Faults


def test_a_fault_strikes_for_ever_or_so_many_times() -> None:
    faults = Faults(["http-429", "hang=2", "pending=0"])

    assert [faults.takes(FaultName.HTTP_429) for _ in range(5)] == [True] * 5
    assert [faults.takes(FaultName.HANG) for _ in range(3)] == [True, True, False]
    assert not faults.takes(FaultName.PENDING)
    assert not faults.takes(FaultName.EXPIRED)


def test_wanting_a_fault_does_not_use_it_up() -> None:
    faults = Faults(["hang=1"])

    assert faults.wants(FaultName.HANG)
    assert faults.takes(FaultName.HANG)
    assert faults.wants(FaultName.HANG)
    assert not faults.wants(FaultName.PENDING)


def test_another_python_is_an_image() -> None:
    assert Faults(["other-python=python:3.8-slim"]).other_python == "python:3.8-slim"


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("htp-429", "unknown fault 'htp-429'", "did you mean 'http-429'?"),
        ("nonsense", "unknown fault 'nonsense'", "flip-byte"),
        ("hang=often", "'hang=often' needs a number of times", "hang=1"),
        ("other-python", "other-python needs an image", "other-python=python:3.8-slim"),
    ],
)
def test_a_mistake_says_what_would_work(text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Faults([text])

    assert caught.value.what == what
    assert hint in caught.value.hint
