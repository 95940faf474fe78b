"""What a plan is read from: the commit's settings, names with their values filled in, and two regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.cli.render.deploy import as_text
from buildguard.deploy import image_plan, prepare
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import plan_deploy
from buildguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

_BUILD = """\
steps:
- name: gcr.io/cloud-builders/docker
  args: [build, -t, 'europe-docker.pkg.dev/$PROJECT_ID/apps/web:$SHORT_SHA', .]
- name: gcr.io/cloud-builders/docker
  args: [build, -t, 'europe-docker.pkg.dev/$PROJECT_ID/apps/worker:$BUILD_ID', .]
images: ['europe-docker.pkg.dev/$PROJECT_ID/apps/web:$SHORT_SHA', 'europe-docker.pkg.dev/$PROJECT_ID/apps/worker:$BUILD_ID']
"""
_FILES = {"Dockerfile": "FROM python:3.11-slim\nCOPY . .\n", "app/a.py": "x = 1\n", "cloudbuild.yaml": _BUILD}


@pytest.fixture
def shop(repository: Callable[..., Project]) -> Project:
    toml = (
        '[cloud]\nproject = "acme"\n[deploy]\nservice = "web"\nimage = "europe-docker.pkg.dev/$PROJECT_ID/apps/web"\n'
    )
    return repository({**_FILES, "buildguard.toml": toml})


def _plan(project: Project, **fields: object) -> str:
    return as_text(plan_deploy(DeployRequest(cwd=project.path, **fields)))  # type: ignore[arg-type]


def test_the_image_is_compared_and_shown_with_its_values(shop: Project) -> None:
    text = _plan(shop)

    commit = shop.git("rev-parse", "HEAD").strip()
    assert f"image europe-docker.pkg.dev/acme/apps/web:{commit[:7]}, built by Cloud Build" in text
    assert "$" not in text.splitlines()[2]


def test_several_images_are_named_when_none_matches(shop: Project) -> None:
    toml = (shop.path / "buildguard.toml").read_text().replace("apps/web", "apps/other")
    shop.commit({"buildguard.toml": toml})

    with pytest.raises(
        UsageError, match=r'none matches deploy.image = "europe-docker.pkg.dev/acme/apps/other"'
    ) as raised:
        _plan(shop)
    assert "europe-docker.pkg.dev/acme/apps/web, europe-docker.pkg.dev/acme/apps/worker" in raised.value.what


def test_settings_that_are_not_committed_are_named(shop: Project) -> None:
    """The commit's settings count, and a dry run does not keep that to itself."""
    toml = shop.path / "buildguard.toml"
    toml.write_text(toml.read_text().replace('service = "web"', 'service = "other"'))

    text, dirty = _plan(shop), _plan(shop, allow_dirty=True)

    assert "→ web" in text.splitlines()[0]
    assert "note: buildguard.toml: the commit's settings count, and the working tree's differ" in text
    assert "→ other" in dirty.splitlines()[0]
    assert "the commit's settings count" not in dirty


def test_other_lines_are_no_other_settings(shop: Project) -> None:
    toml = shop.path / "buildguard.toml"
    toml.write_text("# a comment\n\n" + toml.read_text())

    assert "the commit's settings count" not in _plan(shop)


def test_a_setting_that_only_the_working_tree_has_is_named(repository: Callable[..., Project]) -> None:
    bare = repository(_FILES)
    bare.write({"buildguard.toml": '[deploy]\nservice = "web"\n'})

    with pytest.raises(UsageError, match="no Cloud Run service configured") as raised:
        _plan(bare)

    assert raised.value.hint.startswith("buildguard.toml has uncommitted settings: commit it, or --allow-dirty; ")


@pytest.mark.parametrize(
    ("configured", "flags", "regions"),
    [
        (("us-central1", ""), {}, ("us-central1", "us-central1")),
        (("us-central1", "europe-west1"), {}, ("europe-west1", "us-central1")),
        (("us-central1", "europe-west1"), {"region": "asia-east1"}, ("asia-east1", "us-central1")),
        (("us-central1", "europe-west1"), {"build_region": "global"}, ("europe-west1", "global")),
        (("", "europe-west1"), {}, ("europe-west1", "europe-west1")),
    ],
)
def test_the_regions_of_the_service_and_of_the_build(
    shop: Project, tmp_path: Path, configured: tuple[str, str], flags: dict[str, str], regions: tuple[str, str]
) -> None:
    cloud, deploy = configured
    toml = (
        (shop.path / "buildguard.toml")
        .read_text()
        .replace("[deploy]", f'region = "{cloud}"\n[deploy]\nregion = "{deploy}"')
    )
    shop.commit({"buildguard.toml": toml})

    ready = prepare.prepare_deploy(DeployRequest(cwd=shop.path, **flags), tmp_path / "source.tgz")  # type: ignore[arg-type]

    assert (ready.region, ready.build_region) == regions


def test_values_for_the_start_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "start.env").write_text("# values\nexport A=1\nB = 'two words'\n\nURL=postgres://u:p@h/db?x=1\n")

    assert prepare._read_start_env(tmp_path / "start.env") == {
        "A": "1",
        "B": "two words",
        "URL": "postgres://u:p@h/db?x=1",
    }
    with pytest.raises(UsageError, match="No such file"):
        prepare._read_start_env(tmp_path / "nowhere.env")
    (tmp_path / "bad.env").write_text("A=1\nsecret value\n")
    with pytest.raises(UsageError, match=r"bad.env:2: not a line of the form NAME=VALUE") as raised:
        prepare._read_start_env(tmp_path / "bad.env")
    assert "secret" not in raised.value.words


def test_a_step_that_is_skipped_is_in_the_plan_with_its_reason(shop: Project) -> None:
    assert "start: skipped: no engine in this CI" in _plan(shop, skip_start="no engine in this CI")


def test_a_name_keeps_what_is_known_after_the_build_only() -> None:
    build = {"substitutions": {"_TAG": "v1"}}

    assert (
        image_plan.fill_name("gcr.io/$PROJECT_ID/web:$_TAG-$BUILD_ID", build, "acme") == "gcr.io/acme/web:v1-$BUILD_ID"
    )
    assert image_plan.fill_name("gcr.io/$PROJECT_ID/web", {}, "") == "gcr.io/$PROJECT_ID/web"
