"""`buildguard emulator`: a command with Google's services on loopback."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.cli.emulator import run, start_emulator
from buildguard.errors import UnprovenError, UsageError
from tests import images
from tests.conftest import REPOSITORY, Project

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_environment_leads_to_loopback(tmp_path: Path) -> None:
    with start_emulator(tmp_path, ()) as emulator:
        environment = dict(emulator.environment)

    assert {"STORAGE_EMULATOR_HOST", "BUILDGUARD_CLOUDBUILD_ENDPOINT", "BUILDGUARD_RUN_ENDPOINT"} <= set(environment)
    run = environment.pop("CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN")
    assert run == "http://run.emulator.invalid/", "it leads somewhere through the proxy alone"
    assert environment["CLOUDSDK_PROXY_ADDRESS"] == "127.0.0.1"
    assert all("127.0.0.1" in value for name, value in environment.items() if "ENDPOINT" in name)


@pytest.mark.interpreters
def test_the_status_is_the_commands(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(7 if os.environ['BUILDGUARD_RUN_ENDPOINT'] else 1)"
    lines: list[str] = []

    assert run(tmp_path, (), (sys.executable, "-I", "-c", code), lines.append) == 7
    assert lines == []


@pytest.mark.interpreters
@pytest.mark.parametrize("command", ["no-such-program-here", "./no-such-file"])
def test_a_program_that_does_not_exist_is_named(tmp_path: Path, command: str) -> None:
    with pytest.raises(UsageError, match=command):
        run(tmp_path, (), (command,), print)


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-fault"), start_emulator(tmp_path, ("no-such-fault",)):
        pass


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "buildguard.gcp.emulator.server", None)
    monkeypatch.delitem(sys.modules, "buildguard.cli.emulator")
    fresh = importlib.import_module("buildguard.cli.emulator")

    with (
        pytest.raises(UnprovenError, match="client libraries are not installed") as error,
        fresh.start_emulator(tmp_path, ()),
    ):
        pass

    assert error.value.hint == 'pip install "buildguard-gcp[cloud]"'


@pytest.mark.interpreters
def test_the_projects_of_the_configuration_may_be_called(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository({"buildguard.toml": '[cloud]\nproject = "acme"\n[env.prod]\nproject = "acme-prod"\n'})
    code = "import os, urllib.request as r; r.urlopen(os.environ['BUILDGUARD_SECRETMANAGER_ENDPOINT'] + '/v1/projects/{}/builds')"
    programs = {
        name: (sys.executable, "-I", "-c", code.format(name)) for name in ("acme", "acme-prod", "more", "other")
    }

    codes = {name: run(project.path, (), argv, print, ("more",)) for name, argv in programs.items()}

    assert codes == {"acme": 0, "acme-prod": 0, "more": 0, "other": 1}


def _local_names(word: str) -> list[str]:
    return [
        name
        for image in images.api().images()
        for name in [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
        if word in name
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_the_example_is_deployed_to_the_end(repository: Callable[..., Project]) -> None:
    """Built in Cloud Build and then here, pushed, started, given traffic and proven, with an engine and a base image alone.

    tests/test_newcomer.py does the same in every run, by the commands of the documentation.
    """
    project = repository()
    shutil.copytree(REPOSITORY / "examples/monorepo", project.path, dirs_exist_ok=True)
    for file in project.path.rglob("Dockerfile"):
        file.write_text(file.read_text().replace("python:3.11-slim", images.base("3.11")))
    # a name and a content of its own: another test deploys the example as it is, and removes its images by their ids
    own = f"shop-{os.getpid()}"
    settings = project.path / "buildguard.toml"
    settings.write_text(settings.read_text().replace("$PROJECT_ID/shop/", f"$PROJECT_ID/{own}/"))
    (project.path / "web/own.txt").write_text(own)
    project.commit()
    deploy = f"{project.executable} deploy --service web --yes"
    again = "git commit --quiet --allow-empty --message again"

    done = project.run("emulator", "--", "sh", "-ec", f"{deploy}; {again}; {deploy} --build-local", timeout=900)

    tags = _local_names(f"docker.pkg.dev/emulated/{own}/web:")
    for tag in tags:
        images.api().remove_image(tag)
    assert done.code == 0, done.out + done.err
    first, second = done.out.split("deployed: ")[:2]
    assert "built by Cloud Build" in first
    assert "built on this machine" in second
    for text in (first, second):
        assert re.search(r"ok +prove ", text)
    assert re.search(r"ok +traffic .*100 %", second)
    assert len(tags) == 1, "what was built on this machine; Cloud Build leaves no name, and the registry neither"
    assert tags[0].startswith("europe-west1-")
