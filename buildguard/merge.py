"""From what judges found in a source to what is reported of a file: one finding for one place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.catalogue import RULE_ERRORS
from buildguard.diagnostic import Diagnostic

if TYPE_CHECKING:
    from buildguard.diagnostic import Finding

IGNORE = "ignore"  # the code of a comment that silences others: among the findings of a source, never reported
MARK = b"buildguard:"  # no comment does without
_BY_ENGINE = frozenset({"BG101", "BG103", "BG105"})


def diagnostic_of(one: Finding, path: str, python: str, engine: str) -> Diagnostic:
    """A finding in a file, for a target, beside the engine that judged the file."""
    return Diagnostic(
        one.code,
        one.severity,
        path,
        one.range,
        one.message,
        one.hint,
        python,
        engine if one.code in _BY_ENGINE else "rule",
        one.excerpt,
        one.within,
        one.edits,
    )


def merged(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Where a rule and the compiler speak of the same f-string, one finding: the rule's, with the compiler's words.

    What `--select`, `--ignore` and comments silence is gone by now: the compiler's finding stands where no rule's does.
    """
    compilers = {_place(one): one for one in diagnostics if one.code == "BG101" and one.within is not None}
    if not compilers:
        return diagnostics
    kept: list[Diagnostic] = []
    told = set()
    for one in diagnostics:
        place = _place(one)
        if one.code in RULE_ERRORS and place in compilers:
            kept.append(one if place in told else one._replace(evidence=_words(compilers[place])))
            told.add(place)
        else:
            kept.append(one)
    return [one for one in kept if one.code != "BG101" or _place(one) not in told]


def _place(one: Diagnostic) -> tuple[object, ...]:
    return (one.path, one.target, one.within)


def _words(compiler: Diagnostic) -> str:
    if compiler.range.line is None or " line " in compiler.message:
        return compiler.message
    return f"{compiler.message} (line {compiler.range.line})"
