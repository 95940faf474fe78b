"""What a diagnosis can reach beside the log and the repository: an image, a build, a revision; each shown or excluded cause.

Whatever cannot be looked at is a reason why something stays untested, and never a refutation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from buildguard.check.context import UNTOLD
from buildguard.check.result import CheckReport
from buildguard.check.targets import Watcher
from buildguard.compare import image_project
from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import Chain
from buildguard.compare.diff import diff
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.open_stage import CloudLocation
from buildguard.diagnose.incident import CauseVerdict, SourceLocation
from buildguard.diagnostic import display_path
from buildguard.engines import cloud_results
from buildguard.errors import GuardError, OtherPlatformError, UnprovenError
from buildguard.gcp.build_log import place_of
from buildguard.gcp.cloud_build import BuildStatus, CloudBuildClient
from buildguard.gcp.cloud_run import CloudRunClient, Revision
from buildguard.gcp.object_stage import fetch
from buildguard.gcp.revision_names import COMMIT
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.locate import locate
from buildguard.project import config as configs
from buildguard.project.attempts import DeployHistory
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.config import Config, config_files
from buildguard.project.image_reference import parse
from buildguard.project.request import CheckRequest
from buildguard.stages.archives import reader as archives
from buildguard.system import git, temporary

_BYTES, _STALE, _FILES, _ENCODING = "bytes-changed", "stale-image", "wrong-files-sent", "encoding"
_OTHER, _STRAY, _PLATFORM, _VARIABLE = "other-interpreter", "stray-bytecode", "platform", "missing-variable"
_TROUBLE, _RESOURCES = "service-trouble", "resources"
_AS_TEXT = frozenset({CauseKind.LINE_ENDINGS, CauseKind.BOM, CauseKind.TRANSCODED})
_RENAMED = frozenset({CauseKind.MOVED, CauseKind.NAME_NORMALIZATION, CauseKind.CASE_COLLISION})
_SERVICE = frozenset({"INTERNAL_ERROR", "EXPIRED"})
_SERVICE_KINDS = frozenset({"LOGGING_FAILURE", "PUSH_FAILED"})
_NOT_FETCHED = "FETCH_SOURCE_FAILED"
_NOT_ALLOWED = re.compile(r"(?i)unauthori[sz]ed|denied|forbidden|permission")
_IN_A_BUILD = (_TROUBLE, _RESOURCES)
_IN_A_LOG = (_OTHER, _STRAY, _PLATFORM, _VARIABLE, "not-importable", _RESOURCES)
_MOST = 20
_HEAD, _SHORT = "HEAD", 12
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REMEDIES = {
    _TROUBLE: "run it again; nothing of yours made it fail",
    _OTHER: "build from the base image that is declared, or declare this one: buildguard check --image",
    _STRAY: "keep __pycache__ and *.pyc out of the image (.dockerignore), and build it again",
    _PLATFORM: "install packages in the image that runs them, and not beside it: RUN pip install in the Dockerfile",
}


class DiagnoseOptions(NamedTuple):
    """What a person wants looked at beside this repository; the fields are the flags of the command line."""

    build: str = ""
    image: str = ""
    revision: str = ""
    project: str = ""
    region: str = ""


class Evidence(NamedTuple):
    """What was found: causes shown or excluded, a log that came with it, and what could not be looked at, by cause.

    `compared` says how the text of the files was held against the commit's, and was the same; `calm` what went well, `ran` which
    interpreters are known to have run, each with who says so; `ended` is how a build failed. `commit` is what `image`, or a build
    without one, was made of; empty if unknown.
    """

    verdicts: tuple[CauseVerdict, ...] = ()
    log: bytes = b""
    unexamined: tuple[tuple[str, str], ...] = ()
    image: str = ""
    chains: tuple[Chain, ...] = ()
    reports: tuple[CheckReport, ...] = ()
    compared: str = ""
    healthy: tuple[str, ...] = ()
    interpreters: tuple[tuple[str, str], ...] = ()
    failure: str = ""
    commit: str = ""

    def __add__(self, other: object) -> Evidence:
        """Both."""
        assert isinstance(other, Evidence)
        return Evidence(
            (*self.verdicts, *other.verdicts),
            b"".join(text if text.endswith(b"\n") else text + b"\n" for text in (self.log, other.log) if text),
            (*self.unexamined, *other.unexamined),
            other.image or self.image,  # a revision's is nearer to what serves than a build's
            (*self.chains, *other.chains),
            (*self.reports, *other.reports),
            other.compared or self.compared,
            (*self.healthy, *other.healthy),
            (*self.interpreters, *other.interpreters),
            self.failure or other.failure,
            other.commit if other.image else other.commit or self.commit,
        )


class DiagnoseContext(NamedTuple):
    """From where one looks: the folder and its repository, the configuration, and where Google is asked.

    `commit` is the one that what is looked at was made of, as far as anything tells; else the one that is checked out.
    """

    cwd: Path
    repository: git.Repository | None
    config: Config
    location: CloudLocation
    watcher: Watcher
    commit: str = _HEAD

    @property
    def head(self) -> str:
        """The commit that is checked out; empty where there is none."""
        return self.repository.head if self.repository is not None else ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the commit is known and not in the repository."""
        return self.commit != _HEAD and not self.has(self.commit)

    @property
    def elsewhere(self) -> str:
        """That it is not, and what helps."""
        return f"commit:{self.commit[:_SHORT]}, of which it was made, is not in this repository: git fetch"

    @property
    def project(self) -> str:
        """The commit whose files are those of the project; empty without commits, where only the folder has any."""
        return "" if not self.head else _HEAD if self.is_elsewhere else self.commit

    def has(self, commit: str) -> bool:
        """Whether a commit is in the repository."""
        return self.repository is not None and self.repository.has_commit(commit)


