"""A failed deploy, explained: the log of its revision, its tests and its code are read, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from buildguard.cycles.record import CycleHistory
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.deploy.blocked import BlockedWatch
from buildguard.deploy.context import DeployContext
from buildguard.deploy.explanation import BlockedStack, Explanation, FailureFacts, explain, first_lines, never_ends
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.diagnose import log_parser
from buildguard.diagnose.evidence import DiagnoseOptions
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.last_event import LastEvent, find_last_event
from buildguard.diagnose.redact import redact
from buildguard.diagnose.run import diagnose
from buildguard.diagnostic import display_path
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp.cloud_logging import CloudLoggingClient, of_revision
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.project.ledger import StepVerdict
from buildguard.stages.git_objects import commit_of

_IN_REVISION = frozenset(
    {DeployStep.REVISION, DeployStep.HEALTH, DeployStep.VERIFY, DeployStep.TRAFFIC, DeployStep.PROVE}
)
_CLOCKS = timedelta(seconds=30)  # by how much two clocks may differ
_LARGEST_SOURCE = 1 << 20
_PROBE_LINE = lazy_pattern(r'"(?:GET|HEAD) \S+ HTTP/[\d.]+" \d{3}')


class _FailureLog(NamedTuple):
    """A log, or the reason why it is missing."""

    data: bytes = b""
    gap: str = ""


def explain_end(context: DeployContext, history: CycleHistory, began: datetime) -> Explanation | None:
    """Why a deploy that began then did not succeed; None where no step failed."""
    bad = [outcome for outcome in context.outcomes if outcome.verdict in {StepVerdict.FAILED, StepVerdict.UNPROVEN}]
    return explain_failure(context, bad[-1], history, began) if bad else None


def explain_failure(
    context: DeployContext, outcome: StepOutcome, history: CycleHistory, began: datetime
) -> Explanation:
    """Why a step failed; `began` is when the deploy did."""
    tell = context.services.watcher.tell
    tell("diagnose: read the log and the code for the cause")
    log = _log_of(context, outcome, began)
    cases = context.tested.verdict.cases if context.tested is not None and outcome.step == DeployStep.VERIFY else ()
    facts = FailureFacts(
        outcome.step,
        outcome.words,
        context.revision,
        first_lines([redact(str(line)) for line in outcome.evidence.get("findings", ())]),
        cases,
        tuple(_own_lines(log.data)),
        log.gap,
        _diagnose(context.prepared, log.data, outcome),
        None,
        None,
        history.last_green,
        context.plan.wishes.builder,
    )
    return explain(_with_last_event(context, facts, tell))


def _log_of(context: DeployContext, outcome: StepOutcome, began: datetime) -> _FailureLog:
    """The log of what failed: the start's or the build's own, or the revision's since the deploy began."""
    own = outcome.evidence.get("output") if outcome.step == DeployStep.START else outcome.evidence.get("log")
    if outcome.step not in _IN_REVISION:
        return _FailureLog(str(own or "").encode())
    if not context.is_made:
        return _FailureLog()
    source = of_revision(context.plan.wishes.service, context.revision, context.prepared.service_id.region)
    try:
        with CloudLoggingClient(context.prepared.project) as logs:
            return _FailureLog(logs.read_since(source, began.astimezone(UTC) - _CLOCKS))
    except UnprovenError as error:
        return _FailureLog(gap=error.words)


def _diagnose(prepared: PreparedDeploy, log: bytes, outcome: StepOutcome) -> Diagnosis | None:
    """The diagnosis of the log and the commit; None where it cannot be made."""
    build = str(outcome.evidence.get("build", "")) if outcome.step == DeployStep.BUILD else ""
    options = DiagnoseOptions(build=build, project=prepared.project, region=prepared.build_region if build else "")
    source = "dir:." if prepared.plan.source.dirty else f"commit:{prepared.plan.source.commit}"
    try:
        return diagnose(prepared.repository.top, None if build else log, options, source=source)
    except GuardError:
        return None


def _own_lines(log: bytes) -> list[str]:
    """The lines of a log that the program wrote, without those of its server about requests."""
    lines = [redact(line) for line in log_parser.read(log).lines if line.strip()]
    return [line for line in lines if not _PROBE_LINE.search(line)]


def _with_last_event(context: DeployContext, facts: FailureFacts, tell: Callable[[str], object]) -> FailureFacts:
    """The same facts, with how far the program came where requests get no answer."""
    if facts.step not in _IN_REVISION or not facts.log_lines:
        return facts
    sources = _sources(context.prepared)
    facts = facts._replace(event=_last_event(facts, sources))
    if not never_ends(facts) or context.built is None:
        return facts
    tell("diagnose: start the image here, and look where a request waits")
    return facts._replace(blocked=_look(context, context.built.reference, sources))


def _last_event(facts: FailureFacts, sources: Mapping[str, bytes]) -> LastEvent | None:
    return find_last_event(facts.log_lines, sources)


def _look(context: DeployContext, reference: str, sources: Mapping[str, bytes]) -> BlockedStack:
    current = None
    try:
        with CloudRunClient(context.prepared.project, context.prepared.region, context.prepared.app) as client:
            current = client.get(context.plan.wishes.service)
    except GuardError as error:
        return BlockedStack(gap=error.what)
    locator = SourceLocator(sources, context.prepared.config.image_root)
    return BlockedWatch(context.prepared, locator.locate).look(reference, current, context.plan.wishes.verify)


class SourceLocator:
    """From a path in the image to the one source of the repository that it can be."""

    def __init__(self, sources: Mapping[str, Any], root: str) -> None:
        self._sources = sources
        self._root = root.rstrip("/")

    def locate(self, path: str) -> str:
        """The path in the repository; empty where no source fits, or several do."""
        below = path.removeprefix(f"{self._root}/") if self._root else ""
        if below != path and below in self._sources:
            return below
        if "/site-packages/" in path or "/dist-packages/" in path:
            return ""
        parts = path.lstrip("/").split("/")
        for number in range(len(parts)):
            tail = "/".join(parts[number:])
            if tail in self._sources:
                return tail
        return ""


def _sources(prepared: PreparedDeploy) -> Mapping[str, bytes]:
    """The Python sources of the commit."""
    try:
        stage = commit_of(prepared.repository, prepared.plan.source.commit)
        entries = [entry for entry in stage.entries() if entry.path.endswith(b".py")]
        return {
            display_path(entry.path): content
            for entry, content in stage.contents(entries)
            if isinstance(content, bytes) and len(content) <= _LARGEST_SOURCE
        }
    except GuardError:
        return {}
