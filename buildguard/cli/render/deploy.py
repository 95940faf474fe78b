"""A deploy for people and for programs: the plan, what each step came to, and the ledger as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from buildguard import __version__
from buildguard.cli.render import fleet_status
from buildguard.cli.render.cycle import cycle_json, cycle_lines, finished_lines
from buildguard.cli.render.source_line import fold_behind, fold_text, wrap
from buildguard.cli.render.table import table_lines
from buildguard.cycles.gates import describe_rate
from buildguard.cycles.record import CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.deploy.fleet_status import ServiceStatus
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import Builder, DeployPlan
from buildguard.deploy.planning import WARNING
from buildguard.deploy.rollback import RollbackResult
from buildguard.deploy.run import DeployReport
from buildguard.diagnostic import count, escape_text, shorten_digests
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import LedgerLine, StepVerdict

_COLOURS = {
    StepVerdict.OK: "green",
    StepVerdict.FAILED: "red",
    StepVerdict.UNPROVEN: "yellow",
    StepVerdict.SKIPPED: "bright_black",
}
_SUMMARY = 100  # columns of what a deploy came to, in the table of all


def as_json(result: DeployReport) -> str:
    """Schema 1 of `deploy`; a dry run has no verdicts."""
    return json.dumps(answer(result), indent=1) + "\n"


def answer(result: DeployReport) -> dict[str, Any]:
    """A deploy as JSON has it."""
    plan = result.plan
    return {
        "schema": 1,
        "buildguard": __version__,
        "commit": plan.source.commit,
        "dirty": bool(plan.source.dirty),
        "pushed": plan.source.pushed,
        "target": _target(plan.source.targets[0]) if plan.source.targets else None,
        "targets": [_target(target) for target in plan.source.targets],
        "archive": {
            "digest": f"sha256:{plan.packed.digest}",
            "files": plan.packed.files,
            "dropped": [{"path": path, "by": rule} for path, rule in plan.packed.dropped],
        },
        "builder": plan.wishes.builder,
        "build": {
            "file": plan.building.file or None,
            "runs": plan.building.steps_run,
            "left_out": plan.building.steps_skipped,
        },
        "image": plan.building.shown_image,
        "kind": plan.wishes.kind,
        "name": plan.wishes.name or plan.wishes.service,
        "service": plan.wishes.service,
        "container": plan.serving.container or None,
        "env": plan.wishes.env or None,
        "from": plan.wishes.promoted_from or None,
        "project": plan.serving.project or None,
        "region": plan.serving.region or None,
        "steps": _steps(plan, result.outcomes),
        "rollback_to": plan.serving.rollback_to or None,
        "refused": plan.refusals,
        "blocked": result.blocked or None,
        "stops": _stops(result),
        "decisions": result.decisions,
        "notes": [*plan.notes, *result.notes],
        "revision": result.revision or None,
        "url": result.url or None,
        "observed": result.observed._asdict(),
        "cycle": cycle_json(result.finished),
        "exit_code": result.exit_code,
    }


def _stops(result: DeployReport) -> list[dict[str, str]]:
    return [stop._asdict() for stop in result.stops]


def _target(target: tuple[str, str]) -> dict[str, str]:
    return {"python": target[0], "found_in": target[1]}


def _steps(plan: DeployPlan, outcomes: Sequence[StepOutcome] | None) -> list[dict[str, Any]]:
    if not outcomes:
        return [{"id": step.id, "will": step.will} for step in plan.steps]
    wills = {step.id: step.will for step in plan.steps}
    return [
        {
            "id": outcome.step,
            "will": wills.get(outcome.step, ""),
            "verdict": outcome.verdict,
            "seconds": round(outcome.seconds, 2),
            "words": outcome.words,
            "evidence": dict(outcome.evidence),
        }
        for outcome in outcomes
    ]


def as_text(result: DeployReport, width: int = 0) -> str:
    """The plan of a dry run, or what became of it; folded at `width` columns, 0 folds nothing."""
    plan = result.plan
    lines = [
        f"commit {plan.source.commit[:12]}{' with uncommitted changes' if plan.source.dirty else ''} → {escape_text(plan.wishes.service)}",
        f"  {plan.source.target}; {count(plan.packed.files, 'file')} in {plan.packed.digest[:12]}, {len(plan.packed.dropped)} not sent",
        f"  image {escape_text(plan.building.shown_image)}, {_builder(plan)}",
        f"  rollback target: {_rollback_target(plan)}",
        *(f"{click.style('refused', fg='red')}: {escape_text(refusal)}" for refusal in plan.refusals),
    ]
    lines += _step_lines(plan, result.outcomes, width)
    lines += cycle_lines(result.finished.record, result.finished.changes) if result.finished is not None else []
    lines += [f"{click.style('decision', fg='yellow')}: {escape_text(decision)}" for decision in result.decisions]
    notes = (escape_text(shorten_digests(note)) for note in (*plan.notes, *result.notes))
    lines += [note if note.startswith(WARNING) else f"note: {note}" for note in notes]
    lines += finished_lines(result.finished) if result.finished is not None else []
    lines.append(last_line(result))
    return fold_text("\n".join(lines), width)


def _step_lines(plan: DeployPlan, outcomes: Sequence[StepOutcome] | None, width: int) -> Iterator[str]:
    """What became of each step; of a plan that was not run, what each will do."""
    if not outcomes:
        yield from (f"  {number}. {step.id}: {escape_text(step.will)}" for number, step in enumerate(plan.steps, 1))
        return
    for outcome in outcomes:
        yield from _outcome(outcome, width) if outcome.is_reached else ()
    left = [outcome.step for outcome in outcomes if not outcome.is_reached]
    if left:
        yield f"  not reached: {', '.join(left)}"


def _builder(plan: DeployPlan) -> str:
    if plan.wishes.promoted_from:
        return f"proven in {plan.wishes.promoted_from}"
    return "built on this machine" if plan.wishes.builder == Builder.LOCAL else "built by Cloud Build"


def _rollback_target(plan: DeployPlan) -> str:
    if plan.serving.rollback_to:
        return plan.serving.rollback_to
    if not plan.serving.known:
        return "unknown (the service was not read)"
    if plan.wishes.is_job:
        return "none (the job does not exist)"
    if not plan.serving.exists:
        return "none (the service does not exist)"
    return "none (no single revision has 100 % of the traffic)"


def _outcome(outcome: StepOutcome, width: int) -> list[str]:
    verdict = click.style(f"{outcome.verdict:<8}", fg=_COLOURS.get(outcome.verdict))
    start = f"  {verdict} {outcome.step:<12} {outcome.seconds:6.1f} s  "
    return fold_behind(start, escape_text(shorten_digests(outcome.words)), width)


def last_line(result: DeployReport) -> str:
    """What became of a deploy, in one line."""
    colour = (
        "yellow" if result.stops and not result.exit_code else {0: "green", 1: "red"}.get(result.exit_code, "yellow")
    )
    bad = result.last if result.exit_code else None
    if result.blocked:
        words = result.blocked
    elif result.plan.refusals:
        words = "refused: nothing was done" if result.outcomes is not None else "this plan would be refused"
    elif result.outcomes is None:
        words = _end_of_plan(result)
    elif bad is not None:
        words = f"{'failed' if bad.verdict == StepVerdict.FAILED else 'unproven'} at {bad.step}; {current_traffic(result)}".rstrip(
            "; "
        )
    elif result.plan.wishes.is_job:
        words = f"executed: {result.revision}" if result.revision else "built and verified; not executed (--no-traffic)"
    elif result.plan.wishes.no_traffic:
        words = f"{result.revision} is ready at {result.url}, without traffic"
    else:
        words = f"deployed: {result.url} serves {result.revision}{_way_of_traffic(result)}"
    return click.style(words, bold=True, fg=colour)


def _end_of_plan(result: DeployReport) -> str:
    """What a dry run came to: where the plan would stop here, and what is not checked yet."""
    unread = "" if result.plan.serving.known else ", and the service (not read)"
    unchecked = f"not checked yet: the code (step 1){unread}"
    if not result.stops:
        return f"nothing refuses this plan so far; {unchecked}"
    first = result.stops[0]
    return f"nothing refuses this plan, and on this machine it would stop at {first.step}: {escape_text(first.reason)}; {unchecked}"


def _way_of_traffic(result: DeployReport) -> str:
    """Whether the traffic follows the latest revision by now, as the last step saw it."""
    follows = [outcome.evidence.get("follows_latest") for outcome in result.outcomes or ()]
    if True in follows:
        return "; the traffic follows the latest revision"
    return f"; the traffic is pinned to {result.revision}" if False in follows else ""


def current_traffic(result: DeployReport) -> str:
    """Who serves after a deploy that failed: only what was asked for after the failure, else that it is unknown."""
    serving, seen = result.plan.serving, result.observed
    if seen.problem:
        return f"what serves now is unknown: {escape_text(seen.problem)}"
    if not seen.traffic:
        return ""
    if seen.only_revision and seen.only_revision == serving.rollback_to:
        return f"{seen.only_revision} {'has all traffic' if serving.divided else 'serves as before'}"
    if seen.traffic == serving.divided:
        return "the traffic is as before"
    return f"the traffic now: {escape_text(seen.traffic)}; to go back: {escape_text(result.plan.wishes.rollback)}"


def rollback_text(result: RollbackResult) -> str:
    """One line."""
    before = result.before or "several revisions"
    return f"rolled back: {result.url} serves {result.revision}, all of it, instead of {before}\n"


# ------------------------------------------------------------------------------------------ history


class HistoryView(NamedTuple):
    """What `history` shows: the attempts, their cycles, and the status of each service where there are several."""

    history: DeployHistory
    cycles: Sequence[CycleRecord] = ()
    services: Sequence[ServiceStatus] = ()


def history_json(view: HistoryView) -> str:
    """Every line of the ledger, by run, with the tests of its cycle, and the status of each service."""
    history, cycles, services = view
    by_run = {cycle.id: cycle for cycle in cycles}
    run_objects = [
        {
            "run": run[0].run,
            "changed_files": -1 if changed is None else changed,
            "cycle": _cycle_json(by_run.get(run[0].run)),
            "lines": [line._asdict() for line in run],
        }
        for run, changed in zip(history.runs, history.changed, strict=True)
    ]
    answer = {
        "schema": 1,
        "services": fleet_status.as_rows(services),
        "runs": run_objects,
        "notes": list(history.notes),
    }
    return json.dumps(answer, indent=1) + "\n"


def _cycle_json(cycle: CycleRecord | None) -> dict[str, Any] | None:
    return {"number": cycle.number, "rate": cycle.counts.rate} if cycle is not None else None


def history_text(view: HistoryView, width: int = 0) -> str:
    """A row for each service where there are several, and one for each attempt: when, what, how far, how many tests passed.

    Rows that are wider than `width` columns take several lines; 0 folds nothing.
    """
    history, cycles, services = view
    fleet = list(fleet_status.as_table(services, width))
    lines = [*fleet, *([""] if fleet else []), *_table(history, {cycle.id: cycle for cycle in cycles}, width)]
    lines += [f"note: {escape_text(note)}" for note in history.notes]
    return fold_text("\n".join(lines), width)


def _table(history: DeployHistory, cycles: Mapping[str, CycleRecord], width: int) -> Iterator[str]:
    if not history.runs:
        yield "no deploy so far"
        return
    rows = [("when", "service", "commit", "changed", "by", "got to", "verdict", "cycle", "passed", "what")]
    good = 0
    several = len({run[0].project for run in history.runs}) > 1
    for run, changed in zip(history.runs, history.changed, strict=True):
        last = _decisive_line(run)
        verdict = "stopped" if ledgers.find_stopping_step(list(run)) else run[-1].verdict
        good += verdict == StepVerdict.OK
        what, *more = wrap(escape_text(shorten_digests(str(last.evidence.get("words", "")))), _SUMMARY)
        files = "" if changed is None else "nothing" if not changed else count(changed, "file")
        service = escape_text(_service(last, several=several))
        number, rate = _cycle_cells(cycles.get(last.run))
        row = (
            last.at[:19],
            service,
            last.commit[:8],
            files,
            last.builder,
            last.step,
            verdict,
            number,
            rate,
            f"{what}…" if more else what,
        )
        rows.append(row)
    yield from table_lines(rows, width)
    yield f"{good} of {count(len(history.runs), 'deploy')} succeeded"


def _cycle_cells(cycle: CycleRecord | None) -> tuple[str, str]:
    """The number of a run's cycle, and the share of its tests that passed."""
    if cycle is None:
        return "", ""
    rate = cycle.counts.rate
    return str(cycle.number), describe_rate(rate) if rate is not None else ""


def _service(line: LedgerLine, *, several: bool) -> str:
    """The service of a line; with its project where the table has several."""
    return f"{line.project}/{line.service}" if several and line.project else line.service


def _decisive_line(run: Sequence[LedgerLine]) -> LedgerLine:
    """The line that tells how far a run came: its last step that was reached."""
    reached = [
        line for line in run if line.verdict != StepVerdict.SKIPPED and line.step not in {ledgers.END, ledgers.RESTORE}
    ]
    return reached[-1] if reached else run[-1]
