"""A short round of the fuzzer, seeded, and everything that it ever found."""

from __future__ import annotations

import pytest

from tests.conftest import ALL
from tests.trust import fuzz


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_what_people_write_is_read(reader: str) -> None:
    """The seeds are good ones: what is made of them is near to what a reader takes."""
    assert [fuzz.failed(reader, data) for data in fuzz.seeds()[reader]] == [""] * len(fuzz.seeds()[reader])


@pytest.mark.parametrize("seed", range(4 if ALL else 1))
def test_a_reader_answers_or_raises_an_error_of_ours(seed: int) -> None:
    assert fuzz.fuzz(60 if ALL else 30, seed) == []


@pytest.mark.parametrize(("reader", "data"), fuzz.FOUND)
def test_what_was_found_once(reader: str, data: bytes) -> None:
    assert fuzz.failed(reader, data) == ""


def test_a_reader_that_breaks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.READERS, "config", lambda data: data[10**9])

    assert "IndexError" in fuzz.failed("config", b"")
