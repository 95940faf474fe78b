"""A CMD that is written like a list and is not JSON: what Docker does with it, and what is said of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.project.image_model import CommandForm, ImageCommand
from buildguard.startup.command_forms import is_broken_list
from buildguard.startup.findings import StartupReport
from tests.startup.projects import report_of, rows_of

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\n"
_BROKEN = [
    "['python', 'main.py']",
    "[ 'python', 'main.py' ]",
    '["python", main.py]',
    '["python" "main.py"]',
    '["python", "main.py",]',
    '["python", "main.py"',
    "[“python”, “main.py”]",
    "[python, main.py]",
    "[python,main.py]",
]
_WORKING = [
    '["python", "main.py"]',
    ' [ "python", "main.py" ] ',
    "python main.py",
    "[ -f main.py ] && python main.py",
    '[ "$MODE" = "a,b" ] || exec python main.py',
    "[[ -f main.py ]] && python main.py",
]


def _report(tmp_path: Path, start: str) -> StartupReport:
    return report_of(tmp_path, {"Dockerfile": f"{_HEAD}{start}\n", "main.py": "x = 1\n"})


@pytest.mark.parametrize("name", ["CMD", "ENTRYPOINT"])
@pytest.mark.parametrize("words", _BROKEN)
def test_a_list_that_is_no_json_is_reported(tmp_path: Path, words: str, name: str) -> None:
    assert rows_of(_report(tmp_path, f"{name} {words}")) == [("BG701", "Dockerfile", 4)]


@pytest.mark.parametrize("words", _WORKING)
def test_both_forms_are_fine(tmp_path: Path, words: str) -> None:
    assert rows_of(_report(tmp_path, f"CMD {words}")) == []


def test_another_shell_may_know_such_a_command() -> None:
    text = "['python', 'main.py']"

    assert is_broken_list(ImageCommand(1, CommandForm.SHELL, ("/bin/sh", "-c", text)))
    assert not is_broken_list(ImageCommand(1, CommandForm.SHELL, ("powershell", "-Command", text)))


def test_the_hint_is_the_list_that_was_meant(tmp_path: Path) -> None:
    (finding,) = _report(tmp_path, "CMD ['python', “main.py”]").diagnostics

    assert finding.message == "CMD is not valid JSON, so a shell gets its text, and finds no program [python,"
    assert finding.hint == 'write CMD ["python", "main.py"]: words in double quotes, separated by commas'


def test_a_command_that_another_takes_the_place_of_is_not_reported(tmp_path: Path) -> None:
    report = _report(tmp_path, "CMD ['python', 'a.py']\nENTRYPOINT python main.py")

    assert rows_of(report) == []


@pytest.mark.parametrize("name", ["CMD", "ENTRYPOINT"])
def test_a_list_of_other_values_is_reported(tmp_path: Path, name: str) -> None:
    (finding,) = _report(tmp_path, f'{name} ["python", "main.py", "--workers", 4]').diagnostics

    assert (finding.code, finding.range.line) == ("BG701", 4)
    assert finding.message == f"{name} has a value that is no string, and Docker refuses to build that"


def test_what_follows_a_list_is_not_read(tmp_path: Path) -> None:
    assert rows_of(_report(tmp_path, 'CMD ["python", "main.py"] # the server')) == []


def test_half_of_a_surrogate_pair_is_a_name_that_is_missing(tmp_path: Path) -> None:
    assert rows_of(_report(tmp_path, 'COPY ["\\ud800.py", "x/"]\nCMD python main.py')) == [("BG703", "Dockerfile", 4)]


@pytest.mark.interpreters
@pytest.mark.parametrize("words", _BROKEN)
def test_a_shell_ends_at_once(tmp_path: Path, words: str) -> None:
    """What Docker executes of such a command, by a real shell."""
    done = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, capture_output=True, check=False)

    assert done.returncode in {2, 127}
    assert done.stderr
