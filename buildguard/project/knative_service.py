"""A service.yaml in Knative's form, as `gcloud run services replace` takes it, in the form of Cloud Run's API (v2). Pure.

What has no place there is refused: a setting that is lost without a word would be found in production.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.yaml import Node

_API, _KIND = "serving.knative.dev/v1", "Service"
_INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}
_EGRESS = {"all": "ALL_TRAFFIC", "all-traffic": "ALL_TRAFFIC", "private-ranges-only": "PRIVATE_RANGES_ONLY"}
_GENERATIONS = {"gen1": "EXECUTION_ENVIRONMENT_GEN1", "gen2": "EXECUTION_ENVIRONMENT_GEN2"}
_RUN, _SCALE = "run.googleapis.com/", "autoscaling.knative.dev/"
# written by gcloud into what it exports, and no setting
_IGNORED = frozenset(
    {
        f"{_RUN}client-name",
        f"{_RUN}client-version",
        f"{_RUN}operation-id",
        f"{_RUN}ingress-status",
        f"{_RUN}urls",
        "serving.knative.dev/creator",
        "serving.knative.dev/lastModifier",
    }
)
_METADATA = frozenset({"name", "namespace", "annotations", "labels", "generation", "uid", "resourceVersion", "creationTimestamp", "selfLink"})  # fmt: skip


class _KnativeReader(NamedTuple):
    """Reads tables of one file strictly."""

    file: str

    def wrong(self, where: str, what: str) -> UsageError:
        hint = f"remove it, or create the service with gcloud run services replace {self.file} first"
        return UsageError(f"{self.file}: {where}: {what}", hint=hint)

    def table(self, value: Any, where: str, known: frozenset[str] | set[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(where, "must be a mapping")
        for key in value:
            if key not in known:
                raise self.wrong(f"{where}.{key}".lstrip("."), "is not known to buildguard")
        return value

    def number(self, value: Any, where: str) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise self.wrong(where, f"'{value}' is no number") from None

    def items(self, value: Any, where: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise self.wrong(where, "must be a list")
        return value

    def choice(self, value: Any, where: str, choices: Mapping[str, str]) -> str:
        if str(value) not in choices:
            raise self.wrong(where, f"'{value}' is not one of {', '.join(choices)}")
        return choices[str(value)]


def read_service(data: bytes, file: str, name: str) -> dict[str, Any]:
    """The service that a file describes, as the API's JSON has it; raises UsageError for anything that would be lost."""
    reader = _KnativeReader(file)
    content = _plain(yaml.read(data, file))
    root = reader.table(content, "", {"apiVersion", "kind", "metadata", "spec", "status"})
    if (root.get("apiVersion"), root.get("kind")) != (_API, _KIND):
        raise reader.wrong("kind", f"must be {_KIND} of {_API}")
    metadata = reader.table(root.get("metadata", {}), "metadata", _METADATA)
    if metadata.get("name") != name:
        raise reader.wrong("metadata.name", f"is '{metadata.get('name')}', and the service is {name}")
    spec = reader.table(root.get("spec", {}), "spec", {"template", "traffic"})
    for target in reader.items(spec.get("traffic", []), "spec.traffic"):
        if target != {"latestRevision": True, "percent": 100}:
            raise reader.wrong("spec.traffic", "must be all of the latest revision: buildguard moves the traffic")
    service = _service_annotations(metadata.get("annotations") or {}, reader)
    service["template"] = _template(spec.get("template", {}), reader)
    return service | _labels(metadata)


def _plain(node: Node) -> Any:
    """A parsed YAML value without its places."""
    if isinstance(node.value, Mapping):
        return {key: _plain(item) for key, item in node.pairs()}
    if isinstance(node.value, tuple):
        return [_plain(item) for item in node.value]
    match node.kind:
        case "null":
            return None
        case "bool":
            return node.text().lower() in {"true", "yes", "on", "y"}
        case "int":
            return int(node.text(), 0) if node.text().isdigit() else node.text()
        case _:
            return node.text()


def _labels(metadata: Mapping[str, Any]) -> dict[str, Any]:
    labels = metadata.get("labels") or {}
    own = {key: str(value) for key, value in labels.items() if "cloud.googleapis.com" not in key}
    return {"labels": own} if own else {}


