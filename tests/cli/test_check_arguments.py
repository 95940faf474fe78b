"""The arguments that are parsed without click are what click makes of them, and nothing else is."""

from __future__ import annotations

import pytest

from buildguard.cli.check import check
from buildguard.cli.check_arguments import parse_check

_PARSED = (
    "",
    "--staged",
    "--staged --proof predicted",
    "--staged --proof predicted app/a.py app/b.py",
    "app --no-cache --target 3.11 --target 3.12 --strict -q",
    "commit:HEAD --proof image --quiet",
)
_FOR_CLICK = ("--help", "--proof", "--proof none", "--proof=image", "--jobs 2", "-", "--", "-qv", "--target")


@pytest.mark.parametrize("words", _PARSED)
def test_what_is_parsed_here_is_what_click_parses(words: str) -> None:
    with check.make_context("check", words.split()) as context:
        assert parse_check(["check", *words.split()], {}) == context.params


@pytest.mark.parametrize("words", _FOR_CLICK)
def test_the_rest_is_left_to_click(words: str) -> None:
    assert parse_check(["check", *words.split()], {}) is None


def test_other_commands_and_completion_are_left_to_click() -> None:
    assert parse_check([], {}) is None
    assert parse_check(["fix"], {}) is None
    assert parse_check(["check"], {"_BUILDGUARD_COMPLETE": "bash_complete"}) is None
