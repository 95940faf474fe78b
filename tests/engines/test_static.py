"""The static engine: predictions that say so, and never a pass out of silence."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from buildguard.engines.engine import UnavailableEngine
from buildguard.engines.pool import source_of
from buildguard.engines.static import StaticEngine
from buildguard.project.target import PythonVersion
from tests.conftest import BROKEN_BEFORE_312, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_DEEP = b"x = " + b"a+" * 5000 + b"a\n"


def _engine(minor: int = 11) -> StaticEngine:
    engine = StaticEngine(PythonVersion(minor))
    assert not isinstance(engine.prepare(), UnavailableEngine)
    return engine


def test_predictions_prove_nothing_by_default(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.14\n", "a.py": "x = 1\n"})

    result = made.check("--engine", "static")

    assert result.code == 3
    assert result.json["targets"][0]["proof"] == "predicted"
    assert made.check("--engine", "static", "--proof", "predicted").code == 0
    text = made.run("check", "--engine", "static").out
    assert "predicted" in text
    assert "compiled by" not in text


def test_a_missing_interpreter_falls_back_and_says_what_would_prove_it(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.15\n", "a.py": "f(\n"})

    report = made.check().json

    assert report["exit_code"] == 1
    assert report["diagnostics"][0]["message"].startswith("predicted: ")
    assert "uv python install 3.15" in report["unproven"][0]["reason"]


_TOGETHER = """
import sysconfig, time
read = sysconfig._init_posix
sysconfig._init_posix = lambda values: (time.sleep(0.2), read(values))
from buildguard.system import threads
from buildguard.engines.engine import ReadyEngine
from buildguard.engines.static import StaticEngine
from buildguard.project.target import PythonVersion
engines = [StaticEngine(PythonVersion(minor)) for minor in range(7, 16)]
answers = []
threads.run_tasks([lambda engine=engine: answers.append(engine.prepare()) for engine in engines], len(engines))
print(sum(isinstance(answer, ReadyEngine) for answer in answers))
"""


def test_many_engines_get_ready_at_once() -> None:
    """What they share is filled before they start; a slow disk makes that take its time."""
    done = subprocess.run([sys.executable, "-P", "-c", _TOGETHER], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("9\n", "")


def test_many_targets_at_once(project: Callable[..., Project]) -> None:
    made = project({"a.py": "x = 1\n", "b.py": BROKEN_BEFORE_312})
    minors = range(8, 15)

    for _ in range(3):
        report = made.check(
            "--no-cache",
            "--proof=predicted",
            "--engine=static",
            *(f"--target=3.{minor}" for minor in minors),
        ).json

        assert [(row["python"], row["proof"]) for row in report["targets"]] == [
            (f"3.{minor}", "predicted") for minor in minors
        ]
        assert report["exit_code"] == 1


def test_every_line_says_predicted(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\n", "a.py": BROKEN_BEFORE_312, ".python-version": "3.12\n"})

    report = made.check("--engine", "static").json

    about = [one["message"] for one in report["diagnostics"] if one["code"] in {"BG101", "BG403"}]
    assert len(about) == 2
    assert all("predicted" in message for message in about)


@pytest.mark.parametrize(
    "source",
    [
        b"f'{a['b']}'\n",
        b"def f[T](): pass\n",
        b"def f():\n    from x import *\n",
        b"x = 1\nfrom __future__ import annotations\n",
        b"return 1\n",
        b"def f():\n    await x\n",
        b"x = lambda: (yield)\nbreak\n",
        b"def f(a):\n    print(a)\n    global a\n",
        b"f(  # noqa\n",
    ],
)
def test_errors_are_predicted(source: bytes) -> None:
    (outcome,) = _engine().compile([source_of(0, source)])

    assert outcome.rejected is not None


@pytest.mark.parametrize(
    "source", [b"", b"x = 1\n", b"# coding: latin-1\nx = '\xe9'\n", b"import os, sys\nx = 1;\n", b"def f(): return\n"]
)
def test_good_sources_are_not_accused(source: bytes) -> None:
    (outcome,) = _engine().compile([source_of(0, source)])

    assert outcome.rejected is None
    assert not outcome.unproven


def test_one_deep_file_does_not_silence_the_rest() -> None:
    sources = [source_of(0, b"x = 1\n"), source_of(1, _DEEP), source_of(2, b"f(\n"), source_of(3, b"y = 1\n")]

    outcomes = {one.number: one for one in _engine().compile(sources)}

    assert len(outcomes) == 4
    assert outcomes[2].rejected is not None
    assert outcomes[0] == outcomes[0]._replace(rejected=None, unproven="")
    assert outcomes[3] == outcomes[3]._replace(rejected=None, unproven="")


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nexit 0\n",
        "#!/bin/sh\necho '[]'\n",
        "#!/bin/sh\necho '[{'\n",
        "#!/bin/sh\necho '{}'\n",
        "#!/bin/sh\nkill -ABRT $$\n",
        "#!/bin/sh\necho '[]'; exit 2\n",
    ],
)
def test_silence_is_no_pass(tmp_path: Path, script: str) -> None:
    program = tmp_path / "ruff"
    program.write_text(script)
    program.chmod(0o755)
    engine = _engine()
    engine._ruff = str(program)

    outcomes = list(engine.compile([source_of(0, b"x = 1\n"), source_of(1, b"f(\n")]))

    assert [bool(one.unproven) for one in outcomes] == [True, True]


def test_it_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    list(_engine().compile([source_of(0, b"f(\n")]))

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "source",
    [
        b"try:\n  pass\nexcept:\n  pass\nexcept ValueError:\n  pass\n",  # F707
        b"def f():\n    global x\n    nonlocal x\n",  # PLE0115
        b"def f():\n    nonlocal x\n",  # PLE0117
        b"async def f():\n    yield from x\n",  # PLE1700
        b"def f():\n    x = 1\n    def g():\n        print(x)\n        nonlocal x\n",
        b"def f():\n    x: int\n    nonlocal x\n",
        b"*a\n",
        b"f'{*a}'\n",
        b"f(__debug__=1)\n",
        b"".join(b" " * depth + b"while 1:\n" for depth in range(25)) + b" " * 25 + b"pass\n",
        b"# coding: latin_9\nx = 1\n",
    ],
)
def test_what_every_python_refuses_is_predicted(source: bytes) -> None:
    for minor in (8, 11) if b"while" in source else (8, 11, 14):  # 3.13 nests deeper than the Python that runs this may
        (outcome,) = list(_engine(minor).compile([source_of(0, source)]))
        assert outcome.rejected is not None, minor
        assert outcome.rejected.kind == "predicted"


@pytest.mark.parametrize(
    ("minor", "source"),
    [
        (8, b"async def f():\n    return [x async for x in a]\n"),
        (15, b"from __future__ import annotations\nx: int\n"),
        (15, b"# coding: latin_9\nx = 1\n"),
        (13, "# coding: windows-31j\nx = '鬘'\n".encode("cp932")),
    ],
)
def test_what_this_python_would_refuse_is_not_held_against_the_target(minor: int, source: bytes) -> None:
    (outcome,) = list(_engine(minor).compile([source_of(0, source)]))

    assert outcome.rejected is None
