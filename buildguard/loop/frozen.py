"""What a loop must not change while it runs: verify commands with their gates, known failures, and the set of tests. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from buildguard.cycles.frozen_tests import FrozenTests, freeze
from buildguard.cycles.record import CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.project.config import Config
from buildguard.project.ledger import StepVerdict


class FrozenRules(NamedTuple):
    """Rules by what they are (`backend: verify`) with a digest, and tests by service."""

    rules: Mapping[str, str]
    tests: Mapping[str, FrozenTests]


def rules_of(config: Config) -> dict[str, str]:
    """What decides whether a cycle is green, by name with a digest."""
    rules = {}
    for table in config.deploys or (config.deploy,):
        name = table.name or table.service
        for key, value in (
            ("verify", table.verify),
            ("verify-after", table.verify_after),
            ("known-failures", table.known_failures),
            ("no-regressions", table.no_regressions),
        ):
            rules[f"{name}: {key}" if name else key] = hashlib.sha256(repr(value).encode()).hexdigest()
    return rules


def changed_rules(frozen: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the rules that differ."""
    return sorted(name for name in {*frozen, *now} if frozen.get(name) != now.get(name))


def tests_of(cycle: CycleRecord) -> FrozenTests | None:
    """The tests of a cycle; None where not every command ran to its end, or some are unknown by name."""
    whole = all(command.verdict != StepVerdict.UNPROVEN and not command.unexplained for command in cycle.commands)
    return freeze(cycle.cases) if cycle.is_listed and whole else None
