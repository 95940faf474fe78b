"""Cloud Storage: an archive put into a bucket and proven to lie there, and an object read as it is. A thin edge.

gcloud compares sizes only, and Google's client does not look at the hash that comes back of a small upload: so size, md5
and crc32c are compared here, and the generation is pinned.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import GuardError, Reason, UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.auth import PATIENCE, translate_errors, translate_http_errors
from buildguard.gcp.connection import Connection

_CHUNK = 1 << 20
_TIMEOUT = (10, 60)  # seconds to connect, and between bytes
_URL = lazy_pattern(
    r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/(?P<name>[^\s#]+)(?:#(?P<generation>[1-9]\d{0,18}))?"
)
_TYPE = "application/gzip"


class ChangedError(GuardError):
    """The object in the bucket is not what was sent: a finding. `stored` is that object, if known."""

    exit_code = 1
    reason = Reason.CHANGED

    def __init__(self, what: str, *, hint: str = "upload it again", stored: StoredObject | None = None) -> None:
        super().__init__(what, hint=f"{hint}; the file here is as it was")
        self.current_object = stored


class ObjectHashes(NamedTuple):
    """What Cloud Storage reports of an object's bytes, as hexadecimal digits; `md5` is empty for a composed object."""

    size: int
    md5: str
    crc32c: str

    def differs(self, other: ObjectHashes, first: str = "was sent", second: str = "is there") -> str:
        """What differs, in words; empty where nothing does."""
        for name, ours, theirs in (
            ("size", self.size, other.size),
            ("md5", self.md5, other.md5),
            ("crc32c", self.crc32c, other.crc32c),
        ):
            if ours != theirs and "" not in {ours, theirs}:
                return f"{name} {ours} {first}, {theirs} {second}"
        return ""


class StoredObject(NamedTuple):
    """One generation of an object, and its hashes as the bucket reports them."""

    bucket: str
    name: str
    generation: int
    hashes: ObjectHashes

    @property
    def url(self) -> str:
        """`gs://bucket/object#generation`."""
        return f"gs://{self.bucket}/{self.name}#{self.generation}"


class UploadResult(NamedTuple):
    """What an upload came to: the object, and whether a twin was there already, or another one in its place."""

    uploaded: StoredObject
    reused: bool = False
    replaced: StoredObject | None = None


class ObjectUrl(NamedTuple):
    """`gs://bucket/object#generation`; the generation is 0 where none is named."""

    bucket: str
    name: str
    generation: int

    @classmethod
    def parse(cls, text: str) -> ObjectUrl:
        """Raises UsageError for what is none."""
        match = _URL.fullmatch(text)
        if match is None:
            raise UsageError(f"'{text}' names no object", hint="gs://bucket/object, or gs://bucket/object#generation")
        return cls(match["bucket"], match["name"], int(match["generation"] or 0))


def default_bucket(project: str) -> str:
    """The bucket that Cloud Build uses for a project by itself, as gcloud names it."""
    return f"{project.replace(':', '_').replace('.', '_').replace('google', 'elgoog')}_cloudbuild"


def hashes_of(file: Path) -> ObjectHashes:
    """The hashes of a file on this disk."""
    with open(file, "rb") as data:
        return _hash_stream(data)[1]


