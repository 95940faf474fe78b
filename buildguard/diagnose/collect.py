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
from buildguard.check.result import Report
from buildguard.check.targets import Watcher
from buildguard.compare import causes, image_project
from buildguard.compare.chain import Chain
from buildguard.compare.diff import diff
from buildguard.compare.difference import ADDED, MODE, REMOVED, Difference
from buildguard.compare.open_stage import Where
from buildguard.diagnose.incident import Place, Shown
from buildguard.diagnostic import shown_path
from buildguard.engines import cloud_results
from buildguard.errors import GuardError, OtherPlatformError, UnprovenError
from buildguard.gcp.build_log import place_of
from buildguard.gcp.cloud_build import SUCCESS, CloudBuild, Seen
from buildguard.gcp.cloud_run import Revision, Run
from buildguard.gcp.object_stage import fetch
from buildguard.gcp.revision_names import COMMIT
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.gcp.storage import Storage, Url
from buildguard.locate import locate
from buildguard.project import config as configs
from buildguard.project.attempts import Attempts
from buildguard.project.config import Config, config_files
from buildguard.project.image_reference import parse
from buildguard.project.request import Request
from buildguard.stages.archives import reader as archives
from buildguard.system import git, temporary

_BYTES, _STALE, _FILES, _ENCODING = "bytes-changed", "stale-image", "wrong-files-sent", "encoding"
_OTHER, _STRAY, _PLATFORM, _VARIABLE = "other-interpreter", "stray-bytecode", "platform", "missing-variable"
_TROUBLE, _RESOURCES = "service-trouble", "resources"
_AS_TEXT = frozenset({causes.LINE_ENDINGS, causes.BOM, causes.TRANSCODED})
_RENAMED = frozenset({causes.MOVED, causes.NAME_NORMALIZATION, causes.CASE_COLLISION})
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


class Asked(NamedTuple):
    """What a person wants looked at beside this repository; the fields are the flags of the command line."""

    build: str = ""
    image: str = ""
    revision: str = ""
    project: str = ""
    region: str = ""


class Reached(NamedTuple):
    """What was found: causes shown or excluded, a log that came with it, and what could not be looked at, by cause.

    `compared` says how the text of the files was held against the commit's, and was the same; `calm` what went well, `ran` which
    interpreters are known to have run, each with who says so; `ended` is how a build failed. `commit` is what `image`, or a build
    without one, was made of; empty if unknown.
    """

    shown: tuple[Shown, ...] = ()
    log: bytes = b""
    blind: tuple[tuple[str, str], ...] = ()
    image: str = ""
    chains: tuple[Chain, ...] = ()
    reports: tuple[Report, ...] = ()
    compared: str = ""
    calm: tuple[str, ...] = ()
    ran: tuple[tuple[str, str], ...] = ()
    ended: str = ""
    commit: str = ""

    def __add__(self, other: object) -> Reached:
        """Both."""
        assert isinstance(other, Reached)
        return Reached(
            (*self.shown, *other.shown),
            b"".join(one if one.endswith(b"\n") else one + b"\n" for one in (self.log, other.log) if one),
            (*self.blind, *other.blind),
            other.image or self.image,  # a revision's is nearer to what serves than a build's
            (*self.chains, *other.chains),
            (*self.reports, *other.reports),
            other.compared or self.compared,
            (*self.calm, *other.calm),
            (*self.ran, *other.ran),
            self.ended or other.ended,
            other.commit if other.image else other.commit or self.commit,
        )


class Sight(NamedTuple):
    """From where one looks: the folder and its repository, the configuration, and where Google is asked.

    `commit` is the one that what is looked at was made of, as far as anything tells; else the one that is checked out.
    """

    cwd: Path
    repository: git.Repository | None
    config: Config
    where: Where
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


def look(cwd: Path, asked: Asked, watcher: Watcher, attempts: Attempts | None, *, has_log: bool = False) -> Reached:
    """Everything that was named, looked at; where nothing was, what the last of the attempts made, if there are any."""
    if attempts is not None and not has_log and not (asked.build or asked.image or asked.revision):
        asked = _last_tried(attempts, asked)
    found = Reached()
    if not (asked.build or asked.image or asked.revision):
        return found
    config = configs.read(config_files(locate(cwd, ()).stage))
    table = config.cloud
    where = Where(asked.project or table.project, asked.region or table.region)
    sight = Sight(cwd, git.repository_of(cwd), config, where, watcher)
    if asked.build:
        found += build(_of(sight, _attempted(attempts, asked.build)), asked.build)
    if asked.revision:
        found += revision(sight, asked.revision)
    if asked.image:
        name, _root = image_project.parse(asked.image)
        found += image(_of(sight, _attempted(attempts, name)), asked.image)
    elif found.image:
        found += image(_of(sight, found.commit), found.image)
    return found


