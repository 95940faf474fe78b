"""Which engine answers: those asked for, or the first of an order that is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.engines import select
from buildguard.engines.cloud import CloudEngine
from buildguard.engines.container import ContainerEngine
from buildguard.engines.engine import EngineName, ReadyEngine, UnavailableEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.engines.select import EngineChooser, EngineSettings, create_engine, order_of, parse
from buildguard.engines.static import StaticEngine
from buildguard.errors import UsageError
from buildguard.project.config import Config
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from buildguard.engines.cloud import CloudAnswer
    from buildguard.engines.engine import Engine, Outcome, Source

_VERSION = PythonVersion.parse("3.11")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("auto", ()),
        (" , ", ()),
        ("static", ("static",)),
        (" cloud , container", ("cloud", "container")),
    ],
)
def test_names_are_read_as_they_are_written(text: str, names: tuple[str, ...]) -> None:
    assert parse(text) == names


@pytest.mark.parametrize("text", ["docker", "auto,static", "Static"])
def test_an_unknown_name_lists_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)

    assert "auto, interpreter, container, cloud, static" in caught.value.hint


def test_the_order_is_the_configurations_or_ours() -> None:
    assert order_of(Config()) == order_of(Config(engine=("auto",))) == ("interpreter", "container", "static")
    assert order_of(Config(engine=("static", "cloud"))) == ("static", "cloud")


def test_an_unknown_name_of_the_configuration_names_its_file_and_key() -> None:
    with pytest.raises(UsageError, match=r"^pyproject\.toml: engine: unknown engine 'interpretr'$") as caught:
        order_of(Config("pyproject.toml", engine=("interpretr",)))

    assert caught.value.hint.startswith("did you mean 'interpreter'?")


class _Engine:
    def __init__(self, name: EngineName, *, ready: bool) -> None:
        self.name = name
        self.ready = ready
        self.calls: list[str] = []

    def begin(self) -> None:
        self.calls.append("begin")

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        self.calls.append("prepare")
        if self.ready:
            return ReadyEngine(self.name, ProofGrade.COMPILED, "CPython 3.11.9", "3.11.9", "id")
        return UnavailableEngine(self.name, "not here")

    def compile(self, _sources: Iterable[Source]) -> Iterator[Outcome]:
        return iter(())

    def close(self) -> None:
        self.calls.append("close")


class _Session:
    def answer(self, image: str) -> CloudAnswer:
        raise AssertionError(image)


def _setting(root: Path, version: PythonVersion | None = _VERSION, image: str = "") -> EngineSettings:
    return EngineSettings(version, root, 1, Cache(None), image=image, cloud=_Session() if image else None)


def _names(texts: tuple[str, ...]) -> tuple[EngineName, ...]:
    return tuple(map(EngineName, texts))


def _chooser(
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
    requested: tuple[str, ...],
    order: tuple[str, ...],
    **ready: bool | None,
) -> tuple[EngineChooser, dict[str, _Engine]]:
    """A chooser among engines that are ready or not; None for one that has nothing to ask."""
    engines = {name: _Engine(EngineName(name), ready=able) for name, able in ready.items() if able is not None}
    monkeypatch.setattr(select, "create_engine", lambda name, _setting: engines.get(name))
    return EngineChooser(_names(requested), _names(order), _setting(root)), engines


def test_auto_takes_the_first_that_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    order = ("cloud", "interpreter", "container", "static")
    chooser, engines = _chooser(
        monkeypatch, tmp_path, (), order, cloud=None, interpreter=False, container=True, static=True
    )

    choice = chooser.choose()
    chooser.close()

    assert [ready.engine for _engine, ready in choice.ready] == ["container"]
    assert [unavailable.engine for unavailable in choice.unavailable] == ["interpreter"]
    assert engines["container"].calls == ["prepare", "close"]
    assert engines["static"].calls == []


def test_every_engine_that_was_asked_for_answers_or_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requested = ("static", "cloud", "interpreter")
    chooser, _engines = _chooser(monkeypatch, tmp_path, requested, (), static=True, cloud=None, interpreter=True)

    choice = chooser.choose()

    assert [ready.engine for _engine, ready in choice.ready] == ["static", "interpreter"]
    (unavailable,) = choice.unavailable
    assert unavailable.engine == "cloud"
    assert "needs an image" in unavailable.reason


def test_only_the_first_engine_gets_ready_beforehand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chooser, engines = _chooser(monkeypatch, tmp_path, (), ("interpreter", "static"), interpreter=True, static=True)

    chooser.begin()

    assert engines["interpreter"].calls == ["begin"]
    assert engines["static"].calls == []


@pytest.mark.parametrize(
    ("version", "image", "kinds"),
    [
        (_VERSION, "app:1", [InterpreterEngine, ContainerEngine, CloudEngine, StaticEngine]),
        (_VERSION, "", [InterpreterEngine, type(None), type(None), StaticEngine]),
        (None, "app:1", [type(None), ContainerEngine, CloudEngine, type(None)]),
    ],
)
def test_an_engine_is_there_where_it_has_something_to_ask(
    tmp_path: Path, version: PythonVersion | None, image: str, kinds: list[type[Engine | None]]
) -> None:
    setting = _setting(tmp_path, version, image)

    assert [type(create_engine(name, setting)) for name in EngineName] == kinds
