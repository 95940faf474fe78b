"""`python -m bench.damage`: thousands of random injections, mutated archives and hundreds of clean chains.

Writes docs/damage.md. A damage that comes back as identical, or a clean chain that raises an alarm, ends it with status 1
and prints its seed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from buildguard.archives import source
from buildguard.errors import UnprovenError
from tests.custody import chains, chance, damage, mutants

_PROJECT = Path(__file__).parents[1]
_BATCH = 50


def main() -> None:
    """Inject, mutate, chain, count, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.damage", description=__doc__)
    parser.add_argument("--injections", type=int, default=10_000)
    parser.add_argument("--mutants", type=int, default=30_000)
    parser.add_argument("--chains", type=int, default=500)
    options = parser.parse_args()
    jobs = [
        *((_injections, start) for start in range(0, options.injections, _BATCH)),
        *((_mutants, start) for start in range(0, options.mutants, 20 * _BATCH)),
        *((_chains, start) for start in range(0, options.chains, _BATCH)),
    ]
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for counted, lines in pool.map(_run, jobs):
            counts.update(counted)
            wrong += lines
    for line in wrong:
        print(line, file=sys.stderr)
    _write(counts)
    sys.exit(1 if wrong else 0)


def _run(job: tuple[object, int]) -> tuple[Counter[str], list[str]]:
    what, start = job
    with tempfile.TemporaryDirectory() as folder:
        return what(Path(folder), start)  # type: ignore[no-any-return,operator]


def _injections(folder: Path, start: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    wrong = []
    for seed in range(start, start + _BATCH):
        name, was_seen = chance.injection(folder, seed)
        counts[f"injected: {name}"] += 1
        counts["injections"] += 1
        if not was_seen:
            counts["injections that came back as identical"] += 1
            wrong.append(f"injection {seed}: {name} was not seen")
    return counts, wrong


def _mutants(folder: Path, start: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    wrong = []
    repo = folder / "repo"
    damage.repository(repo)
    kind = ("tar", "tgz", "zip")[start // (20 * _BATCH) % 3]
    damage.stage_of(kind, repo, repo, "made")
    file = repo / "stages" / f"made.{kind}"
    data, whole = file.read_bytes(), source.read(file)
    rng = random.Random(start)
    for number in range(20 * _BATCH):
        way, mutant = mutants.mutated(data, rng)
        if mutant == data:
            continue
        counts["mutated archives"] += 1
        file.write_bytes(mutant)
        try:
            found = source.read(file)
        except UnprovenError:
            counts["mutated archives refused"] += 1
            continue
        if way in mutants.KEEPS_BLOCKS and len(found.manifest.entries) != len(whole.manifest.entries):
            counts["mutated archives that lost members in silence"] += 1
            wrong.append(f"mutant {start}/{number} of a {kind} lost members")
    return counts, wrong


def _chains(folder: Path, start: int) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    wrong = []
    for seed in range(start, start + _BATCH):
        found = chains.chain(folder / str(seed), seed)
        counts["clean chains"] += 1
        if found.exit_code:
            counts["clean chains that raised an alarm"] += 1
            wrong.append(f"chain {seed}: exit {found.exit_code}")
    return counts, wrong


def _write(counts: Counter[str]) -> None:
    names = [
        "injections",
        "injections that came back as identical",
        "mutated archives",
        "mutated archives refused",
        "mutated archives that lost members in silence",
        "clean chains",
        "clean chains that raised an alarm",
    ]
    rows = "\n".join(f"| {name} | {counts[name]:,} |" for name in names)
    ways = ", ".join(
        f"{name.removeprefix('injected: ')} {number:,}" for name, number in sorted(counts.items()) if ":" in name
    )
    text = (
        "# Random damage\n\n`python -m bench.damage` draws trees, damages copies of them (each injection is proven to have"
        " happened by an oracle\nof its own), mutates archives bit by bit and block by block, and walks clean chains: commit,"
        " index, working tree,\narchive, unpacked archive, manifest, under `core.autocrlf`, `text`, `eol`, `ident` and export"
        " attributes, three umasks,\nthree locales and odd names.\n\n"
        f"| what | how many |\n|---|---|\n{rows}\n\nThe injections: {ways}.\n"
    )
    (_PROJECT / "docs" / "damage.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
