"""The loop around deploys: what is frozen, limits, what comes between, and going on after an end."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from click import unstyle

from buildguard.cli.loop import parse_duration
from buildguard.cli.render.loop import loop_json, loop_text
from buildguard.cycles import frozen_tests, store
from buildguard.cycles.expectations import Expectations, judge_cycle
from buildguard.cycles.frozen_tests import FrozenTests, changed_tests
from buildguard.cycles.record import CycleHistory, CycleRecord
from buildguard.deploy.cycle import FinishedCycle
from buildguard.deploy.fleet import FleetReport
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import DeployReport
from buildguard.errors import DeployInterruptedError, UnprovenError, UsageError
from buildguard.loop import between, frozen, run
from buildguard.loop.run import LoopOptions, LoopReport, LoopTools
from buildguard.loop.state import StateFile, new_state
from buildguard.project import config
from buildguard.project.attempts import ledger_path
from buildguard.project.ledger import StepVerdict
from buildguard.system import git
from tests.conftest import Project
from tests.cycles.cycles import SERVICE, changed, cycle, result
from tests.deploy.conftest import Watcher
from tests.deploy.plans import prepared

pytestmark = pytest.mark.interpreters
_TOML = '[deploy]\nservice = "web"\nverify = [{{run = "pytest", gate = {gate}}}]\n'


def _deploy(record: CycleRecord, report: Path | None = None) -> FleetReport:
    verdict = {0: StepVerdict.OK, 3: StepVerdict.UNPROVEN}.get(record.exit_code, StepVerdict.FAILED)
    outcome = StepOutcome(DeployStep.VERIFY, verdict, 1.0, "words", {})
    finished = FinishedCycle(record, CycleHistory(), (), (report,) if report is not None else ())
    return FleetReport(
        (DeployReport(prepared().plan, (outcome,), revision="web-1", url="http://x", finished=finished),)
    )


class _Deploys:
    """Stands in for deploys: returns these cycles, one after the other, and remembers what was asked for."""

    def __init__(self, *records: CycleRecord | BaseException) -> None:
        self._records = [*records]
        self.requests: list[DeployRequest] = []
        self.report: Path | None = None

    def __call__(
        self, request: DeployRequest, _watcher: Any, _ask: Any, _render: Any, confirm: Callable[[str], bool | None]
    ) -> FleetReport:
        if not confirm("shall it begin?"):
            raise UsageError("aborted")
        self.requests.append(request)
        record = self._records.pop(0)
        if isinstance(record, BaseException):
            raise record
        return _deploy(changed(record, commit=between.head_of(request.cwd)), self.report)


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    return repository({"buildguard.toml": _TOML.format(gate=1), "a.py": ""})


@pytest.fixture
def loop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoopReport]:
    def start(
        *records: CycleRecord | BaseException | _Deploys, answers: bool | None = True, **options: Any
    ) -> LoopReport:
        deploys = (
            records[0] if isinstance(records[0], _Deploys) else _Deploys(*cast("tuple[CycleRecord, ...]", records))
        )
        monkeypatch.setattr(run, "deploy_all", deploys)
        tools = LoopTools(Watcher(), lambda _question: answers, lambda *_a: {})
        return run.loop(DeployRequest(cwd=project.path), LoopOptions(**options), tools)

    return start


def _commit(project: Project, files: Mapping[str, str | bytes]) -> str:
    """A command that commits these files."""
    script = project.path.parent / f"commit{len(list(project.path.parent.glob('commit*')))}.py"
    text = (
        f"import pathlib, subprocess\nfor name, text in {dict(files)!r}.items(): pathlib.Path(name).write_text(text)\n"
    )
    text += (
        "subprocess.run(['git', '-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '-qam', 'more'], check=True)\n"
    )
    script.write_text(text)
    return f"python3 {script}"


def test_until_it_is_green(project: Project, loop: Callable[..., LoopReport]) -> None:
    found = loop(cycle(1, 1, a="f"), cycle(2, a="p"), between=_commit(project, {"a.py": "x = 1\n"}))

    assert (found.exit_code, found.reason, len(found.cycles)) == (0, "green after 2 cycles", 2)
    text = unstyle(loop_text(found)).splitlines()
    assert text[-3].startswith("cycle 1 of web, commit")
    assert text[-2].endswith("green: 1 of 1 test passed (100 %)")
    assert text[-1] == "loop: green after 2 cycles"
    answer = json.loads(loop_json(found))
    assert [one["exit_code"] for one in answer["cycles"]] == [1, 0]
    assert answer["needs_person"] is False


def test_without_a_way_on_it_ends_and_goes_on_later(loop: Callable[..., LoopReport], project: Project) -> None:
    first = loop(cycle(1, 1, a="f"))
    second = loop(cycle(2, 1, a="f"), max_cycles=2)

    assert (first.exit_code, first.reason.partition(";")[0]) == (1, "the cycle is red")
    assert second.reason == "not green after 2 cycles (--max-cycles)"
    assert loop(cycle(3, 3), max_cycles=1).exit_code == 3  # counted from 1 again


def test_a_commit_that_changes_a_gate_stops_it(project: Project, loop: Callable[..., LoopReport]) -> None:
    command = _commit(project, {"buildguard.toml": _TOML.format(gate=0.1)})
    deploys = _Deploys(cycle(1, 1, a="f"), cycle(2, a="p"))

    found = loop(deploys, between=command)

    assert (found.person, found.exit_code, len(deploys.requests)) == (True, 1, 1)
    assert "changes web: verify" in found.reason
    assert loop(_Deploys(cycle(2, a="p"))).person  # also where it is started again
    assert loop(cycle(2, a="p"), restart=True).exit_code == 0


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ({"a": "p", "b": "p", "c": "p"}, "tests added: t.py::c"),
        ({"a": "p"}, "tests removed: t.py::b"),
        ({"a": "p", "b": "s"}, "tests skipped: t.py::b"),
    ],
)
def test_a_changed_set_of_tests_stops_it(
    project: Project, loop: Callable[..., LoopReport], tests: dict[str, str], words: str
) -> None:
    deploys = _Deploys(cycle(1, 1, a="f", b="p"), cycle(2, 1, **tests))

    found = loop(deploys, between=_commit(project, {"a.py": "x = 1\n"}))

    assert found.person
    assert words in found.reason
    frozen = deploys.requests[1].frozen_tests[SERVICE.path]
    assert frozen == FrozenTests(("t.py::a", "t.py::b"))
    # the step verify fails by it, before any traffic moves
    assert judge_cycle([result(**tests)], Expectations(frozen=frozen)).failures == (words,)


def test_a_run_that_broke_off_freezes_nothing(project: Project, loop: Callable[..., LoopReport]) -> None:
    broken = cycle(1, 1, collect="e")
    broken = changed(broken, commands=(broken.commands[0]._replace(unexplained=True, verdict="failed"),))

    assert frozen.tests_of(broken) is None
    assert loop(broken, cycle(2, a="p"), between=_commit(project, {"a.py": "x = 1\n"})).exit_code == 0
    assert changed_tests(FrozenTests(("a",), ("b",)), FrozenTests(("a", "b"))) == []
    assert frozen_tests.freeze(cycle(1, a="p", b="s").cases) == FrozenTests(("t.py::a",), ("t.py::b",))


def test_a_command_that_fails_or_commits_nothing_ends_it(loop: Callable[..., LoopReport]) -> None:
    assert loop(cycle(1, 1, a="f"), between="exit 7").reason == "--between ended with status 7"
    assert loop(cycle(2, 1, a="f"), between="true").reason == "--between made no new commit"


def test_time_is_limited(loop: Callable[..., LoopReport]) -> None:
    found = loop(cycle(1, 1, a="f"), wait=True, max_time=0.0)

    assert (found.cycles, found.reason) == ((), "not green in time (--max-time)")
    assert loop(cycle(1, 1, a="f"), wait=True, max_time=1.0).reason == "not green in time (--max-time)"


def test_reports_are_handed_over_and_copied(project: Project, loop: Callable[..., LoopReport], tmp_path: Path) -> None:
    deploys = _Deploys(cycle(1, 1, a="f"), cycle(2, a="p"))
    deploys.report = tmp_path / "run1.md"
    deploys.report.write_text("# Cycle 1\n")
    command = f"cat $BUILDGUARD_REPORT > {tmp_path}/seen; {_commit(project, {'a.py': 'x = 1'})}"

    loop(deploys, between=command, report=tmp_path / "reports")

    assert (tmp_path / "seen").read_text() == "# Cycle 1\n"
    copies = sorted((tmp_path / "reports").iterdir())
    assert [file.name for file in copies] == ["web-0001.md", "web-0002.md"]
    assert stat.S_IMODE(copies[0].stat().st_mode) == 0o600


def test_an_interruption_keeps_the_state(project: Project, loop: Callable[..., LoopReport]) -> None:
    for error in (KeyboardInterrupt(), DeployInterruptedError("web", "traffic", "web-1", 10, "buildguard rollback")):
        with pytest.raises((KeyboardInterrupt, DeployInterruptedError)):
            loop(cycle(1, 1, a="f"), error, between=_commit(project, {"a.py": f"{error!r}"}))
    repository = git.repository_of(project.path)
    assert repository is not None
    state = StateFile(ledger_path(repository), ",,,").read()
    assert state is not None
    assert state.cycles == 2


def test_what_makes_no_sense(
    project: Project, loop: Callable[..., LoopReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--wait and --between"):
        loop(cycle(1), wait=True, between="x")
    with pytest.raises(UsageError, match="aborted"):
        loop(cycle(1), answers=None)
    monkeypatch.setenv("CHANGE_FORK", "other")
    with pytest.raises(UsageError, match="loop is refused"):
        loop(cycle(1))
    with pytest.raises(UsageError):
        parse_duration("soon")
    assert parse_duration("2h") == 7200
    assert parse_duration(None) is None


def test_the_state_of_another_loop_and_a_damaged_one(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "ledger.jsonl", "web")
    state = new_state(frozen.rules_of(config.Config()))
    file.write(state._replace(cycles=3))

    assert file.read() == state._replace(cycles=3)
    assert StateFile(tmp_path / "ledger.jsonl", "api").read() is None
    (tmp_path / "loop.json").write_text("{")
    with pytest.raises(UnprovenError, match="cannot be read"):
        file.read()
    file.remove()
    assert file.read() is None
    assert store.FOLDER == "cycles"


_ODD: tuple[object, ...] = (None, [], float("inf"))
_STATE = {
    "schema": 1,
    "what": "api",
    "frozen": {"rules": {}, "tests": {}},
    "cycles": 1,
    "began": "2026-01-01T00:00:00+00:00",
    "commit": "",
}


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "null", "[]", "9" * 5000]
    + [json.dumps({**_STATE, key: odd}) for key in ("frozen", "cycles", "began") for odd in _ODD]
    + [json.dumps({**_STATE, "began": "2026-01-01"}), json.dumps({**_STATE, "frozen": {"rules": [], "tests": []}})],
)
def test_a_state_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "loop.json").write_text(text)

    with pytest.raises(UnprovenError, match="cannot be read, and holds what the last loop froze"):
        StateFile(tmp_path / "ledger.jsonl", "api").read()
    (tmp_path / "loop.json").write_text(json.dumps(_STATE))
    state = StateFile(tmp_path / "ledger.jsonl", "api").read()
    assert state is not None
    assert state.age > 0
