"""The emulated registry: what was pushed is given back by tag and digest, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import requests

from buildguard.docker.registry_names import REGISTRY, emulated_name
from buildguard.errors import UsageError
from buildguard.gcp.emulator.registry import RegistryEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "europe-west1-docker.pkg.dev/emulated/shop/web"
_LAYER = b"a layer"
_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[RegistryEmulator]:
    started = RegistryEmulator({"emulated"})
    yield started
    started.close()


def _push(registry: RegistryEmulator, name: str = _NAME, digest: str = _digest(_LAYER)) -> requests.Response:
    """A layer, as an engine pushes it: begun, sent in pieces, and closed with its digest."""
    begun = requests.post(f"{registry.address}/v2/{name}/blobs/uploads/", timeout=60)
    if begun.status_code != 202:
        return begun
    place = registry.address + begun.headers["Location"]
    requests.patch(place, data=iter([_LAYER[:3], _LAYER[3:]]), timeout=60)
    return requests.put(f"{place}?digest={digest}", timeout=60)


def _manifest() -> bytes:
    part = {"mediaType": "x", "size": len(_LAYER), "digest": _digest(_LAYER)}
    return json.dumps({"schemaVersion": 2, "mediaType": _TYPE, "config": part, "layers": [part]}).encode()


def test_what_was_pushed_is_given_back(registry: RegistryEmulator) -> None:
    place = f"{registry.address}/v2/{_NAME}"
    missing = requests.put(f"{place}/manifests/1", data=_manifest(), headers={"Content-Type": _TYPE}, timeout=60)
    layer = _push(registry)
    put = requests.put(f"{place}/manifests/1", data=_manifest(), headers={"Content-Type": _TYPE}, timeout=60)
    digest = put.headers["Docker-Content-Digest"]
    head = requests.head(f"{place}/manifests/{digest}", timeout=60)
    mounted = requests.post(f"{place}/blobs/uploads/?mount={_digest(_LAYER)}&from=x", timeout=60)

    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
    assert (layer.status_code, put.status_code, mounted.status_code) == (201, 201, 201)
    assert (head.headers["Content-Type"], head.headers["Docker-Content-Digest"]) == (_TYPE, _digest(_manifest()))
    assert requests.get(f"{place}/manifests/1", timeout=60).content == _manifest()
    assert requests.get(f"{place}/blobs/{_digest(_LAYER)}", timeout=60).content == _LAYER
    assert requests.get(f"{place}/tags/list", timeout=60).json()["tags"] == ["1"]
    host = registry.address.partition("//")[2]
    assert registry.resolve(f"{_NAME}:1") == registry.resolve(f"{_NAME}@{digest}") == f"{host}/{_NAME}@{digest}"
    assert registry.resolve(f"{_NAME}:2") == f"{_NAME}:2", "it was not pushed here"


def test_damaged_layers_and_other_manifests_are_refused(registry: RegistryEmulator) -> None:
    assert _push(registry, digest=_digest(b"other")).json()["errors"][0]["code"] == "DIGEST_INVALID"
    assert not registry.has_blob(_digest(b"other"))
    wrong = requests.put(f"{registry.address}/v2/{_NAME}/manifests/{_digest(b'x')}", data=b"{}", timeout=60)
    assert wrong.status_code == 400
    broken = requests.put(f"{registry.address}/v2/{_NAME}/manifests/1", data=b"[1]", timeout=60)
    assert broken.json()["errors"][0]["code"] == "MANIFEST_INVALID"


def test_another_project_is_denied_as_google_denies_it(registry: RegistryEmulator) -> None:
    answer = _push(registry, "europe-west1-docker.pkg.dev/other/shop/web")

    assert answer.status_code == 403
    (error,) = answer.json()["errors"]
    assert error["code"] == "DENIED"
    assert "projects/other/locations/europe-west1/repositories/shop" in error["message"]


def test_only_images_of_google_lead_to_it_and_only_on_loopback() -> None:
    environ = {REGISTRY: "http://127.0.0.1:5000"}

    assert emulated_name(f"{_NAME}:1", environ) == f"127.0.0.1:5000/{_NAME}:1"
    assert emulated_name("gcr.io/emulated/web", environ) == "127.0.0.1:5000/gcr.io/emulated/web"
    for other in ("python:3.11-slim", "localhost:5000/x", "example.com/docker.pkg.dev/x", "ghcr.io/a/b"):
        assert emulated_name(other, environ) == ""
    assert emulated_name(_NAME, {}) == ""
    for text in ("http://registry.example:5000", "https://127.0.0.1:5000", "http://127.0.0.1"):
        with pytest.raises(UsageError, match="no registry on this machine"):
            emulated_name(_NAME, {REGISTRY: text})
