"""What was read of each source's imports, in this run or an earlier one, by the digest of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from buildguard.engines.engine import Outcome, ReadyEngine, Source
from buildguard.system.cache import Cache, context_of

_STORE_EVERY = 10_000


class FactStore:
    """The facts of sources as one engine read them; they depend on the same identity as its verdicts."""

    def __init__(self, cache: Cache, ready: ReadyEngine) -> None:
        self._cache = cache
        self._context = context_of("facts of imports", ready.engine, ready.identity)
        self._facts: dict[bytes, bytes] = {}
        self._new: dict[bytes, bytes] = {}

    def note(self, digest: bytes, facts: bytes) -> None:
        """Keep what came with a verdict."""
        self._facts[digest] = self._new[digest] = facts
        if len(self._new) >= _STORE_EVERY:
            self.store()

    def store(self) -> None:
        """Write what is new to the cache."""
        self._cache.store(self._context, self._new)
        self._new = {}

    def of(
        self,
        digests: Iterable[bytes],
        contents: Callable[[set[bytes]], Iterable[bytes]],
        compile_sources: Callable[[Iterator[Source]], Iterator[Outcome]],
    ) -> dict[bytes, bytes]:
        """The facts of sources that compile; what no run kept is read again, with the `contents` of those digests.

        They are handed over, and no longer held here: those of a large project take as much memory as what is read from them.
        """
        wanted = set(digests)
        self._facts.update(self._cache.known(self._context, list(wanted - self._facts.keys())))
        missing = wanted - self._facts.keys()
        if missing:
            sources = (
                Source(number, data, hashlib.sha256(data).digest()) for number, data in enumerate(contents(missing))
            )
            for outcome in compile_sources(sources):
                self.note(outcome.digest, outcome.facts)
            self.store()
        return {digest: self._facts.pop(digest, b"") for digest in wanted}