class StorageClient(Connection):
    """A connection to Cloud Storage, or to an emulator of it."""

    def __init__(self, project: str = "", patience: float = 0) -> None:
        """`patience` are the seconds that a request may be tried again for (0: the usual ones).

        Raises UnprovenError where there are no credentials, UsageError for an emulator that is not on loopback.
        """
        local = auth.emulator(auth.STORAGE)
        with translate_errors("reaching Cloud Storage"):
            from google.cloud import storage
            from google.cloud.storage.retry import DEFAULT_RETRY

            if local is not None:
                from google.auth.credentials import AnonymousCredentials

                self.project = project or auth.project() or "emulated"
                self._client = storage.Client(project=self.project, credentials=AnonymousCredentials())
            else:
                credentials, own = auth.credentials()
                self.project = project or own
                self._client = storage.Client(project=self.project or None, credentials=credentials)
            self._clients = (self._client,)
            self._retry = DEFAULT_RETRY.with_timeout(patience or PATIENCE)

    def ensure(self, bucket: str, project: str, location: str = "") -> str:
        """The bucket for a project's sources: the one that is named, else Cloud Build's own, made in `location` if missing.

        Raises UnprovenError for a default bucket that does not belong to the project: another project may have taken its
        name, and would get the source. One that is configured was chosen by name, so nothing is listed for it.
        """
        from google.api_core.exceptions import Conflict, Forbidden, NotFound

        name = bucket or default_bucket(project)
        with translate_http_errors(f"looking for the bucket {name}"):
            try:
                self._client.get_bucket(name, timeout=_TIMEOUT, retry=self._retry)
            except NotFound:
                with suppress(Conflict):  # another run created it meanwhile
                    self._client.create_bucket(
                        name,
                        project=project,
                        location=None if location in {"", "global"} else location,
                        timeout=_TIMEOUT,
                        retry=self._retry,
                    )
            except Forbidden:
                if not bucket:
                    raise
            if bucket:
                return name
            owned = self._client.list_buckets(project=project, prefix=name, timeout=_TIMEOUT, retry=self._retry)
            if name not in {candidate.name for candidate in owned}:
                raise UnprovenError(
                    f"the bucket {name} does not belong to the project {project}",
                    hint='name one that does: [tool.buildguard.cloud] bucket = "…"',
                )
        return name

    def look(self, url: ObjectUrl) -> StoredObject:
        """The bucket's record of an object; raises UnprovenError if it does not exist."""
        with translate_http_errors(f"reading {url.bucket}/{url.name}"):
            blob = self._client.bucket(url.bucket).blob(url.name, generation=url.generation or None)
            blob.reload(timeout=_TIMEOUT, retry=self._retry)
            return _stored_object(blob)

    def upload(
        self, file: Path, bucket: str, name: str, progress: Callable[[int], object] = lambda _bytes: None
    ) -> UploadResult:
        """Put a file into a bucket under a name of its own, and compare what the bucket has with it.

        Create-only: a twin that is already there is reused, one with other bytes is replaced under its own generation.
        Raises ChangedError where the bucket reports other hashes than those of the file.
        """
        ours = hashes_of(file)
        stored = self._put(file, bucket, name, 0, progress)
        if stored is not None:
            return UploadResult(_verify_object(stored, ours))
        current = self.look(ObjectUrl(bucket, name, 0))
        if not current.hashes.differs(ours):
            return UploadResult(current, reused=True)
        stored = self._put(file, bucket, name, current.generation, progress)
        if stored is None:
            raise UnprovenError(f"{current.url} changes while it is written", hint="another run uploads too: try again")
        return UploadResult(_verify_object(stored, ours), replaced=current)

    def _put(
        self, file: Path, bucket: str, name: str, over: int, progress: Callable[[int], object]
    ) -> StoredObject | None:
        """Replace generation `over` of an object (0: create it); None if there is another generation by now."""
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud.storage.exceptions import DataCorruption

        with translate_http_errors(f"uploading to {bucket}"), open(file, "rb") as data:
            blob = self._client.bucket(bucket).blob(name)
            try:
                blob.upload_from_file(
                    _ProgressFile(data, progress),
                    size=os.fstat(data.fileno()).st_size,
                    content_type=_TYPE,
                    if_generation_match=over,
                    timeout=_TIMEOUT,
                    checksum="crc32c",
                    retry=self._retry,
                )
                # what the answer to the upload says is what was received; the object itself is asked for
                blob = self._client.bucket(bucket).blob(name, generation=blob.generation)
                blob.reload(timeout=_TIMEOUT, retry=self._retry)
            except PreconditionFailed:
                return None
            except DataCorruption as error:
                raise ChangedError(f"gs://{bucket}/{name} was changed on its way into the bucket") from error
            return _stored_object(blob)

    def create(self, bucket: str, name: str, data: bytes, over: int = 0) -> int | None:
        """Replace generation `over` of a small object (0: create it); the new generation, None if there is another one."""
        from google.api_core.exceptions import PreconditionFailed

        with translate_http_errors(f"writing {bucket}/{name}"):
            blob = self._client.bucket(bucket).blob(name)
            try:
                blob.upload_from_string(
                    data, content_type="application/json", if_generation_match=over, timeout=_TIMEOUT, retry=self._retry
                )
            except PreconditionFailed:
                # a try whose answer was lost may have made it
                current = self._client.bucket(bucket).blob(name)
                current.reload(timeout=_TIMEOUT, retry=self._retry)
                mine = (
                    current.md5_hash
                    and base64.b64decode(current.md5_hash) == hashlib.md5(data, usedforsecurity=False).digest()
                )
                return int(current.generation) if mine and current.generation != over else None
            return int(blob.generation)

    def remove(self, bucket: str, name: str, generation: int) -> None:
        """Delete one generation of an object; one that is gone is no trouble."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with translate_http_errors(f"removing {bucket}/{name}"), suppress(NotFound, PreconditionFailed):
            blob = self._client.bucket(bucket).blob(name)
            blob.delete(if_generation_match=generation, timeout=_TIMEOUT, retry=self._retry)

    def names(self, bucket: str, prefix: str) -> list[str]:
        """The names of a bucket's objects below a prefix."""
        with translate_http_errors(f"listing {bucket}/{prefix}"):
            blobs = self._client.list_blobs(bucket, prefix=prefix, timeout=_TIMEOUT, retry=self._retry)
            return [str(blob.name) for blob in blobs]

    def since(self, bucket: str, name: str, start: int) -> bytes:
        """What an object holds from a byte on; empty where there is no such byte, or no such object, yet."""
        from google.api_core.exceptions import NotFound, RequestRangeNotSatisfiable

        with translate_http_errors(f"reading {bucket}/{name}"):
            try:
                blob = self._client.bucket(bucket).blob(name)
                data: bytes = blob.download_as_bytes(
                    start=start, raw_download=True, timeout=_TIMEOUT, checksum=None, retry=None
                )
            except (NotFound, RequestRangeNotSatisfiable):
                return b""
            return data

    def content(self, url: str) -> bytes:
        """The newest generation of a small object."""
        out = io.BytesIO()
        self.download(self.look(ObjectUrl.parse(url)), out)
        return out.getvalue()

    def download(self, stored: StoredObject, out: BinaryIO) -> str:
        """Fetch one generation as it is stored, not decompressed on the way; its SHA-256.

        Raises UnprovenError where what comes is, twice, not what the bucket reports of it.
        """
        why = ""
        for _ in range(2):
            out.seek(0)
            out.truncate()
            with translate_http_errors(f"downloading {stored.url}"):
                blob = self._client.bucket(stored.bucket).blob(stored.name, generation=stored.generation)
                blob.download_to_file(out, raw_download=True, timeout=_TIMEOUT, checksum=None, retry=self._retry)
            out.seek(0)
            digest, hashes = _hash_stream(out)
            why = stored.hashes.differs(hashes, "is there", "came")
            if not why:
                out.seek(0)
                return digest
        raise UnprovenError(
            f"{stored.url} cannot be read as it is stored: {why}", hint="look at the network, and try again"
        )


