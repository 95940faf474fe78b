"""From the files of a stage to targets: every declaration is kept, the one of production decides."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.project import compose, image_reference, version_files
from buildguard.project.config import Config
from buildguard.project.folder_services import leave_out, services_in, unused_targets
from buildguard.project.ignore import docker
from buildguard.project.services import ProjectFiles, named_dockerfiles, picked
from buildguard.project.services import services as services_of
from buildguard.project.sources import decides_target
from buildguard.project.target import ImageService, PythonVersion, Rank, Target, VersionDeclaration
from buildguard.project.yaml import InvalidYamlError
from buildguard.stages.stage import Entry, Stage

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
    b".backup",
    b".bak",
    b".old",
    b".orig",
    b".sample",
    b".yaml",
    b".yml",
)
_TOOLING = (b".devcontainer", b".github", b".gitlab", b".git")


class DiscoveredTargets(NamedTuple):
    """Everything that was found: the targets, what each file declares, and notes for people."""

    targets: tuple[Target, ...]
    declarations: tuple[VersionDeclaration, ...] = ()
    notes: tuple[str, ...] = ()


def discover_targets(
    stage: Stage, config: Config, sources: Sequence[Entry], flags: Sequence[str] = (), service: str = ""
) -> DiscoveredTargets:
    """The targets of a stage: what flags say, else the configuration, else what the files declare.

    `sources` are the files under check; targets that run none of them are left out. Raises UsageError where
    nothing is declared at all.
    """
    if flags and not service:
        return DiscoveredTargets(tuple(_target_from_text(text, "--target", None, []) for text in flags))
    declared = _read_declared(stage, config, service)
    notes = (*declared.files.notes, *declared.notes)
    if flags or config.target:
        targets = _set_targets(declared, config, flags)
        if not flags:
            targets, notes = (
                _by_folder(targets, declared, config),
                (*notes, *unused_targets(config, declared.services, picked=declared.picked)),
            )
        return DiscoveredTargets(tuple(targets), tuple(declared.declarations), notes)
    targets, seen = _declared_targets(declared, sources)
    targets, notes = (
        _by_folder(targets, declared, config),
        (*notes, *unused_targets(config, declared.services, picked=declared.picked)),
    )
    if not targets and not (service and declared.services):
        raise declared.files.unreadable[0] if declared.files.unreadable else _nothing_declared(declared.declarations)
    return DiscoveredTargets(_unique(targets), (*declared.declarations, *seen), notes)


class _ProjectDeclarations(NamedTuple):
    """What the files of a stage declare; `services` are all of them, or the `picked` one."""

    files: ProjectFiles
    services: list[ImageService]
    picked: bool
    declarations: list[VersionDeclaration]
    notes: list[str]

    @property
    def deciding(self) -> list[VersionDeclaration]:
        """The declarations that can decide a target."""
        return [declaration for declaration in self.declarations if declaration.decides]


def _read_declared(stage: Stage, config: Config, service: str) -> _ProjectDeclarations:
    files = _read(stage, config)
    services, notes = services_of(files, config)
    declarations = _declarations(files, services)
    return _ProjectDeclarations(
        files, picked(services, service) if service else services, bool(service), declarations, notes
    )


def _set_targets(declared: _ProjectDeclarations, config: Config, flags: Sequence[str]) -> list[Target]:
    """A flag or the configuration sets the version of everything, or of the service that was picked."""
    runs: Sequence[ImageService | None] = declared.services if declared.picked else [None]
    if flags:
        return [_target_from_text(text, "--target", service, []) for text in flags for service in runs]
    at_root = [declaration for declaration in declared.deciding if not declaration.folder]
    against = at_root + [_from_dockerfile(service, declared.files)[0] for service in declared.services]
    place = _config_place(config)
    return [_target_from_text(text, place, service, against) for text in config.target for service in runs]


def _by_folder(targets: list[Target], declared: _ProjectDeclarations, config: Config) -> list[Target]:
    """The targets with those that the nearest configuration file sets for the services in its folder."""
    for folder in config.folders:
        services = services_in(folder.folder, declared.services) if folder.target else []
        if not services:
            continue
        names = {(service.name, service.context) for service in services}
        others = [target for target in targets if (target.service, target.context) not in names]
        place = folder.file if folder.target_line is None else f"{folder.file}:{folder.target_line}"
        targets = [leave_out(target, {service.context for service in services}) for target in others]
        for service in services:
            against = [_from_dockerfile(service, declared.files)[0]]
            set_there = [_target_from_text(text, place, service, against) for text in folder.target]
            targets += [target._replace(service=service.name) for target in set_there]
    return targets


def _declared_targets(
    declared: _ProjectDeclarations, sources: Sequence[Entry]
) -> tuple[list[Target], list[VersionDeclaration]]:
    """The targets that the files declare and that run a source, and what Dockerfiles declare."""
    targets, seen = _from_services(declared.services, declared.files, declared.deciding)
    if not declared.picked:
        targets += _root_target(targets, declared.deciding, sources)
    return [target for target in targets if any(target_covers(target, targets, e.path) for e in sources)], seen


def _nothing_declared(declarations: Iterable[VersionDeclaration]) -> UsageError:
    steps = (f"{place.place}: {place.words}; it runs that step only\n" for place in declarations if not place.decides)
    return UsageError(
        "nothing here says which Python will run this code",
        hint="".join(steps) + 'add to pyproject.toml:\n  [tool.buildguard]\n  target = ["3.11"]',
    )


class ImageRecipe(NamedTuple):
    """How one image is built: its service, and the text of its Dockerfile."""

    service: ImageService
    dockerfile: bytes


def list_recipes(stage: Stage, config: Config, service: str = "") -> list[ImageRecipe]:
    """The images that a stage's files build, or the one that is called `service`; raises UsageError."""
    files = _read(stage, config)
    services, _notes = services_of(files, config)
    if service:
        services = picked(services, service)
    return [ImageRecipe(image_service, files.dockerfiles[image_service.dockerfile]) for image_service in services]


