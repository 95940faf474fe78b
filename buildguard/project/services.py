"""The images that a project builds: one service for each Dockerfile, or for each way in which a file declares its build."""

from __future__ import annotations

import functools
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from buildguard.errors import UsageError, did_you_mean
from buildguard.project import contexts, dockerfile
from buildguard.project.compose import ComposeBuild
from buildguard.project.config import Config, ServiceTable
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.project.yaml import InvalidYamlError

if TYPE_CHECKING:
    from buildguard.project.cloudbuild.reader import BuildFile


class ProjectFiles(NamedTuple):
    """The files of a stage that decide targets, by path; `notes` are on those that cannot be used.

    `paths` are all paths of the stage.
    """

    paths: tuple[bytes, ...]
    dockerfiles: dict[str, bytes]
    buildfiles: dict[str, BuildFile]
    compose_builds: list[ComposeBuild]
    pins: dict[str, bytes]
    ignores: dict[str, bytes]
    unreadable: list[InvalidYamlError]
    notes: list[str]


def services(files: ProjectFiles, config: Config) -> tuple[list[ImageService], list[str]]:
    """Every service with its context, and notes on contexts that are guesses."""
    finder = _ServiceFinder(files)
    if config.services or config.dockerfile:
        tables = config.services or (ServiceTable("", config.dockerfile, None, None),)
        return [service for table in tables for service in finder.configured(table, config)], finder.notes
    return [service for path in sorted(files.dockerfiles) for service in finder.of_dockerfile(path)], finder.notes


def picked(every: list[ImageService], name: str) -> list[ImageService]:
    """The services with a name, or with a Dockerfile or a folder called so; raises UsageError."""
    chosen = [each for each in every if name in {each.name, each.dockerfile, posixpath.dirname(each.dockerfile)}]
    if not chosen:
        known = ", ".join(service.name for service in every) or "none"
        hint = did_you_mean(name, [service.name for service in every], f"services here: {known}")
        raise UsageError(f"unknown service '{name}'", hint=hint)
    return chosen


def named_dockerfiles(files: ProjectFiles) -> set[bytes]:
    """The Dockerfiles of other names that build files and compose files build."""
    names = {build.dockerfile for build in files.compose_builds}
    for file, buildfile in files.buildfiles.items():
        names |= {_from(base, build.dockerfile) for build in buildfile.builds for base in _bases(file)}
    return {os.fsencode(name) for name in names - files.dockerfiles.keys()}


class _ServiceFinder:
    """Looks up how each Dockerfile is built: in build files, in compose files, else in its own COPY instructions."""

    def __init__(self, files: ProjectFiles) -> None:
        self._files = files
        self.notes: list[str] = []

    def configured(self, table: ServiceTable, config: Config) -> list[ImageService]:
        """A service as the configuration has it, once for each way in which its Dockerfile is built."""
        place = config.file if table.line is None else f"{config.file}:{table.line}"
        if table.dockerfile not in self._files.dockerfiles:
            raise UsageError(f"{place}: there is no {table.dockerfile}")
        name = table.name or _name(table.dockerfile)
        if table.context is None:
            services_of_file = self.of_dockerfile(table.dockerfile, prefer_root=not table.name)
            return [service._replace(name=name) for service in services_of_file]
        declared = ImageService(name, table.dockerfile, table.context, ContextBasis(Certainty.DECLARED, place))
        built = (declared._replace(build_args=b.build_args, stage=b.stage) for b in self._built(table.dockerfile))
        return _distinct(built) or [declared]

    def of_dockerfile(self, path: str, *, prefer_root: bool = False) -> list[ImageService]:
        """Each way in which a Dockerfile is built: what build files say before what compose files say."""
        every = _distinct(self._built(path)) or _distinct(self._composed(path))
        if every:
            return every
        guess = contexts.guess(path, self._files.dockerfiles[path], self._paths, prefer_root=prefer_root)
        self.notes += [guess.note] if guess.note else []
        return [ImageService(_name(path), path, guess.context, guess.basis)]

    @functools.cached_property
    def _paths(self) -> contexts.ProjectPaths:
        return contexts.ProjectPaths(self._files.paths)

    def _built(self, path: str) -> Iterator[ImageService]:
        for file, buildfile in self._files.buildfiles.items():
            for build in buildfile.builds:
                base = next((folder for folder in _bases(file) if _from(folder, build.dockerfile) == path), None)
                if base is not None:
                    basis = ContextBasis(Certainty.DECLARED, f"{file}:{build.line}")
                    arguments = tuple(sorted(build.build_args.items()))
                    yield ImageService(_name(path), path, _from(base, build.context), basis, arguments, build.target)

    def _composed(self, path: str) -> Iterator[ImageService]:
        """What compose files build of a Dockerfile.

        What is deployed may be built without a compose file's arguments, and never by its `target`: so the Dockerfile's
        own defaults count too, where they name an image.
        """
        for build in self._files.compose_builds:
            if build.dockerfile != path:
                continue
            service = ImageService(_name(path), path, build.context, ContextBasis(Certainty.DECLARED, build.place))
            last = dockerfile.resolve_final_stage(self._files.dockerfiles[path], {})
            if not build.build_args or last is None or "$" not in last.image:
                yield service
            if build.build_args:
                yield service._replace(build_args=build.build_args)


def _distinct(every: Iterable[ImageService]) -> list[ImageService]:
    """Services that differ in more than the line that declares them, the first of each."""
    first: dict[ImageService, ImageService] = {}
    for service in every:
        first.setdefault(service._replace(basis=ContextBasis(service.basis.known, "")), service)
    return list(first.values())


def _bases(file: str) -> tuple[str, ...]:
    """Where the build of a build file may run: in its folder, or at the root."""
    return tuple(dict.fromkeys((posixpath.dirname(file), "")))


def _from(base: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(base, path))
    return "" if joined == "." else joined


def _name(path: str) -> str:
    """What `--service` calls a Dockerfile: its folder, or its own second name (Dockerfile.worker)."""
    folder, base = posixpath.split(path)
    second = re.sub(r"(?i)^(?:docker|container)file[-._]?|[-._]?(?:docker|container)file$", "", base)
    return second or folder or "root"
