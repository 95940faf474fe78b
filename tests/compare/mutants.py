"""Archives with bits flipped, ends cut, pieces moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

CUT, COPY, DROP, FLIP = range(4)
# Where whole blocks come or go it may be another good archive; these may never lose a member in silence.
KEEPS_BLOCKS = frozenset({CUT, FLIP})


def mutated(data: bytes, rng: random.Random) -> tuple[int, bytes]:
    """One mutation, and what kind it is."""
    way, at = rng.randrange(4), rng.randrange(len(data))
    if way == CUT:
        return way, data[:at]
    if way == COPY:
        other = rng.randrange(len(data))
        return way, data[:at] + data[other : other + 512] + data[at + 512 :]
    if way == DROP:
        return way, data[:at] + data[at + rng.choice((1, 512, 1024)) :]
    return way, data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
