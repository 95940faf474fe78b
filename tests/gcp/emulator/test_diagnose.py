"""`diagnose` with what it can reach: an image, a build, a revision. Each fault is named, alone and in pairs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.cli.render.html import page
from buildguard.diagnose.evidence import DiagnoseOptions
from buildguard.diagnose.run import examine
from buildguard.gcp import cloud_build as builds
from buildguard.gcp.cloud_build import CloudBuildClient, source_of
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision
from buildguard.gcp.revision_names import COMMIT
from buildguard.project.cloudbuild import guard_step as step
from tests import images
from tests.conftest import BROKEN_BEFORE_312, Project
from tests.gcp.emulator.conftest import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.diagnose.run import DiagnosisReport
    from buildguard.gcp.emulator.server import Emulator
    from buildguard.project.source_archive import PackedArchive

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "FIRST_PAUSE", 0.05)


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    made = repository(
        {
            "Dockerfile": f"FROM {images.base('3.11')}\nWORKDIR /app\nCOPY . .\n",
            "app/a.py": "x = 1\nprint('a')\n",
            "app/b.py": "y = 2\n",
            "buildguard.toml": '[deploy]\nroot = "/app"\nservice = "web"\nrequired-env = ["DATABASE_URL"]\n',
        }
    )
    made.write({"app/a.py": "x = 10\nprint('a')\n"})
    made.commit()
    return made


def _verdicts(found: DiagnosisReport) -> dict[str, str]:
    return {one.id: one.verdict for one in found.diagnosis.hypotheses}


_FILES = {"app/app/a.py": "x = 10\nprint('a')\n", "app/app/b.py": "y = 2\n", "app/README": "hello\n"}
_FAULTS: dict[str, tuple[dict[str, str | None], str]] = {
    "bytes-changed": ({"app/app/a.py": "x = 11\nprint('a')\n"}, "bytes-changed"),
    "encoding": ({"app/app/b.py": "y = 2\r\n"}, "encoding"),
    "stale-image": ({"app/app/a.py": "x = 1\nprint('a')\n"}, "stale-image"),
    "wrong-files-sent": ({"app/app/b.py": None}, "wrong-files-sent"),
}


def _image(name: str, project: Project, changes: dict[str, str | None], version: str = "3.11") -> str:
    files: dict[str, str | bytes] = {
        f"app/{path}": (project.path / path).read_bytes()
        for path in ("Dockerfile", "app/a.py", "app/b.py", "buildguard.toml", "README")
    }
    for path, content in changes.items():
        if content is None:
            del files[path]
        else:
            files[path] = content
    return images.kept(f"{images.REPOSITORY}/diagnosed-{name}:1", images.base(version), files, ["WORKDIR /app"])


def test_an_image_is_not_judged_by_local_edits(project: Project) -> None:
    """Of a source, of the Dockerfile's Python, and of where that puts the files: none of it is in the image."""
    made = _image("healthy", project, {})
    project.write(
        {
            "app/a.py": BROKEN_BEFORE_312,
            "app/c.py": BROKEN_BEFORE_312,
            "Dockerfile": f"FROM {images.base('3.8')}\nWORKDIR /srv\nCOPY app/b.py ./a.py\n",
        }
    )

    found = examine(project.path, None, DiagnoseOptions(image=made))

    assert "proven" not in (verdicts := _verdicts(found)).values()
    assert {verdicts[one] for one in ("target-older-than-code", "other-interpreter", "bytes-changed")} == {"refuted"}
    assert (found.diagnosis.next, found.diagnosis.exit_code) == ((), 3)
    assert any("uncommitted changes in Dockerfile, app/a.py, app/c.py" in note for note in found.diagnosis.notes)


def test_a_committed_file_that_is_not_in_the_image_does_not_count(project: Project) -> None:
    project.write({"tests/broken.py": BROKEN_BEFORE_312, ".dockerignore": "tests\n"})
    project.commit()

    found = examine(project.path, None, DiagnoseOptions(image=_image("without-tests", project, {})))

    assert _verdicts(found)["target-older-than-code"] == "refuted"
    assert found.diagnosis.next == ()
    assert any("tests/broken.py" in note for note in found.diagnosis.notes)


def test_a_healthy_log_and_a_healthy_image(project: Project) -> None:
    made = _image("healthy", project, {})

    found = examine(project.path, b"INFO:     Application startup complete.\n", DiagnoseOptions(image=made))

    assert (found.diagnosis.cause, found.diagnosis.exit_code) == ("healthy", 0)
    assert f"of {made}, compiled by CPython 3.11" in found.diagnosis.sentence


