"""What a diagnosis can reach beside the log and the repository: an image, a build, a revision; each shown or excluded cause.

Whatever cannot be looked at is a reason why something stays untested, and never a refutation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from buildguard.check.context import NO_VERSION
from buildguard.check.result import CheckReport
from buildguard.check.targets import Watcher
from buildguard.codes import Code
from buildguard.compare import image_project
from buildguard.compare.image_lookup import ImageLookup
from buildguard.compare.open_stage import CloudLocation
from buildguard.definitions import lazy_pattern
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.compare_stage import compare_stage
from buildguard.diagnose.evidence import HEAD, DiagnoseContext, DiagnoseOptions, Evidence
from buildguard.diagnose.incident import CauseVerdict, SourceLocation
from buildguard.engines import cloud_results
from buildguard.errors import GuardError, OtherPlatformError, Reason, UnprovenError
from buildguard.gcp.build_log import place_of
from buildguard.gcp.cloud_build import BuildStatus, CloudBuildClient
from buildguard.gcp.cloud_logging import CloudLoggingClient, LogSource, of_build, of_job, of_revision
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.object_stage import fetch
from buildguard.gcp.revision_names import COMMIT
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.gcp.service_state import Revision
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.load import Project
from buildguard.project.attempts import DeployHistory
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.config import Config
from buildguard.project.image_reference import parse
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest
from buildguard.stages.archives import reader as archives
from buildguard.system import temporary

_BYTES, _STALE, _FILES = CauseId.BYTES_CHANGED, CauseId.STALE_IMAGE, CauseId.WRONG_FILES_SENT
_OTHER, _STRAY, _PLATFORM = CauseId.OTHER_INTERPRETER, CauseId.STRAY_BYTECODE, CauseId.PLATFORM
_VARIABLE, _TROUBLE, _RESOURCES = CauseId.MISSING_VARIABLE, CauseId.SERVICE_TROUBLE, CauseId.RESOURCES
_IN_A_BUILD = (_TROUBLE, _RESOURCES)
_IN_A_LOG = (_OTHER, _STRAY, _PLATFORM, _VARIABLE, CauseId.NOT_IMPORTABLE, _RESOURCES)
_MOST = 20
_OID = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REMEDIES = {
    _TROUBLE: "run it again; nothing of yours made it fail",
    _OTHER: "build from the base image that is declared, or declare this one: buildguard check --image",
    _STRAY: "keep __pycache__ and *.pyc out of the image (.dockerignore), and build it again",
    _PLATFORM: "install packages in the image that runs them, and not beside it: RUN pip install in the Dockerfile",
}


def collect_evidence(
    cwd: Path, asked: DiagnoseOptions, watcher: Watcher, attempts: DeployHistory | None, *, has_log: bool = False
) -> Evidence:
    """Everything that was named, looked at; where nothing was, what the last of the attempts made, if there are any."""
    if attempts is not None and not has_log and not _is_asked(asked):
        asked = _last_attempt(attempts, asked)
    evidence = Evidence()
    if not _is_asked(asked):
        return evidence
    project = Project.load(cwd)
    table = project.root_config.cloud
    where = CloudLocation(asked.project or table.project, asked.region or table.region)
    context = DiagnoseContext(cwd, project.repository, project.root_config, where, watcher)
    if asked.build:
        evidence += examine_build(_with_commit(context, _commit_of_attempt(attempts, asked.build)), asked.build)
    if asked.revision:
        evidence += examine_revision(context, asked.revision)
    if asked.job:
        evidence += _cloud_log(context, of_job(asked.job, context.location.region))
    if asked.image:
        name, _root = image_project.parse(asked.image)
        evidence += examine_image(_with_commit(context, _commit_of_attempt(attempts, name)), asked.image)
    elif evidence.image:
        evidence += examine_image(_with_commit(context, evidence.commit), evidence.image)
    return evidence


def _unread(what: str, error: GuardError, causes: Iterable[CauseId]) -> Evidence:
    """The causes that stay untested because something could not be read; a note reports it, whatever else is found."""
    words = error.words
    return Evidence(
        unexamined=tuple((cause, words) for cause in causes), unread=(f"{what} could not be read: {words}",)
    )


def _is_asked(asked: DiagnoseOptions) -> bool:
    """Whether a person names anything to look at."""
    return bool(asked.build or asked.image or asked.revision or asked.job)


def _cloud_log(context: DiagnoseContext, source: LogSource) -> Evidence:
    """The log around the last failure; where it cannot be read, whatever only a log shows stays untested."""
    try:
        with CloudLoggingClient(context.location.project) as logs:
            return Evidence(log=logs.read_failure(source))
    except UnprovenError as error:
        return _unread("the log in Google Cloud", error, _IN_A_LOG)


def _commit_of_attempt(attempts: DeployHistory | None, artifact: str) -> str:
    """The commit of the attempt that made a build or an image, by what no other one can have; empty where none did."""
    identity = artifact.rpartition("@")[2]  # of an image its digest or id: a name may be another image's by now
    for run in reversed(attempts.runs) if attempts is not None else ():
        if any(line.evidence.get(key) == identity for line in run for key in ("build", "id", "digest")):
            return str(run[0].commit)
    return ""


def _with_commit(context: DiagnoseContext, commit: str) -> DiagnoseContext:
    """The same context of something that was made of that commit."""
    is_known = context.head and _OID.fullmatch(commit)
    return context._replace(commit=HEAD if commit == context.head else commit) if is_known else context


def _last_attempt(attempts: DeployHistory, asked: DiagnoseOptions) -> DiagnoseOptions:
    """What the last deploy from here made: its build, its image and its revision, as far as it came."""
    runs = [run for run in attempts.runs if not asked.project or run[0].project in {"", asked.project}]
    if not runs:
        return asked
    evidence = {key: str(value) for line in runs[-1] for key, value in line.evidence.items()}
    name, project = evidence.get("revision", ""), asked.project or runs[-1][0].project
    image = "" if name else evidence.get("id", "")
    return asked._replace(build=evidence.get("build", ""), revision=name, image=image, project=project)


def examine_image(context: DiagnoseContext, reference: str) -> Evidence:
    """An image against the commit, and by its own Python."""
    from buildguard.check.image import check_image  # the container engine's client is heavy

    name, given = image_project.parse(reference)
    root = given or context.config.image_root
    stage = f"image:{name}{f':{root}' if root else ''}"
    evidence = Evidence(image=name, commit=context.commit) + compare_stage(context, stage, (_BYTES, _STALE, _FILES))
    request = CheckRequest(cwd=context.cwd, engine="container", image=name)
    try:
        report = check_image(request, stage, context.watcher, ImageLookup(context.project))
    except OtherPlatformError as error:
        blind = tuple((cause, error.words) for cause in (_OTHER, _STRAY))
        remedy = f"docker build --platform {context.config.platform}"
        return evidence + Evidence((CauseVerdict(_PLATFORM, True, error.what, remedy=remedy),), unexamined=blind)
    except GuardError as error:
        return evidence + _unread(f"the image {name}", error, (_OTHER, _STRAY, _PLATFORM))
    is_told = any(row.found_in != name for row in report.targets)
    blind = () if is_told else ((_OTHER, f"{NO_VERSION} should be in {name}, or several do: --service picks one"),)
    shown = tuple(_of_image(report, name))
    if context.is_elsewhere:
        shown = tuple(cause for cause in shown if cause.cause != _OTHER)
        blind = ((_OTHER, context.elsewhere),)
    return evidence + Evidence(shown, unexamined=blind, reports=(report,))


def _of_image(report: CheckReport, name: str) -> Iterator[CauseVerdict]:
    """What the check of an image shows. Nothing is excluded where the image's own Python did not run."""
    runs = next((row.interpreter for row in report.targets if row.interpreter and row.proof == ProofGrade.IMAGE), "")
    declared = next((row.found_in for row in report.targets if row.found_in != name), "")
    as_declared = f"{name} runs {runs}, as {declared} says" if runs and declared else ""
    yield from _by_code(report, name, _OTHER, "BG402", as_declared)
    clean = f"no bytecode in {name} is other than its source's" if runs and not _has_unseen_bytecode(report) else ""
    yield from _by_code(report, name, _STRAY, "BG405", clean)
    yield from _by_platform(report, name, runs)


