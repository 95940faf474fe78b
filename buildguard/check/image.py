"""`buildguard check image:REF`: the files of a built image, compiled by its own interpreter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from buildguard.check.context import NO_VERSION, Job, cache_of, filters_of
from buildguard.check.filters import IgnoreComment
from buildguard.check.image_libraries import ImageLibraries
from buildguard.check.image_start_files import find_missing_start, find_shadows, find_start_files, read_start
from buildguard.check.result import CheckReport, Dependencies, ImageReport
from buildguard.check.run import build_report
from buildguard.check.startup import NOT_COMPILED
from buildguard.check.targets import CheckState, Watcher, judge_all
from buildguard.codes import Code
from buildguard.compare.image_lookup import ANY_IMAGE, ImageLookup
from buildguard.compare.image_project import LocalProject, ProjectFinder, ProjectLocation, load_project, parse
from buildguard.compare.installed_project import is_version_stamp
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven, count, display_path
from buildguard.docker.image_source import ENGINE_IMAGES, ImageFilesystem
from buildguard.docker.image_stage import ImageFiles, ImageStage
from buildguard.docker.images import Image
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import discovery
from buildguard.project.image_model import PlacedFile
from buildguard.project.request import CheckRequest, may_pull
from buildguard.project.sources import ChosenSources
from buildguard.project.start_command import StartCommand
from buildguard.project.target import Target
from buildguard.stages.git_objects import GitStage, commit_of
from buildguard.stages.stage import Entry

_PREFIX = "image:"
_T = TypeVar("_T", Diagnostic, Unproven, IgnoreComment)


def check_image(
    request: CheckRequest,
    text: str,
    watcher: Watcher,
    lookup: ImageLookup = ANY_IMAGE,
) -> CheckReport:
    """Judge the project in an image, and what was installed beside it.

    `text` is `image:REF` or `image:REF:/root`. Raises UsageError for a request that makes no sense, UnprovenError where the
    image cannot be read, or the project's folder in it is unknown.
    """
    started = time.monotonic()
    if request.staged or request.diff_base:
        raise UsageError("an image has no index and no commits: --staged and --diff-base do not go with it")
    reference, root = parse(text)
    project = load_project(request.cwd, request.service, lookup.commit)
    pull = watcher.tell if may_pull(request) else None
    source = lookup.source or ENGINE_IMAGES
    with source.open(reference, project.config.platform, pull) as (image, cell):
        inside = _ImageCheck(request._replace(image=reference), project, image, cell, root)
        return inside.report(watcher, started)


class ChangedSource(NamedTuple):
    """A source of the project that is another one in the image.

    `is_stamp` says that only its version differs, `is_committed` that the image has the file of HEAD, which was edited here since.
    """

    path: bytes
    is_stamp: bool
    is_committed: bool = False


class _ImageContents(NamedTuple):
    """What of an image is the project's, what was installed beside it and where, and what the Dockerfile copies and it lacks.

    `places` and `installed` have the path of each file in the image by its path in the project, `started` those that its
    own command starts Python with.
    """

    located: ProjectLocation
    places: Mapping[bytes, bytes]
    installed: Mapping[bytes, bytes]
    folders: tuple[str, ...]
    missing: Sequence[tuple[str, PlacedFile]]
    started: Sequence[bytes]
    start: StartCommand | None

    @property
    def has_bytecode(self) -> bool:
        """Whether the project's folder holds compiled files."""
        return any(path.endswith(b".pyc") for path in self.places)

    def split_sources(self, sources: Sequence[Entry]) -> tuple[list[bytes], list[bytes]]:
        """The paths of the sources that were installed, and of the project's own."""
        paths = [entry.path for entry in sources]
        return (
            [path for path in paths if path in self.installed],
            [path for path in paths if path not in self.installed],
        )


