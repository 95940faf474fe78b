"""Which rights the bucket of a deploy needs: none to list buckets for one that is configured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions as api

from buildguard.errors import UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.storage import StorageClient


class _Buckets:
    """Google's client as far as buckets go, with what was asked of it."""

    def __init__(self, error: Exception | None = None, owned: tuple[str, ...] = ()) -> None:
        self.error = error
        self.owned = owned
        self.asked: list[str] = []
        self.location: str | None = None

    def get_bucket(self, name: str, **_options: Any) -> None:
        self.asked.append(f"get {name}")
        if self.error is not None:
            raise self.error

    def create_bucket(self, name: str, *, project: str, location: str | None, **_options: Any) -> None:
        self.asked.append(f"create {name} in {project}")
        self.location = location

    def list_buckets(self, **_options: Any) -> list[SimpleNamespace]:
        self.asked.append("list")
        return [SimpleNamespace(name=name) for name in self.owned]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> StorageClient:
    monkeypatch.setenv(auth.STORAGE, "http://127.0.0.1:1")
    return StorageClient("acme")


@pytest.mark.parametrize("error", [None, api.Forbidden("storage.buckets.get")])
def test_a_bucket_that_is_configured_is_not_listed(storage: StorageClient, error: Exception | None) -> None:
    """Not even its metadata has to be readable: what decides is whether objects can be written."""
    storage._client = buckets = _Buckets(error)

    assert storage.ensure("acme-builds", "acme") == "acme-builds"
    assert buckets.asked == ["get acme-builds"]


def test_the_default_bucket_has_to_be_the_projects(storage: StorageClient) -> None:
    """Another project may have taken its name, and would get the source."""
    storage._client = buckets = _Buckets()

    with pytest.raises(UnprovenError, match="acme_cloudbuild does not belong to the project acme"):
        storage.ensure("", "acme")
    assert buckets.asked == ["get acme_cloudbuild", "list"]


@pytest.mark.parametrize("location", ["europe-west1", "", "global"])
def test_a_default_bucket_is_made_where_the_builds_run(storage: StorageClient, location: str) -> None:
    storage._client = buckets = _Buckets(api.NotFound("acme_cloudbuild"), ("acme_cloudbuild",))

    assert storage.ensure("", "acme", location) == "acme_cloudbuild"
    assert buckets.asked == ["get acme_cloudbuild", "create acme_cloudbuild in acme", "list"]
    assert buckets.location == ("europe-west1" if location == "europe-west1" else None), (
        "global is no place of a bucket"
    )


def test_a_right_that_is_missing_for_the_default_bucket_is_named(storage: StorageClient) -> None:
    text = "deployer@acme.iam.gserviceaccount.com does not have storage.buckets.get access to the Google Cloud Storage bucket."
    storage._client = _Buckets(api.Forbidden(text))

    with pytest.raises(UnprovenError, match=r"storage\.buckets\.get") as raised:
        storage.ensure("", "acme")

    assert "--role=roles/storage.bucketViewer" in raised.value.hint
    assert "--member=serviceAccount:deployer@acme.iam.gserviceaccount.com" in raised.value.hint