def _by_code(report: CheckReport, name: str, cause: CauseId, code: str, excluded: str) -> Iterator[CauseVerdict]:
    """A cause that findings of one code prove. Without one it is excluded, where the sentence for that is not empty."""
    findings = [diagnostic for diagnostic in report.diagnostics if diagnostic.code == code]
    for diagnostic in findings[:_MOST]:
        place = SourceLocation(diagnostic.path, None) if diagnostic.path else None
        yield CauseVerdict(cause, True, f"{diagnostic.path or name}: {diagnostic.message}", place, _REMEDIES[cause])
    if not findings and excluded:
        yield CauseVerdict(cause, False, excluded)


def _by_platform(report: CheckReport, name: str, runs: str) -> Iterator[CauseVerdict]:
    inside = report.image
    assert inside is not None
    for path, reason in inside.misfits[:_MOST]:
        yield CauseVerdict(_PLATFORM, True, f"{path} in {name} {reason}", remedy=_REMEDIES[_PLATFORM])
    if not inside.misfits and runs:
        words = f"{name} is for {inside.platform}, its Python runs, and none of {inside.compiled} compiled modules is for another"
        yield CauseVerdict(_PLATFORM, False, words)


def _has_unseen_bytecode(report: CheckReport) -> bool:
    """Whether some bytecode could not be compared with its source, or what an installer brought does not fit its own."""
    assert report.image is not None
    installed = report.image.dependencies
    return any(one.path is None or one.path.endswith(".pyc") for one in (*report.unproven, *installed.unproven)) or any(
        one.code == Code.BG405 for one in installed.rejected
    )


