"""Which of the configured deploys a request is about, in the order in which they are done. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.errors import UsageError, did_you_mean
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployTable, in_order


def select_deploys(config: Config, names: Sequence[str], *, everything: bool = False) -> tuple[DeployTable, ...]:
    """The deploys that are named, each behind those that it is after; the only one needs no name.

    Raises UsageError for an unknown name, and for several deploys without one.
    """
    tables = config.deploys
    if everything and names:
        raise UsageError("--all and --service cannot be combined", hint="pass one of them")
    if len(tables) <= 1:
        return _only(tables[0] if tables else DeployTable(), names)
    if everything:
        return in_order(tables)
    if not names:
        listed = ", ".join(table.name for table in tables)
        raise UsageError(f"several deploys are configured: {listed}", hint="pass --service NAME, or --all")
    picked = {table.name for name in names for table in _named(tables, name)}
    return in_order(table for table in tables if table.name in picked)


def select_deploy(config: Config, name: str) -> DeployTable:
    """The one deploy that is named; the only one needs no name. Raises UsageError as `select_deploys` does."""
    return select_deploys(config, [name] if name else [])[0]


def _only(table: DeployTable, names: Sequence[str]) -> tuple[DeployTable, ...]:
    """The only table; another name is another service, deployed by the same settings."""
    if len(names) > 1:
        raise UsageError(
            "several services are named, and one is configured",
            hint='[[tool.buildguard.deploy]] name = "…" for each of them',
        )
    if not names or names[0] in {table.name, table.service}:
        return (table,)
    return (table._replace(service=names[0], name=names[0]),)


def _named(tables: Sequence[DeployTable], name: str) -> list[DeployTable]:
    """By its name, else by its service."""
    named = [table for table in tables if table.name == name] or [table for table in tables if table.service == name]
    if not named:
        known = [table.name for table in tables]
        raise UsageError(
            f"unknown service '{name}'", hint=did_you_mean(name, known, f"deploys here: {', '.join(known)}")
        )
    return named
