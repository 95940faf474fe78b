"""Cloud Build's limits: how many there may be, and how long. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.durations import parse_duration
from buildguard.project.cloudbuild.fields import FieldProblem, RefusedBy, flat, value_of
from buildguard.project.cloudbuild.schema import CountLimit
from buildguard.project.yaml import Node, YamlPosition

_TAG = lazy_pattern(r"[\w][\w.-]{0,127}", re.ASCII)


def check_limits(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    """BG417, and tags that are none (BG412)."""
    options = flat(value_of(build, "options"))
    objects = flat(value_of(flat(value_of(build, "artifacts")), "objects"))
    yield from _check_count(value_of(build, "steps"), schema.STEPS, "steps")
    for node in (value_of(build, "images"), value_of(flat(value_of(build, "artifacts")), "images")):
        yield from _check_count(node, schema.IMAGES, "images")
        yield from _check_lengths(node, schema.IMAGE, "images")
    yield from _check_count(value_of(objects, "paths"), schema.PATHS, "paths of artifacts")
    yield from _check_count(value_of(options, "env"), schema.ENVS, "env of options")
    yield from _check_lengths(value_of(options, "env"), schema.ENV, "env of options")
    yield from _check_tags(value_of(build, "tags"))
    yield from _check_values(value_of(build, "substitutions"))
    yield from _check_secrets(value_of(build, "secrets"))
    yield from _check_timeout(value_of(build, "timeout"), "a build")
    for number, step in enumerate(steps):
        yield from _check_step(step, f"step #{number}")


def _check_step(step: Mapping[str, Node], name: str) -> Iterator[FieldProblem]:
    for field, most, each in (("args", schema.ARGS, schema.ARG), ("env", schema.ENVS, schema.ENV)):
        yield from _check_count(value_of(step, field), most, f"{field} in {name}")
        yield from _check_lengths(value_of(step, field), each, f"{field} of {name}")
    for field in ("name", "dir"):
        yield from _check_lengths(value_of(step, field), schema.STEP_FIELD, f"{field} of {name}")
    yield from _check_timeout(value_of(step, "timeout"), name)


def _check_timeout(timeout: Node, who: str) -> Iterator[FieldProblem]:
    if (parse_duration(timeout.text()) or 0) > schema.LONGEST_BUILD:
        yield FieldProblem(Code.BG417, timeout.place, f"{who} may run for at most 24 hours", "timeout: 86400s")


def _check_tags(tags: Node) -> Iterator[FieldProblem]:
    yield from _check_count(tags, schema.TAGS, "tags")
    for tag in tags.items():
        text = tag.text()
        if text and tag.kind == "str" and "$" not in text and _TAG.fullmatch(text) is None:
            yield FieldProblem(
                Code.BG412, tag.place, f"'{text}' is not a tag", "at most 128 letters, digits, _, . and -"
            )


def _check_values(table: Node) -> Iterator[FieldProblem]:
    yield from _check_size(table.place, len(dict(table.pairs())), schema.SUBSTITUTIONS, "substitutions")
    for key, value in table.pairs():
        place = table.keys.get(key, table.place)
        yield from _check_size(place, len(key.encode()), schema.KEY, f"bytes in the name {key[:20]}…")
        yield from _check_size(value.place, len(value.text().encode()), schema.VALUE, f"bytes in {key[:20]}")


def _check_secrets(secrets: Node) -> Iterator[FieldProblem]:
    values = [pair for secret in secrets.items() for pair in value_of(flat(secret), "secretEnv").pairs()]
    yield from _check_size(secrets.place, len(values), schema.SECRETS, "secrets")
    for name, value in values:
        size = len(value.text().strip().rstrip("=")) * 3 // 4  # base64
        yield from _check_size(value.place, size, schema.SECRET, f"bytes in the secret {name}")


def _check_count(nodes: Node, limit: CountLimit, what: str) -> Iterator[FieldProblem]:
    yield from _check_size(nodes.place, len(nodes.items()), limit, what)


def _check_lengths(nodes: Node, limit: CountLimit, what: str) -> Iterator[FieldProblem]:
    for node in nodes.items():
        yield from _check_size(node.place, len(node.text()), limit, f"characters in {what}")


def _check_size(place: YamlPosition, count: int, limit: CountLimit, what: str) -> Iterator[FieldProblem]:
    if count > limit.newest:
        yield FieldProblem(Code.BG417, place, f"{count} {what}: Cloud Build allows at most {limit.newest}")
    elif count > limit.first:
        message = f"{count} {what}: Cloud Build's limit was {limit.first} for years, and may still be"
        yield FieldProblem(Code.BG417, place, message, "", RefusedBy.UNCERTAIN)
