"""Where a project declares what its container starts: Dockerfile, Procfile, app.yaml, buildpack rules, pyproject scripts. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import toml
from buildguard.project.image_build import BuildInput, build_model
from buildguard.project.image_model import CommandForm, ImageCommand, ImageModel
from buildguard.project.start_command import CommandPlace, CommandText, combine
from buildguard.project.target import PythonVersion

if TYPE_CHECKING:
    from typing import Any

_SHELL_FORM = ("/bin/sh", "-c")
_WEB = lazy_pattern(r"(?m)^web:[ \t]*(\S[^\r\n]*)")
_BUILDPACK_SHELL = ("/bin/bash", "-c")
SERVED_BY = ("gunicorn", "uvicorn", "fastapi[standard]", "gradio", "streamlit", "google-adk")
_PICKS_SERVER = PythonVersion(13)  # from this Python on, a buildpack's default command depends on the requirements


class DeclaredStart(NamedTuple):
    """The start that a Dockerfile declares: its command in exec form, its working folder and its variables.

    `command` is None where the Dockerfile has neither ENTRYPOINT nor CMD, so the base image decides. `inherits_entrypoint` says
    that the base image may bring an ENTRYPOINT that gets the words of CMD.
    """

    command: CommandText | None
    folder: str
    env: Mapping[str, str]
    inherits_entrypoint: bool
    system_shell: tuple[str, ...] = _SHELL_FORM
    entrypoint: CommandText | None = None


def read_dockerfile(data: bytes, path: str, build_args: Mapping[str, str], target: str = "") -> DeclaredStart | None:
    """The start of the stage that a build ends with; None for a Dockerfile without one."""
    model = build_model(BuildInput(data, (), "", build_args, target))
    return declared_start(model, path) if model.base else None


def declared_start(model: ImageModel, path: str) -> DeclaredStart:
    """The start of an image that the Dockerfile at a path builds."""
    entrypoint, command = _command_text(model.entrypoint, path), _command_text(model.cmd, path)
    inherits = entrypoint is None and command is not None
    env = MappingProxyType(dict(model.env))
    return DeclaredStart(
        combine(entrypoint, command, model.shell), model.workdir, env, inherits, model.shell, entrypoint
    )


def _command_text(command: ImageCommand | None, path: str) -> CommandText | None:
    if command is None:
        return None
    place = CommandPlace(path, command.line)
    is_shell = command.form is CommandForm.SHELL
    return CommandText(place, text=command.text) if is_shell else CommandText(place, command.words)


def override(
    declared: CommandText | None,
    entrypoint: CommandText | None,
    command: CommandText | None,
    arguments: CommandText | None,
) -> CommandText | None:
    """The command of a service that sets its own `command` or `args`: `command` replaces both of the image's, `args` its CMD."""
    if command is not None and command.words:
        return command._replace(words=(*command.words, *(arguments.words if arguments is not None else ())))
    if arguments is not None and arguments.words:
        return combine(entrypoint, arguments) if entrypoint is not None else arguments
    return declared


def read_procfile(data: bytes, path: str) -> CommandText | None:
    """The `web` process of a Procfile; None where it has none."""
    text = data.decode("utf-8", "replace")
    match = _WEB.search(text)
    return _in_bash(match[1].strip(), path, text.count("\n", 0, match.start()) + 1) if match is not None else None


def read_processes(data: bytes, path: str) -> Iterator[CommandText]:
    """The processes of a Procfile other than `web`."""
    from buildguard.project.process_lists import procfile_processes

    web = read_procfile(data, path)
    for process in procfile_processes(data.decode("utf-8", "replace")):
        if web is None or process.line != web.place.line:
            yield _in_bash(process.words[-1], path, process.line)


def read_app_yaml(data: bytes, path: str) -> CommandText | None:
    """The `entrypoint` of an app.yaml; None where it has none, or cannot be read."""
    from buildguard.project import yaml

    try:
        node = yaml.read(data, path).get("entrypoint")
    except UsageError:
        return None
    text = node.text() if node is not None else ""
    return _in_bash(text, path, node.line) if node is not None and text else None


def _in_bash(text: str, path: str, line: int) -> CommandText:
    return CommandText(CommandPlace(path, line), (*_BUILDPACK_SHELL, text))


def buildpack_default(
    names: Collection[str], requirements: Collection[str], version: PythonVersion | None, folder: str = ""
) -> CommandText | None:
    """The command that Google's buildpack picks where nothing declares one; `names` are the files of the top folder."""
    module = next((f"{name}:app" for name in ("main", "app") if f"{name}.py" in names), "")
    if not module:
        return None
    file = f"{module.partition(':')[0]}.py"
    place = CommandPlace(posixpath.join(folder, file), None)
    chooses = version is None or version.minor >= _PICKS_SERVER.minor
    server = next((name for name in SERVED_BY if name in requirements), "gunicorn") if chooses else "gunicorn"
    return CommandText(place, tuple(_default_words(server, module, file)))


def _default_words(server: str, module: str, file: str) -> Sequence[str]:
    if server in {"uvicorn", "fastapi[standard]"}:
        return ["uvicorn", module, "--port", "8080", "--host", "0.0.0.0"]  # noqa: S104
    if server == "gradio":
        return ["python", file]
    if server == "streamlit":
        return ["streamlit", "run", file, "--server.address", "0.0.0.0", "--server.port", "8080"]  # noqa: S104
    if server == "google-adk":
        return ["adk", "api_server", "--port", "8080", "--host", "0.0.0.0"]  # noqa: S104
    return ["gunicorn", "-b", ":8080", module]


def read_scripts(data: bytes, path: str) -> dict[str, str]:
    """The programs that a pyproject.toml installs, with the `module:function` of each; none where it cannot be read."""
    try:
        document: dict[str, Any] = toml.read(data, path)
    except UsageError:
        return {}
    scripts: dict[str, str] = {}
    for keys in (("tool", "poetry", "scripts"), ("project", "gui-scripts"), ("project", "scripts")):
        table: Any = document
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            scripts |= {str(name): value for name, value in table.items() if isinstance(value, str)}
    return scripts
