"""The fields of a build file against the schema: names, types and forms. Pure."""

from __future__ import annotations

import base64
import binascii
import difflib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.durations import as_json_duration, is_json_duration, parse_duration
from buildguard.project.yaml import Node, YamlPosition

_WHOLE = lazy_pattern(r"[-+]?\d+")
_NOTHING = Node("", 1, "null")
_READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date", "null": "nothing"}


class RefusedBy(Enum):
    """Which builds a broken rule stops: all, those of a trigger, those of gcloud, those under MUST_MATCH, or perhaps none."""

    EVERY_BUILD = "every build"
    TRIGGER = "a trigger"
    GCLOUD = "gcloud"
    MUST_MATCH = "a submitted build"
    UNCERTAIN = "perhaps none"

    def stops(self, builds: str) -> bool:
        """Whether it stops builds of a kind: `trigger`, `submit`, or empty where the kind is unknown."""
        if self is RefusedBy.MUST_MATCH:
            return builds == "submit"
        exempt = {RefusedBy.TRIGGER: "submit", RefusedBy.GCLOUD: "trigger"}
        return self is not RefusedBy.UNCERTAIN and exempt.get(self) != builds


class FieldProblem(NamedTuple):
    """One rule that a build file breaks, where, and which builds that stops."""

    code: Code
    place: YamlPosition
    message: str
    hint: str = ""
    refused_by: RefusedBy = RefusedBy.EVERY_BUILD


def camel(name: str) -> str:
    """A field's name as JSON has it: `wait_for` is `waitFor`."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def flat(node: Node) -> dict[str, Node]:
    """A mapping's fields by their names in JSON, those without a value left out; the node itself under the empty name."""
    return {"": node, **{camel(key): value for key, value in node.pairs() if value.kind != "null"}}


def value_of(fields: Mapping[str, Node], name: str) -> Node:
    """The value of a field, nothing where it is not there."""
    return fields.get(name, _NOTHING)