def test_a_healthy_image_is_accused_of_nothing(project: Project) -> None:
    found = examine(project.path, None, DiagnoseOptions(image=_image("healthy", project, {})))

    verdicts = _verdicts(found)
    assert "proven" not in verdicts.values()
    assert {verdicts[one] for one in ("bytes-changed", "stale-image", "wrong-files-sent", "other-interpreter")} == {
        "refuted"
    }


@pytest.mark.parametrize("fault", _FAULTS)
def test_each_fault_of_an_image_is_named(project: Project, fault: str) -> None:
    changes, cause = _FAULTS[fault]

    found = examine(project.path, None, DiagnoseOptions(image=_image(fault, project, changes)))

    assert _verdicts(found)[cause] == "proven"
    assert found.diagnosis.exit_code == 1
    assert any(place.path in {"app/a.py", "app/b.py"} for place in found.diagnosis.place)
    text = page(found)
    assert "Chain of custody" in text
    assert 'class="first"' in text


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_and_another_python_are_both_named(project: Project, fault: str) -> None:
    changes, cause = _FAULTS[fault]

    found = examine(project.path, None, DiagnoseOptions(image=_image(f"{fault}-old", project, changes, "3.8")))

    verdicts = _verdicts(found)
    assert verdicts[cause] == verdicts["other-interpreter"] == "proven"


def test_no_python_that_was_promised_is_no_python_that_was_kept(project: Project) -> None:
    """Two Dockerfiles declare two Pythons: which of them this image should have, no one knows."""
    project.write({"old.Dockerfile": f"FROM {images.base('3.8')}\nCOPY . .\n"})
    project.commit()

    found = examine(project.path, None, DiagnoseOptions(image=_image("promised", project, {})))

    (one,) = [one for one in found.diagnosis.hypotheses if one.id == "other-interpreter"]
    assert (one.verdict, "no file sets its Python version" in one.reason) == ("untested", True)


def test_an_image_that_cannot_be_read_refutes_nothing(project: Project) -> None:
    found = examine(project.path, None, DiagnoseOptions(image="nowhere.invalid/at-all:1"))

    verdicts = _verdicts(found)
    assert {verdicts[one] for one in ("bytes-changed", "stale-image", "other-interpreter", "stray-bytecode")} == {
        "untested"
    }
    assert any("nowhere.invalid" in one.reason for one in found.diagnosis.hypotheses)


def test_an_image_for_another_processor_is_told(project: Project) -> None:
    tag = images.foreign(_image("foreign", project, {}), "arm64")

    found = examine(project.path, None, DiagnoseOptions(image=tag))

    verdicts = _verdicts(found)
    assert verdicts["platform"] == "proven"
    assert {verdicts[one] for one in ("bytes-changed", "other-interpreter", "stray-bytecode")} == {"untested"}
    assert "linux/arm64" in found.diagnosis.sentence


def test_the_python_that_refuses_is_the_one_in_the_image(project: Project) -> None:
    """3.11 is declared and accepts it; the image has 3.8, and that is what refuses."""
    project.write({"app/b.py": "match 1:\n    case 1:\n        y = 2\n"})
    project.commit()

    found = examine(project.path, None, DiagnoseOptions(image=_image("older", project, {}, "3.8")))

    (one,) = [one for one in found.diagnosis.hypotheses if one.id == "target-older-than-code"]
    assert one.verdict == "proven"
    assert re.search(r"Python 3\.8\.\d+ \(buildguard-test/diagnosed-older:1\) refuses 1 file", " ".join(one.evidence))


def test_one_look_does_not_speak_for_another(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    """The source that was built is the commit's, and the image cannot be read: what is in it is untested."""
    emulator("fetch-failed")
    url, _packed = upload(project)

    found = examine(project.path, None, DiagnoseOptions(build=_built(url), image="nowhere.invalid/at-all:1"))

    assert {_verdicts(found)[one] for one in ("bytes-changed", "encoding", "wrong-files-sent")} == {"untested"}


# ------------------------------------------------------------------------------------------ a build


def _built(url: str, **fields: Any) -> str:
    with CloudBuildClient() as cloud:
        steps = [{"name": images.base("3.11"), "script": fields.pop("script", "true")}]
        seen = cloud.submit({"source": source_of(url), "steps": steps, **fields})
        return cloud.wait(seen, 60, grace=5).id


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("internal-error", "service-trouble"),
        ("fetch-failed", "service-trouble"),
        ("expired", "service-trouble"),
        ("timeout", "resources"),
    ],
)
def test_how_a_build_ended_speaks_for_a_cause(
    project: Project,
    emulator: Callable[..., Emulator],
    upload: Callable[[Project], tuple[str, PackedArchive]],
    fault: str,
    cause: str,
) -> None:
    emulator(fault)
    url, _packed = upload(project)

    found = examine(project.path, None, DiagnoseOptions(build=_built(url)))

    assert found.diagnosis.cause == cause
    # the object that could not be fetched still is there, and is as the commit
    assert _verdicts(found)["bytes-changed"] == ("refuted" if fault == "fetch-failed" else "untested")


