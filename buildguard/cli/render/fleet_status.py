"""The services of a configuration as a table, and as JSON for dashboards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from buildguard.cli.render.table import table_lines
from buildguard.deploy.fleet_status import ServiceStatus
from buildguard.diagnostic import escape_text

_DIGEST = "sha256:"


def as_rows(services: Sequence[ServiceStatus]) -> list[dict[str, Any]]:
    """Each service as JSON has it; what is unknown is null."""
    return [{key: value or None for key, value in each._asdict().items()} for each in services]


def as_table(services: Sequence[ServiceStatus], width: int = 0) -> Iterator[str]:
    """A row for each service, and below those that are not proven why that is so; empty without services."""
    if not services:
        return
    rows: list[tuple[str, ...]] = [("service", "region", "serves", "commit", "Python", "proof", "last cycle")]
    for each in services:
        last = f"{each.last_at[:19]} {each.last_step}: {each.last_verdict}" if each.last_at else "none"
        row = (
            each.name,
            each.region or "?",
            _serving(each),
            each.commit[:8] or "?",
            each.python or "?",
            each.proof,
            last,
        )
        rows.append(tuple(map(escape_text, row)))
    yield from table_lines(rows, width)
    yield from (f"note: {escape_text(each.name)}: {escape_text(each.why)}" for each in services if each.why)


def _serving(status: ServiceStatus) -> str:
    short = status.revision.removeprefix(_DIGEST)[:12] if status.revision.startswith(_DIGEST) else status.revision
    return short or "?"
