"""`[tool.buildguard]` in pyproject.toml, or the same keys in buildguard.toml: read strictly, once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.project import toml, user_config
from buildguard.project.verify_config import KnownFailure, VerifyCommand, parse_known_failures, parse_verify
from buildguard.stages.stage import Stage

FILES = (b"buildguard.toml", b"pyproject.toml")
PLATFORM = "linux/amd64"  # of the service, unless the configuration sets another
BUILDS = ("trigger", "submit")
FALLBACKS = ("auto", "ask", "never")
# An absolute path with nothing that could name another host: it is put behind an address that gets an identity token.
_HEALTH_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
_DURATION = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}


class ServiceTable(NamedTuple):
    """One `[[tool.buildguard.service]]`; `context` is None where it is not set."""

    name: str
    dockerfile: str
    context: str | None
    line: int | None


class CloudTable(NamedTuple):
    """`[tool.buildguard.cloud]`, as far as it says where builds run, who runs them, and what starts them.

    `builds` is `trigger` or `submit`, empty where it is unset.
    """

    project: str = ""
    region: str = ""
    bucket: str = ""
    worker_pool: str = ""
    service_account: str = ""
    builds: str = ""


class TrafficStage(NamedTuple):
    """A share of the traffic that a new revision gets, and for how many seconds it is watched there (0: not at all)."""

    percent: int
    seconds: float = 0.0


class DeployTable(NamedTuple):
    """`[tool.buildguard.deploy]`, beside the platform and the root.

    `region` is Cloud Run's; `pin` keeps the traffic on the new revision by its name.
    """

    service: str = ""
    region: str = ""
    build_until: str = ""
    image: str = ""
    container: str = ""
    health: str = ""
    traffic: tuple[TrafficStage, ...] = (TrafficStage(100),)
    pin: bool = False
    fallback: str = "ask"
    required_env: tuple[str, ...] = ()
    verify: tuple[VerifyCommand, ...] = ()
    known_failures: tuple[KnownFailure, ...] = ()
    no_regressions: bool = False
    verify_after: bool = False

    @property
    def health_note(self) -> str:
        """What a deploy of this service leaves unproven without a health path; empty with one, or without a service."""
        return NO_HEALTH if self.service and not self.health else ""


NO_HEALTH = (
    "no health path is configured: / must answer with 2xx, or a probe of the container must pass; to name a path, set"
    ' health = "/healthz" in [tool.buildguard.deploy] of pyproject.toml'
)


class FolderConfig(NamedTuple):
    """What a configuration file below the root sets for the services in its folder."""

    folder: str
    file: str
    target: tuple[str, ...]
    target_line: int | None


class Config(NamedTuple):
    """The configuration; `file` is empty without one, `target_line` and `image_line` are where those stand.

    `folders` are the configurations below the root, `notes` name what they set and cannot decide. `platform` and `image_root` are those
    of the deploy: what the image runs on, and where the project is in it. `entry` names the modules that are started where no start
    command says so.
    """

    file: str = ""
    target: tuple[str, ...] = ()
    target_line: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    image: str = ""
    dockerfile: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    services: tuple[ServiceTable, ...] = ()
    build_file: str = ""
    substitutions: tuple[tuple[str, str], ...] = ()
    image_line: int | None = None
    platform: str = PLATFORM
    image_root: str = ""
    cloud: CloudTable = CloudTable()
    deploy: DeployTable = DeployTable()
    baseline: str = ""
    entry: tuple[str, ...] = ()
    folders: tuple[FolderConfig, ...] = ()
    notes: tuple[str, ...] = ()


# Every key there is, with the type of its value; tables that later commands read are checked here too,
# so that any command reports a typo.
KEYS: dict[str, dict[str, type]] = {
    "": {
        "target": list,
        "include": list,
        "exclude": list,
        "engine": list,
        "image": str,
        "dockerfile": str,
        "select": list,
        "ignore": list,
        "per-file-ignores": dict,
        "baseline": str,
        "entry": list,
        "service": list,
        "cloud": dict,
        "deploy": dict,
    },
    "service": {"name": str, "dockerfile": str, "context": str},
    "cloud": {
        "project": str,
        "region": str,
        "bucket": str,
        "config": str,
        "substitutions": dict,
        "worker-pool": str,
        "service-account": str,
        "builds": str,
    },
    "deploy": {
        "service": str,
        "region": str,
        "pin": bool,
        "platform": str,
        "build-until": str,
        "image": str,
        "container": str,
        "root": str,
        "health": str,
        "traffic": list,
        "fallback": str,
        "required-env": list,
        "verify": list,
        "tests": bool,
        "pattern": str,
        "known-failures": list,
        "no-regressions": bool,
        "verify-after": bool,
    },
}
WORDS = {list: "a list", dict: "a table", str: "a string", bool: "true or false"}


def read(files: Mapping[bytes, bytes], folder: str = "") -> Config:
    """The configuration among the files of a folder, by name; raises UsageError with file and line."""
    for name in FILES:
        data = files.get(name)
        if data is None:
            continue
        if name == b"pyproject.toml" and b"buildguard" not in data:
            continue  # it may be broken, and says nothing to us
        file = f"{folder}/{name.decode()}" if folder else name.decode()
        content = toml.read(data, file)
        table = content if name == b"buildguard.toml" else content.get("tool", {}).get("buildguard")
        if table is not None:
            return _parse_config(table, _ConfigFile(file, data))
    return Config()


def read_file(path: Path, name: str) -> Config:
    """The configuration in a file that a person named; raises UsageError if it has none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--config {name}: {error.strerror}", hint="name a TOML file, or pass --isolated") from error
    content = toml.read(data, name)
    table = content.get("tool", {}).get("buildguard") if path.name == "pyproject.toml" else content
    if table is None:
        raise UsageError(f"--config {name}: no [tool.buildguard] in it", hint="add the table, or pass --isolated")
    return _parse_config(table, _ConfigFile(name, data))


