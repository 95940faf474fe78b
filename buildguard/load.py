"""A project as one stage has it: configuration, sources, targets and images, each read once, when it is first needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from buildguard.diagnostic import count
from buildguard.locate import WorkScope, locate
from buildguard.project import config as configs
from buildguard.project import discovery, sources
from buildguard.project.config import Config
from buildguard.project.nested_config import add_folders
from buildguard.project.sources import ChosenSources, SourceSelection
from buildguard.project.target import Target
from buildguard.stages.stage import Entry, Stage
from buildguard.system import git


class Project:
    """What the files of a place declare. Every property raises UsageError, and UnprovenError for what is unreadable."""

    def __init__(self, place: WorkScope, config: Config | None = None) -> None:
        """With `config`, that configuration counts instead of the one in the files."""
        self.place = place
        if config is not None:
            self.config = config

    @classmethod
    def load(cls, cwd: Path, given: tuple[str, ...] = ()) -> Project:
        """The project around a folder, on disk, or as the stage or paths of a command line have it."""
        return cls(locate(cwd, given))

    @property
    def root(self) -> Path:
        """The folder that all paths are relative to."""
        return self.place.root

    @property
    def repository(self) -> git.Repository | None:
        """The git repository; None outside of any."""
        return self.place.repository

    @property
    def stage(self) -> Stage:
        """Where the files are stored."""
        return self.place.stage

    @cached_property
    def root_config(self) -> Config:
        """The configuration at the root alone, which decides everything that is of no folder."""
        return configs.read_stage(self.stage)

    @cached_property
    def config(self) -> Config:
        """The configuration at the root with those of folders."""
        return add_folders(self.stage, self.root_config)

    @cached_property
    def chosen(self) -> ChosenSources:
        """The Python sources at the place's paths, and notes."""
        return self.choose(self.place.paths)

    def choose(self, paths: tuple[bytes, ...], *, explicit: bool = True) -> ChosenSources:
        """The Python sources at some paths, which beat `exclude` if a person named them."""
        return sources.choose(
            self.stage, SourceSelection(paths, self.config.include, self.config.exclude, explicit=explicit)
        )

    def why_no_source(self) -> str:
        """That the configuration leaves out every source at the place's paths; empty where none would be there without it."""
        keys = [key for key in ("include", "exclude") if getattr(self.config, key)]
        found = sources.choose(self.stage, SourceSelection(self.place.paths)).sources if keys else ()
        if not found:
            return ""
        files = count(len(found), "file")
        return f"{self.config.file} leaves out every Python source here ({files}): change its {' and '.join(keys)}"

    @cached_property
    def discovered(self) -> discovery.DiscoveredTargets:
        """The targets of the sources, what declares them, and notes."""
        return self.discover(self.chosen.sources)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the sources."""
        return self.discovered.targets

    def discover(
        self, entries: Sequence[Entry], flags: Sequence[str] = (), service: str = ""
    ) -> discovery.DiscoveredTargets:
        """The targets of some sources; `flags` are versions that a person named."""
        return discovery.discover_targets(self.stage, self.config, entries, flags, service)

    @cached_property
    def recipes(self) -> tuple[discovery.ImageRecipe, ...]:
        """How the images of all Dockerfiles are built."""
        return tuple(discovery.list_recipes(self.stage, self.config))

    def recipes_of(self, service: str) -> Iterable[discovery.ImageRecipe]:
        """The same of one service, if one is named."""
        return discovery.list_recipes(self.stage, self.config, service) if service else self.recipes

    def buildpack_recipes_of(self, service: str) -> Iterable[discovery.ImageRecipe]:
        """How the images that buildpacks build are built; of one service, if one is named."""
        return discovery.list_buildpack_recipes(self.stage, self.config, service)
