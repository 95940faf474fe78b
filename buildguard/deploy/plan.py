"""What a deploy will do, step by step, and what it would refuse. Pure: everything that it is made from was read before."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.deploy_table import NO_HEALTH, DeployKind, TrafficStage
from buildguard.project.verify_config import VerifyCommand

_WHOLE = 100


# The project of an image in Artifact Registry or Container Registry; one with an organization's domain has two parts.
_REGISTRY = lazy_pattern(
    r"[\w-]+-docker\.pkg\.dev/(?P<new>(?:[\w-]+\.[\w.-]+:)?[^/]+)/|(?:[\w-]+\.)?gcr\.io/(?P<old>(?:[\w-]+\.[\w.-]+[:/])?[^/]+)/"
)


class DeployStep(StrEnum):
    """The steps of a deploy, in their order."""

    PROMOTE = "promote"
    CHECK = "check"
    ARCHIVE = "archive"
    UPLOAD = "upload"
    BUILD = "build"
    VERIFY_IMAGE = "verify-image"
    START = "start"
    PUSH = "push"
    VALIDATE = "validate"
    EXECUTE = "execute"
    REVISION = "revision"
    HEALTH = "health"
    VERIFY = "verify"
    TRAFFIC = "traffic"
    PROVE = "prove"


class Builder(StrEnum):
    """Where the image is built: in Cloud Build, on this machine, or nowhere: it is proven in another environment."""

    CLOUD = "cloud"
    LOCAL = "local"
    PROMOTED = "promoted"


class PlannedStep(NamedTuple):
    """One step of a plan: its id, and what it will do."""

    id: DeployStep
    will: str


class DeploySource(NamedTuple):
    """What is deployed: the commit, the paths that differ from it in the working tree, and whether it was pushed.

    `pushed` is None where there is no remote to push to; `targets` are the Pythons that will run it, and who says so;
    `unsaved` are configuration files whose content in the working tree differs from the one that counts.
    """

    commit: str
    dirty: tuple[str, ...]
    pushed: bool | None
    targets: tuple[tuple[str, str], ...]
    unsaved: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The targets in words."""
        return ", ".join(f"Python {python} ({found_in})" for python, found_in in self.targets) or "no Python"


class ArchiveSummary(NamedTuple):
    """The archive: the digest of the tar inside it, how many files, and what is left out of it by which rule."""

    digest: str
    files: int
    dropped: tuple[tuple[str, str], ...]


class ImageBuild(NamedTuple):
    """How the image is made: the Build as the API's JSON has it, the steps of the build file that run and that do not.

    `image` is the name under which it is pushed, `filled_image` the same with every value that is known before the build;
    `pushes` are steps of the file that push by themselves.
    """

    build: Mapping[str, Any]
    file: str
    image: str
    steps_run: tuple[str, ...] = ()
    steps_skipped: tuple[str, ...] = ()
    pushes: tuple[str, ...] = ()
    filled_image: str = ""

    @property
    def shown_image(self) -> str:
        """The name of the image for people."""
        return self.filled_image or self.image


class LatestTraffic(NamedTuple):
    """What of a service's traffic follows its latest revision: all of it (`whole`), and these tags."""

    whole: bool = False
    tags: tuple[str, ...] = ()


