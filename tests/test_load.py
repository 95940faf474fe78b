"""A project's parts: what is read, from where, and that it is read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from buildguard import load
from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UsageError
from buildguard.locate import WorkScope
from buildguard.project.config import Config
from buildguard.stages.stage import Entry
from tests.conftest import Project
from tests.project.memory import MemoryStage

_FILES = {
    "Dockerfile": "FROM python:3.11\nCOPY . .\n",
    "api/Dockerfile": "FROM python:3.12\nCOPY . .\n",
    "api/buildguard.toml": 'exclude = ["old/**"]\n',
    "api/main.py": "",
    "api/old/main.py": "",
    "buildguard.toml": 'exclude = ["left.py"]\n',
    "compose.yaml": "services: {api: {build: ./api}, web: {build: .}}",
    "left.py": "",
    "main.py": "",
}


class _CountingStage(MemoryStage):
    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(dict(files))
        self.read: Counter[str] = Counter()

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        for entry, content in super().contents(entries):
            self.read[entry.path.decode()] += 1
            yield entry, content


def _project(config: Config | None = None, paths: tuple[bytes, ...] = ()) -> tuple[load.Project, _CountingStage]:
    stage = _CountingStage(_FILES)
    return load.Project(WorkScope(stage.root, None, stage, paths), config), stage


def _paths(entries: Iterable[Entry]) -> list[str]:
    return [entry.path.decode() for entry in entries]


def test_the_parts_of_a_project() -> None:
    project, _stage = _project()

    assert (project.root, project.repository) == (Path("/nowhere"), None)
    assert (project.root_config.exclude, project.config.exclude) == (("left.py",), ("left.py", "/api/old/**"))
    assert _paths(project.chosen.sources) == ["api/main.py", "main.py"]
    assert [target.python for target in project.targets] == ["3.11", "3.12"]
    assert [recipe.service.name for recipe in project.recipes] == ["root", "api"]
    assert [recipe.service.name for recipe in project.recipes_of("api")] == ["api"]
    assert not [*project.buildpack_recipes_of("")]


def test_nothing_is_read_before_it_is_needed_and_nothing_twice() -> None:
    project, stage = _project()
    assert not stage.read

    for _ in range(2):
        assert (project.root_config.file, project.config.file) == ("buildguard.toml", "buildguard.toml")
    assert stage.read == {"buildguard.toml": 1, "api/buildguard.toml": 1}

    assert project.targets
    assert project.recipes
    before = Counter(stage.read)
    assert (project.targets, project.discovered.targets) == (project.targets, project.targets)
    assert (project.recipes, project.recipes_of(""), project.chosen) == (
        project.recipes,
        project.recipes,
        project.chosen,
    )
    assert stage.read == before


def test_another_configuration_counts_instead() -> None:
    project, stage = _project(Config(target=("3.9",)), (b"api",))

    assert _paths(project.chosen.sources) == ["api/main.py", "api/old/main.py"]
    assert "buildguard.toml" not in stage.read
    assert [target.python for target in project.targets] == ["3.9"]


def test_a_named_path_beats_exclude() -> None:
    project, _stage = _project()

    assert _paths(project.choose((b"left.py",)).sources) == ["left.py"]
    assert not project.choose((b"left.py",), explicit=False).sources
    assert [target.python for target in project.discover(project.chosen.sources, ("3.13",)).targets] == ["3.13"]


@pytest.mark.interpreters
def test_a_project_is_loaded_from_disk_or_from_a_commit(repository: Callable[..., Project]) -> None:
    folder = repository(_FILES).path
    (folder / "buildguard.toml").write_text("targets = 3\n")

    committed = load.Project.load(folder / "api", ("commit:HEAD",))
    assert (committed.root, committed.root_config.exclude) == (folder, ("left.py",))
    with pytest.raises(UsageError, match="unknown key 'targets'"):
        _ = load.Project.load(folder / "api").config
