"""What Google's buildpacks start in a folder without a Dockerfile, as an image that copies the whole folder."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from buildguard.project import project_files
from buildguard.project.buildpacks import BuildpackService, place_of
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe
from buildguard.project.folder_projects import buildpack_services, names_in
from buildguard.project.services import services
from buildguard.project.start_command import CommandPlace, CommandText
from buildguard.project.start_declarations import buildpack_default, read_app_yaml, read_procfile
from buildguard.project.target import ImageService
from buildguard.stages.stage import Stage
from buildguard.startup.project_files import ProjectFileTree

_IMAGE = b"FROM python:3\nWORKDIR /workspace\nCOPY . .\nRUN pip install -r requirements.txt\n"
_NAME = re.compile(r"^[ \t]*([A-Za-z][\w.-]*(?:\[standard\])?)", re.MULTILINE)


class BuildpackStart(NamedTuple):
    """An image that a buildpack builds, the command that it starts, and the file that deploys it."""

    recipe: ImageRecipe
    command: CommandText
    by: str


def buildpack_starts(stage: Stage, config: Config, files: ProjectFileTree) -> Iterator[BuildpackStart]:
    """Each folder that buildpacks build and whose start command is known."""
    project = project_files.read(stage, config)
    for service in buildpack_services(project, services(project, config)[0]):
        command = _command(service, files, names_in(project, service.folder))
        if command is not None:
            image = ImageService(service.name, "", service.folder, service.basis)
            yield BuildpackStart(ImageRecipe(image, _IMAGE), command, service.basis.by)


def _command(service: BuildpackService, files: ProjectFileTree, names: Collection[str]) -> CommandText | None:
    """The first that is set: a variable, the Procfile, app.yaml, a function's target, the default."""
    env = dict(service.env)
    place = CommandPlace(*place_of(service.basis))
    if entrypoint := env.get("GOOGLE_ENTRYPOINT"):
        return CommandText(place, ("/bin/bash", "-c", entrypoint))
    procfile = posixpath.join(service.folder, "Procfile")
    if (data := files.read(procfile)) is not None:
        return read_procfile(data, procfile)
    app = env.get("GAE_APPLICATION_YAML_PATH", posixpath.join(service.folder, "app.yaml"))
    if (data := files.read(app)) is not None and (command := read_app_yaml(data, app)) is not None:
        return command
    if target := env.get("GOOGLE_FUNCTION_TARGET"):
        return CommandText(place, ("functions-framework", f"--target={target}"))
    if service.runtime or "pyproject.toml" in names:
        return None  # a function's own start, or a script of the project
    requirements = files.read(posixpath.join(service.folder, "requirements.txt")) or b""
    required = {name.lower() for name in _NAME.findall(requirements.decode("utf-8", "replace"))}
    return buildpack_default(names, required, None, service.folder)
