"""The standard library of a target: what is documented, what its interpreter says, and what neither decides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.errors import UnprovenError
from buildguard.imports import standard_names
from buildguard.imports.library import StandardLibrary
from buildguard.imports.library_answers import Availability
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.remote import library_query
from buildguard.system.cache import Cache
from tests.conftest import VERSIONS, interpreter

_NONE: frozenset[str] = frozenset()


class _Answering:
    """An engine that answers questions with what a test says, and counts them."""

    name = EngineName.INTERPRETER

    def __init__(self, answers: dict[str, list[object]], platform: str = "linux", *, lost: bool = False) -> None:
        self.asked: list[list[object]] = []
        self._answer = json.dumps({"platform": platform, "answers": answers}).encode()
        self._lost = lost

    def begin(self) -> None: ...

    def close(self) -> None: ...

    def prepare(self) -> ReadyEngine:
        return _ready()

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        for source in sources:
            assert source.is_question
            self.asked += json.loads(source.data)
            if self._lost:
                raise UnprovenError("gone")
            yield Outcome(source.number, source.digest, facts=self._answer)


def _ready(proof: ProofGrade = ProofGrade.COMPILED, version: str = "3.12.1") -> ReadyEngine:
    return ReadyEngine(EngineName.INTERPRETER, proof, f"CPython {version}", version, "identity")


def _ask(engine: _Answering, module: str, *names: str, proof: ProofGrade = ProofGrade.COMPILED) -> Availability:
    library = StandardLibrary(engine, _ready(proof), Cache(None))
    answer = library.ask([(module, frozenset(names))])[module]
    return answer.names[names[0]] if names else answer.module


def test_a_removed_module_needs_no_interpreter() -> None:
    engine = _Answering({})

    answers = StandardLibrary(engine, _ready(), Cache(None)).ask([("distutils.version", _NONE), ("requests", _NONE)])

    assert answers["distutils.version"] == (Availability.MISSING, "removed in Python 3.12", {})
    assert "requests" not in answers
    assert engine.asked == []


@pytest.mark.parametrize(
    ("module", "reply", "compiled", "image"),
    [
        ("json.tool", ["yes", "", {}], "present", "present"),
        ("json.nothing", ["no", "", {}], "missing", "missing"),
        ("asyncio.windows_events", ["no", ": win32 only", {}], "missing", "missing"),
        ("multiprocessing.popen_spawn_win32", ["no", "msvcrt: No module named 'msvcrt'", {}], "missing", "missing"),
        ("tkinter", ["no", "_tkinter: No module named '_tkinter'", {}], "undecided", "missing"),
        ("dbm.gnu", ["no", "_gdbm: No module named '_gdbm'", {}], "undecided", "missing"),
        ("this", ["unknown", "", {}], "undecided", "undecided"),
    ],
)
def test_what_an_installation_may_lack_only_the_image_tells(
    module: str, reply: list[object], compiled: str, image: str
) -> None:
    engine = _Answering({module: reply})

    assert _ask(engine, module) == compiled
    assert _ask(engine, module, proof=ProofGrade.IMAGE) == image


@pytest.mark.parametrize(
    ("module", "name", "verdict", "compiled", "image"),
    [
        ("typing", "Self", "no", "missing", "missing"),
        ("typing", "Self", "yes", "present", "present"),
        ("os", "errno", "no", "missing", "missing"),
        ("os", "memfd_create", "no", "undecided", "missing"),
        ("socket", "AF_VSOCK", "no", "undecided", "missing"),
        ("xml", "x", "unknown", "undecided", "undecided"),
    ],
)
def test_names_that_depend_on_a_build_only_the_image_tells(
    module: str, name: str, verdict: str, compiled: str, image: str
) -> None:
    engine = _Answering({module: ["yes", "", {name: verdict}]})

    assert _ask(engine, module, name) == compiled
    assert _ask(engine, module, name, proof=ProofGrade.IMAGE) == image


def test_an_interpreter_of_another_system_answers_for_what_is_the_same_there() -> None:
    answers: dict[str, list[object]] = {"typing": ["yes", "", {"Self": "no"}], "json.x": ["no", "", {}]}
    engine = _Answering({**answers, "os": ["yes", "", {"fork": "yes", "getcwdu": "no"}]}, "darwin")

    assert _ask(engine, "os", "fork") == "undecided"
    assert _ask(engine, "os", "getcwdu") == "undecided"
    assert _ask(engine, "json.x") == "undecided"
    assert _ask(engine, "msvcrt") == "missing"


def test_an_engine_that_is_lost_decides_nothing() -> None:
    assert _ask(_Answering({}, lost=True), "json") == "undecided"
    assert _ask(_Answering({}, lost=True), "typing", "Self") == "undecided"


def test_what_is_no_answer_is_refused() -> None:
    engine = _Answering({"json": ["yes"]})

    with pytest.raises(ValueError, match=r"unpack|read"):
        _ask(engine, "json")


def test_a_question_is_asked_once(tmp_path: Path) -> None:
    engine = _Answering({"typing": ["yes", "", {"Self": "no"}]})
    for _ in range(2):
        cache = Cache(tmp_path)
        answers = StandardLibrary(engine, _ready(), cache).ask([("typing", frozenset({"Self"}))])
        cache.close()
        assert answers["typing"].names["Self"] == "missing"

    assert engine.asked == [["typing", ["Self"]]]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_names_of_each_version_are_those_of_its_interpreter(version: str) -> None:
    minor = int(version.partition(".")[2])
    code = (
        "import json, pkgutil, sys\n"
        "names = getattr(sys, 'stdlib_module_names', None)\n"
        "print(json.dumps(sorted(names or set(sys.builtin_module_names) | {m.name for m in pkgutil.iter_modules()})))"
    )
    done = subprocess.run([interpreter(version), "-I", "-S", "-c", code], capture_output=True, check=True)

    names = {name for name in json.loads(done.stdout) if not name.startswith("_") and name not in {"test", "xxlimited"}}

    documented = {
        name for name in standard_names.public_names() if standard_names.is_in(name, minor) and name[0] != "_"
    }
    assert names - documented <= {"xxsubtype", "xxlimited_35"}
    assert documented - names <= (standard_names.WINDOWS_ONLY | {"turtledemo", "idlelib"} if minor < 10 else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_each_interpreter_answers(version: str, tmp_path: Path) -> None:
    minor = int(version.partition(".")[2])
    engine = InterpreterEngine(PythonVersion(minor), tmp_path, 1)
    try:
        ready = engine.prepare()
        assert isinstance(ready, ReadyEngine)
        answers = StandardLibrary(engine, ready, Cache(None)).ask(
            [
                ("os.path", frozenset({"join"})),
                ("typing", frozenset({"Self", "List"})),
                ("collections", frozenset({"Mapping", "abc"})),
                ("asyncio.windows_events", _NONE),
                ("xml.etree.ElementTree", _NONE),
                ("tomllib", _NONE),
                ("json.no", _NONE),
            ]
        )
    finally:
        engine.close()

    assert answers["os.path"].names == {"join": "present"}
    assert answers["typing"].names == {"Self": "present" if minor > 10 else "missing", "List": "present"}
    assert answers["collections"].names == {"Mapping": "present" if minor < 10 else "missing", "abc": "present"}
    assert answers["xml.etree.ElementTree"].module == "present"
    assert answers["tomllib"].module == ("present" if minor > 10 else "missing")
    assert (answers["json.no"].module, answers["asyncio.windows_events"].module) == ("missing", "missing")


def test_what_does_something_when_imported_is_not_imported() -> None:
    answers = json.loads(library_query.answer_questions(b'[["antigravity", ["geohash"]], ["no.such", []]]'))["answers"]

    assert answers == {"antigravity": ["yes", "", {"geohash": "unknown"}], "no.such": ["no", "", {}]}


def test_history_and_providers() -> None:
    assert standard_names.history_of("tomllib", 10) == "new in Python 3.11"
    assert standard_names.history_of("cgi", 13) == "removed in Python 3.13"
    assert standard_names.history_of("json", 13) == ""
    assert standard_names.history_of("urllib2", 8) == "it was Python 2's"
    assert standard_names.providers_of("cgi") == ("legacy-cgi", "standard-cgi")
    assert "importlib" in standard_names.successor_of("imp")
