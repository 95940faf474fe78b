"""Reading what a deploy is made of: the commit, its archive, how its image is built, and the service as it is."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from buildguard.cycles.frozen_tests import FrozenTests
from buildguard.definitions import NamedTuple
from buildguard.deploy import plan as plans
from buildguard.deploy.current_service import described_service, read_current
from buildguard.deploy.environment import RequiredVariables
from buildguard.deploy.image_plan import BuildNames, fill_name, find_build_files, plan_image_build
from buildguard.deploy.plan import Builder
from buildguard.deploy.planning import make_plan
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.promotion import Promotion, PromotionSource, compare, find_promotion, read_container
from buildguard.deploy.selection import select_deploy, select_deploys
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.service_containers import AppContainer
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import config as configs
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import ledger_path
from buildguard.project.cloudbuild import truncate as cutting
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployTable
from buildguard.project.knative_service import read_service
from buildguard.project.ledger import ServiceId
from buildguard.project.source_archive import PackedArchive, pack
from buildguard.project.target import ImageService, Target
from buildguard.stages.git_objects import GitStage, commit_of
from buildguard.stages.reading_once import reading_once
from buildguard.stages.worktree_changes import edited_paths
from buildguard.system import git
from buildguard.system.fork_event import refuse_fork_event


class DeployRequest(NamedTuple):
    """What a person asked for; the fields are the flags of the command line."""

    cwd: Path
    service: str = ""
    build_local: bool = False
    no_traffic: bool = False
    fallback: str = ""
    allow_dirty: bool = False
    allow_unpushed: bool = False
    project: str = ""
    region: str = ""
    build_region: str = ""
    start_env: Path | None = None
    skip_start: str = ""
    unlock: str = ""
    accept_vanished: bool = False
    services: tuple[str, ...] = ()
    all_services: bool = False
    env: str = ""
    from_env: str = ""
    frozen_tests: Mapping[str, FrozenTests] = MappingProxyType({})

    @property
    def names(self) -> tuple[str, ...]:
        """The services that are named."""
        return self.services or tuple(filter(None, [self.service]))


class PreparedCommit(NamedTuple):
    """What all deploys of a commit are made of: read once, and the archive written once.

    `base` is the configuration without an environment, `recipes` are the images that its files build, `targets` the Pythons that run them, each with its service.
    """

    request: DeployRequest
    config: Config
    repository: git.Repository
    stage: GitStage
    source: plans.DeploySource
    archive: Path
    packed: PackedArchive
    base: Config
    recipes: tuple[ImageService, ...]
    targets: tuple[Target, ...]

    @property
    def project(self) -> str:
        """The Google Cloud project; empty if unknown."""
        return self.request.project or self.config.cloud.project or auth.project()

    @property
    def summary(self) -> plans.ArchiveSummary:
        """The archive for people."""
        dropped = tuple((display_path(path), str(rule)) for path, rule in self.packed.dropped)
        return plans.ArchiveSummary(self.packed.written.digest, len(self.packed.written.manifest.entries), dropped)


def prepare_deploys(request: DeployRequest, archive: Path) -> tuple[PreparedDeploy, ...]:
    """A plan for each service and region of a request, in their order; reads everything that they are made of.

    Raises UsageError, and UnprovenError for what is unreadable.
    """
    if request.from_env and request.build_local:
        raise UsageError("--from ships an image that is proven already, and --build-local builds one")
    commit, tables = _prepare_commit(request, archive)
    start_env = _read_start_env(request.start_env)
    with reading_once(commit.stage):
        return tuple(
            prepared._replace(start_env=start_env) for table in tables for prepared in _prepare_table(commit, table)
        )


def prepare_deploy(request: DeployRequest, archive: Path) -> PreparedDeploy:
    """The plan for a request about one service in one region."""
    several = prepare_deploys(request, archive)
    if len(several) > 1:
        names = ", ".join(prepared.label for prepared in several)
        raise UsageError(f"several deploys are configured: {names}", hint="name one service and one region")
    return several[0]


def _prepare_commit(request: DeployRequest, archive: Path) -> tuple[PreparedCommit, tuple[DeployTable, ...]]:
    refuse_fork_event("deploy", os.environ)
    repository = git.require_commit(git.repository_of(request.cwd))
    stage = commit_of(repository, repository.head)
    with reading_once(stage):  # each service looks at the same files
        return _read_commit(request, archive, repository, stage)


def _read_commit(
    request: DeployRequest, archive: Path, repository: git.Repository, stage: GitStage
) -> tuple[PreparedCommit, tuple[DeployTable, ...]]:
    committed = Project(WorkScope(repository.top, repository, stage, ()))
    base, unsaved = _read_config(repository, committed.root_config, request)
    config = base.of_environment(request.env)
    tables = select_deploys(config, request.names, everything=request.all_services)
    for table in tables:
        _require_service(table, unsaved)
    project = Project(committed.place, config._replace(folders=committed.config.folders))
    targets = project.targets
    source = _source(repository, targets, unsaved)
    packed = pack(stage, archive, worktree=repository.top if request.allow_dirty and source.dirty else None)
    recipes = tuple(recipe.service for recipe in project.recipes)
    return PreparedCommit(request, config, repository, stage, source, archive, packed, base, recipes, targets), tables


def _require_service(table: DeployTable, unsaved: tuple[str, ...]) -> None:
    if not table.service:
        where = f"{unsaved[0]} has uncommitted settings: commit it, or --allow-dirty; " if unsaved else ""
        hint = f"{where}set service in [tool.buildguard.deploy], or pass --service NAME"
        raise UsageError("no Cloud Run service configured", hint=hint)


class _ImagePlan(NamedTuple):
    """What all regions of a service share: its source, how its image is made, and where that comes from if it is promoted."""

    source: plans.DeploySource
    building: plans.ImageBuild
    recipe: ImageService | None = None
    promotion: Promotion | None = None


def _plan_build(commit: PreparedCommit, table: DeployTable, region: str) -> _ImagePlan:
    recipe = _pick_recipe(commit, table)
    source = commit.source._replace(targets=_targets_of(commit, recipe))
    names = BuildNames(source, table.service, commit.packed, commit.project, region)
    where = (recipe.dockerfile, recipe.context) if recipe else ("", "")
    return _ImagePlan(source, plan_image_build(commit.stage, commit.config.of_deploy(table), names, where), recipe)


def _plan_promotion(commit: PreparedCommit, table: DeployTable) -> _ImagePlan:
    """The image that another environment has proven."""
    request = commit.request
    there = commit.base.of_environment(request.from_env)
    other = select_deploy(there, table.name)
    project = there.cloud.project or auth.project()
    region = other.region or there.cloud.region or auth.region()
    app = AppContainer(cutting.repository_of(fill_name(other.image, {}, project)), other.container)
    identity = ServiceId(project, region, other.service, other.kind)
    local, _broken = ledgers.read(ledger_path(commit.repository))
    promotion = find_promotion(PromotionSource(request.from_env, identity, there.cloud, app), local)
    source = commit.source._replace(commit=promotion.commit, dirty=(), pushed=True, targets=(), unsaved=())
    building = plans.ImageBuild({}, "", promotion.reference, filled_image=promotion.reference)
    return _ImagePlan(source, building, promotion=promotion)


def _compared(
    serving: plans.CurrentService, promotion: Promotion, app: AppContainer, identity: ServiceId, head: str
) -> plans.CurrentService:
    """The service with what it lacks of the one that its image comes from."""
    if not serving.known or serving.unclear:
        return serving
    here = read_container(identity._replace(project=serving.project, region=serving.region), app)
    comparison = compare(promotion.container, here, frozenset(os.environ))
    environment = promotion.source.environment
    notes = list(comparison.notes(environment))
    if promotion.commit != head:
        notes.append(f"{environment} has proven commit {promotion.commit[:12]}, and HEAD is {head[:12]}")
    missing = tuple(sorted({*serving.missing, *comparison.missing}))
    return serving._replace(missing=missing, differences=tuple(notes))


def _read_form(commit: PreparedCommit, table: DeployTable) -> Mapping[str, Any]:
    """The service.yaml that the first revision is made of, as the commit has it; empty where none is configured."""
    if not table.service_yaml:
        return {}
    wanted = [entry for entry in commit.stage.entries() if entry.path == os.fsencode(table.service_yaml)]
    content = next((content for _entry, content in commit.stage.contents(wanted)), None)
    if not isinstance(content, bytes):
        raise UsageError(f"there is no {table.service_yaml} in the commit", hint="commit it, or change service-yaml")
    return read_service(content, table.service_yaml, table.service)


def _required(commit: PreparedCommit, config: Config, image: _ImagePlan) -> RequiredVariables:
    """What the code of the image requires: that of the commit that it was made of, where this repository has it."""
    stage, worktree = commit.stage, commit.repository if commit.request.allow_dirty and image.source.dirty else None
    if image.promotion is not None and image.source.commit != commit.repository.head:
        with suppress(UsageError):
            stage = commit_of(commit.repository, image.source.commit)
    recipe = image.recipe
    if image.promotion is not None:
        with suppress(UsageError):
            recipe = _pick_recipe(commit, config.deploy)
    return RequiredVariables(stage, config, recipe.name if recipe else "", worktree)


def _prepare_table(commit: PreparedCommit, table: DeployTable) -> Iterator[PreparedDeploy]:
    """The plans of one service: one image, and a deploy for each of its regions."""
    request = commit.request
    config = commit.config.of_deploy(table)
    regions = (request.region,) if request.region else table.regions or (config.cloud.region,)
    image = _plan_promotion(commit, table) if request.from_env else _plan_build(commit, table, regions[0])
    app = AppContainer(cutting.repository_of(image.building.filled_image), table.container)
    recipe = image.recipe
    required = _required(commit, config, image)
    for region in regions:
        identity = ServiceId(commit.project, region, table.service, table.kind)
        serving = read_current(identity, app, required)
        form = {} if serving.exists else _read_form(commit, table)
        serving = described_service(serving, form, app, required) if form else serving
        if image.promotion is not None:
            serving = _compared(serving, image.promotion, app, identity, commit.repository.head)
        options = _options(request, table)._replace(region=region if len(table.regions) > 1 else request.region)
        yield PreparedDeploy(
            make_plan(image.source, commit.summary, image.building, serving, options),
            config,
            commit.repository,
            commit.archive,
            commit.packed,
            recipe.dockerfile if recipe else "",
            recipe.context if recipe else "",
            commit.project,
            region,
            request.fallback or table.fallback,
            app,
            request.build_region or config.cloud.region or regions[0],
            unlock=request.unlock,
            promotion=image.promotion,
            service_form=form,
            accept_vanished=request.accept_vanished,
            frozen_tests=request.frozen_tests,
        )


def _options(request: DeployRequest, table: DeployTable) -> plans.DeployOptions:
    return plans.DeployOptions(
        Builder.PROMOTED if request.from_env else Builder.LOCAL if request.build_local else Builder.CLOUD,
        table.service,
        table.traffic,
        table.verify,
        table.health,
        request.no_traffic,
        request.allow_dirty,
        request.allow_unpushed,
        table.verify_after,
        request.project,
        request.region,
        table.pin,
        request.skip_start,
        table.name,
        table.kind,
        bool(table.before),
        request.env,
        request.from_env,
    )


def _read_config(
    repository: git.Repository, committed: Config, request: DeployRequest
) -> tuple[Config, tuple[str, ...]]:
    """The settings that count, and the files of the working tree whose settings differ from them.

    A deploy is of a commit and by the commit's settings; with --allow-dirty both are the working tree's.
    """
    try:
        files = {
            name: (repository.top / name.decode()).read_bytes() for name in configs.FILES if _is_file(repository, name)
        }
        edited = configs.read(files)
    except OSError as error:
        raise UnprovenError(f"{error.filename}: {error.strerror}") from error
    except UsageError:
        if request.allow_dirty:
            raise
        return committed, (committed.file or "buildguard.toml",)
    if _settings(edited) == _settings(committed):
        return committed, ()
    return (edited, ()) if request.allow_dirty else (committed, (edited.file or committed.file,))


def _is_file(repository: git.Repository, name: bytes) -> bool:
    return (repository.top / name.decode()).is_file()


def _settings(config: Config) -> Config:
    """A configuration without the lines at which it is written."""
    services = tuple(service._replace(line=None) for service in config.services)
    return config._replace(target_line=None, image_line=None, services=services)


def _read_start_env(file: Path | None) -> Mapping[str, str]:
    """NAME=VALUE lines of a file that a person named; raises UsageError for one that is unreadable."""
    if file is None:
        return {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--start-env {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals or not name.strip().isidentifier():
            raise UsageError(f"--start-env {file}:{number}: not a line of the form NAME=VALUE")
        pairs[name.strip()] = _unquoted(value.strip())
    return pairs


def _unquoted(value: str) -> str:
    """A value without the quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _source(repository: git.Repository, targets: tuple[Target, ...], unsaved: tuple[str, ...]) -> plans.DeploySource:
    dirty = tuple(display_path(path) for path in edited_paths(repository))
    pythons = tuple((target.python, target.found_in) for target in targets)
    return plans.DeploySource(repository.head, dirty, repository.is_pushed(), pythons, unsaved)


def _targets_of(commit: PreparedCommit, recipe: ImageService | None) -> tuple[tuple[str, str], ...]:
    """The Pythons of one image; of the whole commit where no target is known to be that image's."""
    own = [target for target in commit.targets if recipe is not None and target.service == recipe.name]
    return tuple((target.python, target.found_in) for target in own or commit.targets)


def _pick_recipe(commit: PreparedCommit, table: DeployTable) -> ImageService | None:
    """The Dockerfile of the image and its context, by the name of the deploy; None without any."""
    wanted = {table.name, table.service} - {""}
    named = [
        each for each in commit.recipes if wanted & {each.name, each.dockerfile, posixpath.dirname(each.dockerfile)}
    ]
    several = {(each.dockerfile, each.context): each for each in named or commit.recipes}
    if len(several) > 1 and not find_build_files(commit.stage, commit.config):
        raise UsageError(
            f"there are several Dockerfiles: {', '.join(sorted(dockerfile for dockerfile, _context in several))}",
            hint=f'name one: [[tool.buildguard.service]] name = "{table.name}", dockerfile = "…"',
        )
    return next(iter(several.values()), None) if len(several) == 1 else None
