"""The services of a configuration as a table, and as JSON for dashboards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from buildguard.deploy.fleet_status import ServiceStatus
from buildguard.diagnostic import escape_text

_DIGEST = "sha256:"


def as_rows(services: Sequence[ServiceStatus]) -> list[dict[str, Any]]:
    """Each service as JSON has it; what is unknown is null."""
    return [{key: value or None for key, value in each._asdict().items()} for each in services]


def as_table(services: Sequence[ServiceStatus]) -> Iterator[str]:
    """A row for each service, and below those that are not proven why that is so; empty without services."""
    if not services:
        return
    yield f"{'service':<18} {'region':<14} {'serves':<28} {'commit':<9} {'Python':<16} {'proof':<9} last cycle"
    for each in services:
        last = f"{each.last_at[:19]} {each.last_step}: {each.last_verdict}" if each.last_at else "none"
        yield escape_text(
            f"{each.name:<18} {each.region or '?':<14} {_serving(each):<28} {each.commit[:8] or '?':<9}"
            f" {each.python or '?':<16} {each.proof:<9} {last}"
        )
    yield from (f"note: {escape_text(each.name)}: {escape_text(each.why)}" for each in services if each.why)


def _serving(status: ServiceStatus) -> str:
    short = status.revision.removeprefix(_DIGEST)[:12] if status.revision.startswith(_DIGEST) else status.revision
    return short or "?"
