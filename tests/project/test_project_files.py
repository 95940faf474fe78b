"""The files that decide targets, images, starts and installs are read once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import project_files
from buildguard.project.config import Config
from buildguard.startup.installs.check import check_installs
from buildguard.startup.run import check_startup
from tests.project.memory import MemoryStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from buildguard.diagnostic import UnreadableFile
    from buildguard.stages.stage import Entry

_FILES = {"Dockerfile": "FROM python:3.11\nCOPY . .\nCMD python a.py\n", "compose.yaml": "", "a.py": ""}


class _CountingStage(MemoryStage):
    """Counts the files that are read together with others that decide targets."""

    def __init__(self) -> None:
        super().__init__(_FILES)
        self.reads: list[bytes] = []

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        entries = [*entries]
        self.reads += [entry.path for entry in entries]
        return super().contents(entries)


def test_a_stage_is_read_once_for_everything() -> None:
    stage = _CountingStage()
    project = Project(WorkScope(stage.root, None, stage, ()))

    assert [target.python for target in project.discover(stage.sources()).targets] == ["3.11"]
    assert [recipe.service.dockerfile for recipe in project.recipes] == ["Dockerfile"]
    check_startup(stage, None, project.config)
    check_installs(stage, None, project.config)

    assert stage.reads.count(b"compose.yaml") == 1


def test_another_configuration_names_other_files() -> None:
    stage = MemoryStage({**_FILES, "deploy/image": "FROM python:3.12\n"})

    assert {*project_files.read(stage, Config()).dockerfiles} == {"Dockerfile"}
    assert "deploy/image" in project_files.read(stage, Config(dockerfile="deploy/image")).dockerfiles
    assert {*project_files.read(stage, Config()).dockerfiles} == {"Dockerfile"}
