"""What sets variables for a container of Cloud Run, as far as the project's files say it: a service's YAML, `gcloud run deploy`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.cloudbuild import reader
from buildguard.project.cloudbuild.reader import BuildCommand
from buildguard.project.config import Config
from buildguard.project.ignore.rules import parents
from buildguard.startup.deployed_ports import deploying_files
from buildguard.startup.project_files import ProjectFileTree
from buildguard.startup.variables.env_files import names_in

# What Cloud Run, its jobs and functions set themselves, and what a container has anyway.
PLATFORM_VARIABLES = frozenset(
    {
        *("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "CLOUD_RUN_JOB", "CLOUD_RUN_EXECUTION"),
        *("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_ATTEMPT", "CLOUD_RUN_TASK_COUNT", "CLOUD_RUN_TIMEOUT_SECONDS"),
        *("CLOUD_RUN_WORKER_POOL", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "LOG_EXECUTION_ID"),
        *("PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_", "LANG", "GPG_KEY", "TERM"),
        *("PYTHON_VERSION", "PYTHON_SHA256", "PYTHON_PIP_VERSION", "PYTHON_SETUPTOOLS_VERSION"),
        *("PYTHON_GET_PIP_URL", "PYTHON_GET_PIP_SHA256", "LC_CTYPE"),
    }
)
_SETS = ("--set-env-vars", "--env-vars-file", "--clear-env-vars")
_ADDS = ("--update-env-vars", "--set-secrets", "--update-secrets")
_OPENS = ("--flags-file", "--remove-env-vars", "--remove-secrets")
_DEPLOYS = (("run", "deploy"), ("run", "jobs", "deploy"), ("run", "jobs", "create"), ("run", "worker-pools", "deploy"))
_UPDATES = (("run", "services", "update"), ("run", "jobs", "update"), ("run", "worker-pools", "update"))
_REPLACES = (("run", "services", "replace"), ("run", "jobs", "replace"))
_TRACKS = frozenset({"alpha", "beta"})


class ServiceTemplate(NamedTuple):
    """The variables that one file sets for a container, each with its place.

    `is_whole` says that a new revision has no others, `keeps` that it keeps those that it had; `unknown` is why names are
    unknown.
    """

    by: str
    names: Mapping[str, str] = MappingProxyType({})
    is_whole: bool = False
    keeps: bool = False
    unknown: str = ""


class TemplateVariables(NamedTuple):
    """What all templates of an image set together; `is_known` says that this is all, `files` are where that is said."""

    names: Mapping[str, str] = MappingProxyType({})
    is_known: bool = False
    files: tuple[str, ...] = ()


def read_templates(files: ProjectFileTree, config: Config) -> list[ServiceTemplate]:
    """Each deploy to Cloud Run that a file of the project declares."""
    substitutions = dict(config.substitutions)
    templates: list[ServiceTemplate] = []
    for path in deploying_files(files):
        data = files.read(path) or b""
        if b"serving.knative.dev" in data or b"run.googleapis.com" in data:
            templates += _of_service(data, path)
        elif b"gcloud" in data or b"cloud-sdk" in data:
            templates += _of_build_file(files, path, data, substitutions)
    return templates


def merge_templates(templates: Iterable[ServiceTemplate], dockerfile: str, *, is_only: bool) -> TemplateVariables:
    """What the templates that may be of an image set: any of them where it is the only one, else those in its folders."""
    ours = [each for each in templates if is_only or posixpath.dirname(each.by) in parents(dockerfile)]
    names: dict[str, str] = {}
    for template in ours:
        names |= template.names
    is_known = any(each.is_whole for each in ours) and not any(each.keeps or each.unknown for each in ours)
    return TemplateVariables(names, is_known, tuple(dict.fromkeys(each.by for each in ours if each.is_whole)))


# ------------------------------------------------------------------------------------------ a service's YAML


def _of_service(data: bytes, path: str) -> Iterator[ServiceTemplate]:
    try:
        root = yaml.read(data, path)
    except UsageError:
        yield ServiceTemplate(path, unknown=f"{path} is not valid YAML")
        return
    containers = root.get("spec", "template", "spec", "containers") or root.get(
        "spec", "template", "spec", "template", "spec", "containers"
    )
    if containers is None:
        return
    items = list(_variables_of(containers))
    names = {name: f"{path}:{line}" for name, line in items}
    is_filled = any(not name or _is_filled(name) for name in names)
    yield ServiceTemplate(path, names, is_whole=True, unknown="a name is filled in later" if is_filled else "")


def _variables_of(containers: yaml.Node) -> Iterator[tuple[str, int]]:
    """The names of the variables of some containers, with their lines."""
    for container in containers.items():
        variables = container.get("env")
        for item in variables.items() if variables is not None else ():
            yield (item.get("name") or yaml.Node("", 1)).text(), item.line


def _is_filled(name: str) -> bool:
    return any(mark in name for mark in "${}%")


# ------------------------------------------------------------------------------------------ gcloud


def _of_build_file(
    files: ProjectFileTree, path: str, data: bytes, substitutions: Mapping[str, str]
) -> Iterator[ServiceTemplate]:
    try:
        commands = reader.read(data, path, substitutions).gcloud
    except UsageError:
        return
    for command in commands:
        template = _of_command(files, path, command)
        if template is not None:
            yield template


def _of_command(files: ProjectFileTree, path: str, command: BuildCommand) -> ServiceTemplate | None:
    words = [word for word in command.argv[1:] if word not in _TRACKS]
    verbs = tuple(word for word in words if not word.startswith("-"))
    if _begins(verbs, _REPLACES):
        return _replaced(files, path, command, words)
    is_deploy = _begins(verbs, _DEPLOYS)
    if not is_deploy and not _begins(verbs, _UPDATES):
        return None
    names: dict[str, str] = {}
    unknown = ""
    flags = list(_flags(words))
    for flag, value in flags:
        try:
            names |= dict.fromkeys(_names_of(files, command.folder, flag, value), f"{path}:{command.line}")
        except ValueError as error:
            unknown = str(error)
    sets = any(flag in _SETS for flag, _value in flags)
    return ServiceTemplate(path, names, is_whole=sets, keeps=is_deploy and not sets, unknown=unknown)


def _begins(verbs: tuple[str, ...], commands: Iterable[tuple[str, ...]]) -> bool:
    return any(verbs[: len(known)] == known for known in commands)


def _replaced(files: ProjectFileTree, path: str, command: BuildCommand, words: Sequence[str]) -> ServiceTemplate | None:
    """`services replace FILE`: the file speaks for itself where the project has it."""
    file = next((word for word in words if word.endswith((".yaml", ".yml", ".json"))), "")
    if file and files.is_file(posixpath.normpath(posixpath.join(command.folder, file))):
        return None
    return ServiceTemplate(path, unknown=f"{path}:{command.line} deploys a template that the project does not have")


def _flags(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The flags that concern variables, with their values."""
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in {*_SETS, *_ADDS, *_OPENS}:
            following = words[at + 1] if at + 1 < len(words) else ""
            yield flag, value if equals else following


