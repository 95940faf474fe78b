"""A missing permission: whose, on what, and the command that grants the least role with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.api_core import exceptions as api

from buildguard.errors import UnprovenError
from buildguard.gcp import auth, permissions
from tests.conftest import REPOSITORY

_DEPLOYER = "deployer@acme.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("text", "permission", "resource", "command"),
    [
        (
            "Permission 'run.services.update' denied on resource 'projects/acme/locations/europe-west1/services/web' (or it may not exist).",
            "run.services.update",
            "projects/acme/locations/europe-west1/services/web",
            (
                "gcloud run services add-iam-policy-binding web --project=acme --region=europe-west1"
                f" --member=serviceAccount:{_DEPLOYER} --role=roles/run.developer"
            ),
        ),
        (
            f"{_DEPLOYER} does not have storage.buckets.list access to the Google Cloud project. Permission 'storage.buckets.list' denied on resource (or it may not exist).",
            "storage.buckets.list",
            "Google Cloud project",
            f"gcloud projects add-iam-policy-binding acme --member=serviceAccount:{_DEPLOYER} --role=roles/storage.bucketViewer",
        ),
        (
            "Permission 'iam.serviceaccounts.actAs' denied on service account run@acme.iam.gserviceaccount.com (or it may not exist).",
            "iam.serviceaccounts.actAs",
            "run@acme.iam.gserviceaccount.com",
            (
                "gcloud iam service-accounts add-iam-policy-binding run@acme.iam.gserviceaccount.com"
                f" --member=serviceAccount:{_DEPLOYER} --role=roles/iam.serviceAccountUser"
            ),
        ),
        (
            'Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/acme/locations/us/repositories/apps"',
            "artifactregistry.repositories.uploadArtifacts",
            "projects/acme/locations/us/repositories/apps",
            (
                "gcloud artifacts repositories add-iam-policy-binding apps --project=acme --location=us"
                f" --member=serviceAccount:{_DEPLOYER} --role=roles/artifactregistry.writer"
            ),
        ),
        (
            "Permission cloudbuild.builds.create denied",
            "cloudbuild.builds.create",
            "",
            f"gcloud projects add-iam-policy-binding acme --member=serviceAccount:{_DEPLOYER} --role=roles/cloudbuild.builds.editor",
        ),
    ],
)
def test_googles_sentences(text: str, permission: str, resource: str, command: str) -> None:
    denial = permissions.read_denial(text)

    assert denial is not None
    assert (denial.permission, denial.resource) == (permission, resource)
    assert denial.remedy(_DEPLOYER, "acme") == command


def test_the_details_of_an_error_count_before_its_sentence() -> None:
    metadata = {"permission": "run.services.get", "resource": "projects/acme/locations/us/services/web"}

    denial = permissions.read_denial("The caller does not have permission", metadata)

    assert denial is not None
    assert denial.describe() == "your account lacks run.services.get on projects/acme/locations/us/services/web"
    assert "--member=user:YOU@EXAMPLE.COM --role=roles/run.viewer" in denial.remedy()


def test_another_error_is_no_denial() -> None:
    assert permissions.read_denial("The caller does not have permission") is None


def test_an_api_that_is_not_enabled_is_enabled_first() -> None:
    assert permissions.disabled_api("SERVICE_DISABLED", {"service": "run.googleapis.com"}) == "run.googleapis.com"
    assert permissions.disabled_api("IAM_PERMISSION_DENIED", {"service": "run.googleapis.com"}) == ""


def test_the_error_names_account_and_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text(f'{{"type": "service_account", "client_email": "{_DEPLOYER}", "project_id": "acme"}}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    text = "Permission 'cloudbuild.builds.create' denied on resource 'projects/acme'"

    with pytest.raises(UnprovenError) as raised, auth.translate_errors("submitting the build"):
        raise api.PermissionDenied(text)

    assert raised.value.what.startswith(
        f"submitting the build: permission denied: {_DEPLOYER} lacks cloudbuild.builds.create on projects/acme"
    )
    assert raised.value.hint.startswith(
        f"gcloud projects add-iam-policy-binding acme --member=serviceAccount:{_DEPLOYER}"
    )


def test_impersonation_names_the_last_account() -> None:
    assert auth.principal({auth.IMPERSONATE: f"first@x, {_DEPLOYER}"}) == _DEPLOYER


def test_the_seconds_of_an_error_are_those_that_passed() -> None:
    with (
        pytest.raises(UnprovenError, match=r"no usable response within 0\.\d seconds: late"),
        auth.translate_errors("asking"),
    ):
        raise api.RetryError("late", cause=api.ServiceUnavailable("late"))


def test_every_role_that_is_advised_is_on_the_page() -> None:
    page = (REPOSITORY / "docs/permissions.md").read_text("utf-8")

    assert [role for _prefix, role in permissions._ROLES if f"`{role}`" not in page] == []
