"""The APIs on loopback ports: Cloud Build by gRPC and by REST, Cloud Run by gRPC, Cloud Storage; and the environment that points at them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from concurrent import futures
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google.longrunning.operations_pb2 as operations
import grpc
from google.api_core import exceptions as api
from google.cloud.devtools import cloudbuild_v1 as cb
from google.protobuf import any_pb2, empty_pb2, json_format
from google.rpc import status_pb2

from buildguard.definitions import lazy_pattern
from buildguard.docker.registry_names import REGISTRY
from buildguard.gcp.auth import CLOUDBUILD, LOGGING, RUN, SECRETS, STORAGE
from buildguard.gcp.emulator.cloud_build import (
    PROJECT,
    REGION,
    CloudBuildEmulator,
    as_json,
    build_of_operation,
    operation_name,
)
from buildguard.gcp.emulator.cloud_logging import CloudLoggingEmulator
from buildguard.gcp.emulator.cloud_run import CloudRunEmulator
from buildguard.gcp.emulator.cloud_run_api import code_of, handlers, job_handlers, wrap_method
from buildguard.gcp.emulator.cloud_run_api import operation_of as run_operation
from buildguard.gcp.emulator.cloud_run_jobs import CloudRunJobsEmulator
from buildguard.gcp.emulator.cloud_run_rest import HOST, CloudRunRest
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.front import FrontProxy
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.projects import Projects
from buildguard.gcp.emulator.registry import RegistryEmulator
from buildguard.gcp.emulator.secret_manager import SecretManagerEmulator
from buildguard.gcp.emulator.storage import StorageServer

_SERVICE = "google.devtools.cloudbuild.v1.CloudBuild"
_OPERATIONS = "google.longrunning.Operations"
_UNDONE = {cb.Build.Status.QUEUED, cb.Build.Status.WORKING, cb.Build.Status.PENDING}
_ONE = lazy_pattern(
    r"/v1/projects/(?P<project>[^/]+)/(?:locations/(?P<location>[^/]+)/)?builds/(?P<id>[^/:]+)(?P<verb>:cancel)?"
)
_MANY = lazy_pattern(r"/v1/projects/(?P<project>[^/]+)/(?:locations/(?P<location>[^/]+)/)?builds")
_OPERATION = lazy_pattern(r"/v1/(?:projects/[^/]+/locations/[^/]+/)?(?P<name>operations/.+)")


class Emulator:
    """All of it, running; `close` ends it."""

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        stale: bytes | None = None,
        projects: Collection[str] = (),
    ) -> None:
        """`projects` are those that the caller has access to, beside the emulator's own. Raises UsageError for a fault that there is not."""
        self.faults = asked = Faults(faults)
        self.projects = Projects({PROJECT, *projects})
        self.storage = StorageServer(asked, self.projects)
        self.registry = RegistryEmulator(self.projects)
        self.builds = CloudBuildEmulator(self.storage.buckets, asked, self.registry, stale)
        self.logs = CloudLoggingEmulator(asked)
        self.secrets = SecretManagerEmulator()
        self.runs = CloudRunEmulator(asked, self.logs, self.registry.resolve)
        self.jobs = CloudRunJobsEmulator(asked, self.logs, self.runs)
        self._grpc = grpc.server(futures.ThreadPoolExecutor(8))
        self._grpc.add_generic_rpc_handlers(
            (
                _cloud_build(self.builds, self.projects),
                _long_running(self.builds, self.runs, self.projects),
                *handlers(self.runs, self.projects),
                *job_handlers(self.runs, self.jobs, self.projects),
            )
        )
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()

        class BoundRestHandler(_RestHandler):
            builds = self.builds
            logs = self.logs
            secrets = self.secrets
            run = CloudRunRest(self.runs, self.jobs)
            projects = self.projects

        self._rest = HttpServer(BoundRestHandler, "REST emulator")
        self._front = FrontProxy(self._rest.address, self.storage.address)

    @property
    def environment(self) -> dict[str, str]:
        """What points buildguard and Google's clients here; a project and a region are part of it."""
        return {
            STORAGE: self.storage.address,
            CLOUDBUILD: f"grpc://127.0.0.1:{self.grpc_port}",
            RUN: f"grpc://127.0.0.1:{self.grpc_port}",
            LOGGING: self.rest_address,
            SECRETS: self.rest_address,
            REGISTRY: self.registry.address,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_BUILDS_REGION": REGION,
            "CLOUDSDK_RUN_REGION": REGION,
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{self.storage.address}/storage/v1/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{self.rest_address}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{self.rest_address}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"http://{HOST}/",
            "CLOUDSDK_PROXY_TYPE": "http",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": self._front.address.rpartition(":")[2],
        }

    @property
    def rest_address(self) -> str:
        """Cloud Build's and Cloud Logging's REST API."""
        return self._rest.address

    def close(self) -> None:
        """End every build and every service, and stop answering."""
        self.builds.close()
        self.jobs.close()
        self.runs.close()
        self._grpc.stop(0)
        self._front.close()
        self._rest.close()
        self.storage.close()
        self.registry.close()


def operation_of(build: cb.Build) -> operations.Operation:
    """The operation that stands for a build, its metadata as current as the build itself."""
    metadata, response = any_pb2.Any(), any_pb2.Any()
    metadata.Pack(cb.BuildOperationMetadata.pb(cb.BuildOperationMetadata(build=build)))
    operation = operations.Operation(name=operation_name(build), done=build.status not in _UNDONE, metadata=metadata)
    if build.status == cb.Build.Status.SUCCESS:
        response.Pack(cb.Build.pb(build))
        operation.response.CopyFrom(response)
    elif operation.done:
        operation.error.CopyFrom(
            status_pb2.Status(code=2, message=f"Build failed; check build logs for details: {build.status_detail}")
        )
    return operation


