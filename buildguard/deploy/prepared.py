"""A deploy that is prepared: its plan, and what its steps work on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from buildguard.cycles.frozen_tests import FrozenTests
from buildguard.definitions import NamedTuple
from buildguard.deploy.plan import DeployPlan
from buildguard.deploy.promotion import Promotion
from buildguard.gcp.service_containers import AppContainer
from buildguard.project.config import Config
from buildguard.project.ledger import ServiceId
from buildguard.project.source_archive import PackedArchive
from buildguard.system import git


class PreparedDeploy(NamedTuple):
    """A plan, and what its execution works on. `dockerfile` and `context` are of the image; `key` names this very build.

    `region` is Cloud Run's, `build_region` Cloud Build's; `start_env` are values for the step `start`, `unlock` is the run
    whose lock is taken over.
    """

    plan: DeployPlan
    config: Config
    repository: git.Repository
    archive: Path
    packed: PackedArchive
    dockerfile: str
    context: str
    project: str
    region: str
    fallback: str
    app: AppContainer
    build_region: str = ""
    start_env: Mapping[str, str] = MappingProxyType({})
    unlock: str = ""
    accept_vanished: bool = False
    promotion: Promotion | None = None
    service_form: Mapping[str, Any] = MappingProxyType({})
    frozen_tests: Mapping[str, FrozenTests] = MappingProxyType({})

    @property
    def archive_digest(self) -> str:
        """The archive that the image is made of; empty if that is unknown."""
        return self.promotion.archive if self.promotion is not None else self.packed.written.digest

    @property
    def service_id(self) -> ServiceId:
        """The service: one of the same name in another project or region is another service."""
        serving, wishes = self.plan.serving, self.plan.wishes
        return ServiceId(serving.project, serving.region, wishes.service, wishes.kind)

    @property
    def label(self) -> str:
        """The deploy for people: its name, and its region where it has several."""
        name = self.plan.wishes.name or self.plan.wishes.service
        return f"{name} in {self.region}" if len(self.config.deploy.regions) > 1 else name

    @property
    def key(self) -> str:
        """The SHA-256 of the archive and of the build that is run over it."""
        words = json.dumps([self.packed.written.digest, self.plan.building.build, self.config.platform], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()
