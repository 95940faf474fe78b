"""From a frame of a traceback, with its path in the image, to the file and line in the repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice

from buildguard.check.context import Job
from buildguard.definitions import lazy_pattern
from buildguard.diagnose import log_parser
from buildguard.diagnose.deployed_files import DeployedFiles
from buildguard.diagnose.incident import LocatedFailure, SourceLocation, TargetRefusal
from buildguard.diagnose.newest_python import NewestPython
from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.project import image_match

_FROZEN = "<"
_INSTALLED = lazy_pattern(r".*/(?:site|dist)-packages/")
_DRIVE = lazy_pattern(r"[A-Za-z]:")
_MOST_VERSIONS = 500  # of one file, the newest: all of them are read
_SHORTEST_CUT = 10  # characters of a source line that a log cut


class FailureLocator:
    """Finds where failures of a log are in what was deployed, or in an older commit."""

    def __init__(self, job: Job, files: DeployedFiles) -> None:
        """`files` are those of the stage that is judged."""
        self._job = job
        self._files = files
        self._newest = NewestPython(job)
        self._history: dict[str, list[tuple[str, bytes]]] = {}

    def locate(self, failure: log_parser.Failure, refused: Sequence[TargetRefusal]) -> LocatedFailure:
        """The last of its frames that is in this repository; for a compiler's failure, only the last of all counts."""
        frames = failure.frames[-1:] if failure.is_syntax else failure.frames[::-1]
        for frame in frames:
            path = self._path_of(frame)
            if path is None:
                continue
            place = SourceLocation(path, frame.line)
            if not frame.source:
                return LocatedFailure(failure, place)
            now = shows(self._files.lines(path), frame)
            if now:
                return LocatedFailure(failure, place, as_shown=True)
            older, content = self._in_history(path, frame)
            if not failure.is_syntax:
                return LocatedFailure(failure, place, as_shown=False, older_commit=older)
            refusal = self._newest.verdict(content, place, self._job) if older else None
            if refusal is not None and any(one.place.path == path for one in refused):
                refusal = None
            return LocatedFailure(failure, place, as_shown=False, older_commit=older, at_commit=refusal)
        outside = failure.frames[-1].path if failure.frames else ""
        return LocatedFailure(failure, None, "" if outside.startswith(_FROZEN) else outside)

    def _path_of(self, frame: log_parser.Frame) -> str | None:
        """The repository's path of a path in the image: by the Dockerfile, or by the longest tail that fits one file."""
        path = frame.path.replace("\\", "/")
        if path.startswith(_FROZEN):
            return None
        if installed := _INSTALLED.match(path):
            return self._installed_path(path[installed.end() :], frame)
        if image_match.is_installed(path):
            return None
        planned = {twins[path] for twins in self._files.layouts() if path in twins}
        if len(planned) == 1:
            return planned.pop()
        parts = [part for part in path.split("/") if part not in {"", ".", "..."}]
        return self._by_tail(parts, frame, whole=not path.startswith(("/", ".", "\u2026")) and not _DRIVE.match(path))

    def _installed_path(self, tail: str, frame: log_parser.Frame) -> str | None:
        """The source of an installed file, if this repository is what was installed: one file fits, and shows the line."""
        fitting = [source for source in self._files.sources if f"/{source}".endswith(f"/{tail}")]
        if frame.source:
            fitting = [source for source in fitting if shows(self._files.lines(source), frame)]
        return fitting[0] if len(fitting) == 1 and ("/" in tail or frame.source) else None

    def _by_tail(self, parts: list[str], frame: log_parser.Frame, *, whole: bool) -> str | None:
        """The source with the longest same end; of a relative path, `whole`, only one that has all of it or shows the line."""
        for at in range(len(parts)):
            tail = "/".join(parts[at:])
            fitting = [source for source in self._files.sources if f"/{source}".endswith(f"/{tail}")]
            if fitting:
                shown = [source for source in fitting if frame.source and shows(self._files.lines(source), frame)]
                exact = [source for source in fitting if source == tail]
                return _only_one(shown) if whole and at else _only_one(exact, fitting, shown)
        return None

    def _in_history(self, path: str, frame: log_parser.Frame) -> tuple[str, bytes]:
        """The newest commit in which the file has the line that a log shows, and the file as it is there."""
        if path not in self._history:
            self._history[path] = self._versions_of(path)
        for commit, content in self._history[path]:
            if shows(content.decode("utf-8", "replace").splitlines(), frame):
                return commit, content
        return "", b""

    def _versions_of(self, path: str) -> list[tuple[str, bytes]]:
        """The versions of a file in the history that can be read, the newest first, each with its commit."""
        repository = self._job.place.repository
        if repository is None or not repository.head:
            return []
        try:
            history = list(islice(repository.history(repository.head, [os.fsencode(path)]), _MOST_VERSIONS))
            blobs = list(repository.blobs([blob for _commit, _path, blob in history]))
        except UnprovenError:
            return []
        pairs = zip(history, blobs, strict=True)
        return [(row[0], content) for row, content in pairs if not isinstance(content, UnreadableFile)]


def _only_one(*choices: list[str]) -> str | None:
    """The path of the first choice that holds one path and no other."""
    return next((choice[0] for choice in choices if len(choice) == 1), None)


def shows(lines: Sequence[str], frame: log_parser.Frame) -> bool:
    """Whether a file has the line that a frame shows, at its number, or begins with what a log left of it."""
    if not 0 < frame.line <= len(lines):
        return False
    here, there = log_parser.straighten(lines[frame.line - 1].strip()), log_parser.straighten(frame.source)
    return here == there or (len(there) > _SHORTEST_CUT and here.startswith(there))
