"""What goes wrong on the way: the fallback table row by row, two deploys at once, and a kill after every single step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests

from buildguard.cli.render.deploy import as_text
from buildguard.cli.render.html import page
from buildguard.compare.manifest import manifest
from buildguard.deploy import lock
from buildguard.deploy.bucket_store import BucketLock
from buildguard.deploy.plan import Builder, DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import deploy
from buildguard.diagnose.collect import _commit_of_attempt
from buildguard.diagnose.evidence import DiagnoseOptions
from buildguard.diagnose.run import examine
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.emulator import cloud_build
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import StepVerdict
from buildguard.system import programs
from tests import images
from tests.deploy.conftest import Watcher, command, deployed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator
    from buildguard.gcp.emulator.storage import BucketStore
    from buildguard.gcp.emulator.uploads import ObjectGeneration
    from tests.conftest import Project

_WEB = ledgers.ServiceId("emulated", "europe-west1", "web")
_LOCAL, _STOPS = "building here", "stopped"


def _sole() -> str:
    with CloudRunClient() as run:
        there = run.get("web")
        return there.only_revision if there is not None else ""


_ROWS = [
    ("http-503", "Cloud Build cannot be reached", _LOCAL),
    ("http-429", "a quota is used up", _LOCAL),
    ("quota-region", "the region may not run builds", _LOCAL),
    ("permission-denied", "a permission or an API is missing", _STOPS),
    ("bucket-403", "the bucket refuses the archive", _LOCAL),
    ("internal-error", "the build ended by Cloud Build's own trouble (2 builds)", _LOCAL),
    ("expired", "the build ended by Cloud Build's own trouble (2 builds)", _LOCAL),
    ("fetch-failed", "the build ended by Cloud Build's own trouble (2 builds)", _LOCAL),
    ("logging-failed", "the build ended by Cloud Build's own trouble (2 builds)", _LOCAL),
    ("timeout", "the build timed out or was cancelled", _STOPS),
    ("cancelled", "the build timed out or was cancelled", _STOPS),
    ("push-failed", "a permission or an API is missing", _STOPS),
    ("truncate-object", "the bytes changed on their way (2 uploads)", _LOCAL),
    ("pending", "the build waits for an approval", _STOPS),
]


@pytest.mark.parametrize(("fault", "row", "leads_to"), _ROWS)
def test_each_row_of_the_fallback_table(
    site: Project, google: Callable[..., Emulator], fault: str, row: str, leads_to: str
) -> None:
    _falls_back(site, google(fault), row, leads_to)


def test_a_deploy_that_falls_back_goes_all_the_way_here(web: Project, google: Callable[..., Emulator]) -> None:
    """The first row once more, with an image that is built, verified, started and pushed."""
    fault, row, leads_to = _ROWS[0]
    _falls_back(web, google(fault), row, leads_to)


def _falls_back(project: Project, made: Emulator, row: str, leads_to: str) -> None:
    answers = iter([True])
    found = deploy(DeployRequest(cwd=project.path, fallback="auto"), Watcher(), lambda _question: next(answers, None))

    assert found.decisions, as_text(found)
    assert row in found.decisions[-1]
    assert found.decisions[-1].endswith(leads_to), found.decisions
    if leads_to == _LOCAL:
        assert found.exit_code == 0, as_text(found)
        assert found.plan.wishes.builder == Builder.LOCAL
        assert requests.get(found.url, timeout=60).text == found.revision
    else:
        assert found.exit_code in {1, 3}
        assert not _sole()
    assert len(made.builds.find("emulated", "")) <= 2


@pytest.mark.parametrize("kind", ["PUSH_FAILED", "PUSH_NOT_AUTHORIZED"])
def test_a_missing_right_to_push_pays_for_no_second_build(
    site: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Another build could not push either, in Cloud Build or here."""
    made = google()
    denied = 'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource'

    def refuse(_daemon: object, name: str) -> str:
        raise UnprovenError(f"{name} could not be pushed: {denied if kind == 'PUSH_FAILED' else 'unauthorized'}")

    monkeypatch.setattr(made.builds, "_pushed", refuse)
    monkeypatch.setattr(cloud_build, "_kind", lambda result: kind if result.status == "FAILURE" else "")

    found = deployed(site, fallback="auto")

    assert found.exit_code == 1
    assert found.decisions == ("a permission or an API is missing → stop; fallback = auto: stopped",)
    assert len(made.builds.find("emulated", "")) == 1


