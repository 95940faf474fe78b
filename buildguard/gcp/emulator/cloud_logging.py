"""Cloud Logging's entries.list on loopback: what the emulated services wrote, by the filters that buildguard asks with."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions as api

from buildguard.definitions import lazy_pattern
from buildguard.errors import UnprovenError
from buildguard.gcp.emulator.faults import FaultName, Faults

_SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_OWN = "run.googleapis.com/"
_TERM = lazy_pattern(r'(?P<field>[\w.]+)(?P<operator>>=|<=|=)"?(?P<value>[^"]*)"?')


class CloudLoggingEmulator:
    """The entries of every project."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._entries: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._followed: list[_FollowedOutput] = []

    def follow(self, kind: str, labels: Mapping[str, str], read: Callable[[], bytes]) -> None:
        """Have the output of a running container become entries; `read` returns its last lines."""
        with self._lock:
            self._followed.append(_FollowedOutput(kind, labels, read))

    def _collect(self) -> None:
        """Write what running containers printed since the last time."""
        with self._lock:
            followed = [*self._followed]
        for output in followed:
            for line in output.new_lines():
                self.write(output.kind, output.labels, line)

    def write(
        self,
        kind: str,
        labels: Mapping[str, str],
        text: str,
        severity: str = "DEFAULT",
        *,
        at: str = "",
    ) -> None:
        """Write an entry for each line of a text, as a container's output becomes entries.

        Labels are those of the resource, but for Cloud Run's own, which are the entry's.
        """
        own = {key: value for key, value in labels.items() if key.startswith(_OWN)}
        labels = {key: value for key, value in labels.items() if key not in own}
        stamp = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._lock:
            for line in text.splitlines():
                entry = {"insertId": f"{next(self._numbers):08x}", "textPayload": line, "severity": severity}
                self._entries.append(
                    {**entry, "labels": own, "resource": {"type": kind, "labels": dict(labels)}, "timestamp": stamp}
                )

    def find(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A page of the entries that a request asks for, the newest first; raises Google's own errors."""
        if self._faults.takes(FaultName.LOG_403):
            raise api.PermissionDenied("Permission 'logging.logEntries.list' denied on resource (or it may not exist).")
        self._collect()
        terms = _terms(str(request.get("filter", "")))
        with self._lock:
            entries = [entry for entry in reversed(self._entries) if all(_holds(entry, *term) for term in terms)]
        entries.sort(key=lambda entry: str(entry["timestamp"]), reverse=True)
        first, size = int(request.get("pageToken") or 0), int(request.get("pageSize") or 50)
        more = {"nextPageToken": str(first + size)} if first + size < len(entries) else {}
        return {"entries": entries[first : first + size], **more}


class _FollowedOutput:
    """The output of a container, and how much of it has been written."""

    def __init__(self, kind: str, labels: Mapping[str, str], read: Callable[[], bytes]) -> None:
        self.kind = kind
        self.labels = labels
        self._read = read
        self._last: list[str] = []

    def new_lines(self) -> list[str]:
        """The lines since the last time; none of a container that is gone."""
        try:
            lines = self._read().decode("utf-8", "replace").splitlines()
        except UnprovenError:
            return []
        # the last lines alone are known: what is new begins behind the longest end of the old ones
        overlap = next(
            (size for size in range(min(len(self._last), len(lines)), 0, -1) if self._last[-size:] == lines[:size]), 0
        )
        self._last = lines
        return lines[overlap:]


def _terms(query: str) -> list[tuple[str, str, str]]:
    matches = [_TERM.fullmatch(term.strip()) for term in query.split(" AND ")] if query else []
    terms = [(match["field"], match["operator"], match["value"]) for match in matches if match is not None]
    if len(terms) != len(matches):
        raise api.InvalidArgument(f"Unparseable filter: {json.dumps(query)}")
    return terms


def _holds(entry: Mapping[str, Any], field: str, operator: str, value: str) -> bool:
    found: Any = entry
    for key in field.split("."):
        found = found.get(key, "") if isinstance(found, Mapping) else ""
    have, wanted = (_rank(str(found)), _rank(value)) if field == "severity" else (str(found), value)
    return have == wanted if operator == "=" else have >= wanted if operator == ">=" else have <= wanted


def _rank(severity: str) -> str:
    return str(_SEVERITIES.index(severity)) if severity in _SEVERITIES else "0"
