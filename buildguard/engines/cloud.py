"""The cloud engine: the target's image compiles every source in Cloud Build, in the workspace that it was sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from buildguard.definitions import NamedTuple
from buildguard.engines.cloud_results import ProbeResults
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source, UnavailableEngine
from buildguard.engines.verify_interpreter import full_name, identity_of, verify_interpreter, why_no_witness
from buildguard.errors import UnprovenError
from buildguard.project.proof_grade import ProofGrade


class CloudAnswer(NamedTuple):
    """What a build told of an image: its answers, and the digest of the image that its step ran in."""

    results: ProbeResults
    image_digest: str


class CloudSession(Protocol):
    """The one build that all targets of a run are asked in."""

    def answer(self, image: str) -> CloudAnswer:
        """Wait for the build, started if need be; raises UnprovenError where it brings no answer for that image."""


class CloudEngine:
    """Hands out what the build answered."""

    name = EngineName.CLOUD

    def __init__(self, cloud: CloudSession, image: str, proof: ProofGrade) -> None:
        self._cloud = cloud
        self._image = image
        self._proof = proof
        self._results: ProbeResults | None = None

    def begin(self) -> None:
        """Nothing: one build is for all targets, so it starts when the first of them needs it."""

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        """Wait for the build: which interpreter it is that answers, only that can tell."""
        try:
            answer = self._cloud.answer(self._image)
            results = answer.results
            verify_interpreter(lambda sources: map(results.outcome, sources), results.greeting)
        except UnprovenError as error:
            return UnavailableEngine(self.name, f"{self._image}: {error.what}", error.hint)
        except ValueError as error:
            return UnavailableEngine(self.name, f"the answers of the build cannot be read: {error}")
        if reason := why_no_witness(results.greeting, self._image):
            return UnavailableEngine(self.name, reason)
        self._results = results
        return ReadyEngine(
            engine=self.name,
            proof=self._proof,
            interpreter=full_name(results.greeting),
            version=results.greeting.version,
            identity="\n".join((identity_of(results.greeting), answer.image_digest)),
            image=self._image,
            image_digest=answer.image_digest,
            libc=results.greeting.libc,
        )

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """What the build said of each."""
        assert self._results is not None
        try:
            yield from map(self._results.outcome, sources)
        except ValueError as error:
            raise UnprovenError(f"the answers of the build cannot be read: {error}") from error

    def close(self) -> None:
        """Nothing is held."""
