"""Which credentials mint an identity token for a service, for which audience, and what the others are told to do."""

from __future__ import annotations

import base64
import json
from typing import Any

import google.auth
import pytest
from google.auth import impersonated_credentials
from google.auth.identity_pool import Credentials as FederatedCredentials
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import credentials as user

from buildguard.gcp import auth, identity_token

_AUDIENCE = "https://web-abc.a.run.app"
_ACCOUNT = "deployer@acme.iam.gserviceaccount.com"
_SOURCE = user.Credentials("access")


def _federated(account: str) -> FederatedCredentials:
    base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
    return FederatedCredentials.from_info(
        {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/github",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": "/nowhere"},
            **({"service_account_impersonation_url": f"{base}/{account}:generateAccessToken"} if account else {}),
        }
    )


class _Answer:
    status_code = 200

    def json(self) -> dict[str, str]:
        parts = ({"alg": "none"}, {"exp": 4102444800, "aud": _AUDIENCE})
        head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        return {"token": f"{head}.{body}.c2ln"}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is asked of IAM Credentials."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def post(_session: AuthorizedSession, *, url: str, data: bytes, **_rest: Any) -> _Answer:
        sent.append((url, json.loads(data)))
        return _Answer()

    monkeypatch.setattr(AuthorizedSession, "post", post)
    return sent


def _have(monkeypatch: pytest.MonkeyPatch, credentials: object) -> None:
    monkeypatch.setattr(google.auth, "default", lambda **_options: (credentials, "acme"))


@pytest.mark.parametrize(
    ("credentials", "impersonate", "delegates"),
    [
        (_SOURCE, _ACCOUNT, []),
        (_SOURCE, f"first@acme.iam.gserviceaccount.com,{_ACCOUNT}", ["first@acme.iam.gserviceaccount.com"]),
        (impersonated_credentials.Credentials(_SOURCE, _ACCOUNT, auth.SCOPES, ["d@x"]), "", ["d@x"]),
        (_federated(_ACCOUNT), "", None),
    ],
)
def test_service_accounts_mint_one_for_the_service(
    monkeypatch: pytest.MonkeyPatch,
    requests: list[tuple[str, dict[str, Any]]],
    credentials: object,
    impersonate: str,
    delegates: list[str] | None,
) -> None:
    _have(monkeypatch, credentials)
    monkeypatch.setenv(auth.IMPERSONATE, impersonate)

    identity = identity_token.mint(_AUDIENCE)

    assert (identity.token.count("."), identity.problem) == (2, "")
    [(url, body)] = requests
    assert url.endswith(f"/serviceAccounts/{_ACCOUNT}:generateIdToken")
    assert (body["audience"], body["delegates"]) == (_AUDIENCE, delegates)


@pytest.mark.parametrize(
    ("credentials", "problem"),
    [
        (_SOURCE, "user credentials (gcloud auth application-default login) cannot mint"),
        (_federated(""), "workload identity federation without a service account cannot mint"),
    ],
)
def test_who_cannot_mint_is_told_the_impersonation_command(
    monkeypatch: pytest.MonkeyPatch, requests: list[tuple[str, dict[str, Any]]], credentials: object, problem: str
) -> None:
    _have(monkeypatch, credentials)

    identity = identity_token.mint(_AUDIENCE)

    assert identity.token == ""
    assert identity.problem.startswith(problem)
    assert identity.hint.startswith(f"export {auth.IMPERSONATE}=")
    assert requests == []


@pytest.mark.parametrize("audience", ["http://web.example", ""])
def test_no_token_goes_over_plain_http(monkeypatch: pytest.MonkeyPatch, audience: str) -> None:
    _have(monkeypatch, None)

    assert identity_token.mint(audience).token == ""
