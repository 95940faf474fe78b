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
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient
from buildguard.gcp.service_state import TrafficShare
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import ledger_path
from buildguard.system.git import repository_of
from tests import images
from tests.conftest import ALL, REPOSITORY, schema
from tests.deploy.conftest import Watcher
from tests.deploy.played import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_EXAMPLE = REPOSITORY / "examples/monorepo"
_SERVICES = ("api", "web")


@pytest.fixture
def shop(engine: str, repository: Callable[..., Project], registry: str) -> Project:
    """The example in a repository of its own, with a base image and a registry of this machine."""
    images.docker_builder()
    return _example(repository, images.base("3.11"), registry)


@pytest.fixture
def played_shop(
    request: pytest.FixtureRequest, repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """The same for tests that are not about the images: its engine is played, but for `./scripts/test all`."""
    if ALL:
        yield request.getfixturevalue("shop")
        return
    played = play(monkeypatch)
    yield _example(repository, "python:3.11-slim", "registry.invalid")
    played.close()


def _example(repository: Callable[..., Project], base: str, registry: str) -> Project:
    project = repository({"x": ""})
    (project.path / "x").unlink()
    shutil.copytree(_EXAMPLE, project.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in project.path.rglob("Dockerfile"):
        file.write_text(file.read_text().replace("python:3.11-slim", base))
    settings = project.path / "buildguard.toml"
    settings.write_text(settings.read_text().replace("europe-west1-docker.pkg.dev/$PROJECT_ID", registry))
    project.commit()
    return project


def _deployed(project: Project, *, watcher: Watcher | None = None, **fields: Any) -> FleetReport:
    fields = fields if fields.get("all_services") else {"services": _SERVICES, **fields}
    report = deploy_all(DeployRequest(cwd=project.path, **fields), watcher or Watcher(), lambda _question: True)
    answer = json.loads(as_json(report))
    schema("deploys" if len(report.reports) > 1 else "deploy").validate(answer)
    assert answer["exit_code"] == report.exit_code
    assert as_text(report)
    return report


def _ledger(project: Project) -> Path:
    repository = repository_of(project.path)
    assert repository is not None
    return ledger_path(repository)


def _verdicts(report: FleetReport) -> dict[str, dict[str, str]]:
    return {
        each.plan.wishes.name: {outcome.step: outcome.verdict for outcome in each.outcomes or ()}
        for each in report.reports
    }


def test_several_deploys_need_a_name(shop: Project) -> None:
    with pytest.raises(UsageError, match="several deploys are configured: migrate, api, web"):
        plan_deploys(DeployRequest(cwd=shop.path))
    result = shop.run("deploy", "--dry-run")
    assert result.code == 2
    assert "pass --service NAME, or --all" in result.err


def test_regions_have_one_image_and_each_its_own_proof(played_shop: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    settings = (played_shop.path / "buildguard.toml").read_text()
    regions = 'name = "web"\nregions = ["europe-west1", "us-central1"]'
    played_shop.commit({"buildguard.toml": settings.replace('name = "web"', regions, 1)})
    emulator.faults.add("revision-not-ready=1")

    report = _deployed(played_shop, services=("web",))

    west, central = report.reports
    assert [each.plan.serving.region for each in report.reports] == ["europe-west1", "us-central1"]
    assert (west.exit_code, central.exit_code) == (1, 0), as_text(report)
    assert len(emulator.builds.find("emulated", "")) == 1
    assert requests.get(central.url, timeout=60).ok
    assert "web (europe-west1): failed at revision" in unstyle(as_text(report))
    assert "1 of 2 deploys succeeded" in unstyle(as_text(report))


def test_who_fell_back_and_failed_stops_those_after_it(played_shop: Project, google: Callable[..., Emulator]) -> None:
    """The fallback makes another plan of the deploy, which stays the one that others are after."""
    google("internal-error", "revision-not-ready=1")

    report = _deployed(played_shop, fallback="auto")

    api, web = report.reports
    assert (api.plan.wishes.builder, api.exit_code) == ("local", 1), as_text(report)
    assert web.blocked == "not begun: api was not deployed"


def _job_image(name: str = "migrate") -> str:
    with CloudRunJobsClient() as run:
        job = run.get(name)
        return job.container.image if job is not None else ""


def test_a_job_and_two_services_are_one_plan_and_fail_apart(shop: Project, google: Callable[..., Emulator]) -> None:
    """The job runs before the traffic, and stops it where it fails."""
    emulator = google()
    watcher = Watcher()

    first = _deployed(shop, watcher=watcher, all_services=True)

    assert first.exit_code == 0, as_text(first)
    assert [each.plan.wishes.name for each in first.reports] == ["migrate", "api", "web"]
    migrate, api, web = first.reports
    _all_of_the_shop(emulator, api.url, web.url)
    assert len([line for line in watcher.told if line.startswith("check:")]) == 3
    assert unstyle(as_text(first)).endswith("3 of 3 deploys succeeded\n")
    (executed,) = [outcome for outcome in migrate.outcomes or () if outcome.step == "execute"]
    assert executed.words.startswith(f"{migrate.revision}: 1 of 1 task succeeded; its last line: migrated: ")
    assert executed.evidence["tasks"] == [{"number": 0, "succeeded": True, "exit_code": 0, "message": ""}]
    assert "start" not in _verdicts(first)["migrate"]
    assert f"executed: {migrate.revision}" in unstyle(as_text(first))
    proven = _job_image()
    assert proven.partition("@")[2] == executed.evidence["digest"]

    shop.commit({"migrate/main.py": 'import sys\n\nprint("no database")\nsys.exit(4)\n'})
    second = _deployed(shop, all_services=True)

    assert second.exit_code == 1
    verdicts = _verdicts(second)
    assert verdicts["migrate"]["execute"] == "failed"
    assert verdicts["api"]["health"] == "ok"
    assert verdicts["api"]["traffic"] == "failed"
    assert set(verdicts["web"].values()) == {"skipped"}
    text = unstyle(as_text(second))
    assert "0 of 1 task succeeded: task 0 ended with exit code 4; its last line: no database" in text
    assert f"the image of the job migrate is {proven} again" in second.reports[0].notes
    assert f"{api.revision} serves as before" in text
    assert _job_image() == proven
    assert len(emulator.jobs.executions("projects/emulated/locations/europe-west1/jobs/migrate")) == 2
    lines, _broken = ledgers.read(_ledger(shop))
    assert {(line.service, line.kind) for line in lines} == {("migrate", "job"), ("api", "service")} | {
        ("web", "service")
    }
    assert unstyle(shop.run("rollback", "--service", "migrate").err).startswith("buildguard: migrate is a job")

    fine = (_EXAMPLE / "migrate/main.py").read_text()
    shop.commit({"migrate/main.py": fine, "api/main.py": "raise SystemExit(3)\n"})
    third = _deployed(shop)

    assert third.exit_code == 1
    assert _verdicts(third)["api"]["start"] == "failed"
    assert set(_verdicts(third)["web"].values()) == {"skipped"}
    assert third.reports[1].blocked == "not begun: api was not deployed"
    assert "0 of 2 deploys succeeded" in unstyle(as_text(third))
    assert requests.get(api.url, timeout=60).json()["revision"] == api.revision, "it serves as before"


def _all_of_the_shop(emulator: Emulator, api: str, web: str) -> None:
    """Both services answer, are what they are described as, and were sent as one archive."""
    assert requests.get(api, timeout=60).json()["prices"] == {"tea": "3.50 EUR", "cake": "4.20 EUR"}
    assert "<h1>Shop</h1>" in requests.get(web, timeout=60).text
    described = emulator.runs.get("projects/emulated/locations/europe-west1/services/api").template
    assert described.containers[0].resources.limits["memory"] == "256Mi"
    assert described.scaling.max_instance_count == 4
    stored = [name for (_bucket, name), _several in emulator.storage.buckets.objects() if name.startswith("source/")]
    assert len(stored) == 1, "one archive for all"


def test_a_job_waits_in_vain_if_no_traffic_moves(played_shop: Project, google: Callable[..., Emulator]) -> None:
    google("revision-not-ready")

    report = _deployed(played_shop, services=("migrate", "api"))

    migrate, api = report.reports
    assert migrate.exit_code == 0, "the first revision gets its traffic at once, so the job ran before it"
    assert api.exit_code == 1


def test_what_staging_has_proven_is_promoted_and_rolled_back(
    played_shop: Project, google: Callable[..., Emulator]
) -> None:
    emulator = google(projects=("shop-staging", "shop-prod", "shop-new"))
    staging = _deployed(played_shop, env="staging", all_services=True)
    assert staging.exit_code == 0, as_text(staging)

    first = _deployed(played_shop, env="prod", from_env="staging", all_services=True)

    assert first.exit_code == 0, as_text(first)
    assert not emulator.builds.find("shop-prod", "")
    assert list(_verdicts(first)["api"]) == ["promote", "validate", "revision", "health", "prove"]
    assert _digests(first) == _digests(staging)
    assert {each.plan.serving.project for each in first.reports} == {"shop-prod"}

    played_shop.commit({"api/main.py": (played_shop.path / "api/main.py").read_text().replace("420", "450")})
    assert _deployed(played_shop, env="staging", services=("api",)).exit_code == 0
    emulator.faults.add("revision-not-ready=1")
    failed = _deployed(played_shop, env="prod", from_env="staging", services=("api",))
    assert (failed.exit_code, _verdicts(failed)["api"]["revision"]) == (1, "failed")
    second = _deployed(played_shop, env="prod", from_env="staging", services=("api",))
    assert second.exit_code == 0, as_text(second)
    assert _has(second.reports[0].url, second.reports[0].revision, "4.50 EUR")
    assert second.reports[0].plan.serving.rollback_to == first.reports[1].revision

    back = played_shop.run("rollback", "--service", "api", "--env", "prod")

    assert back.code == 0, back.err
    assert _has(second.reports[0].url, first.reports[1].revision, "4.20 EUR")
    table = played_shop.run("history", "--service", "api", "--env", "prod", "--format", "json").json
    assert {line["project"] for run in table["runs"] for line in run["lines"]} == {"shop-prod"}

    with CloudRunClient("shop-staging", "europe-west1") as run:
        state = run.get("api")
        assert state is not None
        run.route("api", [TrafficShare(staging.reports[1].revision, 100)], state.etag)
    with pytest.raises(UnprovenError, match=r"api of staging serves .*, and its ledger has proven sha256"):
        plan_deploys(DeployRequest(cwd=played_shop.path, env="prod", from_env="staging", services=("api",)))
    played_shop.commit(
        {"buildguard.toml": (played_shop.path / "buildguard.toml").read_text().replace("shop-prod", "shop-new")}
    )
    with pytest.raises(UnprovenError, match="nothing of web is proven in prod"):
        plan_deploys(DeployRequest(cwd=played_shop.path, env="staging", from_env="prod", services=("web",)))


def _has(url: str, revision: str, cake: str) -> bool:
    """Whether that revision answers, with that price of a cake; a played container has no price to compare."""
    response = requests.get(url, timeout=60)
    if not ALL:
        return response.text == revision
    answer = response.json()
    return (answer["revision"], answer["prices"]["cake"]) == (revision, cake)


def _digests(report: FleetReport) -> list[str]:
    return [
        outcome.evidence["digest"]
        for each in report.reports
        for outcome in each.outcomes or ()
        if outcome.step == "prove"
    ]
