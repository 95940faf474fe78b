"""The fields of a build file against the schema: names, types and forms. Pure."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from buildguard.project.cloudbuild import schema
from buildguard.project.yaml import Node, YamlPosition

_DURATION = re.compile(r"\d+(?:\.\d{1,9})?s")
_WHOLE = re.compile(r"[-+]?\d+")
_NOTHING = Node("", 1, "null")
_READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date", "null": "nothing"}


class FieldProblem(NamedTuple):
    """One rule that a build file breaks, and where; `sure` where Cloud Build is known to refuse it."""

    code: str
    place: YamlPosition
    message: str
    hint: str = ""
    sure: bool = True


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
    """What of a value does not fit a type of the schema; `where` names it for people."""
    if kind == "any" or node.kind == "null":
        return
    if kind.startswith("["):
        yield from _check_list(node, kind[1:-1], where)
    elif kind.startswith("{"):
        yield from _check_mapping(node, kind[1:-1], where)
    elif kind in schema.MESSAGES:
        yield from _message(node, kind, where)
    else:
        yield from _scalar(node, kind, where)


def _check_list(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, list) and kind.startswith("enum"):
        yield FieldProblem("BG412", node.place, f"{where}: a list is wanted")
        return
    for number, item in enumerate(node.items()):
        name = f"step #{number}" if kind == "BuildStep" else f"{where}[{number}]"
        if item.kind == "null":
            yield FieldProblem("BG412", item.place, f"{name} is empty")
        yield from check_type(item, kind, name)


def _check_mapping(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, dict):
        yield FieldProblem("BG412", node.place, f"{where}: a mapping is wanted", "name: value, each on its line")
        return
    yield from _check_duplicates(node, where)
    for key, value in node.pairs():
        yield from check_type(value, kind, f"{where}.{key}")


def _message(node: Node, name: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, dict):
        yield FieldProblem("BG412", node.place, f"{where}: a mapping is wanted, and this is {_describe_value(node)}")
        return
    yield from _check_duplicates(node, where)
    known = schema.MESSAGES[name]
    seen: set[str] = set()
    for key, value in node.pairs():
        field = camel(key)
        place = node.keys.get(key, value.place)
        inside = _below(where, key)
        if field not in known:
            close = difflib.get_close_matches(field, known, n=1, cutoff=0.6)
            close = close or [candidate for candidate in known if candidate.lower() == field.lower()]
            message = f"{f'{where}: ' if where else ''}Cloud Build knows no field '{key}'"
            yield FieldProblem("BG411", place, message, f"did you mean '{close[0]}'?" if close else "")
            continue
        if field in seen:
            yield FieldProblem("BG413", place, f"{inside} is there twice, in two spellings")
        seen.add(field)
        yield from check_type(value, known[field], inside)


def _check_duplicates(node: Node, where: str) -> Iterator[FieldProblem]:
    for key, place in node.twice:
        inside = _below(where, key)
        yield FieldProblem("BG413", place, f"{inside} is there twice, and readers take one of them without a word")


def _below(where: str, key: str) -> str:
    """The name of a field inside of something: options.logging, step #2: args."""
    return f"{where}{': ' if where[-1:].isdigit() else '.'}{key}" if where else key


def _scalar(node: Node, kind: str, where: str) -> Iterator[FieldProblem]:
    if not isinstance(node.value, str):
        yield FieldProblem(
            "BG412", node.place, f"{where}: {_describe_kind(kind)} is wanted, and this is {_describe_value(node)}"
        )
        return
    text = node.text()
    if kind in {"string", "bytes", "duration"} and node.kind != "str":
        hint = f'write it in quotes: "{text}"' if kind != "duration" else f'timeout: "{text}s"'
        yield FieldProblem(
            "BG412",
            node.place,
            f"{where}: {_describe_kind(kind)} is wanted, and YAML reads this as {_describe_value(node)}",
            hint,
        )
    elif kind == "bool" and node.kind != "bool":
        yield FieldProblem("BG412", node.place, f"{where}: true or false is wanted", "without quotes")
    elif kind == "int" and not (node.kind == "int" or (node.kind == "str" and _WHOLE.fullmatch(text))):
        yield FieldProblem("BG412", node.place, f"{where}: a whole number is wanted")
    elif kind == "bytes" and not _is_base64(text):
        yield FieldProblem("BG412", node.place, f"{where}: this is not base64")
    elif kind == "duration" and "$" not in text and _DURATION.fullmatch(text) is None:
        yield FieldProblem(
            "BG412", node.place, f"{where}: '{text}' is no duration", "in seconds, with an s at the end: 600s"
        )
    elif kind.startswith("enum ") and node.kind != "int":
        values = schema.ENUMS[kind.removeprefix("enum ")]
        if text not in values:
            yield FieldProblem(
                "BG412", node.place, f"{where}: '{text}' is none of its values", f"one of {', '.join(values)}"
            )


def _describe_kind(kind: str) -> str:
    words = {"bytes": "a string", "bool": "true or false", "int": "a whole number"}
    return words.get(kind, "one name of several" if kind.startswith("enum") else f"a {kind}")


def _describe_value(node: Node) -> str:
    if isinstance(node.value, str):
        return _READ_AS.get(node.kind, "a text" if node.kind == "str" else f"something else ({node.kind})")
    return "a list" if isinstance(node.value, list) else "a mapping"


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except (binascii.Error, ValueError):
        return False
    return True
