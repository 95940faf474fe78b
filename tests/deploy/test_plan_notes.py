"""What a plan notes about the project of its image."""

from __future__ import annotations

import pytest

from buildguard.cli.render.deploy import as_text
from buildguard.deploy import plan as plans
from buildguard.deploy.planning import make_plan
from buildguard.deploy.run import DeployReport
from buildguard.stages.manifest import Sha256
from tests.deploy.plans import prepared


@pytest.mark.parametrize(
    ("image", "project", "is_noted"),
    [
        ("europe-docker.pkg.dev/other/apps/web:1", "acme", True),
        ("eu.gcr.io/other/web:1", "acme", True),
        ("gcr.io/example.com/web/app:1", "acme", True),
        ("europe-docker.pkg.dev/acme/apps/web:1", "acme", False),
        ("europe-docker.pkg.dev/$PROJECT_ID/apps/web:1", "acme", False),
        ("europe-docker.pkg.dev/other/apps/web:1", "", False),
        ("docker.io/other/web:1", "acme", False),
    ],
)
def test_an_image_in_another_project_than_the_service(image: str, project: str, is_noted: bool) -> None:
    plan = make_plan(
        plans.DeploySource("c" * 40, (), True, (("3.11", "Dockerfile:1"),)),
        plans.ArchiveSummary(Sha256("d" * 64), 2, ()),
        plans.ImageBuild({"steps": []}, "", image),
        plans.CurrentService(known=True, project=project),
        plans.DeployOptions(plans.Builder.CLOUD, "web", (), (), "/healthz"),
    )

    assert any("the service in acme" in note for note in plan.notes) is is_noted


@pytest.mark.parametrize(
    ("serving", "target"),
    [
        (plans.CurrentService(known=True, exists=True, rollback_to="web-1"), "web-1"),
        (plans.CurrentService(known=True, exists=True), "none (no single revision has 100 % of the traffic)"),
        (plans.CurrentService(known=True), "none (the service does not exist)"),
        (plans.CurrentService(known=False), "unknown (the service was not read)"),
    ],
)
def test_the_revision_to_go_back_to(serving: plans.CurrentService, target: str) -> None:
    lines = as_text(DeployReport(prepared(serving=serving).plan, None)).splitlines()

    assert f"  rollback target: {target}" in lines
