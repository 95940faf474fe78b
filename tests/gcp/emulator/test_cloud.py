"""`check --engine cloud`: the same question asked where the build happens, and what came of the bytes on their way there."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.check import cloud as cloud_check
from buildguard.check.run import check
from buildguard.cli.render.formats import render
from buildguard.compare.diff import diff
from buildguard.compare.manifest import manifest
from buildguard.engines import cloud_request, cloud_round
from buildguard.errors import BuildRunsError
from buildguard.gcp import cloud_build as builds
from buildguard.gcp import storage
from buildguard.gcp.cloud_build import CloudBuildClient, source_of
from buildguard.gcp.emulator.tampering import older_source
from buildguard.locate import locate
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.request import CheckRequest
from tests import images
from tests.conftest import BROKEN_BEFORE_312, REPOSITORY, Project
from tests.gcp.emulator.conftest import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.check.result import CheckReport
    from buildguard.diagnostic import Diagnostic
    from buildguard.gcp.emulator.server import Emulator
    from buildguard.project.source_archive import PackedArchive
    from buildguard.stages.manifest import Manifest

pytestmark = pytest.mark.usefixtures("engine")
_FINE = {
    "app/a.py": "x = 1\n",
    "app/b.py": "y = 2\n",
    "run.sh": "#!/bin/sh\n",
    "tool": "#!/usr/bin/env python3\nz = 3\n",
}


class _Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def update(self, done: int, total: int) -> None:
        """Verdicts came."""

    def tell(self, text: str) -> None:
        """Something takes its time."""
        self.told.append(text)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between two questions that a test can afford."""
    monkeypatch.setattr(builds, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(storage, "PATIENCE", 3)


@pytest.fixture
def fine(repository: Callable[..., Project]) -> Project:
    """A repository in which nothing is wrong, with an older commit."""
    made = repository({"Dockerfile": f"FROM {images.base('3.11')}\nCOPY . .\n", **_FINE, "app/a.py": "x = 0\n"})
    made.write(_FINE)
    made.commit()
    return made


def _checked(project: Project, *stage: str, watcher: _Watcher | None = None, **fields: Any) -> CheckReport:
    request = CheckRequest(**{"cwd": project.path, "engine": "cloud", **fields})
    return check(request, locate(project.path, stage, staged=request.staged), watcher or _Watcher())


def _codes(report: CheckReport) -> set[str]:
    return {one.code for one in report.diagnostics}


def _errors(report: CheckReport) -> list[Diagnostic]:
    return [one for one in report.diagnostics if one.severity == "error"]


# ------------------------------------------------------------------------------------------ the outage


@pytest.fixture
def outage(repository: Callable[..., Project]) -> Project:
    """The bundled example in a repository of its own, its image one that is at hand."""
    made = repository({})
    shutil.copytree(REPOSITORY / "examples/outage", made.path, dirs_exist_ok=True)
    made.write({"Dockerfile": f"FROM {images.base('3.11')}\nWORKDIR /app\nCOPY . .\n"})
    made.commit()
    return made


def test_the_outage_is_told_apart_from_corruption(outage: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()

    done = outage.run("check", "--engine", "interpreter,cloud", "--all")
    report = outage.check("--engine", "interpreter,cloud").json

    assert done.code == report["exit_code"] == 1
    assert [row["engine"] for row in report["targets"]] == ["interpreter", "cloud"]
    cloud = report["targets"][1]
    assert (cloud["proof"], cloud["files"], cloud["image"]) == ("image", 5, images.base("3.11"))
    assert cloud["image_digest"].startswith("sha256:")
    assert cloud["interpreter"].startswith("CPython 3.11")
    # bytes identical through every hop
    stages = [hop["from"].partition(":")[0] for hop in report["hops"]] + [report["hops"][-1]["to"].partition(":")[0]]
    assert stages == ["commit", "dir", "tar", "gs", "build"]
    assert all(hop["identical"] and hop["from_digest"] == hop["to_digest"] for hop in report["hops"])
    assert report["first_changed_hop"] is None
    # and the build's Python rejects these files, at these lines
    refused = {(one["path"], one["line"]) for one in report["diagnostics"] if one["severity"] == "error"}
    assert refused >= {("app/orders.py", 13), ("app/invoices.py", 8), ("app/notify.py", 5)}
    assert report["summary"]["rejected_files"] == 3
    assert not report["unproven"]
    assert "identical through 4 hops" in done.out
    assert "the code was rejected as it was written, not damaged on its way" in done.out


def test_what_the_build_says_is_what_the_container_says(outage: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    cloud, container = (_checked(outage, engine=one) for one in ("cloud", "container"))

    def bare(report: CheckReport) -> list[tuple[Any, ...]]:
        return [(one.code, one.path, one.range, one.message, one.evidence) for one in report.diagnostics]

    assert bare(cloud) == bare(container)
    assert any(one.evidence.startswith("SyntaxError") for one in cloud.diagnostics)


def test_clean_is_clean_and_proven(fine: Project, emulator: Callable[..., Emulator]) -> None:
    made = emulator()
    report = _checked(fine, verify_download=True)

    assert report.exit_code == 0, report
    assert report.files == 3
    assert report.chain is not None
    assert [hop.identical for hop in report.chain.hops] == [True] * 4
    (build,) = made.builds.find("emulated", "")
    assert dict(report.chain.snapshots[-1].digests)["fetched_sha256"]
    assert report.chain.snapshots[-1].stage == f"build:{build.id}"
    assert "BG404" in _codes(report)


def test_a_file_that_is_not_sent_is_judged_all_the_same(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    fine.write({".gcloudignore": "tests/\n", "tests/test_a.py": BROKEN_BEFORE_312, "tests/b.py": "fine = 1\n"})
    fine.commit()

    report = _checked(fine)

    assert [(one.path, one.code) for one in _errors(report)] == [("tests/test_a.py", "BG101")]
    assert not report.unproven
    assert report.files == 5
    assert report.chain is not None
    assert all(hop.identical for hop in report.chain.hops)
    assert any("not sent with a build" in note and ".gcloudignore:1" in note for note in report.notes)


def test_what_is_under_check_is_what_is_sent(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    fine.write({"app/new.py": BROKEN_BEFORE_312, "app/a.py": "x = 1  # edited\n"})

    dirty, committed = _checked(fine), _checked(fine, "commit:HEAD")

    assert [one.path for one in _errors(dirty)] == ["app/new.py"]
    assert dirty.chain is not None
    assert dirty.chain.snapshots[0].stage == "dir:."
    assert any("not as committed" in note and "app/a.py" in note for note in dirty.notes)
    assert committed.exit_code == 0
    assert committed.chain is not None
    assert committed.chain.snapshots[0].stage == "commit:HEAD"


@pytest.mark.hosts
def test_several_targets_are_asked_in_one_build(fine: Project, emulator: Callable[..., Emulator]) -> None:
    made = emulator()
    fine.write(
        {
            "old/Dockerfile": f"FROM {images.base('3.8')}\nCOPY . .\n",
            "old/a.py": "match x:\n case 1: pass\n",
            "Dockerfile": f"FROM {images.base('3.12')}\nCOPY app .\n",
            "app/c.py": BROKEN_BEFORE_312,
        }
    )
    fine.commit()

    report = _checked(fine)

    assert {(row.engine, row.python) for row in report.targets} == {("cloud", "3.8"), ("cloud", "3.12")}
    assert {(one.path, one.target) for one in _errors(report)} == {("old/a.py", "3.8")}
    (build,) = made.builds.find("emulated", "")
    assert [one.id for one in build.steps] == ["probe-0-0", "probe-1-0"]
    assert [list(one.wait_for) for one in build.steps] == [["-"], ["-"]]
    assert not report.unproven


def test_a_large_tree_is_asked_in_shares(
    fine: Project, emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = emulator()
    monkeypatch.setattr(cloud_request, "_SOURCES_OF_A_SHARE", 5)
    fine.write({f"many/m{number}.py": f"n = {number}\n" for number in range(11)} | {"many/bad.py": BROKEN_BEFORE_312})
    fine.commit()

    report = _checked(fine)

    (build,) = made.builds.find("emulated", "")
    assert len(build.steps) == 3
    assert [one.path for one in _errors(report)] == ["many/bad.py"]
    assert not report.unproven


def test_what_kills_a_compiler_costs_no_other_file(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    fine.write({"Dockerfile": f"FROM {images.base('3.8')}\nCOPY . .\n", "app/deep.py": f"x = {'-' * 200_000}1\n"})
    fine.commit()

    cloud, container = (_checked(fine, engine=one) for one in ("cloud", "container"))

    assert [(one.code, one.path) for one in _errors(cloud)] == [("BG103", "app/deep.py")]
    assert [one.message for one in _errors(cloud)] == [one.message for one in _errors(container)]
    assert cloud.files == 4
    assert not cloud.unproven


def test_an_image_without_python_is_unproven(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()

    with images.Rootfs() as rootfs:
        bare = rootfs.busybox().become(f"{images.REPOSITORY}/empty:2", ['CMD ["sh"]'])

    report = _checked(fine, image=bare)

    assert report.exit_code == 3
    reason = report.unproven[0].reason
    assert "the build step printed no result (exit 127); last lines of its log: " in reason
    assert "python3" in reason.partition("log: ")[2]


def test_another_python_in_the_step_is_told(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator(f"other-python={images.base('3.8')}")

    report = _checked(fine)

    assert report.exit_code == 1
    assert "BG402" in _codes(report)


# ------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize(
    ("fault", "hop", "difference"),
    [
        ("flip-byte", ("tar:", "gs://"), ("", "content")),
        ("truncate-object", ("tar:", "gs://"), ("", "truncated")),
        ("swap-generation", ("gs://", "gs://"), ("", "content")),
        ("alter-member", ("gs://", "build:"), ("app/a.py", "bit-flip")),
        ("drop-member", ("gs://", "build:"), ("app/a.py", "content")),
        ("crlf", ("gs://", "build:"), ("app/a.py", "line-endings")),
        ("stale-source", ("gs://", "build:"), ("app/a.py", "stale")),
    ],
)
def test_damage_is_named_with_its_hop(
    fine: Project, emulator: Callable[..., Emulator], fault: str, hop: tuple[str, str], difference: tuple[str, str]
) -> None:
    emulator(fault, stale=older_source(fine.path) if fault == "stale-source" else None)

    report = _checked(fine)

    assert report.exit_code == 1
    assert report.chain is not None
    at = report.chain.first_changed
    assert at is not None
    first = report.chain.hops[at]
    assert (first.before.stage[: len(hop[0])], first.after.stage[: len(hop[1])]) == hop
    found = first.findings[0]
    assert (found.path.decode(), found.cause) == (difference[0] or first.after.stage, difference[1])
    assert any(one.code.startswith("BG30") and one.path == found.path.decode() for one in report.diagnostics)
    if not difference[0]:  # it does not unpack: the last member that was whole is named
        assert any("(after " in one.reason or "(before " in one.reason for one in report.unproven)


def test_damage_is_no_change_that_a_base_could_hide(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator("alter-member")

    report = _checked(fine, diff_base="HEAD")

    assert report.exit_code == 1
    assert [(one.code, one.path) for one in _errors(report)] == [("BG303", "app/a.py")]


def test_a_generation_with_other_members_is_compared_with_what_was_sent(
    fine: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    """Another whole archive under the same name: its members tell what differs."""
    made = emulator("swap-generation")
    first = _checked(fine)
    assert first.chain is not None
    sent = next(one.stage for one in first.chain.snapshots if one.stage.startswith("gs://"))
    name = sent.partition(f"{BUCKET}/")[2].partition("#")[0]
    fine.write({"app/a.py": "x = 2\n"})
    fine.commit()
    url, _packed = upload(fine)
    other = made.storage.buckets.get(BUCKET, url.partition(f"{BUCKET}/")[2].partition("#")[0]).data
    fine.git("revert", "--no-edit", "HEAD")
    fine.git("reset", "-q", "--hard", "HEAD~2")
    lying = made.storage.buckets.put(BUCKET, name, other, "application/gzip", None).number

    report = _checked(fine)

    assert report.exit_code == 1
    # what lay there under our name is no twin of ours: said, replaced, and never taken for ours
    (found,) = [one for one in report.diagnostics if "held other bytes under the name of this archive" in one.message]
    assert (found.code, found.path) == ("BG303", f"gs://{BUCKET}/{name}#{lying}")
    assert report.chain is not None
    assert ("app/a.py", "content") in {
        (one.path.decode(), one.cause) for hop in report.chain.hops for one in hop.findings
    }


# ------------------------------------------------------------------------------------------ trouble of the service


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("http-429=2", 1),
        ("http-503=2", 1),
        ("lost-create-answer=1", 1),
        ("log-403", 1),
        ("internal-error=1", 2),
        ("expired=1", 2),
        ("fetch-failed=1", 2),
        ("logging-failed=1", 2),
    ],
)
def test_passing_trouble_is_outlived(fine: Project, emulator: Callable[..., Emulator], fault: str, number: int) -> None:
    """A second build only after the first has come to its end, and by no fault of ours."""
    made = emulator(fault)

    report = _checked(fine)

    assert report.exit_code == 0, report.unproven
    assert len(made.builds.find("emulated", "")) == number
    if number == 2:
        assert any("was tried once more" in note for note in report.notes)
    if fault == "log-403":
        assert any("log cannot be shown" in note and "permission denied" in note for note in report.notes)


@pytest.mark.parametrize(
    ("fault", "words", "number"),
    [
        ("http-429", "no usable response within", 0),
        ("http-503", "no usable response within", 0),
        ("quota-region", "quota restrictions", 0),
        ("permission-denied", "permission denied", 0),
        ("bucket-403", "permission denied", 0),
        ("pending", "waits for an approval: it was PENDING 3 times in a row; gcloud builds approve", 1),
        ("internal-error", "INTERNAL_ERROR", 2),
        ("expired", "EXPIRED", 2),
        ("fetch-failed", "FETCH_SOURCE_FAILED", 2),
        ("logging-failed", "LOGGING_FAILURE", 2),
        ("timeout", "TIMEOUT", 1),
        ("cancelled", "CANCELLED", 1),
    ],
)
def test_lasting_trouble_is_unproven_with_a_next_step(
    fine: Project, emulator: Callable[..., Emulator], fault: str, words: str, number: int
) -> None:
    made = emulator(fault)

    report = _checked(fine)

    assert report.exit_code == 3
    assert words in report.unproven[0].reason
    assert ";" in report.unproven[0].reason, "what to do next"
    assert len(made.builds.find("emulated", "")) == number
    assert all(row.proof == "none" for row in report.targets)
    if report.chain is not None:  # as far as the bytes were seen, and no further
        assert "the files in the build were not read" in render(report, "text")


def test_a_build_that_hangs_is_not_waited_for_for_ever(
    fine: Project, emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = emulator("hang")
    monkeypatch.setattr(
        cloud_check, "BuildOptions", lambda pool, account: cloud_request.BuildOptions(pool, account, 1, 1)
    )
    monkeypatch.setattr(cloud_round, "GRACE", 1)

    report = _checked(fine)

    assert report.exit_code == 3
    assert "should have ended by now" in report.unproven[0].reason
    assert "gcloud builds cancel" in report.unproven[0].reason
    assert len(made.builds.find("emulated", "")) == 1


def test_no_project_is_said(fine: Project, emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch) -> None:
    emulator()
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name)

    report = _checked(fine)

    assert report.exit_code == 3
    assert "project" in report.unproven[0].reason
    assert "--project" in report.unproven[0].reason


def test_answers_that_somebody_changed_are_not_believed(
    fine: Project, emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = emulator()
    put = made.storage.buckets.put

    def changed(bucket: str, name: str, data: bytes, *rest: Any) -> Any:
        return put(bucket, name, data.replace(b"app", b"App") if "/manifest-" in name else data, *rest)

    monkeypatch.setattr(made.storage.buckets, "put", changed)

    report = _checked(fine)

    assert report.exit_code == 3
    assert "manifest-0 is not what the step wrote" in report.unproven[0].reason


def test_other_engines_answer_where_the_cloud_does_not(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator("permission-denied")
    fine.write({"buildguard.toml": 'engine = ["cloud", "container"]\n'})

    report = _checked(fine, engine="auto")

    assert [row.engine for row in report.targets] == ["container"]
    assert report.exit_code == 0


# ------------------------------------------------------------------------------------------ interrupted


def test_an_interruption_leaves_the_build_and_says_how_to_end_it(
    fine: Project, emulator: Callable[..., Emulator]
) -> None:
    made = emulator("hang")

    class Impatient(_Watcher):
        def tell(self, text: str) -> None:
            if text.startswith("Cloud Build runs"):
                raise KeyboardInterrupt

    with pytest.raises(BuildRunsError) as caught:
        _checked(fine, watcher=Impatient())

    (build,) = made.builds.find("emulated", "")
    assert build.id in caught.value.what
    assert f"gcloud builds cancel {build.id} --project emulated" in caught.value.hint
    assert caught.value.exit_code == 130
    assert made.builds.get(build.id).status.name == "WORKING"

    caught.value.cancel()

    assert made.builds.get(build.id).status.name == "CANCELLED"


@pytest.mark.parametrize(("answer", "status"), [("y", "CANCELLED"), ("n", "WORKING"), ("", "WORKING")])
def test_a_person_is_asked_whether_to_end_the_build_too(
    fine: Project, emulator: Callable[..., Emulator], answer: str, status: str
) -> None:
    """In a terminal; where there is not one (no answer), no one is asked."""
    made = emulator("hang")
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [fine.executable, "check", "--engine", "cloud"],
        cwd=fine.path,
        stdin=theirs if answer else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = ""
    try:
        seen += _until(ours, "Cloud Build runs")
        child.send_signal(signal.SIGINT)
        seen += _until(ours, "end the build too?" if answer else "gcloud builds cancel")
        os.write(ours, f"{answer}\n".encode())
        assert child.wait(timeout=300) == 130
        seen += _until(ours, "")
    finally:
        os.close(ours)
        child.kill()
        child.wait()

    (build,) = made.builds.find("emulated", "")
    assert build.status.name == status
    assert f"gcloud builds cancel {build.id} --project emulated" in seen
    assert ("end the build too?" in seen) == bool(answer)
    assert "Traceback" not in seen


def _until(terminal: int, words: str) -> str:
    """What a terminal shows, up to some words; what is there, without any."""
    seen = ""
    end = time.monotonic() + (300 if words else 1)
    while time.monotonic() < end and (not words or words not in seen):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096).decode()
            except OSError:
                break
    assert words in seen, seen
    return seen


# ------------------------------------------------------------------------------------------ build:ID as a stage


def test_a_build_of_the_engine_is_a_stage(
    fine: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    made = emulator("crlf")
    url, _packed = upload(fine)
    _checked(fine)
    (build,) = made.builds.find("emulated", "")

    found = diff(fine.path, ["commit:HEAD", url, f"build:{build.id}"])
    listed = manifest(fine.path, f"build:{build.id}")

    assert found.chain.exit_code == 1
    assert [hop.identical for hop in found.chain.hops] == [True, False]
    assert {(one.path, one.cause) for one in found.chain.hops[1].differences} >= {(b"app/a.py", "line-endings")}
    assert set(listed.snapshot.manifest.entries) == {b"README", b"Dockerfile", *map(str.encode, _FINE)}


def test_a_build_with_the_guard_step_is_a_stage(
    fine: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    emulator()
    fine.write({step.NAME: step.text([], [])})
    fine.commit()
    url, packed = upload(fine)
    file = (fine.path / step.NAME).read_bytes()
    guard = {
        "name": images.base("3.11"),
        "entrypoint": "python3",
        "args": ["-I", "-S", "-B", "-c", step.loader(file)],
        "env": [f"{step.VARIABLE}={packed.written.manifest.digest}"],
    }
    with CloudBuildClient() as cloud:
        build = cloud.wait(cloud.submit({"source": source_of(url), "steps": [guard]}), 60)
        bare = cloud.wait(cloud.submit({"source": source_of(url), "steps": [{**guard, "args": ["-c", "pass"]}]}), 60)
    assert build.status == "SUCCESS"

    found = diff(fine.path, ["commit:HEAD", url, f"build:{build.id}"])

    assert found.chain.exit_code == 0
    assert found.chain.hops[1].identical
    blind = manifest(fine.path, f"build:{bare.id}")
    assert blind.exit_code == 3
    assert "kept no manifest of its workspace" in blind.snapshot.unproven[0].reason
    unknown = manifest(fine.path, "build:nothing")
    assert unknown.exit_code == 3


def test_a_build_is_no_place_to_check(fine: Project) -> None:
    result = fine.run("check", "build:123")

    assert result.code == 2
    assert "holds only digests" in result.err


def test_what_is_unpacked_is_what_gnu_tar_unpacks(
    fine: Project, emulator: Callable[..., Emulator], tmp_path: Path
) -> None:
    """Links, executable bits, long and odd names, and what lies deep: file by file what the commit has, less the drops."""
    made = emulator()
    deep = "/".join(["d" * 60] * 5)
    fine.write(
        {
            f"{deep}/{'n' * 120}.py": "x = 1\n",
            "naïve ☃.py": "x = 2\n",
            "a b.py": "x = 3\n",
            ".gcloudignore": "*.log\n",
            "a.log": "dropped\n",
            "empty.py": "",
        }
    )
    (fine.path / "link.py").symlink_to("a b.py")
    (fine.path / "run.sh").chmod(0o755)
    fine.commit()

    report = _checked(fine)

    assert report.chain is not None
    assert report.exit_code == 0
    url = next(one.stage for one in report.chain.snapshots if one.stage.startswith("gs://"))
    name = url.partition(f"{BUCKET}/")[2].partition("#")[0]
    archive, unpacked = tmp_path / "sent.tgz", tmp_path / "unpacked"
    archive.write_bytes(made.storage.buckets.get(BUCKET, name).data)
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True)
    built = report.chain.snapshots[-1].manifest
    theirs = manifest(unpacked, "dir:.").snapshot.manifest
    committed = manifest(fine.path, "commit:HEAD").snapshot.manifest

    def rows(entries: Manifest) -> set[tuple[bytes, str, str]]:
        return {(one.path, one.mode, one.sha256) for one in entries.entries.values()}

    assert rows(built) == rows(theirs)
    assert rows(committed) - rows(built) == {row for row in rows(committed) if row[0] == b"a.log"}
    assert rows(built) < rows(committed)


# ------------------------------------------------------------------------------------------ what is shown


_SECRET = "ya29.planted-token-0123456789"


def test_nothing_secret_is_ever_shown(
    fine: Project, emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tokens planted where they might be picked up: no output, log, report or temporary file has one."""
    made = emulator("http-503=1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN", "DB_PASSWORD"):
        monkeypatch.setenv(name, _SECRET)
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"type": "authorized_user", "refresh_token": _SECRET, "client_secret": _SECRET}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))

    shown = ""
    for args in (
        ["check", "--engine", "cloud"],
        ["check", "--engine", "cloud", "--format", "json"],
        ["check", "--engine", "cloud", "--format", "sarif"],
        ["manifest", "build:nothing"],
        ["diff", "commit:HEAD", "gs://nowhere-at-all/x"],
        ["doctor"],
    ):
        done = fine.run(*args)
        shown += done.out + done.err
    # and where Google is really asked, with credentials that do not work
    for name in made.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    done = fine.run("check", "--engine", "cloud")
    shown += done.out + done.err

    assert done.code == 3
    assert "CPython" in shown
    assert _SECRET not in shown
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and file != key]
    assert not [file for file in kept if _SECRET.encode() in file.read_bytes()]
    logs = [one.data for (bucket, _), several in made.storage.buckets.objects() for one in several if bucket]
    assert not [data for data in logs if _SECRET.encode() in data]


def test_the_log_is_shown_as_it_grows(fine: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    watcher = _Watcher()

    _checked(fine, watcher=watcher)

    lines = [text for text in watcher.told if text.startswith("Cloud Build: ")]
    assert any("sources" in line and "probe-0-0" in line for line in lines), watcher.told
    assert len(lines) == len(set(lines)), "no line twice"


def test_engines_that_have_nothing_to_ask_say_so(
    repository: Callable[..., Project], emulator: Callable[..., Emulator]
) -> None:
    emulator()
    made = repository({"a.py": "x = 1\n", ".python-version": "3.11\n"})

    report = _checked(made)

    assert report.exit_code == 3  # python:3.11-slim is asked for, and nothing here can pull it
    assert "python:3.11-slim" in report.unproven[0].reason
