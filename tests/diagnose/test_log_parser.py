"""Logs: what real Pythons of every version print, in everything that tools put around it."""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from buildguard.diagnose.log_parser import Failure, read
from buildguard.system.pythons import candidates
from tests.conftest import missing, sample_on_other_hosts
from tests.diagnose.envelopes import ENVELOPES

_VERSIONS = ("3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
_FILES = {
    "app/__init__.py": "",
    "app/main.py": "from app import orders\n",
    "app/orders.py": "def f(row):\n    return f(\n",
    "app/indent.py": "def f():\nreturn 1\n",
    "app/tab.py": "if 1:\n        x = 1\n\ty = 2\n",
    "app/variable.py": "import os\nurl = os.environ['DATABASE_URL']\n",
    "app/chain.py": "try:\n    {}['a']\nexcept KeyError as error:\n    raise RuntimeError('no a') from error\n",
    "app/module.py": "import nowhere_at_all\n",
    "app/own.py": "class OrderLost(Exception): pass\ndef f():\n    raise OrderLost('seven: eight')\nf()\n",
}


def _interpreter(version: str) -> Path:
    home = Path(os.environ.get("PYENV_ROOT", "/nowhere")) / "versions"
    found = [path for path, _where in candidates(version, Path("/nowhere"))]
    found += [one / "bin/python3" for one in sorted(home.glob(f"{version}.*"))]
    if not found:
        missing(f"Python {version}", f"pyenv install {version}")
    return found[0]


@pytest.fixture(scope="module", params=_VERSIONS)
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an interpreter prints for each file that fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYENV_ROOT", os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv"))
        python = _interpreter(request.param)
    folder = tmp_path_factory.mktemp("app")
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    found = {}
    for name in ("main", "indent", "tab", "variable", "chain", "module", "own"):
        done = subprocess.run(
            [python, "-m", f"app.{name}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        found[name] = done.stderr.replace(str(folder), "/app")
    done = subprocess.run(
        [str(python), "-m", "py_compile", "app/orders.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    found["py_compile"] = done.stdout + done.stderr
    return found


def _place(one: Failure) -> tuple[str, int]:
    return one.frames[-1].path, one.frames[-1].line


@pytest.mark.parametrize("envelope", sample_on_other_hosts(ENVELOPES, 3))
def test_every_version_in_every_envelope(printed: dict[str, str], envelope: str) -> None:
    wrap = ENVELOPES[envelope]

    (syntax,) = read(wrap(printed["main"]).encode()).failures
    assert syntax.is_syntax
    assert not syntax.cut
    assert syntax.message
    assert syntax.frames[-1].source in {"return f(", ""} or syntax.frames[-1].line > 2
    assert syntax.frames[-1].path == "/app/app/orders.py"
    assert ("/app/app/main.py", 1) in [(frame.path, frame.line) for frame in syntax.frames]
    for name, kind in (("indent", "IndentationError"), ("tab", "TabError")):
        (one,) = read(wrap(printed[name]).encode()).failures
        assert one.type == kind
        assert one.frames[-1].path == f"/app/app/{name}.py"


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_other_failures(printed: dict[str, str], envelope: str) -> None:
    wrap = ENVELOPES[envelope]

    (variable,) = read(wrap(printed["variable"]).encode()).failures
    assert variable.words == "KeyError: 'DATABASE_URL'"
    assert variable.frames[-1].path.endswith(("/os.py", "<frozen os>"))
    first, second = read(wrap(printed["chain"]).encode()).failures
    assert (first.type, second.words, second.chained) == ("KeyError", "RuntimeError: no a", True)
    (module,) = read(wrap(printed["module"]).encode()).failures
    assert module.words == "ModuleNotFoundError: No module named 'nowhere_at_all'"
    assert _place(module) == ("/app/app/module.py", 1)
    (own,) = read(wrap(printed["own"]).encode()).failures
    assert own.message == "seven: eight"
    assert _place(own) == ("/app/app/own.py", 3)


def test_what_py_compile_prints(printed: dict[str, str]) -> None:
    (one,) = read(printed["py_compile"].encode()).failures

    assert one.is_syntax
    assert one.frames[-1].path == "app/orders.py"


@pytest.mark.parametrize(
    "text",
    [
        "SyntaxError: invalid syntax (orders.py, line 13)",
        "ERROR SyntaxError: invalid syntax (orders.py, line 13)",
        "Sorry: IndentationError: unexpected indent (orders.py, line 13)",
        'app failed: \n  File "/app/orders.py", line 13\n    x = f"{a["b"]}"\n',
        '  File "/app/orders.py", line 13\n    x = f"{a',
        "    x = 1\n  File \"/app/orders.py\", line 13\n    f(\n     ^\nSyntaxError: '(' was never closed",
    ],
)
def test_cut_and_short_forms(text: str) -> None:
    (one,) = read(text.encode()).failures

    assert one.is_syntax
    assert one.frames[-1].path.endswith("orders.py")
    assert one.frames[-1].line == 13


def test_several_in_one_log(printed: dict[str, str]) -> None:
    log = "\n".join([printed["main"], "Container called exit(1).", printed["module"], "DONE", printed["indent"]])

    found = read(log.encode())

    assert [one.type for one in found.failures] == ["SyntaxError", "ModuleNotFoundError", "IndentationError"]


def test_the_python_that_ran(printed: dict[str, str]) -> None:
    """From 3.11 on the standard library's frames at start are frozen, and show nothing."""
    told = re.findall(r"/python(3\.\d+)/", printed["variable"])

    assert read(printed["variable"].encode()).pythons == list(dict.fromkeys(told))
    assert read(b'  File "/usr/local/lib/python3.9/site-packages/x.py", line 1, in f\nValueError: x\n').pythons == [
        "3.9"
    ]


def test_healthy_logs_hold_no_failure() -> None:
    text = "INFO: started\n2026-11-17 GET / 200\nWarning: old\nError handling is on\nnothing: to see\nModule: loaded\n"

    assert read(text.encode()).failures == ()


def test_random_bytes_and_cuts() -> None:
    """Nothing that is pasted makes the reader fail, and what is whole in it is found."""
    rng = random.Random(7)
    block = b'Traceback (most recent call last):\n  File "/app/x.py", line 3\n    f(\n     ^\nSyntaxError: bad\n'
    for _ in range(300):
        noise = bytes(rng.choices(b"ab{}[]\"'\\: \n\r\x1b\xff|FileTraceback", k=rng.randint(0, 200)))
        cut = block[: rng.randint(0, len(block))]
        found = read(noise + b"\n" + block + cut).failures
        assert ("/app/x.py", 3) in [_place(one) for one in found if one.frames]


def test_large_and_long_lines() -> None:
    log = b"x" * 2_000_000 + b"\n" + b'{"a": ' * 40_000 + b'\n  File "/app/x.py", line 3\nSyntaxError: bad\n'

    (one,) = read(log).failures
    assert _place(one) == ("/app/x.py", 3)


@pytest.mark.parametrize(
    "foreign",
    [
        'INFO:     127.0.0.1:52114 - "GET / HTTP/1.1" 200 OK',
        "WARNING:root:slow answer",
        "ERROR: retrying",
        "  Fil",
        "  File",
    ],
)
def test_what_stands_between_a_place_and_its_exception(foreign: str) -> None:
    """Another process logs into a traceback, or a frame is cut: neither is an exception."""
    text = (
        'Traceback (most recent call last):\n  File "/app/app.py", line 1, in <module>\n    import work\n'
        f'  File "/app/work.py", line 4\n    except* ValueError as group:\n          ^\n{foreign}\nSyntaxError: invalid syntax\n'
    )

    assert [(item.type, item.frames[-1].path) for item in read(text.encode()).failures] == [
        ("SyntaxError", "/app/work.py")
    ]
