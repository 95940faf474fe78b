"""A diagnosis for people, for programs, and for an incident report: the answer first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import click

from buildguard.cli.render import safe_json
from buildguard.cli.render.source_line import fold, fold_behind
from buildguard.definitions import NamedTuple
from buildguard.diagnose.cause import HEALTHY, UNKNOWN
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.verdict import PROVEN, REFUTED, UNTESTED, Hypothesis
from buildguard.diagnostic import escape_text

_MOST = 30
_GAP = " " * 4  # between a command and its explanation
_NARROWEST = 30


def text(diagnosis: Diagnosis, width: int = 0) -> str:
    """The cause in one sentence, then evidence, what fails next, what to do, and what was refuted or not tested.

    Sentences are folded at `width` columns, 0 folds nothing. Commands and lines of a log stay whole, so that they can be pasted.
    """
    lines: list[str] = []
    for block in _blocks(diagnosis):
        for line in block.lines:
            lines += _fold_explanation(line, width) if block.is_verbatim else fold(line, width, block.indent)
    return "\n".join(lines).rstrip("\n") + "\n"


class _TextSection(NamedTuple):
    """Lines of the text; `indent` is before what is folded of them, and `is_verbatim` folds none."""

    lines: Sequence[str]
    indent: str = "    "
    is_verbatim: bool = False


def _fold_explanation(line: str, width: int) -> list[str]:
    """A command as it is, and what is explained behind it in a column of its own; any other line as it is."""
    command, gap, words = line.rpartition(_GAP)
    if not command.strip() or len(command) + len(gap) + _NARROWEST > width or not words.strip():
        return [line]
    return fold_behind(f"{command}{gap}", words, width)


def remedies_title(diagnosis: Diagnosis) -> str:
    """What is above the remedies: where no cause is known they repair nothing, they show more."""
    return "to find out more" if diagnosis.cause == UNKNOWN else "to repair it"


def _blocks(diagnosis: Diagnosis) -> Iterator[_TextSection]:
    colour = {0: "green", 1: "red"}.get(diagnosis.exit_code, "yellow")
    headline = f"{click.style(diagnosis.cause, bold=True, fg=colour)}: {escape_text(_headline(diagnosis))}"
    yield _TextSection([headline], "  ")
    fixes = [] if diagnosis.cause == UNKNOWN else diagnosis.remedies[:1]
    yield _TextSection([*(f"fix: {escape_text(remedy)}" for remedy in fixes), ""], is_verbatim=True)
    yield _TextSection(list(_evidence(diagnosis)), "     ")
    yield _TextSection(_block("would have failed next:", [str(place) for place in diagnosis.next]))
    title = "other repairs:" if fixes else f"{remedies_title(diagnosis)}:"
    yield _TextSection(_block(title, list(diagnosis.remedies[len(fixes) :])), is_verbatim=True)
    refuted = [
        f"{hypothesis.id}: {'; '.join(hypothesis.evidence)}"
        for hypothesis in diagnosis.hypotheses
        if hypothesis.verdict == REFUTED
    ]
    yield _TextSection(_block("refuted:", refuted))
    yield _TextSection(_block("the log:", diagnosis.quote.splitlines()), is_verbatim=True)
    yield _TextSection(_block("notes:", list(diagnosis.notes)))
    yield _TextSection(_untested(diagnosis), "  ")


def _evidence(diagnosis: Diagnosis) -> Iterator[str]:
    number = 0
    for hypothesis in _ordered(diagnosis):
        if hypothesis.verdict != PROVEN:
            continue
        yield "evidence:" if hypothesis.id == diagnosis.cause else f"also proven: {hypothesis.id}"
        for words in hypothesis.evidence:
            number += 1
            yield f"  {number}. {escape_text(words)}"
        yield ""


def _ordered(diagnosis: Diagnosis) -> Iterator[Hypothesis]:
    """The cause before the others."""
    yield from sorted(diagnosis.hypotheses, key=lambda hypothesis: hypothesis.id != diagnosis.cause)


def _untested(diagnosis: Diagnosis) -> list[str]:
    """One line with what was not tested; the reasons are in the JSON."""
    names = [hypothesis.id for hypothesis in diagnosis.hypotheses if hypothesis.verdict == UNTESTED]
    return [f"not tested (--format json has the reasons): {', '.join(names)}"] if names else []


def _headline(diagnosis: Diagnosis) -> str:
    """The sentence with its place, if it does not name it itself."""
    first = next((str(place) for place in diagnosis.place), "")
    named = not first or first in diagnosis.sentence or diagnosis.place[0].path in diagnosis.sentence
    return diagnosis.sentence if named else f"{diagnosis.sentence} ({first})"


def _block(title: str, rows: list[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return [title, *(f"  {escape_text(row)}" for row in rows[:_MOST]), *more, ""]


def as_json(diagnosis: Diagnosis) -> str:
    """Schema 1 of the contract."""
    answer = {
        "schema": 1,
        "cause": diagnosis.cause,
        "sentence": diagnosis.sentence,
        "place": [place._asdict() for place in diagnosis.place],
        "hypotheses": [
            {
                "id": hypothesis.id,
                "verdict": hypothesis.verdict,
                "evidence": list(hypothesis.evidence),
                **({"reason": hypothesis.reason} if hypothesis.verdict == UNTESTED else {}),
            }
            for hypothesis in diagnosis.hypotheses
        ],
        "imports": [
            {
                "code": finding.code,
                **finding.place._asdict(),
                "message": finding.message,
                "target": finding.target or None,
                "chain": list(finding.chain),
                "lowest": finding.lowest or None,
                "highest": finding.highest or None,
            }
            for finding in diagnosis.imports
        ],
        "next": [place._asdict() for place in diagnosis.next],
        "remedies": list(diagnosis.remedies),
        "quote": diagnosis.quote,
        "notes": list(diagnosis.notes),
        "exit_code": diagnosis.exit_code,
    }
    return safe_json.dumps(answer)


def markdown(diagnosis: Diagnosis) -> str:
    """For an issue or an incident report, at most 25 lines; what comes from outside is in code spans."""
    head = "Nothing failed" if diagnosis.cause == HEALTHY else f"Cause: {diagnosis.cause}"
    lines = [f"## {head}", "", _span(_headline(diagnosis)), ""]
    evidence = [
        words for hypothesis in _ordered(diagnosis) if hypothesis.verdict == PROVEN for words in hypothesis.evidence
    ]
    for title, rows, most in (
        (remedies_title(diagnosis).capitalize(), list(diagnosis.remedies), 4),
        ("Evidence", evidence or diagnosis.quote.splitlines(), 5),
        ("Would have failed next", [str(place) for place in diagnosis.next], 3),
        ("Notes", list(diagnosis.notes), 1),
    ):
        if rows:
            more = f" (and {len(rows) - most} more)" if len(rows) > most else ""
            lines += [f"**{title}{more}**", *(f"- {_span(row)}" for row in rows[:most])]
    return "\n".join([*lines, "", _summary(diagnosis)]) + "\n"


def _summary(diagnosis: Diagnosis) -> str:
    """Which other causes were proven or refuted, and how many were not tested, on one line."""
    by_verdict = {
        verdict: [hypothesis.id for hypothesis in diagnosis.hypotheses if hypothesis.verdict == verdict]
        for verdict in (PROVEN, REFUTED, UNTESTED)
    }
    also = [name for name in by_verdict[PROVEN] if name != diagnosis.cause]
    parts = [f"Also proven: {', '.join(also)}."] if also else []
    parts += [f"Refuted: {', '.join(by_verdict[REFUTED])}."] if by_verdict[REFUTED] else []
    return " ".join([*parts, f"Not tested: {len(by_verdict[UNTESTED])} of {len(diagnosis.hypotheses)} causes."])


def _span(words: str) -> str:
    """A code span that its content cannot leave."""
    safe = escape_text(words.replace("\n", " "))
    fence = "`" * (max((len(run) for run in _runs(safe)), default=0) + 1)
    return f"{fence} {safe} {fence}" if "`" in safe else f"`{safe}`"


def _runs(words: str) -> list[str]:
    import re

    return re.findall("`+", words)


RENDERINGS: Mapping[str, Callable[[Diagnosis], str]] = {"text": text, "json": as_json, "markdown": markdown}
