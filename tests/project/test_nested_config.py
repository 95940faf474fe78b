"""Configuration files below the root: the nearest wins for its services, the others are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.errors import UsageError
from buildguard.project.config import Config, read_stage
from buildguard.project.discovery import discover_targets
from buildguard.project.folder_services import services_in
from buildguard.project.nested_config import add_folders
from buildguard.project.target import Certainty, ContextBasis, ImageService, Target
from buildguard.stages.stage import Entry, EntryKind
from tests.conftest import BROKEN_BEFORE_312, Project
from tests.project.memory import MemoryStage

_API = {
    "api/Dockerfile": "FROM python:3.12\nCOPY . .\n",
    "api/a.py": "",
    "compose.yaml": "services: {api: {build: ./api}}",
}


def _targets(files: dict[str, str], *flags: str) -> tuple[dict[str | None, str], tuple[str, ...]]:
    stage = MemoryStage(files)
    config = add_folders(stage, read_stage(stage))
    sources = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files if name.endswith(".py")]
    discovered = discover_targets(stage, config, sources, flags)
    return {_name(target): f"{target.python} {target.found_in}" for target in discovered.targets}, (
        *config.notes,
        *discovered.notes,
    )


def _name(target: Target) -> str | None:
    return target.service


def test_the_nearest_file_sets_the_target_of_its_services() -> None:
    files = {
        **_API,
        "web/Dockerfile": "FROM python:3.10\nCOPY . .\n",
        "web/b.py": "",
        "api/buildguard.toml": "\ntarget = '3.9'\n",
    }

    targets, notes = _targets(files)

    assert targets["api"] == "3.9 api/buildguard.toml:2"
    assert targets["web"] == "3.10 web/Dockerfile:1"
    assert not [note for note in notes if "buildguard.toml" in note]


def test_it_wins_over_the_root_and_a_flag_over_both() -> None:
    files = {**_API, "b.py": "", "buildguard.toml": "target = '3.11'\n", "api/buildguard.toml": "target = '3.9'\n"}

    assert _targets(files)[0] == {None: "3.11 buildguard.toml:1", "api": "3.9 api/buildguard.toml:1"}
    assert _targets(files, "3.13")[0] == {None: "3.13 --target"}


def test_a_service_with_the_root_as_context_is_its_dockerfiles() -> None:
    files = {
        "api/Dockerfile": "FROM python:3.12\nCOPY . .\n",
        "compose.yaml": "services: {api: {build: {context: ., dockerfile: api/Dockerfile}}}",
        "api/pyproject.toml": "[tool.buildguard]\ntarget = '3.9'\n",
        "a.py": "",
    }

    assert _targets(files)[0] == {"api": "3.9 api/pyproject.toml:2"}


def test_what_a_nearer_file_cannot_decide_is_named() -> None:
    files = {
        **_API,
        "api/buildguard.toml": "engine = ['static']\ninclude = ['src']\nselect = ['BG2']\n",
        "lib/buildguard.toml": "target = '3.9'\n",
    }

    notes = _targets(files)[1]

    assert (
        "api/buildguard.toml: include, engine, select set there, but only the configuration at the root decides that"
        in notes
    )
    assert "lib/buildguard.toml: target is not used, because no service is built in lib/" in notes


def test_patterns_hold_for_the_folder_alone() -> None:
    stage = MemoryStage(
        {
            "buildguard.toml": "exclude = ['vendor/']\n",
            "api/buildguard.toml": "exclude = ['old', '/gen/x', '!a/b']\nignore = ['BG205']\n"
            "per-file-ignores = {'tests/**' = ['BG4']}\n",
            "vendor/x/buildguard.toml": "nonsense = 1\n",
            "node_modules/x/pyproject.toml": "[tool.buildguard]\nnonsense = 1\n",
            "lib/pyproject.toml": "[project]\nname = 'lib'\n",
        }
    )

    config = add_folders(stage, read_stage(stage))

    assert config.file == "buildguard.toml"
    assert config.exclude == ("vendor/", "/api/**/old", "/api/gen/x", "!/api/a/b")
    assert config.per_file_ignores == (("/api/tests/**", ("BG4",)), ("/api/**/**", ("BG205",)))
    assert [folder.file for folder in config.folders] == ["api/buildguard.toml"]


def test_a_mistake_in_a_nearer_file_is_an_error_with_its_path() -> None:
    with pytest.raises(UsageError, match=r"api/buildguard\.toml:1: unknown key 'targets'"):
        add_folders(MemoryStage({"api/buildguard.toml": "targets = 1\n"}), Config())


def test_on_the_command_line(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            **_API,
            "api/a.py": BROKEN_BEFORE_312,
            "api/skipped/b.py": "f(\n",
            "api/buildguard.toml": "target = '3.11'\nexclude = ['skipped/']\n",
        }
    )

    whole, one, isolated = made.check(), made.check("api"), made.check("--isolated")

    for result in (whole, one):
        assert result.json["targets"][0]["found_in"] == "api/buildguard.toml:1"
        assert result.codes()["api/a.py"] == ["BG101"]
        assert "api/skipped/b.py" not in result.codes()
    assert isolated.json["targets"][0]["found_in"] == "api/Dockerfile:1"
    assert "api/buildguard.toml" in made.run("doctor").out


@pytest.mark.parametrize(
    ("dockerfile", "inside"), [("api/Dockerfile", True), ("api/x/Dockerfile", True), ("apis/Dockerfile", False)]
)
def test_a_service_is_in_the_folder_of_its_dockerfile(dockerfile: str, inside: bool) -> None:
    service = ImageService("x", dockerfile, "", ContextBasis(Certainty.DECLARED, "here"))

    assert bool(services_in("api", [service])) is inside
