"""Whether a revision is healthy: what its address answers, or what Cloud Run's startup probe of it found.

Only success proves it. A 404 may be the front end's, in place of a service without public traffic, and a 401 or a 403 comes
from whoever refused the request, not from the app.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from buildguard.project.ledger import StepVerdict

HEALTHY_WITHIN = 60.0
_PAUSE = 0.5
_WHO = frozenset({401, 403})
_SUCCESS, _REDIRECTS, _CLIENT_ERRORS = range(200, 300), range(300, 400), range(400, 500)
_NEITHER = frozenset({*_REDIRECTS, *_CLIENT_ERRORS})  # proves neither health nor a crash
_NOT_FOUND = 404
_SETTING = 'set health = "/healthz" in [tool.buildguard.deploy] to a path that answers with 2xx'


class Proof(NamedTuple):
    """What may prove health: the path that is configured (empty: none), and the startup probe that succeeded (empty: none).

    `internal` is a service without public traffic, whose app may be out of reach from here.
    """

    path: str = ""
    probe: str = ""
    internal: bool = False

    @property
    def is_probed(self) -> bool:
        """Whether the startup probe proves it: in place of a path, or of one that cannot be asked from here."""
        return bool(self.probe) and (not self.path or (self.internal and self.probe == f"HTTP {self.path}"))


class Response(NamedTuple):
    """How an address answered last: its HTTP status (0: not at all), and whether an identity token went with the request."""

    status: int
    had_token: bool = False


class Result(NamedTuple):
    """Whether a revision is healthy: the verdict, words for people, what to do next, and evidence for the ledger."""

    verdict: StepVerdict
    words: str
    hint: str
    evidence: Mapping[str, Any]


def check(url: str, audience: str, proof: Proof) -> Result:
    """Ask the address of a revision, and judge what it answers; `audience` is the address of its service."""
    address = url + (proof.path or "/")
    response = _ask(address, audience, _CLIENT_ERRORS if proof.is_probed else ())
    verdict, words, hint = judge(address, response, proof)
    return Result(verdict, words, hint, {"url": address, "status": response.status})


def judge(address: str, response: Response, proof: Proof) -> tuple[StepVerdict, str, str]:
    """The verdict on a response, words, and what to do next."""
    status = response.status
    if status in _SUCCESS:
        return StepVerdict.OK, f"{address} answers {status}", ""
    if proof.is_probed and status in _NEITHER:
        return StepVerdict.OK, f"Cloud Run's startup probe ({proof.probe}) succeeded; {address} answers {status}", ""
    doubt, hint = _doubt(address, response, proof)
    if doubt:
        return StepVerdict.UNPROVEN, doubt, hint
    return StepVerdict.FAILED, f"{address} does not answer well: {status or 'nothing'}", ""


def _doubt(address: str, response: Response, proof: Proof) -> tuple[str, str]:
    """Why a response proves neither health nor a fault of the app, and what would; empty where it proves a fault."""
    status = response.status
    if proof.internal and status in {_NOT_FOUND, *_WHO}:
        what = f"{address} answers {status}: the service has no public traffic, so its health cannot be asked from here"
        return what, f"give the container an HTTP startup probe of {proof.path or '/healthz'}"
    if status in _WHO:
        return _refused(address, response)
    if status in _NEITHER and not proof.path:
        return f"{address} answers {status}, which proves no health", _SETTING
    if status in _REDIRECTS:
        return f"{address} answers {status}, and a redirect proves no health", _SETTING
    return "", ""


def _refused(address: str, response: Response) -> tuple[str, str]:
    if response.had_token:
        what = f"{address} rejected the identity token of these credentials ({response.status})"
        return what, "grant their account the role roles/run.invoker on the service"
    what = f"{address} requires authentication, and these credentials cannot mint an identity token"
    return what, "use a service account that may invoke it: GOOGLE_APPLICATION_CREDENTIALS=KEY.json"


def _ask(address: str, audience: str, final: Container[int]) -> Response:
    """How an address answers: asked again for a minute, unless with success, a redirect or a status in `final`.

    A service that requires authentication gets an identity token for `audience`, the address of the service, where these
    credentials can mint one.
    """
    until = time.monotonic() + HEALTHY_WITHIN
    token = ""
    while True:
        status = _status(address, token)
        if status in _WHO and not token:
            token = _identity(audience)
            if token:
                continue
        response = Response(status, bool(token))
        settled = status in _SUCCESS or status in _REDIRECTS or status in _WHO or status in final
        if settled or time.monotonic() > until:
            return response
        time.sleep(_PAUSE)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as it is: where it leads is another address."""

    def redirect_request(self, *_args: object) -> None:
        """None makes it an HTTPError with its status."""


def _status(address: str, token: str) -> int:
    """The HTTP status of an address; 0 where nothing answers."""
    if not address.startswith(("http://", "https://")):
        return 0
    request = urllib.request.Request(address)  # noqa: S310  http and https alone
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)
    except (OSError, http.client.HTTPException):
        return 0


def _identity(audience: str) -> str:
    """An identity token for a service; empty where these credentials give none, or it would go over plain HTTP."""
    if not audience.startswith("https://"):
        return ""
    try:
        from google.auth.transport.requests import Request
        from google.oauth2 import id_token

        return str(id_token.fetch_id_token(Request(), audience))
    except Exception:  # noqa: BLE001  a service that cannot be asked is told as such, whatever the reason
        return ""
