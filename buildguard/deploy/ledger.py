"""What deploys did: one line of JSON for each step, appended and never changed.

It lies in the repository's git folder, so it is neither committed nor sent; where there is a bucket, each line is an object
of its own there too, created only, so that a team and CI see one history.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

NAME = "buildguard/ledger.jsonl"
END = "end"  # the step that is none: a run that came to an end of its own has it last
BEGUN, OK, FAILED, SKIPPED, UNPROVEN = "begun", "ok", "failed", "skipped", "unproven"
_FOLDER = "buildguard/ledger"


class Line(NamedTuple):
    """One step of one run as it was written down; `at` is a time in ISO 8601, `evidence` what the step saw."""

    run: str
    number: int
    at: str
    service: str
    commit: str
    builder: str
    step: str
    verdict: str
    seconds: float
    evidence: Mapping[str, Any]


class Ledger:
    """The ledger of one run: lines go to the file first, and then to whoever else keeps them."""

    def __init__(self, file: Path, run: str, service: str, commit: str) -> None:
        self._file = file
        self.run = run
        self._service = service
        self._commit = commit
        self._number = 0
        self.builder = ""
        self.elsewhere: Callable[[str, bytes], object] | None = None
        self.notes: list[str] = []

    def write(self, step: str, verdict: str, seconds: float, evidence: Mapping[str, Any]) -> Line:
        """Append a line, on the disk before this returns. Raises UnprovenError where it cannot be."""
        self._number += 1
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = Line(
            self.run,
            self._number,
            at,
            self._service,
            self._commit,
            self.builder,
            step,
            verdict,
            round(seconds, 2),
            evidence,
        )
        data = (json.dumps({"schema": 1, **line._asdict()}) + "\n").encode("ascii")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(handle, _mended(self._file) + data)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise UnprovenError(f"{self._file} cannot be written: {error.strerror}") from error
        if self.elsewhere is not None:
            name = f"{_FOLDER}/{self._service}/{at}-{self.run}-{self._number:04d}.json"
            try:
                self.elsewhere(name, data)
            except UnprovenError as error:
                self.elsewhere = None
                self.notes.append(f"the ledger in the bucket is not complete: {error.what}")
        return line


def _mended(file: Path) -> bytes:
    """A line break where the last line was cut short by a crash: what follows is a line of its own again."""
    with open(file, "rb") as written:
        size = written.seek(0, os.SEEK_END)
        if not size:
            return b""
        written.seek(-1, os.SEEK_END)
        return b"" if written.read(1) == b"\n" else b"\n"


def folder_of(service: str) -> str:
    """Where the lines of a service lie in a bucket."""
    return f"{_FOLDER}/{service}/"


def read(file: Path) -> tuple[list[Line], int]:
    """The lines of a ledger in their order, and how many could not be read."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UnprovenError(f"{file} cannot be read: {error.strerror}") from error
    return parse(data.splitlines())


def parse(lines: Iterable[bytes]) -> tuple[list[Line], int]:
    """Lines as they were written, and how many of them are none."""
    found, broken = [], 0
    for text in lines:
        try:
            words = json.loads(text)
            line = Line(**{name: words[name] for name in Line._fields})
            whole = words["schema"] == 1 and isinstance(line.evidence, dict) and isinstance(line.step, str)
        except (ValueError, KeyError, TypeError):
            whole = False
        if whole:
            found.append(line)
        else:
            broken += 1
    return found, broken


def merged(*several: Iterable[Line]) -> list[Line]:
    """Lines of several ledgers, each once, by run and number; runs by when they began."""
    known = {(line.run, line.number): line for lines in several for line in lines}
    begun: dict[str, str] = {}
    for line in known.values():
        begun[line.run] = min(line.at, begun.get(line.run, line.at))
    return sorted(known.values(), key=lambda line: (begun[line.run], line.run, line.number))


def runs(lines: Iterable[Line]) -> list[list[Line]]:
    """The lines of each run, runs in their order."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.run, []).append(line)
    return list(found.values())


def stopped_at(run: list[Line]) -> str:
    """The step at which a run stopped without an end of its own; empty where it came to one."""
    return "" if run[-1].step in {END, "rollback"} else run[-1].step


def proven(lines: Iterable[Line], step: str, commit: str, key: str, value: str) -> Line | None:
    """The last line in which a step succeeded for a commit, with that evidence."""
    found = [
        line
        for line in lines
        if line.step == step and line.verdict == OK and line.commit == commit and line.evidence.get(key) == value
    ]
    return found[-1] if found else None
