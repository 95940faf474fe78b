"""`buildguard check image:REF`: what lies in a built image, compiled by the image's own interpreter."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from buildguard import config as configs
from buildguard.commands.check import judged
from buildguard.commands.job import UNTOLD, Job, Request, cache_of, config_files, filters_of, may_pull
from buildguard.commands.judging import judge_all
from buildguard.containers import cell as cells
from buildguard.containers import daemon as daemons
from buildguard.containers import image as images
from buildguard.declared import gather, layout
from buildguard.diagnostic import Severity, Unproven, shown_path
from buildguard.errors import UnprovenError, UsageError
from buildguard.image_stage import ImageFiles, InImage
from buildguard.place import Place, locate
from buildguard.result import Dependencies, InsideImage
from buildguard.source import Chosen, Selection, choose
from buildguard.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buildguard.commands.judging import Seen, Watcher
    from buildguard.config import Config
    from buildguard.containers.image import Image
    from buildguard.result import Report
    from buildguard.stage import Entry

_PREFIX = "image:"


class _Project(NamedTuple):
    """The project around us, which the image may have been built of, and how its images are built.

    `paths` are all that there are, `entries` and `sources` the Python among them.
    """

    place: Place
    config: Config
    paths: frozenset[str]
    entries: Sequence[Entry]
    sources: frozenset[str]
    recipes: Sequence[gather.Recipe]


class _Located(NamedTuple):
    """Where the project lies: its folders in the image, the project's path of each file there, and who says so."""

    roots: tuple[str, ...]
    twins: dict[str, str]
    told_by: str


def check_image(request: Request, text: str, watcher: Watcher) -> Report:
    """Judge the project in an image, and what was installed beside it.

    `text` is `image:REF` or `image:REF:/root`. Raises UsageError for a request that makes no sense, UnprovenError where
    the image cannot be read or nobody can tell where the project lies in it.
    """
    started = time.monotonic()
    if request.staged or request.diff_base:
        raise UsageError("an image has no index and no commits: --staged and --diff-base do not go with it")
    reference, root = parse(text)
    project = _project(request)
    daemon = daemons.connect()
    try:
        cells.sweep(daemon)
        image = images.find(daemon, reference, project.config.platform, watcher.tell if may_pull(request) else None)
        with cells.looking(daemon, image) as cell:
            inside = _Inside(request._replace(image=reference), project, image, cell, root)
            return inside.report(watcher, started)
    finally:
        daemon.close()


def parse(text: str) -> tuple[str, str]:
    """The reference and the root of `image:REF[:/root]`; the root is empty where none is given. Raises UsageError."""
    reference, colon, root = text.removeprefix(_PREFIX).partition(":/")
    if not reference or any(char.isspace() for char in reference):
        raise UsageError(f"'{text}' names no image", hint="image:REF, or image:REF:/app")
    if reference.partition("@")[0].rpartition("/")[2].count(":") > 1:
        raise UsageError(f"'{text}' names no image and folder", hint="a folder begins with a slash: image:REF:/app")
    return reference, f"/{root.strip('/')}" if colon else ""


def _project(request: Request) -> _Project:
    place = locate(request.cwd, ())
    config = configs.read(config_files(place.stage))
    sources = choose(place.stage, Selection((), config.include, config.exclude)).sources
    paths = frozenset(os.fsdecode(entry.path) for entry in place.stage.entries())
    names = frozenset(os.fsdecode(entry.path) for entry in sources)
    recipes = gather.recipes(place.stage, config, request.service)
    return _Project(place, config, paths, sources, names, recipes)


