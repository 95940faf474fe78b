"""From the files of a stage to targets: every declaration is kept, the one of production decides."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from buildguard.config import ServiceTable
from buildguard.declared import images, pins
from buildguard.declared.yamlfile import InvalidYamlError
from buildguard.diagnostic import shown_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.ignore import docker
from buildguard.source import deciding
from buildguard.stages import Unreadable
from buildguard.step.sources import SUFFIXES
from buildguard.target import Declaration, PythonVersion, Rank, Service, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from buildguard.config import Config
    from buildguard.gcp.buildfile import BuildFile
    from buildguard.stages import Entry, Stage

_DOCKERFILE = re.compile(
    rb"(?:^|/)(?:(?:Docker|Container)file(?:[-._][^/]+)?|[^/]+\.(?:Docker|Container)file)$", re.IGNORECASE
)
_NO_DOCKERFILE = (
    b".dockerignore",
    b".md",
    b".txt",
    b".j2",
    b".jinja",
    b".jinja2",
    b".tmpl",
    b".tpl",
    b".erb",
    b".py",
    b".sh",
)
_TOOLING = (b".devcontainer", b".github", b".gitlab", b".git")


class Found(NamedTuple):
    """Everything that was found: the targets, what each file declares, and notes for people."""

    targets: list[Target]
    declarations: list[Declaration]
    notes: list[str]


class _Read(NamedTuple):
    """The files of a stage that matter here, by path."""

    dockerfiles: dict[str, bytes]
    buildfiles: dict[str, BuildFile]
    pins: dict[str, bytes]
    ignores: dict[str, bytes]
    unreadable: list[InvalidYamlError]


def find(stage: Stage, config: Config, sources: Sequence[Entry], flags: Sequence[str] = (), service: str = "") -> Found:
    """The targets of a stage: what flags say, else the configuration, else what the files declare.

    `sources` are the files under check; targets that run none of them are left out. Raises UsageError where
    nothing is declared at all.
    """
    if flags and not service:
        return Found([_typed(text, "--target", "", []) for text in flags], [], [])
    files = _read(stage, config)
    services, notes = _services(files, config, stage)
    declarations = _declarations(files, services)
    declared = [one for one in declarations if one.decides]
    if service:
        services = _picked(services, service)
    typed = [(text, "--target") for text in flags] or [(text, _config_place(config)) for text in config.target]
    if typed:
        # a version that somebody set runs everything, or the one service that was picked
        at_root = [one for one in declared if not one.folder]
        against = [] if flags else at_root + [_from_dockerfile(one, files)[0] for one in services]
        contexts = [one.context for one in services] if service else [""]
        targets = [_typed(text, place, context, against) for text, place in typed for context in contexts]
        return Found(targets, declarations, notes)
    targets, seen = _from_services(services, files, declared)
    if not service:
        targets += _root_target(targets, declared, sources)
    targets = [target for target in targets if any(target_covers(target, targets, entry.path) for entry in sources)]
    if not targets and not (service and services):
        if files.unreadable:
            raise files.unreadable[0]
        raise _nothing_declared(declarations)
    return Found(_unique(targets), declarations + seen, notes)


def _nothing_declared(declarations: Iterable[Declaration]) -> UsageError:
    steps = (f"{one.place}: {one.words}; it runs that step only\n" for one in declarations if not one.decides)
    return UsageError(
        "nothing here says which Python will run this code",
        hint="".join(steps) + 'add to pyproject.toml:\n  [tool.buildguard]\n  target = ["3.11"]',
    )


class Recipe(NamedTuple):
    """How one image is built: its service, and the text of its Dockerfile."""

    service: Service
    dockerfile: bytes


def recipes(stage: Stage, config: Config, service: str = "") -> list[Recipe]:
    """The images that a stage's files build, or the one that is called `service`; raises UsageError."""
    files = _read(stage, config)
    services, _notes = _services(files, config, stage)
    if service:
        services = _picked(services, service)
    return [Recipe(one, files.dockerfiles[one.dockerfile]) for one in services]


