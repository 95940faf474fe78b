"""A canary counts requests of our own, and only a revision that does worse goes back."""

from __future__ import annotations

import pytest

from buildguard.deploy import canary, health
from buildguard.deploy.canary import CanaryResult, RequestCount
from buildguard.deploy.health import Proof
from buildguard.gcp import identity_token
from buildguard.gcp.identity_token import IdentityToken

_NEW, _OLD, _SERVICE = "https://bg-1---web.example", "https://bg-old---web.example", "https://web.example"


@pytest.mark.parametrize(
    ("new", "old", "is_worse"),
    [
        ((30, 30), (30, 30), False),
        ((29, 30), (30, 30), False),  # one of many may be chance
        ((28, 30), (30, 30), True),
        ((28, 30), (28, 30), False),
        ((4, 5), (5, 5), True),
        ((0, 5), (0, 5), True),  # nothing was ever proven of it
        ((5, 5), (0, 5), False),
    ],
)
def test_which_is_worse(new: tuple[int, int], old: tuple[int, int], *, is_worse: bool) -> None:
    assert CanaryResult(RequestCount(*new), RequestCount(*old), 1.0).is_worse is is_worse


def _watch(monkeypatch: pytest.MonkeyPatch, statuses: dict[str, int], seconds: float) -> tuple[CanaryResult, list[str]]:
    asked: list[str] = []

    def ask(address: str, token: str = "") -> int:
        asked.append(f"{address} {token}")
        return statuses[address.removesuffix("/healthz")]

    now = iter(range(1000))
    monkeypatch.setattr(health, "ask_status", ask)
    monkeypatch.setattr(identity_token, "mint", lambda audience: IdentityToken(f"for {audience}"))
    monkeypatch.setattr("buildguard.deploy.canary.time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("buildguard.deploy.canary.time.sleep", lambda _seconds: None)
    return canary.watch((_NEW, _OLD), _SERVICE, Proof("/healthz"), seconds), asked


def test_both_revisions_are_requested_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = _watch(monkeypatch, {_NEW: 200, _OLD: 503}, 20)

    assert result.new.sent == result.old.sent > 3
    assert (result.new.failed, result.old.succeeded, result.is_worse) == (0, 0, False)
    assert asked[:2] == [f"{_NEW}/healthz for {_SERVICE}", f"{_OLD}/healthz for {_SERVICE}"]
    assert result.describe("web-2", "web-1").endswith(
        f"{result.new.sent} of {result.new.sent} requests to web-2, 0 of {result.old.sent} requests to web-1 succeeded"
    )


def test_a_bad_one_is_not_watched_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _asked = _watch(monkeypatch, {_NEW: 500, _OLD: 200}, 900)

    assert result.is_worse
    assert result.seconds < 100
