"""What an older deploy's log says of the current commit."""

from __future__ import annotations

import pytest

from buildguard.diagnose.events import Event
from buildguard.diagnose.incident import ImportFinding, IncidentEvidence, LocatedFailure, SourceLocation, TargetRefusal
from buildguard.diagnose.log_parser import Failure
from buildguard.diagnose.older_deploy import add_commit, remedies

_PLACE = SourceLocation("a.py", 2)
_FAILURE = Failure("SyntaxError", "invalid syntax", (), 5)
_LED = [Event(5, "target-older-than-code", "words", "sentence")]
_EVIDENCE = IncidentEvidence(
    (LocatedFailure(_FAILURE, _PLACE, older_commit="abc (2026-01-01)"),), (), (), True, "", "3.10", "Dockerfile", "", "none",
    (), (), (), (), (), accepted=frozenset({"a.py"}), compiler="CPython 3.10.1",
)  # fmt: skip


def test_the_current_commit_is_deployed() -> None:
    assert [words.partition("    ")[0] for words in remedies(_LED, _EVIDENCE)] == ["buildguard deploy"]
    assert add_commit("x", _LED, _EVIDENCE).endswith("another one, which CPython 3.10.1 compiles")


@pytest.mark.parametrize(
    "evidence",
    [
        _EVIDENCE._replace(refused=(TargetRefusal(_PLACE, "BG101", "no", "3.10", None),)),
        _EVIDENCE._replace(failures=(LocatedFailure(_FAILURE, _PLACE),)),
    ],
)
def test_a_file_that_is_still_refused_is_no_repair(evidence: IncidentEvidence) -> None:
    assert list(remedies(_LED, evidence)) == []
    assert add_commit("x", _LED, evidence) == "x"


def test_imports_that_fail_come_first() -> None:
    finding = ImportFinding(0, _PLACE, "BG604", "no module", "3.10")

    first, last = remedies(_LED, _EVIDENCE._replace(broken_imports=(finding,)))

    assert first.startswith("buildguard check ")
    assert last.startswith("buildguard deploy ")
