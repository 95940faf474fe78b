"""One finding for one place: a rule's before a compiler's, and one for all targets that share it."""

from __future__ import annotations

from buildguard.check.merge import diagnostic_of, merge_findings, merge_targets
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, Range, Severity

_WITHIN = Range(3, 1, 3, 20)
_RULE = Diagnostic(
    Code.BG201, Severity.ERROR, DisplayPath("a.py"), Range(3, 5), "reuses its quote", target="3.11", within=_WITHIN
)
_COMPILER = Diagnostic(
    Code.BG101, Severity.ERROR, DisplayPath("a.py"), Range(3, 9), "SyntaxError: bad", target="3.11", within=_WITHIN
)


def test_a_finding_is_attributed_to_the_engine_only_where_that_spoke() -> None:
    assert (
        diagnostic_of(Finding(Code.BG101, Range(1), "m"), DisplayPath("a.py"), "3.11", "interpreter").engine
        == "interpreter"
    )
    assert (
        diagnostic_of(Finding(Code.BG201, Range(1), "m"), DisplayPath("a.py"), "3.11", "interpreter").engine == "rule"
    )


def test_a_rule_takes_over_the_words_of_the_compiler() -> None:
    assert merge_findings([_COMPILER, _RULE]) == [_RULE._replace(evidence="SyntaxError: bad (line 3)")]
    assert merge_findings([_RULE, _RULE]) == [_RULE]


def test_a_compiler_finding_without_a_rule_stays() -> None:
    alone = _COMPILER._replace(within=Range(9, 1, 9, 5))
    elsewhere = _COMPILER._replace(within=None)

    assert merge_findings([alone, elsewhere, _RULE]) == [alone, elsewhere, _RULE]


def test_targets_share_a_finding_in_the_words_of_the_newest() -> None:
    old = _COMPILER._replace(target="3.8", message="old words")
    new = _COMPILER._replace(target="3.11", message="new words")
    other_line = _COMPILER._replace(target="3.8", range=Range(4))

    shared, alone = merge_targets([new, old, other_line], ["3.8", "3.11"])

    assert (shared.message, shared.target, shared.targets) == ("new words", "3.8", ("3.8", "3.11"))
    assert alone == other_line


def test_two_findings_on_one_line_of_one_target_stay_two() -> None:
    first, second = _RULE, _RULE._replace(range=Range(3, 12))

    assert len(merge_targets([first, second, first._replace(target="3.8")], ["3.8", "3.11"])) == 2
