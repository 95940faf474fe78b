"""Where in the repository a known message comes from: a script, a line of a Dockerfile, or a requirement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.deployed_files import DeployedFiles
from buildguard.diagnose.incident import MessagePlace, SourceLocation
from buildguard.diagnose.known_messages import KnownMessageMatch

_REQUIREMENTS = lazy_pattern(
    r"(?:.*/)?(?:[\w.-]*requirements[\w.-]*\.(?:txt|in)|pyproject\.toml|Pipfile|setup\.(?:py|cfg))$"
)
_WINDOWS_SHEBANG = lazy_pattern(rb"#![^\r\n]*\r\n")
_COMMAND = lazy_pattern(r"(?i)^\s*(?:CMD|ENTRYPOINT)\s+(?:\[\s*\")?(?:exec )?(?P<word>[\w./-]*[/.][\w./-]*)")
_SCRIPT = lazy_pattern(r"[\w./-]+\.(?:sh|bash|py)\b|/[\w./-]+")
_PACKAGE = lazy_pattern(r"(?<![\w./-])([A-Za-z][\w.-]*\w)(?=[=<>!~ ]*(?:==|[<>~!]=?|\(|depends|was not found))")
_FOLLOWING, _MOST_WORDS = 8, 20
_OF_A_CONTEXT = frozenset({"not-in-the-context", "not-in-the-context-of-buildkit"})
_PATTERN = lazy_pattern(r"[*?\[$]|docker-builder")
_NOT_STARTED = lazy_pattern(r"(?i)no such file|not found|exec format error|permission denied|exit|cannot execute")


class StartScript(NamedTuple):
    """A script of the repository that the container starts: what is wrong with it, if anything is."""

    path: str
    has_windows_ends: bool
    has_shebang: bool


def message_places(
    files: DeployedFiles, matches: Iterable[KnownMessageMatch], lines: Sequence[str] = ()
) -> Iterator[MessagePlace]:
    """What the repository shows of each known message; those that it shows nothing of are left out."""
    finder = MessagePlaces(files)
    for match in matches:
        script = finder.script(match)
        if script is not None:
            yield _of_script(match, script)
        elif absent := finder.absent(match):
            yield absent
        elif places := finder.places(match) or finder.required(match, lines[match.line - 1 : match.line + _FOLLOWING]):
            yield MessagePlace(match.line, places)


def _of_script(match: KnownMessageMatch, script: StartScript) -> MessagePlace:
    """A script that was not started: for its line ends, for its missing first line, or for what the message says."""
    place = (SourceLocation(script.path, None),)
    if script.has_windows_ends and match.message.cause != CauseId.PLATFORM:
        sentence = f"{script.path} has Windows line ends, so its interpreter is not found"
        remedy = f"echo '{script.path} text eol=lf' >> .gitattributes && git add --renormalize {script.path}"
        return MessagePlace(match.line, place, CauseId.ENCODING, sentence, remedy)
    is_format = "format error" in match.text.lower()
    if is_format and not script.has_shebang:
        sentence = f"{script.path} has no first line that names its interpreter"
        return MessagePlace(match.line, place, CauseId.START_COMMAND, sentence, f"sed -i '1i #!/bin/sh' {script.path}")
    if "ermission denied" in match.text:
        sentence = f"{script.path} is not executable in the image"
        remedy = f"git update-index --chmod=+x {script.path}"
        return MessagePlace(match.line, place, CauseId.START_COMMAND, sentence, remedy)
    return MessagePlace(match.line, () if is_format else place)


class MessagePlaces:
    """Finds the places of known messages in the files that were deployed."""

    def __init__(self, files: DeployedFiles) -> None:
        """`files` are those of the stage that is judged."""
        self._files = files

    def script(self, match: KnownMessageMatch) -> StartScript | None:
        """The script that a message about a command is about: named in the message, or else started by a Dockerfile."""
        if match.message.cause not in {CauseId.START_COMMAND, CauseId.PLATFORM, CauseId.ENCODING}:
            return None
        if not _NOT_STARTED.search(match.text):
            return None
        named = _SCRIPT.findall(match.text)
        paths = [path for word in named if (path := self._path(word))]
        if not named and not self._names_a_program(match):
            paths = [path for word in self._commands() if (path := self._path(word))]
        scripts = list(dict.fromkeys(paths)) or (
            self._with_windows_ends() if match.message.id == "windows-line-ends" else []
        )
        if len(scripts) != 1:
            return None
        content = self._files.content(scripts[0])
        first = content.split(b"\n", 1)[0]
        return StartScript(scripts[0], first.endswith(b"\r"), first.startswith((b"#!", b"\x7fELF")))

    def _with_windows_ends(self) -> list[str]:
        """The files whose first line names an interpreter and ends as on Windows."""
        scripts = [path for path in self._files.entries if path.endswith((".sh", ".bash", ".py")) or "." not in path]
        return [path for path in scripts if _WINDOWS_SHEBANG.match(self._files.content(path))]

    def places(self, match: KnownMessageMatch) -> tuple[SourceLocation, ...]:
        """The places that a message comes from; empty if the repository does not show any."""
        if match.message.cause == CauseId.WRONG_FILES_SENT:
            return tuple(self._copying(match.groups.get("name", "")))
        if match.message.id == "test-failed":
            path = self._path(match.groups.get("name", "").partition("::")[0])
            return (SourceLocation(path, None),) if path else ()
        if match.message.cause == CauseId.DEPENDENCY_INSTALL:
            path = self._path(match.groups.get("file", ""))
            named = (SourceLocation(path, int(match.groups["row"])),) if path else ()
            return named or tuple(self.requiring(match.groups.get("name", "")))
        return ()

    @staticmethod
    def _names_a_program(match: KnownMessageMatch) -> bool:
        """Whether the message names what was not found, and that is no script."""
        name = match.groups.get("name", "")
        return bool(name) and not name.lower().startswith(("no such file", "permission denied"))

    def _commands(self) -> Iterator[str]:
        for recipe in self._files.recipes():
            for line in recipe.dockerfile.decode("utf-8", "replace").splitlines():
                if command := _COMMAND.match(line):
                    yield command["word"]

    def _path(self, word: str) -> str:
        """The repository's file of a path in the image: by the Dockerfile, or the one file with the longest same end."""
        planned = {twins[word] for twins in self._files.layouts() if word in twins}
        if len(planned) == 1:
            return planned.pop()
        parts = PurePosixPath(word).parts
        for at in range(len(parts)):
            tail = "/".join(parts[at:]).lstrip("/")
            fitting = [path for path in self._files.entries if tail and f"/{path}".endswith(f"/{tail}")]
            if len(fitting) == 1:
                return fitting[0]
        return ""

    def absent(self, match: KnownMessageMatch) -> MessagePlace | None:
        """What no build context can have, because no file of the repository has that path: no rule drops it."""
        name = match.groups.get("name", "").strip("/").removeprefix("./")
        if match.message.id not in _OF_A_CONTEXT or {"third", "fourth"} & match.groups.keys() or not name:
            return None
        if _PATTERN.search(name) or any(f"/{name}/" in f"/{path}/" for path in self._files.entries):
            return None
        places = tuple(self._copying(name))
        sentence = f"the Dockerfile copies {name}, and the repository has no such file or folder"
        return MessagePlace(match.line, places, match.message.cause, sentence, f"commit {name}, or correct that COPY")

    def _copying(self, name: str) -> Iterator[SourceLocation]:
        wanted = name.lstrip("/").rpartition("docker-builder")[2].partition("/")[2] or name.lstrip("/")
        for recipe in self._files.recipes():
            lines = recipe.dockerfile.decode("utf-8", "replace").splitlines()
            for number, line in enumerate(lines, 1):
                if wanted and re.match(r"(?i)\s*(?:COPY|ADD)\s", line) and wanted in line:
                    yield SourceLocation(recipe.service.dockerfile, number)

    def required(self, match: KnownMessageMatch, lines: Sequence[str]) -> tuple[SourceLocation, ...]:
        """Where the packages are required that an installer names in several lines."""
        if match.message.cause != CauseId.DEPENDENCY_INSTALL:
            return ()
        words = dict.fromkeys(_PACKAGE.findall(" ".join(lines)))
        places = (place for word in list(words)[:_MOST_WORDS] for place in self.requiring(word))
        return tuple(dict.fromkeys(place for place in places if place.line is not None))

    def requiring(self, name: str) -> Iterator[SourceLocation]:
        """The lines of the requirements files that name a package."""
        wanted = re.compile(rf"(?i)(?<![\w.-]){re.escape(name).replace('_', '[-_.]')}(?![\w.-]*\w)") if name else None
        for path in sorted(self._files.entries):
            if wanted is not None and _REQUIREMENTS.match(path):
                for number, line in enumerate(self._files.lines(path), 1):
                    if wanted.search(line):
                        yield SourceLocation(path, number)
                        break
