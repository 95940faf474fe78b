"""From what judges found in a source to what is reported of a file: one finding for one place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildguard.codes import RULE_ERRORS
from buildguard.diagnostic import Diagnostic, Finding

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
    diagnostics = list(dict.fromkeys(diagnostics))  # of two engines a rule finds the same
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


def across_targets(diagnostics: Iterable[Diagnostic], targets: Sequence[str]) -> list[Diagnostic]:
    """One finding for each line and code that several targets or engines share: in the newest one's words, with all their names.

    `targets` are their names from the oldest to the newest.
    """
    rows: dict[tuple[object, ...], list[Diagnostic]] = {}
    seen: dict[tuple[object, ...], int] = {}
    for one in diagnostics:
        kind = (one.path, one.range.line, one.code, one.severity)
        # several on one line stay apart: the first of each target belongs together, and the second
        witness = (*kind, one.target, one.engine)
        place = seen[witness] = seen.get(witness, 0) + 1
        rows.setdefault((*kind, place if one.path is not None else one.message), []).append(one)
    return [_shared(row, targets) for row in rows.values()]


def _shared(row: list[Diagnostic], targets: Sequence[str]) -> Diagnostic:
    if len(row) == 1:
        return row[0]
    row = sorted(row, key=lambda one: targets.index(one.target) if one.target in targets else -1)
    names = tuple(dict.fromkeys(one.target for one in row if one.target is not None))
    newest = row[-1]._replace(engine=",".join(dict.fromkeys(one.engine for one in row if one.engine)) or None)
    if len(names) < 2:  # noqa: PLR2004  two services on one Python
        return newest
    return newest._replace(target=names[0], targets=names)


def _place(one: Diagnostic) -> tuple[object, ...]:
    return (one.path, one.target, one.within)


def _words(compiler: Diagnostic) -> str:
    if compiler.range.line is None or " line " in compiler.message:
        return compiler.message
    return f"{compiler.message} (line {compiler.range.line})"
