"""Cloud Run's admin API by gRPC, in Google's own messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import google.longrunning.operations_pb2 as operations
import grpc
from google.api_core import exceptions as api
from google.cloud import run_v2
from google.protobuf import any_pb2
from google.rpc import status_pb2

from buildguard.gcp.emulator.cloud_run import CloudRunEmulator, EmulatedOperation
from buildguard.gcp.emulator.cloud_run_jobs import CloudRunJobsEmulator
from buildguard.gcp.emulator.projects import Projects

_CODES = {
    api.NotFound: grpc.StatusCode.NOT_FOUND,
    api.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    api.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    api.Aborted: grpc.StatusCode.ABORTED,
    api.ServiceUnavailable: grpc.StatusCode.UNAVAILABLE,
    api.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    api.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    api.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
}


def code_of(error: api.GoogleAPICallError) -> grpc.StatusCode:
    """The gRPC status that stands for one of Google's errors."""
    return _CODES.get(type(error), grpc.StatusCode.INTERNAL)


def wrap_method(act: Callable[[Any], Any], projects: Projects) -> Callable[[Any, grpc.ServicerContext], Any]:
    """A method of a service, for these projects: what it raises goes out as a status."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            projects.check_request(request)
            return act(request)
        except api.GoogleAPICallError as error:
            context.abort(code_of(error), str(error.message))

    return answer


def handlers(runs: CloudRunEmulator, projects: Projects) -> list[grpc.GenericRpcHandler]:
    """The services of the API."""

    def method(act: Callable[[Any], Any], request: Any, answer: Callable[[Any], bytes]) -> Any:
        return grpc.unary_unary_rpc_method_handler(wrap_method(act, projects), request.deserialize, answer)

    def changing(act: Callable[[Any], EmulatedOperation], request: Any) -> Any:
        return method(lambda message: operation_of(runs, act(message)), request, operations.Operation.SerializeToString)

    def listed(request: Any) -> Any:
        return run_v2.ListRevisionsResponse(revisions=runs.revisions(request.parent))

    return [
        grpc.method_handlers_generic_handler(
            "google.cloud.run.v2.Services",
            {
                "CreateService": changing(runs.create, run_v2.CreateServiceRequest),
                "UpdateService": changing(runs.update, run_v2.UpdateServiceRequest),
                "DeleteService": changing(runs.delete, run_v2.DeleteServiceRequest),
                "GetService": method(
                    lambda message: runs.get(message.name), run_v2.GetServiceRequest, run_v2.Service.serialize
                ),
            },
        ),
        grpc.method_handlers_generic_handler(
            "google.cloud.run.v2.Revisions",
            {
                "GetRevision": method(
                    lambda message: runs.revision(message.name), run_v2.GetRevisionRequest, run_v2.Revision.serialize
                ),
                "ListRevisions": method(listed, run_v2.ListRevisionsRequest, run_v2.ListRevisionsResponse.serialize),
            },
        ),
    ]


def operation_of(runs: CloudRunEmulator, operation: EmulatedOperation) -> operations.Operation:
    """A change as the API tells it: metadata and response are both the service."""
    done = operation.done.is_set()
    result = operations.Operation(name=operation.name, done=done)
    packed = any_pb2.Any()
    message = operation.message() if operation.message is not None else _service_of(runs, operation)
    packed.Pack(type(message).pb(message))
    result.metadata.CopyFrom(packed)
    if done and operation.error is not None:
        result.error.CopyFrom(status_pb2.Status(code=operation.error[0], message=operation.error[1]))
    elif done:
        result.response.CopyFrom(packed)
    return result


def _service_of(runs: CloudRunEmulator, operation: EmulatedOperation) -> run_v2.Service:
    try:
        return runs.get(operation.service)
    except api.NotFound:  # it was only validated
        return run_v2.Service(name=operation.service)


def job_handlers(
    runs: CloudRunEmulator, jobs: CloudRunJobsEmulator, projects: Projects
) -> list[grpc.GenericRpcHandler]:
    """Jobs, executions and tasks."""

    def method(act: Callable[[Any], Any], request: Any, answer: Callable[[Any], bytes]) -> Any:
        return grpc.unary_unary_rpc_method_handler(wrap_method(act, projects), request.deserialize, answer)

    def changing(act: Callable[[Any], EmulatedOperation], request: Any) -> Any:
        return method(lambda message: operation_of(runs, act(message)), request, operations.Operation.SerializeToString)

    def listing(act: Callable[[str], list[Any]], request: Any, answer: Any, field: str) -> Any:
        return method(lambda message: answer(**{field: act(message.parent)}), request, answer.serialize)

    def getting(act: Callable[[str], Any], request: Any, answer: Any) -> Any:
        return method(lambda message: act(message.name), request, answer.serialize)

    return [
        grpc.method_handlers_generic_handler(
            "google.cloud.run.v2.Jobs",
            {
                "CreateJob": changing(jobs.create, run_v2.CreateJobRequest),
                "UpdateJob": changing(jobs.update, run_v2.UpdateJobRequest),
                "DeleteJob": changing(jobs.delete, run_v2.DeleteJobRequest),
                "RunJob": changing(jobs.run, run_v2.RunJobRequest),
                "GetJob": getting(jobs.get, run_v2.GetJobRequest, run_v2.Job),
                "ListJobs": listing(jobs.find, run_v2.ListJobsRequest, run_v2.ListJobsResponse, "jobs"),
            },
        ),
        grpc.method_handlers_generic_handler(
            "google.cloud.run.v2.Executions",
            {
                "GetExecution": getting(jobs.execution, run_v2.GetExecutionRequest, run_v2.Execution),
                "ListExecutions": listing(
                    jobs.executions, run_v2.ListExecutionsRequest, run_v2.ListExecutionsResponse, "executions"
                ),
            },
        ),
        grpc.method_handlers_generic_handler(
            "google.cloud.run.v2.Tasks",
            {"ListTasks": listing(jobs.tasks, run_v2.ListTasksRequest, run_v2.ListTasksResponse, "tasks")},
        ),
    ]
