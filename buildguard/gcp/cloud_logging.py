"""Cloud Logging: the entries of a revision, a job or a build around its last failure, by entries.list.

Written entries are JSON lines, the oldest first, as `gcloud logging read --format json` has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.gcp import auth, failures
from buildguard.gcp.auth import translate_http_errors
from buildguard.gcp.connection import Connection

_EXECUTION = "run.googleapis.com/execution_name"
_HOST = "https://logging.googleapis.com"
_PAGE, _MOST = 1000, 5000  # entries
_BEFORE, _AFTER = timedelta(minutes=10), timedelta(minutes=1)  # around the last failure
_TIMEOUT = 60.0
_BAD = 400  # the first status of an error


class LogSource(NamedTuple):
    """Whose entries: the type of the monitored resource, and its labels."""

    kind: str
    labels: tuple[tuple[str, str], ...]

    @property
    def filter(self) -> str:
        """In the query language of Cloud Logging."""
        labels = (f"resource.labels.{key}={json.dumps(value)}" for key, value in self.labels if value)
        return " AND ".join([f"resource.type={json.dumps(self.kind)}", *labels])


def of_revision(service: str, revision: str, region: str = "") -> LogSource:
    """The entries of a revision."""
    labels = (("service_name", service), ("revision_name", revision), ("location", region))
    return LogSource("cloud_run_revision", labels)


def of_job(job: str, region: str = "") -> LogSource:
    """The entries of a job."""
    return LogSource("cloud_run_job", (("job_name", job), ("location", region)))


def of_build(build: str) -> LogSource:
    """The entries of a build that writes to Cloud Logging."""
    return LogSource("build", (("build_id", build),))


class CloudLoggingClient(Connection):
    """A connection to Cloud Logging, or to an emulator of it."""

    def __init__(self, project: str = "") -> None:
        """Raises UnprovenError without credentials or project."""
        import requests

        local = auth.emulator(auth.LOGGING)
        if local is None and auth.emulator(auth.RUN) is not None:
            raise UnprovenError(
                "reading Cloud Logging: Cloud Run is emulated, and Cloud Logging is not", hint=auth.LOGGING
            )
        self._session: requests.Session
        if local is not None:
            self._host, self._session, own = f"http://{local.address}", requests.Session(), auth.project()
        else:
            credentials, own = auth.credentials()
            with auth.translate_errors("reading Cloud Logging"):
                from google.auth.transport.requests import AuthorizedSession

                self._host, self._session = _HOST, AuthorizedSession(credentials)
        self._clients = (self._session,)
        self.project = project or own
        if not self.project:
            raise UnprovenError("no Google Cloud project set", hint="--project")

    def read_failure(self, source: LogSource) -> bytes:
        """The entries around the newest one that is a warning or worse, or around the newest at all; empty without any."""
        newest = next(self._entries(f"{source.filter} AND severity>=WARNING", 1), None) or next(
            self._entries(source.filter, 1), None
        )
        if newest is None:
            return b""
        at = _time_of(newest)
        window = f'timestamp>="{_stamp(at - _BEFORE)}" AND timestamp<="{_stamp(at + _AFTER)}"'
        entries = list(self._entries(f"{source.filter} AND {window}", _MOST))
        return b"".join(json.dumps(entry).encode() + b"\n" for entry in reversed(entries))

    def read_execution(self, job: str, execution: str, region: str, most: int) -> list[str]:
        """The last lines that an execution of a job wrote, the oldest of them first."""
        entries = (
            entry
            for entry in self._entries(of_job(job, region).filter, _PAGE)
            if entry.get("labels", {}).get(_EXECUTION) == execution
        )
        lines = [text for entry in entries if (text := _text_of(entry))]
        return lines[:most][::-1]

    def read_since(self, source: LogSource, start: datetime) -> bytes:
        """The entries since a time, the newest of them where there are very many."""
        query = f'{source.filter} AND timestamp>="{_stamp(start)}"'
        entries = list(self._entries(query, _MOST))
        return b"".join(json.dumps(entry).encode() + b"\n" for entry in reversed(entries))

    def _entries(self, query: str, most: int) -> Iterator[dict[str, Any]]:
        """The newest entries first."""
        token, count = "", 0
        while count < most:
            page = self._page(query, min(_PAGE, most - count), token)
            entries = page.get("entries", [])
            yield from entries
            count += len(entries)
            token = page.get("nextPageToken", "")
            if not token:
                return

    def _page(self, query: str, size: int, token: str) -> dict[str, Any]:
        body = {
            "resourceNames": [f"projects/{self.project}"],
            "filter": query,
            "orderBy": "timestamp desc",
            "pageSize": size,
        }
        body |= {"pageToken": token} if token else {}
        with translate_http_errors("reading Cloud Logging"):
            answer = self._session.post(f"{self._host}/v2/entries:list", json=body, timeout=_TIMEOUT)
            page: dict[str, Any] = answer.json()
            if answer.status_code >= _BAD:
                raise UnprovenError(
                    f"reading Cloud Logging: {auth.redact(str(page['error']['message']))[:300]}",
                    hint="the role roles/logging.viewer, or pass the log: buildguard diagnose --log FILE",
                    reason=failures.reason_of_status(answer.status_code),
                )
            return page


def _text_of(entry: dict[str, Any]) -> str:
    payload = entry.get("jsonPayload")
    return str(entry.get("textPayload") or (payload.get("message", "") if isinstance(payload, dict) else ""))


def _time_of(entry: dict[str, Any]) -> datetime:
    text = str(entry.get("timestamp") or entry.get("receiveTimestamp") or "")
    with suppress(ValueError):
        whole, _, fraction = text.removesuffix("Z").partition(".")
        return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6].ljust(6, '0')}+00:00")
    return datetime.now(UTC)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
