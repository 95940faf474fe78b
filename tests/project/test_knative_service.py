"""A service.yaml in Knative's form becomes the API's own message, and nothing of it is lost without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.cloud import run_v2

from buildguard.deploy.current_service import described_containers
from buildguard.errors import UsageError
from buildguard.project.knative_service import read_service

_TEXT = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: api
  namespace: '123'
  labels: {team: shop, cloud.googleapis.com/location: europe-west1}
  annotations:
    run.googleapis.com/ingress: internal-and-cloud-load-balancing
    run.googleapis.com/client-name: gcloud
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/minScale: '1'
        autoscaling.knative.dev/maxScale: '9'
        run.googleapis.com/cpu-throttling: 'false'
        run.googleapis.com/startup-cpu-boost: 'true'
        run.googleapis.com/execution-environment: gen2
        run.googleapis.com/vpc-access-connector: projects/p/locations/r/connectors/c
        run.googleapis.com/vpc-access-egress: private-ranges-only
    spec:
      containerConcurrency: 80
      timeoutSeconds: 300
      serviceAccountName: api@acme.iam.gserviceaccount.com
      containers:
      - name: app
        image: placeholder
        args: [serve, '--quick']
        ports: [{name: h2c, containerPort: 9000}]
        env:
        - {name: MODE, value: prod}
        - name: TOKEN
          valueFrom: {secretKeyRef: {name: token, key: '3'}}
        resources: {limits: {cpu: 1000m, memory: 512Mi}}
        startupProbe:
          httpGet: {path: /healthz, port: 9000}
          periodSeconds: 5
        volumeMounts: [{name: keys, mountPath: /keys}]
      volumes:
      - name: keys
        secret: {secretName: key, items: [{key: latest, path: key.pem}]}
  traffic: [{latestRevision: true, percent: 100}]
"""


def _message(text: str = _TEXT) -> Any:
    return run_v2.Service.from_json(json.dumps(read_service(text.encode(), "api.yaml", "api")))


def test_every_setting_arrives() -> None:
    service = _message()
    template, (app,) = service.template, service.template.containers

    assert service.ingress == run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER
    assert dict(service.labels) == {"team": "shop"}
    assert (template.scaling.min_instance_count, template.scaling.max_instance_count) == (1, 9)
    assert template.vpc_access.connector.endswith("/c")
    assert template.vpc_access.egress == run_v2.VpcAccess.VpcEgress.PRIVATE_RANGES_ONLY
    assert template.execution_environment == run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN2
    assert (template.max_instance_request_concurrency, template.timeout.total_seconds()) == (80, 300)
    assert template.service_account == "api@acme.iam.gserviceaccount.com"
    assert (list(app.args), app.ports[0].container_port, app.ports[0].name) == (["serve", "--quick"], 9000, "h2c")
    assert dict(app.resources.limits) == {"cpu": "1000m", "memory": "512Mi"}
    assert (app.resources.cpu_idle, app.resources.startup_cpu_boost) == (False, True)
    assert (app.startup_probe.http_get.path, app.startup_probe.period_seconds) == ("/healthz", 5)
    assert (app.env[0].value, app.env[1].value_source.secret_key_ref.version) == ("prod", "3")
    assert (app.volume_mounts[0].mount_path, template.volumes[0].secret.items[0].path) == ("/keys", "key.pem")


def test_its_container_is_read_as_that_of_a_service() -> None:
    (app,) = described_containers(read_service(_TEXT.encode(), "api.yaml", "api"))

    assert (app.port, app.probe, dict(app.env)) == (9000, "HTTP /healthz", {"MODE": "prod", "TOKEN": None})


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("kind: Service", "kind: Job", "kind: must be Service of serving.knative.dev/v1"),
        ("name: api\n", "name: web\n", "metadata.name: is 'web', and the service is api"),
        ("percent: 100", "percent: 50", "spec.traffic: must be all of the latest revision"),
        (
            "ingress: internal-and",
            "ingress: inside-and",
            "'inside-and-cloud-load-balancing' is not one of all, internal",
        ),
        ("startup-cpu-boost", "cpu-magic", "run.googleapis.com/cpu-magic: is not known to buildguard"),
        ("timeoutSeconds: 300", "timeout: 300", "spec.template.spec.timeout: is not known to buildguard"),
        ("containerConcurrency: 80", "containerConcurrency: many", "'many' is no number"),
        ("periodSeconds: 5", "successThreshold: 5", "startupProbe.successThreshold: is not known"),
        ("secretKeyRef", "configMapKeyRef", "valueFrom.configMapKeyRef: is not known to buildguard"),
        ("secret: {secretName", "csi: {secretName", "volumes.csi: is not known to buildguard"),
    ],
)
def test_what_would_be_lost_is_refused(before: str, after: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _message(_TEXT.replace(before, after, 1))
    assert words in raised.value.what


def test_a_service_without_containers_is_refused() -> None:
    text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: api}\nspec: {template: {}}\n"

    with pytest.raises(UsageError, match="containers: must be a list"):
        _message(text)
