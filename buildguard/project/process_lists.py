"""Programs that start others from a list: honcho with its Procfile, supervisord with its configuration. Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern

_PROCESS = lazy_pattern(r"([A-Za-z0-9_-]+):\s*(.+)")
_SECTION = lazy_pattern(r"\[(?P<name>[^\]]+)\]")
_SETTING = lazy_pattern(r"(?P<key>\w+)\s*[=:]\s*(?P<value>.*?)(?:\s[;#].*)?")
_FALSE = frozenset({"false", "off", "no", "0"})


class ListedProcess(NamedTuple):
    """One program of a list: its words, its line, and the folder that it runs in."""

    words: tuple[str, ...]
    line: int
    folder: str = ""


class ProcessList(NamedTuple):
    """The file that a program reads, from its working folder, and what that file starts; `variables` sets some for all of them."""

    path: str
    read: Callable[[str], Iterator[ListedProcess]]
    variables: str = ""


def process_list(name: str, arguments: Sequence[str]) -> ProcessList | None:
    """The list of a command; None for other programs, and where the file is not known."""
    find = _MANAGERS.get(name)
    return find(arguments) if find is not None else None


def _value(arguments: Sequence[str], *names: str) -> str:
    """The last value of an option: `-c x`, `--name x` or `--name=x`."""
    values = [after for word, after in itertools.pairwise(arguments) if word in names]
    joined = [word.partition("=")[2] for word in arguments if word.partition("=")[0] in names and "=" in word]
    return next(reversed([*values, *joined]), "")


def _honcho(arguments: Sequence[str]) -> ProcessList | None:
    """`honcho start`, with all of its processes or those that are named."""
    if "start" not in arguments or any(word.startswith(("-e", "--env")) for word in arguments):
        return None
    root = _value(arguments, "-d", "--app-root")
    named = {word for word in arguments[arguments.index("start") + 1 :] if not word.startswith("-")}
    path = posixpath.join(root, _value(arguments, "-f", "--procfile") or "Procfile")
    return ProcessList(path, lambda text: procfile_processes(text, root, named), posixpath.join(root, ".env"))


def procfile_processes(text: str, folder: str = "", named: Collection[str] = ()) -> Iterator[ListedProcess]:
    """The processes of a Procfile, or those that are named."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _PROCESS.fullmatch(line.rstrip())
        if match is not None and (not named or match[1] in named):
            yield ListedProcess(("/bin/sh", "-c", match[2]), number, folder)


def _supervisord(arguments: Sequence[str]) -> ProcessList | None:
    path = _value(arguments, "-c", "--configuration")
    return ProcessList(path, _supervised) if path else None


def _supervised(text: str) -> Iterator[ListedProcess]:
    """The programs that start by themselves; none where a variable may change where they are looked for."""
    if re.search(r"(?m)^environment\s*=.*PATH", text):
        return
    for name, settings in _sections(text):
        command, line = settings.get("command", ("", 0))
        starts = settings.get("autostart", ("true", 0))[0].lower() not in _FALSE
        if name.startswith("program:") and starts and "%(" not in command:
            yield from _listed(command, line, settings.get("directory", ("", 0))[0])


def _listed(command: str, line: int, folder: str) -> Iterator[ListedProcess]:
    try:
        words = shlex.split(command)
    except ValueError:
        return
    if words and "%(" not in folder:
        yield ListedProcess(tuple(words), line, folder)


def _sections(text: str) -> Iterator[tuple[str, dict[str, tuple[str, int]]]]:
    """Each section with its settings, each with its line."""
    name, settings = "", dict[str, tuple[str, int]]()
    for number, line in enumerate(text.splitlines(), 1):
        section, setting = _SECTION.match(line), _SETTING.fullmatch(line.rstrip())
        if section is not None:
            yield name, settings
            name, settings = section["name"], {}
        elif setting is not None:
            settings[setting["key"]] = (setting["value"], number)
        elif line[:1].isspace() and settings:  # more of the value before it
            key, (value, first) = settings.popitem()
            settings[key] = (f"{value} {line.strip()}", first)
    yield name, settings


_MANAGERS: Mapping[str, Callable[[Sequence[str]], ProcessList | None]] = MappingProxyType(
    {"honcho": _honcho, "supervisord": _supervisord}
)
