"""BG605 from what was read: how hard it is, and what a backport repairs."""

from __future__ import annotations

from buildguard.diagnostic import Severity
from buildguard.imports.evaluated import judge_types
from buildguard.imports.records import EvaluatedType, FileReach, Guard

_UNION = EvaluatedType(3, 8, "union", "int | None")
_REACHED = FileReach(certain=True)


def test_what_runs_at_import_is_an_error_and_the_rest_a_warning() -> None:
    (error,) = judge_types([_UNION], _REACHED, "3.9", has_backport=False).findings
    (guarded,) = judge_types([_UNION._replace(guard=Guard.CONDITIONAL)], _REACHED, "3.9", has_backport=False).findings
    (unreached,) = judge_types([_UNION], FileReach(certain=False), "3.9", has_backport=False).findings

    assert (error.code, error.severity, error.range[:2]) == ("BG605", Severity.ERROR, (3, 8))
    assert error.message == "int | None raises TypeError on Python 3.9 at import: it needs Python 3.10"
    assert {guarded.severity, unreached.severity} == {Severity.WARNING}


def test_a_backport_repairs_what_is_read_and_nothing_else() -> None:
    read = _UNION._replace(kind="union-read")

    assert len(judge_types([_UNION, read], _REACHED, "3.9", has_backport=False).findings) == 2
    assert [finding.range.line for finding in judge_types([read], _REACHED, "3.9", has_backport=True).findings] == []
    assert len(judge_types([_UNION], _REACHED, "3.9", has_backport=True).findings) == 1


def test_brackets_need_the_version_that_brought_them() -> None:
    row = EvaluatedType(1, 1, "generic", "list[int]")

    (finding,) = judge_types([row], FileReach(certain=True, chain=("main", "db")), "3.8", has_backport=False).findings

    assert finding.message.endswith("it needs Python 3.9 (main → db)")
    assert "List" in finding.hint


def test_what_a_metaclass_may_decide_is_undecided() -> None:
    row = _UNION._replace(kind="undecided-union", text="Cat | Dog")

    for kind in ("undecided-union", "undecided-union-read"):
        verdict = judge_types([row._replace(kind=kind)], _REACHED, "3.9", has_backport=False)
        assert verdict.findings == ()
        assert verdict.undecided == (
            (3, "a metaclass may give Cat | Dog a meaning; without one it needs Python 3.10", True),
        )
    assert judge_types([row._replace(kind="undecided-union-read")], _REACHED, "3.9", has_backport=True).undecided == ()
