"""The installed gcloud against the emulator: it lists and describes, by region, and another project is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from google.cloud import run_v2

from buildguard.docker import client
from buildguard.errors import UnprovenError
from buildguard.gcp.emulator.cloud_run_rest import HOST, CloudRunRest
from buildguard.gcp.emulator.cloud_run_template import start_order, wrong_containers
from tests.conftest import ALL, missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator

pytestmark = pytest.mark.usefixtures("no_engine")
_PARENT = "projects/emulated/locations/europe-west1"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No container engine for the revisions of this module."""

    def refuse() -> None:
        raise UnprovenError("no container engine is here")

    monkeypatch.setattr(client, "connect", refuse)


def _container(image: str) -> run_v2.Container:
    return run_v2.Container(image=image, env=[run_v2.EnvVar(name="A", value="b")])


def _fill(emulator: Emulator) -> None:
    """A service whose revision could not be started (there is no engine here), a job, and an object in a bucket."""
    service = run_v2.Service(template=run_v2.RevisionTemplate(containers=[_container("r.invalid/web")]))
    created = emulator.runs.create(run_v2.CreateServiceRequest(parent=_PARENT, service=service, service_id="web"))
    job = run_v2.Job()
    job.template.template.containers = [_container("r.invalid/migrate")]
    emulator.jobs.create(run_v2.CreateJobRequest(parent=_PARENT, job=job, job_id="migrate"))
    emulator.storage.buckets.put("emulated_cloudbuild", "source/a.tgz", b"x", "", None)
    assert created.done.wait(120)


@pytest.mark.interpreters
def test_gcloud_lists_and_describes(emulator: Callable[..., Emulator], tmp_path: Path) -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        missing("gcloud", "install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install")
    made = emulator()
    _fill(made)
    env = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path), "NO_PROXY": "127.0.0.1,localhost", "LC_ALL": "C.UTF-8"}

    def start(words: str) -> subprocess.Popen[str]:
        argv = [str(gcloud), *words.split(), "--quiet"]
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    value = "--format=value(metadata.name)"
    wanted = {
        "run services describe web --region=europe-west1": (0, "Service web in region europe-west1"),
        f"run revisions list --service=web {value}": (0, "web-00001-"),
        "run jobs describe migrate --region=europe-west1": (0, "r.invalid/migrate"),
        "run services list --project=other": (1, "Permission denied on resource project other."),
    }
    if ALL:
        wanted |= {
            f"run services list {value}": (0, "web"),
            f"run services list --region=us-central1 {value}": (0, ""),
            f"run jobs list {value}": (0, "migrate"),
            "builds list --project=other": (1, "Permission denied on resource project other."),
            "storage ls gs://emulated_cloudbuild/source/": (0, "gs://emulated_cloudbuild/source/a.tgz"),
            "secrets versions list a --project=acme": (1, "Permission denied on resource project acme."),
        }
    names = list(wanted)
    told: dict[str, tuple[int, str]] = {}
    for at in range(0, len(names), 4):
        children = {words: start(words) for words in names[at : at + 4]}
        for words, child in children.items():
            output, _ = child.communicate(timeout=240)
            told[words] = (child.returncode, output)

    wrong = {
        words: told[words]
        for words, (code, text) in wanted.items()
        if told[words][0] != code or (text not in told[words][1] if text else "web" in told[words][1])
    }
    assert wrong == {}


def test_the_region_is_part_of_the_host(emulator: Callable[..., Emulator]) -> None:
    made = emulator()
    _fill(made)
    rest = CloudRunRest(made.runs, made.jobs)
    path = "/apis/serving.knative.dev/v1/namespaces/emulated/services"

    def names(host: str) -> list[str]:
        answer = rest.find(path, {}, host)
        assert answer is not None
        return [item["metadata"]["name"] for item in answer["items"]]

    assert (names(HOST), names(f"europe-west1-{HOST}"), names(f"us-central1-{HOST}")) == (["web"], ["web"], [])
    second = rest.find(f"/v2/{_PARENT}/services/web", {}, "127.0.0.1")
    assert second is not None
    assert second["template"]["containers"][0]["image"] == "r.invalid/web"
    assert rest.find("/v1/projects/emulated/builds", {}, HOST) is None


def test_containers_start_behind_what_they_depend_on() -> None:
    first = run_v2.Container(name="a", image="x", ports=[run_v2.ContainerPort(container_port=80)], depends_on=["b"])
    second = run_v2.Container(name="b", image="y")

    assert [container.name for container in start_order([first, second])] == ["b", "a"]
    assert wrong_containers([first, second]) == ""
    assert "should be specified" in wrong_containers([])
