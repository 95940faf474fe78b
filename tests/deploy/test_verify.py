"""Verify commands that really run: pytest, unittest, xdist, several runs of one command, and what is no test at all."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from buildguard.cycles import junit
from buildguard.cycles.test_results import VerifyResult
from buildguard.deploy import verify
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import VerifyCommand

pytestmark = pytest.mark.interpreters

_GOOD = "def test_a(): pass\ndef test_b(): pass\n"
_BAD = "def test_a(): pass\ndef test_b(): assert 0\n"
_SKIP = "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n@pytest.mark.xfail\ndef test_b(): assert 0\n"
_CRASH = "import os\ndef test_a(): pass\ndef test_b(): os._exit(0)\n"
_UNIT = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): {}\n    def test_b(self): pass\n"
_FILES = {
    "good/test_it.py": _GOOD,
    "bad/test_it.py": _BAD,
    "skip/test_it.py": _SKIP,
    "crash/test_it.py": _CRASH,
    "broken/test_it.py": "import nothing_of_the_kind\n",
    "unit/test_it.py": _UNIT.format("pass"),
    "unit_bad/test_it.py": _UNIT.format("self.fail()"),
    "unit_skip/test_it.py": _UNIT.format("self.skipTest('x')"),
    "own.ini": "[pytest]\naddopts = --junitxml=ini.xml\n",
    "old.xml": "<testsuite><testcase/></testsuite>",
}
_PYTEST, _UNITTEST = "python -m pytest -p no:cacheprovider --import-mode=importlib", "python -m unittest discover -s"


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tests, with this interpreter first on PATH."""
    for name, text in _FILES.items():
        file = tmp_path / "it" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in [*os.environ]:
        if name.startswith("PYTEST_") and name not in {"PYTEST_CURRENT_TEST", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}:
            monkeypatch.delenv(name)
    return tmp_path / "it"


def _tried(command: str, folder: Path) -> VerifyResult:
    return verify.run_verify(VerifyCommand(command), "http://localhost", "r-1", folder)


@pytest.mark.parametrize(
    ("command", "verdict", "ran", "passed"),
    [
        ("PYTEST good", StepVerdict.OK, 2, 2),
        ("PYTEST -q -q good", StepVerdict.OK, 2, 2),
        ("PYTEST good >/dev/null 2>&1", StepVerdict.OK, 2, 2),
        ("PYTEST -p xdist -n 2 good", StepVerdict.OK, 2, 2),
        ("PYTEST bad", StepVerdict.FAILED, 2, 1),
        ("PYTEST bad || true", StepVerdict.FAILED, 2, 1),
        ("PYTEST -p xdist -n 2 bad || true", StepVerdict.FAILED, 2, 1),
        ("PYTEST bad; PYTEST good", StepVerdict.FAILED, 4, 3),
        ("PYTEST bad >/dev/null 2>&1; PYTEST good", StepVerdict.FAILED, 4, 3),
        ("PYTEST -qq bad; PYTEST --junitxml=other.xml good", StepVerdict.FAILED, 4, 3),
        ("PYTEST good; PYTEST good", StepVerdict.OK, 4, 4),
        ("PYTEST broken || true", StepVerdict.FAILED, 1, 0),
        ("PYTEST skip", StepVerdict.FAILED, 0, 0),
        ("PYTEST good skip", StepVerdict.OK, 2, 2),
        ("PYTEST good -k nothing || true", StepVerdict.FAILED, 0, 0),
        ("PYTEST --junitxml=report.xml good", StepVerdict.OK, 2, 2),
        ("PYTEST --junit-xml 'report.xml' bad || true", StepVerdict.FAILED, 2, 1),
        ("PYTEST --junitxml=$BUILDGUARD_JUNIT good", StepVerdict.OK, 2, 2),
        ("PYTEST -c own.ini --rootdir . good", StepVerdict.OK, 2, 2),
        ("UNITTEST unit", StepVerdict.OK, 2, 2),
        ("UNITTEST unit_bad || true", StepVerdict.FAILED, 2, 1),
        ("UNITTEST unit_bad; UNITTEST unit", StepVerdict.FAILED, 4, 3),
        ("UNITTEST unit_skip", StepVerdict.OK, 1, 1),
        ("PYTEST unit_skip unit_bad/test_it.py || true", StepVerdict.FAILED, 3, 2),
    ],
)  # fmt: skip
def test_runners(command: str, verdict: str, ran: int, passed: int, tests: Path) -> None:
    found = _tried(command.replace("PYTEST", _PYTEST).replace("UNITTEST", _UNITTEST), tests)

    assert (found.verdict, found.ran, found.passed) == (verdict, ran, passed), found


