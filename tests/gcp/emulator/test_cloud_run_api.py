"""The wire of Cloud Run's emulator: errors as gRPC statuses, changes as operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.gcp.emulator.cloud_logging import CloudLoggingEmulator
from buildguard.gcp.emulator.cloud_run import CloudRunEmulator, EmulatedOperation
from buildguard.gcp.emulator.cloud_run_api import code_of, handlers, operation_of, wrap_method
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.projects import Projects

if TYPE_CHECKING:
    from collections.abc import Iterator


class _AbortedError(Exception):
    """What `abort` of a real context raises too."""


class _Context:
    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise _AbortedError(code, details)


_CONTEXT = cast("grpc.ServicerContext", _Context())


@pytest.fixture
def runs() -> Iterator[CloudRunEmulator]:
    """An emulator without a service."""
    emulator = CloudRunEmulator(Faults(), CloudLoggingEmulator(Faults()))
    yield emulator
    emulator.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (api.NotFound("x"), grpc.StatusCode.NOT_FOUND),
        (api.Aborted("x"), grpc.StatusCode.ABORTED),
        (api.PermissionDenied("x"), grpc.StatusCode.PERMISSION_DENIED),
        (api.GatewayTimeout("x"), grpc.StatusCode.INTERNAL),
    ],
)
def test_an_error_goes_out_as_its_status(error: api.GoogleAPICallError, code: grpc.StatusCode) -> None:
    def act(_request: object) -> None:
        raise error

    assert code_of(error) is code
    with pytest.raises(_AbortedError) as caught:
        wrap_method(act, Projects({"p"}))(None, _CONTEXT)
    assert caught.value.args == (code, "x")


def test_an_answer_passes_as_it_is() -> None:
    assert wrap_method(lambda request: [request], Projects({"p"}))("a", _CONTEXT) == ["a"]


def _operation(*, done: bool, error: tuple[int, str] | None = None) -> EmulatedOperation:
    operation = EmulatedOperation("projects/p/locations/r/operations/1", "projects/p/locations/r/services/web")
    operation.error = error
    if done:
        operation.done.set()
    return operation


def _service(packed: Any) -> run_v2.Service:
    service = run_v2.Service()
    assert packed.Unpack(run_v2.Service.pb(service))
    return service


def test_a_change_on_its_way_has_metadata_and_no_result(runs: CloudRunEmulator) -> None:
    operation = operation_of(runs, _operation(done=False))

    assert not operation.done
    assert operation.WhichOneof("result") is None
    assert _service(operation.metadata).name.endswith("/services/web")


def test_a_change_ends_with_the_service_or_its_error(runs: CloudRunEmulator) -> None:
    success = operation_of(runs, _operation(done=True))
    failure = operation_of(runs, _operation(done=True, error=(9, "not ready")))

    assert _service(success.response).name.endswith("/services/web")
    assert (failure.error.code, failure.error.message) == (9, "not ready")
    assert failure.WhichOneof("result") == "error"


class _Call:
    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata: tuple[()] = ()


@pytest.mark.parametrize(
    "method",
    [
        "Services/CreateService",
        "Services/UpdateService",
        "Services/GetService",
        "Revisions/GetRevision",
        "Revisions/ListRevisions",
    ],
)
def test_every_method_that_the_client_calls_is_served(runs: CloudRunEmulator, method: str) -> None:
    call = cast("grpc.HandlerCallDetails", _Call(f"/google.cloud.run.v2.{method}"))

    assert [handler for handler in handlers(runs, Projects({"p"})) if handler.service(call) is not None]


def test_a_missing_service_is_not_found_over_the_wire(runs: CloudRunEmulator) -> None:
    call = cast("grpc.HandlerCallDetails", _Call("/google.cloud.run.v2.Services/GetService"))
    (method,) = [served for handler in handlers(runs, Projects({"p"})) if (served := handler.service(call)) is not None]

    assert method.unary_unary is not None

    with pytest.raises(_AbortedError) as caught:
        method.unary_unary(run_v2.GetServiceRequest(name="projects/p/locations/r/services/no"), _CONTEXT)
    assert caught.value.args[0] is grpc.StatusCode.NOT_FOUND
