"""The virtual environments that a command of a RUN fills, as far as its words show it. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import lazy_pattern

_PYTHON = lazy_pattern(r"python[\d.]*|pypy3?")
_WITH_VALUE = frozenset({"-p", "--python", "--prompt", "--app-data", "--cache-dir", "--directory", "--project"})
_IN_PLACE = frozenset({"sync", "install"})


def filled_folders(words: Sequence[str], settings: Mapping[str, str], user: str) -> Iterator[str]:
    """The folders of a command's environments, as it writes them; `settings` are its variables, `user` who runs it."""
    name, arguments = posixpath.basename(words[0]), [*words[1:]]
    if _PYTHON.fullmatch(name) and arguments[:1] == ["-m"] and len(arguments) > 1:
        name, arguments = arguments[1], arguments[2:]
    operands = [*_operands(arguments)]
    in_project = posixpath.join(
        _option(arguments, "--project", "--directory"), settings.get("UV_PROJECT_ENVIRONMENT") or ".venv"
    )
    match name:
        case "venv":
            yield from operands
        case "virtualenv":
            yield from operands[:1]
        case "uv" if operands[:1] == ["venv"]:
            yield next(iter(operands[1:]), in_project)
        case "uv" if operands[:1] == ["sync"]:
            yield in_project
        case "poetry" | "pdm" if operands and operands[0] in _IN_PLACE:
            yield ".venv"
        case "pip" | "pip3" | "uv" if "install" in operands[:2]:
            yield from filter(
                None, [_option(arguments, "--prefix"), _home(user, settings) if "--user" in arguments else ""]
            )
        case _:
            pass


def _operands(arguments: Sequence[str]) -> Iterator[str]:
    """The words that are neither options nor the values of some."""
    rest = iter(arguments)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, "")
        elif not word.startswith("-"):
            yield word


def _option(arguments: Sequence[str], *names: str) -> str:
    """The value of the first option that has one of some names; empty without one."""
    for at, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[at + 1 :]), "")
    return ""


def _home(user: str, settings: Mapping[str, str]) -> str:
    """Where `pip install --user` installs to."""
    name = re.split(r"[:]", user)[0]
    home = settings.get("HOME") or ("/root" if name in {"", "root", "0"} else f"/home/{name}")
    return settings.get("PYTHONUSERBASE") or posixpath.join(home, ".local")