def test_an_image_is_known_by_its_digest_and_not_by_a_name() -> None:
    """A tag may be another image's by now: what it is compared with is what is checked out, then."""
    evidence = {"image": "web:latest", "id": f"sha256:{'1' * 64}", "digest": f"sha256:{'2' * 64}", "build": "b-1"}
    line = ledgers.LedgerLine("r", 1, "", "web", "c" * 40, "local", "build", "ok", 1.0, evidence)
    attempts = DeployHistory(((line,),), (-1,), ())

    assert _commit_of_attempt(attempts, "web:latest") == _commit_of_attempt(None, f"sha256:{'1' * 64}") == ""
    assert {_commit_of_attempt(attempts, one) for one in ("b-1", f"sha256:{'1' * 64}", f"web@sha256:{'2' * 64}")} == {
        "c" * 40
    }


def test_without_credentials_it_is_built_and_verified_here_and_goes_no_further(web: Project) -> None:
    found = deployed(web, fallback="auto")

    assert found.decisions == ("no Google credentials, or no project → build locally; fallback = auto: building here",)
    assert [one.step for one in found.outcomes or () if one.verdict == "unproven"][-1] == "push"
    assert found.exit_code == 3


@pytest.mark.parametrize(
    ("policy", "says", "builder"), [("never", True, "cloud"), ("ask", None, "cloud"), ("ask", True, "local")]
)
def test_who_decides(
    site: Project, google: Callable[..., Emulator], policy: str, says: bool | None, builder: str
) -> None:
    google("internal-error")
    answers = iter([True, says])

    found = deploy(DeployRequest(cwd=site.path, fallback=policy), Watcher(), lambda _question: next(answers))

    assert found.plan.wishes.builder == builder
    assert (found.exit_code == 0) == (builder == "local")


def test_a_failing_step_is_never_hidden_behind_another_builder(web: Project, google: Callable[..., Emulator]) -> None:
    made = google()
    web.write({"Dockerfile": (web.path / "Dockerfile").read_text().replace("CMD", "RUN false\nCMD")})
    web.commit()

    found = deployed(web, fallback="auto")

    assert found.exit_code == 1
    assert found.decisions == ("a step of the build failed → stop; fallback = auto: stopped",)
    assert len(made.builds.find("emulated", "")) == 1
    local = deployed(web, build_local=True)
    assert local.exit_code == 1
    assert [one.step for one in local.outcomes or () if one.verdict == "failed"] == ["build"]


def test_a_service_that_asks_who_it_is_is_unproven(web: Project, google: Callable[..., Emulator]) -> None:
    google()
    web.write({"app/serve.py": (web.path / "app/serve.py").read_text().replace("200 if fine else 500", "403")})
    web.commit()

    found = deployed(web, build_local=True)

    assert found.exit_code == 3
    assert found.last is not None
    assert found.last.step == "health"
    assert "requires authentication" in found.last.words


def test_the_next_question_is_answered_from_the_ledger(web: Project, google: Callable[..., Emulator]) -> None:
    """After a deploy that failed, `diagnose` alone looks at what it made."""
    google()
    web.write({"app/serve.py": "import os\nos.environ['DATABASE_URL']\n"})
    web.commit()
    assert deployed(web, build_local=True).exit_code == 1

    found = examine(web.path, None, DiagnoseOptions())

    verdicts = {one.id: one.verdict for one in found.diagnosis.hypotheses}
    assert verdicts["bytes-changed"] == verdicts["other-interpreter"] == "refuted"

    # a person goes on working before they ask: what was made is compared with what it was made of
    web.write({"app/other.py": "x = 77\n"})
    web.commit()
    later = examine(web.path, None, DiagnoseOptions())
    assert {one.id: one.verdict for one in later.diagnosis.hypotheses} == verdicts
    assert found.attempts is not None
    text = page(found)
    assert "Deploys so far" in text
    assert "BG502" in text


