"""The step `start`: the built image as Cloud Run would start it, here or in Cloud Build, without a network and production's values.

The variables have the names that the service has. Their values are stand-ins unless `--start-env FILE` gives them, so a
crash proves something against the code only where neither a stand-in nor the missing network can be its cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.deploy.outcome import DeployStoppedError, StepSummary
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.diagnose.cause import HEALTHY, UNKNOWN, CauseId
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.offline_start import EntrypointError, OfflineContainer, OfflineResult, watched_folders
from buildguard.docker.serve import StartOptions
from buildguard.gcp.auth import redact
from buildguard.gcp.service_state import ServiceState

STARTS_WITHIN = 60.0
_MOST_PATHS = 3  # in a sentence
_MOST_OUTPUT = 4000  # characters of the log that are kept
STAND_IN = "buildguard-stand-in"
_URL = lazy_pattern(r"(?P<scheme>[a-z][a-z0-9+.-]*)://.*", re.DOTALL)
_NUMBER = lazy_pattern(r"-?\d+(?:\.\d+)?")
_FLAGS = frozenset({"true", "false", "yes", "no", "on", "off"})
_PORT = "PORT"
_STARTING = lazy_pattern(
    r"PATH|PYTHON[A-Z]+|LD_LIBRARY_PATH|VIRTUAL_ENV|GUNICORN_CMD_ARGS|UVICORN_[A-Z_]+|WEB_CONCURRENCY|LANG|LC_[A-Z]+|TZ"
    r"|DJANGO_SETTINGS_MODULE|FLASK_APP|LOG_LEVEL"
)
# Causes that neither a value nor a network can bring about.
_CERTAIN = frozenset(
    {
        CauseId.TARGET_OLDER,
        CauseId.CODE_OLDER,
        CauseId.NOT_IMPORTABLE,
        CauseId.ENCODING,
        CauseId.MERGE_CONFLICT,
        CauseId.MISSING_VARIABLE,
        CauseId.START_COMMAND,
        CauseId.PORT,
        CauseId.STRAY_BYTECODE,
    }
)
_OPTIONS = "give real values with --start-env FILE, or leave the step out with --skip-start REASON"


# how an image is started: with these options, until it responds at a path or is late; how it came up, and the end of its log
StartAction: TypeAlias = Callable[[StartOptions, str, float], tuple[OfflineResult, bytes]]


class StartRequest(NamedTuple):
    """What is started: options for the container, the names whose values are stand-ins, and the path that is requested."""

    options: StartOptions
    stand_ins: tuple[str, ...]
    path: str


def request_of(prepared: PreparedDeploy, current: ServiceState | None) -> StartRequest:
    """As a revision would start the app's container: its command, arguments, port and the names of its variables."""
    path = prepared.plan.wishes.health or "/"
    service = prepared.plan.wishes.service
    own = {"K_SERVICE": service, "K_CONFIGURATION": service, "K_REVISION": f"{service}-start"}
    known: Mapping[str, str | None] = dict.fromkeys(prepared.config.deploy.required_env)
    if current is not None:
        known = current.env
    given = {name: value for name, value in known.items() if value is not None and _is_harmless(name, value)}
    given |= prepared.start_env
    env = {name: given.get(name, stand_in(value)) for name, value in known.items()}
    stand_ins = tuple(name for name in known if name not in given)
    env = {**own, **env, **prepared.start_env}
    if current is None:
        return StartRequest(StartOptions(env), stand_ins, path)
    port = current.port
    if _PORT in known:
        env[_PORT] = str(port)
    app = current.container
    options = StartOptions(env, app.command, app.args, port, tell_port=not current.is_behind_proxy)
    return StartRequest(options, tuple(name for name in stand_ins if name != _PORT), path)


def _is_harmless(name: str, value: str) -> bool:
    """Whether a variable says how the program is started, and not what it works on: a stand-in would only break the start."""
    return _STARTING.fullmatch(name) is not None and "://" not in value and "@" not in value


def stand_in(value: str | None) -> str:
    """A made-up value of the same form: a number, a flag or an address for one, else a word. None is a secret's."""
    text = (value or "").strip()
    if _NUMBER.fullmatch(text):
        return "1"
    if text.lower() in _FLAGS:
        return "false"
    match = _URL.fullmatch(text)
    return f"{match['scheme']}://{STAND_IN}.invalid/{STAND_IN}" if match is not None else STAND_IN