def target_covers(target: Target, every: Sequence[Target], path: bytes) -> bool:
    """Whether a target runs a path; the root's target runs what lies in no service's context."""
    if target.context is None:
        return not any(other.context is not None and other.covers(path) for other in every)
    return target.covers(path)


# ------------------------------------------------------------------------------------------ reading


def _read(stage: Stage, config: Config) -> _Read:
    dockerfiles = {os.fsencode(path) for path in _configured(config)}
    build_file = os.fsencode(config.build_file)
    configured = {*dockerfiles, build_file}
    wanted = [entry for entry in stage.entries() if deciding(entry.path) or entry.path in configured]
    found = _Read({}, {}, {}, {}, [])
    for entry, content in stage.contents(wanted):
        path = shown_path(entry.path)
        if isinstance(content, Unreadable):
            if content.gone:
                continue
            raise UnprovenError(f"{path}: {content.reason}")
        if entry.path in dockerfiles or _is_dockerfile(entry.path):
            found.dockerfiles[path] = content
        elif path.endswith(".dockerignore"):
            found.ignores[path] = content
        elif posixpath.basename(path) in pins.NAMES:
            found.pins[path] = content
        elif entry.path == build_file or cloudbuild_name(entry.path):
            from buildguard.gcp import buildfile

            try:
                found.buildfiles[path] = buildfile.read(content, path, dict(config.substitutions))
            except InvalidYamlError as error:
                found.unreadable.append(error)  # BG410 says so
    return found


def cloudbuild_name(path: bytes) -> bool:
    """Whether a path is called like a build file: cloudbuild.yaml, cloudbuild-staging.yaml, api.cloudbuild.json."""
    *folders, name = path.split(b"/")
    stem, _, suffix = name.rpartition(b".")
    named = suffix in {b"yaml", b"yml", b"json"} and b"cloudbuild" in re.split(rb"[-._]", stem)
    return named and not any(folder in _TOOLING for folder in folders)


def _is_dockerfile(path: bytes) -> bool:
    parts = path.split(b"/")
    return (
        _DOCKERFILE.search(path) is not None
        and not parts[-1].lower().endswith(_NO_DOCKERFILE)
        and not any(part in _TOOLING for part in parts[:-1])
    )


def _configured(config: Config) -> set[str]:
    return {config.dockerfile, *(service.dockerfile for service in config.services)} - {""}


def _declarations(files: _Read, services: Iterable[Service]) -> list[Declaration]:
    """What is declared in the folders that speak for a service or for the root; others are somebody else's."""
    homes = {"", *(home for one in services for home in _homes(one))}
    found: list[Declaration] = []
    for path, data in files.pins.items():
        if _speaks_for(posixpath.dirname(path), homes):
            found += pins.declarations(data, path)
    for path, buildfile in files.buildfiles.items():
        folder = posixpath.dirname(path)
        if not _speaks_for(folder, homes):
            continue
        for line, image in buildfile.step_images:
            found.append(_image(Rank.STEP, path, line, image, f"step on {image}"))
        for line, text in buildfile.versions:
            found.append(pins.exact(Rank.BUILDPACK, path, line, text, f"GOOGLE_PYTHON_VERSION {text}"))
    return sorted(found, key=lambda one: (one.rank, one.file, one.line or 0))


def _image(rank: Rank, file: str, line: int, image: str, words: str) -> Declaration:
    version = images.promised(image)
    untold = "" if version is not None else images.why_untold(image)
    return Declaration(rank, file, line, words, version, posixpath.dirname(file), untold=untold, image=image)


# ------------------------------------------------------------------------------------------ services


def _services(files: _Read, config: Config, stage: Stage) -> tuple[list[Service], list[str]]:
    """One service for each image that is built, with its context; notes tell what was inferred."""
    if config.services or config.dockerfile:
        tables = config.services or (ServiceTable("", config.dockerfile, "", None),)
        return [one for table in tables for one in _configured_services(table, files, config)], []
    services, notes = [], []
    for path in sorted(files.dockerfiles):
        if built := _built(path, files):
            services += built
            continue
        context = _own_context(path, stage)
        services.append(Service(_name(path), path, context))
        if context != posixpath.dirname(path):
            notes.append(
                f"{path}: no Python source lies in its folder, so {context or 'the root'} counts as its build context;"
                " [[tool.buildguard.service]] says otherwise"
            )
    return services, notes


