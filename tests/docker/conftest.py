"""What the tests with containers share: images that are removed again, and a look at what was left behind."""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import TYPE_CHECKING, Any

import docker
import pytest

from buildguard.system import owner as owners
from tests import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_numbers = itertools.count()


@pytest.fixture
def image(engine: str) -> Iterator[Callable[..., str]]:
    """Build an image on top of another one; it is removed after the test."""
    made: list[str] = []

    def make(
        parent: str, files: Mapping[str, str | bytes] | None = None, instructions: Iterable[str] = (), tag: str = ""
    ) -> str:
        tag = tag or f"{images.REPOSITORY}/made:{os.getpid()}-{next(_numbers)}"
        made.append(tag)
        return images.derived(tag, parent, files or {}, instructions)

    yield make
    for tag in made:
        images.api().remove_image(tag, force=True)


def leftovers() -> list[str]:
    """The containers that buildguard made and did not remove."""
    found = images.api().containers(all=True, filters={"label": "buildguard.owner"})
    ours = {os.getpid(), os.getppid()}
    return [one["Id"] for one in found if pid_of(one["Labels"]) not in ours]


def pid_of(labels: Mapping[str, str]) -> int:
    """The process that a label names; 0 for a label in another format."""
    holder = owners.parse(labels["buildguard.owner"])
    return holder.pid if holder is not None else 0


def owner(identity: str) -> int:
    """The process that made a container of buildguard's; 0 where there is no such container any more."""
    try:
        labels = images.api().inspect_container(identity)["Config"]["Labels"]
    except docker.errors.NotFound:
        return 0
    return pid_of(labels)


@pytest.fixture
def spotless(engine: str) -> Iterator[None]:
    """No process that this test starts leaves a container; tests at the same time may kill theirs on purpose."""
    started: set[int] = set()
    begin = subprocess.Popen.__init__

    def remember(self: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        started.add(self.pid)

    with pytest.MonkeyPatch.context() as patch:  # not the test's own, which is undone after this
        patch.setattr(subprocess.Popen, "__init__", remember)
        yield
    assert not [one for one in leftovers() if owner(one) in started]
