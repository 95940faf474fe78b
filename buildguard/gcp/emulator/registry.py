"""A container registry on loopback, as Artifact Registry answers: what an engine needs to push and to pull, by digest.

Docker's Registry API, version 2. `europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE` is a name below its own
address, since an engine believes a registry on loopback without a certificate. Layers lie on the disk, in a folder that goes with the registry.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.docker import client as daemons
from buildguard.docker import registry_names
from buildguard.errors import UnprovenError
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.system.temporary import folder_of

_NAME = r"(?P<name>[a-z0-9][a-z0-9._/-]*)"
_BLOB = lazy_pattern(rf"/v2/{_NAME}/blobs/(?P<digest>sha256:[0-9a-f]{{64}})")
_UPLOADS = lazy_pattern(rf"/v2/{_NAME}/blobs/uploads/?")
_UPLOAD = lazy_pattern(rf"/v2/{_NAME}/blobs/uploads/(?P<id>[0-9a-f]{{32}})")
_MANIFEST = lazy_pattern(rf"/v2/{_NAME}/manifests/(?P<reference>[\w.:-]+)")
_TAGS = lazy_pattern(rf"/v2/{_NAME}/tags/list")
_DIGEST = lazy_pattern(r"sha256:[0-9a-f]{64}")
_LARGEST_MANIFEST = 4 << 20


class PushedManifest(NamedTuple):
    """A manifest as it was pushed."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its digest: the image's own."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


class RegistryError(Exception):
    """What the registry answers in place of a result."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class RegistryEmulator:
    """The images of some projects."""

    def __init__(self, projects: Container[str]) -> None:
        """Only images of these `projects` are taken and given."""
        self._projects = projects
        self._folder = folder_of(self)
        self._manifests: dict[str, dict[str, PushedManifest]] = {}  # by name, then by digest and by tag
        self._lock = threading.Lock()
        registry = self

        class BoundRegistryHandler(_RegistryHandler):
            owner = registry

        self._web = HttpServer(BoundRegistryHandler, "registry emulator")

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._web.address

    def engine_name(self, reference: str) -> str:
        """The name by which an engine pushes an image of Google's here; any other as it is."""
        environ = {registry_names.REGISTRY: self.address}
        return registry_names.emulated_name(reference, environ) or reference

    def resolve(self, reference: str) -> str:
        """The name, with the digest, by which an engine has an image that was pushed here; any other as it is."""
        name, at, digest = reference.partition("@")
        if not at:
            slash, colon = name.rfind("/"), name.rfind(":")
            name, tag = (name[:colon], name[colon + 1 :]) if colon > slash else (name, "latest")
            with self._lock:
                manifest = self._manifests.get(name, {}).get(tag)
            digest = manifest.digest if manifest is not None else ""
        with self._lock:
            is_here = digest in self._manifests.get(name, {})
        return self.engine_name(f"{name}@{digest}") if is_here else reference

    def close(self) -> None:
        """Answer no more, and remove the names that the engine has of what was pushed here."""
        self._web.close()
        if self._manifests:
            with suppress(UnprovenError):
                _forget(self.address.partition("//")[2])

    # -------------------------------------------------------------------------------------- what it holds

    def check(self, name: str) -> None:
        """Raise what Google answers for an image of a project that the caller has no access to."""
        host, _, path = name.partition("/")
        project = path.partition("/")[0]
        if project not in self._projects:
            what = f"projects/{project}/locations/{host.removesuffix('-docker.pkg.dev')}/repositories/"
            what += path.partition("/")[2].partition("/")[0]
            right = "artifactregistry.repositories.downloadArtifacts"
            message = f"Permission '{right}' denied on resource '{what}' (or it may not exist)"
            raise RegistryError(403, "DENIED", message)

    def blob(self, digest: str) -> Path:
        """The file of a layer or of a configuration; raises RegistryError where it was not pushed."""
        if not self.has_blob(digest):
            raise RegistryError(404, "BLOB_UNKNOWN", f"blob unknown to registry: {digest}")
        return self._folder / digest.partition(":")[2]

    def has_blob(self, digest: str) -> bool:
        """Whether a layer or a configuration is here, of whatever image."""
        return _DIGEST.fullmatch(digest) is not None and (self._folder / digest.partition(":")[2]).is_file()

    def upload(self, identity: str) -> Path:
        """The file of an upload that is under way."""
        return self._folder / f"upload-{identity}"

    def finish(self, identity: str, digest: str) -> None:
        """Take an upload that is complete; raises RegistryError where its bytes are others."""
        path = self.upload(identity)
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found != digest:
            path.unlink()
            raise RegistryError(400, "DIGEST_INVALID", f"provided digest did not match uploaded content: {found}")
        path.replace(self._folder / digest.partition(":")[2])

    def manifest(self, name: str, reference: str) -> PushedManifest:
        """A manifest by its tag or digest; raises RegistryError where it was not pushed."""
        with self._lock:
            found = self._manifests.get(name, {}).get(reference)
        if found is None:
            raise RegistryError(404, "MANIFEST_UNKNOWN", f"manifest unknown: {name}:{reference}")
        return found

    def put(self, name: str, reference: str, manifest: PushedManifest) -> None:
        """Take a manifest whose parts are here; raises RegistryError."""
        if reference.startswith("sha256:") and reference != manifest.digest:
            raise RegistryError(400, "DIGEST_INVALID", "the manifest has another digest")
        for digest in _parts(manifest):
            self.blob(digest)
        with self._lock:
            self._manifests.setdefault(name, {}).update({manifest.digest: manifest, reference: manifest})

    def tags(self, name: str) -> list[str]:
        """The tags of an image."""
        with self._lock:
            return sorted(tag for tag in self._manifests.get(name, {}) if not tag.startswith("sha256:"))