class _ConfigFile(NamedTuple):
    """Where a key stands, for messages."""

    file: str
    data: bytes

    def line(self, key: str) -> int | None:
        return toml.line_of(self.data, key)

    def wrong(self, key: str, message: str, hint: str = "") -> UsageError:
        line = self.line(key)
        place = self.file if line is None else f"{self.file}:{line}"
        return UsageError(f"{place}: {message}", hint=hint)


def _parse_config(table: Any, place: _ConfigFile) -> Config:
    _check(table, "", place)
    services = table.get("service", [])
    for service in services:
        _check(service, "service", place)
    for name in ("cloud", "deploy"):
        _check(table.get(name, {}), name, place)
    ignores = table.get("per-file-ignores", {})
    substitutions = table.get("cloud", {}).get("substitutions", {})
    return Config(
        file=place.file,
        target=_strings(table, "target", place),
        target_line=place.line("target"),
        include=_strings(table, "include", place),
        exclude=_strings(table, "exclude", place),
        engine=_strings(table, "engine", place),
        image=table.get("image", ""),
        dockerfile=table.get("dockerfile", ""),
        select=_strings(table, "select", place),
        ignore=_strings(table, "ignore", place),
        per_file_ignores=tuple((pattern, _strings(ignores, pattern, place)) for pattern in ignores),
        baseline=_inside_root(table, "baseline", place),
        entry=_strings(table, "entry", place),
        services=tuple(_parse_service(service, place) for service in services),
        build_file=table.get("cloud", {}).get("config", ""),
        substitutions=tuple((key, str(value)) for key, value in substitutions.items()),
        image_line=place.line("image"),
        platform=table.get("deploy", {}).get("platform") or PLATFORM,
        image_root=table.get("deploy", {}).get("root", ""),
        cloud=_parse_cloud(table.get("cloud", {}), place),
        deploy=_parse_deploy(table.get("deploy", {}), place),
    )


