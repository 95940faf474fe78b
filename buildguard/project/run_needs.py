"""The files that a RUN reads, as far as its literal words show it: the requirements that pip installs; and its programs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from buildguard.definitions import lazy_pattern
from buildguard.project import run_commands

_COMMANDS = lazy_pattern(r"&&|\|\||[;|\n]")
_INSTALLS = lazy_pattern(r"(?:^|\s)(?:pip3?(?:\.\d+)?|uv\s+pip)\s+(?:install|sync|wheel|download)\s(?P<words>.*)")
_FILE = lazy_pattern(r"(?:^|\s)(?:-r|--requirements?)(?:\s+|=)?(?P<quote>[\"']?)(?P<name>[\w./-]+)(?P=quote)(?=\s|$)")
_MOVES = lazy_pattern(r"(?:^|[\s;&|(])(?:cd|pushd|chroot)\s")


def requirement_files(text: str, earlier: str) -> Iterator[str]:
    """The requirement files that a RUN installs, as it writes their paths.

    Left out are those that the commands before it, in this RUN or `earlier` ones, name in any way: they may make them.
    """
    before = ""
    for command in _COMMANDS.split(text):
        match = _INSTALLS.search(command)
        if match is not None and not _MOVES.search(f"{before}\n{command[: match.start()]}"):
            for file in _FILE.finditer(match["words"]):
                name = file["name"]
                if not re.search(rf"(?<![\w-]){re.escape(name.rpartition('/')[2])}\b", f"{earlier}\n{before}"):
                    yield name
        else:
            before = f"{before}\n {command}"


def program_names(text: str) -> frozenset[str]:
    """The first words of the commands of a text; a quote alone where its quotes do not match."""
    try:
        return frozenset(command.words[0] for command in run_commands.split(text) if command.words)
    except ValueError:
        return frozenset({'"'})
