"""What changed between two cycles: tests, and what was deployed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from buildguard.cycles.record import CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count, shorten_digests
from buildguard.system.git_between import CommitRange


class CaseChanges(NamedTuple):
    """Tests by what became of them; `flaky` are those with several outcomes of one commit, or that passed when tried again.

    `skipped` ran before and are skipped now.
    """

    newly_failing: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The kinds of which there are any, with their numbers."""
        words = [f"{len(names)} {name.replace('_', ' ')}" for name, names in self._asdict().items() if names]
        return ", ".join(words) or "no test changed"


class DeployChanges(NamedTuple):
    """What was deployed otherwise: commits and paths between, names of settings and variables, image and base images."""

    commits: CommitRange = CommitRange()
    settings: tuple[str, ...] = ()
    variables_added: tuple[str, ...] = ()
    variables_removed: tuple[str, ...] = ()
    image: tuple[str, str] | None = None
    bases: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each difference in a sentence."""
        paths = len(self.commits.paths) + self.commits.more_paths
        rows = (
            (bool(self.commits.gap), f"the commits between are unknown: {self.commits.gap}"),
            (
                bool(self.commits.commits),
                f"{count(len(self.commits.commits), 'commit')}, {count(paths, 'file')} changed",
            ),
            (bool(self.settings), f"settings changed: {', '.join(self.settings)}"),
            (bool(self.variables_added), f"variables added: {', '.join(self.variables_added)}"),
            (bool(self.variables_removed), f"variables removed: {', '.join(self.variables_removed)}"),
            (
                self.bases is not None,
                f"base images: {' → '.join(', '.join(names) or 'none' for names in self.bases or ())}",
            ),
            (self.image is not None, f"image: {' → '.join(name or 'none' for name in self.image or ())}"),
        )
        return tuple(shorten_digests(words) for holds, words in rows if holds)


class CycleChanges(NamedTuple):
    """What changed since one earlier cycle; `cases` is None where one of both has no tests."""

    since: CycleRecord
    cases: CaseChanges | None
    deploy: DeployChanges

    def as_json(self) -> dict[str, Any]:
        """It for programs."""
        return {
            "since": self.since.id,
            "number": self.since.number,
            "tests": self.cases._asdict() if self.cases is not None else None,
            "deploy": {**self.deploy._asdict(), "commits": self.deploy.commits._asdict()},
        }


def compare_cases(before: CycleRecord, now: CycleRecord) -> CaseChanges:
    """How the tests of a cycle differ from those of an earlier one."""
    old, new = _Outcomes.of(before), _Outcomes.of(now)
    ended = new.good | new.bad
    turned = (old.bad ^ new.bad) & old.all & ended if before.commit == now.commit else set()
    known = before.is_listed and now.is_listed
    return CaseChanges(
        _sorted(new.bad - old.bad),
        _sorted(old.bad & new.good),
        _sorted(new.bad & old.bad),
        _sorted(turned | find_retried(now)),
        _sorted({*(old.all - new.all if known else ()), *now.missing}),
        _sorted(new.all - old.all if known else ()),
        _sorted((old.good & new.all) - ended),
    )


class _Outcomes(NamedTuple):
    """The tests of a cycle, those that passed, and those that failed; the others were skipped."""

    all: frozenset[str]
    good: frozenset[str]
    bad: frozenset[str]

    @classmethod
    def of(cls, cycle: CycleRecord) -> _Outcomes:
        """The last outcome of each test of a cycle."""
        results = cycle.last_results
        good = frozenset(identity for identity, case in results.items() if case.outcome.is_good)
        bad = frozenset(identity for identity, case in results.items() if case.outcome.is_bad)
        return cls(frozenset(results), good, bad)


def find_retried(cycle: CycleRecord) -> set[str]:
    """The tests of a cycle that passed only when they were tried again."""
    return {case.id for case in cycle.cases if case.attempt > 1 and case.outcome.is_good and _is_retry(case.id, cycle)}


def _is_retry(identity: str, cycle: CycleRecord) -> bool:
    """Whether the runs of a test had several outcomes; one that a plugin ran again is listed once."""
    outcomes = {case.outcome.is_bad for case in cycle.cases if case.id == identity}
    return len(outcomes) > 1 or sum(case.id == identity for case in cycle.cases) == 1


def compare_deploys(before: CycleRecord, now: CycleRecord, commits: CommitRange) -> DeployChanges:
    """How what was deployed differs; what is unknown of one of both is no difference."""
    old, new = before.facts, now.facts
    bases = old.bases != new.bases and bool(old.bases or new.bases)
    image = old.image != new.image and bool(old.image and new.image)
    return DeployChanges(
        commits,
        _changed_keys(old.settings, new.settings),
        _sorted({*new.variables} - {*old.variables}) if old.variables else (),
        _sorted({*old.variables} - {*new.variables}) if new.variables else (),
        (old.image, new.image) if image else None,
        (old.bases, new.bases) if bases else None,
    )


def _changed_keys(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
