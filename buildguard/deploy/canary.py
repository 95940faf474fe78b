"""A canary: requests of our own to the new and to the old revision, side by side, for a while, and counted.

They are no measure of the users' traffic; analysis by metrics is Cloud Deploy's business (docs/deploy.md).
"""

from __future__ import annotations

import time

from buildguard.definitions import NamedTuple
from buildguard.deploy import health
from buildguard.deploy.health import Proof
from buildguard.gcp import identity_token

_PAUSE = 2.0  # seconds between two pairs of requests
_REFRESH = 1800.0  # seconds after which an identity token is minted again; it is valid for an hour
_FEW = 10  # requests, below which one failure counts
_MOST_CHANCE = 1  # failures that may be chance among more


class RequestCount(NamedTuple):
    """How many requests to a revision were sent, and how many of them succeeded."""

    succeeded: int = 0
    sent: int = 0

    def plus(self, *, succeeded: bool) -> RequestCount:
        """One request more."""
        return RequestCount(self.succeeded + succeeded, self.sent + 1)

    @property
    def failed(self) -> int:
        """How many did not succeed."""
        return self.sent - self.succeeded


class CanaryResult(NamedTuple):
    """The requests to the new and to the old revision, and over how many seconds they were sent."""

    new: RequestCount
    old: RequestCount
    seconds: float

    @property
    def is_worse(self) -> bool:
        """Whether the new revision did worse than the old one, by more than one failure in many."""
        chance = _MOST_CHANCE if self.new.sent > _FEW else 0
        return self.new.failed > self.old.failed + chance or (self.new.sent > 0 and not self.new.succeeded)

    def describe(self, new: str, old: str) -> str:
        """In words."""
        counts = ((self.new, new), (self.old, old))
        requests = ", ".join(f"{count.succeeded} of {count.sent} requests to {name}" for count, name in counts)
        return f"in {self.seconds:.0f} s {requests} succeeded"


def watch(
    addresses: tuple[str, str],
    audience: str,
    proof: Proof,
    limit: float,
) -> CanaryResult:
    """Request both addresses, the new and the old revision's, for so many seconds; it ends early once the new one is worse."""
    started = time.monotonic()
    token, minted = "", started - _REFRESH
    counts = (RequestCount(), RequestCount())
    while True:
        if time.monotonic() - minted >= _REFRESH:
            token, minted = identity_token.mint(audience).token, time.monotonic()
        counts = tuple(  # type: ignore[assignment]
            count.plus(succeeded=_succeeds(address, token, proof))
            for count, address in zip(counts, addresses, strict=True)
        )
        result = CanaryResult(*counts, time.monotonic() - started)
        if result.seconds >= limit or (result.is_worse and result.new.sent >= _FEW):
            return result
        time.sleep(min(_PAUSE, max(0.0, limit - result.seconds)))


def _succeeds(address: str, token: str, proof: Proof) -> bool:
    return health.is_success(health.ask_status(address + (proof.path or "/"), token), proof)
