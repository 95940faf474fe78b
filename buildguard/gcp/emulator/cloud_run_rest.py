"""Cloud Run by REST, as gcloud reads it: services, revisions, jobs and executions, in Knative's form (v1) and in the API's own (v2).

A region is part of the host in v1, and of the path everywhere else. What changes something goes through gRPC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import google.protobuf.json_format as protobuf_json
from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.definitions import lazy_pattern
from buildguard.gcp.cloud_run_jobs import short_name
from buildguard.gcp.emulator.cloud_run import CloudRunEmulator
from buildguard.gcp.emulator.cloud_run_jobs import CloudRunJobsEmulator

HOST = "run.emulator.invalid"  # which no name server knows: only through the emulator's own proxy it leads anywhere
_V1 = lazy_pattern(
    r"/apis/(?:serving\.knative\.dev|run\.googleapis\.com)/v1/namespaces/(?P<project>[^/]+)"
    r"/(?P<kind>services|revisions|jobs|executions|tasks)(?:/(?P<name>[^/]+))?"
)
_V1_SERVICES = lazy_pattern(r"/v1/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/services")
_LOCATIONS = lazy_pattern(r"/v1/projects/(?P<project>[^/]+)/locations")
_V2_ONE = lazy_pattern(r"/v2/(?P<name>projects/[^/]+/locations/[^/]+/(?P<kind>services|jobs)/[^/]+)")
_V2_MANY = lazy_pattern(
    r"/v2/(?P<parent>projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+))/(?P<kind>services|jobs)"
)
_LOCATION = "cloud.googleapis.com/location"
_SELECTOR = lazy_pattern(r"\s*(?P<label>[\w./-]+)\s*=\s*(?P<value>[\w.-]+)\s*")
_CALLER = "developer@emulator.invalid"
_INGRESS = {"internal-only": "internal", "internal-load-balancer": "internal-and-cloud-load-balancing"}
_STATES = {"CONDITION_SUCCEEDED": "True", "CONDITION_FAILED": "False"}


class CloudRunRest:
    """Answers by path."""

    def __init__(self, runs: CloudRunEmulator, jobs: CloudRunJobsEmulator) -> None:
        self._runs = runs
        self._jobs = jobs

    def find(self, path: str, query: Mapping[str, str], host: str) -> dict[str, Any] | None:
        """What a path of the API gives at a host; None for a path of another API. Raises Google's own errors."""
        if match := _V1.fullmatch(path):
            region = host.partition(":")[0].removesuffix(HOST).removesuffix("-")
            return self._knative(match["project"], region, match["kind"], match["name"] or "", query)
        if match := _V1_SERVICES.fullmatch(path):
            region = match["region"].replace("-", "", 1) if match["region"] == "-" else match["region"]
            return self._knative(match["project"], region, "services", "", query)
        if match := _LOCATIONS.fullmatch(path):
            regions = sorted({_region(service.name) for service in self._runs.services(match["project"], "")})
            return {"locations": [{"locationId": region, "name": f"{path[4:]}/{region}"} for region in regions]}
        if match := _V2_ONE.fullmatch(path):
            read: Callable[[str], Any] = self._runs.get if match["kind"] == "services" else self._jobs.get
            return _fields(read(match["name"]))
        if match := _V2_MANY.fullmatch(path):
            listed = self._listed(match["kind"], match["project"], match["region"].removeprefix("-"))
            return {match["kind"]: [_fields(message) for message in listed]}
        return None

    def _listed(self, kind: str, project: str, region: str) -> list[Any]:
        match kind:
            case "services":
                return list(self._runs.services(project, region))
            case "revisions":
                return list(self._runs.every_revision(project, region))
            case "jobs":
                return list(self._jobs.every_job(project, region))
            case "executions":
                return list(self._jobs.every_execution(project, region))
            case _:
                return list(self._jobs.every_task(project, region))

    def _knative(self, project: str, region: str, kind: str, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        write = _WRITERS[kind]
        items = [write(message) for message in self._listed(kind, project, region)]
        if name:
            found = next((item for item in items if item["metadata"]["name"] == name), None)
            if found is None:
                raise api.NotFound(
                    f"Resource '{name}' of kind '{kind[:-1].upper()}' in region '{region}' was not found"
                )
            return found
        items = [item for item in items if _is_selected(item, query.get("labelSelector", ""))]
        kinds = {item["kind"] for item in items} or {kind[:-1].capitalize()}
        return {"apiVersion": _version(kind), "kind": f"{min(kinds)}List", "metadata": {}, "items": items}


def _is_selected(item: Mapping[str, Any], selector: str) -> bool:
    labels = item["metadata"]["labels"]
    terms = [match for text in selector.split(",") if (match := _SELECTOR.fullmatch(text)) is not None]
    return all(labels.get(match["label"]) == match["value"] for match in terms)


def _version(kind: str) -> str:
    return "serving.knative.dev/v1" if kind in {"services", "revisions"} else "run.googleapis.com/v1"


def _fields(message: Any) -> dict[str, Any]:
    fields: dict[str, Any] = protobuf_json.MessageToDict(type(message).pb(message))
    return fields


def _region(name: str) -> str:
    return name.split("/")[3]


# ------------------------------------------------------------------------------------------ Knative's form


def _metadata(fields: Mapping[str, Any], labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    name = fields["name"]
    return {
        "name": short_name(name),
        "namespace": name.split("/")[1],
        "uid": fields.get("uid", ""),
        "generation": int(fields.get("generation", 1)),
        "resourceVersion": fields.get("etag", "").strip('"'),
        "creationTimestamp": fields.get("createTime", ""),
        "labels": {**fields.get("labels", {}), _LOCATION: _region(name), **labels},
        "annotations": {
            "serving.knative.dev/creator": _CALLER,
            "serving.knative.dev/lastModifier": _CALLER,
            "run.googleapis.com/creator": _CALLER,
            "run.googleapis.com/lastModifier": _CALLER,
            **fields.get("annotations", {}),
            **annotations,
        },
    }


def _conditions(conditions: Iterable[Mapping[str, Any]], at: str) -> list[dict[str, Any]]:
    return [
        {
            "type": condition.get("type", "Ready"),
            "status": _STATES.get(condition.get("state", ""), "Unknown"),
            "message": condition.get("message", ""),
            "reason": condition.get("reason", condition.get("revisionReason", "")),
            "lastTransitionTime": condition.get("lastTransitionTime", at),
        }
        for condition in conditions
        if condition
    ]


def _container(fields: Mapping[str, Any]) -> dict[str, Any]:
    container = {key: fields[key] for key in ("name", "image", "command", "args", "resources") if key in fields}
    if "resources" in container:
        container["resources"] = {"limits": container["resources"].get("limits", {})}
    container["env"] = [_variable(variable) for variable in fields.get("env", [])]
    container["ports"] = [{"name": "http1", "containerPort": port["containerPort"]} for port in fields.get("ports", [])]
    return container


def _variable(fields: Mapping[str, Any]) -> dict[str, Any]:
    reference = fields.get("valueSource", {}).get("secretKeyRef")
    if reference is None:
        return {"name": fields["name"], "value": fields.get("value", "")}
    key = {"name": short_name(reference["secret"]), "key": reference.get("version", "latest")}
    return {"name": fields["name"], "valueFrom": {"secretKeyRef": key}}


def _pod(fields: Mapping[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [_container(container) for container in fields.get("containers", [])]}
    if fields.get("serviceAccount"):
        pod["serviceAccountName"] = fields["serviceAccount"]
    return pod


def _traffic(fields: Mapping[str, Any], latest: str) -> dict[str, Any]:
    target: dict[str, Any] = {"percent": fields.get("percent", 0)}
    if "revision" in fields:
        target["revisionName"] = fields["revision"]
    else:
        target |= {"latestRevision": True, **({"revisionName": latest} if latest else {})}
    return {**target, **{to: fields[key] for key, to in (("tag", "tag"), ("uri", "url")) if fields.get(key)}}


def _service(message: run_v2.Service) -> dict[str, Any]:
    fields = _fields(message)
    template, latest = fields.get("template", {}), short_name(fields.get("latestReadyRevision", ""))
    ready = fields.get("terminalCondition", {})
    updated = fields.get("updateTime", "")
    asked = fields.get("traffic", []) or [{"percent": 100}]
    status = {
        "observedGeneration": int(fields.get("observedGeneration", 0)),
        "conditions": _conditions(
            [ready, {**ready, "type": "ConfigurationsReady"}, {**ready, "type": "RoutesReady"}], updated
        ),
        "latestReadyRevisionName": latest,
        "latestCreatedRevisionName": short_name(fields.get("latestCreatedRevision", "")),
        "traffic": [_traffic(target, latest) for target in fields.get("trafficStatuses", [])],
        "url": fields.get("uri", ""),
        "address": {"url": fields.get("uri", "")},
    }
    ingress = fields.get("ingress", "").removeprefix("INGRESS_TRAFFIC_").lower().replace("_", "-") or "all"
    annotations = {f"run.googleapis.com/ingress{part}": _INGRESS.get(ingress, ingress) for part in ("", "-status")}
    meta = {"labels": template.get("labels", {}), "annotations": template.get("annotations", {})}
    spec = {"metadata": {"name": template.get("revision", ""), **meta}, "spec": _pod(template)}
    return {
        "apiVersion": _version("services"),
        "kind": "Service",
        "metadata": _metadata(fields, {}, annotations),
        "spec": {"template": spec, "traffic": [_traffic(target, "") for target in asked]},
        "status": status,
    }


def _revision(message: run_v2.Revision) -> dict[str, Any]:
    fields = _fields(message)
    images = [container.get("image", "") for container in fields.get("containers", [])]
    return {
        "apiVersion": _version("revisions"),
        "kind": "Revision",
        "metadata": _metadata(fields, {"serving.knative.dev/service": fields["service"]}, {}),
        "spec": _pod(fields),
        "status": {
            "conditions": _conditions(fields.get("conditions", []), fields.get("createTime", "")),
            "imageDigest": next(iter(images), ""),
            "logUrl": fields.get("logUri", ""),
        },
    }


def _job(message: run_v2.Job) -> dict[str, Any]:
    fields = _fields(message)
    execution = fields.get("template", {})
    latest = fields.get("latestCreatedExecution", {})
    status: dict[str, Any] = {
        "observedGeneration": int(fields.get("observedGeneration", 0)),
        "conditions": _conditions([fields.get("terminalCondition", {})], fields.get("updateTime", "")),
        "executionCount": int(fields.get("executionCount", 0)),
    }
    if latest:
        status["latestCreatedExecution"] = {
            "name": short_name(latest["name"]),
            "creationTimestamp": latest.get("createTime", fields.get("createTime", "")),
        }
    return {
        "apiVersion": _version("jobs"),
        "kind": "Job",
        "metadata": _metadata(fields, {}, {}),
        "spec": {"template": {"metadata": {}, "spec": _execution_spec(execution.get("template", {}), execution)}},
        "status": status,
    }


def _execution_spec(task: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    pod = {**_pod(task), "maxRetries": int(task.get("maxRetries", 3)), "timeoutSeconds": "600"}
    return {"taskCount": int(execution.get("taskCount", 1)), "template": {"spec": pod}}


def _execution(message: run_v2.Execution) -> dict[str, Any]:
    fields = _fields(message)
    counts = {key: int(fields.get(key, 0)) for key in ("runningCount", "succeededCount", "failedCount")}
    status = {**counts, "conditions": _conditions(fields.get("conditions", []), fields.get("completionTime", ""))}
    status |= {key: fields[key] for key in ("startTime", "completionTime") if key in fields}
    status["logUri"] = fields.get("logUri", "")
    return {
        "apiVersion": _version("executions"),
        "kind": "Execution",
        "metadata": _metadata(fields, {"run.googleapis.com/job": fields["job"]}, {}),
        "spec": _execution_spec(fields.get("template", {}), fields),
        "status": status,
    }


def _task(message: run_v2.Task) -> dict[str, Any]:
    fields = _fields(message)
    labels = {"run.googleapis.com/job": fields["job"], "run.googleapis.com/execution": fields["execution"]}
    return {
        "apiVersion": _version("tasks"),
        "kind": "Task",
        "metadata": _metadata(fields, labels, {}),
        "spec": _pod(fields),
        "status": {"index": fields.get("index", 0), "conditions": _conditions(fields.get("conditions", []), "")},
    }


_WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "services": _service,
    "revisions": _revision,
    "jobs": _job,
    "executions": _execution,
    "tasks": _task,
}