# ------------------------------------------------------------------------------------------ one and the same


def test_both_builders_make_images_with_the_same_project_files(web: Project, google: Callable[..., Emulator]) -> None:
    google()
    cloud = deployed(web)
    local = deployed(web, build_local=True)
    assert (cloud.exit_code, local.exit_code) == (0, 0)

    first, second = (
        next(one.evidence for one in found.outcomes or () if one.step == "build") for found in (cloud, local)
    )
    repository = first["image"].rpartition(":")[0]
    theirs = manifest(web.path, f"image:{repository}@{first['digest']}:/app").snapshot.manifest
    ours = manifest(web.path, f"image:{second['id']}:/app").snapshot.manifest

    assert theirs.digest == ours.digest
    assert theirs.entries.keys() >= {b"app/serve.py", b"app/other.py"}


def test_run_mount_needs_buildkit_and_gets_it(web: Project) -> None:
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write(
        {"Dockerfile": dockerfile.replace("CMD", "RUN --mount=type=tmpfs,target=/scratch echo x > /scratch/x\nCMD")}
    )
    web.commit()
    watcher = Watcher()

    found = deploy(DeployRequest(cwd=web.path, build_local=True), watcher, lambda _question: True)

    assert [one.verdict for one in found.outcomes or () if one.step == "build"] == ["ok"], as_text(found)
    assert "built by BuildKit, through the docker CLI" in watcher.told


