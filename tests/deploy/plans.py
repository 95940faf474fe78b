"""A prepared deploy without a repository, an archive or a service: for tests of what works on one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from buildguard.deploy import plan as plans
from buildguard.deploy.prepare import PreparedDeploy
from buildguard.gcp.service_containers import AppContainer
from buildguard.project.config import Config
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.source_archive import PackedArchive
from buildguard.stages.archives.writer import WrittenArchive
from buildguard.stages.manifest import Manifest
from buildguard.system.git import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    written = WrittenArchive(Manifest([]), "d" * 64, "f" * 64, 1)
    stages = tuple(TrafficStage(percent) for percent in wishes.pop("traffic", (0, 100)))
    options = plans.DeployOptions(plans.Builder.CLOUD, "web", stages, (), "/healthz")._replace(**wishes)
    plan = plans.make_plan(
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