def collect_evidence(
    cwd: Path, asked: DiagnoseOptions, watcher: Watcher, attempts: DeployHistory | None, *, has_log: bool = False
) -> Evidence:
    """Everything that was named, looked at; where nothing was, what the last of the attempts made, if there are any."""
    if attempts is not None and not has_log and not (asked.build or asked.image or asked.revision):
        asked = _last_attempt(attempts, asked)
    evidence = Evidence()
    if not (asked.build or asked.image or asked.revision):
        return evidence
    config = configs.read(config_files(locate(cwd, ()).stage))
    table = config.cloud
    where = CloudLocation(asked.project or table.project, asked.region or table.region)
    sight = DiagnoseContext(cwd, git.repository_of(cwd), config, where, watcher)
    if asked.build:
        evidence += examine_build(_with_commit(sight, _commit_of_attempt(attempts, asked.build)), asked.build)
    if asked.revision:
        evidence += examine_revision(sight, asked.revision)
    if asked.image:
        name, _root = image_project.parse(asked.image)
        evidence += examine_image(_with_commit(sight, _commit_of_attempt(attempts, name)), asked.image)
    elif evidence.image:
        evidence += examine_image(_with_commit(sight, evidence.commit), evidence.image)
    return evidence


def _commit_of_attempt(attempts: DeployHistory | None, artifact: str) -> str:
    """The commit of the attempt that made a build or an image, by what no other one can have; empty where none did."""
    identity = artifact.rpartition("@")[2]  # of an image its digest or id: a name may be another image's by now
    for run in reversed(attempts.runs) if attempts is not None else ():
        if any(line.evidence.get(key) == identity for line in run for key in ("build", "id", "digest")):
            return str(run[0].commit)
    return ""


def _with_commit(sight: DiagnoseContext, commit: str) -> DiagnoseContext:
    """The same sight of something that was made of that commit."""
    is_known = sight.head and _OID.fullmatch(commit)
    return sight._replace(commit=_HEAD if commit == sight.head else commit) if is_known else sight


def _last_attempt(attempts: DeployHistory, asked: DiagnoseOptions) -> DiagnoseOptions:
    """What the last deploy from here made: its build, its image and its revision, as far as it came."""
    runs = [run for run in attempts.runs if not asked.project or run[0].project in {"", asked.project}]
    if not runs:
        return asked
    evidence = {key: str(value) for line in runs[-1] for key, value in line.evidence.items()}
    name, project = evidence.get("revision", ""), asked.project or runs[-1][0].project
    image = "" if name else evidence.get("id", "")
    return asked._replace(build=evidence.get("build", ""), revision=name, image=image, project=project)