def test_the_log_of_a_build_is_read(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    emulator()
    project.write({"app/c.py": BROKEN_BEFORE_312})
    project.commit()
    url, _packed = upload(project)
    identity = _built(url, script="cd /workspace && python3 app/c.py")

    found = examine(project.path, None, DiagnoseOptions(build=identity))

    assert found.diagnosis.cause == "target-older-than-code"
    assert [str(place) for place in found.diagnosis.place] == ["app/c.py, line 1"]


def test_the_workspace_of_a_build_is_compared(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    emulator()
    project.write({step.NAME: step.text([], [])})
    project.commit()
    url, packed = upload(project)
    guard = {
        "name": images.base("3.11"),
        "entrypoint": "python3",
        "args": ["-I", "-S", "-B", "-c", step.loader((project.path / step.NAME).read_bytes())],
        "env": [f"{step.VARIABLE}={packed.written.manifest.digest}"],
    }
    commits = {"": "", "here": project.git("rev-parse", "HEAD").strip(), "nowhere": "0" * 40}
    seen = {}
    with CloudBuildClient() as cloud:
        for name, commit in commits.items():
            told = {"substitutions": {"COMMIT_SHA": commit}} if commit else {}
            seen[name] = cloud.wait(cloud.submit({"source": source_of(url), "steps": [guard], **told}), 60)
    assert {one.status for one in seen.values()} == {"SUCCESS"}

    same = examine(project.path, None, DiagnoseOptions(build=seen[""].id))
    project.write({"app/a.py": "x = 12\n"})
    project.commit()
    moved, of_its_own, foreign = (
        examine(project.path, None, DiagnoseOptions(build=seen[name].id)) for name in ("", "here", "nowhere")
    )

    assert _verdicts(same)["bytes-changed"] == _verdicts(same)["encoding"] == "refuted"
    assert (same.diagnosis.cause, same.diagnosis.exit_code) == ("unknown", 3)  # no evidence of a start
    assert f"the build {seen[''].id} ended with SUCCESS" in same.diagnosis.sentence
    assert _verdicts(same)["service-trouble"] == "untested"  # the build had none; no one looked at what came after it
    assert _verdicts(moved)["bytes-changed"] == "proven"  # nothing tells that it was made of an earlier one
    assert _verdicts(of_its_own)["bytes-changed"] == _verdicts(of_its_own)["wrong-files-sent"] == "refuted"
    assert _verdicts(foreign)["bytes-changed"] == _verdicts(foreign)["wrong-files-sent"] == "untested"
    assert any("git fetch" in one.reason for one in foreign.diagnosis.hypotheses)


# ------------------------------------------------------------------------------------------ a revision


def test_a_revision_without_its_variable_is_told(project: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()
    tag = images.kept(
        f"{images.REPOSITORY}/needs-variable:1",
        images.base("3.11"),
        {"serve.py": "import os\nprint(os.environ['DATABASE_URL'])\n"},
        ['CMD ["python3", "/serve.py"]'],
    )
    with CloudRunClient() as run, pytest.raises(Exception, match="not ready"):
        run.candidate("web", tag, NewRevision("web-1", "", {}, {"buildguard.dev/commit": "0" * 40}))

    found = examine(project.path, None, DiagnoseOptions(revision="web-1"))

    verdicts = _verdicts(found)
    assert verdicts["missing-variable"] == "proven"
    assert verdicts["wrong-files-sent"] == "proven"  # it was made from another commit
    assert "DATABASE_URL" in " ".join(one for each in found.diagnosis.hypotheses for one in each.evidence)


def test_a_revision_is_held_against_its_own_commit(project: Project, emulator: Callable[..., Emulator]) -> None:
    """Who goes on working is accused of nothing; another branch is another matter."""
    emulator()
    made = _image("revision", project, {})
    commits = {"web-1": project.git("rev-parse", "HEAD").strip()}
    here = project.commit({"app/a.py": "x = 12\n"})
    project.git("checkout", "--quiet", "HEAD~1")
    commits |= {"web-2": project.commit({"app/a.py": "x = 13\n"})}
    with CloudRunClient() as run:
        for name, commit in commits.items():
            with pytest.raises(Exception, match="not ready"):
                run.candidate("web", made, NewRevision(name, "", {"DATABASE_URL": "there"}, {COMMIT: commit}))
    seen = {}
    for head, name in ((here, "web-1"), (here, "web-2"), (commits["web-1"], "web-2")):
        project.git("checkout", "--quiet", head)
        found = _verdicts(examine(project.path, None, DiagnoseOptions(revision=name)))
        seen[head == here, name] = [found[one] for one in ("bytes-changed", "stale-image", "wrong-files-sent")]

    assert seen[True, "web-1"] == ["refuted", "refuted", "refuted"]
    # its image holds what the commit before it held: of a branch that we are not on, and of one that we are behind
    assert seen[True, "web-2"] == ["refuted", "proven", "proven"]
    assert seen[False, "web-2"] == ["refuted", "proven", "refuted"]


def test_a_revision_is_held_against_the_commit_that_it_was_made_of(
    project: Project, emulator: Callable[..., Emulator]
) -> None:
    """What was committed later, or is not committed yet, did not make it fail."""
    emulator()
    made = _image("revision-of-its-own", project, {})
    first = project.git("rev-parse", "HEAD").strip()
    with CloudRunClient() as run, pytest.raises(Exception, match="not ready"):
        run.candidate("web", made, NewRevision("web-1", "", {"DATABASE_URL": "there"}, {COMMIT: first}))
    settings = (project.path / "buildguard.toml").read_text().replace('"]', '", "{}"]')
    project.write({"app/a.py": BROKEN_BEFORE_312, "buildguard.toml": settings.format("LATER")})
    project.commit()
    project.write({"buildguard.toml": settings.format("NOT_YET")})

    found = examine(project.path, None, DiagnoseOptions(revision="web-1"))

    verdicts = _verdicts(found)
    assert "proven" not in verdicts.values()
    assert verdicts["target-older-than-code"] == verdicts["bytes-changed"] == "refuted"
    assert not any(
        "LATER" in words or "NOT_YET" in words for one in found.diagnosis.hypotheses for words in one.evidence
    )


def test_a_build_is_judged_by_its_commit(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    """It ended with SUCCESS: that is what proves it, whatever is in HEAD or on disk by now."""
    emulator()
    url, _packed = upload(project)
    commit = {"COMMIT_SHA": project.git("rev-parse", "HEAD").strip()}
    good = _built(url, substitutions=commit)
    bad = _built(url, script="echo odd; exit 1", substitutions=commit)
    nowhere = _built(url, script="exit 1", substitutions={"COMMIT_SHA": "0" * 40})
    project.write({"app/a.py": BROKEN_BEFORE_312})
    project.commit()
    project.write({"app/b.py": BROKEN_BEFORE_312})

    assert {
        _verdicts(examine(project.path, None, DiagnoseOptions(build=one)))["target-older-than-code"]
        for one in (good, bad)
    } == {"refuted"}
    for one, cause in ((good, "unknown"), (bad, "unknown"), (nowhere, "unknown")):
        found = examine(project.path, None, DiagnoseOptions(build=one)).diagnosis
        assert (found.cause, found.exit_code, found.next) == (cause, 3, ())
    found = examine(project.path, None, DiagnoseOptions(build=nowhere)).diagnosis
    (older,) = [one for one in found.hypotheses if one.id == "target-older-than-code"]
    assert (older.verdict, "git fetch" in older.reason) == ("untested", True)


def test_a_build_that_runs_has_not_ended(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    emulator("hang")
    url, _packed = upload(project)
    with CloudBuildClient() as cloud:
        steps = [{"name": images.base("3.11"), "script": "true"}]
        running = cloud.submit({"source": source_of(url), "steps": steps}).id

    found = examine(project.path, None, DiagnoseOptions(build=running))

    assert found.diagnosis.exit_code == 3
    assert "ended with" not in found.diagnosis.sentence
    assert {_verdicts(found)[one] for one in ("service-trouble", "resources", "bytes-changed")} == {"untested"}


def test_what_cannot_be_asked_is_untested(project: Project, emulator: Callable[..., Emulator]) -> None:
    emulator()

    found = examine(project.path, None, DiagnoseOptions(build="nothing", revision="nothing"))

    assert "proven" not in _verdicts(found).values()
    assert _verdicts(found)["service-trouble"] == _verdicts(found)["missing-variable"] == "untested"


def test_viewing_is_right_enough(
    project: Project, emulator: Callable[..., Emulator], upload: Callable[[Project], tuple[str, PackedArchive]]
) -> None:
    """Nothing is created for it, nor written: whoever may only look gets the same answer."""
    made = emulator()
    url, _packed = upload(project)
    identity = _built(url, script="exit 137")
    made.faults.add("permission-denied")
    written = made.storage.buckets.names(BUCKET, "")

    found = examine(project.path, None, DiagnoseOptions(build=identity))

    assert found.diagnosis.exit_code in {1, 3}
    assert identity in found.diagnosis.sentence
    assert len(made.builds.find("emulated", "")) == 1
    assert made.storage.buckets.names(BUCKET, "") == written
