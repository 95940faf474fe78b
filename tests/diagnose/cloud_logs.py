"""Pieces of logs as Google Cloud and servers print them."""

from __future__ import annotations

import json
from typing import Any

BUILD_BEGINS = 'starting build "7d3e0a5c-1f0b-4a44-9a51-0b5b8e4e2f10"\n\nFETCHSOURCE\nBUILD\n'
STARTS = "INFO:     Started server process [1]\nINFO:     Waiting for application startup.\n"
REQUEST = 'INFO:     10.0.0.1:1 - "GET / HTTP/1.1" 200 OK\n'
SERVES = f"INFO:     Application startup complete.\n{REQUEST}"
TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/app/cache.py", line 2, in <module>\n    import x\n'


def rows(*entries: dict[str, Any]) -> str:
    """`gcloud logging read --format=json`, the newest first."""
    return json.dumps(entries[::-1], indent=2)


def revision(
    at: int, payload: str | dict[str, Any], *, severity: str = "", name: str = "web-00002-new"
) -> dict[str, Any]:
    """An entry of a Cloud Run revision."""
    return _entry(at, payload, "cloud_run_revision", {"revision_name": name}) | (
        {"severity": severity} if severity else {}
    )


def execution(at: int, text: str | None, *, status: str = "", name: str = "nightly-1") -> dict[str, Any]:
    """An entry of an execution of a Cloud Run job, or how it ended."""
    payload = {"protoPayload": {"status": {"message": status}}} if text is None else {}
    entry = _entry(at, text or "", "cloud_run_job", {"job_name": "nightly"})
    return entry | payload | {"labels": {"run.googleapis.com/execution_name": name}}


def request(
    at: int, status: int, *, log: str = "run.googleapis.com%2Frequests", name: str = "web-00002-new"
) -> dict[str, Any]:
    """A row of a request log."""
    entry = revision(at, "", name=name) | {"logName": f"projects/p/logs/{log}"}
    return entry | {"httpRequest": {"requestMethod": "GET", "requestUrl": "https://web.a.run.app/", "status": status}}


def _entry(at: int, payload: str | dict[str, Any], kind: str, labels: dict[str, str]) -> dict[str, Any]:
    field = {"jsonPayload": payload} if isinstance(payload, dict) else {"textPayload": payload} if payload else {}
    return {"timestamp": f"2026-11-30T14:10:{at:02}Z", "resource": {"type": kind, "labels": labels}, **field}