def examine_build(context: DiagnoseContext, identity: str) -> Evidence:
    """A build in Cloud Build: how it ended, its log, its Pythons, its workspace and image. Viewing is all the right it takes."""
    try:
        with (
            CloudBuildClient(context.location.project, context.location.region or "global") as builds,
            StorageClient(builds.project) as storage,
        ):
            seen = builds.get(identity)
            context = _with_commit(context, seen.commit)
            evidence = _log_of(context, seen, storage)
            pythons = cloud_results.read_interpreters(
                seen.outputs, lambda name: storage.content(f"{seen.artifacts}/{name}")
            )
    except UnprovenError as error:
        return _unread(f"the build {identity}", error, (*_IN_A_BUILD, _BYTES, _FILES))
    calm = (f"the build {seen.id} ended with SUCCESS",) * (seen.status is BuildState.SUCCESS)
    evidence += Evidence(tuple(_of_ending(seen)), healthy=calm, commit=context.commit)
    if not seen.is_done:
        why = f"the build {seen.id} has not ended yet: it is {seen.status}"
        return evidence + Evidence(unexamined=tuple((name, why) for name in (*_IN_A_BUILD, _BYTES, _FILES)))
    if seen.status is not BuildState.SUCCESS:
        evidence += Evidence(failure=f"the build {seen.id} ended with {seen.ending}")
        if seen.reason is Reason.SOURCE_NOT_FETCHED:
            return evidence + _examine_source_object(context, seen)
        why = f"a build that ended with {seen.status} keeps nothing to compare"
        return evidence + Evidence(unexamined=tuple((name, why) for name in (_BYTES, _FILES)))
    evidence += Evidence(
        interpreters=tuple((interpreter, f"the build {seen.id} compiled with {interpreter}") for interpreter in pythons)
    )
    references = [f"{parse(name).name}@{digest}" for name, digest in seen.images if digest]
    return (
        evidence
        + compare_stage(context, f"build:{identity}", (_BYTES, _FILES))
        + Evidence(image=references[0] if references else "", commit=context.commit)
    )


