"""Where Google's services are reached and as whom; their troubles in words. Nothing secret is ever part of a message.

Credentials are the application default ones (a key file, gcloud's, the metadata server's, impersonation), found by
Google's own library. `STORAGE_EMULATOR_HOST` is read by Google's own client; `BUILDGUARD_CLOUDBUILD_ENDPOINT` and
`BUILDGUARD_RUN_ENDPOINT`, `BUILDGUARD_LOGGING_ENDPOINT`, `BUILDGUARD_SECRETMANAGER_ENDPOINT` point the others at an emulator: plaintext and anonymous, on loopback only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import failures, permissions, setup
from buildguard.system.addresses import is_loopback

STORAGE, CLOUDBUILD, RUN = "STORAGE_EMULATOR_HOST", "BUILDGUARD_CLOUDBUILD_ENDPOINT", "BUILDGUARD_RUN_ENDPOINT"
LOGGING = "BUILDGUARD_LOGGING_ENDPOINT"
SECRETS = "BUILDGUARD_SECRETMANAGER_ENDPOINT"
IMPERSONATE = "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_REGISTRY = lazy_pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*-docker\.pkg\.dev")
PATIENCE = 120  # seconds that one request may be tried again for
LOG_IN = "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS=KEY.json"
_BETWEEN = "does a proxy or a login page answer in Google's place? try again"
INSTALL = 'pip install "buildguard-gcp[cloud]"'
# what an error of Google's may contain and no log should: tokens, keys, signed parts of addresses
_SECRET = lazy_pattern(
    r"(?i)(?P<name>\b(?:bearer|access_token|id_token|refresh_token|client_secret|assertion|private_key|x-goog-signature|authorization)"
    r"\b[\"']?\s*[:= ]\s*[\"']?)(?:bearer\s+)?[^\s\"'&,}]+|ya29\.[\w.-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*|-----BEGIN[^-]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|$)",
    re.DOTALL,
)


class Endpoint(NamedTuple):
    """An emulator's address: `grpc` or `http`, and host:port."""

    scheme: str
    address: str


def emulator(variable: str, environ: Mapping[str, str] = os.environ) -> Endpoint | None:
    """The emulator that a variable names, None where it is not set. Raises UsageError for one that is not on loopback.

    What is sent there is neither encrypted nor authenticated.
    """
    text = environ.get(variable, "")
    if not text:
        return None
    address = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = address.port
    except ValueError:
        port = None
    if address.scheme not in {"grpc", "http"} or not address.hostname or not port:
        raise UsageError(f"{variable}={text} is no address", hint=f"{variable}=http://127.0.0.1:PORT")
    if not is_loopback(address.hostname):
        raise UsageError(
            f"{variable} names {address.hostname}, and an emulator has to be on this machine", hint="127.0.0.1"
        )
    return Endpoint(address.scheme, f"{address.hostname}:{port}")


def project() -> str:
    """The project that the environment names, empty where it names none."""
    return os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("CLOUDSDK_CORE_PROJECT") or ""


def region() -> str:
    """The region that the environment names for Cloud Run, empty where it names none."""
    return os.environ.get("CLOUDSDK_RUN_REGION") or os.environ.get("CLOUDSDK_BUILDS_REGION") or ""


def credentials() -> tuple[Any, str]:
    """The application default credentials, and the project that they speak for (empty where they do not say).

    Where gcloud is told to impersonate a service account, so is this: the last of a list, by way of those before it.
    """
    with translate_errors("logging in to Google"):
        import google.auth
        from google.auth import impersonated_credentials

        google_credentials, project = google.auth.default(scopes=SCOPES)
        *delegates, account = os.environ.get(IMPERSONATE, "").replace(" ", "").split(",")
        if account:
            google_credentials = impersonated_credentials.Credentials(
                google_credentials, account, SCOPES, delegates=delegates
            )
        return google_credentials, project or ""


