"""From what a compiler said of a source, and from its bytes, to findings."""

from __future__ import annotations

from buildguard.check.findings import explain_findings, findings, of_rules
from buildguard.codes import Code
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.engines.engine import CompilerWarning, Outcome, Rejection

_ACCEPTED = Outcome(0, b"")
_NESTED = b"x = f'{d['key']}'\n"


def _rejected(message: str, where: Range = Range(1, 2), kind: str = "SyntaxError", **more: bool) -> Outcome:  # noqa: B008
    return Outcome(0, b"", Rejection(kind, message, where, **more))


def _codes(data: bytes, outcome: Outcome, as_script: Outcome | None = None, minor: int = 11) -> list[str]:
    return [finding.code for finding in findings(data, outcome, as_script, minor)]


def test_a_rejection_keeps_the_words_of_the_compiler() -> None:
    (finding,) = findings(b"x = = 1\n", _rejected("invalid syntax", Range(1, 5)), None, 11)

    assert (finding.code, finding.message, finding.range) == ("BG101", "SyntaxError: invalid syntax", Range(1, 5))
    assert finding.excerpt == "x = = 1"
    assert not finding.hint


def test_an_fstring_error_has_a_hint_before_312_only() -> None:
    outcome = _rejected("f-string: unmatched '('")

    assert "PEP 701" in next(findings(_NESTED, outcome, None, 11)).hint
    assert not next(findings(_NESTED, outcome, None, 12)).hint


def test_a_compiler_that_died_is_bg103() -> None:
    assert _codes(b"x = 1\n", _rejected("Segmentation fault", kind="crash", crashed=True)) == ["BG103"]


def test_columns_of_later_passes_are_counted_in_code_points() -> None:
    data = "é = yield\n".encode()

    (finding,) = findings(data, _rejected("'yield' outside function", Range(1, 6), in_parser=False), None, 11)

    assert finding.range.column == 5


def test_only_what_a_later_python_refuses_is_bg105() -> None:
    warned = (
        CompilerWarning("SyntaxWarning", "invalid escape sequence '\\d'", 1),
        CompilerWarning("SyntaxWarning", '"is" with a literal', 2),
    )

    assert _codes(b"x = '\\d'\n", Outcome(0, b"", warned=warned)) == ["BG105"]


def test_nul_bytes_that_a_script_start_survives_are_reported() -> None:
    cut = _rejected("source code string cannot contain null bytes", kind="ValueError")

    assert "BG107" in _codes(b"x = 1\n\0", cut, _ACCEPTED)
    assert "BG107" not in _codes(b"x = 1\n\0", cut, Outcome(0, b"", unproven="lost"))


def test_rules_speak_where_no_compiler_of_the_target_accepted() -> None:
    assert [rule.code for rule in of_rules(_NESTED, _ACCEPTED, 11, exact=False)] == ["BG201"]
    assert of_rules(_NESTED, _ACCEPTED, 11, exact=True) == ()
    assert of_rules(b"x = 1\n", _ACCEPTED, 11, exact=False) == ()
    nested = of_rules(b"x = f'{f\"{1}\"}'\n", _ACCEPTED, 11, exact=True)
    assert {rule.severity for rule in nested} <= {Severity.WARNING}


def test_an_error_that_stays_without_the_fstring_has_another_reason() -> None:
    within = Range(1, 5, 1, 16)
    rule = Finding(Code.BG201, within, "reuses its quote", within=within)
    compiler = Finding(Code.BG101, Range(1, 2), "SyntaxError: f-string: bad")

    (explained,) = explain_findings(_NESTED, [compiler], [rule], _ACCEPTED, 11)
    assert explained.within == within

    hidden = explain_findings(_NESTED, [compiler], [rule], _rejected("invalid syntax", Range(2, 1)), 11)
    assert [(finding.message, finding.within) for finding in hidden] == [
        ("SyntaxError: f-string: bad", within),
        ("SyntaxError: invalid syntax", None),
    ]
