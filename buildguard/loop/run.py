"""`buildguard loop`: cycle after cycle until the gates hold, a limit is reached, or a person has to look."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

from buildguard.check.targets import Watcher
from buildguard.cycles.frozen_tests import changed_tests
from buildguard.cycles.store import write_private
from buildguard.definitions import NamedTuple
from buildguard.deploy.cycle import CycleRenderer, FinishedCycle
from buildguard.deploy.fleet import FleetReport, deploy_all
from buildguard.deploy.prepare import DeployRequest
from buildguard.diagnostic import count
from buildguard.errors import GuardError, UsageError
from buildguard.load import Project
from buildguard.loop import between, frozen
from buildguard.loop.frozen import FrozenRules
from buildguard.loop.state import LoopState, StateFile, new_state
from buildguard.project.attempts import ledger_path
from buildguard.system.fork_event import refuse_fork_event

_INTERRUPTED = 130


class LoopOptions(NamedTuple):
    """What a person asked for. `max_cycles` and `max_time` (seconds) are None without a limit.

    `restart` freezes gates, commands and tests again; `report` is a folder that gets a copy of each report.
    """

    wait: bool = False
    between: str = ""
    max_cycles: int | None = None
    max_time: float | None = None
    report: Path | None = None
    restart: bool = False


class LoopTools(NamedTuple):
    """Who is told what takes its time, who is asked, and who makes the report of a cycle."""

    watcher: Watcher
    ask: Callable[[str], bool | None]
    render: CycleRenderer


class LoopReport(NamedTuple):
    """What became of a loop: its cycles, and why it ended. `person` is set where only a person may go on."""

    cycles: tuple[FleetReport, ...]
    reason: str
    exit_code: int
    person: bool = False


class _StoppedError(Exception):
    """The loop ends here, and only a person may go on."""


def loop(request: DeployRequest, options: LoopOptions, tools: LoopTools) -> LoopReport:
    """Run cycles until one is green. Raises UsageError for a request that makes no sense."""
    refuse_fork_event("loop", os.environ)
    if request.allow_dirty:
        raise UsageError("a loop deploys commits: --allow-dirty cannot be combined with it", hint="git commit")
    if options.wait and options.between:
        raise UsageError("--wait and --between cannot be combined", hint="--between CMD makes the commit")
    return _Loop(request, options, tools).run()


class _Loop:
    """A loop under way."""

    def __init__(self, request: DeployRequest, options: LoopOptions, tools: LoopTools) -> None:
        self._request, self._options, self._tools = request, options, tools
        self._cycles: list[FleetReport] = []
        self._agreed = False
        head = between.head_of(request.cwd)
        project = _project_at(request.cwd, head)
        assert project.repository is not None
        what = ",".join(
            [*request.services, "*" * request.all_services, request.service, request.project, request.region]
        )
        self._file = StateFile(ledger_path(project.repository), what)
        if options.restart:
            self._file.remove()
        self._state = self._file.read() or new_state(frozen.rules_of(project.root_config))
        if self._state.cycles:
            self._tell(f"loop: continued after {count(self._state.cycles, 'cycle')}")

    def run(self) -> LoopReport:
        """Cycle after cycle."""
        try:
            reason = self._run()
        except _StoppedError as error:
            return LoopReport(tuple(self._cycles), str(error), 1, person=True)
        except GuardError as error:
            if error.exit_code == _INTERRUPTED:
                self._tell("loop: interrupted; the same command goes on with it")
            raise
        except KeyboardInterrupt:
            self._tell("loop: interrupted; the same command goes on with it")
            raise
        last = self._cycles[-1].exit_code if self._cycles else 1
        return LoopReport(tuple(self._cycles), reason, last)

    def _run(self) -> str:
        while True:
            head = between.head_of(self._request.cwd)
            self._check_rules(head)
            if reason := self._limit():
                return reason
            report = self._cycle(head)
            self._check_tests(report)
            if report.exit_code == 0:
                self._file.remove()
                return f"green after {count(self._state.cycles, 'cycle')}"
            if reason := self._next_commit(head, report):
                return reason

    def _cycle(self, head: str) -> FleetReport:
        self._tell(f"loop: cycle {self._state.cycles + 1}, commit {head[:12]}")
        request = self._request._replace(frozen_tests=self._state.frozen.tests)
        report = deploy_all(request, self._tools.watcher, self._tools.ask, self._tools.render, self._confirm)
        self._cycles.append(report)
        self._keep(self._state._replace(cycles=self._state.cycles + 1, commit=head))
        # what a person accepted counts for this cycle alone
        self._request = self._request._replace(accept_vanished=False)
        for finished in _finished(report):
            self._copy_reports(finished)
        return report

    def _keep(self, state: LoopState) -> None:
        self._state = state
        self._file.write(state)

    def _confirm(self, question: str) -> bool | None:
        """A person agrees to the loop once, and not to each of its deploys."""
        self._agreed = self._agreed or bool(self._tools.ask(question))
        return self._agreed or None

    def _copy_reports(self, finished: FinishedCycle) -> None:
        if self._options.report is None:
            return
        record = finished.record
        for file in finished.reports:
            name = f"{record.service.service}-{record.number:04d}{file.suffix}"
            write_private(self._options.report / name, file.read_bytes())

    # -------------------------------------------------------------------------------------- what is frozen

    def _check_rules(self, head: str) -> None:
        changed = frozen.changed_rules(
            self._state.frozen.rules, frozen.rules_of(_project_at(self._request.cwd, head).root_config)
        )
        if changed:
            raise _StoppedError(f"commit {head[:12]} changes {', '.join(changed)}, which this loop froze: {_PERSON}")

    def _check_tests(self, report: FleetReport) -> None:
        """Freeze the tests of the first cycle that ran all of them, and compare those of the others."""
        tests = dict(self._state.frozen.tests)
        changed = []
        for finished in _finished(report):
            now = frozen.tests_of(finished.record)
            if now is None:
                continue
            before = tests.setdefault(finished.record.service.path, now)
            changed += changed_tests(before, now)
        self._keep(self._state._replace(frozen=FrozenRules(self._state.frozen.rules, tests)))
        if changed:
            green = " (the deploy itself is green)" if report.exit_code == 0 else ""
            raise _StoppedError(f"the set of tests changed{green}: {'; '.join(changed)}: {_PERSON}")

    # -------------------------------------------------------------------------------------- limits and the next commit

    def _limit(self) -> str:
        """Why no further cycle may begin; empty where one may."""
        most = self._options.max_cycles
        if most is not None and self._state.cycles >= most:
            self._file.remove()
            return f"not green after {count(self._state.cycles, 'cycle')} (--max-cycles)"
        if self._left() <= 0:
            self._file.remove()
            return "not green in time (--max-time)"
        return ""

    def _left(self) -> float:
        return math.inf if self._options.max_time is None else self._options.max_time - self._state.age

    def _next_commit(self, head: str, report: FleetReport) -> str:
        """Have the next commit made, or wait for it; why there is no next cycle, else empty."""
        if reason := self._limit():
            return reason
        if self._options.between:
            return self._run_between(head, report)
        if not self._options.wait:
            return "the cycle is red; fix it and commit, then run the same command again"
        self._tell("loop: waiting for a new commit")
        return "" if between.wait_for_commit(self._request.cwd, head, self._left()) else self._limit()

    def _run_between(self, head: str, report: FleetReport) -> str:
        file = next((file for finished in _finished(report, bad=True) for file in finished.reports), None)
        self._tell(f"loop: running {self._options.between}")
        status = between.run_between(self._options.between, self._request.cwd, file)
        if status:
            return f"--between ended with status {status}"
        if between.head_of(self._request.cwd) == head:
            return "--between made no new commit"
        return ""

    def _tell(self, text: str) -> None:
        self._tools.watcher.tell(text)


_PERSON = "look at it, then run buildguard loop --restart"


def _finished(report: FleetReport, *, bad: bool = False) -> list[FinishedCycle]:
    """The cycles of a report; with `bad` those that are not green."""
    every = [each.finished for each in report.reports if each.finished is not None]
    return [finished for finished in every if not (bad and finished.record.is_green)]


def _project_at(cwd: Path, commit: str) -> Project:
    return Project.load(cwd, (f"commit:{commit}",))
