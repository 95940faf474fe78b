"""Programs and scripts that a container could not execute, where the Dockerfile's own lines do not explain it. Pure but for the files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from buildguard.definitions import lazy_pattern
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.deployed_files import DeployedFiles
from buildguard.diagnose.incident import MessagePlace, SourceLocation
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnose.message_places import MessagePlaces

_NOT_FOUND = frozenset({"executable-not-found", "command-not-found", "not-in-the-path"})
_PROGRAM = lazy_pattern(r"(?!(?:python|pip|pypy)[\d.]*$|(?:ba|da|a|z)?sh$)[A-Za-z][\w-]*")
# Scripts below these folders come from the base image, and name their interpreter.
_SCRIPT = lazy_pattern(r"(?<![\w./-])(?!/(?:usr|bin|sbin|opt)/)(?P<path>[\w./-]+\.(?:sh|bash|py))\b")


def program_places(
    files: DeployedFiles, matches: Iterable[KnownMessageMatch], placed: Collection[int]
) -> Iterator[MessagePlace]:
    """What explains a program that is not found, or a script that is not executed; `placed` are lines that are explained already."""
    finder = MessagePlaces(files)
    for match in matches:
        if match.line in placed:
            continue
        if match.message.id in _NOT_FOUND and "not found" in match.text:
            yield from _of_program(match, finder)
        elif match.message.id == "other-architecture":
            yield from _of_script(match)


def _of_program(match: KnownMessageMatch, finder: MessagePlaces) -> Iterator[MessagePlace]:
    """A program that a package brings: whether a requirements file names it decides what to do."""
    name = match.groups.get("name", "").strip()
    if _PROGRAM.fullmatch(name) is None:
        return
    places = tuple(finder.requiring(name))
    yield MessagePlace(match.line, places, CauseId.START_COMMAND, *_words_on(name, places))


def _words_on(name: str, places: tuple[SourceLocation, ...]) -> tuple[str, str]:
    if places:
        sentence = f"the program {name} is not in the image's PATH, though {places[0]} requires it"
        return (
            sentence,
            f"install {places[0].path} in the final stage of the Dockerfile, or start it as python -m {name}",
        )
    sentence = f"the program {name} is not in the image's PATH, and no requirements file names it"
    return sentence, f"add {name} to the requirements that the Dockerfile installs, or correct CMD and PATH"


def _of_script(match: KnownMessageMatch) -> Iterator[MessagePlace]:
    """A script that no file of the repository is: a missing `#!` line is likelier than another processor."""
    script = _SCRIPT.search(match.text)
    if script is None:
        return
    path = script["path"]
    sentence = f"{path} cannot be executed: most likely it does not begin with #! and its interpreter"
    remedy = f"begin {path} with #!/bin/sh; if it does, the image is for another processor: docker build --platform linux/amd64"
    yield MessagePlace(match.line, (), CauseId.START_COMMAND, sentence, remedy)


def named(matches: list[KnownMessageMatch]) -> list[KnownMessageMatch]:
    """The same matches, where one that names no package has the name of the next one of its cause: pip prints it behind."""
    return [_with_name(match, matches[at + 1 : at + 3]) for at, match in enumerate(matches)]


def _with_name(match: KnownMessageMatch, following: Iterable[KnownMessageMatch]) -> KnownMessageMatch:
    is_open = match.message.cause == CauseId.DEPENDENCY_INSTALL and "name" not in match.groups
    other = next(
        (each for each in following if each.message.cause == match.message.cause and each.groups.get("name")), None
    )
    if other is None or not is_open or not re.search(r"\{name\}", match.message.remedy):
        return match
    return match._replace(groups={**match.groups, "name": other.groups["name"]})
