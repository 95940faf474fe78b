"""Where cycles are kept on this machine: below the git folder, for their owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from buildguard.cycles import record as records
from buildguard.cycles.record import CycleRecord
from buildguard.definitions import lazy_pattern
from buildguard.errors import UnprovenError
from buildguard.project.ledger import ServiceId
from buildguard.system import temporary
from buildguard.system.state_files import read_state

FOLDER = "cycles"
BUCKET_FOLDER = "buildguard/cycles"
_MOST = 200  # cycles that are read
_ID = lazy_pattern(r"[\w.-]{1,80}")


def folder_of(ledger: Path) -> Path:
    """The folder of the cycles, beside the ledger."""
    return ledger.parent / FOLDER


def bucket_folder_of(service: ServiceId) -> str:
    """Where the cycles of a service are stored in a bucket."""
    return f"{BUCKET_FOLDER}/{service.path}/"


def bucket_folder_of_name(service: str) -> str:
    """Where the cycles of every service of a name are stored in a bucket."""
    return f"{BUCKET_FOLDER}/{quote(service, safe='')}/"


def file_of(folder: Path, cycle: CycleRecord, ending: str) -> Path:
    """The file of a cycle: `json` for its record, `md` and `html` for its report."""
    return folder / f"{cycle.id}.{ending}"


def read(folder: Path, service: ServiceId | None = None) -> list[CycleRecord]:
    """The cycles on this machine, of one service where it is given; what cannot be read is left out."""
    cycles = [cycle for cycle in _read_all(folder) if service is None or cycle.service == service]
    return sorted(cycles, key=lambda cycle: (cycle.at, cycle.number))[-_MOST:]


def _read_all(folder: Path) -> Iterator[CycleRecord]:
    times = []
    for file in folder.glob("*.json"):
        with suppress(OSError):
            times.append((file.stat(follow_symlinks=False).st_mtime, file))
    for _time, file in sorted(times)[-10 * _MOST :]:
        try:
            cycle = records.parse(read_state(file))
        except OSError:
            continue
        if cycle is not None and _ID.fullmatch(cycle.id):
            yield cycle


def write_private(file: Path, data: bytes) -> None:
    """Write a file whole, for its owner alone; raises UnprovenError where it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_whole(file, data, 0o600)
    except OSError as error:
        raise UnprovenError(f"{file} cannot be written: {error.strerror}") from error


def write(folder: Path, cycle: CycleRecord) -> None:
    """Write the record of a cycle."""
    write_private(file_of(folder, cycle, "json"), records.write(cycle))