@pytest.mark.parametrize(
    ("command", "verdict", "words"),
    [
        ("echo '5 passed in 3s'", StepVerdict.FAILED, "it ran no test"),
        ("echo '===== 3 passed in 1.00s ====='", StepVerdict.FAILED, "it ran no test"),
        ("PYTEST --version; echo '5 passed in 3s'", StepVerdict.FAILED, "it ran no test"),
        ("PYTEST crash", StepVerdict.UNPROVEN, "unknown"),
        ("PYTEST crash; PYTEST good --junitxml=old.xml", StepVerdict.UNPROVEN, "began 2 runs, and only 1"),
        ("echo x --junitxml=old.xml", StepVerdict.UNPROVEN, "unknown"),
        ("true", StepVerdict.UNPROVEN, "unknown"),
        ("false", StepVerdict.FAILED, "status 1"),
        ("cp old.xml $BUILDGUARD_JUNIT", StepVerdict.OK, "1 passed"),
        ("cp old.xml $(dirname $BUILDGUARD_JUNIT)/more.xml", StepVerdict.OK, "1 passed"),
        ("head -c 20 old.xml > $BUILDGUARD_JUNIT", StepVerdict.UNPROVEN, "incomplete"),
        ("PYTEST good; head -c 20 old.xml > $BUILDGUARD_JUNIT", StepVerdict.UNPROVEN, "incomplete"),
        ("mkfifo $BUILDGUARD_JUNIT", StepVerdict.UNPROVEN, "unknown"),
        ("ln -s /dev/zero $BUILDGUARD_JUNIT", StepVerdict.UNPROVEN, "unknown"),
    ],
)
def test_what_is_no_test(command: str, verdict: str, words: str, tests: Path) -> None:
    found = _tried(command.replace("PYTEST", _PYTEST), tests)

    assert (found.verdict, words in found.why) == (verdict, True), found.why


def test_options_of_the_environment_are_kept(tests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k test_a")
    assert _tried(f"{_PYTEST} bad", tests).passed == 1
    monkeypatch.setenv("PYTEST_ADDOPTS", "--junitxml=mine.xml -k test_a")
    assert _tried(f"{_PYTEST} good", tests).passed == 1
    assert (tests / "mine.xml").exists()


def test_more_than_can_be_read_is_unproven(tests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", 600)

    assert _tried(f"{_PYTEST} good", tests).verdict == StepVerdict.OK
    assert _tried(f"{_PYTEST} good; {_PYTEST} good", tests).verdict == StepVerdict.UNPROVEN
    assert (
        _tried("for n in 1 2 3; do head -c 500 /dev/zero > $(dirname $BUILDGUARD_JUNIT)/$n.xml; done", tests).verdict
        == StepVerdict.UNPROVEN
    )


def test_nothing_is_left_behind(tests: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "a folder"))
    (tmp_path / "a folder").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)

    assert _tried(f"{_PYTEST} good -o cache_dir={tests}/c -p no:tmpdir", tests).passed == 2
    assert list((tmp_path / "a folder").iterdir()) == []


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_where_a_disk_has_no_pipes_a_file_will_do(tests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "mkfifo", refuse)

    assert _tried(f"{_PYTEST} good", tests).passed == 2