def _attempted(attempts: Attempts | None, made: str) -> str:
    """The commit of the attempt that made a build or an image, by what no other one can have; empty where none did."""
    identity = made.rpartition("@")[2]  # of an image its digest or id: a name may be another image's by now
    for run in reversed(attempts.runs) if attempts is not None else ():
        if any(line.evidence.get(key) == identity for line in run for key in ("build", "id", "digest")):
            return str(run[0].commit)
    return ""


def _of(sight: Sight, commit: str) -> Sight:
    """The same sight of something that was made of that commit."""
    told = sight.head and _OID.fullmatch(commit)
    return sight._replace(commit=_HEAD if commit == sight.head else commit) if told else sight


def _last_tried(attempts: Attempts, asked: Asked) -> Asked:
    """What the last deploy from here made: its build, its image and its revision, as far as it came."""
    runs = [run for run in attempts.runs if not asked.project or run[0].project in {"", asked.project}]
    if not runs:
        return asked
    evidence = {key: str(value) for line in runs[-1] for key, value in line.evidence.items()}
    name, project = evidence.get("revision", ""), asked.project or runs[-1][0].project
    image = "" if name else evidence.get("id", "")
    return asked._replace(build=evidence.get("build", ""), revision=name, image=image, project=project)


def image(sight: Sight, reference: str) -> Reached:
    """An image against the commit, and by its own Python."""
    from buildguard.check.image import check_image  # the container engine's client is heavy

    name, given = image_project.parse(reference)
    root = given or sight.config.image_root
    stage = f"image:{name}{f':{root}' if root else ''}"
    found = Reached(image=name, commit=sight.commit) + _compared(sight, stage, (_BYTES, _STALE, _FILES))
    request = Request(cwd=sight.cwd, engine="container", image=name)
    try:
        report = check_image(request, stage, sight.watcher, sight.project)
    except OtherPlatformError as error:
        blind = tuple((one, error.words) for one in (_OTHER, _STRAY))
        remedy = f"docker build --platform {sight.config.platform}"
        return found + Reached((Shown(_PLATFORM, True, error.what, remedy=remedy),), blind=blind)
    except GuardError as error:
        return found + Reached(blind=tuple((one, error.words) for one in (_OTHER, _STRAY, _PLATFORM)))
    is_told = any(row.found_in != name for row in report.targets)
    blind = () if is_told else ((_OTHER, f"{UNTOLD} should be in {name}, or several do: --service picks one"),)
    shown = tuple(_of_image(report, name))
    if sight.is_elsewhere:
        shown = tuple(one for one in shown if one.cause != _OTHER)
        blind = ((_OTHER, sight.elsewhere),)
    return found + Reached(shown, blind=blind, reports=(report,))


def _of_image(report: Report, name: str) -> Iterator[Shown]:
    """What the check of an image shows. Nothing is excluded where the image's own Python did not run."""
    runs = next((row.interpreter for row in report.targets if row.interpreter and row.proof == "image"), "")
    declared = [row.found_in for row in report.targets if row.found_in != name]
    for cause, code, words in (
        (_OTHER, "BG402", f"{name} runs {runs}, as {declared[0]} says" if declared else ""),
        (_STRAY, "BG405", f"no bytecode in {name} is other than its source's"),
    ):
        met = [one for one in report.diagnostics if one.code == code]
        for one in met[:_MOST]:
            place = Place(one.path, None) if one.path else None
            yield Shown(cause, True, f"{one.path or name}: {one.message}", place, _REMEDIES[cause])
        if not met and runs and words and not (cause == _STRAY and _has_unseen_bytecode(report)):
            yield Shown(cause, False, words)
    inside = report.image
    assert inside is not None
    for path, reason in inside.misfits[:_MOST]:
        yield Shown(_PLATFORM, True, f"{path} in {name} {reason}", remedy=_REMEDIES[_PLATFORM])
    if not inside.misfits and runs:
        words = f"{name} is for {inside.platform}, its Python runs, and none of {inside.compiled} compiled modules is for another"
        yield Shown(_PLATFORM, False, words)


def _has_unseen_bytecode(report: Report) -> bool:
    """Whether some bytecode could not be held against its source, or what an installer brought does not fit its own."""
    assert report.image is not None
    installed = report.image.dependencies
    return any(one.path is None or one.path.endswith(".pyc") for one in (*report.unproven, *installed.unproven)) or any(
        one.code == "BG405" for one in installed.rejected
    )