def _configured_services(table: ServiceTable, files: _Read, config: Config) -> list[Service]:
    """A service as the configuration has it, once for each way in which build files build its Dockerfile."""
    if table.dockerfile not in files.dockerfiles:
        place = config.file if table.line is None else f"{config.file}:{table.line}"
        raise UsageError(f"{place}: there is no {table.dockerfile}")
    name = table.name or _name(table.dockerfile)
    built = _built(table.dockerfile, files)
    if table.name:
        built = [one._replace(context=table.context) for one in built]
    return list(dict.fromkeys(one._replace(name=name) for one in built)) or [
        Service(name, table.dockerfile, table.context)
    ]


def _name(path: str) -> str:
    """What `--service` calls a Dockerfile: its folder, or its own second name (Dockerfile.worker)."""
    folder, base = posixpath.split(path)
    second = re.sub(r"(?i)^(?:docker|container)file[-._]?|[-._]?(?:docker|container)file$", "", base)
    return second or folder or "root"


def _built(path: str, files: _Read) -> list[Service]:
    """Each way in which build files build a Dockerfile: context, build arguments and stage."""
    found = []
    for file, buildfile in files.buildfiles.items():
        for build in buildfile.builds:
            for base in dict.fromkeys((posixpath.dirname(file), "")):
                if posixpath.normpath(posixpath.join(base, build.dockerfile)) == path:
                    context = posixpath.normpath(posixpath.join(base, build.context))
                    arguments = tuple(sorted(build.build_args.items()))
                    context = "" if context == "." else context
                    found.append(Service(_name(path), path, context, arguments, build.target))
                    break
    return list(dict.fromkeys(found))


def _own_context(path: str, stage: Stage) -> str:
    """The folder of the Dockerfile, or the nearest one above that holds any source."""
    at = posixpath.dirname(path)
    while at and not any(entry.path.endswith(SUFFIXES) and _below(entry.path, at) for entry in stage.entries()):
        at = posixpath.dirname(at)
    return at


def _below(path: bytes, folder: str) -> bool:
    return path.startswith(folder.encode() + b"/")


def _picked(services: list[Service], name: str) -> list[Service]:
    chosen = [one for one in services if name in {one.name, one.dockerfile, posixpath.dirname(one.dockerfile)}]
    if not chosen:
        known = ", ".join(one.name for one in services) or "none"
        raise UsageError(f"there is no service '{name}'", hint=f"services here: {known}")
    return chosen


def _from_services(
    services: list[Service], files: _Read, declared: list[Declaration]
) -> tuple[list[Target], list[Declaration]]:
    targets, seen = [], []
    for service in services:
        declaration, python = _from_dockerfile(service, files)
        if not python:
            continue
        seen.append(declaration)
        doubt = _doubt(service, files)
        near = _nearest(declared, service)
        # A build file that sets GOOGLE_PYTHON_VERSION speaks of buildpacks, which build no Dockerfile.
        conflicts = _conflicts(declaration, [one for one in near if one.rank is not Rank.BUILDPACK])
        target = _target(declaration, service.name, service.context, conflicts)
        targets.append(target._replace(doubt=doubt, without=_left_out(service, services, files)))
    return targets, seen


def _left_out(service: Service, services: Iterable[Service], files: _Read) -> tuple[str, ...]:
    """The contexts of other images inside a service's own that its `.dockerignore` drops: it does not ship them."""
    inside = {one.context for one in services if one.context and is_below(one.context, service.context)}
    try:
        rules = docker.Rules(files.ignores.get, service.context, service.dockerfile)
    except UnprovenError:
        return ()  # docker itself fails on that file: nothing is left out by it
    return tuple(sorted(folder for folder in inside if rules.drops(f"{folder}/__init__.py") is not None))


def is_below(folder: str, other: str) -> bool:
    """Whether a folder lies inside another one ("" is the root)."""
    return folder != other and (not other or folder.startswith(f"{other}/"))


