"""Reading what a deploy is made of: the commit, its archive, how its image is built, and the service as it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buildguard.deploy import plan as plans
from buildguard.deploy.plan import Builder, DeployPlan
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient, ServiceState
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.project import config as configs
from buildguard.project import discovery
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild import truncate as cutting
from buildguard.project.config import Config, config_files
from buildguard.project.ledger import ServiceId
from buildguard.project.source_archive import PackedArchive, pack
from buildguard.project.sources import SourceSelection, choose
from buildguard.stages.git_objects import GitStage, commit_of
from buildguard.stages.worktree_changes import edited_paths
from buildguard.system import git

_FILES = (b"cloudbuild.yaml", b"cloudbuild.yml", b"cloudbuild.json")
_FROM_TRIGGERS = ("COMMIT_SHA", "SHORT_SHA", "REVISION_ID", "BRANCH_NAME", "REPO_NAME")
_TAG = "bg"


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


class PreparedDeploy(NamedTuple):
    """A plan, and what its execution works on. `dockerfile` and `context` are of the image; `key` names this very build."""

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

    @property
    def service_id(self) -> ServiceId:
        """The service: one of the same name in another project or region is another service."""
        return ServiceId(self.plan.serving.project, self.plan.serving.region, self.plan.wishes.service)

    @property
    def key(self) -> str:
        """The SHA-256 of the archive and of the build that is run over it."""
        words = json.dumps([self.packed.written.digest, self.plan.building.build, self.config.platform], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()


def prepare_deploy(request: DeployRequest, archive: Path) -> PreparedDeploy:
    """Read everything that a plan is made of, and write the archive. Raises UsageError, and UnprovenError for what is unreadable."""
    repository = git.repository_of(request.cwd)
    if repository is None or not repository.head:
        raise UsageError("a deploy is of a commit, and there is none here", hint="git init, git add, git commit")
    stage = commit_of(repository, repository.head)
    config = configs.read(config_files(stage))
    source = _source(repository, _targets(stage, config, request.service))
    packed = pack(stage, archive, worktree=repository.top if request.allow_dirty and source.dirty else None)
    service = request.service or config.deploy.service
    if not service:
        raise UsageError(
            "which service is meant cannot be told", hint='--service NAME, or [tool.buildguard.deploy] service = "NAME"'
        )
    dockerfile, context = _recipe(stage, config, service)
    building = _plan_image_build(stage, config, _BuildNames(source, service, packed, request), (dockerfile, context))
    wishes = plans.DeployOptions(
        Builder.LOCAL if request.build_local else Builder.CLOUD,
        service,
        config.deploy.traffic,
        config.deploy.verify,
        config.deploy.health,
        request.no_traffic,
        request.allow_dirty,
        request.allow_unpushed,
        config.deploy.verify_after,
        request.project,
        request.region,
    )
    project = request.project or config.cloud.project or auth.project()
    region = request.region or config.cloud.region
    app = AppContainer(_repository(building, project), config.deploy.container)
    serving = _read_service(ServiceId(project, region, service), app, config.deploy.required_env)
    dropped = tuple((display_path(path), str(rule)) for path, rule in packed.dropped)
    summary = plans.ArchiveSummary(packed.written.digest, len(packed.written.manifest.entries), dropped)
    plan = plans.make_plan(source, summary, building, serving, wishes)
    fallback = request.fallback or config.deploy.fallback
    return PreparedDeploy(
        plan, config, repository, archive, packed, dockerfile, context, project, region, fallback, app
    )


def _source(repository: git.Repository, targets: tuple[tuple[str, str], ...]) -> plans.DeploySource:
    dirty = tuple(display_path(path) for path in edited_paths(repository))
    return plans.DeploySource(repository.head, dirty, repository.is_pushed(), targets)


def _targets(stage: GitStage, config: Config, service: str) -> tuple[tuple[str, str], ...]:
    sources = choose(stage, SourceSelection((), config.include, config.exclude)).sources
    names = {table.name for table in config.services}
    targets = discovery.discover_targets(stage, config, sources, (), service if service in names else "").targets
    return tuple((target.python, target.found_in) for target in targets)


def _recipe(stage: GitStage, config: Config, service: str) -> tuple[str, str]:
    """The Dockerfile of the image and its context; empty where there is none."""
    names = {table.name for table in config.services}
    recipes = discovery.list_recipes(stage, config, service if service in names else "")
    several = {(recipe.service.dockerfile, recipe.service.context) for recipe in recipes}
    if len(several) > 1:
        raise UsageError(
            f"there are several Dockerfiles: {', '.join(sorted(dockerfile for dockerfile, _context in several))}",
            hint="[[tool.buildguard.service]] names them; deploy one with --service",
        )
    return next(iter(several), ("", ""))


# ------------------------------------------------------------------------------------------ how it is built


class _BuildNames(NamedTuple):
    """What names and values a build is filled with."""

    source: plans.DeploySource
    service: str
    packed: PackedArchive
    request: DeployRequest

    @property
    def tag(self) -> str:
        """A tag that nothing serves from, the same for the same archive."""
        return f"{_TAG}-{self.source.commit[:12]}-{self.packed.written.digest[:8]}"


def _plan_image_build(stage: GitStage, config: Config, names: _BuildNames, recipe: tuple[str, str]) -> plans.ImageBuild:
    file = os.fsencode(config.build_file) if config.build_file else b""
    wanted = [
        candidate for candidate in stage.entries() if (candidate.path == file if file else candidate.path in _FILES)
    ]
    if not wanted:
        if file:
            raise UsageError(f"there is no {config.build_file} in the commit")
        if not recipe[0]:
            raise UsageError("there is neither a Dockerfile nor a build file in the commit")
        image = f"{config.deploy.image or _default_image(config, names)}:{names.tag}"
        return plans.ImageBuild(cutting.docker_build(image, *recipe), "", image)
    entry, data = next(stage.contents(wanted[:1]))
    name = display_path(entry.path)
    if not isinstance(data, bytes):
        raise UnprovenError(f"{name}: {data.reason}")
    truncated = cutting.truncate_build(data, name, config.deploy.build_until, dict(config.substitutions))
    build = _fill_build(truncated.build, config, names)
    image = _image(build, config, name)
    if image not in build.get("images", []):
        build = {**build, "images": [*build.get("images", []), image]}
    return plans.ImageBuild(build, name, image, truncated.steps_run, truncated.steps_skipped, truncated.pushes)


def _fill_build(build: Mapping[str, Any], config: Config, names: _BuildNames) -> dict[str, Any]:
    """The build with the values that a trigger would bring, and the digest that the guard step wants."""
    commit = names.source.commit
    used = json.dumps(build)
    known = {
        "COMMIT_SHA": commit,
        "REVISION_ID": commit,
        "SHORT_SHA": commit[:7],
        "BRANCH_NAME": "",
        "REPO_NAME": names.service,
    }
    brought = {key: known[key] for key in _FROM_TRIGGERS if f"${key}" in used or f"${{{key}}}" in used}
    values = {**build.get("substitutions", {}), **dict(config.substitutions), **brought}
    digest = f"{step.VARIABLE}={names.packed.written.manifest.digest}"
    steps = [
        {**step_object, "env": [*step_object.get("env", []), digest]}
        if any(step.NAME in word for word in step_object.get("args", []))
        else step_object
        for step_object in build["steps"]
    ]
    return {**build, "steps": steps, **({"substitutions": values} if values else {})}


def _image(build: Mapping[str, Any], config: Config, file: str) -> str:
    """The name that the build gives to the image that is deployed."""
    from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

    values = resolve_substitutions(build.get("substitutions") or {}, {}, dynamic=True)
    given = cutting.tags(build)
    wanted = config.deploy.image
    fitting = [tag for tag in given if not wanted or cutting.repository_of(substitute(tag, values)) == wanted]
    repositories = {cutting.repository_of(substitute(tag, values)) for tag in fitting}
    if len(repositories) != 1:
        names = ", ".join(given) or "none"
        raise UsageError(
            f"which image of {file} is deployed cannot be told (it makes: {names})",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return fitting[0]


def _repository(building: plans.ImageBuild, project: str) -> str:
    """The repository of the image that is deployed."""
    from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

    values = resolve_substitutions(building.build.get("substitutions") or {}, {"PROJECT_ID": project}, dynamic=True)
    return cutting.repository_of(substitute(building.image, values))


def _default_image(config: Config, names: _BuildNames) -> str:
    project, region = names.request.project or config.cloud.project, names.request.region or config.cloud.region
    if not project or not region:
        raise UsageError(
            "where the image is pushed to cannot be told",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return f"{region}-docker.pkg.dev/{project}/cloud-run-source-deploy/{names.service}"


# ------------------------------------------------------------------------------------------ the service


def _describe_split(current: ServiceState) -> str:
    """Who has how much of a service's traffic, where no revision has all of it and there is one that could."""
    if current.only_revision or not current.latest_ready:
        return ""
    return current.describe_traffic or "nobody can tell how"


