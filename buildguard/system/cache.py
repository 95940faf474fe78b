"""Verdicts of earlier runs, by the digest of the bytes and everything else that they depend on.

The cache cannot lie: the bytes are read and hashed in every run, a row carries a checksum of its own, and
whatever is odd about the file (damaged, linked, another user's, written by another version) makes it empty.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING
from buildguard.system.home import home_folder

if TYPE_CHECKING:
    import sqlite3

_FILE = "verdicts-1.sqlite"
_TABLE = (
    "CREATE TABLE verdict (context BLOB NOT NULL, digest BLOB NOT NULL, verdict BLOB NOT NULL, checksum BLOB NOT NULL,"
    " PRIMARY KEY (context, digest)) WITHOUT ROWID"
)
_FEW = 400
_MOST_BYTES = 512 << 20


def cache_folder() -> Path:
    """Where the cache lies: BUILDGUARD_CACHE_DIR, else where XDG has caches."""
    if chosen := os.environ.get("BUILDGUARD_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache") / "buildguard"


def context_of(*parts: str) -> bytes:
    """The key of everything besides the bytes that a verdict depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data) + data)
    return digest.digest()


def digest_of_files(folder: Path, patterns: Iterable[str]) -> str:
    """The SHA-256 of the contents of a folder's files whose paths match, for a context; every run reads some hundred of them."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for name in sorted(glob.glob(pattern, root_dir=folder)):
            handle = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                status = os.fstat(handle)
                if stat.S_ISREG(status.st_mode):
                    digest.update(os.read(handle, status.st_size))
            finally:
                os.close(handle)
    return digest.hexdigest()


class Cache:
    """A store of verdicts, opened when it is first asked: a hook has other things to begin before.

    Every trouble with it is told once in `notes` and is never an error.
    """

    def __init__(self, where: Path | None) -> None:
        self._notes: list[str] = []
        self._where = where
        self._unopened = where
        self._connection: sqlite3.Connection | None = None
        self._writable = True
        self._tries = 0

    @property
    def notes(self) -> list[str]:
        """What is wrong with the file, one line each."""
        self._open_once()
        return self._notes

    @property
    def _db(self) -> sqlite3.Connection | None:
        """The connection; None where there is no file that can be used."""
        self._open_once()
        return self._connection

    def _open_once(self) -> None:
        where, self._unopened = self._unopened, None
        if where is not None:
            self._open(where)

    def known(self, context: bytes, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored verdicts of some digests; rows whose checksum does not fit do not count."""
        if self._db is None or not digests:
            return {}
        import _sqlite3 as sqlite3  # `sqlite3` itself loads `datetime`, for adapters that nothing here needs

        try:
            rows = self._rows(self._db, context, digests)
            wanted = set(digests)
            return {
                digest: verdict
                for digest, verdict, checksum in rows
                if digest in wanted and checksum == _checksum(context, digest, verdict)
            }
        except (sqlite3.Error, TypeError) as error:
            self._damaged(error)
            return {}

    @property
    def keeps(self) -> bool:
        """Whether what is stored is there for the next run."""
        return self._db is not None and self._writable

    def is_empty(self) -> bool:
        """Whether there is nothing to be found, so that nothing need be looked up."""
        import _sqlite3 as sqlite3

        if self._db is None:
            return True
        try:
            return self._db.execute("SELECT 1 FROM verdict LIMIT 1").fetchone() is None
        except sqlite3.Error as error:
            self._damaged(error)
            return True

    def store(self, context: bytes, verdicts: Mapping[bytes, bytes]) -> None:
        """Keep some verdicts, all or none of them."""
        if self._db is None or not self._writable or not verdicts:
            return
        import _sqlite3 as sqlite3

        # in the order of the table: each of its pages is then written once
        ordered = sorted(verdicts.items())
        rows = [(context, digest, verdict, _checksum(context, digest, verdict)) for digest, verdict in ordered]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            # full, locked for long, or read-only: the verdicts stand, they are just not kept
            self._notes.append(f"the cache could not be written: {error}")
        except sqlite3.Error as error:
            self._damaged(error)

    def close(self) -> None:
        """Let go of the file."""
        self._unopened = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @staticmethod
    def _rows(db: sqlite3.Connection, context: bytes, digests: Sequence[bytes]) -> Iterable[tuple[bytes, bytes, bytes]]:
        query = "SELECT digest, verdict, checksum FROM verdict WHERE context = ?"
        if len(digests) > _FEW:
            return db.execute(query, (context,)).fetchall()
        marks = ",".join("?" * len(digests))
        return db.execute(f"{query} AND digest IN ({marks})", (context, *digests)).fetchall()

    def _open(self, where: Path) -> None:
        import _sqlite3 as sqlite3

        try:
            where.mkdir(mode=0o700, parents=True, exist_ok=True)
            refusal = _why_untrusted(where, stat.S_ISDIR) or _why_untrusted(where / _FILE, stat.S_ISREG)
        except OSError as error:
            self._notes.append(f"the cache in {where} is not used: {error.strerror}")
            return
        if refusal:
            self._notes.append(f"the cache in {where} is not used: {refusal}")
            return
        try:
            self._connect(where / _FILE)
        except sqlite3.DatabaseError as error:
            self._damaged(error)

    def _connect(self, file: Path) -> None:
        import _sqlite3 as sqlite3

        self._writable = os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))
        if not self._writable:
            self._notes.append(f"the cache in {file.parent} is read-only: nothing new is kept")
            if not file.exists():
                return
            self._connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5, check_same_thread=False)
        else:
            # made by one thread and used by another, never by two at once
            self._connection = sqlite3.connect(file, timeout=5, check_same_thread=False)
            file.chmod(0o600)
            # A crash may lose or damage the file; both are noticed and cost no more than a cold run.
            self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA trusted_schema = OFF")
        self._check_schema(self._connection, file)

    def _check_schema(self, db: sqlite3.Connection, file: Path) -> None:
        import _sqlite3 as sqlite3

        tables = db.execute("SELECT sql FROM sqlite_master").fetchall()
        if not tables and self._writable:
            try:
                db.execute(_TABLE)
            except sqlite3.OperationalError:
                tables = db.execute("SELECT sql FROM sqlite_master").fetchall()
                if not tables:  # else another run was first
                    raise
        if tables and tables != [(_TABLE,)]:
            raise sqlite3.DatabaseError("it holds other tables than ours")
        db.execute("BEGIN")
        try:
            db.execute("SELECT 1 FROM sqlite_master").fetchall()  # from here on no other process writes
            pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            whole = int.from_bytes(_first_bytes(file)[28:32], "big") * size <= file.stat().st_size
        finally:
            db.execute("COMMIT")
        if not whole:
            raise sqlite3.DatabaseError("it is cut short")  # sqlite would read the rest as empty
        if pages * size > _MOST_BYTES:
            raise sqlite3.DatabaseError(f"it has outgrown {_MOST_BYTES >> 20} MB")

    def _damaged(self, error: Exception) -> None:
        """Start again: a damaged file is moved out of the way of this run and of every later one."""
        self.close()
        assert self._where is not None
        file = self._where / _FILE
        busy = "locked" in str(error)
        if not busy and self._writable:
            for leftover in (file, file.with_name(f"{_FILE}-journal")):
                try:
                    leftover.unlink(missing_ok=True)
                except OSError:
                    busy = True
        self._tries += 1
        again = not busy and self._writable and self._tries == 1
        self._notes.append(
            f"the cache in {self._where} {'is started again' if again else 'is not used this time'}: {error}"
        )
        if again:
            self._open(self._where)


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(100)


def _why_untrusted(path: Path, expected: object) -> str:
    """Why a file or folder of the cache cannot be trusted, empty where it can (or is not there)."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return ""
    if stat.S_ISLNK(status.st_mode):
        return f"{path.name} is a symbolic link"
    if not expected(status.st_mode):  # type: ignore[operator]
        return f"{path.name} is not what it should be"
    if status.st_uid != os.geteuid():
        return f"{path.name} belongs to another user"
    if status.st_mode & 0o022:
        return f"{path.name} can be written by others"
    return ""


def _checksum(context: bytes, digest: bytes, verdict: bytes) -> bytes:
    return hashlib.sha256(b"%d:%d:" % (len(digest), len(verdict)) + context + digest + verdict).digest()
