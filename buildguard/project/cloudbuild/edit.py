"""Putting a step into a build file, and nothing else: comments, layout and line ends of the person stay. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import image_reference, yaml
from buildguard.project.cloudbuild import reader
from buildguard.project.cloudbuild.fields import flat, value_of
from buildguard.project.cloudbuild.roles import Role
from buildguard.project.yaml import Node

_COMMENT = "# buildguard: before anything is built, this image's own Python compiles every source file"
_DASH = lazy_pattern(r"(?P<indent>[ ]*)-(?P<rest>[ \t]*(?:#.*)?)$")
_AFTER = frozenset({Role.BUILDS, Role.PUSHES, Role.UPLOADS, Role.DEPLOYS})


class NewStep(NamedTuple):
    """A step to put in: what runs in which image, `code` being the one argument that may take several lines."""

    id: str
    image: str
    entrypoint: str
    flags: tuple[str, ...]
    code: str
    rest: tuple[str, ...] = ()

    def fields(self) -> dict[str, object]:
        """As a build file has it."""
        args = [*self.flags, self.code, *self.rest]
        return {"id": self.id, "name": self.image, "entrypoint": self.entrypoint, "args": args}


class EditedBuildFile(NamedTuple):
    """The build file with the steps in it, and the steps after them that do not wait for them: number and id."""

    data: bytes
    unguarded: tuple[tuple[int, str], ...]


def with_steps(data: bytes, file: str, steps: Sequence[NewStep], mark: str) -> EditedBuildFile:
    """A build file with these steps before its first build or push; brought up to date where they are there already.

    A step is one of ours where `mark` stands in its arguments. Raises UsageError where it cannot be done without
    touching anything else.
    """
    root = yaml.read(data, file)
    listed = root.get("steps")
    if listed is None or not isinstance(listed.value, tuple) or not listed.value or listed.alias:
        raise UsageError(f"{file}: there is no list of steps to put one into")
    text = data.decode("utf-8")
    ours = [number for number, step in enumerate(listed.value) if _is_ours(step, mark)]
    if ours:
        edited = _update_steps(text, [listed.value[number] for number in ours], steps, mark, file)
    else:
        edited = _insert_steps(text, listed, _place(data, file), steps, file)
    result = edited.encode("utf-8")
    _verify_edit(data, result, file, steps, mark)
    return EditedBuildFile(result, _unguarded(result, file, mark))


def _is_ours(step: Node, mark: str) -> bool:
    return any(mark in argument.text() for argument in value_of(flat(step), "args").items())


def _place(data: bytes, file: str) -> int:
    """The number of the step to stand before: the first one, but behind those that fetch sources before the first build."""
    place = 0
    for step in reader.read(data, file, {}).steps:
        if step.roles & _AFTER:
            break
        if Role.FETCHES in step.roles:
            place = step.number + 1
    return place


# ------------------------------------------------------------------------------------------ putting it in


def _insert_steps(text: str, listed: Node, number: int, steps: Sequence[NewStep], file: str) -> str:
    assert isinstance(listed.value, tuple)
    if number == len(listed.value):
        raise UsageError(f"{file}: no step follows those that fetch the sources, so there is nothing to guard")
    before = listed.value[number]
    if before.alias:
        raise UsageError(f"{file}: step #{number} is written elsewhere (an alias), so no step can be put before it")
    newline = "\r\n" if "\r\n" in text else "\n"
    if listed.flow:
        at = before.place.start
        start = text.rfind("\n", 0, at) + 1
        alone = not text[start:at].strip()
        between = newline + text[start:at] if alone else " "
        pieces = [_in_brackets(step, between if alone else "") + "," + between for step in steps]
        return text[:at] + "".join(pieces) + text[at:]
    at, indent = _dash_before(text, before, file)
    lines = [line for step in steps for line in as_block(step, indent)]
    return text[:at] + "".join(f"{line}{newline}" for line in [f"{indent}{_COMMENT}", *lines]) + text[at:]


def _in_brackets(step: NewStep, break_: str) -> str:
    """JSON, which YAML's brackets are too; over several lines where `break_`, a line break and an indent, is given."""
    if not break_:
        return json.dumps(step.fields(), ensure_ascii=False)
    return json.dumps(step.fields(), indent=2, ensure_ascii=False).replace("\n", break_)


def as_block(step: NewStep, indent: str) -> list[str]:
    """The lines of a step as an item of a list, in YAML's block style."""
    lines = [f"- id: {step.id}", f"  name: {_scalar(step.image)}", f"  entrypoint: {step.entrypoint}", "  args:"]
    lines += [f"    - {_scalar(flag)}" for flag in step.flags]
    lines += ["    - |", *(f"      {line}" for line in step.code.splitlines())]
    lines += [f"    - {_scalar(word)}" for word in step.rest]
    return [f"{indent}{line}" for line in lines]


def _scalar(text: str) -> str:
    """Plain where that is what YAML reads, else in quotes."""
    return text if re.fullmatch(r"-?[A-Za-z][\w./:@-]*", text) and not text.endswith(":") else json.dumps(text)


def _dash_before(text: str, node: Node, file: str) -> tuple[int, str]:
    """Where the item of a list begins, comments right above it included, and the indent of its dash."""
    at = node.place.start
    while True:
        start = text.rfind("\n", 0, at) + 1
        match = _DASH.match(text[start:at].rstrip("\r"))
        if match is not None:
            break
        if text[start:at].strip() and not text[start:at].lstrip().startswith("#"):
            raise UsageError(f"{file}:{node.line}: the start of this step is unknown")
        at = start - 1
    indent = match["indent"]
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        line = text[above : start - 1]
        if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) > len(indent):
            break
        start = above
    return start, indent


