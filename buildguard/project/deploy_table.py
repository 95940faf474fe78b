"""`[tool.buildguard.deploy]`, one table or a list of them: what is deployed, where to, and what has to be true of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum, lazy_pattern
from buildguard.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from typing import Any

    from buildguard.project.config_file import ConfigFile
    from buildguard.project.verify_config import KnownFailure, VerifyCommand

PLATFORM = "linux/amd64"  # of the service, unless the configuration sets another
FALLBACKS = ("auto", "ask", "never")
SERVICES_ONLY = (
    "service-yaml",
    "health",
    "traffic",
    "pin",
    "verify",
    "verify-after",
    "tests",
    "pattern",
    "known-failures",
    "no-regressions",
)  # keys that a job does not have
TRAFFIC = "traffic"  # the one step that a job can come before
# An absolute path with nothing that could name another host: it is put behind an address that gets an identity token.
_HEALTH_PATH = lazy_pattern(r"/(?!/)[!-\[\]-~]*")
_DURATION = lazy_pattern(r"(?P<number>\d{1,6})(?P<unit>[smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_EXAMPLE = '[[tool.buildguard.deploy]] name = "api"'

KEYS: Mapping[str, type] = {
    "name": str,
    "kind": str,
    "service": str,
    "region": str,
    "regions": list,
    "after": list,
    "before": str,
    "pin": bool,
    "platform": str,
    "build-until": str,
    "image": str,
    "container": str,
    "root": str,
    "service-yaml": str,
    "health": str,
    "traffic": list,
    "fallback": str,
    "required-env": list,
    "optional-env": list,
    "verify": list,
    "tests": bool,
    "pattern": str,
    "known-failures": list,
    "no-regressions": bool,
    "verify-after": bool,
}


class DeployKind(StrEnum):
    """What is deployed: a service that serves, or a job that is executed once."""

    SERVICE = "service"
    JOB = "job"


class TrafficStage(NamedTuple):
    """A share of the traffic that a new revision gets, and for how many seconds it is watched there (0: not at all)."""

    percent: int
    seconds: float = 0.0


class DeployTable(NamedTuple):
    """One `[tool.buildguard.deploy]`.

    `name` is what `--service` calls it, `service` the name in Cloud Run. `regions` are Cloud Run's; `after` are the names that
    are deployed before it, `before` is `traffic` for a job that runs before the traffic of the services that are after it.
    `service_yaml` is what the first revision is made of. `pin` keeps the traffic on the new revision by its name.
    """

    service: str = ""
    regions: tuple[str, ...] = ()
    build_until: str = ""
    image: str = ""
    container: str = ""
    health: str = ""
    traffic: tuple[TrafficStage, ...] = (TrafficStage(100),)
    pin: bool = False
    fallback: str = "ask"
    required_env: tuple[str, ...] = ()
    optional_env: tuple[str, ...] = ()
    verify: tuple[VerifyCommand, ...] = ()
    known_failures: tuple[KnownFailure, ...] = ()
    no_regressions: bool = False
    verify_after: bool = False
    name: str = ""
    kind: DeployKind = DeployKind.SERVICE
    after: tuple[str, ...] = ()
    before: str = ""
    platform: str = PLATFORM
    root: str = ""
    service_yaml: str = ""

    @property
    def region(self) -> str:
        """The first of its regions; empty where none is set."""
        return next(iter(self.regions), "")

    @property
    def health_note(self) -> str:
        """What a deploy of this service leaves unproven without a health path; empty with one, or without a service."""
        return NO_HEALTH if self.service and not self.health and self.kind is DeployKind.SERVICE else ""


NO_HEALTH = (
    "no health path is configured: / must answer with 2xx, or a probe of the container must pass; to name a path, set"
    ' health = "/healthz" in [tool.buildguard.deploy]'
)


def parse_deploys(tables: Sequence[Mapping[str, Any]], place: ConfigFile) -> tuple[DeployTable, ...]:
    """Every table; raises UsageError for a name that is missing, taken or unknown, and for an order in a circle."""
    parsed = tuple(_parse(table, place) for table in tables)
    if len(parsed) > 1:
        _require_names(parsed, place)
    known = {table.name for table in parsed}
    for table in parsed:
        for name in table.after:
            if name not in known:
                hint = did_you_mean(name, sorted(known), f"names here: {', '.join(sorted(known))}")
                raise place.wrong("after", f"after = {name!r} names no [[tool.buildguard.deploy]]", hint)
        if table.before and not any(table.name in other.after for other in parsed):
            what = f'before = "traffic" of {table.name} needs a service that is after it'
            raise place.wrong("before", what, f'after = ["{table.name}"] in the table of the service')
    in_order(parsed, place)
    return parsed


def in_order(tables: Iterable[DeployTable], place: ConfigFile | None = None) -> tuple[DeployTable, ...]:
    """The tables, each behind those that it is after; raises UsageError for a circle."""
    waiting, ordered = list(tables), list[DeployTable]()
    while waiting:
        blocked = {table.name for table in waiting}
        ready = next((table for table in waiting if not blocked.intersection(table.after)), None)
        if ready is None:
            what = f"after goes around in a circle: {', '.join(sorted(blocked))}"
            raise place.wrong("after", what) if place is not None else UsageError(what)
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)


def _require_names(tables: Sequence[DeployTable], place: ConfigFile) -> None:
    names: set[str] = set()
    for table in tables:
        if not table.name:
            raise place.wrong("deploy", "each of several deploys needs a name", _EXAMPLE)
        if table.name in names:
            raise place.wrong("deploy", f"two deploys are called '{table.name}'", _EXAMPLE)
        names.add(table.name)


def _parse(table: Mapping[str, Any], place: ConfigFile) -> DeployTable:
    from buildguard.project.config_file import path_inside, strings
    from buildguard.project.verify_config import parse_known_failures, parse_verify

    fallback = table.get("fallback", "ask")
    if fallback not in FALLBACKS:
        raise place.wrong("fallback", f"'{fallback}' is no fallback", "auto, ask or never")
    health = table.get("health", "")
    if health and _HEALTH_PATH.fullmatch(health) is None:
        raise place.wrong("health", f"health = {health!r} is not an absolute path", 'health = "/healthz"')
    kind = _parse_kind(table, place)
    name = table.get("name", "") or table.get("service", "")
    return DeployTable(
        service=table.get("service", "") or name,
        regions=_parse_regions(table, place),
        build_until=table.get("build-until", ""),
        image=table.get("image", ""),
        container=table.get("container", ""),
        health=health,
        traffic=_parse_traffic(table.get("traffic") or [100], place),
        pin=table.get("pin", False),
        fallback=fallback,
        required_env=strings(table, "required-env", place),
        optional_env=strings(table, "optional-env", place),
        verify=parse_verify(table, place.wrong),
        known_failures=parse_known_failures(table, place.wrong),
        no_regressions=table.get("no-regressions", False),
        verify_after=table.get("verify-after", False),
        name=name,
        kind=kind,
        after=strings(table, "after", place),
        before=table.get("before", ""),
        platform=table.get("platform") or PLATFORM,
        root=table.get("root", ""),
        service_yaml=path_inside(table, "service-yaml", place),
    )


def _parse_kind(table: Mapping[str, Any], place: ConfigFile) -> DeployKind:
    try:
        kind = DeployKind(table.get("kind", DeployKind.SERVICE))
    except ValueError:
        raise place.wrong("kind", f"unknown kind '{table['kind']}'", 'kind = "service" or kind = "job"') from None
    unfit = [key for key in SERVICES_ONLY if key in table]
    if kind is DeployKind.JOB and unfit:
        raise place.wrong(unfit[0], f"a job has no {unfit[0]}: one execution is its proof", f"remove {unfit[0]}")
    if table.get("before", TRAFFIC) != TRAFFIC or ("before" in table and kind is not DeployKind.JOB):
        raise place.wrong("before", "before is for a job, and takes one value", 'kind = "job", before = "traffic"')
    return kind


def _parse_regions(table: Mapping[str, Any], place: ConfigFile) -> tuple[str, ...]:
    from buildguard.project.config_file import strings

    if "region" in table and "regions" in table:
        raise place.wrong("regions", "both region and regions are set", "keep regions")
    regions = strings(table, "regions", place) or tuple(filter(None, [table.get("region", "")]))
    if len(set(regions)) != len(regions):
        raise place.wrong("regions", "a region is listed twice")
    return regions


def _parse_traffic(stages: list[Any], place: ConfigFile) -> tuple[TrafficStage, ...]:
    """Percents, or tables of a percent and how long it lasts; the last is 100."""
    parsed = tuple(_parse_stage(stage) for stage in stages)
    if parsed[-1] != TrafficStage(100):
        parsed = (None,)
    if None in parsed:
        example = 'traffic = [0, 10, 100], or traffic = [{percent = 10, for = "5m"}, 100]'
        raise place.wrong("traffic", "'traffic' must be percents that end with 100", example)
    return tuple(stage for stage in parsed if stage is not None)


def _parse_stage(stage: Any) -> TrafficStage | None:
    """A stage of the traffic; None for what is none."""
    table = stage if isinstance(stage, dict) else {"percent": stage}
    percent, duration = table.get("percent"), table.get("for", "0s")
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if type(percent) is not int or not 0 <= percent <= 100 or match is None or table.keys() - {"percent", "for"}:  # noqa: PLR2004
        return None
    seconds = int(match["number"]) * _UNITS[match["unit"]]
    return None if seconds and not 0 < percent < 100 else TrafficStage(percent, float(seconds))  # noqa: PLR2004