def target_covers(target: Target, every: Sequence[Target], path: bytes) -> bool:
    """Whether a target runs a path; the root's target runs what lies in no service's context."""
    if target.context is None:
        return not any(other.context is not None and other.covers(path) for other in every)
    return target.covers(path)


# ------------------------------------------------------------------------------------------ reading


def _read(stage: Stage, config: Config) -> ProjectFiles:
    entries = stage.entries()
    project_files = ProjectFiles(tuple(entry.path for entry in entries), {}, {}, [], {}, {}, [], [])
    configured = {*map(os.fsencode, _configured(config)), os.fsencode(config.build_file)}
    composed: dict[str, bytes] = {}
    wanted = [entry for entry in entries if _is_read(entry.path, configured)]
    for entry, content in _contents(stage, wanted, project_files):
        _sort_in(entry.path, content, config, project_files, composed)
    builds, notes = compose.builds(composed)
    project_files.compose_builds.extend(builds)
    project_files.notes.extend(notes)
    names = named_dockerfiles(project_files)
    named = [entry for entry in entries if entry.path in names and not _is_tooling(entry.path)] if names else []
    project_files.dockerfiles.update(
        (display_path(entry.path), content) for entry, content in _contents(stage, named, project_files)
    )
    return project_files


def _sort_in(raw: bytes, content: bytes, config: Config, files: ProjectFiles, composed: dict[str, bytes]) -> None:
    """Put a file where its name belongs."""
    path = display_path(raw)
    if os.fsdecode(raw) in _configured(config) or _is_dockerfile(raw):
        files.dockerfiles[path] = content
    elif path.endswith(".dockerignore"):
        files.ignores[path] = content
    elif posixpath.basename(path) in version_files.NAMES:
        files.pins[path] = content
    elif raw == os.fsencode(config.build_file) or is_build_file_name(raw):
        _read_build_file(path, content, config, files)
    elif compose.is_compose(raw):
        composed[path] = content


def _is_read(path: bytes, configured: Container[bytes]) -> bool:
    return path in configured or (decides_target(path) and not (compose.is_compose(path) and _is_tooling(path)))


def _contents(stage: Stage, wanted: Iterable[Entry], files: ProjectFiles) -> Iterator[tuple[Entry, bytes]]:
    """The content of some files; a compose file that cannot be read costs a note, any other one everything."""
    for entry, content in stage.contents(wanted):
        if isinstance(content, bytes):
            yield entry, content
        elif not content.is_missing:
            reason = f"{display_path(entry.path)}: {content.reason}"
            if not compose.is_compose(entry.path):
                raise UnprovenError(reason)
            files.notes.append(f"{reason}; its build contexts are not known")


def _read_build_file(path: str, content: bytes, config: Config, files: ProjectFiles) -> None:
    from buildguard.project.cloudbuild import reader

    try:
        files.buildfiles[path] = reader.read(content, path, dict(config.substitutions))
    except InvalidYamlError as error:
        files.unreadable.append(error)  # BG410 says so


