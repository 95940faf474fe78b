"""What a diagnosis can reach beside the log and the repository: an image, a build, a revision; each shown or excluded cause.

Whatever cannot be looked at is a reason why something stays untested, and never a refutation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildguard import causes
from buildguard import config as configs
from buildguard.commands.compare import diff
from buildguard.commands.job import Request, config_files
from buildguard.commands.named import Where
from buildguard.diagnostic import shown_path
from buildguard.difference import ADDED, MODE, REMOVED
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp.build import SUCCESS, CloudBuild
from buildguard.gcp.run import Run
from buildguard.gcp.storage import Storage
from buildguard.incident import Place, Shown
from buildguard.place import locate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildguard.commands.attempts import Attempts
    from buildguard.commands.judging import Watcher
    from buildguard.config import Config
    from buildguard.custody import Chain
    from buildguard.difference import Difference

_BYTES, _STALE, _FILES, _ENCODING = "bytes-changed", "stale-image", "wrong-files-sent", "encoding"
_OTHER, _STRAY, _PLATFORM, _VARIABLE = "other-interpreter", "stray-bytecode", "platform", "missing-variable"
_TROUBLE, _RESOURCES = "service-trouble", "resources"
_AS_TEXT = frozenset({causes.LINE_ENDINGS, causes.BOM, causes.TRANSCODED})
_SERVICE = frozenset({"INTERNAL_ERROR", "EXPIRED"})
_SERVICE_KINDS = frozenset({"FETCH_SOURCE_FAILED", "LOGGING_FAILURE", "PUSH_FAILED", "PUSH_NOT_AUTHORIZED"})
_MOST = 20


class Asked(NamedTuple):
    """What a person wants looked at beside this repository; the fields are the flags of the command line."""

    build: str = ""
    image: str = ""
    revision: str = ""
    project: str = ""
    region: str = ""


class Reached(NamedTuple):
    """What was found: causes shown or excluded, a log that came with it, and what could not be looked at, by cause."""

    shown: tuple[Shown, ...] = ()
    log: bytes = b""
    blind: tuple[tuple[str, str], ...] = ()
    image: str = ""
    chains: tuple[Chain, ...] = ()

    def __add__(self, other: object) -> Reached:
        """Both."""
        assert isinstance(other, Reached)
        return Reached(
            (*self.shown, *other.shown),
            self.log or other.log,
            (*self.blind, *other.blind),
            self.image or other.image,
            (*self.chains, *other.chains),
        )


class Sight(NamedTuple):
    """From where one looks: the repository, its configuration, and where Google is asked."""

    cwd: Path
    config: Config
    where: Where
    watcher: Watcher


def look(cwd: Path, asked: Asked, watcher: Watcher, attempts: Attempts | None) -> Reached:
    """Everything that was named, looked at; where nothing was, what the last of the attempts made, if there are any."""
    if attempts is not None and not (asked.build or asked.image or asked.revision):
        asked = _last_tried(attempts, asked)
    found = Reached()
    if not (asked.build or asked.image or asked.revision):
        return found
    config = configs.read(config_files(locate(cwd, ()).stage))
    table = config.cloud
    where = Where(asked.project or table.project, asked.region or table.region)
    sight = Sight(cwd, config, where, watcher)
    if asked.build:
        found += build(sight, asked.build)
    if asked.revision:
        found += revision(sight, asked.revision)
    reference = asked.image or found.image
    return found + image(sight, reference) if reference else found


def _last_tried(attempts: Attempts, asked: Asked) -> Asked:
    """What the last deploy from here made: its build, its image and its revision, as far as it came."""
    told: dict[str, str] = {}
    for line in attempts.runs[-1]:
        told |= {key: str(value) for key, value in line.evidence.items() if key in {"build", "id", "revision"}}
    made = told.get("revision", "")
    return asked._replace(build=told.get("build", ""), revision=made, image="" if made else told.get("id", ""))


def image(sight: Sight, reference: str) -> Reached:
    """An image against the commit, and by its own Python."""
    from buildguard.commands.inside import check_image  # the container engine's client is heavy

    root = sight.config.image_root
    stage = f"image:{reference}{f':{root}' if root else ''}"
    found = _compared(sight, stage, (_BYTES, _STALE, _FILES))
    try:
        report = check_image(Request(cwd=sight.cwd, engine="container", image=reference), stage, sight.watcher)
    except GuardError as error:
        return found + Reached(blind=tuple((name, error.words) for name in (_OTHER, _STRAY)))
    runs = next((row.interpreter for row in report.targets if row.interpreter), "")
    shown = []
    for name, code in ((_OTHER, "BG402"), (_STRAY, "BG405")):
        met = [one for one in report.diagnostics if one.code == code]
        shown += [Shown(name, True, f"{one.path or reference}: {one.message}") for one in met[:_MOST]]
        if not met and runs:
            words = (
                f"{reference} runs {runs}, as it is declared to"
                if name == _OTHER
                else f"no bytecode in {reference} is other than its source's"
            )
            shown.append(Shown(name, False, words))
    return found + Reached(tuple(shown))


def build(sight: Sight, identity: str) -> Reached:
    """A build in Cloud Build: how it ended, its log, and the workspace against the commit. Viewing is all the right it takes."""
    try:
        with (
            CloudBuild(sight.where.project, sight.where.region or "global") as builds,
            Storage(builds.project) as storage,
        ):
            seen = builds.get(identity)
            log = b"" if not seen.logs_bucket else storage.since(*_log_of(seen.logs_bucket, seen.id), 0)
    except UnprovenError as error:
        return Reached(blind=tuple((name, error.words) for name in (_TROUBLE, _RESOURCES, _BYTES, _FILES)))
    shown = []
    if seen.status in _SERVICE or seen.kind in _SERVICE_KINDS:
        shown.append(
            Shown(
                _TROUBLE,
                True,
                f"the build {seen.id} ended with {seen.ending}",
                remedy="run it again; nothing of yours made it fail",
            )
        )
    elif seen.status == SUCCESS:
        shown.append(Shown(_TROUBLE, False, f"the build {seen.id} ended with SUCCESS"))
    if seen.status == "TIMEOUT":
        shown.append(
            Shown(
                _RESOURCES,
                True,
                f"the build {seen.id} ended with {seen.ending}",
                remedy="give it more time: timeout in cloudbuild.yaml",
            )
        )
    found = Reached(tuple(shown), log)
    if seen.status != SUCCESS:
        return found + Reached(
            blind=tuple(
                (name, f"a build that ended with {seen.status} keeps nothing to compare") for name in (_BYTES, _FILES)
            )
        )
    return found + _compared(sight, f"build:{identity}", (_BYTES, _FILES))


def _log_of(bucket: str, identity: str) -> tuple[str, str]:
    name, _, folder = bucket.removeprefix("gs://").partition("/")
    return name, "/".join(part for part in (folder.strip("/"), f"log-{identity}.txt") if part)


def revision(sight: Sight, name: str) -> Reached:
    """A revision in Cloud Run: what it says of itself, its variables, its commit, and its image."""
    service = sight.config.deploy.service
    try:
        with Run(sight.where.project, sight.where.region) as run:
            found = run.revision(service or name.rpartition("-")[0].rpartition("-")[0], name)
    except UnprovenError as error:
        return Reached(blind=((_VARIABLE, error.words),))
    shown = []
    wanted = sight.config.deploy.required_env
    missing = [one for one in wanted if one not in found.env]
    if missing:
        remedy = f"gcloud run services update {service} --update-env-vars {missing[0]}=…"
        shown.append(Shown(_VARIABLE, True, f"{name} does not have {', '.join(missing)}", remedy=remedy))
    elif wanted:
        shown.append(Shown(_VARIABLE, False, f"{name} has {', '.join(wanted)}"))
    commit = found.annotations.get("buildguard.dev/commit", "")
    here = _head(sight)
    if commit and here and commit != here:
        words = f"{name} was made from commit {commit[:12]}, and {here[:12]} is checked out here"
        shown.append(Shown(_FILES, True, words, remedy="deploy the commit that you mean, or look at the other one"))
    log = f"{found.message}\n".encode() if found.message and not found.ready else b""
    return Reached(tuple(shown), log, image=found.image)


def _head(sight: Sight) -> str:
    from buildguard import git

    repository = git.repository_of(sight.cwd)
    return repository.head if repository is not None else ""


# ------------------------------------------------------------------------------------------ the chain


def _compared(sight: Sight, stage: str, names: tuple[str, ...]) -> Reached:
    """A stage against the commit: each difference speaks for a cause, and none excludes those that were looked for."""
    try:
        chain = diff(sight.cwd, ["commit:HEAD", stage], where=sight.where).chain
    except GuardError as error:
        return Reached(blind=tuple((name, error.words) for name in names))
    shown = tuple(_of_chain(chain, stage))
    proven = {one.cause for one in shown}
    if chain.unproven:
        reason = chain.unproven[0].reason
        blind = tuple((name, reason) for name in names if name not in proven)
        return Reached(shown, blind=blind, chains=(chain,))
    files = len(chain.hops[0].before.manifest.entries)
    words = f"commit:HEAD → {stage}: {{}} ({files} entries in the commit)"
    nothing = {_BYTES: "no content differs", _STALE: "no file is an older one", _FILES: "no file is missing"}
    excluded = (Shown(name, False, words.format(nothing[name])) for name in names if name not in proven)
    return Reached((*shown, *excluded), chains=(chain,))


def _of_chain(chain: Chain, stage: str) -> Iterator[Shown]:
    for one in chain.hops[0].findings[:_MOST]:
        yield from _of_difference(one, stage)


def _of_difference(one: Difference, stage: str) -> Iterator[Shown]:
    if one.change == MODE:
        return  # the same bytes, whoever may run them
    path = shown_path(one.path)
    evidence = one.evidence.partition("\n")[0]
    words = f"{path} {one.change} in {stage}: {one.cause}{f' ({evidence})' if evidence else ''}"
    place = Place(path, None)
    if one.cause == causes.STALE:
        yield Shown(_STALE, True, words, place, "build without the cache: docker builder prune, or --no-cache")
    elif one.change in {REMOVED, ADDED} or one.cause in {causes.IGNORED, causes.EXPORT_IGNORE}:
        yield Shown(_FILES, True, words, place, "buildguard diff commit:HEAD dir:. shows which ignore rule drops what")
    else:
        yield Shown(_BYTES, True, words, place, f"buildguard diff commit:HEAD {stage} shows every byte that differs")
        if one.cause in _AS_TEXT:
            yield Shown(
                _ENCODING, True, words, place, "* text=auto eol=lf in .gitattributes keeps line endings as they are"
            )
