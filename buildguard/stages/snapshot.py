"""Taking the snapshot of a stage: every entry listed and hashed raw, no filter, no stat cache and no index believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from buildguard.compare.chain import Snapshot
    from buildguard.stages.stage import Unreadable

MOST_KEPT = 64 << 20  # what is larger is compared by its digest alone


class Stage(Protocol):
    """A stage whose snapshot can be taken, and whose contents can be read again to tell why one changed."""

    def snapshot(self) -> Snapshot:
        """Everything that lies there; raises UnprovenError where that cannot be told."""

    def originals(self, paths: Collection[bytes]) -> Mapping[bytes, bytes | Unreadable]:
        """The content of some of its entries as it lies there: a link's text, not what it leads to."""