def _service_annotations(annotations: Mapping[str, Any], reader: _KnativeReader) -> dict[str, Any]:
    service: dict[str, Any] = {}
    for key, value in annotations.items():
        where = f"metadata.annotations.{key}"
        match key.removeprefix(_RUN):
            case "ingress":
                service["ingress"] = reader.choice(value, where, _INGRESS)
            case "launch-stage":
                service["launchStage"] = str(value)
            case "description":
                service["description"] = str(value)
            case "minScale":
                service["scaling"] = {"minInstanceCount": reader.number(value, where)}
            case _ if key not in _IGNORED:
                raise reader.wrong(where, "is not known to buildguard")
    return service


def _template(value: Any, reader: _KnativeReader) -> dict[str, Any]:
    table = reader.table(value, "spec.template", {"metadata", "spec"})
    metadata = reader.table(table.get("metadata") or {}, "spec.template.metadata", {"annotations", "labels"})
    known = {"containers", "volumes", "serviceAccountName", "timeoutSeconds", "containerConcurrency"}
    spec = reader.table(table.get("spec") or {}, "spec.template.spec", known)
    annotations = metadata.get("annotations") or {}
    template = _template_annotations(annotations, reader) | _labels(metadata)
    throttled = str(annotations.get(f"{_RUN}cpu-throttling", "true")).lower() != "false"
    boosted = str(annotations.get(f"{_RUN}startup-cpu-boost", "false")).lower() == "true"
    resources = {"cpuIdle": throttled, "startupCpuBoost": boosted}
    containers = reader.items(spec.get("containers"), "spec.template.spec.containers")
    template["containers"] = [
        _container(each, f"spec.template.spec.containers[{number}]", reader, resources)
        for number, each in enumerate(containers)
    ]
    if "serviceAccountName" in spec:
        template["serviceAccount"] = str(spec["serviceAccountName"])
    if "timeoutSeconds" in spec:
        template["timeout"] = f"{spec['timeoutSeconds']}s"
    if "containerConcurrency" in spec:
        template["maxInstanceRequestConcurrency"] = reader.number(spec["containerConcurrency"], "containerConcurrency")
    if spec.get("volumes"):
        template["volumes"] = [_volume(each, reader) for each in reader.items(spec["volumes"], "volumes")]
    return template


# what an annotation of a template becomes: the field, its own field if it is a table, and how its value is read
_Read = Callable[[Any, str, _KnativeReader], Any]
_TEMPLATE: Mapping[str, tuple[str, str, _Read]] = {
    f"{_SCALE}minScale": ("scaling", "minInstanceCount", lambda value, where, reader: reader.number(value, where)),
    f"{_SCALE}maxScale": ("scaling", "maxInstanceCount", lambda value, where, reader: reader.number(value, where)),
    f"{_RUN}vpc-access-connector": ("vpcAccess", "connector", lambda value, _where, _reader: str(value)),
    f"{_RUN}vpc-access-egress": (
        "vpcAccess",
        "egress",
        lambda value, where, reader: reader.choice(value, where, _EGRESS),
    ),
    f"{_RUN}execution-environment": (
        "executionEnvironment",
        "",
        lambda value, where, reader: reader.choice(value, where, _GENERATIONS),
    ),
    f"{_RUN}sessionAffinity": ("sessionAffinity", "", lambda value, _where, _reader: str(value).lower() == "true"),
    f"{_RUN}encryption-key": ("encryptionKey", "", lambda value, _where, _reader: str(value)),
}
_OF_CONTAINERS = frozenset({f"{_RUN}cpu-throttling", f"{_RUN}startup-cpu-boost"})


def _template_annotations(annotations: Mapping[str, Any], reader: _KnativeReader) -> dict[str, Any]:
    template: dict[str, Any] = {}
    for key, value in annotations.items():
        if key in _IGNORED | _OF_CONTAINERS:
            continue
        where = f"spec.template.metadata.annotations.{key}"
        if key not in _TEMPLATE:
            raise reader.wrong(where, "is not known to buildguard")
        field, inner, read = _TEMPLATE[key]
        if inner:
            template.setdefault(field, {})[inner] = read(value, where, reader)
        else:
            template[field] = read(value, where, reader)
    return template