class _Inside:
    """One image, while it is read and judged."""

    def __init__(self, request: Request, project: _Project, image: Image, cell: cells.Cell, root: str) -> None:
        self._request = request
        self._project = project
        self._image = image
        self._cell = cell
        self._root = root
        self._files = ImageFiles(cell)

    def report(self, watcher: Watcher, started: float) -> Report:
        """Read, judge, and tell the project's files from the others."""
        try:
            located = self._located()
            places, installed = self._places(located)
            folders = self._installed_folders(places, installed)
            job = self._job({**places, **installed}, installed)
            try:
                seen = judge_all(job, watcher)
                self._keep_to_one_image(seen)
                if not any(row.image_id for row in seen.rows) and any(path.endswith(b".pyc") for path in places):
                    seen.unproven.append(Unproven(None, None, _BYTECODE_UNSEEN))
                aside = _taken_out(seen, {shown_path(path) for path in installed})
                report = judged(job, seen, started)
            finally:
                job.cache.close()
            compiled = [entry for entry in job.chosen.sources if entry.path in installed]
            own = [entry.path for entry in job.chosen.sources if entry.path not in installed]
            return report._replace(
                files=report.files - len(compiled),
                targets=tuple(row._replace(files=len(own), cached=len(seen.cached & {*own})) for row in report.targets),
                image=InsideImage(
                    self._image.reference,
                    self._image.id,
                    self._image.digest,
                    self._image.platform,
                    located.roots,
                    located.told_by,
                    tuple(shown_path(path) for path in own if self._has_no_twin(path)),
                    tuple(self._changed(places, own)),
                    aside._replace(files=len(compiled), folders=folders),
                ),
            )
        finally:
            self._files.close()

    def _keep_to_one_image(self, seen: Seen) -> None:
        """The name of an image may have moved between reading its files and asking its interpreter."""
        if any(row.image_id not in {None, self._image.id} for row in seen.rows):
            raise UnprovenError(
                f"{self._image.reference} became another image while it was read", hint="run this once more"
            )

    def _has_no_twin(self, path: bytes) -> bool:
        """Whether there is a project around us, and the path is not in it."""
        return bool(self._project.sources) and os.fsdecode(path) not in self._project.paths

    # -------------------------------------------------------------------------------------- where it lies

    def _located(self) -> _Located:
        given = self._root or self._project.config.image_root
        if given:
            return self._at(given, "the command line" if self._root else self._project.config.file)
        found = self._by_dockerfile() or self._by_match() or self._by_folder()
        if found is None:
            raise self._nowhere("")
        return found

    def _nowhere(self, why: str) -> UnprovenError:
        reference, folder = self._image.reference, self._image.folder
        likely = folder if folder != "/" else "/app"
        return UnprovenError(
            f"where the project lies in {reference} cannot be told for certain{why}",
            hint=f"say it: buildguard check image:{reference}:{likely}, or root in [tool.buildguard.deploy]",
        )

    def _at(self, root: str, told_by: str) -> _Located:
        """A folder that somebody named: its twins by a Dockerfile, or by the best match of paths."""
        real = self._files.read(root)
        if not real:
            raise UnprovenError(f"there is no {root} in {self._image.reference}", hint="check the path after the colon")
        under = list(self._under(real))
        planned = [self._layout(recipe).twins for recipe in self._project.recipes]
        fitting = max(planned, key=lambda twins: sum(path in twins for path in under), default={})
        if any(path in fitting for path in under):
            return _Located((real,), fitting, told_by)
        match = layout.best_match(under, self._project.sources, self._prefixes())
        if match is not None and match.root == real and match.certain:
            return _Located((real,), self._mapped(under, real, match.prefix), told_by)
        return _Located((real,), self._mapped(under, real, ""), told_by)

    def _by_dockerfile(self) -> _Located | None:
        """The recipe that the image bears out, if it is one only."""
        borne_out: list[tuple[int, str, _Located]] = []
        for recipe in self._project.recipes:
            planned = self._layout(recipe)
            expected = {place for place, path in planned.twins.items() if path in self._project.sources}
            roots = [root for root in planned.roots if any(layout.is_below(place, root) for place in expected)]
            real = tuple(filter(None, (self._files.read(root) for root in roots)))
            there = [place for root in real for place in self._under(root) if place.endswith(".py")]
            twins = expected.intersection(os.fsdecode(path) for path in self._files.found)
            if twins and (2 * len(twins) >= len(there) or 2 * len(twins) >= len(expected)):
                name = recipe.service.dockerfile
                borne_out.append((len(twins), name, _Located(real, planned.twins, name)))
        borne_out.sort(key=lambda one: one[0], reverse=True)
        if len({located.roots for _count, _name, located in borne_out}) > 1 and borne_out[0][0] == borne_out[1][0]:
            raise self._nowhere(f": {' and '.join(name for _count, name, _located in borne_out)} both fit (--service)")
        return borne_out[0][2] if borne_out else None

    def _by_match(self) -> _Located | None:
        """The folder, anywhere in the image, that holds most of the project."""
        from buildguard.archive import MemberKind, TarReader

        if not self._project.sources:
            return None
        names = {os.path.basename(source) for source in self._project.sources}
        paths = []
        with closing(self._cell.export()) as pieces:
            for member in TarReader(pieces):
                path = "/" + os.fsdecode(member.path).strip("/")
                if member.kind is not MemberKind.FOLDER and os.path.basename(path) in names:
                    paths.append(path)
        match = layout.best_match(paths, self._project.sources, self._prefixes())
        if match is None:
            raise self._nowhere(": no file in it has a path of this project")
        if not match.certain or match.root == "/":
            rivals = ", ".join((match.root, *match.others)[:4])
            raise self._nowhere(f": {rivals} all look like it" if match.others else f": {rivals} looks like it")
        real = self._files.read(match.root)
        under = list(self._under(real))
        return _Located((real,), self._mapped(under, real, match.prefix), "the best match of paths")

    def _by_folder(self) -> _Located | None:
        """With no project around us: the folder in which the image runs, if it is one of its own."""
        folder = self._image.folder
        real = self._files.read(folder) if folder != "/" else ""
        under = list(self._under(real)) if real else []
        if not any(path.endswith(".py") and not layout.is_installed(path) for path in under):
            return None
        return _Located((real,), self._mapped(under, real, ""), "the image's WORKDIR")

    def _layout(self, recipe: gather.Recipe) -> layout.Layout:
        service = recipe.service
        return layout.of_dockerfile(
            recipe.dockerfile, dict(service.build_args), service.stage, service.context, self._project.paths
        )

    def _prefixes(self) -> set[str]:
        """Folders that may have been copied as a whole."""
        contexts = {recipe.service.context for recipe in self._project.recipes}
        tops = {path.partition("/")[0] for path in self._project.sources if "/" in path}
        return {"", *contexts, *tops}

    def _under(self, root: str) -> Iterator[str]:
        start = os.fsencode(root.rstrip("/")) + b"/"
        whole = os.fsencode(root)
        return (os.fsdecode(path) for path in self._files.found if path.startswith(start) or path == whole)

    @staticmethod
    def _mapped(paths: Iterable[str], root: str, prefix: str) -> dict[str, str]:
        start = f"{prefix}/" if prefix else ""
        return {path: start + _inside(path, root) for path in paths}

    # -------------------------------------------------------------------------------------- what lies there

    def _places(self, located: _Located) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """The project's files by their paths, and what was installed among them by its path in the image."""
        environments = [
            os.path.dirname(os.fsdecode(path)) for path in self._files.found if path.endswith(b"/pyvenv.cfg")
        ]
        own: dict[bytes, bytes] = {}
        installed: dict[bytes, bytes] = {}
        for root in located.roots:
            prefix = _prefix_of(root, located.twins)
            for path in self._under(root):
                place = os.fsencode(path)
                rest = _inside(path, root)
                if layout.is_installed(rest) or any(layout.is_below(path, folder) for folder in environments):
                    installed[place] = place
                    continue
                guess = path if prefix is None else f"{prefix}{rest}"
                name = os.fsencode(located.twins.get(path, guess))
                own[place if name in own else name] = place
        return own, installed

    def _installed_folders(self, own: dict[bytes, bytes], installed: dict[bytes, bytes]) -> tuple[str, ...]:
        """Read the folders in which installers put packages; those that are there, and hold any Python."""
        from buildguard.containers.python import library_folders

        before = {*own.values(), *installed.values()}
        folders = []
        for folder in library_folders(self._cell, self._image):
            real = self._files.read(folder)
            fresh = [os.fsencode(path) for path in self._under(real)] if real else []
            fresh = [path for path in fresh if path not in before]
            if any(path.endswith(b".py") for path in fresh):
                folders.append(real)
            installed.update((path, path) for path in fresh)
            before.update(fresh)
        return tuple(dict.fromkeys(folders))

    def _job(self, places: dict[bytes, bytes], installed: dict[bytes, bytes]) -> Job:
        """The same work as for any other stage, with what was installed beside it."""
        project, request = self._project, self._request
        stage = InImage(f"image:{request.image}", project.place.root, self._files, places)
        own = InImage(stage.name, stage.root, self._files, {k: v for k, v in places.items() if k not in installed})
        others = InImage(stage.name, stage.root, self._files, installed).entries()
        chosen = choose(own, Selection((), project.config.include, project.config.exclude))
        if not chosen.sources:
            raise UnprovenError(f"no Python source lies where {request.image} should hold the project")
        beside = [entry for entry in others if entry.path.endswith(b".py")]
        chosen_filters, notes = filters_of(request, project.config)
        return Job(
            request,
            Place(project.place.root, None, stage, ()),
            project.config,
            chosen_filters,
            Chosen([*chosen.sources, *beside], chosen.notes),
            [self._target()],
            cache_of(request),
            [*notes, *chosen.notes],
        )

    def _target(self) -> Target:
        """What was promised of the image: by `--target`, or by what the project declares, if that is one version."""
        project, request = self._project, self._request
        try:
            stage = project.place.stage
            asked = gather.find(stage, project.config, project.entries, request.targets, request.service)
            found = asked.targets if project.entries or request.targets else []
        except UsageError:
            found = []
        versions = {target.version for target in found}
        if len(versions) != 1:
            return Target(None, self._image.reference, self._image.reference, untold=UNTOLD)
        first = found[0]
        version = None if first.specifier else first.version
        return Target(version, first.found_in, self._image.reference, specifier=first.specifier)

    def _changed(self, places: dict[bytes, bytes], own: list[bytes]) -> Iterator[str]:
        """The project's sources that have other bytes in the image than here."""
        wanted = {path for path in own if os.fsdecode(path) in self._project.paths}
        stage = self._project.place.stage
        for entry, content in stage.contents([one for one in stage.entries() if one.path in wanted]):
            here = hashlib.sha256(content).digest() if isinstance(content, bytes) else b""
            if here != self._content_digest(places[entry.path]):
                yield shown_path(entry.path)

    def _content_digest(self, place: bytes) -> bytes:
        content = self._files.content(place)
        return hashlib.sha256(content).digest() if isinstance(content, bytes) else b""


