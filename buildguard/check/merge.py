"""From what judges found in a source to what is reported of a file: one finding for one place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildguard.codes import RULE_ERRORS, Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding

MARK = b"buildguard:"  # a source without these bytes has no comment that silences a finding
_BY_ENGINE = frozenset({Code.BG101, Code.BG103, Code.BG105})


def diagnostic_of(finding: Finding, path: DisplayPath, python: str | None, engine: str) -> Diagnostic:
    """A finding in a file, for a target, beside the engine that judged the file."""
    assert isinstance(finding.code, Code)
    return Diagnostic(
        finding.code,
        finding.severity,
        path,
        finding.range,
        finding.message,
        finding.hint,
        python,
        engine if finding.code in _BY_ENGINE else "rule",
        finding.excerpt,
        finding.within,
        finding.edits,
    )


def merge_findings(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Where a rule and the compiler report the same f-string, one finding: the rule's, with the compiler's words.

    What `--select`, `--ignore` and comments silence is gone by now: the compiler's finding stands where no rule's does.
    """
    diagnostics = list(dict.fromkeys(diagnostics))  # of two engines a rule finds the same
    compilers = {
        _place(diagnostic): diagnostic
        for diagnostic in diagnostics
        if diagnostic.code == Code.BG101 and diagnostic.within is not None
    }
    if not compilers:
        return diagnostics
    kept: list[Diagnostic] = []
    reported = set()
    for diagnostic in diagnostics:
        place = _place(diagnostic)
        if diagnostic.code in RULE_ERRORS and place in compilers:
            kept.append(diagnostic if place in reported else diagnostic._replace(evidence=_words(compilers[place])))
            reported.add(place)
        else:
            kept.append(diagnostic)
    return [diagnostic for diagnostic in kept if diagnostic.code != Code.BG101 or _place(diagnostic) not in reported]


def merge_targets(diagnostics: Iterable[Diagnostic], targets: Sequence[str]) -> list[Diagnostic]:
    """One finding for each line and code that several targets or engines share: in the newest one's words, with all their names.

    `targets` are their names from the oldest to the newest.
    """
    rows: dict[tuple[object, ...], list[Diagnostic]] = {}
    seen: dict[tuple[object, ...], int] = {}
    for diagnostic in diagnostics:
        kind = (diagnostic.path, diagnostic.range.line, diagnostic.code, diagnostic.severity)
        # several on one line stay apart: the first of each target belongs together, and the second
        witness = (*kind, diagnostic.target, diagnostic.engine)
        place = seen[witness] = seen.get(witness, 0) + 1
        rows.setdefault((*kind, place if diagnostic.path is not None else diagnostic.message), []).append(diagnostic)
    return [_share_finding(row, targets) for row in rows.values()]


def _share_finding(row: list[Diagnostic], targets: Sequence[str]) -> Diagnostic:
    if len(row) == 1:
        return row[0]
    row = sorted(row, key=lambda diagnostic: targets.index(diagnostic.target) if diagnostic.target in targets else -1)
    names = tuple(dict.fromkeys(diagnostic.target for diagnostic in row if diagnostic.target is not None))
    newest = row[-1]._replace(
        engine=",".join(dict.fromkeys(diagnostic.engine for diagnostic in row if diagnostic.engine)) or None
    )
    if len(names) < 2:  # noqa: PLR2004  two services on one Python
        return newest
    return newest._replace(target=names[0], targets=names)


def _place(diagnostic: Diagnostic) -> tuple[object, ...]:
    return (diagnostic.path, diagnostic.target, diagnostic.within)


def _words(compiler: Diagnostic) -> str:
    if compiler.range.line is None or " line " in compiler.message:
        return compiler.message
    return f"{compiler.message} (line {compiler.range.line})"
