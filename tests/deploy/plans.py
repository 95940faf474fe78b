"""A prepared deploy without a repository, an archive or a service: for tests of what works on one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from buildguard.deploy import plan as plans
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.context import DeployContext, DeployServices, StepResult, begin_context
from buildguard.deploy.planning import make_plan
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.runner import DeployRunner
from buildguard.deploy.shared_work import SharedWork
from buildguard.gcp.service_containers import AppContainer
from buildguard.project.config import Config
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.ledger import Ledger, LedgerLine
from buildguard.project.source_archive import PackedArchive
from buildguard.stages.archives.writer import WrittenArchive
from buildguard.stages.manifest import Manifest, Sha256
from buildguard.system.git import Repository
from tests.deploy.conftest import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buildguard.system.git_directory import GitDir

COMMIT = "c" * 40
IMAGE = "registry.invalid/acme/web"


def prepared(
    folder: Path = Path(),
    config: Config = Config(),  # noqa: B008
    serving: plans.CurrentService = plans.CurrentService(known=True, exists=True, rollback_to="web-old"),  # noqa: B008
    build: Mapping[str, Any] = {"steps": []},
    **wishes: Any,
) -> PreparedDeploy:
    """A deploy of the commit `ccc…` to the service `web`."""
    written = WrittenArchive(Manifest([]), Sha256("d" * 64), Sha256("f" * 64), 1)
    stages = tuple(TrafficStage(percent) for percent in wishes.pop("traffic", (0, 100)))
    options = plans.DeployOptions(plans.Builder.CLOUD, "web", stages, (), "/healthz")._replace(**wishes)
    plan = make_plan(
        plans.DeploySource(COMMIT, (), True, (("3.11", "Dockerfile:1"),)),
        plans.ArchiveSummary(written.digest, 2, ()),
        plans.ImageBuild(build, "", f"{IMAGE}:bg-1"),
        serving,
        options,
    )
    repository = Repository(folder, COMMIT, cast("GitDir", None))
    return PreparedDeploy(
        plan, config, repository, folder / "source.tgz", PackedArchive(written, ()), "Dockerfile", "", "p", "r", "auto",
        AppContainer(IMAGE, ""),
    )  # fmt: skip


class StepByStep:
    """A deploy whose steps a test takes itself, each over what the ones before it left."""

    def __init__(
        self,
        ready: PreparedDeploy,
        ledger: Ledger,
        earlier: Sequence[LedgerLine] = (),
        built: BuiltImage | None = None,
    ) -> None:
        self.watcher = Watcher()
        context = begin_context(ready, DeployServices(ledger, tuple(earlier), self.watcher, SharedWork()))
        self.runner = DeployRunner(context._replace(built=built).publish(), lambda _question: None)

    @property
    def context(self) -> DeployContext:
        """What is known by now."""
        return self.runner.context

    def do(self, run: Callable[[DeployContext], StepResult]) -> StepResult:
        """Run what a step runs, without a line in the ledger."""
        result = run(self.context)
        result.context.publish()
        return result

    def step(self, identity: plans.DeployStep, run: Callable[[DeployContext], StepResult]) -> None:
        """A step with its lines in the ledger and its outcome."""
        self.runner.step(plans.Step(identity, "", run))
