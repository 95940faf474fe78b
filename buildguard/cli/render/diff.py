"""A chain of custody for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from buildguard import __version__
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import Compared
from buildguard.compare.difference import CODES, Difference
from buildguard.compare.upload_risks import Killer, Plan
from buildguard.diagnostic import count, of_unproven, shown, shown_path

_FEW = 20
_FEWER = 5


def chain_json(found: Compared) -> str:
    """Schema 1 of `diff`."""
    chain = found.chain
    answer: dict[str, Any] = {
        "schema": 1,
        "buildguard": __version__,
        "hops": [hop_object(hop) for hop in chain.hops],
        "stages": [
            {"stage": one.stage, "entries": len(one.manifest.entries), "notes": list(one.notes), **dict(one.digests)}
            for one in chain.snapshots
        ],
        "unproven": [{"path": one.path, "reason": one.reason} for one in chain.unproven],
        "notes": list(chain.notes),
        "upload": _plan_object(found.plan) if found.plan is not None else None,
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
        "differences": [_row(one) for one in hop.differences],
        "notes": list(hop.notes),
    }


def _row(one: Difference) -> dict[str, Any]:
    return {
        "path": shown_path(one.path),
        "change": one.change,
        "cause": one.cause,
        "evidence": one.evidence,
        "code": CODES[one.change],
        "finding": one.finding,
        "explained": one.explained or None,
        "undecided": one.undecided or None,
    }


def _plan_object(plan: Plan) -> dict[str, Any]:
    return {
        "files": len(plan.sent),
        "dropped": [{"path": shown_path(one.path), "by": str(one.by), "matters": one.matters} for one in plan.dropped],
        "warnings": [{"kind": one.kind, "path": shown_path(one.path), "message": one.message} for one in plan.killers],
    }


def verdict(chain: Chain) -> str:
    """The last line: identical, or the first hop that changed and what did there."""
    at = chain.first_changed
    changed = [] if at is None else list(chain.hops[at].findings) or list(chain.hops[at].differences)
    hops = count(len(chain.hops), "hop")
    if at is not None and (chain.hops[at].findings or chain.strict):
        hop = chain.hops[at]
        names = ", ".join(f"{shown(shown_path(one.path))} ({one.cause})" for one in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004
        return f"first changed at hop {hop.before.stage} → {hop.after.stage}: {names}{more}"
    if chain.exit_code == 1:
        return f"the contents are identical through {hops}; what the notes say differs"
    if chain.unproven:
        return f"unproven: {count(len(chain.unproven), 'thing')} could not be looked at in {hops}"
    if at is not None:
        number = sum(len(hop.differences) for hop in chain.hops)
        return f"nothing changed through {hops} but what was asked for ({count(number, 'path')}, see above)"
    return f"identical through {hops}: {count(len(chain.hops[0].before.manifest.entries), 'entry')}"


def chain_text(found: Compared, *, most: bool = True) -> str:
    """Hop by hop, the differences with their causes, what an upload would do, and the verdict."""
    chain = found.chain
    lines: list[str] = []
    for hop in chain.hops:
        lines += _hop(hop, most=most)
    for snapshot in chain.snapshots:
        lines += [f"note: {shown(snapshot.stage)}: {shown(note)}" for note in snapshot.notes]
    lines += [f"note: {shown(note)}" for note in chain.notes]
    if found.plan is not None:
        lines += _plan(found.plan, most=most)
    lines += [
        f"{click.style('unproven', fg='yellow')}: {of_unproven(one)}"
        for one in chain.unproven[: _FEW if most else None]
    ]
    colour = {0: "green", 1: "red"}.get(chain.exit_code, "yellow")
    lines.append(click.style(verdict(chain), bold=True, fg=colour))
    return "\n".join(lines) + "\n"


def _hop(hop: Hop, *, most: bool) -> Iterator[str]:
    number = len(hop.differences)
    what = "identical" if hop.identical else f"{count(number, 'path')} differ" if number != 1 else "1 path differs"
    if not number and not hop.identical:
        what = "unproven"
    files = count(len(hop.after.manifest.entries), "entry")
    yield f"{click.style(f'{shown(hop.before.stage)} → {shown(hop.after.stage)}', bold=True)}  {what} ({files})"
    for one in hop.differences[: _FEW if most else None]:
        yield from _difference(one)
    if most and number > _FEW:
        yield f"  … and {number - _FEW} more; --all or --format json shows them"
    for note in hop.notes:
        yield f"  note: {shown(note)}"


def _difference(one: Difference) -> Iterator[str]:
    code = CODES[one.change]
    word = "undecided" if one.undecided else "as asked for"
    label = click.style(f"{code} {one.change}", fg="red") if one.finding else f"{one.change}, {word}"
    first, *rest = one.evidence.split("\n")
    yield f"  {shown(shown_path(one.path))}  {label}: {one.cause}{f' — {shown(first)}' if first else ''}"
    yield from (f"      {shown(line)}" for line in rest)


def _plan(plan: Plan, *, most: bool) -> Iterator[str]:
    yield f"sent with a build: {count(len(plan.sent), 'file')}, {len(plan.dropped)} dropped by gcloud's rules"
    kinds: dict[str, list[Killer]] = {}
    for one in plan.killers:
        kinds.setdefault(one.kind, []).append(one)
    for several in kinds.values():
        for one in several[: _FEWER if most else None]:
            place = f"{shown(shown_path(one.path))}: " if one.path else ""
            yield f"  {click.style('warning', fg='yellow')}: {place}{shown(one.message)}"
        if most and len(several) > _FEWER:
            yield f"  … and {len(several) - _FEWER} more like this; --all shows them"
