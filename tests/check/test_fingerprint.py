"""Fingerprints stay while lines move, and tell equal lines apart."""

from __future__ import annotations

from buildguard.check.fingerprint import fingerprints
from tests.cli.render.records import finding


def test_a_line_that_moves_keeps_its_fingerprint() -> None:
    first, moved = fingerprints([finding(line=3)]), fingerprints([finding(line=30)])

    assert first == moved


def test_code_path_and_source_line_are_told_apart() -> None:
    changed = finding()._replace(excerpt="y = 2")
    marks = [fingerprints([each])[0] for each in (finding(), finding("b.py"), finding(code="BG105"), changed)]

    assert len(set(marks)) == 4


def test_one_more_of_an_equal_line_is_new() -> None:
    two = fingerprints([finding(line=1), finding(line=2)])
    three = fingerprints([finding(line=1), finding(line=2), finding(line=3)])

    assert three[:2] == two
    assert len(set(three)) == 3


def test_reindenting_does_not_change_a_fingerprint() -> None:
    assert fingerprints([finding()._replace(excerpt="    x = f(1")]) == fingerprints([finding()])
