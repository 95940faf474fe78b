"""`[tool.buildguard]` in pyproject.toml, or the same keys in buildguard.toml: read strictly, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError, did_you_mean
from buildguard.project import deploy_table, environment, toml
from buildguard.project.deploy_table import PLATFORM, DeployTable
from buildguard.stages.stage import Stage, listing_of

if TYPE_CHECKING:
    from typing import Any

    from buildguard.project.config_file import ConfigFile
    from buildguard.project.environment import Environment

FILES = (b"buildguard.toml", b"pyproject.toml")
BUILDS = ("trigger", "submit")


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
    command says so. `deploys` are all deploys, `deploy` is the one that counts: the only one, or the one that was picked.
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
    deploys: tuple[DeployTable, ...] = ()
    environments: tuple[Environment, ...] = ()

    def of_environment(self, name: str) -> Config:
        """The same as it is in an environment; itself without a name. Raises UsageError for an unknown one."""
        if not name:
            return self
        known = {each.name: each for each in self.environments}
        if name not in known:
            hint = did_you_mean(name, sorted(known), f"environments here: {', '.join(sorted(known)) or 'none'}")
            raise UsageError(f"unknown environment '{name}'", hint=hint)
        there = known[name]
        cloud = self.cloud._replace(
            project=there.project or self.cloud.project, bucket=there.bucket or self.cloud.bucket
        )
        config = self._replace(cloud=cloud, deploys=there.deploys)
        return config.of_deploy(there.deploys[0]) if len(there.deploys) == 1 else config

    def how_to_set(self, setting: str) -> tuple[str, str]:
        """The file in which a setting takes effect, and the lines to write there.

        A pyproject.toml beside a buildguard.toml is not read, even if all of the latter is commented out.
        """
        if not self.file or self.file.endswith("pyproject.toml"):
            return self.file or "pyproject.toml", f"[tool.buildguard]\n{setting}"
        return f"the top of {self.file}", setting  # further down it would belong to a table

    def of_deploy(self, table: DeployTable) -> Config:
        """The same for one of several deploys."""
        return self._replace(deploy=table, platform=table.platform, image_root=table.root)

    @property
    def health_notes(self) -> tuple[str, ...]:
        """What deploys leave unproven without a health path; with names where there are several."""
        if len(self.deploys) < 2:  # noqa: PLR2004
            return tuple(filter(None, [self.deploy.health_note]))
        return tuple(f"{table.name}: {table.health_note}" for table in self.deploys if table.health_note)


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
        "env": dict,
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
    "deploy": {**deploy_table.KEYS},
    "env": {**environment.KEYS},
    "env.services": {**environment.OVERRIDES},
}
WORDS = {list: "a list", dict: "a table", str: "a string", bool: "true or false"}
_EXAMPLES = {list: '{key} = ["{value}"]', str: '{key} = "{value}"', bool: "{key} = true"}
_SIMPLE = (str, int, float)
_OTHER_TABLE = lazy_pattern(rb"(?mi)^\[+tool\.(b[\w-]{7,11})[\].]")
_CLOSE = 0.85


def read(files: Mapping[bytes, bytes], folder: str = "") -> Config:
    """The configuration among the files of a folder, by name; raises UsageError with file and line."""
    for name in FILES:
        data = files.get(name)
        if data is None:
            continue
        file = f"{folder}/{name.decode()}" if folder else name.decode()
        if name == b"pyproject.toml" and b"buildguard" not in data:
            note = _misspelt_table(file, data)
            return Config(notes=(note,) * bool(note))  # it may be broken, and says nothing to us
        content = toml.read(data, file)
        table = content if name == b"buildguard.toml" else toml.table(content, "tool").get("buildguard")
        if table is not None:
            from buildguard.project.config_file import ConfigFile

            return _parse_config(table, ConfigFile(file, data))
        if note := _misspelt_table(file, data):
            return Config(notes=(note,))
    return Config()


def _misspelt_table(file: str, data: bytes) -> str:
    """That a table of a pyproject.toml looks as if it was meant to be ours; empty where none does."""
    for name in dict.fromkeys(_OTHER_TABLE.findall(data)):
        import difflib  # nothing else here needs it

        if difflib.SequenceMatcher(None, name.decode().lower(), "buildguard").ratio() > _CLOSE:
            return f"{file}: [tool.{name.decode()}] is not read; did you mean [tool.buildguard]?"
    return ""


def read_file(path: Path, name: str) -> Config:
    """The configuration in a file that a person named; raises UsageError if it has none."""
    from buildguard.project.config_file import ConfigFile

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--config {name}: {error.strerror}", hint="name a TOML file, or pass --isolated") from error
    content = toml.read(data, name)
    table = toml.table(content, "tool").get("buildguard") if path.name == "pyproject.toml" else content
    if table is None:
        raise UsageError(f"--config {name}: no [tool.buildguard] in it", hint="add the table, or pass --isolated")
    return _parse_config(table, ConfigFile(name, data))


def _parse_config(table: Any, place: ConfigFile) -> Config:
    from buildguard.project.config_file import path_inside, strings

    _check(table, "", place)
    services = table.get("service", [])
    for service in services:
        _check(service, "service", place)
    _check(table.get("cloud", {}), "cloud", place)
    raw = table.get("deploy", {})
    tables = raw if isinstance(raw, list) else [raw]
    deploys = _parse_deploys(tables, place)
    deploy = deploys[0] if len(deploys) == 1 else DeployTable()
    platforms = {each.platform for each in deploys}
    ignores = table.get("per-file-ignores", {})
    substitutions = table.get("cloud", {}).get("substitutions", {})
    parsed_services = tuple(_parse_service(service, place) for service in services)
    _refuse_twins(parsed_services, place)
    return Config(
        file=place.file,
        target=strings(table, "target", place),
        target_line=place.line("target"),
        include=strings(table, "include", place),
        exclude=strings(table, "exclude", place),
        engine=strings(table, "engine", place),
        image=table.get("image", ""),
        dockerfile=table.get("dockerfile", ""),
        select=strings(table, "select", place),
        ignore=strings(table, "ignore", place),
        per_file_ignores=tuple((pattern, strings(ignores, pattern, place)) for pattern in ignores),
        baseline=path_inside(table, "baseline", place),
        entry=strings(table, "entry", place),
        services=parsed_services,
        build_file=table.get("cloud", {}).get("config", ""),
        substitutions=tuple((key, str(value)) for key, value in substitutions.items()),
        image_line=place.line("image"),
        platform=platforms.pop() if len(platforms) == 1 else PLATFORM,
        image_root=deploy.root,
        cloud=_parse_cloud(table.get("cloud", {}), place),
        deploy=deploy,
        deploys=deploys,
        environments=_parse_environments(table.get("env", {}), tables, place),
    )


def _parse_environments(
    tables: Mapping[str, Any], deploys: list[Mapping[str, Any]], place: ConfigFile
) -> tuple[Environment, ...]:
    for table in tables.values():
        _check(table, "env", place)
        for own in table.get("services", {}).values():
            _check(own, "env.services", place)
    return environment.parse_environments(tables, deploys, place)


def _parse_deploys(tables: list[Mapping[str, Any]], place: ConfigFile) -> tuple[DeployTable, ...]:
    for table in tables:
        _check(table, "deploy", place)
    return deploy_table.parse_deploys([table for table in tables if table], place)  # an empty table sets nothing


def _parse_cloud(table: Mapping[str, Any], place: ConfigFile) -> CloudTable:
    builds = table.get("builds", "submit")
    if builds not in BUILDS:
        raise place.wrong("builds", f"unknown value '{builds}' for builds", 'builds = "trigger" or builds = "submit"')
    return CloudTable(**{name: table.get(name.replace("_", "-"), "") for name in CloudTable._fields})


def _parse_service(table: Mapping[str, Any], place: ConfigFile) -> ServiceTable:
    for key in ("name", "dockerfile"):
        if not table.get(key):
            raise place.wrong("service", f"a service needs a {key}", _service_example(table, place))
    name, dockerfile = table["name"], table["dockerfile"]
    context = table["context"].strip("/") if "context" in table else None
    if context is not None:
        context = "" if context == "." else context.removeprefix("./")
    return ServiceTable(name, dockerfile, context, place.line("service"))


def _service_example(table: Mapping[str, Any], place: ConfigFile) -> str:
    """A whole table of a service, with what is set already."""
    name = table.get("name") or "backend"
    header = "[[tool.buildguard.service]]" if place.file.endswith("pyproject.toml") else "[[service]]"
    return f'{header}\nname = "{name}"\ndockerfile = "{table.get("dockerfile") or f"{name}/Dockerfile"}"'


def _refuse_twins(services: tuple[ServiceTable, ...], place: ConfigFile) -> None:
    names = [service.name for service in services]
    for name in names:
        if names.count(name) > 1:
            raise place.wrong("service", f"two services are called '{name}'", "give each service a name of its own")


def _check(table: Any, name: str, place: ConfigFile) -> None:
    """Refuse unknown keys and wrong types."""
    from buildguard.project import user_config

    if not isinstance(table, dict):
        raise place.wrong(name or "buildguard", f"{name or 'tool.buildguard'} must be a table")
    for key, value in table.items():
        if key in user_config.KEYS and not name:
            hint = f"set it in {user_config.user_config_file()}, or pass --{key}"
            raise place.wrong(key, f"a project cannot set '{key}': it decides what is downloaded", hint)
        _check_key(key, value, name, place)


def _check_key(key: str, value: Any, name: str, place: ConfigFile) -> None:
    known = KEYS[name]
    if key not in known:
        import difflib  # nothing else here needs it

        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        shown = f"{name}.{key}" if name else key
        hint = f"did you mean '{close[0]}'?" if close else ""
        if shown == "tool" and not place.file.endswith("pyproject.toml"):
            hint = f"in {place.file} write [deploy] for [tool.buildguard.deploy], and what is in [tool.buildguard] at the top"
        raise place.wrong(key, f"unknown key '{shown}'", hint)
    is_short = key == "target" and isinstance(value, str)
    is_list = key == "deploy" and not name and isinstance(value, list)
    if not is_short and not is_list and not isinstance(value, known[key]):
        example = _EXAMPLES.get(known[key], "") if isinstance(value, _SIMPLE) else ""
        raise place.wrong(key, f"'{key}' must be {WORDS[known[key]]}", example.format(key=key, value=value))


def read_stage(stage: Stage) -> Config:
    """The configuration at a stage's root; raises UsageError, and UnprovenError where a file of it cannot be read."""
    return read(config_files(stage))


def config_files(stage: Stage) -> dict[bytes, bytes]:
    """The files at a stage's root that may hold configuration; raises UnprovenError where one cannot be read."""
    contents: dict[bytes, bytes] = {}
    for entry, content in stage.contents(listing_of(stage).at(FILES)):
        if isinstance(content, bytes):
            contents[entry.path] = content
        elif not content.is_missing:
            raise UnprovenError(f"{display_path(entry.path)}: {content.reason}")
    return contents
