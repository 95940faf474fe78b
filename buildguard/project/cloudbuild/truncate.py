"""A build file as the API's JSON has it, and cut before the first step that deploys: nothing is to serve before it is proven. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.cloudbuild import reader, schema
from buildguard.project.cloudbuild.durations import as_json_duration
from buildguard.project.cloudbuild.fields import camel
from buildguard.project.cloudbuild.reader import BuildFileStep
from buildguard.project.cloudbuild.roles import Role
from buildguard.project.yaml import Node

_USED = lazy_pattern(r"\$\{?(?P<name>\w+)")
_SUGGESTIVE = lazy_pattern(r"(?i)\b(?:deploy|release|rollout|promote|publish)")


class TruncatedBuild(NamedTuple):
    """A build without what comes from its first deploying step on: the steps that run, and those that do not, in words.

    `pushes` are the steps that push images themselves, before anything is proven.
    """

    build: Mapping[str, Any]
    steps_run: tuple[str, ...]
    steps_skipped: tuple[str, ...]
    pushes: tuple[str, ...]


def truncate_build(data: bytes, file: str, until: str, substitutions: Mapping[str, str]) -> TruncatedBuild:
    """Read a build file and cut it before the step `until`, or before the first one that deploys, if any.

    Raises UsageError where `until` is no step, or where a step may deploy and its words do not show it.
    """
    build = as_json(data, file)
    steps = build.get("steps") or []
    parsed_steps = reader.read(data, file, substitutions).steps
    names = [_name(number, step) for number, step in enumerate(steps)]
    at = _find_step(steps, until, file) if until else _find_deploy(steps, parsed_steps, file)
    if not at:
        raise UsageError(f"nothing of {file} is left before the step that deploys", hint="it has to build an image")
    pushes = tuple(names[step.number] for step in parsed_steps[:at] if Role.PUSHES in step.roles)
    return TruncatedBuild(_without(build, at), tuple(names[:at]), tuple(names[at:]), pushes)


def _find_step(steps: Sequence[Mapping[str, Any]], until: str, file: str) -> int:
    ids = [step.get("id", "") for step in steps]
    if until not in ids:
        raise UsageError(f"{file} has no step with the id '{until}'", hint="[tool.buildguard.deploy] build-until")
    return ids.index(until)


def _find_deploy(steps: Sequence[Mapping[str, Any]], parsed_steps: Sequence[BuildFileStep], file: str) -> int:
    """The number of the first step that deploys, or of all steps; raises UsageError where one before it may deploy."""
    at = next((step.number for step in parsed_steps if Role.DEPLOYS in step.roles), len(steps))
    for number, step in enumerate(parsed_steps[:at]):
        if not step.roles and _may_deploy(steps[number]):
            raise UsageError(
                f"whether {_name(number, steps[number])} of {file} deploys is unknown",
                hint="say where the build ends: [tool.buildguard.deploy] build-until, the id of the first step that deploys",
            )
    return at


def _without(build: dict[str, Any], at: int) -> dict[str, Any]:
    """The build with its first steps only, and without the ids, substitutions and secrets that only the others used."""
    kept, gone = build["steps"][:at], build["steps"][at:]
    lost = {step["id"] for step in gone if step.get("id")}
    truncated = {**build, "steps": [_without_waits(step, lost) for step in kept]}
    used, were_used = _names_in({**truncated, "substitutions": {}}), _names_in(gone)
    if declared := truncated.get("substitutions"):
        truncated["substitutions"] = {
            key: value for key, value in declared.items() if key in used or key not in were_used
        }
    _drop_unused_secrets(truncated)
    return truncated


def _drop_unused_secrets(build: dict[str, Any]) -> None:
    """Remove the secrets that no step and no option uses: Cloud Build refuses those of KMS."""
    users = [*build["steps"], build.get("options") or {}]
    used = {name for user in users for name in user.get("secretEnv") or []}
    if secrets := build.get("secrets"):
        kept = [{**secret, "secretEnv": _only(secret.get("secretEnv") or {}, used)} for secret in secrets]
        build["secrets"] = [secret for secret in kept if secret["secretEnv"]]
    if available := build.get("availableSecrets"):
        build["availableSecrets"] = _used_secrets(available, used)
        if not any(build["availableSecrets"].values()):
            del build["availableSecrets"]


def _used_secrets(available: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """The secrets of Secret Manager that are used; inline ones stay as they are."""
    if not available.get("secretManager"):
        return available
    return {**available, "secretManager": [entry for entry in available["secretManager"] if entry.get("env") in used]}


def _only(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _without_waits(step: dict[str, Any], lost: set[str]) -> dict[str, Any]:
    if not lost.intersection(step.get("waitFor") or []):
        return step
    return {**step, "waitFor": [identity for identity in step["waitFor"] if identity not in lost] or ["-"]}


def _names_in(value: object) -> set[str]:
    return {match["name"] for match in _USED.finditer(json.dumps(value))}


def _name(number: int, step: Mapping[str, Any]) -> str:
    words = " ".join([step.get("name", ""), *step.get("args", [])])
    return f"{step.get('id') or f'step #{number}'} ({words[:60]}{'…' if len(words) > 60 else ''})"  # noqa: PLR2004


def _may_deploy(step: Mapping[str, Any]) -> bool:
    words = [step.get("id", ""), step.get("entrypoint", ""), step.get("script", ""), *step.get("args", [])]
    return any(_SUGGESTIVE.search(word) for word in words)


# ------------------------------------------------------------------------------------------ as the API's JSON has it


def as_json(data: bytes, file: str) -> dict[str, Any]:
    """A build file with its fields by their names in JSON. Raises UsageError for what is no mapping."""
    root = yaml.read(data, file)
    if not isinstance(root.value, Mapping):
        raise UsageError(f"{file} is no build file: a mapping is wanted")
    converted: dict[str, Any] = _convert(root, "Build")
    return converted


def _convert(node: Node, kind: str) -> Any:
    """A value as JSON has it, by its type in the schema: one item in place of a list is a list of one, as gcloud reads it."""
    if kind.startswith("["):
        return [_convert(item, kind[1:-1]) for item in node.items()]
    if kind.startswith("{"):
        return {key: _convert(value, kind[1:-1]) for key, value in node.pairs() if value.kind != "null"}
    if isinstance(node.value, Mapping):
        fields = schema.MESSAGES.get(kind, {})
        pairs = [(camel(key), value) for key, value in node.pairs() if value.kind != "null"]
        return {field: _convert(value, fields.get(field, "any")) for field, value in pairs}
    if isinstance(node.value, tuple):
        return [_convert(item, "any") for item in node.value]
    return _convert_scalar(node, kind)


def _convert_scalar(node: Node, kind: str) -> Any:
    text = node.text()
    if kind == "bool":
        return text.lower() in {"true", "yes", "on", "y"}
    if kind == "duration":
        return as_json_duration(text)
    return int(text) if kind == "int" and node.kind == "int" else text


# ------------------------------------------------------------------------------------------ images


def repository_of(reference: str) -> str:
    """An image's name without its tag or digest."""
    name = reference.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def tags(build: Mapping[str, Any]) -> list[str]:
    """The names that a build gives to images: those that it pushes through `images`, and those of its docker builds."""
    names = [*build.get("images", []), *((build.get("artifacts") or {}).get("images") or [])]
    for step in build.get("steps") or []:
        args = list(step.get("args", []))
        if "docker" in step.get("name", "") and "build" in args:
            names += [args[at + 1] for at, argument in enumerate(args[:-1]) if argument in {"-t", "--tag"}]
            names += [argument.partition("=")[2] for argument in args if argument.startswith("--tag=")]
    return list(dict.fromkeys(names))


def docker_build(image: str, dockerfile: str, context: str) -> dict[str, Any]:
    """The build of a project without a build file, as gcloud submits it: one step over its Dockerfile."""
    args = ["build", "--network", "cloudbuild", "-t", image, "-f", dockerfile, context or "."]
    return {"steps": [{"id": "build", "name": "gcr.io/cloud-builders/docker", "args": args}], "images": [image]}
