"""`[tool.buildguard.env.NAME]`: the same deploys in another project, with what is different there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.errors import did_you_mean
from buildguard.project import deploy_table

if TYPE_CHECKING:
    from typing import Any

    from buildguard.project.config_file import ConfigFile
    from buildguard.project.deploy_table import DeployTable

_FIXED = ("name", "kind", "after", "before", "platform", "build-until", "root")  # what an environment cannot change
OVERRIDES: Mapping[str, type] = {key: kind for key, kind in deploy_table.KEYS.items() if key not in _FIXED}
KEYS: Mapping[str, type] = {"project": str, "bucket": str, "services": dict, **OVERRIDES}


class Environment(NamedTuple):
    """One environment: its project and bucket (empty: those of [tool.buildguard.cloud]), and the deploys as they are there."""

    name: str
    project: str
    bucket: str
    deploys: tuple[DeployTable, ...]


def parse_environments(
    tables: Mapping[str, Mapping[str, Any]], deploys: Sequence[Mapping[str, Any]], place: ConfigFile
) -> tuple[Environment, ...]:
    """Every environment, its settings over those of `deploys`. Raises UsageError for a service that is not deployed."""
    return tuple(_parse(name, table, deploys, place) for name, table in tables.items())


def _parse(name: str, table: Mapping[str, Any], deploys: Sequence[Mapping[str, Any]], place: ConfigFile) -> Environment:
    from buildguard.project.deploy_table import parse_deploys

    own: Mapping[str, Mapping[str, Any]] = table.get("services", {})
    known = {str(each.get("name") or each.get("service") or "") for each in deploys}
    for service in own:
        if service not in known:
            hint = did_you_mean(service, sorted(known), f"deploys here: {', '.join(sorted(known))}")
            raise place.wrong(service, f"env.{name}.services.{service} names no deploy", hint)
    everywhere = {key: value for key, value in table.items() if key in OVERRIDES}
    merged = [
        _without_unfit({**_without_regions(each, everywhere, own_of), **everywhere, **own_of}, each)
        for each in deploys
        for own_of in [own.get(str(each.get("name") or each.get("service") or ""), {})]
    ]
    return Environment(name, table.get("project", ""), table.get("bucket", ""), parse_deploys(merged, place))


def _without_regions(base: Mapping[str, Any], *overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A table without its own regions, where an environment sets others under either key."""
    keys = ("region", "regions")
    is_set = any(key in table for table in overrides for key in keys)
    return {key: value for key, value in base.items() if not (is_set and key in keys)}


def _without_unfit(merged: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for services do not reach jobs."""
    if base.get("kind") != deploy_table.DeployKind.JOB:
        return merged
    return {key: value for key, value in merged.items() if key not in deploy_table.SERVICES_ONLY or key in base}