def _parts(manifest: PushedManifest) -> Iterator[str]:
    """The digests of what an image is made of; of a list of images nothing, since its images came before it."""
    try:
        fields = json.loads(manifest.data)
        parts = [*([fields["config"]] if "config" in fields else []), *fields.get("layers", [])]
        yield from [str(part["digest"]) for part in parts if not part.get("urls")]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RegistryError(400, "MANIFEST_INVALID", "the manifest cannot be read") from error


def _forget(address: str) -> None:
    """Remove an engine's names that lead to a registry; an image with other names stays."""
    daemon = daemons.connect()
    try:
        with daemons.translate_errors("listing images"):
            listed = daemon.api.images()
        for image in listed:
            for name in [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])]:
                if name.startswith(f"{address}/"):
                    with suppress(UnprovenError), daemons.translate_errors("removing a name"):
                        daemon.api.remove_image(name, noprune=False)
    finally:
        daemon.close()


class _RegistryHandler(Handler):
    """Requests, by method and path."""

    owner: RegistryEmulator

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_HEAD(self) -> None:
        self._serve(self._get)

    def do_POST(self) -> None:
        self._serve(self._begin_upload)

    def do_PATCH(self) -> None:
        self._serve(self._continue_upload)

    def do_PUT(self) -> None:
        self._serve(self._put)

    def _serve(self, act: Any) -> None:
        split = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(split.query).items()}
        try:
            if (match := re.fullmatch(rf"/v2/{_NAME}/(?:blobs|manifests|tags)/.*", split.path)) is not None:
                self.owner.check(match["name"])
            act(split.path, query)
        except RegistryError as error:
            for _piece in self.pieces():  # what is left unread would be taken for the next request
                pass
            body = json.dumps({"errors": [{"code": error.code, "message": error.message}]}).encode()
            self._send(error.status, body, {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Docker-Distribution-Api-Version": "registry/2.0", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _get(self, path: str, _query: dict[str, str]) -> None:
        if path in {"/v2", "/v2/"}:
            self._send(200, b"{}", {"Content-Type": "application/json"})
        elif (match := _MANIFEST.fullmatch(path)) is not None:
            manifest = self.owner.manifest(match["name"], match["reference"])
            headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": manifest.digest}
            self._send(200, manifest.data, headers)
        elif (match := _BLOB.fullmatch(path)) is not None:
            self._send_blob(match["digest"])
        elif (match := _TAGS.fullmatch(path)) is not None:
            body = json.dumps({"name": match["name"], "tags": self.owner.tags(match["name"])}).encode()
            self._send(200, body, {"Content-Type": "application/json"})
        else:
            raise RegistryError(404, "UNSUPPORTED", path)

    def _send_blob(self, digest: str) -> None:
        path = self.owner.blob(digest)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Docker-Content-Digest", digest)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        if self.command != "HEAD":
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    self.wfile.write(piece)

    def _begin_upload(self, path: str, query: dict[str, str]) -> None:
        match = _UPLOADS.fullmatch(path)
        if match is None:
            raise RegistryError(404, "UNSUPPORTED", path)
        name = match["name"]
        mounted = query.get("mount", "")
        if self.owner.has_blob(mounted):
            self._created(f"/v2/{name}/blobs/{mounted}", mounted)
            return
        identity = uuid.uuid4().hex
        self.owner.upload(identity).touch()
        if "digest" in query:
            self._append(identity)
            self.owner.finish(identity, query["digest"])
            self._created(f"/v2/{name}/blobs/{query['digest']}", query["digest"])
        else:
            self._accepted(name, identity)

    def _continue_upload(self, path: str, _query: dict[str, str]) -> None:
        match = _UPLOAD.fullmatch(path)
        if match is None or not self.owner.upload(match["id"]).is_file():
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", path)
        self._append(match["id"])
        self._accepted(match["name"], match["id"])

    def _put(self, path: str, query: dict[str, str]) -> None:
        if (match := _MANIFEST.fullmatch(path)) is not None:
            data = b"".join(self.pieces())
            if len(data) > _LARGEST_MANIFEST:
                raise RegistryError(413, "MANIFEST_INVALID", "the manifest is too large")
            manifest = PushedManifest(data, self.headers.get("Content-Type", ""))
            self.owner.put(match["name"], match["reference"], manifest)
            self._created(f"/v2/{match['name']}/manifests/{manifest.digest}", manifest.digest)
        elif (match := _UPLOAD.fullmatch(path)) is not None and self.owner.upload(match["id"]).is_file():
            self._append(match["id"])
            self.owner.finish(match["id"], query.get("digest", ""))
            self._created(f"/v2/{match['name']}/blobs/{query['digest']}", query["digest"])
        else:
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", path)

    def _append(self, identity: str) -> None:
        with self.owner.upload(identity).open("ab") as file:
            for piece in self.pieces():
                file.write(piece)

    def _accepted(self, name: str, identity: str) -> None:
        size = self.owner.upload(identity).stat().st_size
        headers = {"Location": f"/v2/{name}/blobs/uploads/{identity}", "Range": f"0-{max(size - 1, 0)}"}
        self._send(202, b"", {**headers, "Docker-Upload-UUID": identity})

    def _created(self, location: str, digest: str) -> None:
        self._send(201, b"", {"Location": location, "Docker-Content-Digest": digest})
