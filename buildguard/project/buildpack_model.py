"""What Google's buildpacks make of a folder: the files of the image, and the command that it starts. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.errors import GuardError
from buildguard.project import buildpacks, toml
from buildguard.project.buildpacks import BuildpackService
from buildguard.project.image_model import DEFAULT_PATH, ImageModel, PlacedFile, UnknownArea, folders_above
from buildguard.project.start_command import CommandPlace, CommandText
from buildguard.project.start_declarations import buildpack_default, read_app_yaml, read_procfile, read_scripts
from buildguard.project.target import PythonVersion

if TYPE_CHECKING:
    from typing import Any

WORKSPACE = "/workspace"
_LAYERS = "/layers"
_NAME = lazy_pattern(r"[ \t]*([A-Za-z][\w.-]*(?:\[[\w,]+\])?)")
_BASH = ("/bin/bash", "-c")


class BuildpackCommand(NamedTuple):
    """What a buildpack starts; None where that is unknown, with the `problem` where the build fails for lack of one."""

    command: CommandText | None = None
    problem: str = ""
    place: CommandPlace = CommandPlace("", None)


def build_buildpack_model(folder: str, files: Collection[str], modes: Mapping[str, int]) -> ImageModel:
    """The image of a folder: everything that is sent is in the workspace; packages are in the layers."""
    start = f"{folder}/" if folder else ""
    places = {f"{WORKSPACE}/{path[len(start) :]}": path for path in files if path.startswith(start)}
    placed = {place: PlacedFile(place, path, 0, mode=modes.get(path)) for place, path in places.items()}
    return ImageModel(
        base="the buildpacks' run image",
        line=1,
        files=MappingProxyType(placed),
        folders=frozenset({WORKSPACE, *(above for place in placed for above in folders_above(place))}),
        unknown=(UnknownArea(_LAYERS, "the buildpack installs packages there", 0),),
        roots=(WORKSPACE,),
        doubts=MappingProxyType({}),
        workdir=WORKSPACE,
        env=MappingProxyType({"PATH": f"{_LAYERS}/google.python.pip/pip/bin:{DEFAULT_PATH}"}),
    )


def buildpack_command(
    service: BuildpackService,
    read: Callable[[str], bytes | None],
    names: Collection[str],
    version: PythonVersion | None,
) -> BuildpackCommand:
    """The first that is set: a variable, the Procfile, the named app.yaml, a function's target, the default of the stack.

    `names` are the files at the top of the folder.
    """
    pins = {name: data for name in ("project.toml", "app.yaml") if (data := read(_in(service, name))) is not None}
    env = buildpacks.variables_of(service, {_in(service, name): data for name, data in pins.items()})
    place = CommandPlace(*buildpacks.place_of(service.basis))
    if entrypoint := env.get("GOOGLE_ENTRYPOINT"):
        return BuildpackCommand(CommandText(place, (*_BASH, entrypoint)))
    procfile = _in(service, "Procfile")
    if (data := read(procfile)) is not None:
        command = read_procfile(data, procfile)
        problem = "" if command is not None else "Procfile has no `web:` process, so the build fails"
        return BuildpackCommand(command, problem, CommandPlace(procfile, 1))
    app = _app_yaml(service, env)
    if app and (data := read(app)) is not None and (command := read_app_yaml(data, app)) is not None:
        return BuildpackCommand(command)
    if target := env.get("GOOGLE_FUNCTION_TARGET"):
        words = ("functions-framework", f"--target={target}")
        return BuildpackCommand(CommandText(place, words) if target.isidentifier() else None)
    default = _default(service, read, names, version)
    return default._replace(problem="" if app else default.problem, place=place)  # App Engine builds it all the same


def _in(service: BuildpackService, name: str) -> str:
    return posixpath.join(service.folder, name)


def _app_yaml(service: BuildpackService, env: Mapping[str, str]) -> str:
    """The app.yaml whose entrypoint counts: the one that a variable names, or that of an App Engine service."""
    if named := env.get("GAE_APPLICATION_YAML_PATH"):
        return _in(service, named)
    file, _line = buildpacks.place_of(service.basis)
    return file if posixpath.basename(file) == "app.yaml" else ""


def _default(
    service: BuildpackService,
    read: Callable[[str], bytes | None],
    names: Collection[str],
    version: PythonVersion | None,
) -> BuildpackCommand:
    """A script of pyproject.toml, else a server for main.py or app.py; without either the build fails."""
    project = read(_in(service, "pyproject.toml")) if "pyproject.toml" in names else None
    requirements = read(_in(service, "requirements.txt")) if "requirements.txt" in names else None
    scripts = read_scripts(project or b"", "pyproject.toml")
    if requirements is None and scripts:
        return BuildpackCommand(_script(service, names, scripts))
    required = {*_listed(requirements or b""), *(_dependencies(project) if project is not None else ())}
    command = buildpack_default(names, required, version, service.folder)
    if not any(name.endswith(".py") for name in names):
        return BuildpackCommand()  # static files, or another language
    if command is None and "google-adk" not in required:
        return BuildpackCommand(
            None, "buildpacks find no start command: no Procfile, main.py or app.py, so the build fails"
        )
    return BuildpackCommand(command)


def _script(service: BuildpackService, names: Collection[str], scripts: Mapping[str, str]) -> CommandText | None:
    """The only script, run by the tool of the project; which of several starts the service is unknown."""
    if len(scripts) != 1:
        return None
    tool = next((tool for lock, tool in (("uv.lock", "uv"), ("poetry.lock", "poetry")) if lock in names), "")
    words = (*((tool, "run") if tool else ()), *scripts)
    return CommandText(CommandPlace(_in(service, "pyproject.toml"), None), words)


def _listed(requirements: bytes) -> Iterator[str]:
    for line in requirements.decode("utf-8", "replace").splitlines():
        match = _NAME.match(line)
        if match is not None:
            yield match[1].lower()


def _dependencies(project: bytes) -> Iterator[str]:
    """What the standard table or poetry's requires, by name."""
    try:
        content: dict[str, Any] = toml.read(project, "pyproject.toml")
    except GuardError:
        return
    listed = toml.table(content, "project").get("dependencies", ())
    for requirement in listed if isinstance(listed, list) else ():
        yield from _listed(str(requirement).encode())
    yield from (name.lower() for name in toml.table(content, "tool", "poetry", "dependencies"))
