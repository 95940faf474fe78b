"""The chain from symptom to cause: each link quotes its evidence, and nothing is claimed beyond it."""

from __future__ import annotations

from buildguard.cycles.case_results import CaseOutcome, CaseResult
from buildguard.deploy.explanation import BlockedStack, FailureFacts, explain, first_lines, is_timeout, never_ends
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.incident import SourceLocation
from buildguard.diagnose.last_event import CodeLine, LastEvent
from buildguard.diagnose.stack_dump import StackFrame
from buildguard.diagnose.verdict import Hypothesis
from tests.cycles.cycles import changed, cycle

_UNKNOWN = Diagnosis("unknown", "no line of this log is a known failure", (), (), (), ())
_CASES = (
    CaseResult("t.py::a", CaseOutcome.FAILED, 60.0, "TimeoutError: timed out", "t.py:9"),
    CaseResult("t.py::b", CaseOutcome.FAILED, 120.0, "ReadTimeout", "t.py:12"),
    CaseResult("t.py::c", CaseOutcome.PASSED, 0.1),
)
_EVENT = LastEvent("start agent x", "app/agent.py", 6, (CodeLine(7, "agent = find(name)"),))
_BLOCKED = BlockedStack(
    (StackFrame("app/agent.py", 15, "find"), StackFrame("/lib/x.py", 1, "run")), "", ("DATABASE_URL",)
)
_WAITS = FailureFacts(
    "verify", "BG504 pytest: 2 of 3 tests failed", "web-1", cases=_CASES, log_lines=("start agent x",), diagnosis=_UNKNOWN,
    event=_EVENT,
)  # fmt: skip


def _known(cause: str, *, places: tuple[SourceLocation, ...] = ()) -> Diagnosis:
    hypothesis = Hypothesis(cause, "proven", ("KeyError: 'X'",))
    return Diagnosis(cause, "X is missing", places, (hypothesis,), (SourceLocation("b.py", 2),), ("set X",))


def test_a_known_cause() -> None:
    facts = FailureFacts(
        "start", "BG502 it does not start", diagnosis=_known("missing-variable", places=(SourceLocation("a.py", 3),))
    )

    found = explain(facts)

    assert (found.cause, found.sentence) == ("missing-variable", "X is missing")
    assert [link.words for link in found.chain] == [
        "start failed: BG502 it does not start",
        "X is missing",
        "these would fail next",
    ]
    assert found.chain[1].evidence == ("a.py, line 3", "KeyError: 'X'")
    assert found.remedies == ("set X",)
    assert found.hypotheses == (("missing-variable", "proven", "KeyError: 'X'"),)
    assert not found.more


def test_a_request_that_never_ends() -> None:
    found = explain(_WAITS._replace(blocked=_BLOCKED))

    assert never_ends(_WAITS)
    assert (found.cause, found.sentence) == (
        "unknown",
        "2 tests got no answer in time (60 s, 120 s); the cause is unknown",
    )
    _symptom, tests, event, code, stack = found.chain
    assert tests.evidence[0] == "t.py::a (t.py:9) after 60 s: TimeoutError: timed out"
    assert event.words == "the log of web-1 has no error; its last event is from app/agent.py, line 6"
    assert event.evidence == ("start agent x",)
    assert code.evidence == ("app/agent.py:7: agent = find(name)",)
    assert stack.words.endswith(
        "with stand-ins for DATABASE_URL and tested the same way, a thread stays in app/agent.py, line 15"
    )
    assert stack.evidence[0] == "app/agent.py, line 15, in find"
    assert found.more == ("an event in the log before and after each call that may wait, and a timeout on it",)


def test_without_a_stack_the_report_says_what_would_show_more() -> None:
    found = explain(_WAITS._replace(blocked=BlockedStack(gap="no engine")))

    assert found.more[0] == "a stack dump of the process while a request waits: no engine"
    assert len(found.chain) == 4
    plain = explain(_WAITS._replace(event=None))
    assert plain.chain[2].words == "the log of web-1 has no error; its last line"


def test_an_error_in_the_log_is_quoted() -> None:
    found = explain(_WAITS._replace(diagnosis=_UNKNOWN._replace(quote="one\ntwo")))

    assert found.chain[2].evidence == ("one", "two")
    assert len(found.chain) == 3


def test_a_log_that_is_missing() -> None:
    gone = explain(_WAITS._replace(log_lines=(), log_gap="no right to read it", cases=()))
    empty = explain(_WAITS._replace(log_lines=(), cases=()))

    assert gone.more == ("the log of web-1, which could not be read: no right to read it",)
    assert empty.more == ("an event in the log: web-1 wrote none since this cycle began",)
    assert empty.sentence.startswith("the cause is unknown; verify failed")


def test_before_a_revision_the_words_of_the_step_are_the_cause() -> None:
    assert explain(FailureFacts("upload", "no Google credentials found")).sentence == (
        "upload failed: no Google credentials found"
    )


def test_ways_out() -> None:
    green = changed(cycle(3, a="p"), revision="web-old")
    serving = explain(_WAITS._replace(last_green=green)).remedies
    trouble = explain(FailureFacts("build", "x", diagnosis=_known(CauseId.SERVICE_TROUBLE))).remedies
    older = explain(FailureFacts("check", "x", diagnosis=_known(CauseId.TARGET_OLDER))).remedies
    local = explain(FailureFacts("build", "x", builder="local")).remedies

    assert serving[-1].startswith("git switch --detach cccccccccccc && buildguard deploy")
    assert "web-old" in serving[-1]
    assert any(remedy.startswith("buildguard deploy --build-local") for remedy in trouble)
    assert "to rule out Cloud Build" in older[-1]
    assert not any("--build-local" in remedy for remedy in local)


def test_what_is_a_timeout() -> None:
    assert is_timeout(_CASES[0])
    assert is_timeout(CaseResult("t", CaseOutcome.ERROR, detail="E   DEADLINE EXCEEDED"))
    assert not is_timeout(CaseResult("t", CaseOutcome.FAILED, message="assert 1 == 2"))
    assert not never_ends(_WAITS._replace(diagnosis=_known("missing-variable")))
    assert first_lines(["x" * 400] * 30) == ("x" * 300,) * 20
