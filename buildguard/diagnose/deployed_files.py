"""The files that were deployed: their text, where the Dockerfiles put them, and what ignore rules drop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from buildguard.check.context import Job
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.incident import MissingFile
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnostic import UnreadableFile, display_path
from buildguard.errors import GuardError, UnprovenError
from buildguard.load import Project
from buildguard.project import discovery
from buildguard.project.ignore import docker, gcloud
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.stages.stage import Entry, EntryKind

if TYPE_CHECKING:
    _Drops = Callable[[str], IgnoreRule | None]


class DeployedFiles:
    """What was deployed, file by file; `sources` are the paths that are Python."""

    def __init__(self, job: Job) -> None:
        """Of the stage that is judged."""
        self._job = job
        self._place = job.place
        self.entries: dict[str, Entry] = {display_path(entry.path): entry for entry in job.place.stage.entries()}
        self.sources: set[str] = {display_path(entry.path) for entry in job.chosen.sources}
        self._lines: dict[str, list[str]] = {}
        self._recipes: list[discovery.ImageRecipe] | None = None

    def content(self, path: str) -> bytes:
        """The bytes of a file; empty if it cannot be read."""
        entry = self.entries.get(path)
        for _entry, content in self._place.stage.contents([entry] if entry is not None else []):
            return b"" if isinstance(content, UnreadableFile) else content
        return b""

    def lines(self, path: str) -> list[str]:
        """The lines of a file."""
        if path not in self._lines:
            self._lines[path] = self.content(path).decode("utf-8", "replace").splitlines()
        return self._lines[path]

    def recipes(self) -> list[discovery.ImageRecipe]:
        """The Dockerfiles with their contexts; none if they cannot be read."""
        if self._recipes is None:
            try:
                self._recipes = list(Project(self._place, self._job.config).recipes)
            except GuardError:
                self._recipes = []
        return self._recipes

    def layouts(self) -> Iterator[dict[str, str]]:
        """For each Dockerfile: the path in the repository by the path in the image."""
        for recipe in self.recipes():
            yield recipe.model(self.entries.keys()).twins

    def missing_modules(self, matches: Iterable[KnownMessageMatch]) -> Iterator[MissingFile]:
        """Modules that the log misses and the repository has, with the ignore rule that drops each."""
        rules = list(self._ignore_rules())
        for match in matches:
            name = match.groups.get("name", "")
            if match.message.cause == CauseId.NOT_IMPORTABLE and name and (found := self._module(name)):
                package, path = found
                dropped = next((str(rule) for drops in rules if (rule := drops(path)) is not None), "")
                yield MissingFile(name, path, dropped, package)

    def _module(self, name: str) -> tuple[str, str] | None:
        """The path of a module, after the package that its name leaves out; one that is in no such package before others."""
        tail = name.replace(".", "/")
        ends = (f"/{tail}.py", f"/{tail}/__init__.py")
        paths = [
            path
            for path in sorted(self.entries)
            if self.entries[path].kind is not EntryKind.LINK and f"/{path}".endswith(ends)
        ]
        folders = [next(path[: -len(end)] for end in ends if f"/{path}".endswith(end)) for path in paths]
        packages = [folder if f"{folder}/__init__.py" in self.entries else "" for folder in folders]
        return min(zip(packages, paths, strict=True), default=None)

    def _ignore_rules(self) -> Iterator[_Drops]:
        def read(name: str) -> bytes | None:
            return self.content(name) if name in self.entries else None

        try:
            yield gcloud.GcloudIgnoreRules(read, has_git=self._place.repository is not None).drops
            for recipe in self.recipes():
                yield docker.DockerIgnoreRules(read, recipe.service.context, recipe.service.dockerfile).drops
        except UnprovenError:
            return
