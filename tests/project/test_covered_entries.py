"""Which entries a target runs, found without asking every target about every path."""

from __future__ import annotations

import random

from buildguard.diagnostic import RelativePath
from buildguard.project import discovery
from buildguard.project.target import PythonVersion, Target
from buildguard.stages.stage import Entry, EntryKind


def test_the_entries_of_a_target_are_those_that_it_covers() -> None:
    rng = random.Random(7)
    folders = ("", "a", "a/b", "ab", "c", "c/d")
    paths = [f"{folder}/{name}".lstrip("/") for folder in (*folders, "e") for name in ("x.py", "b.py")]
    entries = [Entry(RelativePath(path.encode()), EntryKind.FILE) for path in paths]
    for _ in range(300):
        targets = [
            Target(
                PythonVersion(11),
                "--target",
                context=rng.choice((None, *folders)),
                without=tuple(rng.sample(folders[1:], rng.randint(0, 2))),
                reach=rng.choice((None, None, *folders)),
                ships=rng.choice((None, frozenset(rng.sample(paths, 4)))),
            )
            for _ in range(rng.randint(1, 6))
        ]
        for target in targets:
            covered = [entry for entry in entries if discovery.target_covers(target, targets, entry.path)]
            assert discovery.covered_entries(target, targets, entries) == covered
