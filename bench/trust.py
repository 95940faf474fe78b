"""`python -m bench.trust [SCALE] [FIGURE...]`: count how often the guard was wrong, and rewrite docs/trust.md.

A scale below 1 is a taste, and writes nothing. Where some figures are named (`faulty hashes`), the others keep their rows. It ends
with status 1 where anything was wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.trust.figures import FIGURES, table

if TYPE_CHECKING:
    from tests.trust.figures import Figure

_PAGE = Path(__file__).parents[1] / "docs/trust.md"


def main() -> None:
    """Count every figure, each in a process of its own."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    named = sys.argv[2:] or [one.__name__ for one in FIGURES]
    numbers = [number for number, one in enumerate(FIGURES) if one.__name__ in named]
    found = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for one, seconds in pool.map(_counted, numbers, [scale] * len(numbers)):
            found.append(one)
            words = f"{one.name:3} {one.tries:7,} {one.what}: {len(one.wrong)} ({one.bound}), {seconds:.0f} s"
            print(words, *one.wrong[:3], sep="\n  ", flush=True)
    if scale >= 1:
        _PAGE.write_text(table(found, _PAGE.read_text("utf-8")), "utf-8")
    sys.exit(1 if any(one.wrong for one in found) else 0)


def _counted(number: int, scale: float) -> tuple[Figure, float]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        return FIGURES[number](Path(folder), scale), time.monotonic() - started


if __name__ == "__main__":
    main()
