"""From services to targets: which Python each runs, what contradicts it, and which files it does not ship."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from functools import cached_property

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Severity
from buildguard.errors import UnprovenError
from buildguard.project import contexts, dockerfile, dockerfile_python
from buildguard.project.dockerfile_python import DockerfilePython, PythonRelation
from buildguard.project.folder_projects import FolderProject, names_in
from buildguard.project.ignore import docker
from buildguard.project.project_files import ProjectFiles
from buildguard.project.target import Certainty, ImageService, Rank, Target, VersionDeclaration
from buildguard.project.tool_images import is_tool_image
from buildguard.remote.source_names import SUFFIXES
from buildguard.stages.stage import Entry

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService

# What the folder of another language has: an image of it on an unknown base is no Python image.
_FOREIGN = frozenset(
    ("package.json", "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "composer.json", "Gemfile", "Cargo.toml")
)


_PLAIN_NAMES = frozenset({"dockerfile", "containerfile"})


class DockerfileDeclaration(NamedTuple):
    """What a service's Dockerfile declares, why another Python may run in the end, and whether it has to do with Python."""

    declaration: VersionDeclaration
    doubt: str
    is_python: bool


class ContextShares:
    """Which files of its context each of a project's images has: where images share a context, what the others copy decides too."""

    def __init__(self, services: Sequence[ImageService], files: ProjectFiles) -> None:
        """`services` are all that the project builds, those that were not picked too."""
        self._services = services
        self._files = files

    @cached_property
    def _paths(self) -> list[str]:
        return [path.decode("utf-8", "surrogateescape") for path in self._files.paths if path.endswith(SUFFIXES)]

    def limit(self, target: Target, service: ImageService) -> Target:
        """A target of a service's context that has the files of that service's image."""
        without = _left_out(service, self._services, self._files)
        return target._replace(without=without, reach=service.reach, ships=self._shipped(service))

    def _shipped(self, service: ImageService) -> frozenset[str] | None:
        """The paths that a service's Dockerfile may copy, where it shares its context with another one that copies less or more."""
        others = (other for other in self._services if other.dockerfile != service.dockerfile)
        shared = any(_overlap(service.context, other.context) for other in others)
        data = self._files.dockerfiles[service.dockerfile]
        if not shared or not contexts.copies_context(data):
            return None
        from buildguard.project.image_build import BuildInput, sent_sources

        return sent_sources(BuildInput(data, self._paths, service.context, dict(service.build_args)))


def from_services(
    services: Sequence[ImageService], files: ProjectFiles, declared: list[VersionDeclaration], shares: ContextShares
) -> tuple[list[Target], list[VersionDeclaration]]:
    """The targets of images, and what their Dockerfiles declare."""
    targets, seen = [], []
    for service in services:
        declaration, doubt, is_python = from_dockerfile(service, files)
        if not is_python:
            continue
        seen.append(declaration)
        # GOOGLE_PYTHON_VERSION in a build file is for buildpacks, which build no Dockerfile.
        near = [each for each in _nearest(declared, homes(service)) if each.rank is not Rank.BUILDPACK]
        conflicts = _with_refusals(_conflicts(declaration, near), declaration, service, files)
        target = _target(declaration, service.name, service.context, conflicts)
        doubt = doubt or _why_guessed(service, files.dockerfiles[service.dockerfile])
        targets.append(shares.limit(target._replace(doubt=doubt, basis=service.basis), service))
    return targets, seen


def _overlap(context: str, other: str) -> bool:
    return context == other or is_below(context, other) or is_below(other, context)


def _why_guessed(service: ImageService, data: bytes) -> str:
    """That nothing confirms a context; one that can only be the root, or of which nothing is copied, is not in doubt."""
    if service.basis.known is not Certainty.GUESSED or not posixpath.dirname(service.dockerfile):
        return ""
    if not contexts.copies_context(data):
        return ""
    return f"{service.dockerfile}: its build context ({service.context or '.'}) is a guess"


def _with_refusals(
    conflicts: Iterable[VersionDeclaration], chosen: VersionDeclaration, service: ImageService, files: ProjectFiles
) -> tuple[VersionDeclaration, ...]:
    """Conflicts with the command of the Dockerfile that refuses the Python because of them."""
    kept = tuple(conflicts)
    if not kept:
        return ()
    from buildguard.project import project_installs

    data = files.dockerfiles[service.dockerfile]
    stages = dockerfile.stages(data, dict(service.build_args))
    return tuple(
        conflict._replace(refusal=project_installs.refusal(conflict, chosen.version, stages, service.dockerfile))
        if chosen.version is not None
        else conflict
        for conflict in kept
    )


