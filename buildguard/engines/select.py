"""Which engine answers for a target: the ones asked for, or the first of `auto`'s order that can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from buildguard.engines.engine import PROOFS, Engine, ReadyEngine, UnavailableEngine
from buildguard.errors import UsageError
from buildguard.project.config import PLATFORM
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from buildguard.engines.cloud import CloudSession

NAMES = ("interpreter", "container", "cloud", "static")
AUTO = ("interpreter", "container", "static")


class EngineSettings(NamedTuple):
    """What the engines of one target are made from.

    `version` is None where only its image can tell it; `root` is the folder under check, from which nothing is run;
    `image` is the reference that the container engine asks, and `proof` what its verdicts are worth. `tell` hears of
    an image that is being pulled; None where nothing may be. `cloud` is the one build for all targets of a run.
    """

    version: PythonVersion | None
    root: Path
    jobs: int
    cache: Cache
    image: str = ""
    platform: str = PLATFORM
    proof: str = "compiled"
    tell: Callable[[str], None] | None = None
    cloud: CloudSession | None = None


class EngineChoice(NamedTuple):
    """The engines that will answer, and those that could not, with the reason."""

    ready: list[tuple[Engine, ReadyEngine]]
    unavailable: list[UnavailableEngine]


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


class EngineChooser:
    """The engines of one target: each that was asked for, or the first of an order that is ready."""

    def __init__(self, asked: tuple[str, ...], order: tuple[str, ...], setting: EngineSettings) -> None:
        self._requested = asked
        self._names = asked or order
        self._setting = setting
        self._made: dict[str, Engine | None] = {}

    def begin(self) -> None:
        """Let the first engine get ready."""
        engine = self._engine(self._names[0])
        if engine is not None:
            engine.begin()

    def choose(self) -> EngineChoice:
        """Wait for the engines that will answer."""
        choice = EngineChoice([], [])
        for name in self._names:
            engine = self._engine(name)
            if engine is None:
                # what `auto` would have liked to try is no news; what somebody asked for is
                if self._requested:
                    choice.unavailable.append(UnavailableEngine(name, _why_none(name)))
                continue
            answer = engine.prepare()
            if isinstance(answer, UnavailableEngine):
                choice.unavailable.append(answer)
                continue
            choice.ready.append((engine, answer))
            if not self._requested:
                break
        return choice

    def close(self) -> None:
        """End every engine."""
        for engine in self._made.values():
            if engine is not None:
                engine.close()

    def _engine(self, name: str) -> Engine | None:
        if name not in self._made:
            self._made[name] = _engine(name, self._setting)
        return self._made[name]


def _why_none(name: str) -> str:
    needed = "an image" if name in {"container", "cloud"} else "a version"
    return f"the {name} engine needs {needed}, and nothing here names one"


def is_enough(proof: str, wanted: str) -> bool:
    """Whether one grade of proof is at least another."""
    return PROOFS.index(proof) >= PROOFS.index(wanted)


def _engine(name: str, setting: EngineSettings) -> Engine | None:
    """An engine by its name; None where it has nothing to ask."""
    if name == "container" and setting.image:
        from buildguard.engines.container import ContainerEngine, ImageRequest

        wanted = ImageRequest(setting.image, setting.platform, setting.proof, setting.tell)
        return ContainerEngine(wanted, setting.jobs, setting.cache)
    if name == "cloud" and setting.image and setting.cloud is not None:
        from buildguard.engines.cloud import CloudEngine

        return CloudEngine(setting.cloud, setting.image, setting.proof)
    if setting.version is None:
        return None
    if name == "interpreter":
        from buildguard.engines.interpreter import InterpreterEngine

        return InterpreterEngine(setting.version, setting.root, setting.jobs)
    if name == "static":
        from buildguard.engines.static import StaticEngine

        return StaticEngine(setting.version)
    return None
