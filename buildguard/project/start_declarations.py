"""Where a project declares what its container starts: Dockerfile, Procfile, app.yaml, buildpack rules, pyproject scripts. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from buildguard.errors import UsageError
from buildguard.project import dockerfile, image_layout, toml, yaml
from buildguard.project.start_command import CommandPlace, CommandText, combine, in_folder
from buildguard.project.target import PythonVersion

_SHELL_FORM = ("/bin/sh", "-c")
_WEB = re.compile(r"(?m)^web:[ \t]*(\S[^\r\n]*)")
_BUILDPACK_SHELL = ("/bin/bash", "-c")
_SERVED_BY = ("gunicorn", "uvicorn", "fastapi[standard]", "gradio", "streamlit", "google-adk")
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
    final = dockerfile.resolve_final_stage(data, build_args, target)
    if final is None:
        return None
    reader = _InstructionReader(path, build_args)
    for stage in reversed(final.chain):
        reader.begin_stage()
        for step in stage.instructions:
            reader.read(step)
    return reader.declared()


class _InstructionReader:
    """What the instructions so far set of a start."""

    def __init__(self, path: str, build_args: Mapping[str, str]) -> None:
        self._path = path
        self._build_args = build_args
        self._folder = "/"
        self._env: dict[str, str] = {}
        self._arguments: dict[str, str] = {}
        self._shell: tuple[str, ...] = _SHELL_FORM
        self._entrypoint: CommandText | None = None
        self._command: CommandText | None = None
        self._has_command = False

    def begin_stage(self) -> None:
        self._arguments = {}
        self._has_command = False

    def read(self, step: dockerfile.Instruction) -> None:
        known = {**self._arguments, **self._env}
        text = dockerfile.expand_variables(step.text, known) if step.name in {"WORKDIR", "ENV", "ARG"} else step.text
        if step.name == "WORKDIR":
            self._folder = in_folder(self._folder, text.strip().strip("\"'"))
        elif step.name == "ENV":
            self._env |= image_layout.variables(step.name, text, {})
        elif step.name == "ARG":
            self._arguments |= image_layout.variables(step.name, text, self._build_args)
        elif step.name == "SHELL":
            self._shell = tuple(_json_words(text) or _SHELL_FORM)
        elif step.name == "ENTRYPOINT":
            self._entrypoint = parse_instruction(text, self._path, step.line)
            self._command = (
                self._command if self._has_command else None
            )  # that of a base is reset, the stage's own stays
        elif step.name == "CMD":
            self._command, self._has_command = parse_instruction(text, self._path, step.line), True

    def declared(self) -> DeclaredStart:
        command = combine(self._entrypoint, self._command, self._shell)
        inherits = self._entrypoint is None and self._command is not None
        return DeclaredStart(
            command, self._folder, MappingProxyType(self._env), inherits, self._shell, self._entrypoint
        )


def parse_instruction(text: str, path: str, line: int) -> CommandText:
    """The command of an ENTRYPOINT or CMD; a list that is not valid JSON is shell form, as docker has it."""
    place = CommandPlace(path, line)
    words = _json_words(text)
    return CommandText(place, text=text.strip()) if words is None else CommandText(place, tuple(words))


def _json_words(text: str) -> list[str] | None:
    if not text.strip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


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


def read_app_yaml(data: bytes, path: str) -> CommandText | None:
    """The `entrypoint` of an app.yaml; None where it has none, or cannot be read."""
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
    server = next((name for name in _SERVED_BY if name in requirements), "gunicorn") if chooses else "gunicorn"
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
