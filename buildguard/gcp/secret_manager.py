"""Secret Manager: whether the secret versions that a service names are there, and whether its account may read them.

Only what was read counts: without the right to ask, nothing is said of a secret but that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.gcp import auth, failures
from buildguard.gcp.auth import translate_http_errors
from buildguard.gcp.connection import Connection

_SECRETS, _PROJECTS = "https://secretmanager.googleapis.com", "https://cloudresourcemanager.googleapis.com"
_READING = frozenset({"roles/secretmanager.secretAccessor", "roles/secretmanager.admin", "roles/owner", "roles/editor"})
_TIMEOUT = 20.0
_NOT_FOUND, _BAD = 404, 400
_ENABLED = "ENABLED"


class SecretRef(NamedTuple):
    """A version of a secret that a container gets, as a variable or as a file; `name` may be a whole resource name."""

    name: str
    version: str

    def path(self, project: str) -> str:
        """The secret's resource name."""
        return self.name if self.name.startswith("projects/") else f"projects/{project}/secrets/{self.name}"


class SecretFindings(NamedTuple):
    """What stands against a deploy, and what is worth knowing."""

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class SecretManagerClient(Connection):
    """A connection to Secret Manager, or to an emulator of it."""

    def __init__(self, project: str) -> None:
        """Raises UnprovenError without credentials, and where Cloud Run is emulated and this is not."""
        import requests

        local = auth.emulator(auth.SECRETS)
        if local is None and auth.emulator(auth.RUN) is not None:
            raise UnprovenError("Cloud Run is emulated, and Secret Manager is not", hint=auth.SECRETS)
        self._project = project
        self._session: requests.Session
        if local is not None:
            self._hosts = (f"http://{local.address}", f"http://{local.address}")
            self._session = requests.Session()
            self._clients = (self._session,)
            return
        credentials, _own = auth.credentials()
        with auth.translate_errors("asking Secret Manager"):
            from google.auth.transport.requests import AuthorizedSession

            self._hosts, self._session = (_SECRETS, _PROJECTS), AuthorizedSession(credentials)
        self._clients = (self._session,)

    def state(self, secret: SecretRef) -> str:
        """The state of a version, ENABLED for one that can be read; empty if it does not exist. Raises UnprovenError."""
        path = f"{secret.path(self._project)}/versions/{secret.version or 'latest'}"
        answer = self._ask("get", f"{self._hosts[0]}/v1/{quote(path, safe='/')}")
        return "" if answer is None else str(answer.get("state", ""))

    def readers(self, secret: SecretRef) -> frozenset[str]:
        """Who may read a secret, by its own policy and its project's. Raises UnprovenError where either cannot be read."""
        own = self._ask("get", f"{self._hosts[0]}/v1/{quote(secret.path(self._project), safe='/')}:getIamPolicy")
        whole = self._ask("post", f"{self._hosts[1]}/v1/projects/{quote(self._project, safe='')}:getIamPolicy")
        return _members(own) | _members(whole)

    def _ask(self, method: str, url: str) -> dict[str, Any] | None:
        """What the API responds; None for what does not exist."""
        with translate_http_errors("asking Secret Manager"):
            response = self._session.request(method, url, timeout=_TIMEOUT)
            if response.status_code == _NOT_FOUND:
                return None
            answer: dict[str, Any] = response.json()
            if response.status_code >= _BAD:
                what = auth.redact(str(answer["error"]["message"]))[:200]
                raise UnprovenError(what, reason=failures.reason_of_status(response.status_code))
            return answer


def _members(policy: dict[str, Any] | None) -> frozenset[str]:
    bindings = (policy or {}).get("bindings", [])
    return frozenset(member for each in bindings if each.get("role") in _READING for member in each.get("members", []))


def check_secrets(project: str, secrets: Sequence[SecretRef], account: str) -> SecretFindings:
    """What is wrong with the secrets of a service or a job: a version that cannot be read is a problem, a missing right a note."""
    if not secrets:
        return SecretFindings()
    try:
        with SecretManagerClient(project) as client:
            problems = tuple(filter(None, (_version_problem(client, each) for each in dict.fromkeys(secrets))))
            notes = tuple(_access_notes(client, _first_of_each(secrets), account)) if account else ()
    except UnprovenError as error:
        return SecretFindings(notes=(f"the secrets were not checked: {error.what}",))
    return SecretFindings(problems, notes)


def _version_problem(client: SecretManagerClient, secret: SecretRef) -> str:
    state = client.state(secret)
    version = f"version {secret.version or 'latest'} of the secret {secret.name}"
    if not state:
        return f"{version} does not exist: gcloud secrets versions list {secret.name}"
    return "" if state == _ENABLED else f"{version} is {state}: gcloud secrets versions list {secret.name}"


def _access_notes(client: SecretManagerClient, secrets: Iterable[SecretRef], account: str) -> Iterable[str]:
    member = f"serviceAccount:{account}"
    for secret in secrets:
        try:
            readers = client.readers(secret)
        except UnprovenError as error:
            yield f"whether {account} may read the secret {secret.name} was not checked: {error.what}"
            return
        if member not in readers:
            yield (
                f"neither the secret {secret.name} nor its project lets {account} read it; unless a folder or a group does:"
                f" gcloud secrets add-iam-policy-binding {secret.name} --member={member}"
                " --role=roles/secretmanager.secretAccessor"
            )


def _first_of_each(secrets: Sequence[SecretRef]) -> list[SecretRef]:
    return list({secret.name: secret for secret in secrets}.values())
