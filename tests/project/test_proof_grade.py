"""Grades of proof have an order, and the names that the command line and its answers use."""

from __future__ import annotations

from buildguard.project.proof_grade import ProofGrade


def test_each_grade_is_enough_for_itself_and_what_is_weaker() -> None:
    grades = [ProofGrade(name) for name in ("none", "predicted", "compiled", "image")]

    assert [[have.is_enough(want) for want in grades] for have in grades] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_the_strongest_of_several_is_found_by_rank() -> None:
    assert max([ProofGrade.COMPILED, ProofGrade.IMAGE, ProofGrade.NONE], key=lambda grade: grade.rank) == "image"
