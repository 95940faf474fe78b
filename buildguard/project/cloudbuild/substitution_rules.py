"""Cloud Build's rules for substitutions: names, and those that are undefined or unused. Pure.

A trigger forces ALLOW_LOOSE: only names that are neither the user's (`_NAME`) nor built in stop its builds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.fields import FieldProblem, RefusedBy, camel, flat, value_of
from buildguard.project.yaml import Node, YamlPosition

_KEY = lazy_pattern(r"_[A-Z0-9_]+")
_USE = lazy_pattern(r"\$\$|\$(?:\{(?P<braced>[A-Z_][A-Z0-9_]*)(?P<rest>[^}]*)\}|(?P<bare>[A-Z_][A-Z0-9_]*))")


def check_substitutions(
    build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]], text: str, given: Mapping[str, str]
) -> Iterator[FieldProblem]:
    """BG416; `given` are the substitutions that are passed from outside."""
    table = value_of(build, "substitutions")
    options = flat(value_of(build, "options"))
    yield from _check_names(table)
    loose = value_of(options, "substitutionOption").text() == "ALLOW_LOOSE"
    used = _used(build, text, dynamic=_is_true(options, "dynamicSubstitutions"))
    for name in used.keys() - dict(table.pairs()).keys() - given.keys() - schema.BUILT_IN:
        at = used[name]
        if at is not None and not (loose and name.startswith("_")):
            yield _undefined(name, text, at)
    if not loose and not any(_is_true(fields, "automapSubstitutions") for fields in (options, *steps)):
        yield from _check_unused(table, used)


def _check_names(table: Node) -> Iterator[FieldProblem]:
    for key, _value in table.pairs():
        if _KEY.fullmatch(key) is None:
            message = f"the substitution '{key}' does not match _[A-Z0-9_]+"
            refused_by = RefusedBy.GCLOUD if key in schema.OVERRIDABLE else RefusedBy.EVERY_BUILD
            hint = f"_{key.strip('_').upper()}"
            yield FieldProblem(Code.BG416, table.keys.get(key, table.place), message, hint, refused_by)


def _used(build: Mapping[str, Node], text: str, *, dynamic: bool) -> dict[str, int | None]:
    """The substitutions that are used, and where first.

    None for one that needs no definition: `${_A:-b}`, and what stands in another substitution's value, which is text
    unless substitutions are dynamic. Without dynamic ones `${_A:-b}` is text as well.
    """
    used: dict[str, int | None] = {}
    table = value_of(build, "substitutions").place
    for node in sorted(_substituted(build), key=lambda node: node.place.start):
        is_value = table.start <= node.place.start < table.end
        for match in _USE.finditer(text, node.place.start, node.place.end):
            name = match["braced"] or match["bare"]
            if name is None or (match["rest"] and not dynamic) or (is_value and not name.startswith("_")):
                continue
            at = None if match["rest"] or (is_value and not dynamic) else match.start()
            if used.get(name) is None:
                used[name] = at
    return used


def _check_unused(table: Node, used: Mapping[str, object]) -> Iterator[FieldProblem]:
    for key, _value in table.pairs():
        if key not in used and _KEY.fullmatch(key):
            message = f"the substitution {key} is never used: a submitted build is refused (MUST_MATCH)"
            hint = "remove it, or options: {substitutionOption: ALLOW_LOOSE}; in a script it needs automapSubstitutions"
            yield FieldProblem(Code.BG416, table.keys.get(key, table.place), message, hint, RefusedBy.MUST_MATCH)


def _is_true(fields: Mapping[str, Node], name: str) -> bool:
    return value_of(fields, name).text().lower() in {"true", "yes", "on", "y"}


def _undefined(name: str, text: str, at: int) -> FieldProblem:
    line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    place = YamlPosition(line, at - start + 1, at, at + len(name) + 1)
    if not name.startswith("_"):
        message = f"${name} is not a built-in substitution: Cloud Build refuses it, also from a trigger"
        return FieldProblem(Code.BG416, place, message, f"write a shell variable as $${name}")
    message = f"the substitution ${name} is undefined: a submitted build is refused, a trigger leaves it empty"
    hint = f"substitutions: {{{name}: …}}, or in [tool.buildguard.cloud] if a flag or a trigger sets it"
    return FieldProblem(Code.BG416, place, message, hint, RefusedBy.MUST_MATCH)


def _substituted(build: Mapping[str, Node]) -> Iterator[Node]:
    """Every string in which Cloud Build replaces substitutions: all but scripts."""
    pending = [(key, node) for key, node in build.items() if key]
    while pending:
        key, node = pending.pop()
        if key == "script" or node.alias:
            continue
        if isinstance(node.value, str):
            yield node
        elif isinstance(node.value, tuple):
            pending += [(key, child) for child in node.value]
        else:
            pending += [(camel(name), child) for name, child in node.pairs()]
