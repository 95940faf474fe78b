"""The state of a loop on disk, so that one that was ended goes on where it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from buildguard.cycles.frozen_tests import FrozenTests
from buildguard.cycles.store import write_private
from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.loop.frozen import FrozenRules
from buildguard.system.state_files import read_state

_NAME = "loop.json"
_SCHEMA = 1
_UNREADABLE = (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)


class LoopState(NamedTuple):
    """What is frozen, how many cycles there were, when the first one began, and the commit of the last one."""

    frozen: FrozenRules
    cycles: int
    began: str
    commit: str = ""

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.began)).total_seconds()


def new_state(rules: dict[str, str]) -> LoopState:
    """A loop that begins now, with these rules."""
    return LoopState(FrozenRules(rules, {}), 0, datetime.now(UTC).isoformat(timespec="seconds"))


class StateFile:
    """The file of a loop, beside the ledger; `what` names the services that it is about."""

    def __init__(self, ledger: Path, what: str) -> None:
        self._file = ledger.parent / _NAME
        self._what = what

    def read(self) -> LoopState | None:
        """The state of a loop over the same services that did not come to its end; None without one."""
        try:
            value = json.loads(read_state(self._file))
            return _parse(value) if value["schema"] == _SCHEMA and value["what"] == self._what else None
        except FileNotFoundError:
            return None
        except _UNREADABLE as error:
            raise UnprovenError(
                f"{self._file} cannot be read, and holds what the last loop froze", hint="buildguard loop --restart"
            ) from error

    def write(self, state: LoopState) -> None:
        """Keep it."""
        value = {"schema": _SCHEMA, "what": self._what, **state._asdict(), "frozen": _as_json(state.frozen)}
        write_private(self._file, (json.dumps(value, indent=1) + "\n").encode())

    def remove(self) -> None:
        """Forget it: the loop came to its end, or begins again."""
        self._file.unlink(missing_ok=True)


def _as_json(frozen: FrozenRules) -> dict[str, Any]:
    return {"rules": dict(frozen.rules), "tests": {name: tests._asdict() for name, tests in frozen.tests.items()}}


def _parse(value: dict[str, Any]) -> LoopState:
    frozen = value["frozen"]
    tests = {
        str(name): FrozenTests(tuple(map(str, kinds["ran"])), tuple(map(str, kinds["skipped"])))
        for name, kinds in frozen["tests"].items()
    }
    rules = {str(name): str(digest) for name, digest in frozen["rules"].items()}
    began = str(value["began"])
    if datetime.fromisoformat(began).tzinfo is None:
        raise ValueError(began)
    return LoopState(FrozenRules(rules, tests), int(value["cycles"]), began, str(value["commit"]))
