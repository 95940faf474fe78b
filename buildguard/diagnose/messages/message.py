"""A known failure message: a pattern, the cause that it proves, what it means, and what to do."""

from __future__ import annotations

from buildguard.definitions import NamedTuple


class KnownMessage(NamedTuple):
    """A message of a tool, a server or a library; `needle` is a text that every such line has.

    `cause` is an id of a hypothesis, or empty for a message that only reports that something failed. `{name}` in texts is a
    group of the pattern. A message of a higher `rank` counts only if no message of a lower one is in the log.
    """

    id: str
    cause: str
    needle: str
    pattern: str
    says: str
    remedy: str = ""
    rank: int = 0