# ------------------------------------------------------------------------------------------ bringing it up to date


def _update_steps(text: str, ours: Sequence[Node], steps: Sequence[NewStep], mark: str, file: str) -> str:
    if len(ours) != len(steps):
        raise UsageError(
            f"{file}: it has {len(ours)} steps of buildguard, and there should be {len(steps)}",
            hint="remove them, and run this again",
        )
    for old_step, step in sorted(zip(ours, steps, strict=True), key=lambda pair: -pair[0].place.start):
        fields = flat(old_step)
        arguments = value_of(fields, "args")
        code = next(argument for argument in arguments.items() if mark in argument.text())
        text = _replace_words(text, arguments, code, step.rest)  # what stands later is changed first
        if code.text() != step.code:
            text = _replace_code(text, code, step.code)
        name = value_of(fields, "name")
        here = image_reference.promised_version(name.text())
        if here is not None and here != image_reference.promised_version(step.image):
            text = text[: name.place.start] + _scalar(step.image) + text[name.place.end :]
    return text


def _replace_words(text: str, arguments: Node, code: Node, words: Sequence[str]) -> str:
    """The text with other words that describe the program after the code of a step; words without dashes stay."""
    rest = arguments.items()[arguments.items().index(code) + 1 :]
    before = [argument.text() for argument in rest]
    after = [word for word in before if not word.startswith("--")] + [word for word in words if word.startswith("--")]
    if before == after:
        return text
    end = rest[-1].place.end if rest else code.place.end
    if arguments.flow:
        return text[: code.place.end] + "".join(f", {json.dumps(word)}" for word in after) + text[end:]
    start = text.rindex("\n", 0, rest[0].place.start) + 1 if rest else _next_line(text, end)
    dash = text[text.rindex("\n", 0, code.place.start) + 1 : code.place.start]
    newline = "\r\n" if "\r\n" in text[code.place.start : end] else "\n"
    return text[:start] + "".join(f"{dash}{_scalar(word)}{newline}" for word in after) + text[_next_line(text, end) :]


def _next_line(text: str, at: int) -> int:
    """Where the next line begins; the place itself at the beginning of one."""
    return at if text[at - 1] == "\n" else text.find("\n", at) + 1 or len(text)


def _replace_code(text: str, code: Node, new: str) -> str:
    """The text with other code in the place of some: in the same style, a block or a quoted string."""
    start, end = code.place.start, code.place.end
    if text[start] not in "|>":
        return text[:start] + json.dumps(new, ensure_ascii=False) + text[end:]
    newline = "\r\n" if "\r\n" in text[start:end] else "\n"
    first = text.index("\n", start) + 1
    body = text[first:end]
    indent = body[: len(body) - len(body.lstrip(" "))]
    end = first + len(body.rstrip()) + (len(newline) if body.rstrip() != body else 0)
    return text[:start] + "|" + newline + "".join(f"{indent}{line}{newline}" for line in new.splitlines()) + text[end:]


# ------------------------------------------------------------------------------------------ holding it


def _verify_edit(before: bytes, after: bytes, file: str, steps: Sequence[NewStep], mark: str) -> None:
    """Read the result again: it holds the steps, and all else is as it was."""
    old, new = yaml.read(before, file), yaml.read(after, file)
    written = [_plain(item) for item in value_of(flat(new), "steps").items() if _is_ours(item, mark)]
    codes = [step.code for step in steps]
    right = [fields["args"][len(step.flags)] for fields, step in zip(written, steps, strict=False)] == codes
    if not right or _without(old, mark) != _without(new, mark):
        raise UsageError(f"{file}: the step cannot be put in without changing something else")


def _without(root: Node, mark: str) -> object:
    plain = _plain(root)
    plain["steps"] = [_plain(step) for step in value_of(flat(root), "steps").items() if not _is_ours(step, mark)]
    return plain


def _plain(node: Node) -> Any:
    if isinstance(node.value, str):
        return (node.kind, node.value) if node.kind != "str" else node.value
    if isinstance(node.value, tuple):
        return [_plain(item) for item in node.value]
    return {key: _plain(value) for key, value in node.pairs()}


def _unguarded(data: bytes, file: str, mark: str) -> tuple[tuple[int, str], ...]:
    """The steps that build, push or deploy without waiting for a step of ours."""
    steps = [flat(item) for item in value_of(flat(yaml.read(data, file)), "steps").items()]
    guarded = {number for number, step in enumerate(steps) if _is_ours(step[""], mark)}
    waits = _waits(steps)
    for _ in steps:  # a step may wait for one further down
        guarded |= {number for number, after in enumerate(waits) if after & guarded}
    roles = reader.read(data, file, {}).steps
    return tuple(
        (file_step.number, file_step.id)
        for file_step in roles
        if file_step.roles & _AFTER and file_step.number not in guarded
    )


def _waits(steps: Sequence[Mapping[str, Node]]) -> list[set[int]]:
    """The steps that each one waits for: those that it names, or all before it."""
    ids = {value_of(step, "id").text(): number for number, step in enumerate(steps)}
    waits = []
    for number, step in enumerate(steps):
        names = [item.text() for item in value_of(step, "waitFor").items()]
        waits.append({ids[name] for name in names if name in ids} if names else set(range(number)))
    return waits
