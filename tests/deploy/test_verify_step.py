"""The step `verify` over several commands: the worst one decides, and the cycles before have a say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from buildguard.cycles.expectations import CycleVerdict, Expectations
from buildguard.cycles.record import CycleHistory
from buildguard.cycles.test_results import VerifyResult
from buildguard.deploy import verify_step
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.verify_step import VerifyReport, VerifyTarget
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import KnownFailure, VerifyCommand
from tests.cycles.cycles import cycle, result

_NOTHING = CycleVerdict((), (), (), ())
_JUNIT = """echo '<testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"><failure/></testcase></testsuite>' > $BUILDGUARD_JUNIT; exit 1"""


def _bad(verdict: StepVerdict, command: str) -> VerifyResult:
    return result(a="f")._replace(verdict=verdict, command=command, why="bad")


def test_a_failure_weighs_more_than_what_is_unproven() -> None:
    results = (_bad(StepVerdict.UNPROVEN, "one"), _bad(StepVerdict.FAILED, "two"), result(a="p"))

    with pytest.raises(DeployStoppedError) as error:
        verify_step.conclude(VerifyReport(results, _NOTHING))

    assert error.value.exit_code == 1
    assert error.value.what == "BG504 two: bad; one: bad"
    with pytest.raises(DeployStoppedError) as unproven:
        verify_step.conclude(VerifyReport(results[:1], _NOTHING))
    assert unproven.value.exit_code == 3


def test_what_earlier_cycles_show_fails_the_step() -> None:
    verdict = _NOTHING._replace(failures=("1 test of the last cycle vanished: t",), notes=("suspicious: x",))

    with pytest.raises(DeployStoppedError) as error:
        verify_step.conclude(VerifyReport((result(a="p"),), verdict))

    assert (error.value.exit_code, error.value.what) == (1, "BG504 1 test of the last cycle vanished: t")
    words, _evidence = verify_step.conclude(VerifyReport((result(a="p"),), verdict._replace(failures=())))
    assert words == "1 test passed; suspicious: x"


@pytest.mark.interpreters
def test_the_whole_step(tmp_path: Path) -> None:
    known = (KnownFailure("t::b", "ticket 7", date(2099, 1, 1)), KnownFailure("t::x", "old", date(2020, 1, 1)))
    commands = [VerifyCommand(_JUNIT), VerifyCommand("test $BUILDGUARD_REVISION = web-1", tests=False)]
    target = VerifyTarget("http://127.0.0.1:1", "web-1", tmp_path)

    report = verify_step.verify(commands, target, Expectations(CycleHistory((cycle(1, a="p"),)), known=known))

    assert [found.verdict for found in report.results] == ["ok", "ok"]
    assert report.verdict.missing == ("t.py::a",)
    assert report.verdict.notes == ("the known failure t::x expired on 2020-01-01: old",)
    fine = verify_step.verify(commands, target, Expectations(known=known))
    assert verify_step.conclude(fine)[0].startswith("1 test passed, 1 probe succeeded")
