"""A diagnosis for people, for programs, and for an incident report: the answer first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import click

from buildguard.diagnose.hypotheses import HEALTHY, PROVEN, REFUTED, UNTESTED, Diagnosis, Hypothesis
from buildguard.diagnostic import shown

_MOST = 30


def text(found: Diagnosis) -> str:
    """The cause in one sentence, then evidence, what fails next, what to do, and what was refuted or not tested."""
    colour = {0: "green", 1: "red"}.get(found.exit_code, "yellow")
    lines = [f"{click.style(found.cause, bold=True, fg=colour)}: {shown(found.sentence)}", ""]
    number = 0
    for one in _ordered(found):
        if one.verdict != PROVEN:
            continue
        lines.append("evidence:" if one.id == found.cause else f"also proven: {one.id}")
        for words in one.evidence:
            number += 1
            lines.append(f"  {number}. {shown(words)}")
        lines.append("")
    lines += _block("would have failed next:", [str(place) for place in found.next])
    lines += _block("to repair it:", list(found.remedies))
    lines += _block(
        "refuted:", [f"{one.id}: {'; '.join(one.evidence)}" for one in found.hypotheses if one.verdict == REFUTED]
    )
    lines += _block("not tested from here:", list(_untested(found)))
    lines += _block("notes:", list(found.notes))
    return "\n".join(lines).rstrip("\n") + "\n"


def _ordered(found: Diagnosis) -> Iterator[Hypothesis]:
    """The cause before the others."""
    yield from sorted(found.hypotheses, key=lambda one: one.id != found.cause)


def _untested(found: Diagnosis) -> Iterator[str]:
    """What was not tested, those with one reason on one line."""
    by_reason: dict[str, list[str]] = {}
    for one in found.hypotheses:
        if one.verdict == UNTESTED:
            extra = f" ({'; '.join(one.evidence)})" if one.evidence else ""
            by_reason.setdefault(one.reason + extra, []).append(one.id)
    yield from (f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def _block(title: str, rows: list[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return [title, *(f"  {shown(row)}" for row in rows[:_MOST]), *more, ""]


def as_json(found: Diagnosis) -> str:
    """Schema 1 of the contract."""
    answer = {
        "schema": 1,
        "cause": found.cause,
        "sentence": found.sentence,
        "place": [place._asdict() for place in found.place],
        "hypotheses": [
            {
                "id": one.id,
                "verdict": one.verdict,
                "evidence": list(one.evidence),
                **({"reason": one.reason} if one.verdict == UNTESTED else {}),
            }
            for one in found.hypotheses
        ],
        "next": [place._asdict() for place in found.next],
        "remedies": list(found.remedies),
        "quote": found.quote,
        "notes": list(found.notes),
        "exit_code": found.exit_code,
    }
    return json.dumps(answer, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def markdown(found: Diagnosis) -> str:
    """For an issue or an incident report; what comes from outside stands in code spans."""
    head = "Nothing failed" if found.cause == HEALTHY else f"Cause: {found.cause}"
    lines = [f"## {head}", "", _span(found.sentence), ""]
    for one in _ordered(found):
        if one.verdict == PROVEN:
            lines += [
                f"### Evidence of {one.id}",
                "",
                *(f"{at}. {_span(words)}" for at, words in enumerate(one.evidence, 1)),
                "",
            ]
    for title, rows in (
        ("Would have failed next", [str(place) for place in found.next]),
        ("To repair it", list(found.remedies)),
        ("Notes", list(found.notes)),
    ):
        if rows:
            lines += [f"### {title}", "", *(f"- {_span(row)}" for row in rows), ""]
    lines += ["### Every hypothesis", "", "| hypothesis | verdict | why |", "|---|---|---|"]
    lines += [
        f"| {one.id} | {one.verdict} | {_span(one.reason or '; '.join(one.evidence), cell=True)} |"
        for one in found.hypotheses
    ]
    return "\n".join(lines) + "\n"


def _span(words: str, *, cell: bool = False) -> str:
    """A code span that its content cannot leave."""
    safe = shown(words.replace("\n", " ")).replace("|", "\\|") if cell else shown(words.replace("\n", " "))
    fence = "`" * (max((len(run) for run in _runs(safe)), default=0) + 1)
    return f"{fence} {safe} {fence}" if "`" in safe else f"`{safe}`"


def _runs(words: str) -> list[str]:
    import re

    return re.findall("`+", words)


RENDERINGS: Mapping[str, Callable[[Diagnosis], str]] = {"text": text, "json": as_json, "markdown": markdown}