def from_buildpacks(
    packs: Iterable[BuildpackService], files: ProjectFiles, declared: list[VersionDeclaration]
) -> list[Target]:
    """The targets of folders that buildpacks build."""
    targets = []
    for pack in packs:
        from buildguard.project import buildpacks

        python = buildpacks.python_of(pack, files.pins)
        problem = python.problem
        if problem is not None and pack.basis.known is Certainty.GUESSED:
            problem = problem._replace(severity=Severity.WARNING)  # another platform may build it
        near = [each for each in _nearest(declared, {pack.folder}) if each.rank is not Rank.RUNTIME_TXT]
        conflicts = _conflicts(python.declaration, near)
        target = _target(python.declaration, pack.name, pack.folder, conflicts)
        doubt = f"{python.declaration.place} is no Dockerfile"
        targets.append(target._replace(basis=pack.basis, pin_problem=problem, doubt=doubt))
    return targets


def from_folders(projects: Iterable[FolderProject], declared: Iterable[VersionDeclaration]) -> list[Target]:
    """The targets of folders that declare a Python of their own."""
    every = [*declared]
    return [
        _target(
            project.declaration,
            project.name,
            project.folder,
            _conflicts(project.declaration, (each for each in every if each.folder == project.folder)),
        )._replace(basis=project.basis)
        for project in projects
    ]


def _left_out(service: ImageService, services: Iterable[ImageService], files: ProjectFiles) -> tuple[str, ...]:
    """The contexts of other images inside a service's own that its `.dockerignore` drops: it does not ship them."""
    inside = {other.context for other in services if other.context and is_below(other.context, service.context)}
    try:
        rules = docker.DockerIgnoreRules(files.ignores.get, service.context, service.dockerfile)
    except UnprovenError:
        return ()  # docker itself fails on that file: nothing is left out by it
    return tuple(sorted(folder for folder in inside if rules.drops(f"{folder}/__init__.py") is not None))


def is_below(folder: str, other: str) -> bool:
    """Whether a folder is inside another one ("" is the root)."""
    return folder != other and (not other or folder.startswith(f"{other}/"))


def from_dockerfile(service: ImageService, files: ProjectFiles) -> DockerfileDeclaration:
    """What a service's Dockerfile declares, and whether it has to do with Python at all."""
    python = dockerfile_python.resolve(files.dockerfiles[service.dockerfile], dict(service.build_args), service.stage)
    declaration = VersionDeclaration(
        Rank.DOCKERFILE,
        service.dockerfile,
        python.line,
        python.words,
        python.version,
        posixpath.dirname(service.dockerfile),
        why_unknown=python.why_unknown,
        image=python.image,
    )
    doubt = f"{service.dockerfile}: {python.doubt}" if python.doubt else ""
    return DockerfileDeclaration(declaration, doubt, _is_python(python, service, files))


def _is_python(python: DockerfilePython, service: ImageService, files: ProjectFiles) -> bool:
    """Whether an image ships Python; on an unknown base its context decides: one with another language's files does not."""
    if not python.has_stages and posixpath.basename(service.dockerfile).lower() not in _PLAIN_NAMES:
        return False  # a part of a Dockerfile, or something else of that name
    if is_tool_image(files.dockerfiles[service.dockerfile], dict(service.build_args), service.stage):
        return False
    if python.relation is not PythonRelation.UNKNOWN_BASE:
        return python.relation is PythonRelation.SHIPS
    own = posixpath.dirname(service.dockerfile)
    if _FOREIGN & {*names_in(files, own), *names_in(files, service.context)}:
        return False
    paths = contexts.ProjectPaths(files.paths)
    return paths.has_source(own if service.basis.known is Certainty.GUESSED else service.context)


def _nearest(declared: Iterable[VersionDeclaration], folders: set[str]) -> list[VersionDeclaration]:
    """The declarations that speak for some folders: of each file name, the one nearest above them."""
    best: dict[str, tuple[int, list[VersionDeclaration]]] = {}
    for declaration in declared:
        if not speaks_for(declaration.folder, folders):
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


def homes(service: ImageService) -> set[str]:
    """The folders of a service's Dockerfile and of its context."""
    return {posixpath.dirname(service.dockerfile), service.context}


def speaks_for(folder: str, folders: Iterable[str]) -> bool:
    """Whether what a folder declares holds for one of the homes: it is that folder, or one above it."""
    return not folder or any(home == folder or home.startswith(folder + "/") for home in folders)


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
        chosen.version,
        chosen.place,
        chosen.image,
        service,
        context,
        chosen.why_unknown,
        conflicts,
        doubt,
        chosen.specifier,
    )


def root_target(
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
    why_unknown = "no file at the root sets the Python version of files outside every build context"
    return [Target(None, "the root", None, None, context, why_unknown)] if services else []


def _cover_all(targets: Sequence[Target], sources: Sequence[Entry]) -> bool:
    return all(any(target.covers(entry.path) for target in targets) for entry in sources)
