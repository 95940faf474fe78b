"""A chain of custody for people and for programs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import click

from buildguard import __version__
from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import DiffResult
from buildguard.compare.difference import CODES, ChangeKind, Difference
from buildguard.compare.upload_risks import UploadPlan, UploadRisk
from buildguard.diagnostic import count, display_path, escape_text, unproven_line
from buildguard.stages.git_objects import HOW_TO_REPAIR
from buildguard.stages.snapshot import StageKind

_FEW = 20
_FEWER = 5


def chain_json(result: DiffResult) -> str:
    """Schema 1 of `diff`."""
    chain = result.chain
    answer: dict[str, Any] = {
        "schema": 1,
        "buildguard": __version__,
        "hops": [hop_object(hop) for hop in chain.hops],
        "stages": [
            {
                "stage": snapshot.stage,
                "entries": len(snapshot.manifest.entries),
                "notes": list(snapshot.notes),
                **dict(snapshot.digests),
            }
            for snapshot in chain.snapshots
        ],
        "unproven": [{"path": item.path, "reason": item.reason} for item in chain.unproven],
        "notes": list(chain.notes),
        "upload": _plan_object(result.plan) if result.plan is not None else None,
        "first_changed_hop": chain.first_changed,
        "verdict": verdict(chain),
        "exit_code": chain.exit_code,
    }
    return json.dumps(answer, indent=1) + "\n"


def hop_object(hop: Hop) -> dict[str, Any]:
    """One hop as `diff` and `check` write it."""
    return {
        "from": hop.before.stage,
        "to": hop.after.stage,
        "identical": hop.identical,
        "from_digest": hop.before.manifest.digest,
        "to_digest": hop.after.manifest.digest,
        "differences": [_row(difference) for difference in hop.differences],
        "notes": list(hop.notes),
    }


def _row(difference: Difference) -> dict[str, Any]:
    """One path; an object that is damaged is a changed content, and its code (BG306) makes the difference."""
    is_damaged = difference.change is ChangeKind.DAMAGED
    return {
        "path": display_path(difference.path),
        "change": ChangeKind.CHANGED if is_damaged else difference.change,
        "cause": CauseKind.CONTENT if is_damaged else difference.cause,
        "evidence": difference.evidence,
        "code": CODES[difference.change],
        "finding": difference.finding,
        "explained": difference.explained or None,
        "undecided": difference.undecided or None,
    }


def _plan_object(plan: UploadPlan) -> dict[str, Any]:
    return {
        "files": len(plan.sent),
        "dropped": [
            {"path": display_path(drop.path), "by": str(drop.rule), "matters": drop.matters} for drop in plan.dropped
        ],
        "warnings": [
            {"kind": risk.kind, "path": display_path(risk.path), "message": risk.message} for risk in plan.risks
        ],
    }


def verdict(chain: Chain) -> str:
    """The last line: identical, or the first hop that changed and what did there."""
    at = chain.first_changed
    changed = [] if at is None else list(chain.hops[at].findings) or list(chain.hops[at].differences)
    hops = count(len(chain.hops), "hop")
    if at is not None and (chain.hops[at].findings or chain.strict):
        hop = chain.hops[at]
        names = ", ".join(
            f"{escape_text(display_path(difference.path))} ({difference.cause})" for difference in changed[:3]
        )
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004
        return f"first changed at hop {hop.before.stage} → {hop.after.stage}: {names}{more}"
    if chain.exit_code == 1:
        return f"the contents are identical through {hops}; what the notes say differs"
    if chain.unproven:
        return f"unproven: {count(len(chain.unproven), 'thing')} could not be looked at in {hops}"
    if at is not None:
        number = sum(len(hop.differences) for hop in chain.hops)
        return f"only expected changes through {hops} ({count(number, 'path')}, see above)"
    return f"identical through {hops}: {count(len(chain.hops[0].before.manifest.entries), 'entry')}"


def chain_text(result: DiffResult, *, most: bool = True) -> str:
    """Hop by hop, the differences with their causes, what an upload would do, and the verdict."""
    chain = result.chain
    lines: list[str] = []
    for hop in chain.hops:
        lines += _hop(hop, most=most)
    for snapshot in chain.snapshots:
        lines += [f"note: {escape_text(snapshot.stage)}: {escape_text(note)}" for note in snapshot.notes]
    lines += [f"note: {escape_text(note)}" for note in chain.notes]
    if result.plan is not None:
        lines += _plan(result.plan, most=most)
    lines += [
        f"{click.style('unproven', fg='yellow')}: {unproven_line(item)}"
        for item in chain.unproven[: _FEW if most else None]
    ]
    lines += _next_step(chain)
    colour = {0: "green", 1: "red"}.get(chain.exit_code, "yellow")
    lines.append(click.style(verdict(chain), bold=True, fg=colour))
    return "\n".join(lines) + "\n"


def _next_step(chain: Chain) -> Iterator[str]:
    """Where a difference is explained, and how one in the working tree is undone: never over the only good copy."""
    hop = next((hop for hop in chain.hops if hop.findings), None)
    if hop is None:
        return
    first = hop.findings[0]
    undo = ""
    is_checkout = hop.after.kind is StageKind.WORKTREE and hop.before.kind.in_git
    if first.change is ChangeKind.DAMAGED:
        undo = f"{HOW_TO_REPAIR}; "
    # what git's own filters make of the committed file, they make again
    elif is_checkout and first.change is not ChangeKind.ADDED and not first.explained:
        undo = (
            f"git restore {shlex.quote(escape_text(display_path(first.path)))} undoes the change in the working tree; "
        )
    yield f"hint: {undo}buildguard explain {CODES[first.change]}"


def _hop(hop: Hop, *, most: bool) -> Iterator[str]:
    number = len(hop.differences)
    what = "identical" if hop.identical else f"{count(number, 'path')} differ" if number != 1 else "1 path differs"
    if not number and not hop.identical:
        what = "unproven"
    files = count(len(hop.after.manifest.entries), "entry")
    yield f"{click.style(f'{escape_text(hop.before.stage)} → {escape_text(hop.after.stage)}', bold=True)}  {what} ({files})"
    for difference in hop.differences[: _FEW if most else None]:
        yield from _difference(difference)
    if most and number > _FEW:
        yield f"  … and {number - _FEW} more; --all or --format json shows them"
    for note in hop.notes:
        yield f"  note: {escape_text(note)}"


def _difference(difference: Difference) -> Iterator[str]:
    code = CODES[difference.change]
    word = "undecided" if difference.undecided else "expected"
    label = (
        click.style(f"{code} {difference.change}", fg="red") if difference.finding else f"{difference.change}, {word}"
    )
    first, *rest = difference.evidence.split("\n")
    yield f"  {escape_text(display_path(difference.path))}  {label}: {difference.cause}{f' — {escape_text(first)}' if first else ''}"
    yield from (f"      {escape_text(line)}" for line in rest)


def _plan(plan: UploadPlan, *, most: bool) -> Iterator[str]:
    yield plan.words
    kinds: dict[str, list[UploadRisk]] = {}
    for risk in plan.risks:
        kinds.setdefault(risk.kind, []).append(risk)
    for several in kinds.values():
        for risk in several[: _FEWER if most else None]:
            place = f"{escape_text(display_path(risk.path))}: " if risk.path else ""
            yield f"  {click.style('warning', fg='yellow')}: {place}{escape_text(risk.message)}"
        if most and len(several) > _FEWER:
            yield f"  … and {len(several) - _FEWER} more like this; --all shows them"
