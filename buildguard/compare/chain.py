"""The chain of custody: what was seen at each stage, hop by hop, and the first hop where something changed. Pure."""

from __future__ import annotations

from typing import NamedTuple

from buildguard.compare.difference import Difference
from buildguard.diagnostic import Unproven
from buildguard.stages.snapshot import Snapshot


class Hop(NamedTuple):
    """Two neighbouring snapshots and what differs between them, by path.

    `notes` are about what is recorded and not judged; `untold` is what one of the two has no words for.
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
