"""The folders of a project in an image: as configured, as a Dockerfile copies them, or the one whose paths match."""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from buildguard.compare.installed_project import find_installed
from buildguard.compare.other_start import find_other_start
from buildguard.definitions import NamedTuple
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.image_stage import ImageFiles
from buildguard.docker.images import Image
from buildguard.errors import UnprovenError, UsageError
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import discovery, image_match, toml
from buildguard.project.config import Config
from buildguard.project.ignore import docker as docker_rules
from buildguard.project.ignore import gcloud as gcloud_rules
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.project.image_model import ImageModel, PlacedFile, is_below
from buildguard.stages.stage import Entry

_PREFIX = "image:"
_ARCHIVES = frozenset({"docker-archive", "oci-archive"})  # how other tools name a file with an image


class LocalProject(NamedTuple):
    """The project around us, which the image may have been built of, and how its images are built.

    `paths` are all that there are, `entries` and `sources` the Python among them.
    """

    project: Project
    paths: frozenset[str]
    entries: Sequence[Entry]
    sources: frozenset[str]
    recipes: Sequence[discovery.ImageRecipe]

    @property
    def place(self) -> WorkScope:
        """Its root, repository and stage."""
        return self.project.place

    @property
    def config(self) -> Config:
        """Its configuration."""
        return self.project.config


class ProjectLocation(NamedTuple):
    """Where the project lies: its folders in the image, the project's path of each file there, and who says so.

    `recipe` is how the image was built, None where that is not known. `uninstalled` are sources that the package should have and
    lacks, where the project was installed.
    """

    roots: tuple[str, ...]
    twins: Mapping[str, str]
    reported_by: str
    recipe: discovery.ImageRecipe | None = None
    is_package: bool = False
    uninstalled: tuple[str, ...] = ()


def parse(text: str) -> tuple[str, str]:
    """The reference and the root of `image:REF[:/root]`; the root is empty where none is given. Raises UsageError."""
    reference, colon, root = text.removeprefix(_PREFIX).partition(":/")
    if reference.startswith(("/", ".")) or reference in _ARCHIVES:
        file = reference if reference not in _ARCHIVES else f"/{root}"
        raise UsageError(
            f"'{text}' names a file, and no image", hint=f"docker load -i {file}, then image: and its name"
        )
    if not reference or any(char.isspace() for char in reference):
        raise UsageError(f"'{text}' names no image", hint="image:REF, or image:REF:/app")
    if reference.partition("@")[0].rpartition("/")[2].count(":") > 1:
        raise UsageError(f"'{text}' names no image and folder", hint="a folder begins with a slash: image:REF:/app")
    return reference, f"/{root.strip('/')}" if colon else ""


def load_project(cwd: Path, service: str, commit: str = "") -> LocalProject:
    """The project that a folder is in, as a commit has it; without a commit, as it is on disk."""
    project = Project.load(cwd, (f"commit:{commit}",) if commit else ())
    paths = frozenset(os.fsdecode(entry.path) for entry in project.stage.entries())
    sources = project.chosen.sources
    names = frozenset(os.fsdecode(entry.path) for entry in sources)
    recipes = (*project.recipes_of(service), *project.buildpack_recipes_of(service))
    return LocalProject(project, paths, sources, names, recipes)


class _RecipeMatch(NamedTuple):
    """A recipe that an image bears out, and the number of its files there."""

    files: int
    dockerfile: str
    location: ProjectLocation


