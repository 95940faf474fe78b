"""Identity tokens for a private service: who can mint one, and what to do where these credentials cannot.

Key files, the metadata server, impersonation and workload identity federation with a service account mint a token whose
audience is the service. The `id_token` of user credentials has an OAuth client as audience, so it is never used.
"""

from __future__ import annotations

from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.gcp import auth

_ROLES = "it needs roles/run.invoker on the service, and you need roles/iam.serviceAccountTokenCreator on it"
HINT = f"export {auth.IMPERSONATE}=NAME@PROJECT.iam.gserviceaccount.com; {_ROLES}"


class IdentityToken(NamedTuple):
    """A token, or why these credentials give none and what to do (both empty if there is a token)."""

    token: str = ""
    problem: str = ""
    hint: str = ""


def mint(audience: str) -> IdentityToken:
    """An identity token for a service, by its own address; never for an address without encryption."""
    if not audience.startswith("https://"):
        return IdentityToken(problem=f"{audience or 'the service'} has no https address, so no token is sent there")
    try:
        with auth.translate_errors("minting an identity token"):
            credentials, _project = auth.credentials()
            minting = _minting_credentials(credentials, audience)
            if minting is None:
                return _unable(credentials)
            minting.refresh(_transport())
            return IdentityToken(str(minting.token))
    except UnprovenError as error:
        return IdentityToken(problem=error.what, hint=HINT)


def _transport() -> Any:
    from google.auth.transport.requests import Request

    return Request()


def _minting_credentials(credentials: Any, audience: str) -> Any:
    """Credentials whose token is an identity token for `audience`; None for a kind that has none."""
    from google.auth import compute_engine, external_account, impersonated_credentials
    from google.oauth2 import service_account

    if isinstance(credentials, service_account.Credentials):
        token_uri = credentials._token_uri  # noqa: SLF001  google-auth has no public name for it
        return service_account.IDTokenCredentials(
            credentials.signer, credentials.service_account_email, token_uri, audience
        )
    if isinstance(credentials, compute_engine.Credentials):
        return compute_engine.IDTokenCredentials(_transport(), audience, use_metadata_identity_endpoint=True)
    if isinstance(credentials, external_account.Credentials):
        credentials = _impersonated_by_federation(credentials)
    if isinstance(credentials, impersonated_credentials.Credentials):
        return impersonated_credentials.IDTokenCredentials(credentials, audience, include_email=True)
    return None


def _impersonated_by_federation(credentials: Any) -> Any:
    """The service account that federated credentials impersonate; None if they impersonate none."""
    from google.auth import impersonated_credentials

    account = credentials.service_account_email
    if not account:
        return None
    info = {key: value for key, value in credentials.info.items() if key != "service_account_impersonation_url"}
    source = type(credentials).from_info(info, scopes=auth.SCOPES)
    return impersonated_credentials.Credentials(source, account, auth.SCOPES)


def _unable(credentials: Any) -> IdentityToken:
    from google.auth import external_account
    from google.oauth2 import credentials as user

    kind = "these credentials"
    if isinstance(credentials, user.Credentials):
        kind = "user credentials (gcloud auth application-default login)"
    elif isinstance(credentials, external_account.Credentials):
        kind = "workload identity federation without a service account"
    return IdentityToken(problem=f"{kind} cannot mint an identity token for a service", hint=HINT)
