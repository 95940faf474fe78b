"""How much a verdict proves: nothing, a prediction, a compilation, or one by the interpreter of the image itself."""

from __future__ import annotations

from buildguard.definitions import StrEnum


class ProofGrade(StrEnum):
    """The grades of proof, the weakest first."""

    NONE = "none"
    PREDICTED = "predicted"
    COMPILED = "compiled"
    IMAGE = "image"

    @property
    def rank(self) -> int:
        """Its place among the grades: a higher one proves more."""
        return list(ProofGrade).index(self)

    def is_enough(self, wanted: ProofGrade) -> bool:
        """Whether this grade is at least another."""
        return self.rank >= wanted.rank