def registry_login(image: str) -> dict[str, str] | None:
    """The login for an image's registry with Google's credentials; None for any other host, or without credentials.

    The access token goes to no other host than an exact `REGION-docker.pkg.dev`.
    """
    if _REGISTRY.fullmatch(image.partition("/")[0]) is None:
        return None
    try:
        google_credentials, _project = credentials()
        with translate_errors("logging in to the registry"):
            from google.auth.transport.requests import Request

            google_credentials.refresh(Request())
    except UnprovenError:
        return None  # the engine may have a login of its own
    return {"username": "oauth2accesstoken", "password": str(google_credentials.token)}


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Turn what Google's libraries raise into one UnprovenError, in words and with the next step."""
    try:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException
    except ImportError as error:
        raise UnprovenError(f"{doing}: Google's client libraries are not installed", hint=INSTALL) from error
    started = time.monotonic()
    try:
        yield
    except (GoogleAPICallError, RetryError, GoogleAuthError, RequestException) as error:
        what, hint = _words(error, time.monotonic() - started)
        raise UnprovenError(f"{doing}: {what}", hint=hint, reason=failures.reason_of_error(error)) from error


@contextmanager
def translate_http_errors(doing: str) -> Iterator[None]:
    """The same for what is asked over HTTP, where a login page or a proxy may answer."""
    with translate_errors(doing):
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException
        from requests.exceptions import InvalidJSONError

        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # Google's library takes whatever comes with a status of 200 for what it asked for
            if isinstance(error, RequestException | GoogleAuthError) and not isinstance(error, InvalidJSONError):
                raise
            raise UnprovenError(f"{doing}: the answer does not come from Google", hint=_BETWEEN) from error


def _words(error: Exception, seconds: float) -> tuple[str, str]:
    """What happened after how many seconds, and what to do, for an error of Google's libraries; special ones first."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from requests import RequestException

    again = "try again in some minutes"
    known: tuple[tuple[type[Exception], str, str], ...] = (
        (auth.DefaultCredentialsError, "no Google credentials found", LOG_IN),
        (auth.GoogleAuthError, "the Google credentials do not work: {}", LOG_IN),
        (api.Unauthorized, "the Google credentials are not accepted", LOG_IN),
        (api.TooManyRequests, "a quota is used up: {}", again),
        (api.RetryError, f"no usable response within {seconds:.1f} seconds: {{}}", again),
        (api.ServerError, "Google's service failed: {}", again),
        (RequestException, "it cannot be reached, or the connection broke", "check the network"),
    )
    if isinstance(error, api.Forbidden):
        return _denial_words(error)
    for kind, words, hint in known:
        if isinstance(error, kind):
            return words.format(error_text(getattr(error, "cause", None) or error)), hint
    return error_text(error), ""


def _denial_words(error: Any) -> tuple[str, str]:
    """Who lacks which permission on what, and the command that grants it."""
    text, metadata = error_text(error), getattr(error, "metadata", None)
    api = permissions.disabled_api(getattr(error, "reason", "") or "", metadata)
    if api:
        return f"the API {api} is not enabled: {text}", f"gcloud services enable {api}"
    denial = permissions.read_denial(text, metadata)
    if denial is None:
        return f"permission denied: {text}", "docs/permissions.md lists the roles that each command needs"
    account = principal()
    what = denial.describe(account)
    return f"permission denied: {what}{'' if what in text else f' ({text})'}", denial.remedy(account, project())


def principal(environ: Mapping[str, str] = os.environ) -> str:
    """The service account that this machine's credentials act as; empty for user credentials and the metadata server's."""
    if environ.get(IMPERSONATE):
        return environ[IMPERSONATE].replace(" ", "").split(",")[-1]
    file = setup.credentials_file(environ)
    return file.account if file is not None else ""


def error_text(error: Any) -> str:
    """What an error of Google's says, on one line, without anything secret in it."""
    try:
        text = error.response.json()["error"]["message"]  # REST answers carry their own words
    except (AttributeError, ValueError, KeyError, TypeError):
        text = str(getattr(error, "message", "") or error)
    return redact(" ".join(str(text).split()))[:300]


def redact(text: str) -> str:
    """A text without tokens, keys and signatures."""
    return _SECRET.sub(lambda match: f"{match['name'] or ''}…", text)
