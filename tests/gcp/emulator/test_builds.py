"""Builds by Google's own client, unmodified, on the emulator: they really run, and each fault is told for what it is."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.cloud.devtools import cloudbuild_v1 as cb

from buildguard.docker.run_steps import LocalBuild
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_build import BuildStatus, CloudBuildClient, source_of
from buildguard.gcp.emulator.cloud_build import wait
from buildguard.gcp.emulator.faults import FaultName
from buildguard.gcp.emulator.tampering import older_source
from buildguard.gcp.storage import ObjectUrl
from buildguard.project.cloudbuild import guard_step as step
from tests import images
from tests.conftest import BROKEN_BEFORE_312, Project
from tests.gcp.emulator.conftest import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator
    from buildguard.project.source_archive import PackedArchive

pytestmark = pytest.mark.usefixtures("spotless")
_FILES = {
    "Dockerfile": "FROM python:3.11-slim\n",
    "app/a.py": "x = 1\n",
    "app/b.py": "y = 2\n",
    "run.sh": "#!/bin/sh\n",
}


@pytest.fixture
def spotless(engine: str) -> None:
    """The container engine, for every test here."""


_open = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """What a test opened is closed with it."""
    yield
    _open.close()


def _client(pause: float = 0.05) -> CloudBuildClient:
    return _open.enter_context(CloudBuildClient(pause=pause))


def _sh(text: str, **fields: Any) -> dict[str, Any]:
    return {"name": images.base("3.11"), "script": text, **fields}


def _built(build: dict[str, Any], timeout: float = 300, **options: Any) -> BuildStatus:
    client = _client()
    return client.wait(client.submit(build), timeout, grace=5, **options)


@pytest.fixture
def guarded(repository: Callable[..., Project]) -> Project:
    """A repository with the step file in it."""
    made = repository(_FILES)
    made.write({step.NAME: step.text([], [])})
    made.commit()
    return made


def _guard(project: Project, digest: str) -> dict[str, Any]:
    code = step.loader((project.path / step.NAME).read_bytes())
    return {
        "id": "buildguard",
        "name": images.base("3.11"),
        "entrypoint": "python3",
        "args": ["-I", "-S", "-B", "-c", code],
        "env": [f"{step.VARIABLE}={digest}"],
    }


# ------------------------------------------------------------------------------------------ a build


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_build_from_the_bucket(
    emulator: Callable[..., Emulator],
    upload: Callable[[Project], tuple[str, PackedArchive]],
    guarded: Project,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    made = emulator()
    if scheme == "http":
        monkeypatch.setenv(auth.CLOUDBUILD, made.rest_address)
    url, packed = upload(guarded)

    seen = _built({"steps": [_guard(guarded, packed.written.manifest.digest), _sh("ls")], "source": source_of(url)})

    assert seen.status == "SUCCESS", seen
    assert seen.provenance == (url, packed.written.file_digest, hashlib.md5(_object(made, url)).hexdigest())
    assert seen.step_images[0] == images.api().inspect_image(images.base("3.11"))["Id"]
    answer = json.loads(seen.outputs[0])
    assert answer["identical"] is True
    assert answer["digest"] == packed.written.manifest.digest
    assert answer["files"] == 2
    assert seen.steps == (("SUCCESS", 0), ("SUCCESS", 0))


def _object(made: Emulator, url: str) -> bytes:
    where = ObjectUrl.parse(url)
    return made.storage.buckets.get(where.bucket, where.name, where.generation).data


def test_the_guard_stops_a_build_before_the_next_step(
    emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]], guarded: Project
) -> None:
    """The outage, where it happened: the step fails in seconds, with the words of `check`."""
    made = emulator()
    guarded.commit({"app/b.py": BROKEN_BEFORE_312})
    url, packed = upload(guarded)

    seen = _built(
        {"steps": [_guard(guarded, packed.written.manifest.digest), _sh("echo built")], "source": source_of(url)}
    )

    assert seen.status == "FAILURE"
    assert seen.kind == "USER_BUILD_STEP"
    assert seen.steps == (("FAILURE", 1), ("QUEUED", 0))
    assert seen.outputs == ()  # a build that fails has no results
    log = requests.get(
        f"{made.storage.address}/{seen.logs_bucket.removeprefix('gs://')}/log-{seen.id}.txt", timeout=60
    ).text
    assert "Step #0 - \"buildguard\":   1:6  BG101 error: SyntaxError: expected '('" in log
    assert "echo built" not in log


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("alter-member", "BG303 changed: content"),
        ("drop-member", "BG301 removed"),
        ("crlf", ".buildguard/verify.py is not the file that this step was written for"),  # it has other line ends, too
        ("stale-source", ".buildguard/manifest: cannot be read"),  # what `git archive` makes carries none
    ],
)
def test_what_is_done_to_the_workspace_stops_the_build(
    emulator: Callable[..., Emulator],
    upload: Callable[[Project], tuple[str, PackedArchive]],
    guarded: Project,
    fault: str,
    code: str,
) -> None:
    guarded.commit({"app/a.py": "x = 2\n"})
    made = emulator(fault, stale=older_source(guarded.path) if fault == "stale-source" else None)
    url, packed = upload(guarded)

    seen = _built({"steps": [_guard(guarded, packed.written.manifest.digest)], "source": source_of(url)})

    assert seen.status == "FAILURE"
    log = requests.get(
        f"{made.storage.address}/{seen.logs_bucket.removeprefix('gs://')}/log-{seen.id}.txt", timeout=60
    ).text
    assert code in log


def test_another_generation_than_was_asked_for_is_told(
    emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]], guarded: Project
) -> None:
    emulator("swap-generation")
    url, _packed = upload(guarded)

    seen = _built({"steps": [_sh("true")], "source": source_of(url)})

    assert seen.provenance is None or seen.provenance.url != url


def test_another_python_in_the_step(
    emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]], guarded: Project
) -> None:
    emulator(f"other-python={images.base('3.8')}")
    url, _packed = upload(guarded)

    seen = _built(
        {
            "steps": [{"name": images.base("3.11"), "script": "python3 -V > $BUILDER_OUTPUT/output"}],
            "source": source_of(url),
        }
    )

    assert seen.outputs[0].startswith(b"Python 3.8")
    assert seen.step_images[0] == images.api().inspect_image(images.base("3.8"))["Id"]


def test_artifacts_come_only_of_builds_that_succeed(emulator: Callable[..., Emulator]) -> None:
    made = emulator()
    artifacts = {"objects": {"location": f"gs://{BUCKET}/reports/$BUILD_ID", "paths": ["*.json"]}}

    good = _built({"steps": [_sh("echo 1 > a.json; echo 2 > b.txt")], "artifacts": artifacts})
    bad = _built({"steps": [_sh("echo 1 > a.json; exit 1")], "artifacts": artifacts})

    assert made.storage.buckets.names(BUCKET, "reports/") == [f"reports/{good.id}/a.json"]
    assert bad.status == "FAILURE"


def test_artifacts_are_read_from_the_folders_that_their_paths_name(
    emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    files = LocalBuild.files

    def noted(build: LocalBuild, folder: str = "") -> Iterator[bytes]:
        read.append(folder)
        return files(build, folder)

    monkeypatch.setattr(LocalBuild, "files", noted)
    made = emulator()
    paths = ["out/deep/*.json", "out/deep/b*", "lost/*", "out/[ab].txt"]
    artifacts = {"objects": {"location": f"gs://{BUCKET}/reports", "paths": paths}}
    script = (
        "mkdir -p out/deep/below; cd out; touch a.txt c.txt deep/a.json deep/b.txt deep/c.txt deep/below/d.json a.json"
    )

    seen = _built({"steps": [_sh(script)], "artifacts": artifacts})

    assert seen.status == "SUCCESS"
    found = made.storage.buckets.names(BUCKET, "reports/")
    assert sorted(found) == [f"reports/{name}" for name in ("a.json", "a.txt", "b.txt", "d.json")]
    assert sorted(read) == ["lost", "out", "out/deep"]


# ------------------------------------------------------------------------------------------ faults of the service


@pytest.mark.parametrize("fault", ["lost-create-answer=1", "http-503=2", "http-429=2"])
def test_there_is_never_a_second_build(emulator: Callable[..., Emulator], fault: str) -> None:
    made = emulator(fault)
    told: list[str] = []
    client = _client(0.02)

    seen = client.wait(client.submit({"steps": [_sh("true")]}, told.append), 60, grace=5)

    assert seen.status == "SUCCESS"
    assert len(made.builds.find("emulated", "")) == 1
    assert bool(told) == (not fault.startswith("lost"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("permission-denied", "permission denied: The caller does not have permission"),
        ("quota-region", "due to quota restrictions"),
        ("http-503", "currently unavailable"),
        ("http-429", "a quota is used up"),
    ],
)
def test_what_does_not_pass_is_told_in_words(emulator: Callable[..., Emulator], fault: str, words: str) -> None:
    made = emulator(fault)

    with pytest.raises(UnprovenError, match=words):
        _client(0.01).submit({"steps": [_sh("true")]})

    assert made.builds.find("emulated", "") == []


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("internal-error", "INTERNAL_ERROR", ""),
        ("expired", "EXPIRED", ""),
        ("timeout", "TIMEOUT", ""),
        ("cancelled", "CANCELLED", ""),
        ("fetch-failed", "FAILURE", "FETCH_SOURCE_FAILED"),
        ("logging-failed", "FAILURE", "LOGGING_FAILURE"),
    ],
)
def test_every_way_to_end(emulator: Callable[..., Emulator], fault: str, status: str, kind: str) -> None:
    emulator(fault)

    seen = _built({"steps": [_sh("true")]})

    assert (seen.status, seen.kind) == (status, kind)
    assert seen.is_done


def test_a_build_that_waits_for_an_approval(emulator: Callable[..., Emulator]) -> None:
    emulator("pending")

    with pytest.raises(UnprovenError, match="waits for an approval") as raised:
        _built({"steps": [_sh("true")]})

    assert "gcloud builds approve" in raised.value.hint


def test_a_build_that_never_ends_is_not_waited_for_without_end(emulator: Callable[..., Emulator]) -> None:
    emulator("hang")
    client = _client()
    started = client.submit({"steps": [_sh("true")]})

    with pytest.raises(UnprovenError, match="should have ended by now") as raised:
        client.wait(started, 0.5, grace=0.5)

    assert "gcloud builds cancel" in raised.value.hint
    assert client.cancel(started.id).status == "CANCELLED"


def test_cancelling_what_runs(emulator: Callable[..., Emulator]) -> None:
    made = emulator()
    client = _client()
    started = client.submit({"steps": [_sh("sleep 100")]})
    while started.id not in (running := made.builds._running) or not running[started.id]._running:
        time.sleep(0.05)

    assert client.cancel(started.id).status == "CANCELLED"


def test_a_source_that_is_not_there(emulator: Callable[..., Emulator]) -> None:
    emulator()

    seen = _built({"steps": [_sh("true")], "source": source_of(f"gs://{BUCKET}/nothing#1")})

    assert (seen.status, seen.kind) == ("FAILURE", "FETCH_SOURCE_FAILED")


def test_what_the_service_refuses_it_refuses_here(emulator: Callable[..., Emulator]) -> None:
    emulator()

    with pytest.raises(UnprovenError, match="script"):
        _client().submit({"steps": [{"name": "x", "script": "a", "args": ["b"]}]})
    with pytest.raises(UnprovenError, match="waits for 'z'"):
        _client().submit({"steps": [{"name": "x", "waitFor": ["z"]}]})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_without_a_container_engine_only_the_build_fails(
    emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    emulator()

    seen = _built({"steps": [{"name": "x", "script": "true"}]})

    gc.collect()  # docker-py leaves the socket behind that found no one
    assert seen.status == "INTERNAL_ERROR"
    assert "/nowhere" in seen.detail


def test_an_image_is_pushed_and_its_digest_told(emulator: Callable[..., Emulator], registry: str) -> None:
    emulator()
    reference = f"{registry}/team/app:1"
    images.api().tag(images.base("3.11"), *reference.rsplit(":", 1))

    seen = _built({"steps": [_sh("true")], "images": [reference]})

    ((name, digest),) = seen.images
    assert (name, digest) == (reference, _digest_there(reference))
    images.api().remove_image(reference, force=True)


def _digest_there(reference: str) -> str:
    """The digest that the registry itself tells of an image."""
    host, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    told = requests.get(f"http://{host}/v2/{repository}/manifests/{tag}", headers=accept, timeout=60)
    return told.headers["Docker-Content-Digest"]


def test_the_docker_builder_builds_and_cloud_build_pushes(
    emulator: Callable[..., Emulator],
    repository: Callable[..., Project],
    upload: Callable[[Project], tuple[str, PackedArchive]],
    registry: str,
) -> None:
    emulator()
    made = repository({"Dockerfile": f"FROM {images.base('3.11')}\nCOPY app /app\n", "app/a.py": "x = 1\n"})
    url, _packed = upload(made)
    name = f"{registry}/acme/app:$BUILD_ID"

    seen = _built(
        {
            "source": source_of(url),
            "steps": [{"name": images.docker_builder(), "args": ["build", "--network", "cloudbuild", "-t", name, "."]}],
            "images": [name],
        }
    )

    assert seen.status == "SUCCESS", seen
    ((pushed, digest),) = seen.images
    assert (pushed, digest) == (name.replace("$BUILD_ID", seen.id), _digest_there(pushed))


def test_secrets_come_from_the_environment(emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch) -> None:
    emulator()
    monkeypatch.setenv("TOKEN", "open sesame")
    available = {"secretManager": [{"versionName": "projects/p/secrets/s/versions/1", "env": "TOKEN"}]}
    step = _sh('[ "$TOKEN" = "open sesame" ]', secretEnv=["TOKEN"])

    assert _built({"steps": [step], "availableSecrets": available}).status == "SUCCESS"
    monkeypatch.delenv("TOKEN")
    failed = _built({"steps": [step], "availableSecrets": available})
    assert failed.status != "SUCCESS"
    assert "secret TOKEN" in failed.detail


def test_an_image_that_cannot_be_pushed(emulator: Callable[..., Emulator]) -> None:
    emulator("push-failed")

    seen = _built({"steps": [_sh("true")], "images": ["localhost:1/x:1"]})

    assert (seen.status, seen.kind) == ("FAILURE", "PUSH_FAILED")


# ------------------------------------------------------------------------------------------ gcloud, and the command


def test_gcloud_submits_to_it(
    emulator: Callable[..., Emulator], repository: Callable[..., Project], tmp_path: Path
) -> None:
    """The real gcloud: its archive holds what ours does, but for our manifest, and the build runs."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not on PATH: install the Google Cloud SDK to submit with it")
    made = emulator()
    project = repository(
        {**_FILES, "build.yaml": json.dumps({"steps": [_sh("ls app")], "options": {"logging": "NONE"}})}
    )
    env = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}

    done = subprocess.run(
        [gcloud, "builds", "submit", ".", "--config", "build.yaml", "--region", "europe-west1"],
        cwd=project.path, env=env, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (build,) = made.builds.find("emulated", "")
    source = build.source.storage_source
    with tarfile.open(fileobj=io.BytesIO(made.storage.buckets.get(source.bucket, source.object_).data)) as tar:
        sent = {one.name for one in tar if one.isfile()}
    assert sent == {*_FILES, "README", "build.yaml"}


def test_gcloud_lists_builds_and_objects(emulator: Callable[..., Emulator], tmp_path: Path) -> None:
    """The real gcloud reads builds with their times, and a bucket by its folders."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not on PATH: install the Google Cloud SDK to read with it")
    made = emulator("cancelled=1")
    for name in ("a/x.txt", "a/b/y.txt", "z.txt"):
        made.storage.buckets.put(BUCKET, name, b"hi", "text/plain", None)
    build = made.builds.create(
        "projects/emulated/locations/europe-west1", "emulated", cb.Build(steps=[cb.BuildStep(name="x")])
    )
    wait(made.builds, build.id, 120)

    def ask(*words: str) -> str:
        env = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}
        done = subprocess.run(
            [gcloud, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = ask("builds", "list", "--region", "europe-west1", "--format", "value(id,status,createTime.date('%Y'))")
    assert listed.split() == [build.id, "CANCELLED", str(datetime.now(UTC).year)]
    assert ask("storage", "ls", f"gs://{BUCKET}").split() == [f"gs://{BUCKET}/z.txt", f"gs://{BUCKET}/a/"]
    assert f"gs://{BUCKET}/a/b/" in ask("storage", "ls", "-l", f"gs://{BUCKET}/a/")


def test_the_command_sets_the_environment_and_passes_the_status_on(project: Callable[..., Project]) -> None:
    made = project()

    shown = made.run(
        "emulator",
        "--",
        "sh",
        "-c",
        "echo $STORAGE_EMULATOR_HOST $BUILDGUARD_CLOUDBUILD_ENDPOINT $GOOGLE_CLOUD_PROJECT; exit 7",
    )

    assert shown.code == 7
    storage, build, name = shown.out.split()
    assert storage.startswith("http://127.0.0.1:")
    assert build.startswith("grpc://127.0.0.1:")
    assert name == "emulated"
    assert "emulator" not in made.run("--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "crlff"], "did you mean 'crlf'?"),
        (["--fault", "crlf=x"], "a number of times"),
        (["--fault", "other-python"], "needs an image"),
        (["--fault", "stale-source"], "needs a git repository"),
        (["--", "no-such-program"], "no program 'no-such-program'"),
    ],
)
def test_what_it_refuses(project: Callable[..., Project], words: list[str], said: str) -> None:
    result = project().run("emulator", *words, *(["--", "true"] if "--" not in words else []))

    assert result.code == 2
    assert said in result.err


def test_every_fault_of_the_contract_is_there() -> None:
    contract = (
        "flip-byte truncate-object swap-generation alter-member drop-member crlf stale-source other-python http-429 http-503 log-403"
        " lost-create-answer pending hang internal-error expired timeout quota-region permission-denied bucket-403 fetch-failed"
        " logging-failed cancelled push-failed revision-not-ready traffic-pinned etag-conflict"
    )

    assert set(FaultName) == set(contract.split())


def test_sources_without_a_generation_are_refused() -> None:
    with pytest.raises(UsageError, match="names no generation"):
        source_of("gs://bucket/object")
