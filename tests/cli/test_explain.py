"""`buildguard explain`: pages by number, beginning and word, and suggestions for the rest."""

from __future__ import annotations

import pytest

from buildguard.cli.explain import explain, explain_all, list_codes
from buildguard.codes import CODES, page
from buildguard.errors import UsageError


@pytest.mark.parametrize("word", ["101", "bg101", "BG101", " BG101 "])
def test_a_number_is_enough(word: str) -> None:
    assert explain(word) == page("BG101")


def test_a_beginning_lists_its_codes() -> None:
    assert explain("BG2").splitlines() == [f"{code}  {CODES[code]}" for code in CODES if code.startswith("BG2")]
    assert explain("2xx") == explain("BG2") == explain("2")


@pytest.mark.parametrize("word", ["f-string", "fstring", "F-String"])
def test_a_word_lists_what_it_is_about(word: str) -> None:
    codes = [line[:5] for line in explain(word).splitlines()]

    assert {"BG201", "BG205", "BG206"} <= set(codes)
    assert "BG404" not in codes


def test_a_word_of_one_title_is_its_page() -> None:
    assert explain("digest") == page("BG404")


@pytest.mark.parametrize(
    ("word", "suggestion"), [("BG999", "BG101 to "), ("bckslash", "backslash"), ("BG1O1", "BG101")]
)
def test_an_unknown_word_gets_a_suggestion(word: str, suggestion: str) -> None:
    with pytest.raises(UsageError) as refused:
        explain(word)

    assert suggestion in refused.value.hint


@pytest.mark.parametrize("word", ["", "-", "   "])
def test_a_word_without_letters_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        explain(word)


def test_all_pages_and_all_titles() -> None:
    assert all(f"# {code}: {title}" in explain_all() for code, title in CODES.items())
    assert len(list_codes().splitlines()) == len(CODES)
