"""Reading what a deploy is made of: the commit, its archive, how its image is built, and the service as it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from buildguard.deploy import plan as plans
from buildguard.deploy.plan import Builder, DeployPlan
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.gcp.service_state import WHOLE, ServiceState
from buildguard.project import config as configs
from buildguard.project import discovery
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild import truncate as cutting
from buildguard.project.config import Config, config_files
from buildguard.project.ledger import ServiceId
from buildguard.project.nested_config import read_configs
from buildguard.project.source_archive import PackedArchive, pack
from buildguard.project.sources import SourceSelection, choose
from buildguard.stages.git_objects import GitStage, commit_of
from buildguard.stages.worktree_changes import edited_paths
from buildguard.system import git
from buildguard.system.fork_event import refuse_fork_event

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
    build_region: str = ""
    start_env: Path | None = None
    skip_start: str = ""
    unlock: str = ""
    accept_vanished: bool = False


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
    refuse_fork_event("deploy", os.environ)
    repository = git.repository_of(request.cwd)
    if repository is None or not repository.head:
        raise UsageError("nothing to deploy: this repository has no commits", hint="git init, git add, git commit")
    stage = commit_of(repository, repository.head)
    config, unsaved = _read_config(repository, stage, request)
    service = request.service or config.deploy.service
    if not service:
        where = f"{unsaved[0]} has uncommitted settings: commit it, or --allow-dirty; " if unsaved else ""
        hint = f"{where}set service in [tool.buildguard.deploy], or pass --service NAME"
        raise UsageError("no Cloud Run service configured", hint=hint)
    source = _source(repository, _targets(stage, config, request.service), unsaved)
    packed = pack(stage, archive, worktree=repository.top if request.allow_dirty and source.dirty else None)
    recipe = _recipe(stage, config, service)
    project = request.project or config.cloud.project or auth.project()
    names = _BuildNames(source, service, packed, project, request.region or _region(config))
    building = _plan_image_build(stage, config, names, recipe)
    building = building._replace(filled_image=_fill(building.image, building.build, project))
    region = request.region or _region(config)
    app = AppContainer(cutting.repository_of(building.filled_image), config.deploy.container)
    serving = _read_service(ServiceId(project, region, service), app, config.deploy.required_env)
    dropped = tuple((display_path(path), str(rule)) for path, rule in packed.dropped)
    summary = plans.ArchiveSummary(packed.written.digest, len(packed.written.manifest.entries), dropped)
    plan = plans.make_plan(source, summary, building, serving, _options(request, config, service))
    return PreparedDeploy(
        plan,
        config,
        repository,
        archive,
        packed,
        *recipe,
        project,
        region,
        request.fallback or config.deploy.fallback,
        app,
        request.build_region or config.cloud.region or region,
        _read_start_env(request.start_env),
        request.unlock,
    )


def _region(config: Config) -> str:
    """Cloud Run's region as configured: its own, else the one that both services share."""
    return config.deploy.region or config.cloud.region


def _options(request: DeployRequest, config: Config, service: str) -> plans.DeployOptions:
    return plans.DeployOptions(
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
        config.deploy.pin,
        request.skip_start,
    )


def _read_config(repository: git.Repository, stage: GitStage, request: DeployRequest) -> tuple[Config, tuple[str, ...]]:
    """The settings that count, and the files of the working tree whose settings differ from them.

    A deploy is of a commit and by the commit's settings; with --allow-dirty both are the working tree's.
    """
    committed = configs.read(config_files(stage))
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


def _source(
    repository: git.Repository, targets: tuple[tuple[str, str], ...], unsaved: tuple[str, ...]
) -> plans.DeploySource:
    dirty = tuple(display_path(path) for path in edited_paths(repository))
    return plans.DeploySource(repository.head, dirty, repository.is_pushed(), targets, unsaved)


def _targets(stage: GitStage, config: Config, service: str) -> tuple[tuple[str, str], ...]:
    sources = choose(stage, SourceSelection((), config.include, config.exclude)).sources
    names = {table.name for table in config.services}
    config = config._replace(folders=read_configs(stage).folders)
    targets = discovery.discover_targets(stage, config, sources, (), service if service in names else "").targets
    return tuple((target.python, target.found_in) for target in targets)


def _recipe(stage: GitStage, config: Config, service: str) -> tuple[str, str]:
    """The Dockerfile of the image and its context; both empty without one."""
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
    project: str
    region: str

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
        image = f"{config.deploy.image or _default_image(names)}:{names.tag}"
        return plans.ImageBuild(cutting.docker_build(image, *recipe), "", image)
    entry, data = next(stage.contents(wanted[:1]))
    name = display_path(entry.path)
    if not isinstance(data, bytes):
        raise UnprovenError(f"{name}: {data.reason}")
    truncated = cutting.truncate_build(data, name, config.deploy.build_until, dict(config.substitutions))
    build = _fill_build(truncated.build, config, names)
    image = _image(build, config, name, names.project)
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


def _image(build: Mapping[str, Any], config: Config, file: str, project: str) -> str:
    """The name that the build gives to the image that is deployed."""
    given = cutting.tags(build)
    repositories = {tag: cutting.repository_of(_fill(tag, build, project)) for tag in given}
    wanted = _fill(config.deploy.image, build, project)
    matching = [tag for tag in given if not wanted or repositories[tag] == wanted]
    if len({repositories[tag] for tag in matching}) != 1:
        names = ", ".join(dict.fromkeys(repositories.values())) or "none"
        what = (
            f'none matches deploy.image = "{wanted}"' if wanted and not matching else "which one is deployed is unknown"
        )
        raise UsageError(
            f"{file} builds {names}: {what}",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return matching[0]


def _fill(text: str, build: Mapping[str, Any], project: str) -> str:
    """A name with the values that are known before the build; the others keep their names."""
    from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

    late = {name: f"${name}" for name in ("BUILD_ID", "PROJECT_NUMBER", "LOCATION")}
    known = {**late, "PROJECT_ID": project or "$PROJECT_ID"}
    return substitute(text, resolve_substitutions(build.get("substitutions") or {}, known, dynamic=True))


def _default_image(names: _BuildNames) -> str:
    if not names.project or not names.region:
        missing = "project" if not names.project else "region"
        raise UsageError(
            f"no image name: it needs a {missing}, and none is set",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return f"{names.region}-docker.pkg.dev/{names.project}/cloud-run-source-deploy/{names.service}"


# ------------------------------------------------------------------------------------------ the service


def _describe_split(current: ServiceState) -> str:
    """Who has how much of a service's traffic, where no revision has all of it and there is one that could."""
    if current.only_revision or not current.latest_ready:
        return ""
    return current.describe_traffic or "in an unknown way"


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
        latest=latest_of(service),
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


def latest_of(service: ServiceState) -> plans.LatestTraffic:
    """What of a service's traffic follows its latest revision, whichever that is."""
    following = [share for share in service.requested if not share.revision]
    whole = not service.requested or any(share.percent == WHOLE for share in following)
    return plans.LatestTraffic(whole, tuple(share.tag for share in following if share.tag))


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
