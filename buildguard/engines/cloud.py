"""The cloud engine: the target's image compiles every source in Cloud Build, in the workspace that it was sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from buildguard.engines.cloud_results import Told
from buildguard.engines.engine import Outcome, Ready, Source, Unavailable
from buildguard.engines.verify_interpreter import believe, full_name, identity_of
from buildguard.errors import UnprovenError


class Answer(NamedTuple):
    """What a build told of an image: its answers, and the digest of the image that its step ran in."""

    told: Told
    image_digest: str


class Cloud(Protocol):
    """The one build that all targets of a run are asked in."""

    def answer(self, image: str) -> Answer:
        """Wait for the build, started if need be; raises UnprovenError where it brings no answer for that image."""


class CloudEngine:
    """Hands out what the build answered."""

    name = "cloud"

    def __init__(self, cloud: Cloud, image: str, proof: str) -> None:
        self._cloud = cloud
        self._image = image
        self._proof = proof
        self._told: Told | None = None

    def begin(self) -> None:
        """Nothing: one build is for all targets, so it starts when the first of them needs it."""

    def prepare(self) -> Ready | Unavailable:
        """Wait for the build: which interpreter it is that answers, only that can tell."""
        try:
            answer = self._cloud.answer(self._image)
            told = answer.told
            believe(lambda sources: map(told.outcome, sources), told.greeting)
        except UnprovenError as error:
            return Unavailable(self.name, f"{self._image}: {error.what}", error.hint)
        except ValueError as error:
            return Unavailable(self.name, f"the answers of the build cannot be read: {error}")
        self._told = told
        return Ready(
            engine=self.name,
            proof=self._proof,
            interpreter=full_name(told.greeting),
            version=told.greeting.version,
            identity="\n".join((identity_of(told.greeting), answer.image_digest)),
            image=self._image,
            image_digest=answer.image_digest,
            libc=told.greeting.libc,
        )

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """What the build said of each."""
        assert self._told is not None
        try:
            yield from map(self._told.outcome, sources)
        except ValueError as error:
            raise UnprovenError(f"the answers of the build cannot be read: {error}") from error

    def close(self) -> None:
        """Nothing is held."""
