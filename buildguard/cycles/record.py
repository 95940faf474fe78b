"""The record of a cycle: one deploy with its tests, as it is written and compared with others. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from buildguard.cycles import case_results
from buildguard.cycles.case_results import CaseOutcome, CaseResult, Counts, count_cases
from buildguard.cycles.test_results import VerifyResult
from buildguard.definitions import NamedTuple
from buildguard.diagnose.redact import redact
from buildguard.project.ledger import ServiceId, StepVerdict

SCHEMA = 1


class CycleStep(NamedTuple):
    """A step of a cycle: its id and verdict, for how long, and what came of it."""

    id: str
    verdict: str
    seconds: float
    words: str


class CycleCommand(NamedTuple):
    """A verify command of a cycle; `listed` is set where all of its tests are known by name.

    `unexplained` says that no failure of a test explains how it ended.
    """

    run: str
    gate: float
    verdict: str
    why: str
    passed: int
    ran: int
    skipped: int
    seconds: float
    listed: bool
    output: str = ""
    unexplained: bool = False

    def as_json(self) -> dict[str, Any]:
        """It as it is written; what `unexplained` decides, it decides while the cycle ends."""
        return {name: value for name, value in self._asdict().items() if name != "unexplained"}


class CycleFacts(NamedTuple):
    """What a cycle deployed: its image and its base images, its settings (each with a digest), and names of variables."""

    image: str = ""
    bases: tuple[str, ...] = ()
    settings: Mapping[str, str] = MappingProxyType({})
    variables: tuple[str, ...] = ()


class CycleRecord(NamedTuple):
    """One cycle. `id` is the run of the ledger; `number` counts the cycles of the service, from 1.

    `exit_code` is the one of the deploy. `missing` are tests that vanished and that no person has accepted yet. `diagnosis` is
    what the cycle found out about its failure, as JSON.
    """

    id: str
    number: int
    at: str
    service: ServiceId
    commit: str
    exit_code: int
    steps: tuple[CycleStep, ...] = ()
    commands: tuple[CycleCommand, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: CycleFacts = CycleFacts()
    diagnosis: Mapping[str, Any] = MappingProxyType({})
    revision: str = ""

    @property
    def is_green(self) -> bool:
        """Whether everything was proven."""
        return self.exit_code == 0

    @property
    def counts(self) -> Counts:
        """How many tests of each kind: by name where all are known, else by the numbers of the commands."""
        if self.cases and all(command.listed for command in self.commands if command.ran):
            return count_cases(self.last_results.values())
        passed, ran = sum(command.passed for command in self.commands), sum(command.ran for command in self.commands)
        return Counts(passed, ran - passed, 0, sum(command.skipped for command in self.commands))

    @property
    def last_results(self) -> dict[str, CaseResult]:
        """Each test once: a failure in any of its runs counts, else its last run."""
        results: dict[str, CaseResult] = {}
        for case in self.cases:
            known = results.get(case.id)
            if known is None or not known.outcome.is_bad:
                results[case.id] = case
        return results

    @property
    def has_tests(self) -> bool:
        """Whether any test left a result."""
        return any(command.ran or command.skipped for command in self.commands)

    @property
    def is_listed(self) -> bool:
        """Whether every test is known by name."""
        return self.has_tests and all(command.listed for command in self.commands if command.ran or command.skipped)

    def as_json(self) -> dict[str, Any]:
        """It as it is written: secrets masked."""
        value = {
            "schema": SCHEMA,
            **self._asdict(),
            "service": self.service._asdict(),
            "steps": [step._asdict() for step in self.steps],
            "commands": [command.as_json() for command in self.commands],
            "cases": [case.as_json() for case in self.cases],
            "facts": {**self.facts._asdict(), "settings": dict(self.facts.settings)},
            "diagnosis": dict(self.diagnosis),
        }
        masked: dict[str, Any] = json.loads(_dump(value))
        return masked


def _dump(value: Any) -> str:
    return json.dumps(_masked(value), ensure_ascii=True)


def _masked(value: Any) -> Any:
    """A value with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_masked(inner) for inner in value]
    return value


