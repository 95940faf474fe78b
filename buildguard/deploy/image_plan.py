"""How the image of a deploy is built, and what it is called, before anything is built."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.deploy import plan as plans
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild import truncate as cutting
from buildguard.project.config import Config
from buildguard.project.source_archive import PackedArchive
from buildguard.stages.git_objects import GitStage
from buildguard.stages.stage import Entry

_FILES = (b"cloudbuild.yaml", b"cloudbuild.yml", b"cloudbuild.json")
_FROM_TRIGGERS = ("COMMIT_SHA", "SHORT_SHA", "REVISION_ID", "BRANCH_NAME", "REPO_NAME")
_TAG = "bg"


class BuildNames(NamedTuple):
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


def plan_image_build(stage: GitStage, config: Config, names: BuildNames, recipe: tuple[str, str]) -> plans.ImageBuild:
    """How the image of a deploy is built: by the build file, cut before it deploys, else by a docker step over the Dockerfile."""
    building = _plan(stage, config, names, recipe)
    return building._replace(filled_image=fill_name(building.image, building.build, names.project))


def find_build_files(stage: GitStage, config: Config) -> list[Entry]:
    """The build file that is configured, else those at the root."""
    file = os.fsencode(config.build_file) if config.build_file else b""
    return [entry for entry in stage.entries() if (entry.path == file if file else entry.path in _FILES)]


def _plan(stage: GitStage, config: Config, names: BuildNames, recipe: tuple[str, str]) -> plans.ImageBuild:
    wanted = find_build_files(stage, config)
    if not wanted:
        if config.build_file:
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


def _fill_build(build: Mapping[str, Any], config: Config, names: BuildNames) -> dict[str, Any]:
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
    repositories = {tag: cutting.repository_of(fill_name(tag, build, project)) for tag in given}
    wanted = fill_name(config.deploy.image, build, project)
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


def fill_name(text: str, build: Mapping[str, Any], project: str) -> str:
    """A name with the values that are known before the build; the others keep their names."""
    from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

    late = {name: f"${name}" for name in ("BUILD_ID", "PROJECT_NUMBER", "LOCATION")}
    known = {**late, "PROJECT_ID": project or "$PROJECT_ID"}
    return substitute(text, resolve_substitutions(build.get("substitutions") or {}, known, dynamic=True))


def _default_image(names: BuildNames) -> str:
    if not names.project or not names.region:
        missing = "project" if not names.project else "region"
        raise UsageError(
            f"no image name: it needs a {missing}, and none is set",
            hint='[tool.buildguard.deploy] image = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"',
        )
    return f"{names.region}-docker.pkg.dev/{names.project}/cloud-run-source-deploy/{names.service}"
