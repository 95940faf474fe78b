"""What the tests with containers share: images that are removed again, and a look at what was left behind."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import docker
import pytest

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
    ours = {str(os.getpid()), str(os.getppid())}
    return [one["Id"] for one in found if not ours & set(one["Labels"]["buildguard.owner"].split())]


@pytest.fixture
def spotless(engine: str) -> Iterator[None]:
    """Nothing that this test ran leaves a container; those of tests at the same time have living owners."""
    before = set(leftovers())
    yield
    left = [one for one in leftovers() if one not in before and _is_orphan(one)]
    assert not left


def _is_orphan(identity: str) -> bool:
    try:
        owner = images.api().inspect_container(identity)["Config"]["Labels"]["buildguard.owner"]
    except docker.errors.NotFound:
        return False
    return not os.path.exists(f"/proc/{owner.split()[1]}")