def build(sight: Sight, identity: str) -> Reached:
    """A build in Cloud Build: how it ended, its log, its Pythons, its workspace and image. Viewing is all the right it takes."""
    try:
        with (
            CloudBuild(sight.where.project, sight.where.region or "global") as builds,
            Storage(builds.project) as storage,
        ):
            seen = builds.get(identity)
            sight = _of(sight, seen.commit)
            found = _log_of(seen, storage)
            pythons = cloud_results.interpreters(seen.outputs, lambda name: storage.content(f"{seen.artifacts}/{name}"))
    except UnprovenError as error:
        return Reached(blind=tuple((name, error.words) for name in (*_IN_A_BUILD, _BYTES, _FILES)))
    calm = (f"the build {seen.id} ended with SUCCESS",) * (seen.status == SUCCESS)
    found += Reached(tuple(_of_ending(seen)), calm=calm, commit=sight.commit)
    if not seen.is_done:
        why = f"the build {seen.id} has not ended yet: it is {seen.status}"
        return found + Reached(blind=tuple((name, why) for name in (*_IN_A_BUILD, _BYTES, _FILES)))
    if seen.status != SUCCESS:
        found += Reached(ended=f"the build {seen.id} ended with {seen.ending}")
        if seen.kind == _NOT_FETCHED:
            return found + _not_fetched(sight, seen)
        why = f"a build that ended with {seen.status} keeps nothing to compare"
        return found + Reached(blind=tuple((name, why) for name in (_BYTES, _FILES)))
    found += Reached(ran=tuple((one, f"the build {seen.id} compiled with {one}") for one in pythons))
    made = [f"{parse(name).name}@{digest}" for name, digest in seen.images if digest]
    return (
        found
        + _compared(sight, f"build:{identity}", (_BYTES, _FILES))
        + Reached(image=made[0] if made else "", commit=sight.commit)
    )


