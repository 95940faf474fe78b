"""A deploy for people and for programs: the plan, what each step came to, and the ledger as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from buildguard import __version__
from buildguard.deploy import plan as plans
from buildguard.deploy.plan import Plan
from buildguard.deploy.run import Deployed, RolledBack
from buildguard.deploy.steps import Outcome
from buildguard.diagnostic import brief, count, shown
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import Attempts
from buildguard.project.ledger import Line

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
        "target": _target(plan.source.targets[0]) if plan.source.targets else None,
        "targets": [_target(one) for one in plan.source.targets],
        "archive": {
            "digest": f"sha256:{plan.packed.digest}",
            "files": plan.packed.files,
            "dropped": [{"path": path, "by": rule} for path, rule in plan.packed.dropped],
        },
        "builder": plan.wishes.builder,
        "build": {"file": plan.building.file or None, "runs": plan.building.kept, "left_out": plan.building.left_out},
        "image": plan.building.image,
        "service": plan.wishes.service,
        "container": plan.serving.container or None,
        "project": plan.serving.project or None,
        "region": plan.serving.region or None,
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


def _target(target: tuple[str, str]) -> dict[str, str]:
    return {"python": target[0], "found_in": target[1]}


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
        lines += [_outcome(one) for one in found.outcomes if one.verdict != ledgers.SKIPPED]
        left = [one.step for one in found.outcomes if one.verdict == ledgers.SKIPPED]
        lines += [f"  not reached: {', '.join(left)}"] * bool(left)
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
    bad = found.last if found.exit_code else None
    if found.plan.refusals:
        words = "refused: nothing was done" if found.outcomes is not None else "this plan would be refused"
    elif found.outcomes is None:
        words = "this plan can run; whether the code is clean is what its first step tells"
    elif bad is not None:
        words = f"{'failed' if bad.verdict == ledgers.FAILED else 'unproven'} at {bad.step}{_still(found, bad)}"
    elif found.plan.wishes.no_traffic:
        words = f"{found.revision} is ready at {found.url}, without traffic"
    else:
        words = f"deployed: {found.url} serves {found.revision}"
    return click.style(words, bold=True, fg=colour)


def _still(found: Deployed, bad: Outcome) -> str:
    """Who serves after a deploy that did not come to its end, as far as that is known."""
    serving, back = found.plan.serving, bad.evidence.get("rolled_back_to")
    if back:
        return f"; {back} has all traffic" if serving.divided else f"; {back} serves as before"
    if any(one.step == plans.TRAFFIC and one.verdict != ledgers.SKIPPED for one in found.outcomes or ()):
        return f"; {found.revision} may have traffic: {shown(found.plan.wishes.rollback)}"
    if serving.divided:
        return "; the traffic is as before"
    return f"; {serving.rollback_to} serves as before" if serving.rollback_to else ""


def rolled_back(found: RolledBack) -> str:
    """One line."""
    before = found.before or "several revisions"
    return f"rolled back: {found.url} serves {found.revision}, all of it, instead of {before}\n"


# ------------------------------------------------------------------------------------------ history


def history_json(found: Attempts) -> str:
    """Every line of the ledger, by run."""
    told = [
        {"run": run[0].run, "changed_files": changed, "lines": [line._asdict() for line in run]}
        for run, changed in zip(found.runs, found.changed, strict=True)
    ]
    return json.dumps({"schema": 1, "runs": told, "notes": list(found.notes)}, indent=1) + "\n"


def history_text(found: Attempts) -> str:
    """A row for each attempt: when, what, how far, and why not further."""
    lines = list(_table(found))
    lines += [f"note: {shown(one)}" for one in found.notes]
    return "\n".join(lines) + "\n"


def _table(found: Attempts) -> Iterator[str]:
    if not found.runs:
        yield "no deploy so far"
        return
    yield f"{'when':<20} {'service':<14} {'commit':<9} {'changed':<8} {'by':<6} {'got to':<13} {'verdict':<9} what"
    good = 0
    several = len({run[0].project for run in found.runs}) > 1
    for run, changed in zip(found.runs, found.changed, strict=True):
        last = _telling(run)
        verdict = "stopped" if ledgers.stopped_at(list(run)) else run[-1].verdict
        good += verdict == ledgers.OK
        what = shown(brief(str(last.evidence.get("words", ""))[:100]))
        files = "" if changed < 0 else "nothing" if not changed else count(changed, "file")
        yield (
            f"{last.at[:19]:<20} {shown(_service(last, several=several)):<14} {last.commit[:8]:<9} {files:<8} {last.builder:<6}"
            f" {last.step:<13} {verdict:<9} {what}"
        )
    yield f"{good} of {count(len(found.runs), 'attempt')} came through"


def _service(line: Line, *, several: bool) -> str:
    """The service of a line; with its project where the table has several."""
    return f"{line.project}/{line.service}" if several and line.project else line.service


def _telling(run: Sequence[Line]) -> Line:
    """The line that tells how far a run came: its last step that was reached."""
    reached = [line for line in run if line.verdict != ledgers.SKIPPED and line.step != ledgers.END]
    return reached[-1] if reached else run[-1]