def _of_ending(seen: BuildStatus) -> Iterator[CauseVerdict]:
    """How a build ended, where that speaks for a cause."""
    words = f"the build {seen.id} ended with {seen.ending}"
    match seen.reason:
        case Reason.SERVICE_TROUBLE | Reason.PUSH_FAILED:
            yield CauseVerdict(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
        case Reason.BUILD_TIMEOUT:
            remedy = "give it more time: timeout in cloudbuild.yaml"
            yield CauseVerdict(_RESOURCES, True, words, remedy=remedy, explains=True)
        case _:
            pass


def _examine_source_object(context: DiagnoseContext, seen: BuildStatus) -> Evidence:
    """Why a source could not be fetched: the object still exists, and is whole or not."""
    with temporary.folder() as folder:
        file = folder / "source"
        try:
            fetch(ObjectUrl.parse(seen.source), file)
        except GuardError as error:
            return _unread(seen.source, error, (_TROUBLE, _BYTES, _FILES))
        try:
            archives.read(file)
        except UnprovenError as error:
            words = f"{seen.source} is not what was sent: {error.what}"
            remedy = "submit it again: a new upload takes its place; buildguard deploy compares the two"
            return Evidence((CauseVerdict(_BYTES, True, words, remedy=remedy, explains=True),))
    words = f"the build {seen.id} could not fetch {seen.source}, which is whole"
    shown = CauseVerdict(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
    return Evidence((shown,)) + compare_stage(context, seen.source, (_BYTES, _FILES))


def _log_of(context: DiagnoseContext, seen: BuildStatus, storage: StorageClient) -> Evidence:
    """The log of a build, from its bucket or from Cloud Logging; without it, whatever only a log shows stays untested."""
    bucket, name = place_of(seen)
    if not bucket:
        return _cloud_log(context, of_build(seen.id))
    try:
        return Evidence(log=storage.since(bucket, name, 0))
    except UnprovenError as error:
        return _unread("the log in Google Cloud", error, _IN_A_LOG)


def examine_revision(context: DiagnoseContext, name: str) -> Evidence:
    """A revision in Cloud Run: what it says of itself, its variables, its commit, and its image."""
    config = context.config
    table = next(
        (each for each in config.deploys if each.service and name.startswith(f"{each.service}-")), config.deploy
    )
    service = table.service or name.rpartition("-")[0].rpartition("-")[0]
    app = AppContainer(table.image, table.container)
    try:
        with CloudRunClient(context.location.project, context.location.region, app) as run:
            state = run.revision(service, name)
    except UnprovenError as error:
        return _unread(f"the revision {name}", error, (_VARIABLE,))
    try:
        variables, image = _variables(context, service, state), state.image
    except UnknownContainerError as error:
        variables, image = Evidence(unexamined=((_VARIABLE, error.words),)), ""
    shown = []
    commit = state.annotations.get(COMMIT, "")
    if commit and context.head and not _is_related(context, commit):
        words = f"{name} was made from commit {commit[:12]}, and {context.head[:12]} is checked out here"
        shown.append(
            CauseVerdict(_FILES, True, words, remedy="deploy the commit that you mean, or look at the other one")
        )
    log = f"{state.message}\n".encode() if state.message and not state.ready else b""
    written = _cloud_log(context, of_revision(service, name, context.location.region))
    calm = (f"the revision {name} is ready",) if state.ready else ()
    commit = _with_commit(context, commit).commit
    return (
        variables + written + Evidence(tuple(shown), log, image=image, healthy=calm, commit=commit, starts=state.ready)
    )


def _variables(context: DiagnoseContext, service: str, found: Revision) -> Evidence:
    """The variables of a revision beside those that the configuration of its commit requires."""
    blind: tuple[tuple[str, str], ...] = ()
    try:
        wanted = _declared(_with_commit(context, found.annotations.get(COMMIT, ""))).deploy.required_env
    except GuardError as error:
        wanted, blind = (), ((_VARIABLE, error.words),)
    missing = [one for one in wanted if one not in found.env]
    if missing:
        remedy = f"gcloud run services update {service} --update-env-vars {missing[0]}=…"
        words = f"{found.name} does not have {', '.join(missing)}"
        return Evidence(
            (CauseVerdict(_VARIABLE, True, words, remedy=remedy, explains=not found.ready),), unexamined=blind
        )
    if found.ready:
        has = f", and has {', '.join(wanted)}" if wanted else ""
        return Evidence((CauseVerdict(_VARIABLE, False, f"{found.name} started{has}"),), unexamined=blind)
    words = f"{found.name} has every variable that required-env names; whether its code wants more was not looked at"
    return Evidence(unexamined=(*blind, (_VARIABLE, words)))


def _declared(context: DiagnoseContext) -> Config:
    """The configuration of the commit that something was made of; the one on disk has edits that were never deployed."""
    return Project.load(context.cwd, (f"commit:{context.project}",) if context.project else ()).root_config


def _is_related(context: DiagnoseContext, commit: str) -> bool:
    """Whether one of a commit and the one that is checked out comes after the other: work only went on since."""
    if context.repository is None or not context.has(commit):
        return False
    return 0 in context.repository.distance(commit, context.head)
