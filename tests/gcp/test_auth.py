"""To which registry an access token goes: an exact Artifact Registry host, and no other."""

from __future__ import annotations

import google.auth
import pytest
from google.oauth2.credentials import Credentials

from buildguard.gcp import auth


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def refresh(credentials: Credentials, _request: object) -> None:
        credentials.token = "minted"

    monkeypatch.setattr(Credentials, "refresh", refresh)
    monkeypatch.setattr(google.auth, "default", lambda **_options: (Credentials("access"), "acme"))


@pytest.mark.parametrize("host", ["europe-west1-docker.pkg.dev", "us-docker.pkg.dev"])
def test_artifact_registry_gets_a_token(host: str) -> None:
    login = auth.registry_login(f"{host}/acme/apps/web:1")

    assert login == {"username": "oauth2accesstoken", "password": "minted"}


@pytest.mark.parametrize(
    "image",
    [
        "docker.pkg.dev/acme/web",
        "europe-docker.pkg.dev.evil.example/acme/web",
        "evil.example/europe-docker.pkg.dev/web",
        "europe-docker.pkg.dev:5000/acme/web",
        "europe-docker.pkg.dev@evil.example/web",
        "EUROPE-docker.pkg.dev/acme/web",
        "x.europe-docker.pkg.dev/acme/web",
        "localhost:5000/web",
        "web",
    ],
)
def test_no_other_host_gets_one(image: str) -> None:
    assert auth.registry_login(image) is None


def test_without_credentials_the_engines_own_login_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def default(**_options: object) -> None:
        raise google.auth.exceptions.DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", default)

    assert auth.registry_login("us-docker.pkg.dev/acme/apps/web:1") is None