def _doubt(service: Service, files: _Read) -> str:
    """Why another Python than that of a service's base image may run in the end."""
    from buildguard.declared import dockerfile

    last = dockerfile.final(files.dockerfiles[service.dockerfile], dict(service.build_args), service.stage)
    found = "" if last is None else dockerfile.installs_python(last.chain)
    return f"{service.dockerfile}: {found}" if found else ""


def _from_dockerfile(service: Service, files: _Read) -> tuple[Declaration, bool]:
    """What a service's Dockerfile declares, and whether it has to do with Python at all."""
    from buildguard.declared import dockerfile

    data = files.dockerfiles[service.dockerfile]
    last = dockerfile.final(data, dict(service.build_args), service.stage)
    folder = posixpath.dirname(service.dockerfile)
    if last is None:
        declaration = Declaration(
            Rank.DOCKERFILE, service.dockerfile, 1, "no FROM", None, folder, untold="it has no FROM"
        )
        return declaration, True
    words = f"final stage on {last.image}"
    declaration = _image(Rank.DOCKERFILE, service.dockerfile, last.line, last.image, words)
    if declaration.version is not None or images.parse(last.image).last not in images.NO_PYTHON:
        return declaration, True
    # what is copied into an empty image may be a whole Python; a web server's build stages say nothing of it
    empty = images.parse(last.image).last in images.EMPTY
    return declaration, dockerfile.speaks_of_python(dockerfile.stages(data, {}) if empty else last.chain)


def _nearest(declared: Iterable[Declaration], service: Service) -> list[Declaration]:
    """The declarations that speak for a service: of each file name, the one nearest above its Dockerfile or context."""
    best: dict[str, tuple[int, list[Declaration]]] = {}
    for one in declared:
        if not _speaks_for(one.folder, _homes(service)):
            continue
        depth, name = len(one.folder.split("/")) if one.folder else 0, posixpath.basename(one.file)
        if name not in best or depth > best[name][0]:
            best[name] = (depth, [one])
        elif depth == best[name][0]:
            best[name][1].append(one)
    return [one for _depth, found in best.values() for one in found]


def _homes(service: Service) -> set[str]:
    return {posixpath.dirname(service.dockerfile), service.context}


def _speaks_for(folder: str, homes: Iterable[str]) -> bool:
    """Whether what lies in a folder holds for one of the homes: it is that folder, or one above it."""
    return not folder or any(home == folder or home.startswith(folder + "/") for home in homes)


def _conflicts(chosen: Declaration, others: Iterable[Declaration]) -> tuple[Declaration, ...]:
    if chosen.version is None:
        return ()
    return tuple(one for one in others if one != chosen and one.excludes(chosen.version))


def _target(
    chosen: Declaration, service: str | None, context: str | None, conflicts: tuple[Declaration, ...]
) -> Target:
    doubt = "" if chosen.rank is Rank.DOCKERFILE else f"{chosen.place} is no Dockerfile"
    return Target(
        chosen.version, chosen.place, chosen.image, service, context, chosen.untold, conflicts, doubt, chosen.specifier
    )


def _root_target(services: Sequence[Target], declared: list[Declaration], sources: Sequence[Entry]) -> list[Target]:
    """The target of the files in no context, from the files at the root; the strongest decides."""
    if any(target.context == "" for target in services):
        return []
    rest = [entry for entry in sources if not any(target.covers(entry.path) for target in services)]
    if not rest:
        return []
    here = sorted((one for one in declared if not one.folder), key=lambda one: one.rank)
    context = None if services else ""
    if not here:
        if not services:
            return []
        untold = "no file at the root says which Python runs what lies in no build context"
        return [Target(None, "the root", None, None, context, untold)]
    return [_target(here[0], None, context, _conflicts(here[0], here[1:]))]


def _typed(text: str, place: str, context: str, against: Iterable[Declaration]) -> Target:
    version = PythonVersion.typed(text)
    conflicts = tuple(one for one in against if one.excludes(version))
    return Target(version, place, None, None, context, "", conflicts)


def _config_place(config: Config) -> str:
    return config.file if config.target_line is None else f"{config.file}:{config.target_line}"


def _unique(targets: Iterable[Target]) -> list[Target]:
    return list(dict.fromkeys(targets))
