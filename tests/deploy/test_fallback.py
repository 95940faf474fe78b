"""Whether the local builder takes over from Cloud Build, by what went wrong and by the setting."""

from __future__ import annotations

import re

import pytest

from buildguard.deploy import fallback
from buildguard.deploy.fallback import (
    FallbackDecision,
    FallbackMode,
    FallbackRule,
    decide_fallback,
    needs_confirmation,
    rule_of,
)
from buildguard.errors import Reason

_ANSWERS = (None, False, True)


@pytest.mark.parametrize("decision", FallbackDecision)
@pytest.mark.parametrize("mode", FallbackMode)
def test_the_local_builder_takes_over_only_where_both_allow_it(decision: FallbackDecision, mode: FallbackMode) -> None:
    rule = FallbackRule("it failed", decision)
    asked = needs_confirmation(rule, mode)

    taken = [answer for answer in _ANSWERS if decide_fallback(rule, mode, asked=answer)]

    if mode is FallbackMode.NEVER or decision in {FallbackDecision.STOP, FallbackDecision.AGAIN}:
        assert (asked, taken) == (False, [])
    elif mode is FallbackMode.AUTO and decision is FallbackDecision.LOCAL:
        assert (asked, taken) == (False, list(_ANSWERS))
    else:
        assert (asked, taken) == (True, [True])


def test_a_missing_right_is_never_hidden_behind_another_builder() -> None:
    assert rule_of(Reason.DENIED).leads_to is FallbackDecision.STOP
    assert rule_of(Reason.STEP_FAILED).leads_to is FallbackDecision.STOP
    assert rule_of(Reason.OTHER, in_bucket=True).leads_to is FallbackDecision.STOP
    assert rule_of(Reason.UNREACHABLE).leads_to is FallbackDecision.LOCAL


def test_a_build_that_is_not_found_is_no_missing_right() -> None:
    assert rule_of(Reason.NOT_FOUND).name == "not found in this project and region"
    assert rule_of(Reason.DENIED).name == "a permission or an API is missing"


def test_no_row_counts_tries_that_nobody_counted() -> None:
    """A row names what happened; how often is a number that the run observed."""
    claims = re.compile(r"twice|again|\d|after")

    assert [
        rule.name for rule in vars(fallback).values() if isinstance(rule, FallbackRule) and claims.search(rule.name)
    ] == []