def write(record: CycleRecord) -> bytes:
    """A record as bytes."""
    return (json.dumps(record.as_json(), indent=1) + "\n").encode("ascii")


def parse(data: bytes) -> CycleRecord | None:
    """A record out of bytes; None for what is none."""
    try:
        value = json.loads(data)
        return _parse(value) if value["schema"] == SCHEMA else None
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError):
        return None


_STEP = {"id": str, "verdict": str, "seconds": float, "words": str}
_COMMAND = {
    "run": str,
    "gate": float,
    "verdict": str,
    "why": str,
    "passed": int,
    "ran": int,
    "skipped": int,
    "seconds": float,
    "listed": bool,
    "output": str,
}


def _typed(value: dict[str, Any], kinds: Mapping[str, type]) -> list[Any]:
    """The fields of a record in their order, each of its type."""
    return [kind(value[name]) for name, kind in kinds.items()]


def _parse(value: dict[str, Any]) -> CycleRecord:
    facts = value["facts"]
    return CycleRecord(
        str(value["id"]),
        int(value["number"]),
        str(value["at"]),
        ServiceId(**{name: str(value["service"][name]) for name in ServiceId._fields}),
        str(value["commit"]),
        int(value["exit_code"]),
        tuple(CycleStep(*_typed(step, _STEP)) for step in value["steps"]),
        tuple(CycleCommand(*_typed(command, _COMMAND)) for command in value["commands"]),
        tuple(case_results.from_json(case) for case in value["cases"]),
        tuple(map(str, value["missing"])),
        tuple(map(str, value["notes"])),
        CycleFacts(
            str(facts["image"]),
            tuple(map(str, facts["bases"])),
            {str(key): str(digest) for key, digest in facts["settings"].items()},
            tuple(map(str, facts["variables"])),
        ),
        dict(value["diagnosis"]),
        str(value["revision"]),
    )


def commands_of(results: Iterable[VerifyResult]) -> tuple[CycleCommand, ...]:
    """The commands of a cycle, out of their results; the output is kept of those that did not succeed."""
    return tuple(
        CycleCommand(
            result.command,
            result.gate,
            result.verdict,
            result.why,
            result.passed or 0,
            result.ran or 0,
            result.skipped,
            result.seconds,
            result.listed,
            "" if result.verdict == StepVerdict.OK else result.output[-_MOST_OUTPUT:],
            result.unexplained,
        )
        for result in results
    )


_MOST_OUTPUT = 20_000


class CycleHistory(NamedTuple):
    """The cycles of a service before this one, the oldest first."""

    cycles: tuple[CycleRecord, ...] = ()

    @property
    def last(self) -> CycleRecord | None:
        """The last one."""
        return self.cycles[-1] if self.cycles else None

    @property
    def last_tested(self) -> CycleRecord | None:
        """The last one in which tests ran."""
        return next((cycle for cycle in reversed(self.cycles) if cycle.has_tests), None)

    @property
    def last_green(self) -> CycleRecord | None:
        """The last one in which everything was proven, and tests ran."""
        return next((cycle for cycle in reversed(self.cycles) if cycle.is_green and cycle.has_tests), None)

    @property
    def next_number(self) -> int:
        """The number of the cycle after them."""
        return max((cycle.number for cycle in self.cycles), default=0) + 1

    def durations(self, most: int) -> dict[str, list[float]]:
        """How long each test took in the last cycles in which it passed, the newest first."""
        durations: dict[str, list[float]] = {}
        for cycle in reversed(self.cycles):
            for case in cycle.last_results.values():
                if case.outcome is CaseOutcome.PASSED and case.seconds is not None:
                    durations.setdefault(case.id, []).append(case.seconds)
        return {identity: seconds[:most] for identity, seconds in durations.items()}


def merge(*several: Sequence[CycleRecord]) -> CycleHistory:
    """Records of several places, each once, the oldest first."""
    known = {record.id: record for records in several for record in records}
    return CycleHistory(tuple(sorted(known.values(), key=lambda record: (record.at, record.number, record.id))))
