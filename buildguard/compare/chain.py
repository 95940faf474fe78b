"""The chain of custody: the snapshot of each stage, hop by hop, and the first hop where something changed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.compare.difference import Difference
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Unproven
from buildguard.stages.snapshot import Snapshot, StageKind


class Hop(NamedTuple):
    """Two neighbouring snapshots and what differs between them, by path.

    `notes` are about what is recorded and not judged; `incomparable` is what one of the two does not record.
    """

    before: Snapshot
    after: Snapshot
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    incomparable: tuple[Unproven, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing at all differs, and everything was looked at."""
        return not (self.differences or self.incomparable or self.before.unproven or self.after.unproven)

    @property
    def findings(self) -> tuple[Difference, ...]:
        """What differs and should not."""
        return tuple(difference for difference in self.differences if difference.finding)


class Chain(NamedTuple):
    """Every hop in order; `notes` are about the chain as a whole."""

    hops: tuple[Hop, ...]
    notes: tuple[str, ...] = ()
    strict: bool = False

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Each stage once, in order."""
        return (self.hops[0].before, *(hop.after for hop in self.hops))

    @property
    def unproven(self) -> tuple[Unproven, ...]:
        """What could not be looked at, at any stage."""
        seen = [item for snapshot in self.snapshots for item in snapshot.unproven]
        return (*seen, *(item for hop in self.hops for item in hop.incomparable))

    @property
    def first_changed(self) -> int | None:
        """The number of the first hop (from 0) with a difference; with a finding, where there is any in the chain."""
        findings = [at for at, hop in enumerate(self.hops) if hop.findings]
        changed = findings or [at for at, hop in enumerate(self.hops) if hop.differences]
        return changed[0] if changed else None

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0."""
        if any(hop.findings or (self.strict and (hop.differences or hop.notes)) for hop in self.hops):
            return 1
        return 3 if self.unproven else 0


class ComparedHop(NamedTuple):
    """Two neighbouring snapshots and what differs between them, while the rest of the chain is unknown."""

    before: Snapshot
    after: Snapshot
    differences: Sequence[Difference]


def settle_chain(hops: Sequence[ComparedHop]) -> list[list[Difference]]:
    """The rows of each hop once the whole chain is known.

    What git's filters make of a worktree is no finding as long as it stays there. Carried on to a later stage it is
    what will run, so it is a finding; undone there, the way back to what was committed is none.
    """
    rows_of_hops = [list(hop.differences) for hop in hops]
    for at, hop in enumerate(hops[:-1]):
        if hop.after.kind is not StageKind.WORKTREE:
            continue
        last = hops[-1].after
        for number, difference in enumerate(hop.differences):
            if _is_carried_on(difference, last):
                words = f"{difference.evidence}; {last.stage} has it too"
                rows_of_hops[at][number] = difference._replace(finding=True, evidence=words)
            elif _is_undone(difference, last):
                for later in rows_of_hops[at + 1 :]:
                    later[:] = [_mark_undone(row, difference, hop.before.stage) for row in later]
    return rows_of_hops


def _is_carried_on(difference: Difference, last: Snapshot) -> bool:
    end = last.manifest.entries.get(difference.path)
    if end is None or not difference.explained or difference.before is None or difference.after is None:
        return False
    return (end.sha256, end.mode) == (difference.after.sha256, difference.after.mode)


def _is_undone(difference: Difference, last: Snapshot) -> bool:
    end = last.manifest.entries.get(difference.path)
    if end is None or not difference.explained or difference.before is None or difference.after is None:
        return False
    return end.sha256 == difference.before.sha256


def _mark_undone(row: Difference, difference: Difference, committed: str) -> Difference:
    """A row of a later hop, no finding where it brings back what was committed."""
    if row.path != difference.path or row.after is None or difference.before is None:
        return row
    if row.after.sha256 != difference.before.sha256:
        return row
    words = f"as in {committed} again"
    return row._replace(finding=False, explained=words, evidence=f"{row.evidence}; {words}")
