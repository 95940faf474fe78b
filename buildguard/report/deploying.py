"""A deploy for people and for programs: the plan, what each step came to, and the ledger as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from buildguard import __version__
from buildguard.deploy import ledger as ledgers
from buildguard.diagnostic import shown
from buildguard.report.words import brief, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buildguard.commands.deploy import Deployed, RolledBack
    from buildguard.commands.deploying import Outcome
    from buildguard.deploy.ledger import Line
    from buildguard.deploy.plan import Plan

_COLOURS = {ledgers.OK: "green", ledgers.FAILED: "red", ledgers.UNPROVEN: "yellow", ledgers.SKIPPED: "bright_black"}
_FEW = 10


def as_json(found: Deployed) -> str:
    """Schema 1 of `deploy`; a dry run has no verdicts."""
    plan = found.plan
    answer: dict[str, Any] = {
        "schema": 1,
        "buildguard": __version__,
        "commit": plan.source.commit,
        "dirty": bool(plan.source.dirty),
        "pushed": plan.source.pushed,
        "target": {"python": plan.source.target},
        "archive": {
            "digest": f"sha256:{plan.packed.digest}",
            "files": plan.packed.files,
            "dropped": [{"path": path, "by": rule} for path, rule in plan.packed.dropped],
        },
        "builder": plan.wishes.builder,
        "build": {"file": plan.building.file or None, "runs": plan.building.kept, "left_out": plan.building.left_out},
        "image": plan.building.image,
        "service": plan.wishes.service,
        "steps": _steps(plan, found.outcomes),
        "rollback_to": plan.serving.rollback_to or None,
        "refused": plan.refusals,
        "decisions": found.decisions,
        "notes": [*plan.notes, *found.notes],
        "revision": found.revision or None,
        "url": found.url or None,
        "exit_code": found.exit_code,
    }
    return json.dumps(answer, indent=1) + "\n"


def _steps(plan: Plan, outcomes: Sequence[Outcome] | None) -> list[dict[str, Any]]:
    if not outcomes:
        return [one._asdict() for one in plan.steps]
    wills = {one.id: one.will for one in plan.steps}
    return [
        {
            "id": one.step,
            "will": wills.get(one.step, ""),
            "verdict": one.verdict,
            "seconds": round(one.seconds, 2),
            "words": one.words,
            "evidence": dict(one.evidence),
        }
        for one in outcomes
    ]


def as_text(found: Deployed) -> str:
    """The plan of a dry run, or what became of it."""
    plan = found.plan
    lines = [
        f"commit {plan.source.commit[:12]}{' with uncommitted changes' if plan.source.dirty else ''} → {shown(plan.wishes.service)}",
        f"  {plan.source.target}; {count(plan.packed.files, 'file')} in {plan.packed.digest[:12]}, {len(plan.packed.dropped)} not sent",
        f"  image {shown(plan.building.image)}, built {'on this machine' if plan.wishes.builder == 'local' else 'by Cloud Build'}",
        f"  way back: {plan.serving.rollback_to or 'none that is certain'}",
    ]
    if found.outcomes:
        lines += [_outcome(one) for one in found.outcomes]
    else:
        lines += [f"  {number}. {one.id}: {shown(one.will)}" for number, one in enumerate(plan.steps, 1)]
    lines += [f"{click.style('decision', fg='yellow')}: {shown(one)}" for one in found.decisions]
    lines += [f"note: {shown(brief(one))}" for one in (*plan.notes, *found.notes)]
    lines += [f"{click.style('refused', fg='red')}: {shown(one)}" for one in plan.refusals]
    lines.append(_last(found))
    return "\n".join(lines) + "\n"


def _outcome(one: Outcome) -> str:
    verdict = click.style(f"{one.verdict:<8}", fg=_COLOURS.get(one.verdict))
    return f"  {verdict} {one.step:<12} {one.seconds:6.1f} s  {shown(brief(one.words))}"


def _last(found: Deployed) -> str:
    colour = {0: "green", 1: "red"}.get(found.exit_code, "yellow")
    bad = next((one for one in found.outcomes or () if one.verdict in {ledgers.FAILED, ledgers.UNPROVEN}), None)
    if found.plan.refusals:
        words = "refused: nothing was done" if found.outcomes is not None else "this plan would be refused"
    elif found.outcomes is None:
        words = "this plan can run; whether the code is clean is what its first step tells"
    elif bad is not None:
        still = f"; {found.plan.serving.rollback_to} serves as before" if found.plan.serving.rollback_to else ""
        words = f"{'failed' if bad.verdict == ledgers.FAILED else 'unproven'} at {bad.step}{still}"
    elif found.plan.wishes.no_traffic:
        words = f"{found.revision} is ready at {found.url}, without traffic"
    else:
        words = f"deployed: {found.url} serves {found.revision}"
    return click.style(words, bold=True, fg=colour)


def rolled_back(found: RolledBack) -> str:
    """One line."""
    before = found.before or "several revisions"
    return f"rolled back: {found.url} serves {found.revision}, all of it, instead of {before}\n"


# ------------------------------------------------------------------------------------------ history


def history_json(runs: Sequence[Sequence[Line]], notes: Sequence[str]) -> str:
    """Every line of the ledger, by run."""
    told = [{"run": run[0].run, "lines": [line._asdict() for line in run]} for run in runs]
    return json.dumps({"schema": 1, "runs": told, "notes": list(notes)}, indent=1) + "\n"


def history_text(runs: Sequence[Sequence[Line]], notes: Sequence[str]) -> str:
    """A row for each attempt: when, what, how far, and why not further."""
    lines = list(_table(runs))
    lines += [f"note: {shown(one)}" for one in notes]
    return "\n".join(lines) + "\n"


def _table(runs: Sequence[Sequence[Line]]) -> Iterator[str]:
    if not runs:
        yield "no deploy so far"
        return
    yield f"{'when':<20} {'service':<16} {'commit':<9} {'builder':<8} {'ended at':<13} {'verdict':<9} what"
    good, before = 0, ""
    for run in runs:
        last = _telling(run)
        verdict = "stopped" if last.verdict == ledgers.BEGUN else last.verdict
        good += verdict == ledgers.OK
        what = str(last.evidence.get("words", ""))[:100]
        commit = last.commit[:8] + ("" if last.commit[:8] != before else "=")
        yield (
            f"{last.at[:19]:<20} {shown(last.service):<16} {commit:<9} {last.builder:<8} {last.step:<13} {verdict:<9} {shown(brief(what))}"
        )
        before = last.commit[:8]
    yield f"{good} of {count(len(runs), 'attempt')} came through"


def _telling(run: Sequence[Line]) -> Line:
    """The line that tells how a run ended: the first that failed, else the last."""
    return next((line for line in run if line.verdict in {ledgers.FAILED, ledgers.UNPROVEN}), run[-1])
