"""What tools put around the lines of a log, and how logs are pasted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _stamp(at: int) -> str:
    return f"2026-11-17T09:{at // 60:02}:{at % 60:02}.{at:06}Z"


def _each(make: Callable[[int, str], str]) -> Callable[[str], str]:
    return lambda text: "".join(f"{make(at, line)}\n" for at, line in enumerate(text.splitlines()))


def _between(text: str) -> str:
    """Lines of a web server in between."""
    noise = '{"severity": "INFO", "message": "GET /healthz 200"}'
    return "".join(
        f"{line}\n{noise}\n" if line.lstrip().startswith("File") is False else f"{line}\n" for line in text.splitlines()
    )


def _coloured(text: str) -> str:
    return "".join(f"\x1b[31m{line}\x1b[0m\n" for line in text.splitlines())


def _dumped(text: str) -> str:
    """`gcloud logging read --format json`, which has the newest first."""
    rows = [
        {"insertId": str(at), "textPayload": line, "timestamp": _stamp(at)} for at, line in enumerate(text.splitlines())
    ]
    return json.dumps(rows[::-1], indent=2)


def _yaml(text: str) -> str:
    """`gcloud logging read` without a format, one entry for the whole block."""
    body = "".join(f"  {line}\n" for line in text.splitlines())
    return f"---\ninsertId: abc\nlogName: x\ntextPayload: |-\n{body}timestamp: '2026-11-17T09:00:00Z'\n"


ENVELOPES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "stamps": _each(lambda at, line: f"{_stamp(at)} {line}"),
    "stamps with blanks": _each(lambda at, line: f"2026-11-17 09:{at // 60:02}:{at % 60:02} UTC {line}"),
    "stamps in brackets": _each(lambda at, line: f"[2026-11-17 09:00:00 +0000] {line}"),
    "newest first": lambda text: "".join(reversed(ENVELOPES["stamps"](text).splitlines(keepends=True))),
    "Cloud Build": _each(lambda at, line: f'Step #3 - "run": {line}'),
    "compose": _each(lambda at, line: f"web-1  | {line}"),
    "kubectl": _each(lambda at, line: f"[pod/api-7d9/api] {line}"),
    "containerd": _each(lambda at, line: f"{_stamp(at)} stderr F {line}"),
    "syslog": _each(lambda at, line: f"Nov 17 09:00:00 host api[42]: {line}"),
    "levels": _each(lambda at, line: f"ERROR 2026-11-17T09:00:00Z {line}"),
    "BuildKit": _each(lambda at, line: f"#12 0.{at:03} {line}"),
    "pytest": _each(lambda at, line: f"E   {line}"),
    "colours": _coloured,
    "lines in between": _between,
    "JSON lines": _each(lambda at, line: json.dumps({"textPayload": line, "timestamp": _stamp(at)})),
    "JSON payloads": _each(lambda at, line: json.dumps({"jsonPayload": {"message": line}, "timestamp": _stamp(at)})),
    "docker's file": _each(lambda at, line: json.dumps({"log": f"{line}\n", "stream": "stderr", "time": _stamp(at)})),
    "a JSON dump": _dumped,
    "a logger's JSON": lambda text: json.dumps({"level": "error", "message": "start failed", "exc_info": text}) + "\n",
    "an entry's YAML": _yaml,
}