def examine_image(sight: DiagnoseContext, reference: str) -> Evidence:
    """An image against the commit, and by its own Python."""
    from buildguard.check.image import check_image  # the container engine's client is heavy

    name, given = image_project.parse(reference)
    root = given or sight.config.image_root
    stage = f"image:{name}{f':{root}' if root else ''}"
    evidence = Evidence(image=name, commit=sight.commit) + _compare_stage(sight, stage, (_BYTES, _STALE, _FILES))
    request = CheckRequest(cwd=sight.cwd, engine="container", image=name)
    try:
        report = check_image(request, stage, sight.watcher, sight.project)
    except OtherPlatformError as error:
        blind = tuple((cause, error.words) for cause in (_OTHER, _STRAY))
        remedy = f"docker build --platform {sight.config.platform}"
        return evidence + Evidence((CauseVerdict(_PLATFORM, True, error.what, remedy=remedy),), unexamined=blind)
    except GuardError as error:
        return evidence + Evidence(unexamined=tuple((cause, error.words) for cause in (_OTHER, _STRAY, _PLATFORM)))
    is_told = any(row.found_in != name for row in report.targets)
    blind = () if is_told else ((_OTHER, f"{UNTOLD} should be in {name}, or several do: --service picks one"),)
    shown = tuple(_of_image(report, name))
    if sight.is_elsewhere:
        shown = tuple(cause for cause in shown if cause.cause != _OTHER)
        blind = ((_OTHER, sight.elsewhere),)
    return evidence + Evidence(shown, unexamined=blind, reports=(report,))


def _of_image(report: CheckReport, name: str) -> Iterator[CauseVerdict]:
    """What the check of an image shows. Nothing is excluded where the image's own Python did not run."""
    runs = next((row.interpreter for row in report.targets if row.interpreter and row.proof == "image"), "")
    declared = [row.found_in for row in report.targets if row.found_in != name]
    for cause, code, words in (
        (_OTHER, "BG402", f"{name} runs {runs}, as {declared[0]} says" if declared else ""),
        (_STRAY, "BG405", f"no bytecode in {name} is other than its source's"),
    ):
        met = [diagnostic for diagnostic in report.diagnostics if diagnostic.code == code]
        for diagnostic in met[:_MOST]:
            place = SourceLocation(diagnostic.path, None) if diagnostic.path else None
            yield CauseVerdict(cause, True, f"{diagnostic.path or name}: {diagnostic.message}", place, _REMEDIES[cause])
        if not met and runs and words and not (cause == _STRAY and _has_unseen_bytecode(report)):
            yield CauseVerdict(cause, False, words)
    inside = report.image
    assert inside is not None
    for path, reason in inside.misfits[:_MOST]:
        yield CauseVerdict(_PLATFORM, True, f"{path} in {name} {reason}", remedy=_REMEDIES[_PLATFORM])
    if not inside.misfits and runs:
        words = f"{name} is for {inside.platform}, its Python runs, and none of {inside.compiled} compiled modules is for another"
        yield CauseVerdict(_PLATFORM, False, words)


def _has_unseen_bytecode(report: CheckReport) -> bool:
    """Whether some bytecode could not be held against its source, or what an installer brought does not fit its own."""
    assert report.image is not None
    installed = report.image.dependencies
    return any(one.path is None or one.path.endswith(".pyc") for one in (*report.unproven, *installed.unproven)) or any(
        one.code == "BG405" for one in installed.rejected
    )


def examine_build(sight: DiagnoseContext, identity: str) -> Evidence:
    """A build in Cloud Build: how it ended, its log, its Pythons, its workspace and image. Viewing is all the right it takes."""
    try:
        with (
            CloudBuildClient(sight.location.project, sight.location.region or "global") as builds,
            StorageClient(builds.project) as storage,
        ):
            seen = builds.get(identity)
            sight = _with_commit(sight, seen.commit)
            evidence = _log_of(seen, storage)
            pythons = cloud_results.read_interpreters(
                seen.outputs, lambda name: storage.content(f"{seen.artifacts}/{name}")
            )
    except UnprovenError as error:
        return Evidence(unexamined=tuple((name, error.words) for name in (*_IN_A_BUILD, _BYTES, _FILES)))
    calm = (f"the build {seen.id} ended with SUCCESS",) * (seen.status is BuildState.SUCCESS)
    evidence += Evidence(tuple(_of_ending(seen)), healthy=calm, commit=sight.commit)
    if not seen.is_done:
        why = f"the build {seen.id} has not ended yet: it is {seen.status}"
        return evidence + Evidence(unexamined=tuple((name, why) for name in (*_IN_A_BUILD, _BYTES, _FILES)))
    if seen.status is not BuildState.SUCCESS:
        evidence += Evidence(failure=f"the build {seen.id} ended with {seen.ending}")
        if seen.kind == _NOT_FETCHED:
            return evidence + _examine_source_object(sight, seen)
        why = f"a build that ended with {seen.status} keeps nothing to compare"
        return evidence + Evidence(unexamined=tuple((name, why) for name in (_BYTES, _FILES)))
    evidence += Evidence(
        interpreters=tuple((interpreter, f"the build {seen.id} compiled with {interpreter}") for interpreter in pythons)
    )
    references = [f"{parse(name).name}@{digest}" for name, digest in seen.images if digest]
    return (
        evidence
        + _compare_stage(sight, f"build:{identity}", (_BYTES, _FILES))
        + Evidence(image=references[0] if references else "", commit=sight.commit)
    )


