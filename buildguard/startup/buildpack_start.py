"""What Google's buildpacks start in a folder without a Dockerfile."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from buildguard.definitions import NamedTuple
from buildguard.project import buildpacks, project_files
from buildguard.project.buildpack_model import BuildpackCommand, buildpack_command
from buildguard.project.buildpacks import BuildpackService
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, buildpack_recipe
from buildguard.project.folder_projects import buildpack_services, names_in, standard_services
from buildguard.project.services import services
from buildguard.stages.stage import Stage
from buildguard.startup.project_files import ProjectFileTree


class BuildpackStart(NamedTuple):
    """An image that a buildpack builds, what it starts, and the file that deploys it."""

    recipe: ImageRecipe
    start: BuildpackCommand
    by: str


def buildpack_starts(stage: Stage, config: Config, files: ProjectFileTree) -> Iterator[BuildpackStart]:
    """Each folder that buildpacks build."""
    project = project_files.read(stage, config)
    images = services(project, config)[0]
    for service in (*buildpack_services(project, images), *standard_services(project, images)):
        version = buildpacks.python_of(service, project.pins).declaration.version
        start = buildpack_command(service, files.read, names_in(project, service.folder), version)
        yield BuildpackStart(buildpack_recipe(service), start, _file(service))


def _file(service: BuildpackService) -> str:
    return buildpacks.place_of(service.basis)[0] or posixpath.join(service.folder, "Procfile")