def _names_of(files: ProjectFileTree, folder: str, flag: str, value: str) -> Iterator[str]:
    """The names that a flag sets; raises ValueError where they are unknown."""
    if flag in _OPENS:
        raise ValueError(f"{flag} changes what is set")
    if flag == "--clear-env-vars":
        return
    if flag == "--env-vars-file":
        yield from _names_in_file(files, posixpath.normpath(posixpath.join(folder, value)))
        return
    for pair in _pairs(value):
        name, equals, _text = pair.partition("=")
        if not equals or _is_filled(name):
            raise ValueError(f"the value of {flag} is known at build time only")
        if not name.startswith("/"):  # a secret that is mounted as a file
            yield name.strip()


def _pairs(value: str) -> list[str]:
    """The parts of a list of gcloud's, which may name its own separator: `^@^A=1@B=2`."""
    separator = ","
    if value.startswith("^") and "^" in value[1:]:
        separator, _, value = value[1:].partition("^")
    return [pair for pair in value.split(separator) if pair.strip()] if separator else [value]


def _names_in_file(files: ProjectFileTree, path: str) -> Iterator[str]:
    data = files.read(path)
    if data is None:
        raise ValueError(f"{path} is not among the project's files")
    if path.endswith((".yaml", ".yml", ".json")):
        yield from (name for name, _node in yaml.read(data, path).pairs())
    else:
        yield from names_in(data.decode("utf-8", "replace"))