class _ProgressFile:
    """A file whose reader is told how far it is."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], object]) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress(self._file.tell())
        return piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _hash_stream(file: BinaryIO) -> tuple[str, ObjectHashes]:
    import google_crc32c

    sha256, md5, crc32c, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), google_crc32c.Checksum(), 0
    while piece := file.read(_CHUNK):
        sha256.update(piece)
        md5.update(piece)
        crc32c.update(piece)
        size += len(piece)
    return sha256.hexdigest(), ObjectHashes(size, md5.hexdigest(), crc32c.digest().hex())


def _verify_object(stored: StoredObject, ours: ObjectHashes) -> StoredObject:
    why = ours.differs(stored.hashes)
    if why:
        raise ChangedError(f"{stored.url} is not what was sent: {why}", stored=stored)
    return stored


def _stored_object(blob: Any) -> StoredObject:
    md5, crc32c = (base64.b64decode(text or "").hex() for text in (blob.md5_hash, blob.crc32c))
    if blob.generation is None or blob.size is None or not crc32c:
        raise UnprovenError(f"gs://{blob.bucket.name}/{blob.name}: the bucket does not tell its hashes")
    return StoredObject(blob.bucket.name, blob.name, int(blob.generation), ObjectHashes(int(blob.size), md5, crc32c))
