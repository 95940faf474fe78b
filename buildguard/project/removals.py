"""Which files the shell commands of a RUN may remove, told from their words alone and rather too many than too few. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

from buildguard.definitions import lazy_pattern

ANYTHING = "*"
_COMMANDS = lazy_pattern(r"&&|\|\||[;|\n]")
_REMOVES = frozenset({"rm", "rmdir", "unlink", "shred", "mv"})
_FINDS = frozenset({"-delete", "-exec", "-execdir", "-ok"})
_OPAQUE = frozenset({"git", "make", "rsync"})
_VARIABLE = lazy_pattern(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+|`[^`]*`")


def patterns(text: str) -> list[str]:
    """The paths, with wildcards, that the commands of a RUN may remove."""
    text = _VARIABLE.sub("*", text)
    return [pattern for command in _COMMANDS.split(text) for pattern in _of_command(command)]


def covers(several: Sequence[str], place: str) -> bool:
    """Whether a path of the image is one of these patterns', or lies below a folder that is."""
    return any(fnmatchcase(place, pattern) or fnmatchcase(place, f"{pattern}/*") for pattern in several)


def _of_command(command: str) -> Iterator[str]:
    words = [word for word in (word.strip("\"'()[]{},") for word in command.split()) if word]
    names = [posixpath.basename(word) for word in words]
    at = next((at for at, name in enumerate(names) if name in _REMOVES), None)
    if "find" in names:
        yield from _of_find(words)
    elif at is not None:
        yield from _of_removal(names[at], words[at + 1 :])
    elif words and _is_opaque(words[0], names):
        yield ANYTHING


def _of_removal(name: str, arguments: Sequence[str]) -> Iterator[str]:
    operands = [word for word in arguments if not word.startswith("-")]
    removed = operands[:-1] if name == "mv" else operands
    yield from map(_pattern, removed or [ANYTHING])  # `xargs rm` reads what to remove


def _is_opaque(first: str, names: Sequence[str]) -> bool:
    """Whether what a command removes stands in other files."""
    return first.startswith("./") or any(name in _OPAQUE or name.endswith(".sh") for name in names[:2])


def _of_find(words: Sequence[str]) -> Iterator[str]:
    """What `find` may remove: what has one of its names, everything where it gives none."""
    if not _FINDS.intersection(words) and "xargs" not in words:
        return
    names = [f"*/{name}" for option, name in pairwise(words) if option in {"-name", "-iname"}]
    yield from names or [ANYTHING]


def _pattern(operand: str) -> str:
    """A path as a pattern; what is relative may be in any folder, as no `cd` is followed."""
    plain = posixpath.normpath(operand)
    if plain.startswith("/"):
        return plain.rstrip("/") or ANYTHING
    return ANYTHING if plain in {".", "..", "*"} or plain.startswith("../") else f"*/{plain}"