class _ImageCheck:
    """One image, while it is read and judged."""

    def __init__(
        self, request: CheckRequest, project: LocalProject, image: Image, cell: ImageFilesystem, root: str
    ) -> None:
        self._request = request
        self._project = project
        self._image = image
        self._cell = cell
        self._files = ImageFiles(cell)
        self._finder = ProjectFinder(project, image, cell, self._files, root)

    def report(self, watcher: Watcher, started: float) -> CheckReport:
        """Read, judge, and tell the project's files from the others."""
        try:
            located = self._finder.located()
            places, installed = self._finder.places(located)
            folders = self._installed_folders(places, installed)
            missing = self._finder.missing(located)
            start = read_start(self._image, self._cell, self._files)
            started_files = find_start_files(start, self._image, self._cell, self._files)
            if self._image.cache_folder:
                self._files.read(self._image.cache_folder)
            known = {*places.values(), *installed.values()}
            places.update((path, path) for path in started_files if path not in known)
            job = self._job({**places, **installed}, installed, frozenset(file.path for _source, file in missing))
            try:
                return self._judge(
                    job,
                    _ImageContents(located, places, installed, folders, missing, started_files, start),
                    watcher,
                    started,
                )
            finally:
                job.cache.close()
        finally:
            self._files.close()

    def _judge(self, job: Job, contents: _ImageContents, watcher: Watcher, started: float) -> CheckReport:
        """Judge every source, compare the project's with the files here, and report the installed ones by themselves."""
        located = contents.located
        seen = judge_all(job, watcher)
        self._keep_to_one_image(seen)
        if contents.has_bytecode and not any(row.image_id for row in seen.rows):
            seen.unproven.append(Unproven(None, None, _BYTECODE_UNSEEN))
        self._report_missing(located, contents.missing, seen)
        seen.notes += filter(None, [self._finder.other_start(located)])
        compiled, own = contents.split_sources(job.chosen.sources)
        changed = self._with_committed(contents.places, list(self._changed(contents.places, own)))
        self._report_changed(located, contents.places, changed, seen)
        seen.unproven += [*self._uncompiled(job, contents), *self._other_start(contents)]
        libraries = ImageLibraries(self._cell, self._image, self._files)
        seen.diagnostics += libraries.unloadable(job, self._image)
        aside = _split_dependencies(seen, {display_path(path) for path in contents.installed})
        report = build_report(job, seen, started)
        return report._replace(
            files=report.files - len(compiled),
            targets=tuple(row._replace(files=len(own), cached=len(seen.cached & {*own})) for row in report.targets),
            image=ImageReport(
                self._image.reference,
                self._image.id,
                self._image.digest,
                self._image.platform,
                located.roots,
                located.reported_by,
                tuple(display_path(path) for path in own if self._has_no_twin(path)),
                tuple(display_path(source.path) for source in changed),
                aside._replace(files=len(compiled), folders=contents.folders),
                sum(held.elf_target is not None for held in self._files.entries.values()),
                tuple(libraries.misfits()),
            ),
        )

    def _uncompiled(self, job: Job, contents: _ImageContents) -> Iterator[Unproven]:
        """The files that the image starts Python with, and that neither their name nor a `#!` line shows to be a source."""
        places = {**contents.places, **contents.installed}
        compiled = {places[entry.path] for entry in job.chosen.sources}
        names = {place: path for path, place in places.items()}
        for place in contents.started:
            if place not in compiled:
                yield Unproven(display_path(names[place]), None, NOT_COMPILED)

    def _other_start(self, contents: _ImageContents) -> Iterator[Unproven]:
        """What the image would start with, and neither it nor the project has; and what it starts in place of the project's."""
        missing = find_missing_start(contents.start, self._image, self._cell, self._files)
        if missing:
            yield Unproven(
                None, None, f"{self._image.reference} starts {missing}, which is missing there or not executable"
            )
        own = {path: place for path, place in contents.places.items() if os.fsdecode(path) in self._project.paths}
        known = {*own.values()}
        for place in contents.started:
            twin = next((path for path in own if place.endswith(b"/" + path.removeprefix(b"src/"))), None)
            if place not in known and twin is not None and not self._is_same(place, own[twin]):
                other = (
                    f"and that is another file than {display_path(twin)} of the project in {display_path(own[twin])}"
                )
                yield Unproven(None, None, f"{self._image.reference} starts {display_path(place)}, {other}")
        for place, name in find_shadows(contents.start, self._image, self._cell, self._files):
            if place not in known and self._project.sources:
                other = "instead of the standard library's, and the project does not have it"
                # a folder of PYTHONPATH counts as installed, and is searched before everything else
                yield Unproven(None, None, f"{display_path(place)}: an import of {name} loads it {other}")

    def _is_same(self, place: bytes, other: bytes) -> bool:
        """Whether two files of the image have the same bytes."""
        return self._files.entries[place].digest == self._files.entries[other].digest

    def _report_missing(
        self, located: ProjectLocation, missing: Sequence[tuple[str, PlacedFile]], seen: CheckState
    ) -> None:
        """BG301 for each source that the Dockerfile copies and the image lacks; of a package it is unproven what it should have."""
        reference = self._image.reference
        recipe = located.recipe
        untracked = self._untracked() if missing else frozenset()
        for source, file in missing:
            assert recipe is not None
            message = f"{file.path} is missing from {reference}; {_copied_by(recipe, file)}"
            hint = "build the image again from these files"
            if source in untracked:
                message += "; git does not track it, so no build of a commit has it"
                hint += ", commit it, or move it away"
            seen.diagnostics.append(Diagnostic(Code.BG301, Severity.ERROR, DisplayPath(source), Range(), message, hint))
        for source in located.uninstalled:
            reason = f"{located.reported_by} in {reference} does not have it; it is beside sources that were installed"
            seen.unproven.append(Unproven(DisplayPath(source), None, reason))

    def _untracked(self) -> frozenset[str]:
        """The files here that git does not track; none where a commit is compared, or where git cannot be asked."""
        place = self._project.place
        if place.repository is None or isinstance(place.stage, GitStage):
            return frozenset()
        try:
            return frozenset(map(display_path, place.repository.untracked()))
        except GuardError:
            return frozenset()

    def _keep_to_one_image(self, seen: CheckState) -> None:
        """The name of an image may have moved between reading its files and asking its interpreter."""
        if any(row.image_id not in {None, self._image.id} for row in seen.rows):
            raise UnprovenError(
                f"{self._image.reference} became another image while it was read", hint="run this once more"
            )

    def _has_no_twin(self, path: bytes) -> bool:
        """Whether there is a project around us, and the path is not in it."""
        return bool(self._project.sources) and os.fsdecode(path) not in self._project.paths

    # -------------------------------------------------------------------------------------- the files

    def _installed_folders(self, own: dict[bytes, bytes], installed: dict[bytes, bytes]) -> tuple[str, ...]:
        """Read the folders in which installers put packages; those that are there, and hold any Python."""
        from buildguard.docker.find_python import library_folders

        before = {*own.values(), *installed.values()}
        folders = []
        for folder in library_folders(self._cell, self._image):
            real = self._files.read(folder)
            fresh = [os.fsencode(path) for path in self._finder.under(real)] if real else []
            fresh = [path for path in fresh if path not in before]
            if any(path.endswith(b".py") for path in fresh):
                folders.append(real)
            installed.update((path, path) for path in fresh)
            before.update(fresh)
        return tuple(dict.fromkeys(folders))

    def _job(self, places: dict[bytes, bytes], installed: dict[bytes, bytes], lacking: frozenset[str]) -> Job:
        """The same work as for any other stage, with what was installed beside it; `lacking` is reported by itself."""
        project, request = self._project, self._request
        stage = ImageStage(f"image:{request.image}", project.place.root, self._files, places, self._image)
        stage.lacking = lacking
        own = ImageStage(stage.name, stage.root, self._files, {k: v for k, v in places.items() if k not in installed})
        others = ImageStage(stage.name, stage.root, self._files, installed).entries()
        inside = Project(WorkScope(project.place.root, None, own, ()), project.config)
        chosen = inside.chosen
        if not chosen.sources:
            why = inside.why_no_source()
            raise UnprovenError(f"no Python source in the project's folder of {request.image}{why and f': {why}'}")
        if project.sources and not any(os.fsdecode(entry.path) in project.paths for entry in chosen.sources):
            raise self._nothing_in_common(len(chosen.sources))
        beside = [entry for entry in others if entry.path.endswith(b".py")]
        chosen_filters, notes = filters_of(request, project.config)
        return Job(
            request,
            WorkScope(project.place.root, None, stage, ()),
            project.config,
            chosen_filters,
            ChosenSources((*chosen.sources, *beside), chosen.notes),
            (self._target(),),
            cache_of(request),
            (*notes, *chosen.notes),
        )

    def _nothing_in_common(self, number: int) -> UnprovenError:
        reference = self._request.image
        return UnprovenError(
            f"none of the {count(number, 'Python file')} found in {reference} has a path of this project",
            hint=f"name the project's folder in the image: buildguard check image:{reference}:/app; to check an image of"
            " another project, run it outside of this one",
        )

    def _target(self) -> Target:
        """What was promised of the image: by `--target`, or by what the project declares, if that is one version."""
        project, request = self._project, self._request
        try:
            asked = project.project.discover(project.entries, request.targets, request.service)
            candidates = asked.targets if project.entries or request.targets else []
        except UsageError:
            candidates = []
        versions = {target.version for target in candidates}
        if len(versions) != 1:
            return Target(None, self._image.reference, self._image.reference, why_unknown=NO_VERSION)
        first = candidates[0]
        version = None if first.specifier else first.version
        return Target(version, first.found_in, self._image.reference, specifier=first.specifier)

    def _changed(self, places: Mapping[bytes, bytes], own: list[bytes]) -> Iterator[ChangedSource]:
        """The project's sources that have other bytes in the image than here."""
        wanted = {path for path in own if os.fsdecode(path) in self._project.paths}
        stage = self._project.place.stage
        for entry, content in stage.contents([source for source in stage.entries() if source.path in wanted]):
            inside = self._files.content(places[entry.path])
            if not isinstance(content, bytes) or content != inside:
                here = content if isinstance(content, bytes) else b""
                is_stamp = isinstance(inside, bytes) and is_version_stamp(os.fsdecode(entry.path), here, inside)
                yield ChangedSource(entry.path, is_stamp)

    def _with_committed(self, places: Mapping[bytes, bytes], changed: list[ChangedSource]) -> list[ChangedSource]:
        """Mark those of which the image has the committed bytes: it is the working tree that moved on."""
        place = self._project.place
        if not changed or place.repository is None or isinstance(place.stage, GitStage):
            return changed
        try:
            head = commit_of(place.repository, "HEAD")
            paths = {source.path for source in changed}
            contents = head.contents([entry for entry in head.entries() if entry.path in paths])
            committed = {entry.path for entry, data in contents if data == self._files.content(places[entry.path])}
        except GuardError:
            return changed  # no commit yet, or one that cannot be read
        return [source._replace(is_committed=source.path in committed) for source in changed]

    def _report_changed(
        self,
        located: ProjectLocation,
        places: Mapping[bytes, bytes],
        changed: Sequence[ChangedSource],
        seen: CheckState,
    ) -> None:
        """BG303 for each source that was copied or installed unchanged for certain, and is another one in the image."""
        certain = self._finder.certain(located)
        for source in changed:
            path = os.fsdecode(source.path)
            if source.is_stamp or (not located.is_package and path not in certain):
                continue
            place = display_path(places[source.path])
            message = f"{place} in {self._image.reference} has other bytes than the file here"
            hint = "build the image again from these files, or check out the commit that it was built of"
            if source.is_committed:
                message = f"{place} in {self._image.reference} is the committed file, and the one here was edited since"
                hint = "build the image again if the edit belongs into it, or check the commit"
            path = display_path(source.path)
            seen.diagnostics.append(Diagnostic(Code.BG303, Severity.ERROR, path, Range(), message, hint))


