"""Whether a log shows a server on another address or port than the platform asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from buildguard.definitions import lazy_pattern

_ASKED = lazy_pattern(r"listen on the port|probe failed|connection refused", re.IGNORECASE)
_PORT = lazy_pattern(r"PORT=(\d+)|port (\d{2,5})\b|:(\d{2,5})/")
_SERVING = lazy_pattern(
    r"(?:Running on|Listening at:?|running on|Starting development server at|Serving on|Listening on(?: TCP address)?|started on)"
    r" (?:https?://|tcp://)?(?P<host>\[?[\w.:*-]*?\]?):(?P<port>\d{2,5})\b"
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def wrong_address(lines: Sequence[str]) -> tuple[int, str]:
    """The line number and words for a server that the platform cannot reach; (0, "") if the log shows none."""
    asked = [line for line in lines if _ASKED.search(line)]
    if not asked:
        return 0, ""
    serving = list(_serving(lines))
    if any(match["host"] not in _LOOPBACK for _number, match in serving) and not _ports(asked):
        return 0, ""
    wanted = _ports(asked)
    reached = [match for _n, match in serving if match["host"] not in _LOOPBACK and match["port"] in wanted]
    if not serving or reached:
        return 0, ""
    number, match = serving[-1]
    if match["host"] in _LOOPBACK:
        return number, f"the server listens on {match['host']}:{match['port']}, which only the container itself reaches"
    return number, f"the server listens on port {match['port']}, and the platform asks for {', '.join(sorted(wanted))}"


def _serving(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """The lines in which a server says where it listens, by number."""
    for number, line in enumerate(lines, 1):
        match = _SERVING.search(line)
        if match:
            yield number, match


def _ports(lines: Sequence[str]) -> set[str]:
    return {port for line in lines for groups in _PORT.findall(line) for port in groups if port}
