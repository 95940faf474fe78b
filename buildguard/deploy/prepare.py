"""Reading what a deploy is made of: the commit, its archive, how its image is built, and the service as it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buildguard.deploy import plan as plans
from buildguard.deploy.plan import Plan
from buildguard.diagnostic import shown_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import Run, Service
from buildguard.gcp.service_containers import AppContainer, UnknownContainerError
from buildguard.project import config as configs
from buildguard.project import discovery
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild import truncate as cutting
from buildguard.project.config import Config, config_files
from buildguard.project.ledger import ServiceId
from buildguard.project.source_archive import Packed, pack
from buildguard.project.sources import Selection, choose
from buildguard.stages.git_objects import InGit, commit_of
from buildguard.stages.worktree_changes import edited_paths
from buildguard.system import git

_FILES = (b"cloudbuild.yaml", b"cloudbuild.yml", b"cloudbuild.json")
_FROM_TRIGGERS = ("COMMIT_SHA", "SHORT_SHA", "REVISION_ID", "BRANCH_NAME", "REPO_NAME")
_TAG = "bg"


class Request(NamedTuple):
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


class Prepared(NamedTuple):
    """A plan, and what its execution works on. `dockerfile` and `context` are of the image; `key` names this very build."""

    plan: Plan
    config: Config
    repository: git.Repository
    archive: Path
    packed: Packed
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


def prepared(request: Request, archive: Path) -> Prepared:
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
    building = _building(stage, config, _Names(source, service, packed, request), (dockerfile, context))
    wishes = plans.Wishes(
        plans.LOCAL if request.build_local else plans.CLOUD,
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
    serving = _serving(ServiceId(project, region, service), app, config.deploy.required_env)
    dropped = tuple((shown_path(path), str(rule)) for path, rule in packed.dropped)
    told = plans.Packed(packed.written.digest, len(packed.written.manifest.entries), dropped)
    made = plans.plan(source, told, building, serving, wishes)
    fallback = request.fallback or config.deploy.fallback
    return Prepared(made, config, repository, archive, packed, dockerfile, context, project, region, fallback, app)


def _source(repository: git.Repository, targets: tuple[tuple[str, str], ...]) -> plans.Source:
    dirty = tuple(shown_path(path) for path in edited_paths(repository))
    return plans.Source(repository.head, dirty, repository.is_pushed(), targets)


def _targets(stage: InGit, config: Config, service: str) -> tuple[tuple[str, str], ...]:
    sources = choose(stage, Selection((), config.include, config.exclude)).sources
    names = {one.name for one in config.services}
    found = discovery.find(stage, config, sources, (), service if service in names else "").targets
    return tuple((one.python, one.found_in) for one in found)


def _recipe(stage: InGit, config: Config, service: str) -> tuple[str, str]:
    """The Dockerfile of the image and its context; empty where there is none."""
    names = {one.name for one in config.services}
    found = discovery.recipes(stage, config, service if service in names else "")
    several = {(one.service.dockerfile, one.service.context) for one in found}
    if len(several) > 1:
        raise UsageError(
            f"there are several Dockerfiles: {', '.join(sorted(one for one, _context in several))}",
            hint="[[tool.buildguard.service]] names them; deploy one with --service",
        )
    return next(iter(several), ("", ""))


# ------------------------------------------------------------------------------------------ how it is built


class _Names(NamedTuple):
    """What names and values a build is filled with."""

    source: plans.Source
    service: str
    packed: Packed
    request: Request

    @property
    def tag(self) -> str:
        """A tag that nothing serves from, the same for the same archive."""
        return f"{_TAG}-{self.source.commit[:12]}-{self.packed.written.digest[:8]}"


def _building(stage: InGit, config: Config, names: _Names, recipe: tuple[str, str]) -> plans.Building:
    file = os.fsencode(config.build_file) if config.build_file else b""
    wanted = [one for one in stage.entries() if (one.path == file if file else one.path in _FILES)]
    if not wanted:
        if file:
            raise UsageError(f"there is no {config.build_file} in the commit")
        if not recipe[0]:
            raise UsageError("there is neither a Dockerfile nor a build file in the commit")
        image = f"{config.deploy.image or _default_image(config, names)}:{names.tag}"
        return plans.Building(cutting.docker_build(image, *recipe), "", image)
    entry, data = next(stage.contents(wanted[:1]))
    name = shown_path(entry.path)
    if not isinstance(data, bytes):
        raise UnprovenError(f"{name}: {data.reason}")
    found = cutting.cut(data, name, config.deploy.build_until, dict(config.substitutions))
    build = _filled(found.build, config, names)
    image = _image(build, config, name)
    if image not in build.get("images", []):
        build = {**build, "images": [*build.get("images", []), image]}
    return plans.Building(build, name, image, found.kept, found.left_out, found.pushes)


def _filled(build: Mapping[str, Any], config: Config, names: _Names) -> dict[str, Any]:
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
        {**one, "env": [*one.get("env", []), digest]} if any(step.NAME in word for word in one.get("args", [])) else one
        for one in build["steps"]
    ]
    return {**build, "steps": steps, **({"substitutions": values} if values else {})}


def _image(build: Mapping[str, Any], config: Config, file: str) -> str:
    """The name that the build gives to the image that is deployed."""
    from buildguard.project.cloudbuild.substitutions import replaced, settled

    values = settled(build.get("substitutions") or {}, {}, dynamic=True)
    given = cutting.tags(build)
    wanted = config.deploy.image
    fitting = [one for one in given if not wanted or cutting.repository_of(replaced(one, values)) == wanted]
    repositories = {cutting.repository_of(replaced(one, values)) for one in fitting}
    if len(repositories) != 1:
        names = ", ".join(given) or "none"
        raise UsageError(
            f"which image of {file} is deployed cannot be told (it makes: {names})",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return fitting[0]


def _repository(building: plans.Building, project: str) -> str:
    """The repository of the image that is deployed."""
    from buildguard.project.cloudbuild.substitutions import replaced, settled

    values = settled(building.build.get("substitutions") or {}, {"PROJECT_ID": project}, dynamic=True)
    return cutting.repository_of(replaced(building.image, values))


def _default_image(config: Config, names: _Names) -> str:
    project, region = names.request.project or config.cloud.project, names.request.region or config.cloud.region
    if not project or not region:
        raise UsageError(
            "where the image is pushed to cannot be told",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return f"{region}-docker.pkg.dev/{project}/cloud-run-source-deploy/{names.service}"


# ------------------------------------------------------------------------------------------ the service


def _divided(there: Service) -> str:
    """Who has how much of a service's traffic, where no revision has all of it and there is one that could."""
    if there.sole or not there.latest_ready:
        return ""
    return there.ways or "nobody can tell how"


def _serving(service: ServiceId, app: AppContainer, required: tuple[str, ...]) -> plans.Serving:
    """The service as it is; one that cannot be asked about is no reason against a plan."""
    try:
        with Run(service.project, service.region, app) as run:
            current = run.get(service.service)
            if current is None:
                missing = tuple(one for one in required if one not in os.environ)
                serving = plans.Serving(known=True, missing=missing)
            else:
                serving = _existing(run, current, required)
            return serving._replace(project=run.project, region=run.region)
    except UnprovenError as error:
        region = service.region or auth.region()
        return plans.Serving(known=False, why=error.words, project=service.project, region=region)


def _existing(run: Run, service: Service, required: tuple[str, ...]) -> plans.Serving:
    """A service that exists."""
    old = service.sole
    if not old:  # a deploy that was ended in the middle of the traffic leaves it divided
        shares = [one for one in service.observed if one.percent and one.revision]
        sharing = [run.revision(service.name, one.revision) for one in shares]
        old = next(filter(None, map(service.before, sharing)), "")
    serving = plans.Serving(
        known=True,
        exists=True,
        rollback_to=old,
        etag=service.etag,
        divided=_divided(service),
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
        probe=service.container.probe,
    )


def _unclear(service: Service) -> str:
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
