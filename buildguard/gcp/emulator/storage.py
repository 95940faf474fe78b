"""Cloud Storage's JSON API on loopback: buckets, generations, preconditions, hashes, ranges, both kinds of upload.

What Google's own client and gcloud need of it, and no more; the faults of the bucket.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from buildguard.definitions import lazy_pattern
from buildguard.gcp.emulator.faults import FaultName, Faults
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.uploads import ObjectGeneration, UploadSession

_OBJECT = lazy_pattern(r"/(?:download/)?storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
_OBJECTS = lazy_pattern(r"/storage/v1/b/(?P<bucket>[^/]+)/o")
_BUCKET = lazy_pattern(r"/storage/v1/b/(?P<bucket>[^/]+)")
_BUCKETS = lazy_pattern(r"/storage/v1/b")
_UPLOAD = lazy_pattern(r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o")
_PLAIN = lazy_pattern(r"/(?P<bucket>[a-z0-9][a-z0-9._-]+)/(?P<name>.+)")
_RANGE = lazy_pattern(r"bytes=(\d+)-(\d*)")
_BOUNDARY = lazy_pattern(r"boundary=[\"']?([^\"';]+)")
_FIRST_GENERATION = 1_700_000_000_000_001


class ApiError(Exception):
    """What the API answers in place of a result."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class BucketStore:
    """The objects of the buckets: every generation, the newest last; whose each bucket is."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.owners: dict[str, str] = {}
        self._objects: dict[tuple[str, str], list[ObjectGeneration]] = {}
        self._next = _FIRST_GENERATION
        self.lock = threading.RLock()

    def create(self, bucket: str, project: str) -> None:
        """Make a bucket; raises ApiError where the name is taken."""
        with self.lock:
            if bucket in self.owners:
                raise ApiError(409, "conflict", "You already own this bucket. Please select another name.")
            self.owners[bucket] = project

    def put(self, bucket: str, name: str, data: bytes, content_type: str, match: int | None) -> ObjectGeneration:
        """Add a generation, damaged where a fault says so; `match` is the one that has to be there, 0 for none."""
        with self.lock:
            self._known(bucket)
            several = self._objects.setdefault((bucket, name), [])
            now = several[-1].number if several else 0
            if match is not None and match != now:
                raise ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
            sent = data if not name.endswith(".json") else b""  # what is damaged are archives, not notes
            if sent and self.faults.takes(FaultName.FLIP_BYTE):
                at = len(data) // 2
                data = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]
            if sent and self.faults.takes(FaultName.TRUNCATE_OBJECT):
                data = data[: len(data) // 2]
            several.append(ObjectGeneration(self._next, data, content_type, _now()))
            self._next += 1
            return several[-1]

    def get(self, bucket: str, name: str, generation: int = 0) -> ObjectGeneration:
        """A generation, the newest unless one is named; raises ApiError if it is missing."""
        with self.lock:
            self._known(bucket)
            several = self._objects.get((bucket, name), [])
            matching = [candidate for candidate in several if generation in {0, candidate.number}]
            if not matching:
                raise ApiError(404, "notFound", f"No such object: {bucket}/{name}")
            return matching[-1]

    def another(self, bucket: str, name: str, number: int) -> ObjectGeneration:
        """Another generation than that one; if it is missing, one is made with other bytes."""
        with self.lock:
            several = self._objects[bucket, name]
            others = [candidate for candidate in several if candidate.number != number]
            if others:
                return others[-1]
            first = several[-1]
            several.insert(0, ObjectGeneration(first.number - 1, first.data[:-1], first.content_type))
            return several[0]

    def objects(self) -> list[tuple[tuple[str, str], list[ObjectGeneration]]]:
        """Every object by bucket and name, with its generations."""
        with self.lock:
            return list(self._objects.items())

    def write_log(self, bucket: str, name: str, data: bytes) -> None:
        """Write what no fault of the bucket touches."""
        with self.lock:
            self._objects[bucket, name] = [ObjectGeneration(self._next, data, "text/plain", _now())]
            self._next += 1

    def delete(self, bucket: str, name: str, generation: int = 0) -> None:
        """Remove a generation, the newest unless one is named; what it had replaced does not come back."""
        with self.lock:
            stored = self.get(bucket, name, generation)
            is_newest = stored is self._objects[bucket, name][-1]
            self._objects[bucket, name].remove(stored)
            if is_newest:
                del self._objects[bucket, name]

    def names(self, bucket: str, prefix: str) -> list[str]:
        """The objects whose names begin so."""
        with self.lock:
            self._known(bucket)
            return sorted(
                name
                for (where, name), several in self._objects.items()
                if where == bucket and several and name.startswith(prefix)
            )

    def _known(self, bucket: str) -> None:
        if self.faults.takes(FaultName.BUCKET_403):
            raise ApiError(403, "forbidden", f"the account does not have storage.objects.create access to {bucket}")
        if bucket not in self.owners:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")


class StorageServer:
    """The API on a port of loopback; a thread for each request."""

    def __init__(self, faults: Faults, projects: Container[str] | None = None) -> None:
        """Only buckets of these `projects` are listed and made; None for any."""
        self.buckets = BucketStore(faults)
        known = projects
        sessions: dict[str, UploadSession] = {}
        counter = itertools.count(1)

        class BoundStorageHandler(_StorageHandler):
            buckets = self.buckets
            uploads = sessions
            numbers = counter
            projects = known

        self._web = HttpServer(BoundStorageHandler, "storage emulator")

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, for STORAGE_EMULATOR_HOST."""
        return self._web.address

    def close(self) -> None:
        """Stop answering."""
        self._web.close()


