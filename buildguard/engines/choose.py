"""Which engine answers for a target: the ones asked for, or the first of `auto`'s order that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildguard.engines import PROOFS, Ready, Unavailable
from buildguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from buildguard.engines import Engine
    from buildguard.target import PythonVersion

NAMES = ("interpreter", "container", "cloud", "static")
AUTO = ("interpreter", "container", "static")
_NOT_YET = {"container": "the container engine", "cloud": "the cloud engine"}


class Choice(NamedTuple):
    """The engines that will answer, and those that could not, with the reason."""

    ready: list[tuple[Engine, Ready]]
    unavailable: list[Unavailable]


def parse(text: str) -> tuple[str, ...]:
    """The names in `--engine`; empty means `auto`. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names in ((), ("auto",)):
        return ()
    for name in names:
        if name not in NAMES:
            raise UsageError(f"there is no engine '{name}'", hint=f"engines: auto, {', '.join(NAMES)}")
    return names


def order_of(configured: Sequence[str]) -> tuple[str, ...]:
    """The order in which `auto` tries the engines: the configuration's, or ours. Raises UsageError."""
    return parse(",".join(configured)) or AUTO


class Chooser:
    """The engines of one target: each that was asked for, or the first of an order that is ready."""

    def __init__(
        self, asked: tuple[str, ...], order: tuple[str, ...], version: PythonVersion, root: Path, jobs: int
    ) -> None:
        self._asked = asked
        self._names = asked or order
        self._make: Callable[[str], Engine | None] = lambda name: _engine(name, version, root, jobs)
        self._made: dict[str, Engine | None] = {}

    def begin(self) -> None:
        """Let the first engine get ready."""
        engine = self._engine(self._names[0])
        if engine is not None:
            engine.begin()

    def choose(self) -> Choice:
        """Wait for the engines that will answer."""
        choice = Choice([], [])
        for name in self._names:
            engine = self._engine(name)
            if engine is None:
                # what `auto` would have liked to try is no news; what somebody asked for is
                if self._asked:
                    reason = f"{_NOT_YET[name]} is not part of this version of buildguard"
                    choice.unavailable.append(Unavailable(name, reason))
                continue
            answer = engine.prepare()
            if isinstance(answer, Unavailable):
                choice.unavailable.append(answer)
                continue
            choice.ready.append((engine, answer))
            if not self._asked:
                break
        return choice

    def close(self) -> None:
        """End every engine."""
        for engine in self._made.values():
            if engine is not None:
                engine.close()

    def _engine(self, name: str) -> Engine | None:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]


def enough(proof: str, wanted: str) -> bool:
    """Whether one grade of proof is at least another."""
    return PROOFS.index(proof) >= PROOFS.index(wanted)


def _engine(name: str, version: PythonVersion, root: Path, jobs: int) -> Engine | None:
    if name == "interpreter":
        from buildguard.engines.interpreter import InterpreterEngine

        return InterpreterEngine(version, root, jobs)
    if name == "static":
        from buildguard.engines.static import StaticEngine

        return StaticEngine(version)
    return None
