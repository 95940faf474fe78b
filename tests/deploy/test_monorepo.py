"""The bundled example: several services of one repository, as one plan on the emulator."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click import unstyle

from buildguard.cli.render.deploys import as_json, as_text
from buildguard.deploy.fleet import FleetReport, deploy_all, plan_deploys
from buildguard.deploy.prepare import DeployRequest
from buildguard.errors import UsageError
from tests import images
from tests.conftest import REPOSITORY, schema
from tests.deploy.conftest import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_EXAMPLE = REPOSITORY / "examples/monorepo"
_SERVICES = ("api", "web")


@pytest.fixture
def shop(engine: str, repository: Callable[..., Project], registry: str) -> Project:
    """The example in a repository of its own, with a base image and a registry of this machine."""
    images.docker_builder()
    project = repository({"x": ""})
    (project.path / "x").unlink()
    shutil.copytree(_EXAMPLE, project.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in project.path.rglob("Dockerfile"):
        file.write_text(file.read_text().replace("python:3.11-slim", images.base("3.11")))
    settings = project.path / "buildguard.toml"
    settings.write_text(settings.read_text().replace("europe-west1-docker.pkg.dev/$PROJECT_ID", registry))
    project.commit()
    return project


def _deployed(project: Project, *, watcher: Watcher | None = None, **fields: Any) -> FleetReport:
    fields = {} if fields.get("all_services") else {"services": _SERVICES, **fields}
    report = deploy_all(DeployRequest(cwd=project.path, **fields), watcher or Watcher(), lambda _question: True)
    answer = json.loads(as_json(report))
    schema("deploys").validate(answer)
    assert answer["exit_code"] == report.exit_code
    assert as_text(report)
    return report


def _verdicts(report: FleetReport) -> dict[str, dict[str, str]]:
    return {
        each.plan.wishes.name: {outcome.step: outcome.verdict for outcome in each.outcomes or ()}
        for each in report.reports
    }


def test_two_services_are_one_plan_and_fail_apart(shop: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    watcher = Watcher()

    first = _deployed(shop, watcher=watcher)

    assert first.exit_code == 0, as_text(first)
    api, web = first.reports
    assert (api.plan.wishes.name, web.plan.wishes.name) == _SERVICES
    assert requests.get(api.url, timeout=30).json()["prices"] == {"tea": "3.50 EUR", "cake": "4.20 EUR"}
    assert "<h1>Shop</h1>" in requests.get(web.url, timeout=30).text
    assert len([line for line in watcher.told if line.startswith("check:")]) == 2
    stored = [name for (_bucket, name), _several in emulator.storage.buckets.objects() if name.startswith("source/")]
    assert len(stored) == 1, "one archive for all"
    assert unstyle(as_text(first)).endswith("2 of 2 deploys succeeded\n")

    shop.commit({"api/main.py": "raise SystemExit(3)\n"})
    second = _deployed(shop)

    assert second.exit_code == 1
    assert _verdicts(second)["api"]["start"] == "failed"
    assert set(_verdicts(second)["web"].values()) == {"skipped"}
    assert second.reports[1].blocked == "not begun: api was not deployed"
    assert "0 of 2 deploys succeeded" in unstyle(as_text(second))
    assert requests.get(api.url, timeout=30).json()["revision"] == api.revision, "it serves as before"


def test_several_deploys_need_a_name(shop: Project) -> None:
    with pytest.raises(UsageError, match="several deploys are configured: migrate, api, web"):
        plan_deploys(DeployRequest(cwd=shop.path))
    result = shop.run("deploy", "--dry-run")
    assert result.code == 2
    assert "pass --service NAME, or --all" in result.err


def test_regions_have_one_image_and_each_its_own_proof(shop: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    settings = (shop.path / "buildguard.toml").read_text()
    regions = 'name = "web"\nregions = ["europe-west1", "us-central1"]'
    shop.commit({"buildguard.toml": settings.replace('name = "web"', regions, 1)})
    emulator.faults.add("revision-not-ready=1")

    report = _deployed(shop, services=("web",))

    west, central = report.reports
    assert [each.plan.serving.region for each in report.reports] == ["europe-west1", "us-central1"]
    assert (west.exit_code, central.exit_code) == (1, 0), as_text(report)
    assert len(emulator.builds.find("emulated", "")) == 1
    assert requests.get(central.url, timeout=30).ok
    assert "web (europe-west1): failed at revision" in unstyle(as_text(report))
    assert "1 of 2 deploys succeeded" in unstyle(as_text(report))
