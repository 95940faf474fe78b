"""Who watches a check that reports no progress."""

from __future__ import annotations


class SilentWatcher:
    """A watcher for whom progress goes nowhere."""

    def update(self, done: int, total: int) -> None:
        """Ignore a count."""

    def tell(self, text: str) -> None:
        """Ignore a line."""
