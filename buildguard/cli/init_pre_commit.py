"""`buildguard init` where pre-commit is used: the block for `.pre-commit-config.yaml`, printed or added."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from buildguard.cli.render.formats import write
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.yaml import Node
from buildguard.stages.filesystem import read_file

CONFIG = ".pre-commit-config.yaml"
HOOK = "buildguard"
# The names of all files are passed on, so that `pre-commit run --all-files` in CI checks every file. Those of deleted ones
# never are, so it always runs.
BLOCK = (
    "- repo: local",
    "  hooks:",
    f"  - id: {HOOK}",
    "    name: buildguard",
    "    entry: buildguard check --staged --proof predicted",
    "    language: system",
    "    require_serial: true",
    "    always_run: true",
    "    types: []",
    "    types_or: [file, symlink]",
    "    stages: [pre-commit, pre-merge-commit, pre-push, manual]",
)


def uses_pre_commit(top: Path) -> bool:
    """Whether the repository has a configuration of pre-commit."""
    return os.path.lexists(top / CONFIG)


def guard_pre_commit(top: Path, *, add: bool) -> Iterator[str]:
    """Add the block with `add`, else print it; yield one line for each thing done or left alone.

    Raises UsageError where the block was to be added and the file cannot take it.
    """
    file = top / CONFIG
    if not uses_pre_commit(top):
        write("\n".join(["repos:", *BLOCK, ""]), file)
        yield f"{CONFIG}: written; pre-commit install makes it run"
        return
    data = read_file(os.fsencode(file))
    if not isinstance(data, bytes):
        raise UsageError(f"{CONFIG}: {data.reason}")
    root = yaml.read(data, CONFIG)
    if HOOK in _hook_ids(root):
        yield f"{CONFIG}: already runs buildguard, unchanged"
    elif not add:
        yield f"{CONFIG}: unchanged; paste this below repos:, or run buildguard init --pre-commit"
        yield from (f"  {line}" for line in BLOCK)
    else:
        write(_with_block(data, root), file)
        yield f"{CONFIG}: changed: added the hook, and nothing else"


def _hook_ids(root: Node) -> set[str]:
    repositories = root.get("repos")
    hooks = [repository.get("hooks") for repository in (repositories.items() if repositories is not None else [])]
    return {(hook.get("id") or hook).text() for several in hooks if several is not None for hook in several.items()}


def _with_block(data: bytes, root: Node) -> bytes:
    """The file with the block at the end of its list of repositories; raises UsageError if that list is not the same otherwise."""
    text = data.decode("utf-8")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if re.match(r"repos:\s*(#.*)?$", line)), None)
    if start is None:
        raise _cannot_add()
    indent, end = _list_end(lines, start + 1)
    new = newline.join([*lines[:end], *(indent + line for line in BLOCK), *lines[end:], ""]).encode()
    if _plain(yaml.read(new, CONFIG)) != _expected(root):
        raise _cannot_add()
    return new


def _list_end(lines: list[str], start: int) -> tuple[str, int]:
    """The indentation of the list that begins at a line, and the line after its last one."""
    indent, end = "", start
    for number, line in enumerate(lines[start:], start):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith((" ", "-")):
            break
        if end == start:
            indent = line[: len(line) - len(line.lstrip())]
        end = number + 1
    return indent, end


def _cannot_add() -> UsageError:
    return UsageError(
        f"{CONFIG} has no block list below repos:, so it was not changed", hint="buildguard init prints what to paste"
    )


def _expected(root: Node) -> Any:
    plain = _plain(root)
    block = _plain(yaml.read("\n".join(BLOCK).encode(), CONFIG))
    return {**plain, "repos": [*plain["repos"], *block]} if isinstance(plain.get("repos"), list) else None


def _plain(node: Node) -> Any:
    """A value without positions."""
    if isinstance(node.value, Mapping):
        return {key: _plain(inner) for key, inner in node.value.items()}
    if isinstance(node.value, tuple):
        return [_plain(inner) for inner in node.value]
    return node.kind, node.value
