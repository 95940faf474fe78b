"""Whether a log shows a server on another address or port than the platform asked for, or a probe that it refuses."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from buildguard.definitions import lazy_pattern

_ASKED = lazy_pattern(r"listen on the port|probe failed", re.IGNORECASE)
_LOOKING = lazy_pattern(r"https?://|\bcurl\b|dial tcp|\bupstream\b")  # a health check or a proxy that is refused
_OF_SERVICE = lazy_pattern(
    r"(?::|port )(?:1433|330[67]|5432|5672|6379|9042|9092|9200|11211|27017)\b"
)  # databases, queues
_PORT = lazy_pattern(r"PORT=(\d+)|port (\d{2,5})\b|:(\d{2,5})/")
_SERVING = lazy_pattern(
    r"(?:Running on|Listening at:?|running on|Starting development server at|Serving on|Listening on(?: TCP address)?|started on)"
    r" (?:https?://|tcp://)?(?P<host>\[?[\w.:*-]*?\]?):(?P<port>\d{2,5})\b"
)
_PROBE = lazy_pattern(r"probe failed[^\n]{0,200}path \"(?P<path>/[^\"\s]*)\"")
_ANSWER = lazy_pattern(r"\"(?:GET|HEAD) (?P<path>/[^\s?\"]*)[^\s\"]* HTTP/[\d.]+\"? (?P<status>4\d\d)\b")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def wrong_address(lines: Sequence[str]) -> tuple[int, str]:
    """The line number and words for a server that the platform cannot reach; (0, "") if the log shows none."""
    asked = [line for line in lines if _looks_for_server(line)]
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


def _looks_for_server(line: str) -> bool:
    """Whether the platform, a health check or a proxy looks for the server itself, and no client for a database."""
    refused = "connection refused" in line.lower() and _LOOKING.search(line) is not None
    return (refused or _ASKED.search(line) is not None) and _OF_SERVICE.search(line) is None


def refused_probe(lines: Sequence[str]) -> tuple[int, str]:
    """The line number and words for a probe whose path the program answers with a refusal; (0, "") if the log shows none."""
    paths = _probed_paths(lines)
    return max(_refusals(lines, paths), default=(0, "")) if paths else (0, "")


def _probed_paths(lines: Iterable[str]) -> set[str]:
    """The paths that failed probes asked for."""
    matches = (_PROBE.search(line) for line in lines if "probe failed" in line)
    return {match["path"] for match in matches if match}


def _refusals(lines: Iterable[str], paths: Container[str]) -> Iterator[tuple[int, str]]:
    """The lines in which the program refuses one of some paths, by number, each in words."""
    answers = ((number, _ANSWER.search(line)) for number, line in enumerate(lines, 1) if " HTTP/" in line)
    for number, match in answers:
        if match and match["path"] in paths:
            yield number, f"the probe asks for {match['path']}, and the program answers {match['status']}"


def _serving(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """The lines in which a server says where it listens, by number."""
    for number, line in enumerate(lines, 1):
        match = _SERVING.search(line)
        if match:
            yield number, match


def _ports(lines: Sequence[str]) -> set[str]:
    return {port for line in lines for groups in _PORT.findall(line) for port in groups if port}