class _StorageHandler(Handler):
    """Requests, by method and path."""

    buckets: BucketStore
    uploads: dict[str, UploadSession]
    numbers: Iterator[int]
    projects: Container[str] | None

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, act: Callable[[str, dict[str, str], bytes], None]) -> None:
        split = urlsplit(self.path)
        body = b"".join(self.pieces())
        query = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        try:
            self._in_trouble()
            self._check_project(query)
            act(split.path, query, body)
        except ApiError as error:
            self._json(
                {
                    "error": {
                        "code": error.status,
                        "message": error.message,
                        "errors": [{"reason": error.reason, "message": error.message}],
                    }
                },
                error.status,
            )

    def _in_trouble(self) -> None:
        for name, status in ((FaultName.HTTP_429, 429), (FaultName.HTTP_503, 503)):
            if self.buckets.faults.takes(name):
                raise ApiError(status, "backendError", "try again")

    def _check_project(self, query: Mapping[str, str]) -> None:
        if self.projects is not None and "project" in query and query["project"] not in self.projects:
            raise ApiError(404, "notFound", "The requested project was not found.")

    def _json(self, value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> None:
        self._send(json.dumps(value).encode(), "application/json; charset=UTF-8", status, headers)

    def _send(self, data: bytes, content_type: str, status: int, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    # -------------------------------------------------------------------------------------- methods

    def _get(self, path: str, query: dict[str, str], _body: bytes) -> None:
        for pattern, act in (
            (_OBJECT, self._get_object),
            (_OBJECTS, self._list_objects),
            (_BUCKET, self._get_bucket),
            (_BUCKETS, self._list_buckets),
            (_PLAIN, self._get_plain),
        ):
            match = pattern.fullmatch(path)
            if match is not None:
                act({name: unquote(value or "") for name, value in match.groupdict().items()}, query)
                return
        raise ApiError(404, "notFound", path)

    def _get_object(self, names: dict[str, str], query: dict[str, str]) -> None:
        bucket, name = names["bucket"], names["name"]
        stored = self.buckets.get(bucket, name, int(query.get("generation") or 0))
        self._matching(query, stored.number)
        if query.get("alt") == "media":
            self._media(stored, name)
        else:
            self._json(_resource(bucket, name, stored, self._address()))

    def _list_objects(self, names: dict[str, str], query: dict[str, str]) -> None:
        bucket = names["bucket"]
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        listed = self.buckets.names(bucket, prefix)
        folders = sorted({folder for name in listed if (folder := _folder_of(name, prefix, delimiter))})
        direct = [name for name in listed if not _folder_of(name, prefix, delimiter)]
        items = [_resource(bucket, name, self.buckets.get(bucket, name), self._address()) for name in direct]
        self._json({"kind": "storage#objects", "items": items, **({"prefixes": folders} if folders else {})})

    def _get_bucket(self, names: dict[str, str], _query: dict[str, str]) -> None:
        bucket = names["bucket"]
        if bucket not in self.buckets.owners:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")
        self._json({"kind": "storage#bucket", "id": bucket, "name": bucket})

    def _list_buckets(self, _names: dict[str, str], query: dict[str, str]) -> None:
        items = [
            {"kind": "storage#bucket", "id": name, "name": name}
            for name, owner in sorted(self.buckets.owners.items())
            if owner == query.get("project") and name.startswith(query.get("prefix", ""))
        ]
        self._json({"kind": "storage#buckets", "items": items})

    def _get_plain(self, names: dict[str, str], _query: dict[str, str]) -> None:
        self._media(self.buckets.get(names["bucket"], names["name"]), names["name"])

    def _post(self, path: str, query: dict[str, str], body: bytes) -> None:
        if _BUCKETS.fullmatch(path):
            name = _name({}, _parsed(body))
            self.buckets.create(name, query.get("project", ""))
            self._json({"kind": "storage#bucket", "id": name, "name": name})
            return
        match = _UPLOAD.fullmatch(path)
        if match is None:
            raise ApiError(404, "notFound", path)
        bucket = unquote(match["bucket"])
        wanted = int(query["ifGenerationMatch"]) if "ifGenerationMatch" in query else None
        if query.get("uploadType") == "resumable":
            metadata = _parsed(body)
            name = _name(query, metadata)
            number = f"{next(self.numbers)}"
            self.uploads[number] = UploadSession(bucket, name, metadata, wanted)
            place = f"{self._address()}/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={number}"
            self._json({}, 200, {"Location": place})
            return
        metadata, data = self._parts(body) if query.get("uploadType") == "multipart" else ({}, body)
        name = _name(query, metadata)
        self._store(UploadSession(bucket, name, metadata, wanted), data)

    def _put(self, _path: str, query: dict[str, str], body: bytes) -> None:
        session = self.uploads.get(query.get("upload_id", ""))
        if session is None:
            raise ApiError(410, "gone", "the upload is not known any more")
        try:
            is_complete = session.take(self.headers.get("Content-Range", ""), body)
        except ValueError as error:
            raise ApiError(400, "invalid", str(error)) from error
        if is_complete:
            self._finish(session)
            return
        headers = {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
        self._send(b"", "text/plain", 308, headers)

    def _finish(self, session: UploadSession) -> None:
        """End a resumable upload; a client that did not get the answer asks again, and gets the same object."""
        if session.stored is None:
            session.stored = self._stored(session, bytes(session.data))
        self._json(_resource(session.bucket, session.name, session.stored, self._address()))

    def _delete(self, path: str, query: dict[str, str], _body: bytes) -> None:
        match = _OBJECT.fullmatch(path)
        if match is None:
            raise ApiError(404, "notFound", path)
        self.buckets.delete(unquote(match["bucket"]), unquote(match["name"]), int(query.get("generation") or 0))
        self._send(b"", "application/json", 204)

    # -------------------------------------------------------------------------------------- parts of them

    def _store(self, session: UploadSession, data: bytes) -> None:
        stored = self._stored(session, data)
        self._json(_resource(session.bucket, session.name, stored, self._address()))

    def _stored(self, session: UploadSession, data: bytes) -> ObjectGeneration:
        metadata = session.metadata
        for field, expected in (("md5Hash", _md5(data)), ("crc32c", _crc32c(data))):
            if metadata.get(field) not in {None, expected}:
                raise ApiError(400, "invalid", f"Provided {field} does not match the calculated one.")
        for header in self.headers.get_all("X-Goog-Hash") or []:
            for part in header.split(","):
                kind, _, value = part.strip().partition("=")
                if (kind, value) not in {("md5", _md5(data)), ("crc32c", _crc32c(data))}:
                    raise ApiError(400, "invalid", f"Provided {kind} hash does not match the calculated one.")
        content_type = str(metadata.get("contentType") or "application/octet-stream")
        return self.buckets.put(session.bucket, session.name, data, content_type, session.match)

    def _parts(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        """The metadata and the content of a multipart upload, in the dialects of both of Google's libraries."""
        boundary = _BOUNDARY.search(self.headers.get("Content-Type", ""))
        if boundary is None:
            raise ApiError(400, "invalid", "no boundary")
        mark = b"--" + boundary[1].encode()
        newline = b"\r\n" if body.split(mark, 2)[1].startswith(b"\r\n") else b"\n"
        first, _, rest = body.partition(mark + newline)[2].partition(newline + mark + newline)
        data, _, _end = rest.rpartition(newline + mark + b"--")
        metadata = _parsed(first.partition(newline * 2)[2])
        head, _, content = data.partition(newline * 2)
        if "content-type" in head.lower().decode("latin-1") and "contentType" not in metadata:
            kinds = [
                line.partition(b":")[2].strip()
                for line in head.splitlines()
                if line.lower().startswith(b"content-type")
            ]
            metadata["contentType"] = kinds[0].decode("latin-1")
        return metadata, content

    def _media(self, stored: ObjectGeneration, name: str) -> None:
        if name.rpartition("/")[2].startswith("log-") and self.buckets.faults.takes(FaultName.LOG_403):
            raise ApiError(403, "forbidden", "does not have storage.objects.get access to the log")
        data, status, headers = stored.data, 200, {"X-Goog-Generation": str(stored.number)}
        headers["X-Goog-Hash"] = f"crc32c={_crc32c(data)},md5={_md5(data)}"
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is not None:
            first = int(wanted[1])
            last = min(int(wanted[2]) if wanted[2] else len(data) - 1, len(data) - 1)
            if first >= len(data):
                raise ApiError(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        self._send(data, stored.content_type, status, headers)

    def _matching(self, query: dict[str, str], now: int) -> None:
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != now:
            raise ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")

    def _address(self) -> str:
        return f"http://{self.headers.get('Host', '127.0.0.1')}"


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _crc32c(data: bytes) -> str:
    import google_crc32c

    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


def _parsed(body: bytes) -> dict[str, Any]:
    """The metadata of a request; raises ApiError for what is none."""
    try:
        fields = json.loads(body or b"{}")
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(400, "parseError", "Parse Error")
    return fields


def _name(query: Mapping[str, str], metadata: Mapping[str, Any]) -> str:
    """What a request is about; raises ApiError where it does not say so."""
    name = query.get("name") or metadata.get("name")
    if not isinstance(name, str):
        raise ApiError(400, "required", "Required")
    name.encode()  # half of a surrogate pair is no name
    return name


def _resource(bucket: str, name: str, stored: ObjectGeneration, address: str) -> dict[str, Any]:
    media = (
        f"{address}/download/storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}?generation={stored.number}&alt=media"
    )
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{stored.number}",
        "name": name,
        "bucket": bucket,
        "generation": str(stored.number),
        "metageneration": "1",
        "contentType": stored.content_type,
        "size": str(len(stored.data)),
        "md5Hash": _md5(stored.data),
        "crc32c": _crc32c(stored.data),
        "mediaLink": media,
        "storageClass": "STANDARD",
        "timeCreated": stored.written or _now(),
        "updated": stored.written or _now(),
    }


def _folder_of(name: str, prefix: str, delimiter: str) -> str:
    """The folder below a prefix that an object is in, with its delimiter; empty for one right below it."""
    rest = name[len(prefix) :]
    return prefix + rest.partition(delimiter)[0] + delimiter if delimiter and delimiter in rest else ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
