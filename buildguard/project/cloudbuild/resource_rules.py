"""Cloud Build's rules for volumes, secrets, artifacts and logs. Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.fields import FieldProblem, RefusedBy, flat, value_of
from buildguard.project.cloudbuild.step_rules import closest
from buildguard.project.yaml import Node

_VOLUME = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_KEEPS_LOGS = {"CLOUD_LOGGING_ONLY", "NONE"}
_LEAST_USERS = 2  # of a volume: it is there to be shared


def check_resources(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    """Problems of everything that steps share or leave behind."""
    options = flat(value_of(build, "options"))
    yield from _check_volumes(options, steps)
    yield from _check_secrets(build, options, steps)
    yield from _check_secret_users(options, steps)
    yield from _check_artifacts(build)
    yield from _check_logs(build, options)


# ------------------------------------------------------------------------------------------ volumes


def _check_volumes(options: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    shared = value_of(options, "volumes").items()
    names, paths = set(_texts(shared, "name")), set(_texts(shared, "path"))
    yield from _check_volume_list(shared, "options", set(), set())
    for number, step in enumerate(steps):
        yield from _check_volume_list(value_of(step, "volumes").items(), f"step #{number}", names, paths)
    users = Counter(name for step in steps for name in set(_texts(value_of(step, "volumes").items(), "name")))
    for step in steps:
        for volume in value_of(step, "volumes").items():
            name = value_of(flat(volume), "name").text()
            if name and value_of(flat(volume), "path").text() and name not in names and users[name] < _LEAST_USERS:
                message = f"volume {name} is used by only one step, and Cloud Build refuses that"
                yield FieldProblem(Code.BG414, volume.place, message, "remove it: /workspace is shared already")
    if shared and len(steps) < _LEAST_USERS:
        message = "volumes for all steps need at least two steps"
        yield FieldProblem(Code.BG414, shared[0].place, message, "remove it: /workspace is shared already")


def _texts(volumes: Sequence[Node], field: str) -> Iterator[str]:
    for volume in volumes:
        yield value_of(flat(volume), field).text()


def _check_volume_list(volumes: Sequence[Node], where: str, names: set[str], paths: set[str]) -> Iterator[FieldProblem]:
    """The volumes of a step, or of all; `names` and `paths` are those of all."""
    names, paths = set(names), set(paths)
    for volume in volumes:
        name, path = (value_of(flat(volume), field) for field in ("name", "path"))
        if not name.text() or not path.text():
            yield FieldProblem(Code.BG414, volume.place, f"{where}: a volume needs a name and a path")
            continue
        yield from _check_volume(name, path, where)
        for node, seen in ((name, names), (path, paths)):
            if node.text() in seen:
                message = f"{where}: '{node.text()}' belongs to another volume already"
                yield FieldProblem(Code.BG414, node.place, message, "rename one")
            seen.add(node.text())


def _check_volume(name: Node, path: Node, where: str) -> Iterator[FieldProblem]:
    if "$" not in name.text() and _VOLUME.fullmatch(name.text()) is None:
        message = f"{where}: '{name.text()}' is not a name for a volume"
        yield FieldProblem(Code.BG412, name.place, message, "at least two of: letters, digits, _, . and -")
    place = posixpath.normpath(path.text())
    if "$" in place:
        return
    if not place.startswith("/"):
        yield FieldProblem(Code.BG418, path.place, f"{where}: the path of volume {name.text()} is not absolute")
    elif place in schema.RESERVED_PATHS or place.startswith("/cloudbuild/"):
        message = f"{where}: volume {name.text()} is mounted on {place}, which is reserved for Cloud Build"
        yield FieldProblem(Code.BG418, path.place, message)


# ------------------------------------------------------------------------------------------ secrets


def _check_secrets(
    build: Mapping[str, Node], options: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]
) -> Iterator[FieldProblem]:
    """Secrets that are defined and used, each once and both."""
    used = {node.text() for fields in (options, *steps) for node in value_of(fields, "secretEnv").items()}
    defined: set[str] = set()
    keys: set[str] = set()
    for node in value_of(build, "secrets").items():
        yield from _check_kms_secret(node, defined, keys)
    for name, node in _definitions(build):
        if name not in used:
            refused_by = RefusedBy.EVERY_BUILD if name in defined else RefusedBy.UNCERTAIN
            message = f"the secret {name} is defined and never used"
            hint = f"remove it, or add secretEnv: [{name}] to a step"
            yield FieldProblem(Code.BG414, node.place, message, hint, refused_by)
    known = {name for name, _node in _definitions(build)}
    for who, fields in _users(options, steps):
        for node in value_of(fields, "secretEnv").items():
            if node.text() not in known:
                message = f"{who} uses the secret {node.text()}, which neither availableSecrets nor secrets defines"
                yield FieldProblem(Code.BG414, node.place, message, closest(node.text(), known))


def _users(
    options: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]
) -> Iterator[tuple[str, Mapping[str, Node]]]:
    yield "options", options
    for number, step in enumerate(steps):
        yield f"step #{number}", step


def _check_kms_secret(node: Node, defined: set[str], keys: set[str]) -> Iterator[FieldProblem]:
    """One entry of `secrets`; its names and key are added to those of the entries before it."""
    key, variables = value_of(flat(node), "kmsKeyName"), value_of(flat(node), "secretEnv")
    if key.text() in keys:
        yield FieldProblem(Code.BG414, key.place, f"the key {key.text()} has two entries in secrets", "merge them")
    keys.add(key.text())
    if not dict(variables.pairs()):
        yield FieldProblem(Code.BG414, node.place, "this secret defines no secretEnv", "remove it")
    for name, value in variables.pairs():
        if name in defined:
            yield FieldProblem(Code.BG414, value.place, f"the secret {name} is defined twice", "remove one")
        defined.add(name)


def _definitions(build: Mapping[str, Node]) -> Iterator[tuple[str, Node]]:
    """The names of all secrets, and where each is defined."""
    available = flat(value_of(build, "availableSecrets"))
    for secret in value_of(available, "secretManager").items():
        node = value_of(flat(secret), "env")
        yield node.text(), node
    for entries, field in ((value_of(available, "inline"), "envMap"), (value_of(build, "secrets"), "secretEnv")):
        for secret in entries.items():
            yield from value_of(flat(secret), field).pairs()


def _check_secret_users(options: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    """Secrets that one step gets twice, or under the name of a plain variable."""
    everywhere = value_of(options, "secretEnv").items()
    plain = {_variable(node) for node in value_of(options, "env").items()}
    yield from _check_secret_names(everywhere, "options", set(), plain)
    shared = {node.text() for node in everywhere}
    for number, step in enumerate(steps):
        own = [node for node in value_of(step, "env").items() if _variable(node)]
        names = {_variable(node) for node in own}
        yield from _check_secret_names(value_of(step, "secretEnv").items(), f"step #{number}", shared, plain | names)
        for node in own:
            if _variable(node) in shared:
                yield _both(f"step #{number}", node, _variable(node))


def _check_secret_names(
    nodes: Sequence[Node], where: str, taken: set[str], variables: set[str]
) -> Iterator[FieldProblem]:
    taken = set(taken)
    for node in nodes:
        if node.text() in taken:
            message = f"{where} gets the secret {node.text()} twice"
            yield FieldProblem(Code.BG414, node.place, message, "remove one")
        if node.text() in variables:
            yield _both(where, node, node.text())
        taken.add(node.text())


def _both(where: str, node: Node, name: str) -> FieldProblem:
    return FieldProblem(Code.BG414, node.place, f"{where}: {name} is both a secret and a plain variable", "rename one")


def _variable(node: Node) -> str:
    return node.text().partition("=")[0] if "=" in node.text() else ""


# ------------------------------------------------------------------------------------------ artifacts and logs


def _check_artifacts(build: Mapping[str, Node]) -> Iterator[FieldProblem]:
    artifacts = flat(value_of(build, "artifacts"))
    images, again = value_of(build, "images"), value_of(artifacts, "images")
    if images.items() and again.items() and _words(images) != _words(again):
        yield FieldProblem(Code.BG414, again.place, "images and artifacts.images differ", "keep one of them")
    if "objects" not in artifacts:
        return
    objects = flat(artifacts["objects"])
    location, paths = value_of(objects, "location"), value_of(objects, "paths")
    if not location.text():
        message = "artifacts.objects has no location"
        yield FieldProblem(Code.BG414, artifacts["objects"].place, message, "location: gs://BUCKET/FOLDER/")
    elif not location.text().startswith(("gs://", "$")):
        message = f"artifacts.objects.location: '{location.text()[:80]}' is not a Cloud Storage URL"
        yield FieldProblem(Code.BG412, location.place, message, "location: gs://BUCKET/FOLDER/")
    if not paths.items():
        yield FieldProblem(Code.BG414, artifacts["objects"].place, "artifacts.objects has no paths", "paths: [dist/*]")
    yield from _check_paths(paths)


def _words(nodes: Node) -> list[str]:
    return [node.text() for node in nodes.items()]


def _check_paths(paths: Node) -> Iterator[FieldProblem]:
    seen: set[str] = set()
    for node in paths.items():
        if node.text() in seen:
            yield FieldProblem(
                Code.BG413, node.place, f"artifacts.objects.paths has '{node.text()}' twice", "remove one"
            )
        seen.add(node.text())
        if any(character.isspace() for character in node.text()):
            yield FieldProblem(Code.BG412, node.place, f"artifacts.objects.paths: '{node.text()}' contains a space")


def _check_logs(build: Mapping[str, Node], options: Mapping[str, Node]) -> Iterator[FieldProblem]:
    kept = (
        value_of(build, "logsBucket").text()
        or value_of(options, "logging").text() in _KEEPS_LOGS
        or value_of(options, "defaultLogsBucketBehavior").text() == "REGIONAL_USER_OWNED_BUCKET"
        or "pool" in options
    )
    if value_of(build, "serviceAccount").text() and not kept:
        message = "a build with its own serviceAccount must set where its logs go"
        yield FieldProblem(Code.BG414, build["serviceAccount"].place, message, "options: {logging: CLOUD_LOGGING_ONLY}")