def _parse_cloud(table: Mapping[str, Any], place: _ConfigFile) -> CloudTable:
    builds = table.get("builds", "submit")
    if builds not in BUILDS:
        raise place.wrong("builds", f"unknown value '{builds}' for builds", 'builds = "trigger" or builds = "submit"')
    return CloudTable(**{name: table.get(name.replace("_", "-"), "") for name in CloudTable._fields})


def _parse_deploy(table: Mapping[str, Any], place: _ConfigFile) -> DeployTable:
    fallback = table.get("fallback", "ask")
    if fallback not in FALLBACKS:
        raise place.wrong("fallback", f"'{fallback}' is no fallback", "auto, ask or never")
    health = table.get("health", "")
    if health and _HEALTH_PATH.fullmatch(health) is None:
        raise place.wrong("health", f"health = {health!r} is not an absolute path", 'health = "/healthz"')
    return DeployTable(
        service=table.get("service", ""),
        build_until=table.get("build-until", ""),
        image=table.get("image", ""),
        container=table.get("container", ""),
        health=health,
        traffic=_parse_traffic(table.get("traffic") or [100], place),
        region=table.get("region", ""),
        pin=table.get("pin", False),
        fallback=fallback,
        required_env=_strings(table, "required-env", place),
        verify=parse_verify(table, place.wrong),
        known_failures=parse_known_failures(table, place.wrong),
        no_regressions=table.get("no-regressions", False),
        verify_after=table.get("verify-after", False),
    )


def _parse_traffic(stages: list[Any], place: _ConfigFile) -> tuple[TrafficStage, ...]:
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


def _parse_service(table: Mapping[str, Any], place: _ConfigFile) -> ServiceTable:
    for key in ("name", "dockerfile"):
        if not table.get(key):
            raise place.wrong("service", f"a service needs a {key}", '[[tool.buildguard.service]] name = "backend"')
    name, dockerfile = table["name"], table["dockerfile"]
    context = table["context"].strip("/") if "context" in table else None
    if context is not None:
        context = "" if context == "." else context.removeprefix("./")
    return ServiceTable(name, dockerfile, context, place.line("service"))


def _check(table: Any, name: str, place: _ConfigFile) -> None:
    """Refuse unknown keys and wrong types."""
    known = KEYS[name]
    if not isinstance(table, dict):
        raise place.wrong(name or "buildguard", f"{name or 'tool.buildguard'} must be a table")
    for key, value in table.items():
        if key in user_config.KEYS and not name:
            hint = f"set it in {user_config.user_config_file()}, or pass --{key}"
            raise place.wrong(key, f"a project cannot set '{key}': it decides what is downloaded", hint)
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            shown = f"{name}.{key}" if name else key
            raise place.wrong(key, f"unknown key '{shown}'", f"did you mean '{close[0]}'?" if close else "")
        if key == "target" and isinstance(value, str):
            continue
        if not isinstance(value, known[key]):
            raise place.wrong(key, f"'{key}' must be {WORDS[known[key]]}")


def _inside_root(table: Mapping[str, Any], key: str, place: _ConfigFile) -> str:
    """A path below the root, whatever a repository writes."""
    value: str = table.get(key, "")
    if value.startswith("/") or ".." in value.split("/"):
        raise place.wrong(key, f"'{key}' must be a path below the folder of {place.file}")
    return value


def _strings(table: Mapping[str, Any], key: str, place: _ConfigFile) -> tuple[str, ...]:
    value = table.get(key, [])
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise place.wrong(key, f"'{key}' must be a list of strings")
    return tuple(value)


def config_files(stage: Stage) -> dict[bytes, bytes]:
    """The files at a stage's root that may hold configuration; raises UnprovenError where one cannot be read."""
    entries = [entry for entry in stage.entries() if entry.path in FILES]
    contents: dict[bytes, bytes] = {}
    for entry, content in stage.contents(entries):
        if isinstance(content, bytes):
            contents[entry.path] = content
        elif not content.is_missing:
            raise UnprovenError(f"{display_path(entry.path)}: {content.reason}")
    return contents