def _read_service(service: ServiceId, app: AppContainer, required: tuple[str, ...]) -> plans.CurrentService:
    """The service as it is; one that cannot be asked about is no reason against a plan."""
    try:
        with CloudRunClient(service.project, service.region, app) as run:
            current = run.get(service.service)
            if current is None:
                missing = tuple(name for name in required if name not in os.environ)
                serving = plans.CurrentService(known=True, missing=missing)
            else:
                serving = _existing(run, current, required)
            return serving._replace(project=run.project, region=run.region)
    except UnprovenError as error:
        region = service.region or auth.region()
        return plans.CurrentService(known=False, unknown_reason=error.words, project=service.project, region=region)


def _existing(run: CloudRunClient, service: ServiceState, required: tuple[str, ...]) -> plans.CurrentService:
    """A service that exists."""
    old = service.only_revision
    if not old:  # a deploy that was ended in the middle of the traffic leaves it divided
        shares = [share for share in service.observed if share.percent and share.revision]
        sharing = [run.revision(service.name, share.revision) for share in shares]
        old = next(filter(None, map(service.before, sharing)), "")
    serving = plans.CurrentService(
        known=True,
        exists=True,
        rollback_to=old,
        etag=service.etag,
        divided=_describe_split(service),
        unclear=_unclear(service),
    )
    if serving.unclear:
        return serving
    try:
        wanted = {*required, *(run.revision(service.name, old).env if old else {})}
    except UnknownContainerError as error:
        return serving._replace(unclear=error.words)
    return serving._replace(
        missing=tuple(sorted(wanted - service.env.keys())),
        container=service.container.name if len(service.containers) > 1 else "",
        probe="" if service.unprobed else service.container.probe,
    )


def _unclear(service: ServiceState) -> str:
    """Why the app's container is unknown, or the port that it listens on; empty if both are known."""
    try:
        name, port = service.container.name, service.port
    except UnknownContainerError as error:
        return error.words
    if port:
        return ""
    return (
        f"the container {name} of {service.name} has no port, and so the port that the app listens on is unknown:"
        f" gcloud run services update {service.name} --container {name} --update-env-vars PORT=8888, or a startup probe"
    )
