"""A hypothesis: a possible cause with its verdict."""

from __future__ import annotations

from buildguard.definitions import NamedTuple

PROVEN, REFUTED, UNTESTED = "proven", "refuted", "untested"
PROOF = frozenset({"compiled", "image"})  # a prediction refutes nothing, and proves nothing by itself


class Hypothesis(NamedTuple):
    """A possible cause and its verdict; `reason` says why one was not tested."""

    id: str
    verdict: str
    evidence: tuple[str, ...] = ()
    reason: str = ""


def proven(*evidence: str) -> Hypothesis:
    """Evidence shows it."""
    return Hypothesis("", PROVEN, tuple(dict.fromkeys(evidence)))


def refuted(*evidence: str) -> Hypothesis:
    """Evidence excludes it."""
    return Hypothesis("", REFUTED, evidence)


def untested(reason: str, *evidence: str) -> Hypothesis:
    """Neither, and why."""
    return Hypothesis("", UNTESTED, tuple(dict.fromkeys(evidence)), reason)