def test_without_a_docker_cli_the_classic_builder_builds(web: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    git = shutil.which("git")
    assert git is not None
    monkeypatch.setattr(programs, "search_path", lambda: [os.path.dirname(sys.executable)])
    monkeypatch.setattr(programs, "several", lambda name, _project: iter([git] if name == "git" else []))
    watcher = Watcher()

    found = deploy(DeployRequest(cwd=web.path, build_local=True), watcher, lambda _question: True)

    assert [one.verdict for one in found.outcomes or () if one.step == "build"] == ["ok"], as_text(found)
    assert any("classic builder" in text for text in watcher.told)


# ------------------------------------------------------------------------------------------ the build file


_BUILD = """\
substitutions: {{_WHO: someone, _ONLY_THERE: x, _BOTH: "$_WHO and ${{_WHO/some/any}}"}}
options: {{dynamicSubstitutions: true}}
availableSecrets:
  secretManager:
  - {{versionName: projects/p/secrets/token/versions/1, env: TOKEN}}
  - {{versionName: projects/p/secrets/other/versions/1, env: ONLY_THERE}}
steps:
- id: guard
  name: {python}
  script: |
    #!/usr/local/bin/python3
    import os
    print("built for", os.environ["_WHO"], "at", os.environ["COMMIT_SHA"])
    assert os.environ["TOKEN"] == "open sesame"
    assert os.environ["_BOTH"] == "someone and anyone", os.environ["_BOTH"]
    assert not os.path.exists("dropped.log") and not os.path.exists("made.txt")
    open("made.txt", "w").write(os.environ["_WHO"])
  automapSubstitutions: true
  secretEnv: [TOKEN]
- id: allowed
  name: {python}
  script: exit 3
  allowFailure: true
- id: may-fail
  name: {python}
  entrypoint: sh
  args: [-c, "exit 7"]
  allowExitCodes: [7]
- id: build
  name: gcr.io/cloud-builders/docker
  args: [build, --network, cloudbuild, -t, "{image}:$COMMIT_SHA", .]
  waitFor: [guard, may-fail, allowed]
- id: ship
  name: gcr.io/google.com/cloudsdktool/cloud-sdk
  entrypoint: gcloud
  args: [run, deploy, web, --image, "{image}:$COMMIT_SHA", --set-env-vars, "A=$_ONLY_THERE"]
  secretEnv: [ONLY_THERE]
- id: after
  name: {python}
  script: exit 1
  waitFor: [ship]
"""


@pytest.mark.parametrize("build_local", [True, False])
def test_a_build_file_runs_up_to_the_step_that_deploys(
    web: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build_local: bool
) -> None:
    """What Google's archived local builder lacked: scripts, tolerated failures, dynamic substitutions, secrets, ignore rules."""
    made = google()
    secrets = tmp_path / "secrets.env"
    secrets.write_text("# values\nTOKEN=open sesame\n")
    monkeypatch.setenv(*(("BUILDGUARD_SECRETS_FILE", str(secrets)) if build_local else ("TOKEN", "open sesame")))
    image = next(line for line in (web.path / "buildguard.toml").read_text().splitlines() if line.startswith("image"))
    text = _BUILD.format(python=images.base("3.11"), image=image.partition('"')[2].rstrip('"'))
    web.write({"cloudbuild.yaml": text, ".dockerignore": "made.txt\n", ".gcloudignore": "*.log\n", "dropped.log": "x"})
    web.commit()

    found = deployed(web, build_local=build_local)

    assert found.exit_code == 0, as_text(found)
    assert [one.partition(" ")[0] for one in found.plan.building.steps_run] == ["guard", "allowed", "may-fail", "build"]
    assert [one.partition(" ")[0] for one in found.plan.building.steps_skipped] == ["ship", "after"]
    assert any("will not run" in note for note in found.plan.notes)
    assert "_ONLY_THERE" not in found.plan.building.build["substitutions"]
    assert requests.get(found.url, timeout=60).text == found.revision
    assert len(made.builds.find("emulated", "")) == (0 if build_local else 1)


# ------------------------------------------------------------------------------------------ two at once


def test_two_deploys_of_one_service_at_once_are_refused(site: Project, google: Callable[..., Emulator]) -> None:
    google()
    with StorageClient() as storage:
        bucket = storage.ensure("", "emulated")
        elsewhere = {
            "run": "r",
            "host": "another-laptop",
            "pid": 1,
            "started": "x",
            "user": "ada",
            "at": int(time.time()) - 600,
        }
        storage.create(bucket, "buildguard/lock/web/emulated/europe-west1.json", json.dumps(elsewhere).encode())

        with pytest.raises(
            lock.LockHeldError, match=r"ada on another-laptop \(run r, process 1\) for 10 minutes"
        ) as caught:
            deployed(site)

        assert caught.value.hint.endswith("buildguard deploy --unlock r")
        found = deployed(site, build_local=True, unlock="r")
        assert found.exit_code == 0, as_text(found)
        assert BucketLock(storage, bucket, _WEB).read() is None
    assert found.exit_code == 0
    assert any("was taken over from ada on another-laptop (run r, process 1)" in note for note in found.notes)


# ------------------------------------------------------------------------------------------ killed


_PATIENCE = 300  # seconds for what takes a few, on a machine that is busy
_STEPS = [one for one in DeployStep if one not in {"push", "verify", "execute", "promote"}]


class _Held:
    """What a deploy writes of a step that went well reaches its own file, and waits on its way to the bucket."""

    def __init__(self, buckets: BucketStore) -> None:
        self.step = ""
        self.there = threading.Event()
        self.goes_on = threading.Event()
        self._put = buckets.put

    def at(self, step: str) -> None:
        """Hold up the next deploy there."""
        self.step = step
        self.there.clear()
        self.goes_on.clear()

    def put(self, bucket: str, name: str, data: bytes, content_type: str, match: int | None) -> ObjectGeneration:
        """In the place of the bucket's own."""
        if name.startswith(ledgers.folder_of(_WEB)):
            (line,), _broken = ledgers.parse([data])
            if (line.step, line.verdict) == (self.step, StepVerdict.OK):
                self.there.set()
                assert self.goes_on.wait(_PATIENCE)
        return self._put(bucket, name, data, content_type, match)


@pytest.mark.parametrize("steps", [_STEPS[::2], _STEPS[1::2]])
def test_a_kill_after_any_step_costs_nobody_anything(
    site: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    """SIGKILL, then the same again: the old revision never loses traffic before the new one is proven."""
    made = google()
    held = _Held(made.storage.buckets)
    monkeypatch.setattr(made.storage.buckets, "put", held.put)
    serves = deployed(site).revision
    for number, step in enumerate(steps):
        site.write({"app/other.py": f"x = {number + 2}\n"})
        site.commit()
        builds = len(made.builds.find("emulated", ""))

        held.at(step)
        child = subprocess.Popen(
            [*command(site), "deploy", "--yes"], cwd=site.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            assert held.there.wait(_PATIENCE), f"it does not come to the step {step}"
        finally:
            child.kill()
            child.wait()
            held.step = ""
            held.goes_on.set()

        if list(DeployStep).index(DeployStep(step)) < list(DeployStep).index(DeployStep.TRAFFIC):
            assert _sole() == serves, step
        again = deployed(site)
        assert again.exit_code == 0, as_text(again)
        assert any(f"stopped at the step '{step}'" in note for note in again.notes), (step, again.notes)
        assert _sole() == again.revision
        # what is proven, or still runs, is used again
        assert len(made.builds.find("emulated", "")) == builds + 1, step
        serves = again.revision


# ------------------------------------------------------------------------------------------ the ledger


def test_a_ledger_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "git/buildguard/ledger.jsonl"
    first = ledgers.Ledger(file, "a", _WEB, "c" * 40)
    first.write("check", StepVerdict.BEGUN, 0.0, {})
    first.write("check", StepVerdict.OK, 1.0, {"files": 3})
    file.write_bytes(file.read_bytes()[:-20])

    ledgers.Ledger(file, "b", _WEB, "c" * 40).write("check", StepVerdict.OK, 1.0, {"files": 3})

    lines, broken = ledgers.read(file)
    assert [(line.run, line.verdict) for line in lines] == [("a", "begun"), ("b", "ok")]
    assert broken == 1
    assert ledgers.find_stopping_step(ledgers.group_runs(lines)[0]) == "check"
    assert ledgers.read(tmp_path / "nothing") == ([], 0)


def test_ledgers_of_several_machines_are_one(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    one = ledgers.Ledger(tmp_path / "one", "a", _WEB, "c" * 40)
    one.elsewhere = lambda name, data: kept.update({name: data})
    two = ledgers.Ledger(tmp_path / "two", "b", _WEB, "c" * 40)
    one.write("check", StepVerdict.OK, 1.0, {})
    two.write("check", StepVerdict.FAILED, 1.0, {})

    merged = ledgers.merge_lines(ledgers.read(tmp_path / "two")[0], ledgers.parse(kept.values())[0])

    assert {line.run for line in merged} == {"a", "b"}
    assert all(name.startswith("buildguard/ledger/web/emulated/europe-west1/") for name in kept)


def test_a_bucket_that_is_lost_is_a_note(tmp_path: Path) -> None:
    def lost(_name: str, _data: bytes) -> None:
        raise UnprovenError("no network")

    ledger = ledgers.Ledger(tmp_path / "one", "a", _WEB, "c" * 40)
    ledger.elsewhere = lost
    ledger.write("check", StepVerdict.OK, 1.0, {})
    ledger.write("build", StepVerdict.OK, 1.0, {})

    assert ledger.notes == ["the ledger in the bucket is not complete: no network"]
    assert len(ledgers.read(tmp_path / "one")[0]) == 2
