"""Which engine answers for a target: the ones asked for, or the first of `auto`'s order that can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.engines.engine import Engine, EngineName, ReadyEngine, UnavailableEngine
from buildguard.errors import UsageError, did_you_mean
from buildguard.project.config import Config
from buildguard.project.deploy_table import PLATFORM
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from typing import Never

    from buildguard.engines.cloud import CloudSession

AUTO = (EngineName.INTERPRETER, EngineName.CONTAINER, EngineName.STATIC)


class EngineSettings(NamedTuple):
    """What the engines of one target are made from.

    `version` is None where only its image can tell it; `root` is the folder under check, from which nothing is run;
    `image` is the reference that the container engine asks, and `proof` what its verdicts are worth. `tell` hears of
    an image that is being pulled; None where nothing may be. `cloud` is the one build for all targets of a run. With
    `fetch_python` a missing interpreter is installed.
    """

    version: PythonVersion | None
    root: Path
    jobs: int
    cache: Cache
    image: str = ""
    platform: str = PLATFORM
    proof: ProofGrade = ProofGrade.COMPILED
    tell: Callable[[str], None] | None = None
    cloud: CloudSession | None = None
    fetch_python: bool = False


class EngineChoice(NamedTuple):
    """The engines that will answer, and those that could not, with the reason."""

    ready: tuple[tuple[Engine, ReadyEngine], ...]
    unavailable: tuple[UnavailableEngine, ...]


def parse(text: str) -> tuple[EngineName, ...]:
    """The names in `--engine`; empty means `auto`. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names in ((), ("auto",)):
        return ()
    return tuple(map(_engine_name, names))


def _engine_name(text: str) -> EngineName:
    try:
        return EngineName(text)
    except ValueError as error:
        hint = f"{did_you_mean(text, ['auto', *EngineName])} engines: auto, {', '.join(EngineName)}".lstrip()
        raise UsageError(f"unknown engine '{text}'", hint=hint) from error


def order_of(config: Config) -> tuple[EngineName, ...]:
    """The order in which `auto` tries the engines: the configuration's, or ours. Raises UsageError with the file and the key."""
    try:
        return parse(",".join(config.engine)) or AUTO
    except UsageError as error:
        raise UsageError(f"{config.file}: engine: {error.what}", hint=error.hint) from error


class EngineChooser:
    """The engines of one target: each that was asked for, or the first of an order that is ready."""

    def __init__(
        self, requested: tuple[EngineName, ...], order: tuple[EngineName, ...], setting: EngineSettings
    ) -> None:
        self._requested = requested
        self._names = requested or order
        self._setting = setting
        self._engines: dict[EngineName, Engine | None] = {}
        self._choice: EngineChoice | None = None

    def begin(self) -> None:
        """Let the first engine get ready."""
        engine = self._engine(self._names[0])
        if engine is not None:
            engine.begin()

    def choose(self) -> EngineChoice:
        """Wait for the engines that will answer; the same ones each time."""
        if self._choice is None:
            self._choice = self._prepared()
        return self._choice

    def _prepared(self) -> EngineChoice:
        ready: list[tuple[Engine, ReadyEngine]] = []
        unavailable: list[UnavailableEngine] = []
        for name in self._names:
            engine = self._engine(name)
            answer = engine.prepare() if engine is not None else UnavailableEngine(name, _why_none(name))
            if engine is not None and isinstance(answer, ReadyEngine):
                ready.append((engine, answer))
                if not self._requested:
                    break
            # an engine that `auto` cannot use is no news; one that was requested is
            elif isinstance(answer, UnavailableEngine) and (engine is not None or self._requested):
                unavailable.append(answer)
        return EngineChoice(tuple(ready), tuple(unavailable))

    def close(self) -> None:
        """End every engine."""
        for engine in self._engines.values():
            if engine is not None:
                engine.close()

    def _engine(self, name: EngineName) -> Engine | None:
        if name not in self._engines:
            self._engines[name] = create_engine(name, self._setting)
        return self._engines[name]


def _why_none(name: EngineName) -> str:
    needed = "an image" if name in {EngineName.CONTAINER, EngineName.CLOUD} else "a version"
    return f"the {name} engine needs {needed}, and none is configured"


def create_engine(name: EngineName, setting: EngineSettings) -> Engine | None:
    """An engine by its name; None where it has nothing to ask."""
    match name:
        case EngineName.CONTAINER:
            return _container_engine(setting) if setting.image else None
        case EngineName.CLOUD:
            return _cloud_engine(setting, setting.cloud) if setting.image and setting.cloud is not None else None
        case EngineName.INTERPRETER:
            return _interpreter_engine(setting, setting.version) if setting.version is not None else None
        case EngineName.STATIC:
            return _static_engine(setting.version) if setting.version is not None else None
    unknown: Never = name
    raise AssertionError(unknown)


def _container_engine(setting: EngineSettings) -> Engine:
    from buildguard.engines.container import ContainerEngine, ImageRequest

    wanted = ImageRequest(setting.image, setting.platform, setting.proof, setting.tell)
    return ContainerEngine(wanted, setting.jobs, setting.cache)


def _cloud_engine(setting: EngineSettings, session: CloudSession) -> Engine:
    from buildguard.engines.cloud import CloudEngine

    return CloudEngine(session, setting.image, setting.proof)


def _interpreter_engine(setting: EngineSettings, version: PythonVersion) -> Engine:
    from buildguard.engines.interpreter import InterpreterEngine

    engine = InterpreterEngine(version, setting.root, setting.jobs, fetch=setting.fetch_python)
    engine.keep_programs_in(setting.cache)
    return engine


def _static_engine(version: PythonVersion) -> Engine:
    from buildguard.engines.static import StaticEngine

    return StaticEngine(version)
