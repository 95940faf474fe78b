"""What doctor reports of Google Cloud, from files alone and with nothing secret in it."""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from buildguard.gcp.setup import credentials_file, installed

if TYPE_CHECKING:
    from pathlib import Path

_KEY = {"type": "service_account", "project_id": "acme", "private_key": "-----BEGIN SECRET"}


def test_versions_are_the_installed_ones_and_missing_packages_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "google-cloud-run":
            raise metadata.PackageNotFoundError(name)
        return f"1.0 of {name}"

    monkeypatch.setattr(metadata, "version", version)

    assert installed() == {
        "google-cloud-build": "1.0 of google-cloud-build",
        "google-cloud-run": "",
        "google-cloud-storage": "1.0 of google-cloud-storage",
    }


@pytest.mark.parametrize(
    ("content", "kind", "project", "problem"),
    [
        (json.dumps(_KEY), "service_account", "acme", ""),
        (json.dumps({"type": "authorized_user"}), "authorized_user", "", ""),
        (json.dumps({"type": "made_up"}), "", "", "credentials of an unknown type"),
        ("{}", "", "", "not a credentials file"),
        ("[1]", "", "", "not a credentials file"),
        ("{", "", "", "not a credentials file"),
        ("[" * 100_000, "", "", "not a credentials file"),
        ("\ud800", "", "", "not a credentials file"),
        (None, "", "", "No such file or directory"),
    ],
)
def test_a_key_file_is_read_or_its_problem_named(
    tmp_path: Path, content: str | None, kind: str, project: str, problem: str
) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_bytes(content.encode("utf-8", "surrogatepass"))

    credentials = credentials_file({"GOOGLE_APPLICATION_CREDENTIALS": str(file)})

    assert credentials is not None
    assert (credentials.path, credentials.named_by) == (file, "GOOGLE_APPLICATION_CREDENTIALS")
    assert (credentials.kind, credentials.project, credentials.problem) == (kind, project, problem)
    assert "SECRET" not in repr(credentials)


def test_without_a_variable_gclouds_own_file_counts_where_there_is_one(tmp_path: Path) -> None:
    environ = {"CLOUDSDK_CONFIG": str(tmp_path)}
    assert credentials_file(environ) is None

    (tmp_path / "application_default_credentials.json").write_text('{"type": "authorized_user"}')

    credentials = credentials_file(environ)
    assert credentials is not None
    assert credentials.kind == "authorized_user"
    assert credentials.named_by == "gcloud auth application-default login"
