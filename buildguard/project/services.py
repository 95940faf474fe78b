"""The images that a project builds: one service for each Dockerfile, or for each way in which a file declares its build."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterable, Iterator

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.errors import UsageError, did_you_mean
from buildguard.project import contexts, dockerfile
from buildguard.project.config import Config, ServiceTable
from buildguard.project.project_files import ProjectFiles, build_folders, from_base
from buildguard.project.target import Certainty, ContextBasis, ImageService

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService

_VARIABLE = lazy_pattern(r"\$(?:\w+|\{\w+\})")
_KIND = lazy_pattern(r"(?i)^(?:docker|container)file[-._]?|[-._]?(?:docker|container)file$")


def services(files: ProjectFiles, config: Config) -> tuple[list[ImageService], list[str]]:
    """Every service with its context, and notes on contexts that are guesses."""
    finder = _ServiceFinder(files)
    if config.services or config.dockerfile:
        tables = config.services or (ServiceTable("", config.dockerfile, None, None),)
        return [service for table in tables for service in finder.configured(table, config)], finder.notes
    return [service for path in sorted(files.dockerfiles) for service in finder.of_dockerfile(path)], finder.notes


def picked(
    services: list[ImageService], packs: list[BuildpackService], name: str, others: Iterable[str] = ()
) -> tuple[list[ImageService], list[BuildpackService]]:
    """The services with a name, or with a Dockerfile or a folder called so; raises UsageError.

    `others` are names of projects that no file builds.
    """
    images = [each for each in services if name in {each.name, each.dockerfile, posixpath.dirname(each.dockerfile)}]
    sources = [pack for pack in packs if name in {pack.name, pack.folder}]
    rest = [*others]
    if not images and not sources and name not in rest:
        names = [*(each.name for each in services), *(pack.name for pack in packs), *rest]
        known = ", ".join(dict.fromkeys(names)) or "none"
        hint = did_you_mean(name, names, f"services here: {known}")
        raise UsageError(f"unknown service '{name}'", hint=hint)
    return images, sources


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
        """Each way in which a Dockerfile is built: what build files say before what other files say."""
        every = self._possible(path, _distinct(self._built(path)) or _distinct(self._declared(path)))
        if every:
            return every
        data, alone = self._files.dockerfiles[path], len(self._files.dockerfiles) == 1
        guess = contexts.guess(path, data, self._paths, prefer_root=prefer_root, alone=alone)
        self.notes += [guess.note] if guess.note else []
        return [ImageService(_name(path), path, guess.context, guess.basis, reach=guess.reach)]

    def _possible(self, path: str, services: list[ImageService]) -> list[ImageService]:
        """Without a build that the engine refuses, where another one works: `FROM ${BASE}` without a value for BASE."""
        return [service for service in services if not self._has_no_base(path, service)] or services

    def _has_no_base(self, path: str, service: ImageService) -> bool:
        data = self._files.dockerfiles[path]
        last = dockerfile.resolve_final_stage(data, dict(service.build_args), service.stage)
        return last is not None and _VARIABLE.fullmatch(last.image) is not None

    @functools.cached_property
    def _paths(self) -> contexts.ProjectPaths:
        return contexts.ProjectPaths(self._files.paths)

    def _built(self, path: str) -> Iterator[ImageService]:
        """What build files build of a Dockerfile: by its name, from source beside it, or with a compose file."""
        for file, buildfile in self._files.buildfiles.items():
            for build in buildfile.builds:
                base = next((f for f in build_folders(file) if from_base(f, build.dockerfile) == path), None)
                if base is not None:
                    basis = ContextBasis(Certainty.DECLARED, f"{file}:{build.line}")
                    arguments = tuple(sorted(build.build_args.items()))
                    context = from_base(base, build.context)
                    yield ImageService(_name(path), path, context, basis, arguments, build.target)
            for source in buildfile.sources:
                from buildguard.project.cloudbuild.source_builds import SourceTool

                folders = {from_base(base, source.folder) for base in build_folders(file)}
                if source.tool is SourceTool.RUN and path in {posixpath.join(f, "Dockerfile") for f in folders}:
                    basis = ContextBasis(Certainty.DECLARED, f"{file}:{source.line}")
                    yield ImageService(_name(path), path, posixpath.dirname(path), basis, from_source=True)
            if any(self._composes(file, name) for _line, name in buildfile.composed):
                yield from self._composed_by(file, path)

    def _composes(self, file: str, name: str) -> bool:
        return any(
            build.place.rpartition(":")[0] in self._compose_paths(file, name) for build in self._files.image_builds
        )

    def _compose_paths(self, file: str, name: str) -> set[str]:
        """The compose files that a name of a build file may mean: itself, or those in the folder that it is."""
        paths = {from_base(base, name) for base in build_folders(file)}
        if not name.endswith("/"):
            return paths
        sources = (build.place.rpartition(":")[0] for build in self._files.image_builds)
        return {source for source in sources if posixpath.dirname(source) in paths}

    def _composed_by(self, file: str, path: str) -> Iterator[ImageService]:
        """What the compose files that a build file builds say of a Dockerfile."""
        names = {name for _line, name in self._files.buildfiles[file].composed}
        sources = {source for name in names for source in self._compose_paths(file, name)}
        for build in self._files.image_builds:
            if build.dockerfile == path and build.place.rpartition(":")[0] in sources:
                basis = ContextBasis(Certainty.DECLARED, build.place)
                yield ImageService(_name(path), path, build.context, basis, build.build_args, build.target)

    def _declared(self, path: str) -> Iterator[ImageService]:
        """What compose files, Skaffold and workflows build of a Dockerfile.

        What is deployed may be built without a compose file's arguments, and never by its `target`: so the Dockerfile's
        own defaults count too, where they name an image.
        """
        for build in self._files.image_builds:
            if build.dockerfile != path:
                continue
            basis = ContextBasis(Certainty.DECLARED, build.place)
            service = ImageService(_name(path), path, build.context, basis, stage=build.target)
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


def _name(path: str) -> str:
    """What `--service` calls a Dockerfile: its folder, or its own second name (Dockerfile.worker)."""
    folder, base = posixpath.split(path)
    second = "" if base == "Dockerfile" else _KIND.sub("", base)
    return second or folder or "root"
