"""The port that Cloud Run sends requests to, as far as the project's own files say it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployKind
from buildguard.project.discovery import ImageRecipe
from buildguard.project.ignore.rules import parents
from buildguard.project.project_files import is_build_file_name
from buildguard.project.start_command import CommandPlace, CommandText
from buildguard.startup.project_files import ProjectFileTree

DEFAULT_PORT = "8080"
_DEPLOYS = lazy_pattern(rb"run[\s,\"'\\-]+(?:services[\s,\"'\\-]+)?(?:deploy|replace|update)\b")
_PORT = lazy_pattern(rb"--port[=\s,\"'\\-]+(\$?\{?\w+\}?)")
_OVERRIDES = lazy_pattern(rb"--(?:command|args)[=\s,\"']")
_JOBS = lazy_pattern(rb"run[\s,\"'\\-]+jobs\b")
_MOST = 300


class DeployedPort(NamedTuple):
    """The port of the ingress container, empty where no file says that Cloud Run runs it or which it is; `by` is that file.

    `is_default` says that the deploy sets none. `command` and `arguments` are what the service sets in place of the image's ENTRYPOINT and CMD.
    """

    port: str = ""
    by: str = ""
    command: CommandText | None = None
    arguments: CommandText | None = None
    is_default: bool = False
    is_job: bool = False
    has_sidecars: bool = False


def find_port(declared: Sequence[DeployedPort], dockerfile: str, *, is_only: bool, built_by: str = "") -> DeployedPort:
    """The port that every deploy agrees on that may be of an image: any where it is the only one, else those in its folders.

    `built_by` is the build file that builds it and no other image; what that deploys counts too.
    """
    if not is_only:
        folders = parents(dockerfile)
        declared = [each for each in declared if posixpath.dirname(each.by) in folders or each.by == built_by != ""]
    if any(each.has_sidecars for each in declared):
        return DeployedPort(has_sidecars=True)
    return _agreed(declared)


def _agreed(declared: Sequence[DeployedPort]) -> DeployedPort:
    """The one port of some deploys; that of a job where none is a service."""
    services = [each for each in declared if not each.is_job]
    if declared and not services:
        return DeployedPort(is_job=True)
    return services[0] if len({each.port for each in services}) == 1 else DeployedPort()


def only_builder(recipe: ImageRecipe, recipes: Sequence[ImageRecipe]) -> str:
    """The file that declares the build of an image, and of no other; else empty."""
    files = [other.service.basis.by.rpartition(":")[0] for other in recipes]
    own = recipe.service.basis.by.rpartition(":")[0]
    return own if files.count(own) == 1 else ""


def read_ports(files: ProjectFileTree, config: Config) -> Iterator[DeployedPort]:
    """Each deploy to Cloud Run that a file of the project declares."""
    for path in deploying_files(files):
        data = files.read(path) or b""
        if b"serving.knative.dev" in data or b"run.googleapis.com" in data:
            yield from _of_template(data, path)
        elif _DEPLOYS.search(data):
            yield _of_command(data, path)
        elif _JOBS.search(data):
            yield DeployedPort(by=path, is_job=True)
    if any(table.service and table.kind is DeployKind.SERVICE for table in config.deploys):
        yield DeployedPort(DEFAULT_PORT, config.file, is_default=True)


def deploying_files(files: ProjectFileTree) -> list[str]:
    """The files that may declare a deploy by their names, read."""
    named = files.named(_may_deploy)[:_MOST]
    files.load(named)
    return named


def _may_deploy(path: str) -> bool:
    if not path.endswith((".yaml", ".yml", ".json")):
        return False
    name = posixpath.basename(path)
    is_template = any(word in name for word in ("service", "run", "knative")) and not name.endswith(".json")
    return is_template or is_build_file_name(os.fsencode(path))


def _of_command(data: bytes, path: str) -> DeployedPort:
    matches = {match.decode() for match in _PORT.findall(data)}
    command, arguments = _overrides(data, path) if _OVERRIDES.search(data) else (None, None)
    if not matches:
        return DeployedPort(DEFAULT_PORT, path, command, arguments, is_default=True)
    port = matches.pop()
    return DeployedPort(port if port.isdigit() and not matches else "", path, command, arguments)


def _overrides(data: bytes, path: str) -> tuple[CommandText | None, CommandText | None]:
    """What the only `gcloud run deploy` of a build file sets with `--command` and `--args`; unknown where there is another."""
    from buildguard.project.cloudbuild import reader

    unknown = CommandText(CommandPlace(path, None), ("$command",)), None
    try:
        deploys = [each for each in reader.read(data, path, {}).gcloud if {"run", "deploy"} <= {*each.argv}]
    except UsageError:
        return unknown
    if len(deploys) != 1:
        return unknown
    place = CommandPlace(path, deploys[0].line)
    values = [_flag_values(deploys[0].argv, flag) for flag in ("--command", "--args")]
    if not any(values):
        return unknown
    command, arguments = (CommandText(place, words) if words else None for words in values)
    return command, arguments


def _flag_values(argv: Sequence[str], flag: str) -> tuple[str, ...]:
    """The values of a list in gcloud's form: between commas, or what `^…^` in front names instead."""
    rest = iter(argv)
    texts = [
        next(rest, "") if word == flag else word.removeprefix(f"{flag}=") for word in rest if word.split("=")[0] == flag
    ]
    text = texts[-1] if texts else ""
    _caret, delimiter, own = text.split("^", 2) if re.match(r"\^[^^]+\^", text) else ("", ",", text)
    return tuple(own.split(delimiter)) if own else ()


def _of_template(data: bytes, path: str) -> Iterator[DeployedPort]:
    """The ports of a service in Cloud Run's own YAML."""
    try:
        root = yaml.read(data, path)
    except UsageError:
        yield DeployedPort("", path)
        return
    kind = root.get("kind")
    if kind is not None and kind.text() == "Job":
        yield DeployedPort(by=path, is_job=True)
        return
    containers = root.get("spec", "template", "spec", "containers")
    if containers is None:
        return
    ports = [_container_port(container) for container in containers.items()]
    port = next(filter(None, ports), DEFAULT_PORT)
    if len(ports) > 1:
        yield DeployedPort(port, path, has_sidecars=True)
        return
    command, arguments = (_words(containers.items()[0], key, path) for key in ("command", "args"))
    yield DeployedPort(port, path, command, arguments)


def _words(container: yaml.Node, key: str, path: str) -> CommandText | None:
    """The `command` or the `args` of a container."""
    node = container.get(key)
    words = tuple(item.text() for item in node.items()) if node is not None else ()
    return CommandText(CommandPlace(path, node.line), words) if node is not None and words else None


def _container_port(container: yaml.Node) -> str:
    ports = container.get("ports")
    port = ports.items()[0].get("containerPort") if ports is not None and ports.items() else None
    return port.text() if port is not None else ""
