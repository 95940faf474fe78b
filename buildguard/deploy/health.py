"""Whether a revision is healthy: what its address answers, or whether Cloud Run's own probe of it succeeded.

Only success proves it. A 404 may be the front end's, in place of a service without public traffic, and a 401 or a 403 comes
from whoever refused the request, not from the app.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Container, Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.gcp import identity_token
from buildguard.gcp.identity_token import IdentityToken
from buildguard.project.ledger import StepVerdict

HEALTHY_WITHIN = 60.0
_PAUSE = 0.5
_WHO = frozenset({401, 403})
_SUCCESS, _REDIRECTS, _CLIENT_ERRORS = range(200, 300), range(300, 400), range(400, 500)
_NEITHER = frozenset({*_REDIRECTS, *_CLIENT_ERRORS})  # proves neither health nor a crash
_NOT_FOUND = 404
_SETTING = 'set health = "/healthz" in [tool.buildguard.deploy] to a path that answers with 2xx'


class Proof(NamedTuple):
    """What may prove health: the path that is configured (empty: none), and the probe that succeeded (empty: none).

    `kind` is that of the probe, startup or readiness. `internal` is a service without public traffic, whose app may be out of reach from here.
    """

    path: str = ""
    probe: str = ""
    internal: bool = False
    kind: str = "startup"

    @property
    def is_probed(self) -> bool:
        """Whether the probe proves it: in place of a path, or of one that cannot be asked from here."""
        return bool(self.probe) and (not self.path or (self.internal and self.probe == f"HTTP {self.path}"))


class Response(NamedTuple):
    """How an address answered last: its HTTP status (None: not at all), and which identity token went with the request."""

    status: int | None
    identity: IdentityToken = IdentityToken()


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
        return (
            StepVerdict.OK,
            f"Cloud Run's {proof.kind} probe ({proof.probe}) succeeded; {address} answers {status}",
            "",
        )
    doubt, hint = _doubt(address, response, proof)
    if doubt:
        return StepVerdict.UNPROVEN, doubt, hint
    return StepVerdict.FAILED, f"{address} does not answer well: {status or 'nothing'}", ""


def is_success(status: int | None, proof: Proof) -> bool:
    """Whether a single response counts as success."""
    return status in _SUCCESS or (proof.is_probed and status in _NEITHER)


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
    if response.identity.token:
        what = f"{address} rejected the identity token of these credentials ({response.status})"
        return what, "grant their account the role roles/run.invoker on the service"
    why = response.identity.problem or "no identity token was sent"
    return (
        f"{address} requires authentication ({response.status}), and {why}",
        response.identity.hint or identity_token.HINT,
    )


def _ask(address: str, audience: str, final: Container[int]) -> Response:
    """How an address answers: asked again for a minute, unless with success, a redirect or a status in `final`.

    A service that requires authentication gets an identity token for `audience`, the address of the service, where these
    credentials can mint one.
    """
    until = time.monotonic() + HEALTHY_WITHIN
    identity = IdentityToken()
    while True:
        status = ask_status(address, identity.token)
        if status in _WHO and identity == IdentityToken():
            identity = identity_token.mint(audience)
            if identity.token:
                continue
        settled = status in _SUCCESS or status in _REDIRECTS or status in _WHO or status in final
        if settled or time.monotonic() > until:
            return Response(status, identity)
        time.sleep(_PAUSE)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as it is: where it leads is another address."""

    def redirect_request(self, *_args: object) -> None:
        """None makes it an HTTPError with its status."""


def ask_status(address: str, token: str = "") -> int | None:
    """The HTTP status of an address, asked once; None where nothing answers."""
    if not address.startswith(("http://", "https://")):
        return None
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
        return None
