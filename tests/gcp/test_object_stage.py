"""An object of a bucket as a stage: which generation it was, and what is noted of it."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.storage import StorageServer
from buildguard.gcp.object_stage import ObjectSnapshotter, fetch
from buildguard.gcp.storage import ObjectUrl
from tests.docker.fakes import tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OLD, _NEW = (gzip.compress(tar_of({"main.py": text})) for text in (b"x = 1\n", b"x = 2\n"))


@pytest.fixture
def generations(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A bucket with two generations of an archive."""
    server = StorageServer(Faults())
    server.buckets.owners["acme_cloudbuild"] = "acme"
    monkeypatch.setenv(auth.STORAGE, server.address)
    yield (
        server.buckets.put("acme_cloudbuild", "s.tgz", _OLD, "application/gzip", None).number,
        server.buckets.put("acme_cloudbuild", "s.tgz", _NEW, "application/gzip", None).number,
    )
    server.close()


def test_without_a_generation_the_newest_is_read_and_named(generations: tuple[int, int]) -> None:
    stage = ObjectSnapshotter("gs://acme_cloudbuild/s.tgz")

    snapshot = stage.snapshot()

    assert f"gs://acme_cloudbuild/s.tgz is gs://acme_cloudbuild/s.tgz#{generations[1]} at this time" in snapshot.notes
    assert stage.originals([b"main.py"]) == {b"main.py": b"x = 2\n"}


def test_a_named_generation_is_the_one_that_is_read(generations: tuple[int, int]) -> None:
    stage = ObjectSnapshotter(f"gs://acme_cloudbuild/s.tgz#{generations[0]}")

    snapshot = stage.snapshot()

    assert not [note for note in snapshot.notes if "at this time" in note]
    assert dict(snapshot.digests)["generation"] == str(generations[0])
    assert dict(snapshot.digests)["md5"] == hashlib.md5(_OLD, usedforsecurity=False).hexdigest()
    assert stage.originals([b"main.py"]) == {b"main.py": b"x = 1\n"}


def test_fetching_writes_the_bytes_as_they_are(generations: tuple[int, int], tmp_path: Path) -> None:
    _digests, address = fetch(ObjectUrl("acme_cloudbuild", "s.tgz", 0), tmp_path / "got")

    assert (tmp_path / "got").read_bytes() == _NEW
    assert address == f"gs://acme_cloudbuild/s.tgz#{generations[1]}"


@pytest.mark.usefixtures("generations")
def test_a_missing_object_is_unproven_and_a_bad_address_a_mistake() -> None:
    with pytest.raises(UnprovenError):
        ObjectSnapshotter("gs://acme_cloudbuild/nothing.tgz").snapshot()
    with pytest.raises(UsageError):
        ObjectSnapshotter("gs://")
