"""Which versions of Python have a module, a name or an argument of the standard library, asked of a failure's words.

`standard_library.json` holds what changed below the top-level modules from 3.6 to 3.14, as it was listed by those
interpreters: "9-" since 3.9, "-11" up to 3.11. The modules themselves are in `imports.standard_names`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose.cause import CauseId
from buildguard.imports import standard_names

_FILE = Path(__file__).with_name("standard_library.json")
_IMPORTED = lazy_pattern(r"ImportError: cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")
_OF_MODULE = lazy_pattern(
    r"AttributeError: (?:partially initialized )?module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'"
)
_OF_TYPE = lazy_pattern(
    r"AttributeError: (?:type object )?'(?P<type>[\w.]+)' (?:object )?has no attribute '(?P<name>\w+)'"
)
_MODULE = lazy_pattern(r"(?:ModuleNotFound|Import)Error: No module named '?(?P<name>[\w.]+)'?")
_BUILTIN = lazy_pattern(r"NameError: name '(?P<name>\w+)' is not defined")
_ARGUMENT = lazy_pattern(r"TypeError: (?P<function>[\w.]+)\(\) got an unexpected keyword argument '(?P<name>\w+)'")
_NO_KEYWORDS = lazy_pattern(r"TypeError: zip\(\) takes no keyword arguments")
_DICT_UNION = lazy_pattern(r"TypeError: unsupported operand type\(s\) for \|=?: 'dict' and 'dict'")
_NO_MODULE = lazy_pattern(r"Python 3\.\d+ has no module (?P<name>[\w.]+)")
_NO_NAMES = lazy_pattern(r"cannot import name (?P<names>\w+(?:, \w+)*) from (?P<module>[\w.]+) on Python")
_NO_ATTRIBUTE = lazy_pattern(r"module (?P<module>[\w.]+) has no attribute (?P<name>\w+) on Python")
_TEST_METHOD = lazy_pattern(r"(?:assert|fail)[A-Z_]\w*")
_STRICT_SINCE, _UNION_SINCE = 10, 9


class Change(NamedTuple):
    """What of the standard library changed: its name, the minor version that brought it, and the last that had it; 0 if none did."""

    name: str
    since: int
    until: int


def explain(words: str, ran: int | None) -> tuple[CauseId, str, str] | None:
    """The cause, a sentence and a remedy for a failure's words, if the Python 3 that ran does not have what they name."""
    if ran is None:
        return None
    changes = [change for change in _changes(words) if change.since > ran or 0 < change.until < ran]
    if not changes:
        return None
    name, since, until = changes[0]
    if since > ran:
        sentence = f"{name} is in the standard library since Python 3.{since}, and 3.{ran} ran"
        return CauseId.TARGET_OLDER, sentence, f"build from python:3.{since} or newer"
    sentence = f"{name} was removed from the standard library after Python 3.{until}, and 3.{ran} ran"
    return (
        CauseId.CODE_OLDER,
        sentence,
        f"replace {name}, upgrade the package that uses it, or build from python:3.{until}",
    )


def versions_of_finding(message: str) -> tuple[int, int]:
    """The first and the last minor version of Python 3 that have all that BG601 or BG602 misses; 0 where that is unknown."""
    changes: list[Change] = []
    if match := _NO_MODULE.search(message):
        changes = list(_of_modules(match.groupdict()))
    elif match := _NO_NAMES.search(message):
        known = (list(_of_module({"module": match["module"], "name": name})) for name in match["names"].split(", "))
        changes = [change for changed in known for change in changed]
    elif match := _NO_ATTRIBUTE.search(message):
        changes = list(_of_module(match.groupdict()))
    since = max((change.since for change in changes), default=0)
    return since, min((change.until for change in changes if change.until), default=0)


def _changes(words: str) -> Iterator[Change]:
    for pattern, read in _READERS:
        if match := pattern.search(words):
            yield from read(match.groupdict())


def _of_module(groups: Mapping[str, str]) -> Iterator[Change]:
    yield from _change(
        _table()["names"].get(groups["module"], {}), groups["name"], f"{groups['module']}.{groups['name']}"
    )
    # a module of a package that is imported as a name of it
    whole = f"{groups['module']}.{groups['name']}"
    yield from _change(_table()["modules"], whole, whole)


def _of_type(groups: Mapping[str, str]) -> Iterator[Change]:
    kind, name = groups["type"], groups["name"]
    for known, names in _table()["types"].items():
        if kind in {known, known.rpartition(".")[2]}:
            yield from _change(names, name, f"{known}.{name}")
    if _TEST_METHOD.fullmatch(name):
        yield from _change(_table()["types"]["unittest.TestCase"], name, f"TestCase.{name}")


def _of_modules(groups: Mapping[str, str]) -> Iterator[Change]:
    name = groups["name"]
    yield from _change(_table()["modules"], name, name)
    versions = standard_names.versions_of(name)
    if versions is not None:
        yield Change(name, *versions)


def _of_builtins(groups: Mapping[str, str]) -> Iterator[Change]:
    yield from _change(_table()["builtins"], groups["name"], groups["name"])


def _of_arguments(groups: Mapping[str, str]) -> Iterator[Change]:
    function, name = groups["function"], groups["name"]
    for known, names in _table()["arguments"].items():
        if known == function or ("." in known and known.rpartition(".")[2] == function):
            yield from _change(names, name, f"the argument {name} of {known}")


def _of_zip(groups: Mapping[str, str]) -> Iterator[Change]:
    del groups
    yield Change("the argument strict of zip", _STRICT_SINCE, 0)


def _of_dicts(groups: Mapping[str, str]) -> Iterator[Change]:
    del groups
    yield Change("the union of two dicts with |", _UNION_SINCE, 0)


def _change(names: Mapping[str, str], name: str, words: str) -> Iterator[Change]:
    if name in names:
        since, _, until = names[name].partition("-")
        yield Change(words, int(since or 0), int(until or 0))


_READERS: tuple[tuple[re.Pattern[str], Callable[[Mapping[str, str]], Iterator[Change]]], ...] = (
    (_IMPORTED, _of_module),
    (_OF_MODULE, _of_module),
    (_OF_TYPE, _of_type),
    (_MODULE, _of_modules),
    (_BUILTIN, _of_builtins),
    (_ARGUMENT, _of_arguments),
    (_NO_KEYWORDS, _of_zip),
    (_DICT_UNION, _of_dicts),
)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    return table