def is_build_file_name(path: bytes) -> bool:
    """Whether a path is called like a build file: cloudbuild.yaml, cloudbuild-staging.yaml, api.cloudbuild.json."""
    name = path[path.rfind(b"/") + 1 :]
    stem, _, suffix = name.rpartition(b".")
    named = suffix in {b"yaml", b"yml", b"json"} and b"cloudbuild" in re.split(rb"[-._]", stem)
    return named and not _is_tooling(path)


def _is_dockerfile(path: bytes) -> bool:
    return _DOCKERFILE.search(path) is not None and not path.lower().endswith(_NO_DOCKERFILE) and not _is_tooling(path)


def _is_tooling(path: bytes) -> bool:
    return any(folder in _TOOLING for folder in path.split(b"/")[:-1])


def _configured(config: Config) -> set[str]:
    return {config.dockerfile, *(service.dockerfile for service in config.services)} - {""}


def _declarations(files: ProjectFiles, services: Iterable[ImageService]) -> list[VersionDeclaration]:
    """What is declared in the folders that speak for a service or for the root; others are somebody else's."""
    homes = {"", *(home for service in services for home in _homes(service))}
    declarations: list[VersionDeclaration] = []
    for path, data in files.pins.items():
        if _speaks_for(posixpath.dirname(path), homes):
            declarations += version_files.declarations(data, path)
    for path, buildfile in files.buildfiles.items():
        folder = posixpath.dirname(path)
        if not _speaks_for(folder, homes):
            continue
        for line, image in buildfile.step_images:
            declarations.append(_image(Rank.STEP, path, line, image, f"step on {image}"))
        for line, text in buildfile.versions:
            declarations.append(
                version_files.declare_exact(Rank.BUILDPACK, path, line, text, f"GOOGLE_PYTHON_VERSION {text}")
            )
    return sorted(declarations, key=lambda declaration: (declaration.rank, declaration.file, declaration.line or 0))


def _image(rank: Rank, file: str, line: int, image: str, words: str) -> VersionDeclaration:
    version = image_reference.promised_version(image)
    untold = "" if version is not None else image_reference.why_version_unknown(image)
    return VersionDeclaration(rank, file, line, words, version, posixpath.dirname(file), untold=untold, image=image)


# ------------------------------------------------------------------------------------------ targets


def _from_services(
    services: list[ImageService], files: ProjectFiles, declared: list[VersionDeclaration]
) -> tuple[list[Target], list[VersionDeclaration]]:
    targets, seen = [], []
    for service in services:
        declaration, python = _from_dockerfile(service, files)
        if not python:
            continue
        seen.append(declaration)
        doubt = _why_uncertain(service, files)
        near = _nearest(declared, service)
        # A build file that sets GOOGLE_PYTHON_VERSION speaks of buildpacks, which build no Dockerfile.
        conflicts = _conflicts(declaration, [candidate for candidate in near if candidate.rank is not Rank.BUILDPACK])
        target = _target(declaration, service.name, service.context, conflicts)
        targets.append(target._replace(doubt=doubt, without=_left_out(service, services, files), basis=service.basis))
    return targets, seen


def _left_out(service: ImageService, services: Iterable[ImageService], files: ProjectFiles) -> tuple[str, ...]:
    """The contexts of other images inside a service's own that its `.dockerignore` drops: it does not ship them."""
    inside = {other.context for other in services if other.context and is_below(other.context, service.context)}
    try:
        rules = docker.DockerIgnoreRules(files.ignores.get, service.context, service.dockerfile)
    except UnprovenError:
        return ()  # docker itself fails on that file: nothing is left out by it
    return tuple(sorted(folder for folder in inside if rules.drops(f"{folder}/__init__.py") is not None))


def is_below(folder: str, other: str) -> bool:
    """Whether a folder lies inside another one ("" is the root)."""
    return folder != other and (not other or folder.startswith(f"{other}/"))


def _why_uncertain(service: ImageService, files: ProjectFiles) -> str:
    """Why another Python than that of a service's base image may run in the end."""
    from buildguard.project import dockerfile

    last = dockerfile.resolve_final_stage(
        files.dockerfiles[service.dockerfile], dict(service.build_args), service.stage
    )
    instruction = "" if last is None else dockerfile.installs_python(last.chain)
    return f"{service.dockerfile}: {instruction}" if instruction else ""


