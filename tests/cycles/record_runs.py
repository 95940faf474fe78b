"""Records the runs of tests/cases/runs.jsonl: real runners over small suites, and documents of runners that are not at hand.

`python -m tests.cycles.record_runs FOLDER` writes them again; FOLDER holds pytest-rerunfailures and tox (`pip install -t`).
The expected numbers are written by hand, from what the suites contain.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from buildguard.cycles import test_reports
from buildguard.system import process
from tests.conftest import REPOSITORY

RUNS = REPOSITORY / "tests/cases/runs.jsonl"
_P = "python -m pytest -p no:cacheprovider"
_U = "python -m unittest"
_IN_TOX = "$HOST_PYTHON -m pytest -p no:cacheprovider {}"
_TOX = "[tox]\nskipsdist = true\n[testenv]\nskip_install = true\nallowlist_externals = sh\n{pass_env}commands = sh -c '{command}'\n"
_SUITES = {
    "pass/test_it.py": "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
    "fail/test_it.py": "def test_a(): pass\ndef test_b(): assert 1 == 2, 'no'\ndef test_c(): pass\n",
    "skip/test_it.py": "import pytest\n@pytest.mark.skip(reason='no network')\ndef test_a(): pass\ndef test_b(): pytest.skip('later')\n",
    "xfail/test_it.py": (
        "import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n@pytest.mark.xfail(strict=True)\ndef test_b(): pass\n"
        "@pytest.mark.xfail\ndef test_c(): pass\n"
    ),
    "param/test_it.py": (
        "import pytest\n@pytest.mark.parametrize('value', ['a', 'b/c::d', '[x]', '\\x00'])\n"
        "def test_a(value): assert value != '[x]'\n"
    ),
    "setup/test_it.py": "import pytest\n@pytest.fixture\ndef broken(): raise OSError('no database')\ndef test_a(broken): pass\ndef test_b(): pass\n",
    "teardown/test_it.py": "import pytest\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError('left open')\ndef test_a(broken): pass\ndef test_b(broken): assert 0\n",
    "broken/test_it.py": "import nothing_of_the_kind\ndef test_a(): pass\n",
    "kill/test_it.py": "import os, signal\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), signal.SIGKILL)\ndef test_c(): pass\n",
    "exit/test_it.py": "import os\ndef test_a(): pass\ndef test_b(): os._exit(0)\ndef test_c(): pass\n",
    "crash/test_it.py": "import os\ndef test_a(): pass\ndef test_b(): os._exit(3)\n",
    "flaky/test_it.py": (
        "import pathlib\ndef test_a():\n    file = pathlib.Path(__file__).with_name('seen')\n    if not file.exists():\n"
        "        file.touch()\n        assert 0, 'the first time'\ndef test_b(): pass\n"
    ),
    "subtests/test_it.py": "def test_a(subtests):\n    for n in range(3):\n        with subtests.test(n=n):\n            assert n != 1\ndef test_b(): pass\n",
    "classes/test_it.py": "class TestA:\n    def test_b(self): pass\n    class TestInner:\n        def test_c(self): assert 0\n",
    "doc/test_it.py": "def one():\n    '''\n    >>> one()\n    2\n    '''\n    return 1\n",
    "unit/test_u.py": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): pass\n",
    "unit_fail/test_u.py": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): self.fail('no')\n",
    "unit_mixed/test_u.py": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): 'Has a docstring.'\n    def test_b(self): raise OSError('x')\n"
        "    @unittest.skip('no')\n    def test_c(self): pass\n    @unittest.expectedFailure\n    def test_d(self): self.fail()\n"
        "    @unittest.expectedFailure\n    def test_e(self): pass\n"
    ),
    "unit_skip/test_u.py": "import unittest\nclass T(unittest.TestCase):\n" + "".join(
        f"    @unittest.skip('no')\n    def test_{name}(self): pass\n" for name in "abcde"
    ),
    "unit_sub/test_u.py": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        for n in range(3):\n            with self.subTest(n=n): self.assertNotEqual(n, 1)\n",
    "unit_crash/test_u.py": "import os, unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): os._exit(0)\n",
    "unit_setup/test_u.py": "import unittest\nclass T(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): raise OSError('x')\n    def test_a(self): pass\n    def test_b(self): pass\n",
    "tox.ini": _TOX.format(pass_env="pass_env = PYTEST_ADDOPTS,HOST_PYTHON\n", command=_IN_TOX.format("pass")),
    "tox_fail.ini": _TOX.format(pass_env="pass_env = PYTEST_ADDOPTS,HOST_PYTHON\n", command=_IN_TOX.format("fail")),
    "tox_bare.ini": _TOX.format(pass_env="pass_env = HOST_PYTHON\n", command=_IN_TOX.format("pass")),
    "old.xml": '<testsuite name="old"><testcase name="a"/></testsuite>',
    "surefire.xml": (
        '<testsuite name="com.acme.ShopTest" tests="3" errors="0" skipped="0" failures="1" time="2.5">'
        '<testcase name="opens" classname="com.acme.ShopTest" time="0.5"/>'
        '<testcase name="pays" classname="com.acme.ShopTest" time="1.5"><flakyFailure message="timed out" type="x">first</flakyFailure></testcase>'
        '<testcase name="ships" classname="com.acme.ShopTest" time="0.5"><failure message="no stock" type="x">at com.acme</failure>'
        '<rerunFailure message="no stock" type="x">again</rerunFailure></testcase></testsuite>'
    ),
    "jest.xml": (
        '<?xml version="1.0" encoding="UTF-8"?><testsuites name="jest tests" tests="3" failures="1" errors="0" time="1.2">'
        '<testsuite name="cart" errors="0" failures="1" skipped="1" timestamp="2026-01-01T00:00:00" time="0.8" tests="3">'
        '<testcase classname="cart adds" name="cart adds" time="0.01"></testcase>'
        '<testcase classname="cart pays" name="cart pays" time="0.02"><failure>Error: expect(1).toBe(2)</failure></testcase>'
        '<testcase classname="cart ships" name="cart ships" time="0"><skipped/></testcase></testsuite></testsuites>'
    ),
    "go.xml": (
        '<testsuites tests="2" failures="0" errors="0"><testsuite name="acme/shop" tests="2" failures="0" errors="0" time="1.001">'
        '<properties><property name="go.version" value="go1.22"></property></properties>'
        '<testcase classname="acme/shop" name="TestPay" time="1.000"></testcase>'
        '<testcase classname="acme/shop" name="TestPay/card" time="0.000"></testcase></testsuite></testsuites>'
    ),
    "nested.xml": (
        '<testsuites><testsuite name="outer" tests="2" failures="1"><testsuite name="inner" tests="1" failures="1">'
        '<testcase name="a"><failure/></testcase></testsuite><testcase name="b"/></testsuite></testsuites>'
    ),
    "claims.xml": '<testsuite tests="2" failures="1"><testcase name="a"/><testcase name="b"/></testsuite>',
    "cdata.xml": "<testsuite><testcase name='a'><system-out><![CDATA[<failure/> </testcase>]]></system-out></testcase></testsuite>",
    "external.xml": '<!DOCTYPE t [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&e;"/></testsuite>',
    "bomb.xml": '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><testsuite><testcase name='&i;'/></testsuite>",
    "parameter.xml": '<!DOCTYPE t [<!ENTITY % p SYSTEM "http://localhost/x.dtd"> %p;]><testsuite><testcase name="a"/></testsuite>',
    "deep.xml": "<testsuite>" + "<testsuite>" * 3000 + "<testcase name='a'/>" + "</testsuite>" * 3000 + "</testsuite>",
    "other.xml": "<coverage><testcase name='a'/></coverage>",
}  # fmt: skip
_J = "$BUILDGUARD_JUNIT"
_OK, _FAILED, _UNPROVEN = "ok", "failed", "unproven"
# Name: the command, and what has to come of it: verdict, passed, failed, errors, skipped (None: unknown); then the pattern.
CASES: dict[str, tuple[Any, ...]] = {
    "pytest": (f"{_P} pass", _OK, 3, 0, 0, 0),
    "pytest-quiet": (f"{_P} -qq pass", _OK, 3, 0, 0, 0),
    "pytest-silent": (f"{_P} pass > /dev/null 2>&1", _OK, 3, 0, 0, 0),
    "pytest-failed": (f"{_P} fail", _FAILED, 2, 1, 0, 0),
    "pytest-failed-hidden": (f"{_P} fail > /dev/null || true", _FAILED, 2, 1, 0, 0),
    "pytest-failed-then-good": (f"{_P} fail; {_P} pass", _FAILED, 5, 1, 0, 0),
    "pytest-skipped": (f"{_P} skip", _FAILED, 0, 0, 0, 2),
    "pytest-some-skipped": (f"{_P} --import-mode=importlib skip pass", _OK, 3, 0, 0, 2),
    "pytest-xfail": (f"{_P} xfail || true", _FAILED, 1, 1, 0, 1),
    "pytest-parametrised": (f"{_P} param || true", _FAILED, 3, 1, 0, 0),
    "pytest-setup-error": (f"{_P} setup || true", _FAILED, 1, 0, 1, 0),
    "pytest-teardown-error": (f"{_P} teardown || true", _FAILED, 0, 1, 2, 0),
    "pytest-collection-error": (f"{_P} broken || true", _FAILED, 0, 0, 1, 0),
    "pytest-nothing": (f"{_P} pass -k nothing_fits || true", _FAILED, 0, 0, 0, 0),
    "pytest-killed": (f"{_P} kill", _FAILED, None, 0, 0, 0),
    "pytest-exit": (f"{_P} exit", _UNPROVEN, None, 0, 0, 0),
    "pytest-exit-then-good": (f"{_P} exit; {_P} pass", _UNPROVEN, 3, 0, 0, 0),
    "pytest-first-failure": (f"{_P} -x fail || true", _FAILED, 1, 1, 0, 0),
    "pytest-subtests": (f"{_P} subtests || true", _FAILED, 1, 2, 0, 0),
    "pytest-classes": (f"{_P} classes || true", _FAILED, 1, 1, 0, 0),
    "pytest-doctest": (f"{_P} --doctest-modules doc || true", _FAILED, 0, 1, 0, 0),
    "pytest-own-file": (f"{_P} --junitxml=mine.xml pass", _OK, 3, 0, 0, 0),
    "pytest-stale-file": ("echo --junitxml=old.xml", _UNPROVEN, None, 0, 0, 0),
    "xdist": (f"{_P} -n 2 pass", _OK, 3, 0, 0, 0),
    "xdist-failed": (f"{_P} -n 2 fail || true", _FAILED, 2, 1, 0, 0),
    "xdist-crashed": (f"{_P} -n 2 crash || true", _FAILED, 1, 0, 1, 0),
    "reruns": (f"{_P} -p rerunfailures --reruns 2 flaky", _OK, 2, 0, 0, 0),
    "reruns-failed": (f"{_P} -p rerunfailures --reruns 1 fail || true", _FAILED, 2, 1, 0, 0),
    "tox": ("python -m tox -q", _OK, 3, 0, 0, 0),
    "tox-failed": ("python -m tox -q -c tox_fail.ini || true", _FAILED, 2, 1, 0, 0),
    "tox-hides-variables": ("python -m tox -q -c tox_bare.ini", _FAILED, 0, 0, 0, 0),
    "unittest": (f"{_U} discover -s unit", _OK, 2, 0, 0, 0),
    "unittest-failed": (f"{_U} discover -s unit_fail", _FAILED, 1, 1, 0, 0),
    "unittest-failed-then-good": (f"{_U} discover -s unit_fail; {_U} discover -s unit", _FAILED, 3, 1, 0, 0),
    "unittest-verbose": (f"{_U} discover -v -s unit_mixed || true", _FAILED, 1, 1, 1, 2),
    "unittest-skipped": (f"{_U} discover -s unit_skip", _FAILED, 0, 0, 0, 5),
    "unittest-subtest": (f"{_U} discover -s unit_sub || true", _FAILED, 0, 1, 0, 0),
    "unittest-setup": (f"{_U} discover -s unit_setup || true", _FAILED, 0, 0, 1, 0),
    "unittest-nothing": (f"{_U} discover -s pass -p 'nothing*' || true", _FAILED, 0, 0, 0, 0),
    "unittest-exit": (f"{_U} discover -s unit_crash", _UNPROVEN, None, 0, 0, 0),
    "echo": ("echo '5 passed in 3s'", _FAILED, 0, 0, 0, 0),
    "echo-frame": ("echo '========= 12 passed in 3.45s ========='", _FAILED, 0, 0, 0, 0),
    "echo-unittest": ("printf 'Ran 5 tests in 0.1s\\n\\nOK\\n'", _FAILED, 0, 0, 0, 0),
    "echo-jest": ("echo 'Tests:       1 failed, 2 passed, 3 total'", _FAILED, 2, 1, 0, 0),
    "nothing": ("true", _UNPROVEN, None, 0, 0, 0),
    "pattern": ("echo 'Passed: 6 Failed: 4'", _FAILED, 6, 4, 0, 0, "Passed: {passed} Failed: {failed}"),
    "pattern-good": ("echo 'Passed: 6 Failed: 0'", _OK, 6, 0, 0, 0, "Passed: {passed} Failed: {failed}"),
    "pattern-unset": ("echo 'Passed: 6 Failed: 4'", _UNPROVEN, None, 0, 0, 0),
    "junit-surefire": (f"cp surefire.xml {_J}", _FAILED, 2, 1, 0, 0),
    "junit-jest": (f"cp jest.xml {_J}", _FAILED, 1, 1, 0, 1),
    "junit-go": (f"cp go.xml {_J}", _OK, 2, 0, 0, 0),
    "junit-nested": (f"cp nested.xml {_J}", _FAILED, 1, 1, 0, 0),
    "junit-claims-more": (f"cp claims.xml {_J}", _FAILED, 2, 1, 0, 0),
    "junit-cdata": (f"cp cdata.xml {_J}", _OK, 1, 0, 0, 0),
    "junit-deep": (f"cp deep.xml {_J}", _OK, 1, 0, 0, 0),
    "junit-truncated": (f"head -c 480 jest.xml > {_J}", _FAILED, 1, 1, 0, 0),
    "junit-truncated-good": (f"head -c 290 go.xml > {_J}", _UNPROVEN, 1, 0, 0, 0),
    "junit-bomb": (f"cp bomb.xml {_J}", _UNPROVEN, None, 0, 0, 0),
    "junit-bomb-utf-16": (f"iconv -f utf-8 -t utf-16 bomb.xml > {_J}", _UNPROVEN, None, 0, 0, 0),
    "junit-external-entity": (f"cp external.xml {_J}", _UNPROVEN, None, 0, 0, 0),
    "junit-parameter-entity": (f"cp parameter.xml {_J}", _UNPROVEN, None, 0, 0, 0),
    "junit-other-document": (f"cp other.xml {_J}", _UNPROVEN, None, 0, 0, 0),
    "junit-good-then-bomb": (f"cp go.xml {_J}; cp bomb.xml $(dirname {_J})/b.xml", _UNPROVEN, 2, 0, 0, 0),
}  # fmt: skip


def _record(name: str, command: str, folder: Path, extra: str) -> dict[str, Any]:
    results, output = folder / f"{name}.results", folder / f"{name}.output"
    results.mkdir()
    suites = folder / "suites"
    for path, text in _SUITES.items():
        (suites / path).parent.mkdir(parents=True, exist_ok=True)
        (suites / path).write_text(text)
    env = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(folder),
        "HOST_PYTHON": sys.executable,
        "PYTHONPATH": extra,
        "PYTHONUNBUFFERED": "1",
        "PYTEST_ADDOPTS": f"--junitxml={results / test_reports.PYTEST}",
        "BUILDGUARD_JUNIT": str(results / test_reports.ANY),
    }
    with test_reports.Reports(results, command, suites) as reports:
        shell = f"exec >{output} 2>&1; {command}"
        status = process.run(["/bin/sh", "-c", shell], cwd=suites, env=env, timeout=300).status
        written = reports.written()
    for mine in suites.glob("*/seen"):
        mine.unlink()
    return {
        "name": name,
        "status": status,
        "output": _mask(output.read_text("utf-8", "replace"), folder),
        "reports": [
            _mask(report.decode("utf-16" if report[:2] == b"\xff\xfe" else "utf-8"), folder) for report in written
        ],
    }


def _mask(text: str, folder: Path) -> str:
    """A text without what is this machine's."""
    text = text.replace(str(folder / "suites"), "/src").replace(str(folder), "/tmp").replace(sys.prefix, "/venv")
    text = re.sub(r'hostname="[^"]*"', 'hostname="host"', text)
    return re.sub(r"/[\w./-]*?/(lib/python3)", r"/\1", text)


def main(extra: str) -> None:
    """Record every case."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_record(name, str(case[0]), Path(folder), extra) for name, case in CASES.items()]
    RUNS.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