def _prefix_of(root: str, twins: dict[str, str]) -> str | None:
    """What stands before a path below a root to make it the project's: "src/" for /app/x.py that is src/x.py."""
    for place, path in twins.items():
        rest = place[len(root.rstrip("/")) + 1 :]
        if rest and layout.is_below(place, root) and path.endswith(rest):
            return path[: -len(rest)]
    return None


def _inside(path: str, root: str) -> str:
    """A path below a root, without that; a root that is a file has but its name."""
    return path[len(root.rstrip("/")) + 1 :] or os.path.basename(path)


def _taken_out(seen: Seen, installed: set[str]) -> Dependencies:
    """Take what concerns installed files out of what was seen: refusals are told apart, everything else is not ours."""
    errors = [one for one in seen.diagnostics if one.severity is Severity.ERROR and one.code in _REFUSALS]
    refused = [one for one in errors if one.path in installed]
    unproven = [one for one in seen.unproven if one.path in installed]
    seen.diagnostics = [one for one in seen.diagnostics if one.path not in installed]
    seen.unproven = [one for one in seen.unproven if one.path not in installed]
    seen.ignores = [one for one in seen.ignores if one.path not in installed]
    return Dependencies(0, (), tuple(refused), tuple(unproven))


_BYTECODE_UNSEEN = "the bytecode in the image was not held against its sources: only its own interpreter can do that"
_REFUSALS = frozenset({"BG101", "BG103", "BG405"})
