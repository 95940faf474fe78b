"""Names and texts that a terminal would obey reach no terminal, in no format."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import pytest

from buildguard.cli.render import safe_json
from tests.conftest import Project

_NAMES = (
    b"esc\x1b[31m.py", b"osc\x1b]0;evil\x07.py", b"c1\xc2\x9b31m.py", b"bidi\xe2\x80\xae.py", b"raw\xff.py", b"rawc1\x9b.py",
)  # fmt: skip
# control characters, C1 ones in UTF-8 or as bare bytes, changes of direction
_OBEYED = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|(?<![\x80-\xff])[\x80-\xbf\xff]"
)
_LOG = b'File "/app/c1\xc2\x9b31m.py", line 1\n def f(:\n\xe2\x80\xae \x1b[31m\nSyntaxError: invalid \xc2\x9b syntax\n'


@pytest.fixture
def made(repository: Callable[..., Project]) -> Project:
    made = repository({"Dockerfile": "FROM python:3.11\n"})
    for name in _NAMES:
        (made.path / os.fsdecode(name)).write_bytes(b"def f(:\n    '\xe2\x80\xae\xc2\x9b'\n")
    made.commit()
    return made


def _output(made: Project, *words: str) -> bytes:
    done = subprocess.run([made.executable, *words], cwd=made.path, capture_output=True, check=False, timeout=300)
    assert done.returncode in {1, 3}
    assert done.stdout
    return done.stdout + done.stderr


@pytest.mark.parametrize("form", ["text", "json", "concise", "sarif", "junit", "github", "gitlab"])
def test_check(made: Project, form: str) -> None:
    output = _output(made, "check", "--engine", "static", "--proof", "predicted", "--format", form)

    assert not _OBEYED.search(output)


def test_the_uri_of_a_name_that_is_not_utf_8_has_its_bytes(made: Project) -> None:
    result = made.run("check", "--engine", "static", "--proof", "predicted", "--format", "sarif")

    results = json.loads(result.out)["runs"][0]["results"]
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert "raw%FF.py" in uris
    assert {unquote_to_bytes(uri) for uri in uris} == set(_NAMES)


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_diagnose(made: Project, form: str) -> None:
    (made.path.parent / "log").write_bytes(_LOG)

    assert not _OBEYED.search(_output(made, "diagnose", "--log", "../log", "--format", form))


def test_manifest_on_a_terminal(made: Project) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [made.executable, "manifest"],
        cwd=made.path,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    ) as child:
        os.close(terminal)
        shown = b""
        while piece := _read(controller):
            shown += piece
    os.close(controller)
    piped = subprocess.run([made.executable, "manifest"], cwd=made.path, capture_output=True, check=True).stdout

    assert child.returncode == 0
    assert not _OBEYED.search(shown.replace(b"\r\n", b"\n"))
    assert b"esc\\x1b[31m.py" in shown
    assert b"raw\\xff.py" in shown
    assert all(name in piped for name in _NAMES)  # `sha256sum -c` reads that


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 1 << 16)
    except OSError:  # Linux reports the end of a terminal as an error
        return b""


def test_json_keeps_letters_and_escapes_what_is_obeyed() -> None:
    answer = {"é": ["\x9b\u202e\u200b\x7f", "\U000e0001", "\udcff", "日本 \U0001f600"]}

    text = safe_json.dumps(answer)

    assert json.loads(text) == answer
    assert "日本 \U0001f600" in text
    assert "\\u009b\\u202e\\u200b\\u007f" in text
    assert all(char.isprintable() for char in text.replace("\n", ""))