def check_type(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    """Every part of a value that does not fit a type of the schema; `where` is its name in messages."""
    if kind == "any" or node.kind == "null":
        return
    if kind.startswith("["):
        yield from _check_list(node, kind[1:-1], where)
    elif kind.startswith("{"):
        yield from _check_mapping(node, kind[1:-1], where)
    elif kind in schema.MESSAGES:
        yield from _check_message(node, kind, where)
    else:
        yield from _check_scalar(node, kind, where)


def _check_list(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, tuple):
        if kind.startswith("enum"):
            yield FieldProblem(Code.BG412, node.place, f"{where}: expected a list")
            return
        if isinstance(node.value, str) or kind in schema.MESSAGES:
            yield _not_a_list(node, where)
    for number, item in enumerate(node.items()):
        name = f"step #{number}" if kind == "BuildStep" else f"{where}[{number}]"
        if item.kind == "null":
            yield FieldProblem(Code.BG412, item.place, f"{name} is empty")
        yield from check_type(item, kind, name)


def _not_a_list(node: Node, where: str) -> FieldProblem:
    message = f"{where}: expected a list, found {_describe_value(node)}: a trigger refuses it (cannot unmarshal)"
    hint = f"{where.rpartition(' ')[2]}: [{node.text()}]" if node.text() else "write it as a list"
    return FieldProblem(Code.BG412, node.place, message, hint, RefusedBy.TRIGGER)


def _check_mapping(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, Mapping):
        message = f"{where}: expected a mapping, found {_describe_value(node)}"
        yield FieldProblem(Code.BG412, node.place, message, "NAME: value, each on its own line")
        return
    yield from _check_duplicates(node, where)
    for key, value in node.pairs():
        yield from check_type(value, kind, f"{where}.{key}")


def _check_message(node: Node, name: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, Mapping):
        message = f"{where}: expected a mapping, found {_describe_value(node)}"
        yield FieldProblem(Code.BG412, node.place, message)
        return
    yield from _check_duplicates(node, where)
    known = schema.MESSAGES[name]
    first: dict[str, YamlPosition] = {}
    for key, value in node.pairs():
        field, place = camel(key), node.keys.get(key, value.place)
        if field not in known:
            yield _unknown_field(key, place, known, where)
            continue
        if field in first:
            yield _repeated(_below(where, field), first[field], place)
        first.setdefault(field, place)
        yield from check_type(value, known[field], _below(where, key))


def _unknown_field(key: str, place: YamlPosition, known: Mapping[str, str], where: str) -> FieldProblem:
    field = camel(key)
    close = difflib.get_close_matches(field, known, n=1, cutoff=0.6)
    close = close or [candidate for candidate in known if candidate.lower() == field.lower()]
    message = f"{f'{where}: ' if where else ''}Cloud Build has no field '{key}'"
    return FieldProblem(Code.BG411, place, message, f"did you mean '{close[0]}'?" if close else "")


def _check_duplicates(node: Node, where: str) -> Iterator[FieldProblem]:
    for repeated in node.repeated:
        yield _repeated(_below(where, repeated.key), repeated.first, repeated.place)


def _repeated(name: str, first: YamlPosition, place: YamlPosition) -> FieldProblem:
    message = f"{name} is set twice, on lines {first.line} and {place.line}: Cloud Build uses only one of the two"
    return FieldProblem(Code.BG413, place, message, "remove one")


def _below(where: str, key: str) -> str:
    """The name of a field inside of something: options.logging, step #2: args."""
    return f"{where}{': ' if where[-1:].isdigit() else '.'}{key}" if where else key


def _check_scalar(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, str):
        message = f"{where}: expected {_describe_kind(kind)}, found {_describe_value(node)}"
        yield FieldProblem(Code.BG412, node.place, message)
        return
    if kind in {"string", "bytes", "duration"} and node.kind != "str":
        message = f"{where}: expected {_describe_kind(kind)}, and YAML reads this as {_describe_value(node)}"
        hint = f'timeout: "{node.text()}s"' if kind == "duration" else f'put it in quotes: "{node.text()}"'
        yield FieldProblem(Code.BG412, node.place, message, hint)
        return
    check = _check_enum if kind.startswith("enum ") else _SCALARS.get(kind)
    if check is not None:
        yield from check(node, kind, where)


def _check_bool(node: Node, _kind: str, where: str) -> Iterator[FieldProblem]:
    if node.kind != "bool":
        yield FieldProblem(Code.BG412, node.place, f"{where}: expected true or false", "without quotes")


def _check_whole_number(node: Node, _kind: str, where: str) -> Iterator[FieldProblem]:
    if not (node.kind == "int" or (node.kind == "str" and _WHOLE.fullmatch(node.text()))):
        yield FieldProblem(Code.BG412, node.place, f"{where}: expected a whole number")


def _check_base64(node: Node, _kind: str, where: str) -> Iterator[FieldProblem]:
    try:
        base64.b64decode(node.text())
    except (binascii.Error, ValueError):
        yield FieldProblem(Code.BG412, node.place, f"{where}: not valid base64")


def _check_duration(node: Node, _kind: str, where: str) -> Iterator[FieldProblem]:
    text = node.text()
    seconds = parse_duration(text)
    if "$" in text:
        return
    if seconds is None:
        yield FieldProblem(Code.BG412, node.place, f"{where}: '{text}' is not a duration", "in seconds, such as 600s")
    elif seconds < 0:
        yield FieldProblem(Code.BG412, node.place, f"{where}: '{text}' is negative", "in seconds, such as 600s")
    elif not is_json_duration(text):
        message = f"{where}: '{text}' is a Go duration; the API documents seconds"
        yield FieldProblem(Code.BG412, node.place, message, f"timeout: {as_json_duration(text)}", RefusedBy.UNCERTAIN)


def _check_enum(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    values = schema.ENUMS[kind.removeprefix("enum ")]
    if node.kind != "int" and node.text() not in values:
        message = f"{where}: unknown value '{node.text()}'"
        yield FieldProblem(Code.BG412, node.place, message, f"one of {', '.join(values)}")


_SCALARS: dict[str, Callable[[Node, str, str], Iterator[FieldProblem]]] = {
    "bool": _check_bool,
    "int": _check_whole_number,
    "bytes": _check_base64,
    "duration": _check_duration,
}


def _describe_kind(kind: str) -> str:
    words = {"bytes": "a string", "bool": "true or false", "int": "a whole number"}
    return words.get(kind, "one of several names" if kind.startswith("enum") else f"a {kind}")


def _describe_value(node: Node) -> str:
    if isinstance(node.value, str):
        return _READ_AS.get(node.kind, "a string" if node.kind == "str" else f"another type ({node.kind})")
    return "a list" if isinstance(node.value, tuple) else "a mapping"