def _of_ending(seen: Seen) -> Iterator[Shown]:
    """How a build ended, where that speaks for a cause."""
    words = f"the build {seen.id} ended with {seen.ending}"
    if seen.status in _SERVICE or (seen.kind in _SERVICE_KINDS and not _NOT_ALLOWED.search(seen.detail)):
        yield Shown(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
    if seen.status == "TIMEOUT":
        yield Shown(_RESOURCES, True, words, remedy="give it more time: timeout in cloudbuild.yaml", explains=True)


def _not_fetched(sight: Sight, seen: Seen) -> Reached:
    """Why a source could not be fetched: the object still lies there, and is whole or not."""
    with temporary.folder() as folder:
        file = folder / "source"
        try:
            fetch(Url.parse(seen.source), file)
        except GuardError as error:
            return Reached(blind=tuple((name, error.words) for name in (_TROUBLE, _BYTES, _FILES)))
        try:
            archives.read(file)
        except UnprovenError as error:
            words = f"{seen.source} is not what was sent: {error.what}"
            remedy = "submit it again: a new upload takes its place; buildguard deploy compares the two"
            return Reached((Shown(_BYTES, True, words, remedy=remedy, explains=True),))
    words = f"the build {seen.id} could not fetch {seen.source}, which is whole"
    shown = Shown(_TROUBLE, True, words, remedy=_REMEDIES[_TROUBLE], explains=True)
    return Reached((shown,)) + _compared(sight, seen.source, (_BYTES, _FILES))


def _log_of(seen: Seen, storage: Storage) -> Reached:
    """The log of a build; where it cannot be read, whatever only a log shows stays untested."""
    bucket, name = place_of(seen)
    if not bucket:
        return Reached()
    try:
        return Reached(log=storage.since(bucket, name, 0))
    except UnprovenError as error:
        return Reached(blind=tuple((cause, error.words) for cause in _IN_A_LOG))


def revision(sight: Sight, name: str) -> Reached:
    """A revision in Cloud Run: what it says of itself, its variables, its commit, and its image."""
    table = sight.config.deploy
    service = table.service or name.rpartition("-")[0].rpartition("-")[0]
    app = AppContainer(table.image, table.container)
    try:
        with Run(sight.where.project, sight.where.region, app) as run:
            found = run.revision(service, name)
    except UnprovenError as error:
        return Reached(blind=((_VARIABLE, error.words),))
    try:
        variables, image = _variables(sight, service, found), found.image
    except UnknownContainerError as error:
        variables, image = Reached(blind=((_VARIABLE, error.words),)), ""
    shown = []
    commit = found.annotations.get(COMMIT, "")
    if commit and sight.head and not _related(sight, commit):
        words = f"{name} was made from commit {commit[:12]}, and {sight.head[:12]} is checked out here"
        shown.append(Shown(_FILES, True, words, remedy="deploy the commit that you mean, or look at the other one"))
    log = f"{found.message}\n".encode() if found.message and not found.ready else b""
    calm = (f"the revision {name} is ready",) if found.ready else ()
    return variables + Reached(tuple(shown), log, image=image, calm=calm, commit=_of(sight, commit).commit)


def _variables(sight: Sight, service: str, found: Revision) -> Reached:
    """The variables of a revision beside those that the configuration of its commit requires."""
    blind: tuple[tuple[str, str], ...] = ()
    try:
        wanted = _declared(_of(sight, found.annotations.get(COMMIT, ""))).deploy.required_env
    except GuardError as error:
        wanted, blind = (), ((_VARIABLE, error.words),)
    missing = [one for one in wanted if one not in found.env]
    if missing:
        remedy = f"gcloud run services update {service} --update-env-vars {missing[0]}=…"
        words = f"{found.name} does not have {', '.join(missing)}"
        return Reached((Shown(_VARIABLE, True, words, remedy=remedy, explains=not found.ready),), blind=blind)
    if found.ready:
        has = f", and has {', '.join(wanted)}" if wanted else ""
        return Reached((Shown(_VARIABLE, False, f"{found.name} started{has}"),), blind=blind)
    words = f"{found.name} has every variable that required-env names; whether its code wants more was not looked at"
    return Reached(blind=(*blind, (_VARIABLE, words)))


def _declared(sight: Sight) -> Config:
    """The configuration of the commit that something was made of; the one on disk has edits that were never deployed."""
    return configs.read(config_files(locate(sight.cwd, (f"commit:{sight.project}",) if sight.project else ()).stage))


def _related(sight: Sight, commit: str) -> bool:
    """Whether one of a commit and the one that is checked out comes after the other: somebody only went on since."""
    if sight.repository is None or not sight.has(commit):
        return False
    return 0 in sight.repository.distance(commit, sight.head)


# ------------------------------------------------------------------------------------------ the chain


def _compared(sight: Sight, stage: str, names: tuple[str, ...]) -> Reached:
    """A stage against its commit: each difference speaks for a cause, and none excludes those that were looked for."""
    before = f"commit:{sight.commit[:_SHORT]}"
    if sight.is_elsewhere:
        return Reached(blind=tuple((name, sight.elsewhere) for name in (*names, _ENCODING)))
    try:
        chain = diff(sight.cwd, [before, stage], where=sight.where, project=sight.project).chain
    except GuardError as error:
        return Reached(blind=tuple((name, error.words) for name in (*names, _ENCODING)))
    shown = tuple(_of_chain(chain, before, stage))
    proven = {one.cause for one in shown}
    if chain.unproven:
        reason = chain.unproven[0].reason
        blind = tuple((name, reason) for name in (*names, _ENCODING) if name not in proven)
        return Reached(shown, blind=blind, chains=(chain,))
    files = len(chain.hops[0].before.manifest.entries)
    words = f"{before} → {stage}: {{}} ({files} entries in the commit)"
    other = "other " if proven else ""
    nothing = {
        _BYTES: f"no {other}content differs",
        _STALE: "no file is an older one",
        _FILES: "no file is missing, and no source too many",
    }
    excluded = (Shown(name, False, words.format(nothing[name])) for name in names if name not in proven)
    same = "" if _ENCODING in proven else words.format("no file has other line ends, another encoding or a mark")
    return Reached((*shown, *excluded), chains=(chain,), compared=same)


def _of_chain(chain: Chain, before: str, stage: str) -> Iterator[Shown]:
    """What the differences speak for: of each cause the first few, so that none crowds out another."""
    told: Counter[str] = Counter()
    findings = chain.hops[0].findings
    after = chain.hops[0].after.manifest.entries.values()
    # a context that comes from Windows makes every file executable, and that breaks nothing
    from_windows = all(one.mode != "100644" for one in after)
    for one in findings:
        if one.change == MODE and from_windows:
            continue
        for shown in _of_difference(one, before, stage):
            told[shown.cause] += 1
            if told[shown.cause] <= _MOST:
                yield shown


def _of_difference(one: Difference, before: str, stage: str) -> Iterator[Shown]:
    path = shown_path(one.path)
    evidence = one.evidence.partition("\n")[0]
    words = f"{path} {one.change} in {stage}: {one.cause}{f' ({evidence})' if evidence else ''}"
    place = Place(path, None)
    if one.cause == causes.STALE:
        yield Shown(_STALE, True, words, place, "build without the cache: docker builder prune, or --no-cache")
    elif one.change in {REMOVED, ADDED} and one.cause not in _RENAMED:
        yield Shown(_FILES, True, words, place, "buildguard diff commit:HEAD dir:. shows which ignore rule drops what")
    else:
        yield Shown(_BYTES, True, words, place, f"buildguard diff {before} {stage} shows every byte that differs")
        if one.cause in _AS_TEXT:
            remedy = "* text=auto eol=lf in .gitattributes keeps line endings as they are"
            yield Shown(_ENCODING, True, words, place, remedy)
