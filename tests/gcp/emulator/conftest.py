"""What the tests of the emulator share: one that runs, and archives in its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buildguard.gcp.emulator.server import Emulator
from buildguard.gcp.storage import StorageClient
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildguard.project.source_archive import PackedArchive
    from tests.conftest import Project

BUCKET = "emulated_cloudbuild"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Emulator]]:
    """Start the emulator with some faults; Google's clients in this process are pointed at it."""
    started: list[Emulator] = []

    def start(*faults: str, **options: Any) -> Emulator:
        made = Emulator(faults, **options)
        started.append(made)
        made.storage.buckets.owners[BUCKET] = "emulated"
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        return made

    yield start
    for one in started:
        one.close()


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[Project], tuple[str, PackedArchive]]:
    """Send the archive of a repository's commit to the bucket; its address, and what was packed."""

    def send(project: Project) -> tuple[str, PackedArchive]:
        repository = gits.repository_of(project.path)
        assert repository is not None
        archive = tmp_path / "sent.tgz"
        packed = pack(commit_of(repository, "HEAD"), archive)
        with StorageClient() as storage:
            stored = storage.upload(archive, BUCKET, f"source/{packed.written.file_digest}.tgz").uploaded
        return stored.url, packed

    return send
