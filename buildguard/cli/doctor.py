"""`buildguard doctor`: detected targets, interpreters and engines, and which would be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from buildguard.check.build_files import REWRITE_HINT, build_files, check_step_file, step_file
from buildguard.check.context import image_of
from buildguard.cli.doctor_services import service_lines
from buildguard.diagnostic import count, escape_text
from buildguard.engines.engine import UnavailableEngine
from buildguard.engines.select import EngineChoice, EngineChooser, EngineSettings, order_of
from buildguard.engines.worker import Greeting
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp import auth, setup
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import discovery
from buildguard.project.config import Config
from buildguard.project.discovery import DiscoveredTargets
from buildguard.project.request import CheckRequest
from buildguard.project.sources import ChosenSources
from buildguard.project.target import NEWEST, OLDEST, PythonVersion, Target
from buildguard.system import cache as caches
from buildguard.system import process, programs
from buildguard.system.pythons import candidates, default_python3, skipped_places

_PATIENCE = 10


def doctor(cwd: Path, path: str) -> str:
    """The whole table as text; raises UsageError if the configuration is broken."""
    project = Project.load(cwd, () if path == "." else (path,))
    place, config = project.place, project.config
    lines = [
        f"root: {place.root} ({'git' if place.repository is not None else 'a plain folder'})",
        f"configuration: {', '.join([config.file or 'none', *(folder.file for folder in config.folders)])}",
        *(f"  note: {note}" for note in config.notes),
        f"sources: {len(project.chosen.sources)} Python files",
        *_targets(project),
        *_interpreters(place),
        *_engines(),
        *_cloud(config),
        *_build_step(place, config),
        *service_lines(place.repository, config),
        *_environment_lines(),
    ]
    return "\n".join(escape_text(line) for line in lines) + "\n"


def _targets(project: Project) -> Iterator[str]:
    yield ""
    try:
        discovered = project.discovered
    except GuardError as error:
        yield f"targets: none: {error.what}"
        yield from (f"  {line}" for line in error.hint.splitlines())
        return
    yield "declared, the strongest first:"
    deciding = {target.found_in for target in discovered.targets}
    for declaration in sorted(
        discovered.declarations, key=lambda declaration: (declaration.rank, declaration.file, declaration.line or 0)
    ):
        mark = "→" if declaration.place in deciding else " "
        version = str(declaration.version) if declaration.version is not None else "?"
        yield f"  {mark} {version:8} {declaration.place:32} {declaration.words}{f' ({declaration.why_unknown})' if declaration.why_unknown else ''}"
    yield from (f"  note: {note}" for note in discovered.notes)
    yield ""
    yield "targets:"
    for target in discovered.targets:
        yield from _target(project, target)


def _target(project: Project, target: Target) -> Iterator[str]:
    yield f"  {_target_line(project.chosen, project.discovered, target)}"
    if target.version is None:
        yield f"    unknown version: {target.why_unknown}"
        return
    choice = choose_engine(project.place, project.config, target)
    for refused in choice.unavailable:
        yield f"    {refused.engine}: {refused.reason}{f'; {refused.hint}' if refused.hint else ''}"
    for _engine, ready in choice.ready:
        yield f"    {ready.engine}: {ready.interpreter}, proof: {ready.proof}{f' ({ready.note})' if ready.note else ''}"


def choose_engine(place: WorkScope, config: Config, target: Target) -> EngineChoice:
    """The engine that `check` would use for a target, and those that it would pass over."""
    image, proof = image_of(CheckRequest(cwd=place.root), config, target)
    engine_setting = EngineSettings(
        target.version, place.root, process.cores(), caches.Cache(None), image, config.platform, proof
    )
    chooser = EngineChooser((), order_of(config), engine_setting)
    try:
        return chooser.choose()
    finally:
        chooser.close()


def _target_line(chosen: ChosenSources, discovered: DiscoveredTargets, target: Target) -> str:
    """A target in one line: its image and version, what declares it, which files it runs, and how that is known."""
    files = sum(discovery.target_covers(target, discovered.targets, entry.path) for entry in chosen.sources)
    scope = {None: "outside every build context", "": "everywhere"}.get(target.context, f"in {target.context}/")
    scope += "".join(f", less {folder}/" for folder in target.without)
    name = f"{target.service}: " if target.service else ""
    image = f" in {target.image}" if target.image else ""
    line = f"{name}Python {target.python}{image}, from {target.found_in}: {count(files, 'file')} {scope}"
    if target.basis is None:
        return line
    wider = f", or {target.reach or 'the root'}" if target.reach is not None else ""
    return f"{line}; build context: {target.context or '.'} ({target.basis.known}, {target.basis.by}{wider})"


def _interpreters(place: WorkScope) -> Iterator[str]:
    yield ""
    yield "interpreters on this machine:"
    for minor in range(OLDEST, NEWEST + 1):
        for path, where in candidates(f"3.{minor}", place.root):
            answer = _greet(path)
            description = answer if isinstance(answer, str) else f"{answer.implementation} {answer.version}"
            yield f"  3.{minor:<3} {description:18} {path} ({where})"
    yield from (f"  note: {line}" for line in skipped_places())
    default = default_python3(place.root)
    yield f"  python3 here means {default}" if default is not None else "  python3 is not on PATH"


def _greet(path: Path) -> Greeting | str:
    from buildguard.engines.interpreter import greeting_of

    try:
        return greeting_of(path)
    except UnprovenError as error:
        return error.what


def _engines() -> Iterator[str]:
    from buildguard.engines.static import StaticEngine

    yield ""
    yield "engines:"
    static = StaticEngine(PythonVersion(11))
    answer = static.prepare()
    ruff = answer.reason if isinstance(answer, UnavailableEngine) else f"{answer.interpreter} predicts"
    yield "  interpreter: compiles with a Python of this machine (proof: compiled)"
    yield f"  static: {ruff} (proof: predicted)"
    yield f"  container: {_container_engine()}"


def _cloud(config: Config) -> Iterator[str]:
    """Google Cloud, as far as it is known without a connection."""
    versions = setup.installed()
    missing = [name for name, version in versions.items() if not version]
    if missing:
        yield f"  cloud: not installed ({', '.join(missing)} missing); {auth.INSTALL}"
    else:
        yield "  cloud: compiles in Cloud Build with the image's own Python, if asked for (proof: image)"
        yield f"    packages: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    file = setup.credentials_file()
    yield f"    credentials: {_credentials(file)}"
    table, found_in = config.cloud, f"{config.file}, [tool.buildguard.cloud]"
    own = file.project if file is not None else ""
    project = _first((table.project, found_in), (auth.project(), "environment"), (own, "credentials"))
    yield f"    project: {project or 'not configured: set [tool.buildguard.cloud] project, or pass --project'}"
    region = _first((table.region, found_in), (auth.region(), "environment, for Cloud Run"))
    yield f"    region: {region or 'not configured: set [tool.buildguard.cloud] region, or pass --region'}"
    for variable in (auth.CLOUDBUILD, auth.STORAGE, auth.RUN):
        if os.environ.get(variable):
            yield f"    emulator: {variable}={os.environ[variable]}, without credentials"


def _credentials(file: setup.CredentialsFile | None) -> str:
    if file is None:
        return f"none on this machine (a metadata server was not asked); {auth.LOG_IN}"
    if file.problem:
        return f"{file.path} ({file.named_by}) cannot be used: {file.problem}; {auth.LOG_IN}"
    account = os.environ.get(auth.IMPERSONATE)
    as_whom = f", impersonating {account}" if account else ""
    return f"{file.kind} in {file.path} ({file.named_by}){as_whom}; not tried"


def _first(*values: tuple[str, str]) -> str:
    """The first value that is set, with where it was found; empty if none is."""
    return next((f"{value} ({found_in})" for value, found_in in values if value), "")


def _container_engine() -> str:
    from buildguard.docker import client

    try:
        reached = client.connect(_PATIENCE)
    except UnprovenError as error:
        return error.words
    try:
        with client.translate_errors("asking the container engine"):
            version = reached.api.version()["Version"]
    except UnprovenError as error:
        return error.words
    finally:
        reached.close()
    address = reached.address
    return f"{version} at {address.url}, by {address.said_by}: asks the image's own Python (proof: compiled or image)"


def _build_step(place: WorkScope, config: Config) -> Iterator[str]:
    from buildguard.project.cloudbuild import guard_step as step

    yield ""
    data = step_file(place.stage)
    if data is None:
        yield "build step: none; buildguard init --cloudbuild writes one"
        return
    written = step.read(data)
    if written is None or not written.intact:
        yield f"build step: {step.NAME} was changed by hand: {REWRITE_HINT}"
    elif data == step.text(config.include, config.exclude):
        yield f"build step: {step.NAME} is up to date"
    else:
        yield f"build step: {step.NAME} is out of date (version {written.version}): {REWRITE_HINT}"
    for trouble in check_step_file(data, dict(build_files(place.stage, config)), config):
        yield f"  {trouble.path}:{trouble.range.line}: {trouble.message}"


def _environment_lines() -> Iterator[str]:
    yield ""
    where = caches.cache_folder()
    cache = caches.Cache(where)
    cache.close()
    yield f"cache: {cache.notes[0] if cache.notes else where}"
    git = programs.which("git", os.getcwd())
    yield f"git: {git or 'not on PATH'}"
    yield f"cores: {process.cores()} of {os.cpu_count()}"
