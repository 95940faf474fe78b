"""What a verify command proved: which tests ran and passed, by the JUnit XML that it wrote or unittest's own report. Pure.

A run that executed no test proved nothing, whatever its exit status is. The closing line of a runner proves nothing either,
as anything can print one; it is read to see that a run failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from buildguard.cycles import junit, runner_output
from buildguard.cycles.case_results import CaseResult, Counts, number_attempts
from buildguard.cycles.gates import GateResult, apply_gate
from buildguard.cycles.junit import JUnitFile
from buildguard.cycles.runner_output import RunnerOutput
from buildguard.definitions import NamedTuple
from buildguard.diagnose.redact import redact
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import KnownFailure, VerifyCommand

_SUSPICIOUS = 0.5  # seconds in which hardly any test against a service ends
_MOST_OUTPUT = 4000  # characters at the end of the output of a failed command that are kept in the ledger
_MOST_FAILED = 20  # tests that the ledger names


class CommandRun(NamedTuple):
    """How a command ended, what it printed, the JUnit files that it wrote, and how long it took.

    `status` is None where it did not end in time; `cut` is set where the beginning of the output was not kept.
    """

    status: int | None
    output: bytes
    reports: Sequence[bytes] = ()
    seconds: float = 0.0
    cut: bool = False


class VerifyResult(NamedTuple):
    """The result of a command: its verdict, why, tests that ran and passed (None: unknown), and seconds.

    `gate` is the share of them that has to pass, `known` the failures that did not count. `cases` are the tests that are known by name; `listed` is set where those are all of them. `output` is what it printed;
    `unexplained` says that no failure of a test explains its exit status: some may not have run.
    """

    command: str
    verdict: StepVerdict
    why: str
    ran: int | None
    passed: int | None
    seconds: float
    suspicious: bool = False
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    gate: float = 1.0
    known: tuple[str, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    listed: bool = False
    output: str = ""
    unexplained: bool = False

    @property
    def counts(self) -> Counts:
        """How many tests of each kind; an unknown number is 0."""
        return Counts(self.passed or 0, self.failed, self.errors, self.skipped)

    @property
    def bad_cases(self) -> tuple[CaseResult, ...]:
        """The tests that failed, as far as they are known by name."""
        return tuple(case for case in self.cases if case.outcome.is_bad)

    @property
    def evidence(self) -> dict[str, Any]:
        """The result as the ledger has it: an unknown number is -1, and output is kept of what did not succeed."""
        known = {name: -1 if value is None else value for name, value in self._asdict().items()}
        evidence = {
            name: value for name, value in known.items() if name not in {"cases", "listed", "output", "unexplained"}
        }
        if self.verdict is StepVerdict.OK:
            return evidence
        failed = [
            {"test": case.id, "message": redact(case.message), "place": case.place}
            for case in self.bad_cases[:_MOST_FAILED]
        ]
        return {**evidence, "failed_tests": failed, "output": redact(self.output)[-_MOST_OUTPUT:]}


class _Reading(NamedTuple):
    """Everything that was read of a run."""

    command: VerifyCommand
    status: int | None
    files: tuple[JUnitFile | None, ...]
    printed: RunnerOutput
    total: Counts | None
    cut: bool
    cases: tuple[CaseResult, ...]
    known: tuple[KnownFailure, ...]

    @property
    def gate(self) -> GateResult:
        """Whether enough of the tests passed."""
        return apply_gate(self.command.gate, self.total or Counts(), self.cases, self.known)


def judge_verify(command: VerifyCommand, run: CommandRun, known: tuple[KnownFailure, ...] = ()) -> VerifyResult:
    """The verdict on a command that ended; `known` are the failures that are known today."""
    files = tuple(junit.read(report) for report in run.reports)
    printed = runner_output.read(run.output, command.pattern_expression)
    cases = number_attempts([case for file in files if file for case in file.cases] if files else printed.cases)
    read = _Reading(command, run.status, files, printed, _total(files, printed), run.cut, cases, known)
    verdict, why = _verdict(read)
    result = VerifyResult(
        command.run,
        verdict,
        why,
        None,
        None,
        run.seconds,
        run.seconds < _SUSPICIOUS and command.tests,
        gate=command.gate,
        known=read.gate.known,
        cases=cases,
        output=run.output.decode("utf-8", "replace"),
        unexplained=_is_unexplained(read),
    )
    counts = _shown_counts(read, verdict)
    return result if counts is None else _with_counts(result, counts)


def _shown_counts(read: _Reading, verdict: StepVerdict) -> Counts | None:
    """The tests by the results, else by a closing line that reports failures; none where it failed and ended with status 0."""
    counts = read.total or next((other.counts for other in read.printed.closing if other.counts.bad), None)
    if counts is None and verdict is StepVerdict.FAILED and not read.status:
        return Counts()
    return counts


def _with_counts(result: VerifyResult, counts: Counts) -> VerifyResult:
    return result._replace(
        ran=counts.ran,
        passed=counts.passed,
        failed=counts.failed,
        errors=counts.errors,
        skipped=counts.skipped,
        listed=len(result.cases) >= counts.ran + counts.skipped,
    )


def _total(files: Sequence[JUnitFile | None], printed: RunnerOutput) -> Counts | None:
    """The tests by what counts as a result: JUnit files, else reports of unittest and lines that fit the pattern."""
    counted = [file.counts for file in files if file is not None]
    if not files:
        counted = [run.counts for run in (*printed.unittest, *printed.matched) if run.proves or run.counts.bad]
    return reduce(Counts.plus, counted, Counts()) if counted else None


def _verdict(read: _Reading) -> tuple[StepVerdict, str]:
    """The verdict and why: what went wrong, what is missing, or how many passed."""
    if read.status is None:
        return StepVerdict.UNPROVEN, f"it did not end in time{_describe_bad(read.total)}"
    if failure := _failure(read):
        return StepVerdict.FAILED, failure
    if not read.command.tests:
        return StepVerdict.OK, "the probe succeeded"
    if gap := _gap(read):
        return StepVerdict.UNPROVEN, gap
    return _of_good(read)


def _failure(read: _Reading) -> str:
    """What failed: the command, more of its tests than the gate allows, or a run that was printed; empty where nothing did."""
    total = read.total or Counts()
    if _is_unexplained(read):
        return f"it ended with status {read.status}{_describe_bad(read.total)}"
    if total.bad and not read.gate.holds:
        return _describe_failed(read)
    return _printed_failure(read)


def _is_unexplained(read: _Reading) -> bool:
    """Whether an exit status reports more than that tests failed: 1, or their number as mocha has it; 2 of pytest is a run cut short."""
    is_pytest = bool(read.printed.sessions) or any(case.suite == _PYTEST for case in read.cases)
    bad = read.total.bad if read.total is not None else 0
    explained = bool(bad) and read.status in ({1} if is_pytest else {1, bad})
    return bool(read.status) and not explained


def _describe_failed(read: _Reading) -> str:
    total = read.total or Counts()
    if read.command.gate < 1 or read.gate.known:
        return f"{total.bad} of {total.ran} tests failed: {read.gate.words}"
    ending = "" if read.status else ", and it ended with status 0"
    return f"{total.bad} of {total.ran} tests failed{ending}"


def _printed_failure(read: _Reading) -> str:
    """A run that failed by what its runner printed, and that left no results; empty where every failure was counted."""
    counted = read.total.bad if read.total is not None else 0
    bad = [run for run in read.printed.runs if run.counts.bad]
    if sum(run.counts.bad for run in bad) <= counted:
        return ""
    return f"one of its runs failed ({bad[0].line}), and it ended with status {read.status}"


def _describe_bad(total: Counts | None) -> str:
    return f": {total.bad} of {total.ran} tests failed" if total is not None and total.bad else ""


def _of_good(read: _Reading) -> tuple[StepVerdict, str]:
    """The verdict on a command whose gate holds, as far as tests ran."""
    total, line = read.total, read.printed.runs[-1].line if read.printed.runs else ""
    if total is None and line:
        return (
            StepVerdict.FAILED,
            f"it ran no test that left a result: '{line}' without a JUnit file proves nothing; {_HOW}",
        )
    if total is None:
        return StepVerdict.UNPROVEN, f"whether it ran any test is unknown: {_HOW}"
    if not total.ran:
        return StepVerdict.FAILED, f"it ran no test ({total.skipped} skipped)" if total.skipped else "it ran no test"
    if total.bad and read.printed.stopped:
        return StepVerdict.UNPROVEN, f"it ended before its last test: {read.printed.stopped}"
    return StepVerdict.OK, read.gate.words if total.bad else f"{total.passed} passed"


_PYTEST = "pytest"  # the suite in the JUnit XML that pytest writes
_HOW = "let its runner write JUnit XML to the file $BUILDGUARD_JUNIT (pytest does so by itself), or set tests = false for a probe"


def _gap(read: _Reading) -> str:
    """What keeps the results from being complete; empty where nothing does."""
    return _gap_in_files(read) if read.files else _gap_in_output(read)


def _gap_in_files(read: _Reading) -> str:
    if not all(file is not None and file.whole for file in read.files):
        return "a JUnit file that it wrote is incomplete, too large, or no JUnit XML"
    if read.printed.sessions > len(read.files):
        return f"pytest began {read.printed.sessions} runs, and only {len(read.files)} of them left results"
    return ""


def _gap_in_output(read: _Reading) -> str:
    if read.printed.unfinished:
        return "unittest's report ends before its result"
    if read.cut:
        return "its output is too long to be read"
    if read.command.pattern and not read.printed.matched:
        return f"no line that it printed fits the pattern {read.command.pattern!r}"
    return ""
