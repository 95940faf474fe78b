"""Hosts that are reached from the same machine alone."""

from __future__ import annotations

import pytest

from buildguard.system.addresses import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:10.0.0.1", "", "example", "$HOST"])
def test_everything_else(host: str) -> None:
    assert not is_loopback(host)