def _copied_by(recipe: discovery.ImageRecipe, file: PlacedFile) -> str:
    return "buildpacks keep it" if recipe.by_buildpacks else f"{recipe.service.dockerfile}:{file.line} copies it"


def _split_dependencies(seen: CheckState, installed: set[str]) -> Dependencies:
    """Take what concerns installed files out of what was seen: refusals are kept apart, everything else is not ours."""
    diagnostics, seen.diagnostics = _by_path(seen.diagnostics, installed)
    unproven, seen.unproven = _by_path(seen.unproven, installed)
    _ignored, seen.ignores = _by_path(seen.ignores, installed)
    return Dependencies(0, (), tuple(filter(_is_refusal, diagnostics)), tuple(unproven))


def _by_path(items: Sequence[_T], installed: set[str]) -> tuple[list[_T], list[_T]]:
    """What concerns installed files, and the rest."""
    return [item for item in items if item.path in installed], [item for item in items if item.path not in installed]


def _is_refusal(diagnostic: Diagnostic) -> bool:
    return diagnostic.severity is Severity.ERROR and diagnostic.code in _REFUSALS


_BYTECODE_UNSEEN = "the bytecode in the image was not compared with its sources: only its own interpreter can do that"
_REFUSALS = frozenset({Code.BG101, Code.BG103, Code.BG405})
