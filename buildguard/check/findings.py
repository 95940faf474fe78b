"""From what a compiler said of a source, and from its bytes, to findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildguard.check import text_rules
from buildguard.codes import RULE_ERRORS, Code
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.engines.engine import CompilerDeath, Outcome, Rejection
from buildguard.project.target import PEP_701, PythonVersion

# What a later Python refuses, among all that compilers warn of: PEP 765, invalid escapes and literals.
_BECOMES_ERROR = lazy_pattern(
    r"invalid (?:octal )?escape sequence|invalid (?:decimal|hexadecimal|octal|binary|imaginary) literal"
    r"|'(?:return|break|continue)' in a 'finally' block"
)

_NO_CODEC = "unknown encoding"  # in the message of every version that has no codec of a name


def findings(
    data: bytes, outcome: Outcome, as_script: Outcome | None, minor: int, *, exact: bool = False
) -> Iterator[Finding]:
    """Everything to be said of one source; `as_script` is the verdict on what a script start makes of its NUL bytes.

    `exact` is whether the outcome is that of the target's own compiler.
    """
    if outcome.rejected is not None:
        yield _rejection(data, outcome.rejected, minor)
    yield from text_rules.findings(data, is_codec_known=exact and _has_found_codec(outcome))
    if outcome.rejected is None and not outcome.unproven:
        refused = text_rules.refused_as_script(data) if not data.isascii() else None
        if refused is not None:
            yield refused
    elif _is_cut_at_nul(outcome) and as_script is not None and as_script.rejected is None and not as_script.unproven:
        yield text_rules.runs_as_script(data)
    for warned in outcome.warned:
        if _BECOMES_ERROR.match(warned.message):
            from buildguard.project import source_text

            message = f"{warned.category}: {warned.message}: a later Python refuses this"
            where = Range(warned.line)
            yield Finding(Code.BG105, where, message, "", source_text.excerpt_of(data, warned.line), Severity.WARNING)


def _has_found_codec(outcome: Outcome) -> bool:
    """Whether a compiler has looked up the codec of a source: which codecs there are is the target's matter."""
    return not outcome.unproven and (outcome.rejected is None or _NO_CODEC not in outcome.rejected.message)


def of_rules(data: bytes, outcome: Outcome, minor: int, *, exact: bool) -> tuple[Finding, ...]:
    """What the f-string rules say of one source, beside the verdict of a compiler, or of what predicts one.

    A source that the target itself accepted (`exact`) holds no f-string that it refuses: only warnings are left.
    """
    from buildguard.fstrings.prefilter import may_be_refused, may_nest

    accepted = outcome.rejected is None and not outcome.unproven and exact
    if accepted and (minor >= PEP_701 or not may_nest(data)):
        return ()
    if outcome.rejected is None and not accepted and not may_be_refused(data):
        return ()
    from buildguard.fstrings import rules

    ruled = rules.findings(data, minor)
    return tuple(finding for finding in ruled if finding.code not in RULE_ERRORS) if accepted else ruled


def without_engine(content: bytes, version: PythonVersion | None) -> list[Finding]:
    """What can be said of a source that nothing compiles."""
    from buildguard.check.suppressions import find_ignores
    from buildguard.fstrings import rules
    from buildguard.fstrings.prefilter import may_be_refused

    findings = [*text_rules.findings(content), *find_ignores(content)]
    if version is not None and may_be_refused(content):
        findings += rules.findings(content, version.minor)
    return findings


def explain_findings(
    data: bytes, findings_of_compiler: Iterable[Finding], ruled: Iterable[Finding], without: Outcome, minor: int
) -> list[Finding]:
    """A compiler's findings, each with the f-string that explains it.

    `without` is the verdict on the same source without the f-strings that the rules refuse: what the compiler says of
    that one too has another reason, and what it says of that one alone was hidden behind the first error.
    """
    first = next(finding.within for finding in ruled if finding.code in RULE_ERRORS)
    merged: list[Finding] = []
    rest = None if without.rejected is None else _rejection(data, without.rejected, minor)
    for finding in findings_of_compiler:
        if finding.code == Code.BG101 and (rest is None or finding[:3] != rest[:3]):
            merged.append(finding._replace(within=first))
        else:
            merged.append(finding)
    if rest is not None and rest not in merged:
        merged.append(rest)
    return merged


def _is_cut_at_nul(outcome: Outcome) -> bool:
    return outcome.rejected is not None and outcome.rejected.kind == "ValueError"


def _rejection(data: bytes, rejected: Rejection, minor: int) -> Finding:
    """BG101 or BG103: what the compiler raised, in its own words, on its own line."""
    from buildguard.project import source_text

    where = _code_points(data, rejected.range, in_parser=rejected.in_parser)
    if rejected.crashed:
        died = rejected.kind == CompilerDeath.CRASH
        message = rejected.message if died else f"{rejected.kind}: {rejected.message}".rstrip(": ")
        hint = "an import of this file fails the same way: split the expression or the literal"
        return Finding(
            Code.BG103,
            where,
            f"the compiler gives up on this file: {message}",
            hint,
            source_text.excerpt_of(data, where.line, where.column),
        )
    message = f"{rejected.kind}: {rejected.message}".rstrip(": ")
    return Finding(
        Code.BG101, where, message, _hint(rejected, minor), source_text.excerpt_of(data, where.line, where.column)
    )


def _hint(rejected: Rejection, minor: int) -> str:
    if rejected.message.startswith("f-string") and minor < PEP_701:
        return (
            "before 3.12 the braces of an f-string hold no quotes of its own kind, no backslash, no comment and no"
            " line break (PEP 701): put the expression into a name before the f-string"
        )
    return ""


def _code_points(data: bytes, where: Range, *, in_parser: bool) -> Range:
    """Columns in code points: the parser counts them so, later passes count bytes of UTF-8."""
    from buildguard.project import source_text

    column, end = where.column, where.end_column
    line = source_text.excerpt_of(data, where.line, max(column or 0, end or 0))
    if not in_parser and not line.isascii():
        column, end = _from_bytes(line, column), _from_bytes(line, end) if where.end_line == where.line else end
    if where.end_line is None or end is None or column is None or (where.end_line, end) <= (where.line or 0, column):
        return Range(where.line, column)
    return Range(where.line, column, where.end_line, end)


def _from_bytes(line: str, column: int | None) -> int | None:
    if column is None:
        return None
    return len(line.encode("utf-8")[: column - 1].decode("utf-8", "ignore")) + 1