def _container(value: Any, where: str, reader: _KnativeReader, resources: Mapping[str, bool]) -> dict[str, Any]:
    probes = {"startupProbe", "livenessProbe", "readinessProbe"}
    plain = {"name", "image", "command", "args", "env", "ports", "resources", "volumeMounts", "workingDir"}
    table = reader.table(value, where, plain | probes)
    container: dict[str, Any] = {key: table[key] for key in ("name", "image", "workingDir") if key in table}
    for key in ("command", "args"):
        if table.get(key):
            container[key] = [str(word) for word in reader.items(table[key], f"{where}.{key}")]
    for key, read in (("env", _variable), ("ports", _port), ("volumeMounts", _mount)):
        if key in table:
            container[key] = [
                read(each, f"{where}.{key}", reader) for each in reader.items(table[key], f"{where}.{key}")
            ]
    limits = reader.table(table.get("resources") or {}, f"{where}.resources", {"limits"}).get("limits") or {}
    container["resources"] = {**resources, "limits": {key: str(item) for key, item in limits.items()}}
    for key in sorted(probes & table.keys()):
        container[key] = _probe(table[key], f"{where}.{key}", reader)
    return container


def _variable(value: Any, where: str, reader: _KnativeReader) -> dict[str, Any]:
    table = reader.table(value, where, {"name", "value", "valueFrom"})
    if "valueFrom" not in table:
        return {"name": str(table["name"]), "value": str(table.get("value", ""))}
    source = reader.table(table["valueFrom"], f"{where}.valueFrom", {"secretKeyRef"})
    secret = reader.table(source["secretKeyRef"], f"{where}.valueFrom.secretKeyRef", {"name", "key"})
    reference = {"secret": str(secret["name"]), "version": str(secret["key"])}
    return {"name": str(table["name"]), "valueSource": {"secretKeyRef": reference}}


def _port(value: Any, where: str, reader: _KnativeReader) -> dict[str, Any]:
    table = reader.table(value, where, {"name", "containerPort", "protocol"})
    port: dict[str, Any] = {"containerPort": reader.number(table.get("containerPort", 8080), where)}
    return {**port, "name": str(table["name"])} if "name" in table else port


def _mount(value: Any, where: str, reader: _KnativeReader) -> dict[str, Any]:
    return dict(reader.table(value, where, {"name", "mountPath"}))


def _probe(value: Any, where: str, reader: _KnativeReader) -> dict[str, Any]:
    times = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold")
    kinds: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "httpGet": lambda get: {key: get[key] for key in ("path", "port") if key in get},
        "tcpSocket": lambda socket: {key: socket[key] for key in ("port",) if key in socket},
        "grpc": lambda grpc: {key: grpc[key] for key in ("port", "service") if key in grpc},
    }
    known = {"httpGet": {"path", "port"}, "tcpSocket": {"port"}, "grpc": {"port", "service"}}
    table = reader.table(value, where, {*times, *kinds})
    probe: dict[str, Any] = {key: reader.number(table[key], where) for key in times if key in table}
    for kind, convert in kinds.items():
        if kind in table:
            probe[kind] = convert(reader.table(table[kind] or {}, f"{where}.{kind}", known[kind]))
    return probe


def _volume(value: Any, reader: _KnativeReader) -> dict[str, Any]:
    table = reader.table(value, "volumes", {"name", "secret", "emptyDir"})
    if "emptyDir" in table:
        empty = reader.table(table["emptyDir"] or {}, "volumes.emptyDir", {"medium", "sizeLimit"})
        fields = {"medium": "MEMORY"} | ({"sizeLimit": str(empty["sizeLimit"])} if "sizeLimit" in empty else {})
        return {"name": table["name"], "emptyDir": fields}
    secret = reader.table(table.get("secret"), "volumes.secret", {"secretName", "items", "defaultMode"})
    items = [
        {"path": str(item["path"]), "version": str(item["key"])}
        for each in secret.get("items") or []
        for item in [reader.table(each, "volumes.secret.items", {"key", "path", "mode"})]
    ]
    return {"name": table["name"], "secret": {"secret": str(secret["secretName"]), "items": items}}
