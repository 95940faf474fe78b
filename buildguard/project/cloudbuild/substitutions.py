"""Substitutions as Cloud Build replaces them: `$NAME`, `${NAME}`, `$$`, and with dynamic ones bash's expansions. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

from buildguard.definitions import lazy_pattern

_USE = lazy_pattern(r"\$\$|\$(?:\{(?P<braced>[A-Z_][A-Z0-9_]*)(?P<rest>[^}]*)\}|(?P<bare>[A-Z_][A-Z0-9_]*))")
_SLICE = lazy_pattern(r":(?P<start>\d+| +-?\d+)(?::(?P<length>\d+))?")
_REPLACE = lazy_pattern(r"/(?P<all>/?)(?P<old>(?:\\.|[^/])+)(?:/(?P<new>.*))?")
_CUT = lazy_pattern(r"(?P<where>##?|%%?)(?P<pattern>.+)")
_DEEPEST = 10
_LONGEST = 1 << 16  # characters


def substitute(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of its substitutions; one without a value is empty, as under ALLOW_LOOSE.

    What grows beyond every measure is not filled in any further: Cloud Build takes values of 4,000 bytes at most.
    """
    grown = 0

    def value(match: re.Match[str]) -> str:
        nonlocal grown
        if match.group() == "$$":
            return "$"
        if grown > _LONGEST:
            return ""
        text = values.get(match["braced"] or match["bare"], "")
        text = _expand(text, match["rest"]) if match["rest"] else text
        grown += len(text)
        return text

    return _USE.sub(value, text)


def resolve_substitutions(declared: Mapping[str, str], built_in: Mapping[str, str], *, dynamic: bool) -> dict[str, str]:
    """Every value: the built-in ones and the declared ones, which may use others where substitutions are dynamic."""
    values = {**built_in, **declared}
    for _ in range(_DEEPEST if dynamic else 0):
        again = {**built_in, **{name: substitute(text, values) for name, text in declared.items()}}
        if again == values:
            break
        values = again
    return values


def _expand(value: str, rest: str) -> str:
    """What bash makes of `${NAME…}`, for the expansions that Cloud Build's pages name; others leave the value as it is."""
    if rest.startswith((":-", ":=")):
        return value or rest[2:]
    if cut := _CUT.fullmatch(rest):
        return _without(value, cut["pattern"], cut["where"])
    if part := _SLICE.fullmatch(rest):
        start = int(part["start"])
        whole = value[start:] if start >= 0 else value[max(0, len(value) + start) :]
        return whole[: int(part["length"])] if part["length"] else whole
    if change := _REPLACE.fullmatch(rest):
        old = re.sub(r"\\(.)", r"\1", change["old"])
        return value.replace(old, change["new"] or "", -1 if change["all"] else 1)
    return {
        ",,": value.lower(),
        "^^": value.upper(),
        ",": value[:1].lower() + value[1:],
        "^": value[:1].upper() + value[1:],
    }.get(rest, value)


def _without(value: str, pattern: str, where: str) -> str:
    """A value less what a pattern matches at its beginning (#) or end (%), the shortest match or (doubled) the longest."""
    lengths = range(len(value) + 1)
    for length in lengths if len(where) == 1 else reversed(lengths):
        part = value[:length] if where[0] == "#" else value[len(value) - length :]
        if fnmatch.fnmatchcase(part, pattern):
            return value[length:] if where[0] == "#" else value[: len(value) - length]
    return value
