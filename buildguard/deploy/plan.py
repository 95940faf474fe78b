"""A deploy as it is planned: its source, its image, the service as it is, what was asked for, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.errors import Reason
from buildguard.project.deploy_table import DeployKind, TrafficStage
from buildguard.project.verify_config import VerifyCommand
from buildguard.stages.manifest import Sha256

if TYPE_CHECKING:
    from buildguard.deploy.context import DeployContext, StepResult  # which hold the plan


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


class Step(NamedTuple):
    """One step of a deploy: its id, what it will do, in words, and what does it.

    `skipped` is why it is left out on purpose. `shares` names what its result depends on, where another deploy of the same commit
    may have the same; None for a step of this deploy alone.
    """

    id: DeployStep
    will: str
    run: Callable[[DeployContext], StepResult]
    skipped: str = ""
    shares: Callable[[DeployContext], tuple[str, ...]] | None = None


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

    digest: Sha256
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

    `known` is False if Cloud Run did not answer, for `unknown_reason` in words and `unknown_because`; `etag` is the version of the service that was read; `divided` says who
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
    unknown_because: Reason = Reason.OTHER

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
    """Everything; `steps` is what is shown, run and resumed; `refusals` are what stands against it, each with what to do, `notes` what is worth knowing."""

    source: DeploySource
    packed: ArchiveSummary
    building: ImageBuild
    serving: CurrentService
    wishes: DeployOptions
    steps: tuple[Step, ...]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]


_WHOLE = 100


def traffic_stages(serving: CurrentService, wishes: DeployOptions) -> tuple[TrafficStage, ...]:
    """The shares that a new revision gets one after the other; all at once where no other revision is there to share with."""
    shared = serving.rollback_to or not serving.known
    return tuple(stage for stage in wishes.traffic if stage.percent == _WHOLE or (stage.percent and shared))
