"""`python -m bench.predictions`: hold predictions against every real Python, and rewrite their part of docs/trust.md.

The real 3.14 and 3.15 run in WebAssembly: `BUILDGUARD_ALL=1` installs them with npm. It prints the table for
`buildguard/engines/miss_rates.py`, which a test compares with the page.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.trust.predictions import REAL, PredictionCount, count, mutants, suites
from tests.wasm import RELEASES

_PAGE = Path(__file__).parents[1] / "docs/trust.md"
BEGIN, END = "<!-- predictions -->\n", "<!-- end of predictions -->\n"
_SEED = 20261129


def main() -> None:
    """Count for every version, print what is wrong, and write the section."""
    own, changed = suites(), list(dict.fromkeys(mutants(_SEED)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for version in (*REAL, *RELEASES):
            counts = [count(version, sources, Path(folder)) for sources in (own, changed)]
            rows.append(counts)
            for each in counts:
                print(version, each.rejected, each.accepted, *each.missed, *each.false_alarms, sep="\n  ", flush=True)
    page = _PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    _PAGE.write_text(before + BEGIN + _section(rows, len(own), len(changed)) + END + after, "utf-8")
    for first, second in rows:
        missed, rejected = len(first.missed) + len(second.missed), first.rejected + second.rejected
        print(f"        {first.version.partition('.')[2]}: MissRate({missed}, {rejected}),")


def _section(rows: Sequence[Sequence[PredictionCount]], own: int, changed: int) -> str:
    lines = [
        "## How often a prediction is wrong",
        "",
        f"Where nothing here can compile for a target, ruff and the Python that runs buildguard predict. `python -m bench.predictions` judges {own:,} snippets",
        "(every string and example of the test suites that CPython 3.8 to 3.13 bring) and",
        f"{changed:,} programs made of them by changing one or two tokens, holds each prediction against the real Python, and writes this section. A *miss* is",
        "a program that the Python rejects and the prediction lets pass; a *false alarm* is the opposite. 3.14 and 3.15 are the real ones in WebAssembly",
        f"({', '.join(f'pyodide {release}' for release in RELEASES.values())}). Rules were added for misses among the snippets and an earlier draw of changed programs; this draw came after the last rule.",
        "",
        f"Counted on: CPython {platform.python_version()}, {sys.platform}.",
        "",
        "| Python | snippets: missed of rejected | false alarms of accepted | changed programs: missed of rejected | false alarms of accepted |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {counts[0].version} | {' | '.join(_cells(each) for each in counts)} |" for counts in rows]
    return "\n".join([*lines, "", ""])


def _cells(each: PredictionCount) -> str:
    return f"{len(each.missed)} of {each.rejected:,} | {len(each.false_alarms)} of {each.accepted:,}"


if __name__ == "__main__":
    main()