def start_here(reference: str, platform: str, tell: Callable[[str], None]) -> StartAction:
    """Starts an image on the local container engine."""

    def run(options: StartOptions, path: str, limit: float) -> tuple[OfflineResult, bytes]:
        with closing(daemons.connect()) as daemon:
            image = images.find(daemon, reference, platform, tell)
            with OfflineContainer(daemon, image, options) as container:
                result = container.wait(path, limit)
                if result.started:
                    result = result._replace(access=container.access(watched_folders(image)))
                return result, b"" if result.started else container.log()

    return run


def try_start(prepared: PreparedDeploy, current: ServiceState | None, source: str, run: StartAction) -> StepSummary:
    """Start the image and wait until it responds. Raises DeployStoppedError if it does not."""
    request = request_of(prepared, current)
    try:
        result, log = run(request.options, request.path, STARTS_WITHIN)
    except EntrypointError as error:
        raise DeployStoppedError(
            f"BG502 it does not start: {error.what}", evidence={"cause": CauseId.START_COMMAND}
        ) from error
    if result.started:
        return describe_start(result), {**start_evidence(result), "stand_ins": list(request.stand_ins)}
    raise describe_failure(prepared.repository.top, request, result, log, source)


def describe_start(result: OfflineResult) -> str:
    """How a container came up, and what is worth knowing of it."""
    response = (
        f"responds with {result.status}" if result.status is not None else "responds, with another protocol than HTTP"
    )
    words = [f"{response} after {result.seconds:.1f} s"]
    if result.bound:
        words.append(f"listens on {', '.join(result.bound)}")
    if result.opens_early:
        words.append(
            f"its port was open after {result.bound_after or 0:.1f} s: a TCP startup probe, the default, succeeds before"
            " the app can serve; set a startup probe over HTTP"
        )
    access = result.access
    if access is not None and access.user and access.unreadable:
        words.append(f"its user {access.user} cannot read {', '.join(access.unreadable[:_MOST_PATHS])}")
    return "; ".join(words)


def start_evidence(result: OfflineResult) -> dict[str, Any]:
    """What was observed, for programs."""
    access = result.access
    return {
        "status": result.status,
        "listens_on": list(result.bound or result.listens_on),
        "bound_seconds": _rounded(result.bound_after),
        "useful_seconds": _rounded(result.useful_after),
        "opens_early": result.opens_early,
        "user": access.user if access is not None else None,
        "unreadable": list(access.unreadable) if access is not None else [],
        "unwritable": list(access.unwritable) if access is not None else [],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def describe_failure(
    top: Path, request: StartRequest, result: OfflineResult, log: bytes, source: str
) -> DeployStoppedError:
    """Why it did not start: by where it listens, else by its log, and not by the port on which nothing listens."""
    from buildguard.diagnose.run import diagnose

    diagnosis = diagnose(top, log, source=source)
    last = redact(log.strip().rpartition(b"\n")[2].decode("utf-8", "replace"))[:200]
    evidence = {"cause": diagnosis.cause, "log": last, "seconds": round(result.seconds, 1), "output": _tail(log)}
    port = request.options.port
    if result.listens_on:
        where = ", ".join(result.listens_on)
        what = f"it listens on {where}, and Cloud Run needs 0.0.0.0:{port}"
        return DeployStoppedError(
            f"BG502 {what}", hint="bind 0.0.0.0 and $PORT", evidence={**evidence, "listens_on": where}
        )
    known = diagnosis.cause not in {UNKNOWN, HEALTHY}
    what = diagnosis.sentence if known else _symptom(result, port)
    words = f"BG502 it does not start: {what}"
    words += f" ({result.ending})" if result.ending else ""
    words += f"; its last line: {last}" if last else ""
    proven = diagnosis.cause in _CERTAIN or (not request.stand_ins and not known and not result.silent)
    proven = proven and STAND_IN not in log.decode("utf-8", "replace")
    hint = "" if proven else f"it had no network{_describe_stand_ins(request)}: {_OPTIONS}"
    return DeployStoppedError(words, hint=hint, evidence=evidence, proven=proven)


def _tail(log: bytes) -> str:
    """The end of a log, for a diagnosis of the whole cycle."""
    return redact(log.decode("utf-8", "replace"))[-_MOST_OUTPUT:]


def _symptom(result: OfflineResult, port: int) -> str:
    if result.silent:
        return f"port {port} is open, and sent no response in {result.seconds:.0f} s"
    return "it ended" if result.ending else f"nothing listens on port {port} after {result.seconds:.0f} s"


def _describe_stand_ins(request: StartRequest) -> str:
    names = ", ".join(request.stand_ins[:5])
    more = f" and {len(request.stand_ins) - 5} more" if len(request.stand_ins) > 5 else ""  # noqa: PLR2004
    return f", and stand-ins for {names}{more}" if names else ""