def _from_dockerfile(service: ImageService, files: ProjectFiles) -> tuple[VersionDeclaration, bool]:
    """What a service's Dockerfile declares, and whether it has to do with Python at all."""
    from buildguard.project import dockerfile

    data = files.dockerfiles[service.dockerfile]
    last = dockerfile.resolve_final_stage(data, dict(service.build_args), service.stage)
    folder = posixpath.dirname(service.dockerfile)
    if last is None:
        declaration = VersionDeclaration(
            Rank.DOCKERFILE, service.dockerfile, 1, "no FROM", None, folder, untold="it has no FROM"
        )
        return declaration, True
    words = f"final stage on {last.image}"
    declaration = _image(Rank.DOCKERFILE, service.dockerfile, last.line, last.image, words)
    if declaration.version is not None or image_reference.parse(last.image).last not in image_reference.NO_PYTHON:
        return declaration, True
    # what is copied into an empty image may be a whole Python; a web server's build stages say nothing of it
    empty = image_reference.parse(last.image).last in image_reference.EMPTY
    return declaration, dockerfile.mentions_python(dockerfile.stages(data, {}) if empty else last.chain)


def _nearest(declared: Iterable[VersionDeclaration], service: ImageService) -> list[VersionDeclaration]:
    """The declarations that speak for a service: of each file name, the one nearest above its Dockerfile or context."""
    best: dict[str, tuple[int, list[VersionDeclaration]]] = {}
    for declaration in declared:
        if not _speaks_for(declaration.folder, _homes(service)):
            continue
        depth, name = (
            len(declaration.folder.split("/")) if declaration.folder else 0,
            posixpath.basename(declaration.file),
        )
        if name not in best or depth > best[name][0]:
            best[name] = (depth, [declaration])
        elif depth == best[name][0]:
            best[name][1].append(declaration)
    return [nearest for _depth, group in best.values() for nearest in group]


def _homes(service: ImageService) -> set[str]:
    return {posixpath.dirname(service.dockerfile), service.context}


def _speaks_for(folder: str, homes: Iterable[str]) -> bool:
    """Whether what lies in a folder holds for one of the homes: it is that folder, or one above it."""
    return not folder or any(home == folder or home.startswith(folder + "/") for home in homes)


def _conflicts(chosen: VersionDeclaration, others: Iterable[VersionDeclaration]) -> tuple[VersionDeclaration, ...]:
    if chosen.version is None:
        return ()
    return tuple(
        declaration for declaration in others if declaration != chosen and declaration.excludes(chosen.version)
    )


def _target(
    chosen: VersionDeclaration, service: str | None, context: str | None, conflicts: tuple[VersionDeclaration, ...]
) -> Target:
    doubt = "" if chosen.rank is Rank.DOCKERFILE else f"{chosen.place} is no Dockerfile"
    return Target(
        chosen.version, chosen.place, chosen.image, service, context, chosen.untold, conflicts, doubt, chosen.specifier
    )


def _root_target(
    services: Sequence[Target], declared: list[VersionDeclaration], sources: Sequence[Entry]
) -> list[Target]:
    """The target of the files in no context, from the files at the root; the strongest decides."""
    if any(target.context == "" for target in services) or _cover_all(services, sources):
        return []
    at_root = sorted(
        (declaration for declaration in declared if not declaration.folder), key=lambda declaration: declaration.rank
    )
    context = None if services else ""
    if at_root:
        return [_target(at_root[0], None, context, _conflicts(at_root[0], at_root[1:]))]
    untold = "no file at the root sets the Python version of files outside every build context"
    return [Target(None, "the root", None, None, context, untold)] if services else []


def _cover_all(targets: Sequence[Target], sources: Sequence[Entry]) -> bool:
    return all(any(target.covers(entry.path) for target in targets) for entry in sources)


def _target_from_text(
    text: str, place: str, service: ImageService | None, against: Iterable[VersionDeclaration]
) -> Target:
    version = PythonVersion.typed(text)
    conflicts = tuple(declaration for declaration in against if declaration.excludes(version))
    context, basis = (service.context, service.basis) if service is not None else ("", None)
    return Target(version, place, None, None, context, "", conflicts, basis=basis)


def _config_place(config: Config) -> str:
    return config.file if config.target_line is None else f"{config.file}:{config.target_line}"


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Targets that differ in more than what declares their context, the first of each."""
    first: dict[Target, Target] = {}
    for target in targets:
        first.setdefault(target._replace(basis=None), target)
    return tuple(first.values())
