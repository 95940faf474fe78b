"""Connections to Google's services: how those to Cloud Run are made, and how every one of them ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from buildguard.errors import Reason, UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.service_containers import ONLY_CONTAINER, AppContainer


class ConflictError(UnprovenError):
    """Another writer changed what was to be changed meanwhile."""

    reason = Reason.CONFLICT

    def __init__(self, what: str) -> None:
        super().__init__(what, hint="look at it, and run this again")


class Connection:
    """What ends with its `with` block, whatever state it is in; `_clients` are Google's own clients, or sessions."""

    _clients: tuple[Any, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End it."""
        for client in self._clients:
            with suppress(Exception):
                getattr(client, "transport", client).close()


class RunConnection(Connection):
    """A connection to Cloud Run in one region, or to an emulator of it."""

    _kinds: Sequence[str] = ()
    _noun = ""

    def __init__(self, project: str = "", region: str = "", app: AppContainer = ONLY_CONTAINER) -> None:
        """`app` finds the app's container. Raises UnprovenError without credentials, project or region."""
        self._app = app
        local = auth.emulator(auth.RUN)
        with auth.translate_errors("reaching Cloud Run"):
            from google.cloud import run_v2

            self._types: Any = run_v2
            kinds = [getattr(run_v2, f"{kind}Client") for kind in self._kinds]
            if local is not None:
                self._clients, own = _emulator_clients(kinds, local), auth.project()
            else:
                credentials, own = auth.credentials()
                self._clients = tuple(kind(credentials=credentials) for kind in kinds)
        self.project, self.region = project or own, region or auth.region()
        if not self.project or not self.region:
            what = "project" if not self.project else "region"
            raise UnprovenError(f"the {what} of the Cloud Run {self._noun} is not set", hint=f"--{what}")


def _emulator_clients(kinds: Sequence[Any], local: auth.Endpoint) -> tuple[Any, ...]:
    """Clients that speak to an emulator: plaintext and anonymous."""
    import grpc

    channel = grpc.insecure_channel(local.address)
    return tuple(kind(transport=kind.get_transport_class("grpc")(channel=channel)) for kind in kinds)


@contextmanager
def translate_conflicts(doing: str, noun: str) -> Iterator[None]:
    """Like `auth.translate_errors`; a change that met another writer's is a ConflictError."""
    from google.api_core.exceptions import Aborted

    with auth.translate_errors(doing):
        try:
            yield
        except Aborted as error:
            raise ConflictError(f"{doing}: {noun} was changed meanwhile by another writer") from error