# ------------------------------------------------------------------------------------------ gRPC


def _cloud_build(builds: CloudBuildEmulator, projects: Projects) -> grpc.GenericRpcHandler:
    def unary(
        act: Callable[[Any], Any], request: Any, answer: Callable[[Any], bytes]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(wrap_method(act, projects), request.deserialize, answer)

    return grpc.method_handlers_generic_handler(
        _SERVICE,
        {
            "CreateBuild": unary(
                lambda request: operation_of(builds.create(request.parent, request.project_id, request.build)),
                cb.CreateBuildRequest,
                operations.Operation.SerializeToString,
            ),
            "GetBuild": unary(lambda request: builds.get(*_build_of(request)), cb.GetBuildRequest, cb.Build.serialize),
            "ListBuilds": unary(
                lambda request: cb.ListBuildsResponse(
                    builds=builds.find(request.project_id or request.parent.split("/")[1], request.filter)
                ),
                cb.ListBuildsRequest,
                cb.ListBuildsResponse.serialize,
            ),
            "CancelBuild": unary(
                lambda request: builds.cancel(*_build_of(request)),
                cb.CancelBuildRequest,
                cb.Build.serialize,
            ),
        },
    )


def _build_of(request: Any) -> tuple[str, str]:
    """The id and the project of the build that a request names."""
    name = request.name.split("/")  # projects/PROJECT/locations/REGION/builds/ID
    return request.id or name[-1], name[1] if len(name) > 1 else request.project_id


def _long_running(builds: CloudBuildEmulator, runs: CloudRunEmulator, projects: Projects) -> grpc.GenericRpcHandler:
    def get(request: Any) -> operations.Operation:
        if not request.name.startswith("operations/"):
            return run_operation(runs, runs.operation(request.name))
        return operation_of(builds.get(build_of_operation(request.name)))

    def cancel(request: Any) -> empty_pb2.Empty:
        builds.cancel(build_of_operation(request.name))
        return empty_pb2.Empty()

    return grpc.method_handlers_generic_handler(
        _OPERATIONS,
        {
            "GetOperation": grpc.unary_unary_rpc_method_handler(
                wrap_method(get, projects),
                operations.GetOperationRequest.FromString,
                operations.Operation.SerializeToString,
            ),
            "CancelOperation": grpc.unary_unary_rpc_method_handler(
                wrap_method(cancel, projects),
                operations.CancelOperationRequest.FromString,
                empty_pb2.Empty.SerializeToString,
            ),
        },
    )


# ------------------------------------------------------------------------------------------ REST


class _RestHandler(Handler):
    """The same in JSON, which gcloud speaks."""

    builds: CloudBuildEmulator
    logs: CloudLoggingEmulator
    secrets: SecretManagerEmulator
    run: CloudRunRest
    projects: Projects

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, act: Callable[[str, dict[str, str], bytes], Any]) -> None:
        split = urlsplit(self.path)
        body = b"".join(self.pieces())
        query = {key: values[-1] for key, values in parse_qs(split.query).items()}
        try:
            self.projects.check_name(unquote(split.path))
            status, value = 200, act(unquote(split.path), query, body)
        except api.GoogleAPICallError as error:
            status = int(error.code or 500)
            value = {
                "error": {
                    "code": status,
                    "message": error.message,
                    "status": code_of(error).name,
                }
            }
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _get(self, path: str, query: dict[str, str], _body: bytes) -> Any:
        if match := _ONE.fullmatch(path):
            return as_json(self.builds.get(match["id"], match["project"]))
        if match := _MANY.fullmatch(path):
            found = self.builds.find(match["project"], query.get("filter", ""), match["location"] or "global")
            return {"builds": [as_json(build) for build in found]}
        if match := _OPERATION.fullmatch(path):
            return _operation_json(self.builds.get(build_of_operation(match["name"])))
        answer = self.run.find(path, query, self.headers.get("Host", ""))
        return self._secret(path) if answer is None else answer

    def _secret(self, path: str) -> Any:
        answer = self.secrets.find(path)
        if answer is None:
            raise api.NotFound(path)
        return answer

    def _post(self, path: str, _query: dict[str, str], body: bytes) -> Any:
        if (match := _ONE.fullmatch(path)) and match["verb"]:
            return as_json(self.builds.cancel(match["id"], match["project"]))
        if match := _MANY.fullmatch(path):
            build = _parsed_build(body)
            parent = f"projects/{match['project']}/locations/{match['location'] or 'global'}"
            return _operation_json(self.builds.create(parent, match["project"], build))
        if path == "/v2/entries:list":
            asked = json.loads(body)
            for name in asked.get("resourceNames", []):
                self.projects.check_name(name)
            return self.logs.find(asked)
        return self._secret(path)


def _parsed_build(body: bytes) -> cb.Build:
    try:
        return cb.Build.from_json(body.decode("utf-8"))
    except (json_format.ParseError, ValueError) as error:
        raise api.InvalidArgument(f"Invalid JSON payload received. {error}") from error


def _operation_json(build: cb.Build) -> dict[str, Any]:
    kind = "type.googleapis.com/google.devtools.cloudbuild.v1"
    fields: dict[str, Any] = {
        "name": operation_name(build),
        "metadata": {"@type": f"{kind}.BuildOperationMetadata", "build": as_json(build)},
    }
    if build.status not in _UNDONE:
        fields["done"] = True
        if build.status == cb.Build.Status.SUCCESS:
            fields["response"] = {"@type": f"{kind}.Build", **as_json(build)}
        else:
            fields["error"] = {"code": 2, "message": build.status_detail}
    return fields
