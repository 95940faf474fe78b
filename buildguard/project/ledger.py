"""What deploys did: one line of JSON for each step, appended and never changed.

It is in the repository's git folder, so it is neither committed nor sent; where there is a bucket, each line is an object
of its own there too, created only, so that a team and CI see one history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.errors import UnprovenError
from buildguard.system.state_files import append_state, read_state

NAME = "buildguard/ledger.jsonl"
RESTORE = "restore"  # the step that is none either: what a failed run gave back
ROLLBACK = "rollback"  # the only step of a run that moves the traffic back
END = "end"  # the step that is none: a run that came to an end of its own has it last
_FOLDER = "buildguard/ledger"
_SERVICE = "service"  # the kind of lines that name none
_ADDED = frozenset({"project", "region", "kind"})  # later than the first lines


class StepVerdict(StrEnum):
    """The result of a step; `BEGUN` is one that is under way, or whose end was never written down."""

    BEGUN = "begun"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNPROVEN = "unproven"


class ServiceId(NamedTuple):
    """A service or a job (`kind`): its name is one only within a project and a region. Those are empty if unknown."""

    project: str
    region: str
    service: str
    kind: str = _SERVICE

    @property
    def path(self) -> str:
        """It as a path, with nothing in a part that could be taken for another part."""
        return "/".join(
            [_folder_name(self.service, self.kind), quote(self.project, safe=""), quote(self.region, safe="")]
        )


class LedgerLine(NamedTuple):
    """One step of one run as it was written down; `at` is a time in ISO 8601, `evidence` what the step saw.

    `project` and `region` are empty in lines of versions that did not write them, and where they were unknown.
    """

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
    project: str = ""
    region: str = ""
    kind: str = _SERVICE

    @property
    def service_id(self) -> ServiceId:
        """The service that it is of."""
        return ServiceId(self.project, self.region, self.service, self.kind)


_KINDS = dict.fromkeys(LedgerLine._fields, (str,)) | {
    "number": (int,),
    "seconds": (int, float),
    "evidence": (dict,),
}


class Ledger:
    """The ledger of one run: lines go to the file first, and then to whoever else keeps them."""

    def __init__(self, file: Path, run: str, service: ServiceId, commit: str) -> None:
        self._file = file
        self.run = run
        self._service = service
        self._commit = commit
        self._number = 0
        self.builder = ""
        self.elsewhere: Callable[[str, bytes], object] | None = None
        self.notes: list[str] = []

    def write(self, step: str, verdict: str, seconds: float, evidence: Mapping[str, Any]) -> LedgerLine:
        """Append a line, on the disk before this returns. Raises UnprovenError where it cannot be."""
        self._number += 1
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = LedgerLine(
            self.run,
            self._number,
            at,
            self._service.service,
            self._commit,
            self.builder,
            step,
            verdict,
            round(seconds, 2),
            evidence,
            self._service.project,
            self._service.region,
            self._service.kind,
        )
        data = (json.dumps({"schema": 1, **line._asdict()}) + "\n").encode("ascii")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            append_state(self._file, data)
        except OSError as error:
            raise UnprovenError(f"{self._file} cannot be written: {error.strerror}") from error
        if self.elsewhere is not None:
            name = f"{folder_of(self._service)}{at}-{self.run}-{self._number:04d}.json"
            try:
                self.elsewhere(name, data)
            except UnprovenError as error:
                self.elsewhere = None
                self.notes.append(f"the ledger in the bucket is not complete: {error.what}")
        return line


def folder_of(service: ServiceId) -> str:
    """Where the lines of a service are stored in a bucket."""
    return f"{_FOLDER}/{service.path}/"


def folder_of_name(service: str, kind: str = _SERVICE) -> str:
    """Where the lines of every service of a name are stored in a bucket, those without a project and a region too."""
    return f"{_FOLDER}/{_folder_name(service, kind)}/"


def _folder_name(service: str, kind: str) -> str:
    """A part of a path: a job never has that of a service of the same name, as no quoted name has an `@`."""
    return quote(service, safe="") + (f"@{kind}" if kind != _SERVICE else "")


def read(file: Path) -> tuple[list[LedgerLine], int]:
    """The lines of a ledger in their order, and how many could not be read."""
    try:
        data = read_state(file)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UnprovenError(f"{file} cannot be read: {error.strerror}") from error
    return parse(data.splitlines())


def parse(lines: Iterable[bytes]) -> tuple[list[LedgerLine], int]:
    """Lines as they were written, and how many of them are none."""
    parsed, broken = [], 0
    for text in lines:
        try:
            words = json.loads(text)
            line = LedgerLine(
                **{name: words[name] for name in LedgerLine._fields if name in words or name not in _ADDED}
            )
            whole = words["schema"] == 1 and all(
                type(getattr(line, name)) in kinds for name, kinds in _KINDS.items()
            )  # `isinstance` would take true for a number
        except (ValueError, KeyError, TypeError, RecursionError):
            whole = False
        if whole:
            parsed.append(line)
        else:
            broken += 1
    return parsed, broken


def merge_lines(*several: Iterable[LedgerLine]) -> list[LedgerLine]:
    """Lines of several ledgers, each once, by run and number; runs by when they began."""
    known = {(line.run, line.number): line for lines in several for line in lines}
    begun: dict[str, str] = {}
    for line in known.values():
        begun[line.run] = min(line.at, begun.get(line.run, line.at))
    return sorted(known.values(), key=lambda line: (begun[line.run], line.run, line.number))


def group_runs(lines: Iterable[LedgerLine]) -> list[list[LedgerLine]]:
    """The lines of each run, runs in their order."""
    by_run: dict[str, list[LedgerLine]] = {}
    for line in lines:
        by_run.setdefault(line.run, []).append(line)
    return list(by_run.values())


def find_stopping_step(run: list[LedgerLine]) -> str:
    """The step at which a run stopped without an end of its own; empty where it came to one."""
    return "" if run[-1].step in {END, ROLLBACK} else run[-1].step


def find_proven(lines: Iterable[LedgerLine], step: str, commit: str, key: str, value: str) -> LedgerLine | None:
    """The last line in which a step succeeded for a commit, with that evidence."""
    matching = [
        line
        for line in lines
        if line.step == step
        and line.verdict == StepVerdict.OK
        and line.commit == commit
        and line.evidence.get(key) == value
    ]
    return matching[-1] if matching else None
