"""The JUnit files that a verify command wrote: those in a folder of ours, and the one that it names itself."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from buildguard.cycles import junit
from buildguard.definitions import lazy_pattern
from buildguard.system.walk import files_below

ANY, PYTEST = "junit.xml", "pytest.xml"
_OWN = lazy_pattern(r"""--junit-?xml(?:=|\s+)(?P<quote>["']?)(?P<path>[^\s"'$;|&]+)(?P=quote)""")
_DOCUMENT = lazy_pattern(rb"(?=<\?xml\b)")
_LOST = b""  # in place of what is too much to read: no JUnit file, and so no proof
_PAUSE = 0.1  # seconds, after which the reader looks whether it may end
_CHUNK = 1 << 16


class Reports:
    """The JUnit files of one run; files that are older than the run do not count."""

    def __init__(self, folder: Path, command: str, cwd: Path) -> None:
        """`folder` is ours and empty, `command` holds every option that the run gets."""
        self._folder = folder
        self._own = {cwd / match["path"] for match in _OWN.finditer(command)}
        self._before = {path: _state(path) for path in self._own}
        self._pipe = _Pipe(folder / PYTEST)

    def __enter__(self) -> Self:
        self._pipe.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._pipe.close()

    def written(self) -> list[bytes]:
        """The content of each file that the run wrote, and an empty one where they are too large to be read."""
        self._pipe.close()
        fresh = [path for path in sorted(self._own) if _state(path) not in {None, self._before[path]}]
        contents = self._pipe.documents()
        left = junit.MOST_BYTES - sum(map(len, contents))
        for path in [*self._in_folder(), *fresh]:
            content = _content(path, max(left, 0) + 1)
            if content is not None:
                contents.append(content)
                left -= len(content)
            if left < 0:
                return [*contents, _LOST]
        return contents

    def _in_folder(self) -> Iterator[Path]:
        return (path for path in map(Path, files_below(str(self._folder))) if path.suffix == ".xml")


class _Pipe:
    """A named pipe in place of a file: a second pytest of the same command cannot write over what the first one wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends: list[int] = []
        self._data = bytearray()
        self._is_full = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        with suppress(OSError):  # where a disk has no pipes, a file will do
            os.mkfifo(self._path)
            self._ends.append(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK))
            self._ends.append(os.open(self._path, os.O_WRONLY))  # ours, so that no reader comes to an end
            self._thread.start()

    def close(self) -> None:
        """Read what is left, and end."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        while self._ends:
            os.close(self._ends.pop())

    def documents(self) -> list[bytes]:
        """Each document that was written, as far as it was."""
        pieces = _DOCUMENT.split(bytes(self._data))
        return [*(piece for piece in pieces if piece.strip()), *[_LOST] * self._is_full]

    def _read(self) -> None:
        while True:
            ending = self._closing.is_set()
            ready, _, _ = select.select(self._ends[:1], [], [], 0 if ending else _PAUSE)
            if ready:
                piece = os.read(self._ends[0], _CHUNK)
                self._is_full |= len(self._data) + len(piece) > junit.MOST_BYTES
                if not self._is_full:  # what is more is read, so that its writer ends, and not kept
                    self._data += piece
            elif ending:
                return


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes as a file is written; None for a path that does not exist."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None


def _content(path: Path, most: int) -> bytes | None:
    """A regular file's first bytes; None for anything else."""
    with suppress(OSError), open(path, "rb", opener=_opener) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read(most)
    return None


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nothing writes to would never open
