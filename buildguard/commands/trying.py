"""A revision tried from outside: whether its address answers, and what the project's own verify commands say of it."""

from __future__ import annotations

import os
import shlex
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from buildguard import process
from buildguard.commands import testresults
from buildguard.deploy import trial
from buildguard.scratch import folder

if TYPE_CHECKING:
    from pathlib import Path

HEALTHY_WITHIN = 60.0
_PAUSE = 0.5
_WHO = frozenset({401, 403})
_VERIFY_WITHIN = 3600.0


def healthy(address: str, fine: int) -> int:
    """The status of an address once it is below `fine`; after a minute the last one, negative, -1 where nothing answered.

    A service that wants to know who asks is told, where these credentials can.
    """
    until = time.monotonic() + HEALTHY_WITHIN
    token = ""
    while True:
        status = _asked(address, token)
        if status in _WHO and not token:
            token = _identity(address)
            if not token:
                return -status
            continue
        if 0 < status < fine:
            return status
        if time.monotonic() > until:
            return -max(status, 1)
        time.sleep(_PAUSE)


def _asked(address: str, token: str) -> int:
    """The HTTP status of an address; 0 where nothing answers."""
    if not address.startswith(("http://", "https://")):
        return 0
    request = urllib.request.Request(address)  # noqa: S310  http and https alone
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


def _identity(address: str) -> str:
    """An identity token for a service's address; empty where these credentials give none, or it would go over plain HTTP."""
    if not address.startswith("https://"):
        return ""
    try:
        from google.auth.transport.requests import Request
        from google.oauth2 import id_token

        return str(id_token.fetch_id_token(Request(), "/".join(address.split("/")[:3])))
    except Exception:  # noqa: BLE001  a service that cannot be asked is told as such, whatever the reason
        return ""


def tried(command: str, url: str, revision: str, cwd: Path) -> trial.Trial:
    """Run a verify command against an address, and judge it by the tests that it ran."""
    addopts = os.environ.get("PYTEST_ADDOPTS", "")
    with folder() as results:
        env = {
            **os.environ,
            "BUILDGUARD_URL": url,
            "BUILDGUARD_REVISION": revision,
            "BUILDGUARD_JUNIT": str(results / testresults.ANY),
            # pytest writes it unasked; an own --junitxml has the last word, and is read as well
            "PYTEST_ADDOPTS": f"--junitxml={shlex.quote(str(results / testresults.PYTEST))} {addopts}".strip(),
        }
        with testresults.Reports(results, f"{addopts} {command}", cwd) as reports:
            started = time.monotonic()
            done = process.run(["/bin/sh", "-c", command], cwd=cwd, env=env, timeout=_VERIFY_WITHIN)
            seconds = round(time.monotonic() - started, 2)
            written = reports.written()
    return trial.judged(command, done.status, done.stdout + b"\n" + done.stderr, written, seconds)
