"""The log of a build, read on as it grows. It is shown to people and decides nothing: a log can be cut, late or forbidden."""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Callable

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import Reason, UnprovenError
from buildguard.gcp.cloud_build import BuildStatus, CloudBuildClient
from buildguard.gcp.storage import StorageClient

_STEP_LINE = lazy_pattern(r'Step #(?P<step>\d+)(?: - "[^"]*")?: (?P<text>.*\S)')
_LAST_LINES, _LONGEST_LINE = 5, 200


class BuildLogSink(NamedTuple):
    """Who hears of a build: its log line by line, the build itself while it runs (None once it does not), and notes."""

    say: Callable[[str], object]
    running: Callable[[BuildStatus | None], object]
    note: Callable[[str], object]


def follow_build(
    builds: CloudBuildClient,
    storage: StorageClient,
    build: BuildStatus,
    limits: tuple[float, float],
    heard: BuildLogSink,
) -> BuildStatus:
    """Follow a build to its end, its log shown as it grows; `limits` are its own seconds and those that its queue adds.

    Whoever is interrupted meanwhile leaves it running, and `heard` is not told otherwise. Raises UnprovenError as waiting does;
    where Cloud Build is no longer reached, its hint names the build, which may go on.
    """
    heard.running(build)
    tail = LogTail(storage, build, heard.say)
    try:
        return builds.wait(build, limits[0], report=lambda _seen: tail.more(), grace=limits[1])
    except UnprovenError as error:
        if error.reason is not Reason.UNREACHABLE:
            raise
        hint = f"the build {build.id} may still run: gcloud builds cancel {build.command_line}"
        raise UnprovenError(error.what, hint=hint, reason=error.reason) from error
    finally:
        tail.more()
        for note in tail.notes:
            heard.note(note)
        if sys.exc_info()[0] is not KeyboardInterrupt:
            heard.running(None)


def place_of(build: BuildStatus) -> tuple[str, str]:
    """The bucket and the object that a build's log is written to; the bucket is empty if it is unknown."""
    bucket, _, folder = build.logs_bucket.removeprefix("gs://").partition("/")
    return bucket, "/".join(part for part in (folder.strip("/"), f"log-{build.id}.txt") if part)


class StepLogs:
    """The last lines that each step of a build wrote into its log."""

    def __init__(self) -> None:
        self._lines: defaultdict[int, deque[str]] = defaultdict(lambda: deque(maxlen=_LAST_LINES))

    def add(self, line: str) -> None:
        """Take a line of the build's log."""
        match = _STEP_LINE.search(line)
        if match is not None:
            self._lines[int(match["step"])].append(match["text"].strip()[:_LONGEST_LINE])

    def last(self, step: int) -> tuple[str, ...]:
        """The last lines of a step; empty where its log could not be read."""
        return tuple(self._lines[step])


class LogTail:
    """The log of one build; `hear` is given each whole line."""

    def __init__(self, storage: StorageClient, build: BuildStatus, hear: Callable[[str], object]) -> None:
        self._storage = storage
        self._bucket, self._name = place_of(build)
        self._hear = hear
        self._at = 0
        self._rest = b""
        self._lost = not self._bucket
        self.notes: list[str] = []

    def more(self) -> None:
        """Read what has been written since; where it may not be read, that becomes a note, once."""
        if self._lost:
            return
        try:
            piece = self._storage.since(self._bucket, self._name, self._at)
        except UnprovenError as error:
            self._lost = True
            self.notes.append(f"the build's log cannot be shown: {error.what}")
            return
        self._at += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._hear(f"Cloud Build: {line.decode('utf-8', 'replace')}")
