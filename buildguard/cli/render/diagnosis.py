"""A diagnosis for people, for programs, and for an incident report: the answer first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import click

from buildguard.diagnose.cause import HEALTHY
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.verdict import PROVEN, REFUTED, UNTESTED, Hypothesis
from buildguard.diagnostic import escape_text

_MOST = 30


def text(diagnosis: Diagnosis) -> str:
    """The cause in one sentence, then evidence, what fails next, what to do, and what was refuted or not tested."""
    colour = {0: "green", 1: "red"}.get(diagnosis.exit_code, "yellow")
    lines = [f"{click.style(diagnosis.cause, bold=True, fg=colour)}: {escape_text(diagnosis.sentence)}", ""]
    number = 0
    for hypothesis in _ordered(diagnosis):
        if hypothesis.verdict != PROVEN:
            continue
        lines.append("evidence:" if hypothesis.id == diagnosis.cause else f"also proven: {hypothesis.id}")
        for words in hypothesis.evidence:
            number += 1
            lines.append(f"  {number}. {escape_text(words)}")
        lines.append("")
    lines += _block("would have failed next:", [str(place) for place in diagnosis.next])
    lines += _block("to repair it:", list(diagnosis.remedies))
    lines += _block(
        "refuted:",
        [
            f"{hypothesis.id}: {'; '.join(hypothesis.evidence)}"
            for hypothesis in diagnosis.hypotheses
            if hypothesis.verdict == REFUTED
        ],
    )
    lines += _block("not tested from here:", list(_untested(diagnosis)))
    lines += _block("notes:", list(diagnosis.notes))
    return "\n".join(lines).rstrip("\n") + "\n"


def _ordered(diagnosis: Diagnosis) -> Iterator[Hypothesis]:
    """The cause before the others."""
    yield from sorted(diagnosis.hypotheses, key=lambda hypothesis: hypothesis.id != diagnosis.cause)


def _untested(diagnosis: Diagnosis) -> Iterator[str]:
    """What was not tested, those with one reason on one line."""
    by_reason: dict[str, list[str]] = {}
    for hypothesis in diagnosis.hypotheses:
        if hypothesis.verdict == UNTESTED:
            extra = f" ({'; '.join(hypothesis.evidence)})" if hypothesis.evidence else ""
            by_reason.setdefault(hypothesis.reason + extra, []).append(hypothesis.id)
    yield from (f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


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
        "next": [place._asdict() for place in diagnosis.next],
        "remedies": list(diagnosis.remedies),
        "quote": diagnosis.quote,
        "notes": list(diagnosis.notes),
        "exit_code": diagnosis.exit_code,
    }
    return json.dumps(answer, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def markdown(diagnosis: Diagnosis) -> str:
    """For an issue or an incident report; what comes from outside stands in code spans."""
    head = "Nothing failed" if diagnosis.cause == HEALTHY else f"Cause: {diagnosis.cause}"
    lines = [f"## {head}", "", _span(diagnosis.sentence), ""]
    for hypothesis in _ordered(diagnosis):
        if hypothesis.verdict == PROVEN:
            lines += [
                f"### Evidence of {hypothesis.id}",
                "",
                *(f"{at}. {_span(words)}" for at, words in enumerate(hypothesis.evidence, 1)),
                "",
            ]
    for title, rows in (
        ("Would have failed next", [str(place) for place in diagnosis.next]),
        ("To repair it", list(diagnosis.remedies)),
        ("Notes", list(diagnosis.notes)),
    ):
        if rows:
            lines += [f"### {title}", "", *(f"- {_span(row)}" for row in rows), ""]
    lines += ["### Every hypothesis", "", "| hypothesis | verdict | why |", "|---|---|---|"]
    lines += [
        f"| {hypothesis.id} | {hypothesis.verdict} | {_span(hypothesis.reason or '; '.join(hypothesis.evidence), cell=True)} |"
        for hypothesis in diagnosis.hypotheses
    ]
    return "\n".join(lines) + "\n"


def _span(words: str, *, cell: bool = False) -> str:
    """A code span that its content cannot leave."""
    safe = escape_text(words.replace("\n", " ")).replace("|", "\\|") if cell else escape_text(words.replace("\n", " "))
    fence = "`" * (max((len(run) for run in _runs(safe)), default=0) + 1)
    return f"{fence} {safe} {fence}" if "`" in safe else f"`{safe}`"


def _runs(words: str) -> list[str]:
    import re

    return re.findall("`+", words)


RENDERINGS: Mapping[str, Callable[[Diagnosis], str]] = {"text": text, "json": as_json, "markdown": markdown}