def _of_ending(seen: BuildStatus) -> Iterator[CauseVerdict]:
    """How a build ended, where that speaks for a cause."""
    words = f"the build {seen.id} ended with {seen.ending}"
    if seen.status in _SERVICE or (seen.kind in _SERVICE_KINDS and not _NOT_ALLOWED.search(seen.detail)):
        yield CauseVerdict(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
    if seen.status == "TIMEOUT":
        yield CauseVerdict(
            _RESOURCES, True, words, remedy="give it more time: timeout in cloudbuild.yaml", explains=True
        )


def _examine_source_object(sight: DiagnoseContext, seen: BuildStatus) -> Evidence:
    """Why a source could not be fetched: the object still lies there, and is whole or not."""
    with temporary.folder() as folder:
        file = folder / "source"
        try:
            fetch(ObjectUrl.parse(seen.source), file)
        except GuardError as error:
            return Evidence(unexamined=tuple((name, error.words) for name in (_TROUBLE, _BYTES, _FILES)))
        try:
            archives.read(file)
        except UnprovenError as error:
            words = f"{seen.source} is not what was sent: {error.what}"
            remedy = "submit it again: a new upload takes its place; buildguard deploy compares the two"
            return Evidence((CauseVerdict(_BYTES, True, words, remedy=remedy, explains=True),))
    words = f"the build {seen.id} could not fetch {seen.source}, which is whole"
    shown = CauseVerdict(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
    return Evidence((shown,)) + _compare_stage(sight, seen.source, (_BYTES, _FILES))


def _log_of(seen: BuildStatus, storage: StorageClient) -> Evidence:
    """The log of a build; where it cannot be read, whatever only a log shows stays untested."""
    bucket, name = place_of(seen)
    if not bucket:
        return Evidence()
    try:
        return Evidence(log=storage.since(bucket, name, 0))
    except UnprovenError as error:
        return Evidence(unexamined=tuple((cause, error.words) for cause in _IN_A_LOG))


def examine_revision(sight: DiagnoseContext, name: str) -> Evidence:
    """A revision in Cloud Run: what it says of itself, its variables, its commit, and its image."""
    table = sight.config.deploy
    service = table.service or name.rpartition("-")[0].rpartition("-")[0]
    app = AppContainer(table.image, table.container)
    try:
        with CloudRunClient(sight.location.project, sight.location.region, app) as run:
            state = run.revision(service, name)
    except UnprovenError as error:
        return Evidence(unexamined=((_VARIABLE, error.words),))
    try:
        variables, image = _variables(sight, service, state), state.image
    except UnknownContainerError as error:
        variables, image = Evidence(unexamined=((_VARIABLE, error.words),)), ""
    shown = []
    commit = state.annotations.get(COMMIT, "")
    if commit and sight.head and not _is_related(sight, commit):
        words = f"{name} was made from commit {commit[:12]}, and {sight.head[:12]} is checked out here"
        shown.append(
            CauseVerdict(_FILES, True, words, remedy="deploy the commit that you mean, or look at the other one")
        )
    log = f"{state.message}\n".encode() if state.message and not state.ready else b""
    calm = (f"the revision {name} is ready",) if state.ready else ()
    return variables + Evidence(tuple(shown), log, image=image, healthy=calm, commit=_with_commit(sight, commit).commit)


def _variables(sight: DiagnoseContext, service: str, found: Revision) -> Evidence:
    """The variables of a revision beside those that the configuration of its commit requires."""
    blind: tuple[tuple[str, str], ...] = ()
    try:
        wanted = _declared(_with_commit(sight, found.annotations.get(COMMIT, ""))).deploy.required_env
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


def _declared(sight: DiagnoseContext) -> Config:
    """The configuration of the commit that something was made of; the one on disk has edits that were never deployed."""
    return configs.read(config_files(locate(sight.cwd, (f"commit:{sight.project}",) if sight.project else ()).stage))


def _is_related(sight: DiagnoseContext, commit: str) -> bool:
    """Whether one of a commit and the one that is checked out comes after the other: somebody only went on since."""
    if sight.repository is None or not sight.has(commit):
        return False
    return 0 in sight.repository.distance(commit, sight.head)


# ------------------------------------------------------------------------------------------ the chain


def _compare_stage(sight: DiagnoseContext, stage: str, names: tuple[str, ...]) -> Evidence:
    """A stage against its commit: each difference speaks for a cause, and none excludes those that were looked for."""
    before = f"commit:{sight.commit[:_SHORT]}"
    if sight.is_elsewhere:
        return Evidence(unexamined=tuple((name, sight.elsewhere) for name in (*names, _ENCODING)))
    try:
        chain = diff(sight.cwd, [before, stage], where=sight.location, project=sight.project).chain
    except GuardError as error:
        return Evidence(unexamined=tuple((name, error.words) for name in (*names, _ENCODING)))
    shown = tuple(_of_chain(chain, before, stage))
    proven = {verdict.cause for verdict in shown}
    if chain.unproven:
        reason = chain.unproven[0].reason
        blind = tuple((name, reason) for name in (*names, _ENCODING) if name not in proven)
        return Evidence(shown, unexamined=blind, chains=(chain,))
    files = len(chain.hops[0].before.manifest.entries)
    words = f"{before} → {stage}: {{}} ({files} entries in the commit)"
    other = "other " if proven else ""
    nothing = {
        _BYTES: f"no {other}content differs",
        _STALE: "no file is an older one",
        _FILES: "no file is missing, and no source too many",
    }
    excluded = (CauseVerdict(name, False, words.format(nothing[name])) for name in names if name not in proven)
    same = "" if _ENCODING in proven else words.format("no file has other line ends, another encoding or a mark")
    return Evidence((*shown, *excluded), chains=(chain,), compared=same)


def _of_chain(chain: Chain, before: str, stage: str) -> Iterator[CauseVerdict]:
    """What the differences speak for: of each cause the first few, so that none crowds out another."""
    counts: Counter[str] = Counter()
    findings = chain.hops[0].findings
    after = chain.hops[0].after.manifest.entries.values()
    # a context that comes from Windows makes every file executable, and that breaks nothing
    from_windows = all(entry.mode != "100644" for entry in after)
    for difference in findings:
        if difference.change == ChangeKind.MODE and from_windows:
            continue
        for shown in _of_difference(difference, before, stage):
            counts[shown.cause] += 1
            if counts[shown.cause] <= _MOST:
                yield shown


def _of_difference(difference: Difference, before: str, stage: str) -> Iterator[CauseVerdict]:
    path = display_path(difference.path)
    evidence = difference.evidence.partition("\n")[0]
    words = f"{path} {difference.change} in {stage}: {difference.cause}{f' ({evidence})' if evidence else ''}"
    place = SourceLocation(path, None)
    if difference.cause == CauseKind.STALE:
        yield CauseVerdict(_STALE, True, words, place, "build without the cache: docker builder prune, or --no-cache")
    elif difference.change in {ChangeKind.REMOVED, ChangeKind.ADDED} and difference.cause not in _RENAMED:
        yield CauseVerdict(
            _FILES, True, words, place, "buildguard diff commit:HEAD dir:. shows which ignore rule drops what"
        )
    else:
        yield CauseVerdict(
            _BYTES, True, words, place, f"buildguard diff {before} {stage} shows every byte that differs"
        )
        if difference.cause in _AS_TEXT:
            remedy = "* text=auto eol=lf in .gitattributes keeps line endings as they are"
            yield CauseVerdict(_ENCODING, True, words, place, remedy)
