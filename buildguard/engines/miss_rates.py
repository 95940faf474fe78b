"""How many faulty programs a prediction lets pass: measured by `python -m bench.predictions`, in docs/trust.md. Data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from buildguard.definitions import NamedTuple


class MissRate(NamedTuple):
    """Of so many programs that a Python rejects, how many a prediction let pass."""

    missed: int
    rejected: int

    @property
    def words(self) -> str:
        """The rate, for people."""
        return f"predictions missed {self.missed} of {self.rejected:,} faulty programs"


# by minor version
MISS_RATES: Mapping[int, MissRate] = MappingProxyType(
    {
        8: MissRate(2, 7_899),
        9: MissRate(1, 7_898),
        10: MissRate(0, 7_901),
        11: MissRate(0, 7_901),
        12: MissRate(1, 7_866),
        13: MissRate(2, 7_863),
        14: MissRate(2, 7_864),
        15: MissRate(2, 7_852),
    }
)


def miss_rate(python: str) -> MissRate | None:
    """The rate of a target's version, None where it was not measured."""
    parts = python.split(".")
    return MISS_RATES.get(int(parts[1])) if len(parts) > 1 and parts[1].isdigit() else None