class ProjectFinder:
    """Finds a project in one image, whose files it reads on the way."""

    def __init__(
        self, project: LocalProject, image: Image, cell: ImageFilesystem, files: ImageFiles, root: str
    ) -> None:
        """`root` is the folder that the command line names, empty where it names none."""
        self._project = project
        self._image = image
        self._cell = cell
        self._files = files
        self._root = root

    def located(self) -> ProjectLocation:
        """Where the project is; raises UnprovenError where that is unknown."""
        given = self._root or self._project.config.image_root
        if given:
            return self._locate_at(given, "the command line" if self._root else self._project.config.file)
        location = self._by_dockerfile() or self._by_distribution() or self._by_match() or self._by_folder()
        if location is None:
            raise self._nowhere("")
        return location

    def _nowhere(self, why: str) -> UnprovenError:
        reference, folder = self._image.reference, self._image.folder
        likely = folder if folder != "/" else "/app"
        return UnprovenError(
            f"the project's folder in {reference} is unknown{why}",
            hint=f"say it: buildguard check image:{reference}:{likely}, or root in [tool.buildguard.deploy]",
        )

    def _locate_at(self, root: str, reported_by: str) -> ProjectLocation:
        """A folder that was named: its twins by a Dockerfile, or by the best match of paths."""
        real = self._files.read(root)
        if not real:
            raise UnprovenError(f"there is no {root} in {self._image.reference}", hint="check the path after the colon")
        under = list(self.under(real))
        installed = self._installed_at(under)
        if installed is not None:
            return installed
        planned = [(self._layout(recipe).twins, recipe) for recipe in self._project.recipes]
        fitting, recipe = max(planned, key=lambda pair: sum(path in pair[0] for path in under), default=({}, None))
        if any(path in fitting for path in under):
            return ProjectLocation((real,), fitting, reported_by, recipe)
        match = image_match.find_best_match(under, self._project.sources, self._prefixes())
        if match is not None and match.root == real and match.certain:
            return ProjectLocation((real,), self._mapped(under, real, match.prefix), reported_by, self._only_recipe())
        return ProjectLocation((real,), self._mapped(under, real, ""), reported_by, self._only_recipe())

    def _only_recipe(self) -> discovery.ImageRecipe | None:
        recipes = self._project.recipes
        return recipes[0] if len(recipes) == 1 else None

    def _by_dockerfile(self) -> ProjectLocation | None:
        """The recipe that the image bears out, if it is only one."""
        matches = [match for recipe in self._project.recipes if (match := self._match_recipe(recipe)) is not None]
        matches.sort(key=lambda match: match.files, reverse=True)
        if not matches:
            return None
        if len({match.location.roots for match in matches}) > 1 and matches[0].files == matches[1].files:
            raise self._nowhere(f": {' and '.join(match.dockerfile for match in matches)} both fit (--service)")
        return matches[0].location

    def _match_recipe(self, recipe: discovery.ImageRecipe) -> _RecipeMatch | None:
        """The files of a recipe that are in the image; None where they are less than half of what should be there."""
        planned = self._layout(recipe)
        twins_planned = planned.twins
        expected = {place for place, path in twins_planned.items() if path in self._project.sources}
        roots = [root for root in planned.roots if _any_below(expected, root)]
        real = tuple(filter(None, (self._files.read(root, is_named=True) for root in roots)))
        sources = [place for root in real for place in self.under(root) if place.endswith(".py")]
        twins = expected.intersection(os.fsdecode(path) for path in self._files.entries)
        if not twins or 2 * len(twins) < min(len(sources), len(expected)):
            return None
        location = ProjectLocation(real, twins_planned, recipe.builder, recipe)
        return _RecipeMatch(len(twins), recipe.builder, location)

    def _by_distribution(self) -> ProjectLocation | None:
        """The project as an installed package, where its name is known."""
        from buildguard.docker.find_python import library_folders

        if not self._names:
            return None
        for folder in library_folders(self._cell, self._image):
            real = self._files.read(folder)
            location = self._installed_at(list(self.under(real))) if real else None
            if location is not None:
                return location
        return None

    @functools.cached_property
    def _names(self) -> set[str]:
        """What the project's distributions are called."""
        stage = self._project.place.stage
        tables = [entry for entry in stage.entries() if os.path.basename(entry.path) == b"pyproject.toml"]
        contents = (content for _entry, content in stage.contents(tables) if isinstance(content, bytes))
        return {name for content in contents if (name := _distribution_name(content))}

    def _installed_at(self, paths: Sequence[str]) -> ProjectLocation | None:
        """The project among the packages in a folder of the image."""
        project = self._project

        def read(path: str) -> bytes:
            content = self._files.content(os.fsencode(path))
            return content if isinstance(content, bytes) else b""

        installed = find_installed(paths, read, project.sources, self._names) if self._names else None
        if installed is None:
            return None
        reported_by = os.path.basename(installed.dist_info)
        if not installed.editable:
            return ProjectLocation(
                installed.roots, installed.twins, reported_by, self._only_recipe(), True, installed.missing
            )
        real = self._files.read(installed.editable)
        under = list(self.under(real)) if real else []
        twins = {path: name for path, name in self._mapped(under, real, "").items() if name in project.sources}
        return ProjectLocation((real,), twins, reported_by, self._only_recipe()) if twins else None

    def missing(self, located: ProjectLocation) -> list[tuple[str, PlacedFile]]:
        """The sources that the Dockerfile copies for certain and that the image does not have, with their planned places."""
        if located.recipe is None or located.is_package:
            return []
        planned = self._layout(located.recipe)
        drops = self._sender_rules(located.recipe)
        files = [file for file in planned.files.values() if file.source in self._project.sources and not file.doubt]
        real = {root: self._files.read(root) for root in planned.roots}
        present = {located.twins.get(os.fsdecode(path), "") for path in self._files.entries}
        return sorted(
            (file.source, file)
            for file in files
            if file.source not in planned.doubts
            and file.source not in present
            and not any(rules(file.source) for rules in drops)
            and not self._real_place(file.path, real)
        )

    def certain(self, located: ProjectLocation) -> frozenset[str]:
        """The sources that the Dockerfile copies and that no later instruction may change."""
        if located.recipe is None:
            return frozenset()
        files = self._layout(located.recipe).files.values()
        doubtful = {file.source for file in files if file.doubt}
        return frozenset(file.source for file in files if file.source) - doubtful

    def _sender_rules(self, recipe: discovery.ImageRecipe) -> list[Callable[[str], IgnoreRule | None]]:
        """What keeps files of the project from the build: gcloud's rules and Docker's."""
        stage = self._project.place.stage
        names = {os.fsdecode(entry.path): entry for entry in stage.entries() if entry.path.endswith(b"ignore")}
        contents = {os.fsdecode(entry.path): data for entry, data in stage.contents(names.values())}

        def read(name: str) -> bytes | None:
            data = contents.get(name)
            return data if isinstance(data, bytes) else None

        service = recipe.service
        has_git = self._project.place.repository is not None
        by_gcloud = gcloud_rules.GcloudIgnoreRules(read, has_git=has_git).drops
        if recipe.by_buildpacks:
            inside = gcloud_rules.GcloudIgnoreRules(
                lambda name: read(posixpath.join(service.context, name)), has_git=False
            )
            return [by_gcloud, lambda path: inside.drops(posixpath.relpath(path, service.context or "."))]
        return [docker_rules.DockerIgnoreRules(read, service.context, service.dockerfile).drops, by_gcloud]

    def _by_match(self) -> ProjectLocation | None:
        """The folder, anywhere in the image, that holds most of the project."""
        from buildguard.stages.archives.tar import MemberKind, TarReader

        if not self._project.sources:
            return None
        names = {os.path.basename(source) for source in self._project.sources}
        paths = []
        with closing(self._cell.export()) as pieces:
            for member in TarReader(pieces):
                path = "/" + os.fsdecode(member.path).strip("/")
                if member.kind is not MemberKind.FOLDER and os.path.basename(path) in names:
                    paths.append(path)
        match = image_match.find_best_match(paths, self._project.sources, self._prefixes())
        if match is None:
            raise self._nowhere(": no file in it has a path of this project")
        if not match.certain or match.root == "/":
            rivals = ", ".join((match.root, *match.others)[:4])
            raise self._nowhere(f": {rivals} all look like it" if match.others else f": {rivals} looks like it")
        real = self._files.read(match.root)
        under = list(self.under(real))
        mapped = self._mapped(under, real, match.prefix)
        return ProjectLocation((real,), mapped, "the best match of paths", self._only_recipe())

    def _by_folder(self) -> ProjectLocation | None:
        """With no project around us: the folder in which the image runs, if it is one of its own."""
        folder = self._image.folder
        real = self._files.read(folder) if folder != "/" else ""
        under = list(self.under(real)) if real else []
        if not any(path.endswith(".py") and not image_match.is_installed(path) for path in under):
            return None
        return ProjectLocation((real,), self._mapped(under, real, ""), "the image's WORKDIR")

    def _layout(self, recipe: discovery.ImageRecipe) -> ImageModel:
        return recipe.model(self._project.paths)

    def other_start(self, located: ProjectLocation) -> str:
        """In words, how the image starts otherwise than its Dockerfile declares; empty where it does not."""
        recipe = located.recipe
        if recipe is None or recipe.by_buildpacks or located.is_package:
            return ""
        return find_other_start(self._image, self._layout(recipe), recipe.service.dockerfile)

    def _prefixes(self) -> set[str]:
        """Folders that may have been copied as a whole."""
        contexts = {recipe.service.context for recipe in self._project.recipes}
        tops = {path.partition("/")[0] for path in self._project.sources if "/" in path}
        return {"", *contexts, *tops}

    def under(self, root: str) -> Iterator[str]:
        """What was read at and below a path of the image."""
        start = os.fsencode(root.rstrip("/")) + b"/"
        whole = os.fsencode(root)
        return (os.fsdecode(path) for path in self._files.entries if path.startswith(start) or path == whole)

    def elsewhere(self, located: ProjectLocation) -> dict[bytes, bytes]:
        """The project's files that the Dockerfile copies out of the project's folders, and their places in the image."""
        if located.recipe is None:
            return {}
        planned = self._layout(located.recipe)
        outside = {
            place: path
            for place, path in planned.twins.items()
            if not any(is_below(place, root) for root in located.roots)
        }
        roots = {root for root in planned.roots if _any_below(outside, root)}
        real = {root: self._files.read(root) for root in (outside if "/" in roots else roots)}
        places = ((os.fsencode(path), self._real_place(place, real)) for place, path in outside.items())
        return {path: place for path, place in places if place}

    def _real_place(self, place: str, real: Mapping[str, str]) -> bytes:
        """A planned place with its root as it was read, links followed; empty where the image has no such file."""
        root = next((root for root in real if is_below(place, root)), "")
        path = os.fsencode(real.get(root, "").rstrip("/") + place[len(root.rstrip("/")) :])
        return path if root and path in self._files.entries else b""

    @staticmethod
    def _mapped(paths: Iterable[str], root: str, prefix: str) -> dict[str, str]:
        start = f"{prefix}/" if prefix else ""
        return {path: start + _inside(path, root) for path in paths}

    def places(self, located: ProjectLocation) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """The project's files by their paths, and what was installed among them by its path in the image."""
        environments = [
            os.path.dirname(os.fsdecode(path)) for path in self._files.entries if path.endswith(b"/pyvenv.cfg")
        ]
        own: dict[bytes, bytes] = {}
        installed: dict[bytes, bytes] = {}
        for root in located.roots:
            prefix = _prefix_of(root, located.twins)
            for path in self.under(root):
                place = os.fsencode(path)
                rest = _inside(path, root)
                is_beside = image_match.is_installed(rest) or any(is_below(path, folder) for folder in environments)
                if is_beside and not located.is_package:
                    installed[place] = place
                    continue
                guess = path if prefix is None else f"{prefix}{rest}"
                name = os.fsencode(located.twins.get(path, guess))
                own[place if name in own else name] = place
        return own, installed


def _distribution_name(pyproject: bytes) -> str:
    """What a project's distribution is called; empty where its pyproject.toml does not say so."""
    try:
        content = toml.read(pyproject, "pyproject.toml")
    except UsageError:
        return ""
    for table in (toml.table(content, "project"), toml.table(content, "tool", "poetry")):
        if isinstance(table.get("name"), str):
            return str(table["name"])
    return ""


def _any_below(places: Iterable[str], root: str) -> bool:
    return any(is_below(place, root) for place in places)


def _prefix_of(root: str, twins: Mapping[str, str]) -> str | None:
    """What stands before a path below a root to make it the project's: "src/" for /app/x.py that is src/x.py."""
    for place, path in twins.items():
        rest = place[len(root.rstrip("/")) + 1 :]
        if rest and is_below(place, root) and path.endswith(rest):
            return path[: -len(rest)]
    return None


def _inside(path: str, root: str) -> str:
    """A path below a root, without that; a root that is a file has but its name."""
    return path[len(root.rstrip("/")) + 1 :] or os.path.basename(path)