class CurrentService(NamedTuple):
    """The service before the deploy: the revision to go back to, and variables that would be missing.

    That is the one with all traffic, or that had it before a deploy that did not come to its end; empty if unknown.

    `known` is False if Cloud Run did not answer; `etag` is the version of the service that was read; `divided` says who
    has how much of the traffic, where no revision has all of it. `container` is the app's container, named where there are
    several, `probe` its startup probe, and `unclear` is why it is unknown. The service runs in `project` and `region`, each
    empty where it is unknown. `latest` is what of its traffic follows its latest revision. `lost` are variables that the serving
    revision has, and a new one would not. `differences` are what it has not in common with the service that its image comes from. `described`
    is the file that the first revision is made of. `secret_problems` are versions of secrets that cannot be read, `secret_notes`
    what of them was not seen.
    """

    known: bool
    exists: bool = False
    rollback_to: str = ""
    missing: tuple[str, ...] = ()
    unknown_reason: str = ""
    etag: str = ""
    divided: str = ""
    container: str = ""
    probe: str = ""
    unclear: str = ""
    project: str = ""
    region: str = ""
    latest: LatestTraffic = LatestTraffic()
    lost: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    described: str = ""
    secret_problems: tuple[str, ...] = ()
    secret_notes: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether nothing serves beside a new revision, which then gets all traffic as it comes up."""
        return self.known and not self.rollback_to and not self.divided


class DeployOptions(NamedTuple):
    """What a person asked for, by flags and configuration; `skip_start` is the reason why the step `start` is skipped.

    `name` is what `--service` calls the deploy; `before_traffic` has a job wait for the services that are after it.
    `env` is the environment, `promoted_from` the one whose proven image is shipped.
    """

    builder: Builder
    service: str
    traffic: tuple[TrafficStage, ...]
    verify: tuple[VerifyCommand, ...]
    health: str
    no_traffic: bool = False
    allow_dirty: bool = False
    allow_unpushed: bool = False
    verify_after: bool = False
    project: str = ""
    region: str = ""
    pin: bool = False
    skip_start: str = ""
    name: str = ""
    kind: DeployKind = DeployKind.SERVICE
    before_traffic: bool = False
    env: str = ""
    promoted_from: str = ""

    @property
    def is_job(self) -> bool:
        """Whether it is a job that is executed, and no service that serves."""
        return self.kind is DeployKind.JOB

    @property
    def rollback(self) -> str:
        """The command that goes back, for the same service of the same project and region."""
        flags = (
            ("service", self.name or self.service),
            ("env", self.env),
            ("project", self.project),
            ("region", self.region),
        )
        return " ".join(["buildguard rollback", *(f"--{name} {value}" for name, value in flags if value)])


class DeployPlan(NamedTuple):
    """Everything; `refusals` are what stands against it, each with what to do, `notes` what is worth knowing."""

    source: DeploySource
    packed: ArchiveSummary
    building: ImageBuild
    serving: CurrentService
    wishes: DeployOptions
    steps: tuple[PlannedStep, ...]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]


def make_plan(
    source: DeploySource, packed: ArchiveSummary, building: ImageBuild, serving: CurrentService, wishes: DeployOptions
) -> DeployPlan:
    """The plan of a deploy."""
    refusals = tuple(_refusals(source, serving, wishes))
    steps = tuple(_steps(source.target, building, serving, wishes))
    return DeployPlan(
        source,
        packed,
        building,
        serving,
        wishes,
        steps,
        refusals,
        tuple(_notes(source, building, serving, wishes)),
    )


def _steps(target: str, building: ImageBuild, serving: CurrentService, wishes: DeployOptions) -> list[PlannedStep]:
    ending = _job_steps(wishes) if wishes.is_job else _service_steps(serving, wishes)
    if wishes.promoted_from:
        will = f"take {building.shown_image}, which serves in {wishes.promoted_from} and is proven there; compare the variables"
        return [PlannedStep(identity, will) for identity, will in [(DeployStep.PROMOTE, will), *ending]]
    steps = [
        (DeployStep.CHECK, f"compile every source of the commit under {target}, with an interpreter of that version"),
        (DeployStep.ARCHIVE, "write the archive of the commit, and compare it with the commit"),
        *_image_steps(building, wishes),
        *ending,
    ]
    return [PlannedStep(identity, will) for identity, will in steps]


def _image_steps(building: ImageBuild, wishes: DeployOptions) -> list[tuple[DeployStep, str]]:
    local = wishes.builder is Builder.LOCAL
    what = building.file or "Dockerfile"
    engine = "on the local container engine" if local else "on the local container engine (without one: in Cloud Build)"
    start = f"start it {engine} without a network, with PORT set, until it responds"
    if local:
        steps = [(DeployStep.BUILD, f"run {what} on the local container engine, from the archive")]
    else:
        steps = [
            (DeployStep.UPLOAD, "store it in the bucket, overwriting nothing, and compare what is stored with it"),
            (DeployStep.BUILD, f"run {what} in Cloud Build, and compare what it reports that it fetched"),
        ]
    steps.append(
        (DeployStep.VERIFY_IMAGE, "compare the image's files with the commit's, and compile them with its own Python")
    )
    if not wishes.is_job:
        steps.append((DeployStep.START, f"skipped: {wishes.skip_start}" if wishes.skip_start else start))
    if local:
        steps.append((DeployStep.PUSH, f"push {building.shown_image}, and take the digest that the registry returns"))
    return steps


def _job_steps(wishes: DeployOptions) -> list[tuple[DeployStep, str]]:
    if wishes.no_traffic and wishes.before_traffic:
        return [(DeployStep.VALIDATE, f"ask Cloud Run whether the job {wishes.service} would accept the image")]
    when = ", before the traffic of the services that are after it moves" if wishes.before_traffic else ""
    return [
        (DeployStep.VALIDATE, f"ask Cloud Run whether the job {wishes.service} would accept the image"),
        (
            DeployStep.EXECUTE,
            f"give {wishes.service} the image by its digest, and execute it once{when}: every task has to succeed",
        ),
        (DeployStep.PROVE, "compare the image that the job has and that was executed with what was built"),
    ]


def _service_steps(serving: CurrentService, wishes: DeployOptions) -> list[tuple[DeployStep, str]]:
    first = f"as the service's first, from {serving.described}" if serving.described else "as the service's first"
    traffic = first if serving.alone else "without traffic, and with a tag"
    container = f" in the container {serving.container}" if serving.container else ""
    steps = [
        (DeployStep.VALIDATE, f"ask Cloud Run whether {wishes.service} would accept the revision"),
        (DeployStep.REVISION, f"create the revision by the image's digest{container}, {traffic}"),
        (DeployStep.HEALTH, _health(serving, wishes)),
    ]
    if wishes.verify:
        steps.append((DeployStep.VERIFY, "run against that address: " + "; ".join(map(_verify_words, wishes.verify))))
    if wishes.no_traffic:
        return steps
    if serving.exists or not serving.known:
        ways = ", ".join(map(describe_stage, traffic_stages(serving, wishes)))
        steps.append((DeployStep.TRAFFIC, f"move traffic to it: {ways}; its health is checked after each step"))
    proof = "compare the serving revision, its share and its image's digest with what was built"
    steps.append((DeployStep.PROVE, f"{proof}{_latest(serving, wishes)}"))
    return steps


def _verify_words(command: VerifyCommand) -> str:
    return command.run if command.tests else f"{command.run} (a probe)"


def describe_stage(stage: TrafficStage) -> str:
    """A share of the traffic, for people."""
    if not stage.seconds:
        return f"{stage.percent} %"
    return f"{stage.percent} % for {stage.seconds:.0f} s, with requests of our own to both revisions counted"


def _latest(serving: CurrentService, wishes: DeployOptions) -> str:
    if not serving.latest.whole:
        return "; the traffic stays with revisions by name, as it is now" if serving.exists else ""
    if wishes.pin:
        return "; the traffic is pinned to the revision (pin = true)"
    return "; then the traffic follows the latest revision again"


def _health(serving: CurrentService, wishes: DeployOptions) -> str:
    asked = f"request {wishes.health or '/'} at the revision's own address, which has to respond with a status of 2xx"
    return f"{asked}, or take its own probe ({serving.probe})" if serving.probe and not wishes.health else asked


def traffic_stages(serving: CurrentService, wishes: DeployOptions) -> tuple[TrafficStage, ...]:
    """The shares that a new revision gets one after the other; all at once where no other revision is there to share with."""
    shared = serving.rollback_to or not serving.known
    return tuple(stage for stage in wishes.traffic if stage.percent == _WHOLE or (stage.percent and shared))


def _refusals(source: DeploySource, serving: CurrentService, wishes: DeployOptions) -> list[str]:
    refusals = []
    if source.dirty and not wishes.allow_dirty:
        names = ", ".join(source.dirty[:5])
        refusals.append(
            f"uncommitted changes in {names}: commit or undo them, or pass --allow-dirty to deploy the files as they are here"
        )
    if source.pushed is False and not wishes.allow_unpushed:
        refusals.append(f"commit {source.commit[:12]} is on no remote: push it, or --allow-unpushed")
    if serving.missing:
        container = f" --container {serving.container}" if serving.container else ""
        kind = "jobs" if wishes.is_job else "services"
        remedy = f"gcloud run {kind} update {wishes.service}{container} --update-env-vars NAME=VALUE"
        if not serving.exists:
            first = "execution" if wishes.is_job else "revision"
            remedy = (
                f"export them here, and list them in required-env: the first {first} takes them from this environment"
            )
        if serving.described:
            remedy = f"set them in {serving.described}"
        refusals.append(f"BG501 required environment variables are missing: {', '.join(serving.missing)}: {remedy}")
    refusals += serving.secret_problems
    if serving.unclear:
        refusals.append(serving.unclear)
    if wishes.no_traffic and serving.alone and not wishes.is_job:
        refusals.append("--no-traffic: the first revision of a service gets its traffic at once")
    return refusals


WARNING = "warning: "  # begins a note that should not be passed over


def _notes(source: DeploySource, building: ImageBuild, serving: CurrentService, wishes: DeployOptions) -> list[str]:
    notes = _source_notes(source)
    if building.steps_skipped:
        notes.append(f"steps of {building.file} that will not run: {', '.join(building.steps_skipped)}")
    notes += [f"{step} of {building.file} pushes an image before it is proven" for step in building.pushes]
    notes += _service_notes(serving, wishes)
    notes += _project_note(building, serving)
    notes += _revision_notes(serving, wishes)
    if wishes.builder is Builder.LOCAL:
        notes.append(
            "built here, not by Cloud Build: another machine, network and builder version, and no build provenance,"
            " which Binary Authorization may ask for"
        )
    return notes


def _source_notes(source: DeploySource) -> list[str]:
    notes = []
    if source.pushed is None:
        notes.append("this repository has no remote, so the commit exists only here; that stops no deploy")
    if source.unsaved:
        notes.append(
            f"{', '.join(source.unsaved)}: the commit's settings count, and the working tree's differ; commit them,"
            " or pass --allow-dirty"
        )
    return notes


def _service_notes(serving: CurrentService, wishes: DeployOptions) -> list[str]:
    """What is worth knowing of the service as it is."""
    notes = []
    if not wishes.health and not serving.probe and not wishes.is_job:
        notes.append(NO_HEALTH)
    if wishes.no_traffic and serving.latest.whole:
        notes.append(
            f"the traffic stays pinned to {serving.rollback_to or 'the revisions that serve now'} by name, until"
            f" gcloud run services update-traffic {wishes.service} --to-latest"
        )
    return [*notes, *serving.differences, *serving.secret_notes]


def _revision_notes(serving: CurrentService, wishes: DeployOptions) -> list[str]:
    """What is worth knowing of the new revision: the variables that it loses, and its traffic."""
    notes = []
    if serving.lost:
        notes.append(
            f"{WARNING}{serving.rollback_to} has variables that the new revision loses: {', '.join(serving.lost)};"
            f" to keep them: gcloud run services update {wishes.service} --update-env-vars NAME=VALUE"
        )
    unread = serving.unknown_reason and f"the job could not be read: {serving.unknown_reason}"
    traffic = unread if wishes.is_job else _traffic_note(serving)
    return [*notes, *([traffic] if traffic else ())]


def _project_note(building: ImageBuild, serving: CurrentService) -> list[str]:
    """That the image is stored in another project than the service's, which then needs a right to read it."""
    match = _REGISTRY.match(building.shown_image)
    owner = (match["new"] or match["old"]) if match is not None else ""
    if not owner or not serving.project or "$" in owner or owner == serving.project:
        return []
    words = f"the image is in project {owner}, and the service in {serving.project}"
    right = f"its service agent needs roles/artifactregistry.reader in {owner}"
    return [f"{words}: {right}; if that is a mistake, set image in [tool.buildguard.deploy]"]


def _traffic_note(serving: CurrentService) -> str:
    """What is uncertain about the service's traffic; empty where a rollback target is known."""
    if serving.unknown_reason:
        return f"the service could not be read: {serving.unknown_reason}"
    if serving.exists and serving.alone:
        return "no revision of the service ever came up, so the new one gets its traffic at once"
    if serving.exists and not serving.rollback_to:
        return "no revision has all the traffic now, so there is no certain way back"
    if serving.divided:
        return f"the traffic is divided now: {serving.divided}; {serving.rollback_to} had all of it before"
    return ""
