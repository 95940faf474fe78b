"""What is known of a deploy while it runs: one frozen record that each step extends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from buildguard.check.targets import Watcher
from buildguard.cycles.expectations import Expectations
from buildguard.definitions import NamedTuple
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.cloud_image import CloudImage
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployPlan
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.shared_work import SharedWork
from buildguard.deploy.verify_step import VerifyReport
from buildguard.gcp import revision_names
from buildguard.gcp.cloud_build import BuildStatus
from buildguard.gcp.storage import StoredObject
from buildguard.imports.records import UndecidedImport
from buildguard.project.ledger import Ledger, LedgerLine


class DeployProgress:
    """How far a deploy has come, also in the middle of a step: what is left of it where it is interrupted."""

    context: DeployContext

    def __init__(self) -> None:
        self.at = ""  # the step that is under way
        self.running: BuildStatus | None = None
        self.moving = 0  # the percentage of the traffic that may be the new revision's by now

    def run_build(self, build: BuildStatus | None) -> None:
        """Note a build that runs now; None for none any more."""
        self.running = build


class DeployServices(NamedTuple):
    """What the steps work with: the ledger and its lines of earlier runs, who is told, and what other deploys of the commit did already.

    `expected` is what the cycles before let expect of the tests.
    """

    ledger: Ledger
    earlier: tuple[LedgerLine, ...]
    watcher: Watcher
    shared: SharedWork
    expected: Expectations = Expectations()


class ImageEngine(NamedTuple):
    """Where the built image is read and started: in Cloud Build, or on the engine here (None)."""

    cloud: CloudImage | None

    @property
    def note(self) -> str:
        """Where that is, behind what was seen there."""
        return " (in Cloud Build)" if self.cloud is not None else ""


class DeployContext(NamedTuple):
    """What a deploy knows: what it was prepared with, the outcomes so far, and what its steps have made.

    `url` is the address of the new revision, in the end that of the service; `etag` the version of the service that was seen last.
    `is_made` is whether the new revision may exist by now, `open_imports` are those that only a start of the image settles.
    """

    prepared: PreparedDeploy
    services: DeployServices
    progress: DeployProgress
    etag: str = ""
    outcomes: tuple[StepOutcome, ...] = ()
    notes: tuple[str, ...] = ()
    stored: StoredObject | None = None
    built: BuiltImage | None = None
    engine: ImageEngine | None = None
    open_imports: tuple[UndecidedImport, ...] = ()
    is_made: bool = False
    revision: str = ""
    url: str = ""
    tested: VerifyReport | None = None

    @property
    def plan(self) -> DeployPlan:
        """What the deploy will do."""
        return self.prepared.plan

    @property
    def image(self) -> BuiltImage:
        """The image that the steps before have made."""
        assert self.built is not None
        return self.built

    @property
    def tag(self) -> str:
        """The tag that gives the new revision an address of its own."""
        return revision_names.tag_of(self.plan.wishes.service, self.plan.source.commit)

    @property
    def source(self) -> str:
        """What is deployed, as a stage: the commit, wherever HEAD is by now, or the working tree."""
        return "dir:." if self.plan.source.dirty else f"commit:{self.plan.source.commit}"

    def publish(self) -> DeployContext:
        """This context, and from now on what is known of the deploy even if the step does not come to its end."""
        self.progress.context = self
        return self

    def noted(self, text: str) -> DeployContext:
        """The context with one note more."""
        return self._replace(notes=(*self.notes, text)).publish()

    def settled_imports(self) -> dict[str, Any]:
        """What a start that came up settles: the imports that it executes."""
        return {"settled_imports": len(self.open_imports)} if self.open_imports else {}


class StepResult(NamedTuple):
    """What a step comes to: the context that it has extended, words for people, and evidence for the ledger."""

    context: DeployContext
    words: str = ""
    evidence: Mapping[str, Any] = MappingProxyType({})


class Observation(NamedTuple):
    """Who serves after a failed deploy: in words, the one revision that does, or why Cloud Run did not respond."""

    traffic: str = ""
    only_revision: str = ""
    problem: str = ""


def begin_context(prepared: PreparedDeploy, services: DeployServices) -> DeployContext:
    """The context of a deploy before its first step."""
    return DeployContext(prepared, services, DeployProgress(), prepared.plan.serving.etag).publish()
