"""Cloud Build's rules for steps: what each needs, ids, `waitFor`, timeouts, and the names of images. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.cloudbuild.durations import parse_duration
from buildguard.project.cloudbuild.fields import FieldProblem, value_of
from buildguard.project.yaml import Node, YamlPosition

_START = "-"  # in `waitFor`: at the start of the build
_USE = lazy_pattern(r"\$(?:\{[^}]*\}|\w+)")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_IMAGE = lazy_pattern(
    rf"(?:{_LABEL}(?:\.{_LABEL})*(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:\w[\w.-]{0,127})?",
    re.ASCII,
)


def check_steps(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    """Problems of single steps, and between them."""
    for number, step in enumerate(steps):
        yield from _check_step(step, f"step #{number}")
    yield from _check_order(steps)
    yield from _check_timeouts(build, steps)
    for image in [*value_of(build, "images").items(), *_artifact_images(build)]:
        yield from check_image_name(image, "images")


def _artifact_images(build: Mapping[str, Node]) -> Sequence[Node]:
    images = value_of(build, "artifacts").get("images")
    return images.items() if images is not None else ()


def _check_step(step: Mapping[str, Node], name: str) -> Iterator[FieldProblem]:
    image = value_of(step, "name")
    if not image.text():
        message = f"{name} has no name: the image that it runs"
        yield FieldProblem(Code.BG414, step[""].place, message, "name: gcr.io/cloud-builders/docker")
    else:
        yield from check_image_name(image, name)
    for other in ("args", "entrypoint"):
        if "script" in step and other in step:
            hint = "move the words into the script, or use entrypoint: bash with args: [-c, …]"
            yield FieldProblem(Code.BG414, step[other].place, f"{name} has both script and {other}", hint)
    for variable in value_of(step, "env").items():
        if variable.kind == "str" and "=" not in variable.text() and "$" not in variable.text():
            yield FieldProblem(Code.BG412, variable.place, f"{name}: '{variable.text()}' is not NAME=VALUE")


def check_image_name(node: Node, where: str) -> Iterator[FieldProblem]:
    """A name that no registry takes; a substitution in it stands for a digit, which every part of a name allows."""
    if node.kind != "str" or not isinstance(node.value, str) or "$$" in node.value:
        return
    name, _, digest = node.value.partition("@")
    plain = _USE.sub("1", name) + (f"@{digest}" if digest and "$" not in digest else "")
    if plain == node.value.partition("@")[0] and node.value.endswith("@"):
        plain = node.value
    if _IMAGE.fullmatch(plain):
        return
    hint = "use lower case" if _IMAGE.fullmatch(plain.lower()) else "[REGISTRY/]NAME[:TAG] or [REGISTRY/]NAME@sha256:…"
    yield FieldProblem(Code.BG412, node.place, f"{where}: '{node.value[:80]}' is not an image name", hint)


# ------------------------------------------------------------------------------------------ between steps


def _check_order(steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    """Ids, and the earlier steps that each step waits for."""
    ids = {value_of(step, "id").text() for step in steps} - {""}
    first: dict[str, YamlPosition] = {}
    for number, step in enumerate(steps):
        yield from _check_waits(number, step, first, ids)
        name = value_of(step, "id").text()
        if name == _START:
            yield FieldProblem(Code.BG414, step["id"].place, f"step #{number}: the id '-' is reserved for waitFor")
        elif name in first:
            lines = f"on lines {first[name].line} and {step['id'].line}"
            yield FieldProblem(Code.BG413, step["id"].place, f"two steps have the id '{name}', {lines}", "rename one")
        elif name:
            first[name] = step["id"].place


def _check_waits(
    number: int, step: Mapping[str, Node], earlier: Mapping[str, object], ids: Iterable[str]
) -> Iterator[FieldProblem]:
    for item in value_of(step, "waitFor").items():
        name = item.text()
        if name in {_START, *earlier} or item.kind != "str":
            continue
        if name not in ids:
            yield FieldProblem(
                Code.BG415,
                item.place,
                f"step #{number} waits for '{name}', and no step has that id",
                closest(name, ids),
            )
        elif name == value_of(step, "id").text():
            yield FieldProblem(Code.BG415, item.place, f"step #{number} waits for itself", "remove it from waitFor")
        else:
            message = f"step #{number} waits for '{name}', which is a later step"
            yield FieldProblem(Code.BG415, item.place, message, f"move step '{name}' above this one")


def closest(name: str, known: Iterable[str]) -> str:
    """A hint with the known name that is most similar, empty without one."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""


def _check_timeouts(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    whole = parse_duration(value_of(build, "timeout").text()) or 0
    for number, step in enumerate(steps):
        timeout = value_of(step, "timeout")
        if 0 < whole < (parse_duration(timeout.text()) or 0):
            text = value_of(build, "timeout").text()
            message = f"step #{number}: its timeout of {timeout.text()} is longer than the build's, {text}"
            yield FieldProblem(Code.BG414, timeout.place, message, "raise the build's timeout")
