"""Deploys end to end: Google's own clients against the emulator, real images, a real registry, revisions that really serve."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from click import unstyle

from buildguard.cli.render.deploy import HistoryView, as_json, as_text, history_text
from buildguard.deploy.history import history
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.rollback import rollback
from buildguard.deploy.run import plan_deploy
from buildguard.errors import DeployInterruptedError, UnprovenError
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision
from buildguard.gcp.service_state import TrafficShare
from tests.deploy.conftest import SERVER, Meanwhile, Watcher, deployed, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.deploy.run import DeployReport
    from buildguard.gcp.emulator.server import Emulator
    from buildguard.gcp.service_state import ServiceState
    from tests.conftest import Project


def _bad(found: DeployReport) -> tuple[str, str]:
    assert found.outcomes is not None
    (one,) = [one for one in found.outcomes if one.verdict in {"failed", "unproven"}]
    return one.step, one.words


def _change(project: Project, text: str = "x = 2\n") -> None:
    project.write({"app/other.py": text})
    project.commit()


def _sole() -> str:
    with CloudRunClient() as run:
        there = run.get("web")
        return there.only_revision if there is not None else ""


# ------------------------------------------------------------------------------------------ green


def test_a_green_deploy_and_the_next_one(web: Project, google: Callable[..., Emulator]) -> None:
    made = google()

    first = deployed(web)

    assert first.exit_code == 0, as_text(first)
    assert list(verdicts(first)) == [
        one for one in DeployStep if one not in {"push", "verify", "traffic", "execute", "promote"}
    ]
    assert requests.get(first.url, timeout=60).text == first.revision
    _change(web)

    second = deployed(web)

    assert second.exit_code == 0, as_text(second)
    assert verdicts(second)["traffic"] == "ok"
    assert second.plan.serving.rollback_to == first.revision
    assert requests.get(second.url, timeout=60).text == second.revision == _sole()
    with CloudRunClient() as run:
        revision = run.revision("web", second.revision)
    assert revision.annotations["buildguard.dev/commit"] == second.plan.source.commit
    assert revision.digest.startswith("sha256:")
    assert len(made.builds.find("emulated", "")) == 2
    told = json.loads(as_json(second))
    assert [one["id"] for one in told["steps"]] == list(verdicts(second))
    assert all(one["verdict"] == "ok" for one in told["steps"])
    attempts = history(DeployRequest(cwd=web.path))
    assert [run[-1].verdict for run in attempts.runs] == ["ok", "ok"]
    assert attempts.changed == (None, 1)
    assert "2 of 2 deploys succeeded" in history_text(HistoryView(attempts))
    assert json.loads(web.run("history", "--format", "json").out)["runs"][1]["changed_files"] == 1


def test_built_here_without_cloud_build(web: Project, google: Callable[..., Emulator]) -> None:
    made = google()

    found = deployed(web, build_local=True)

    assert found.exit_code == 0, as_text(found)
    assert not made.builds.find("emulated", "")
    assert list(verdicts(found)) == [
        one for one in DeployStep if one not in {"upload", "verify", "traffic", "execute", "promote"}
    ]
    assert requests.get(found.url, timeout=60).text == found.revision
    assert any("built here, not by Cloud Build" in note for note in found.plan.notes)


def test_built_here_without_google_stops_before_the_push(site: Project) -> None:
    found = deployed(site, build_local=True)

    assert found.exit_code == 3
    step, words = _bad(found)
    assert step == "push"
    assert "built and verified, and not pushed" in words
    assert verdicts(found)["verify-image"] == verdicts(found)["start"] == "ok"


# ------------------------------------------------------------------------------------------ the plan


def test_a_dry_run_changes_nothing_and_needs_nothing(site: Project) -> None:
    before = site.git("status", "--porcelain")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        found = plan_deploy(DeployRequest(cwd=site.path))
        result = site.run("deploy", "--dry-run", "--format", "json")

    assert found.exit_code == 0
    told = result.json
    assert result.code == 0
    assert told["commit"] == site.git("rev-parse", "HEAD").strip()
    assert [one["id"] for one in told["steps"]] == [
        one for one in DeployStep if one not in {"push", "verify", "execute", "promote"}
    ]
    assert told["archive"]["digest"].startswith("sha256:")
    assert told["target"] == {"python": "3.11", "found_in": "Dockerfile:1"}
    assert "verdict" not in told["steps"][0]
    assert site.git("status", "--porcelain") == before


def test_what_would_be_refused_is_refused(site: Project, google: Callable[..., Emulator]) -> None:
    google()
    site.git("remote", "add", "origin", str(site.path / "nowhere.git"))
    site.write({"app/other.py": "x = 3\n"})

    dry, wet = plan_deploy(DeployRequest(cwd=site.path)), deployed(site)

    assert dry.exit_code == wet.exit_code == 1
    assert any("--allow-dirty" in one for one in dry.plan.refusals)
    assert any("--allow-unpushed" in one for one in dry.plan.refusals)
    assert wet.outcomes == ()
    assert "refused: nothing was done" in as_text(wet)
    site.write({"app/untracked.py": "y = 1\n"})
    fine = deployed(site, allow_dirty=True, allow_unpushed=True, build_local=True)
    assert fine.exit_code == 0, as_text(fine)


def test_nobody_to_ask_is_no_yes(site: Project, google: Callable[..., Emulator]) -> None:
    google()

    result = site.run("deploy")

    assert result.code == 2
    assert "--yes" in result.err


def test_a_variable_that_would_be_missing_is_told_before_anything_is_built(
    site: Project, google: Callable[..., Emulator]
) -> None:
    made = google()
    first = deployed(site, build_local=True)
    toml = (site.path / "buildguard.toml").read_text()
    site.write({"buildguard.toml": f'{toml}required-env = ["DATABASE_URL"]\n'})
    site.commit()

    found = deployed(site)

    assert found.exit_code == 1
    assert found.outcomes == ()
    assert any("BG501" in one and "DATABASE_URL" in one for one in found.plan.refusals)
    assert not made.builds.find("emulated", "")
    assert _sole() == first.revision


def test_the_first_revision_takes_its_variables_from_here(
    web: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    google()
    toml = (web.path / "buildguard.toml").read_text()
    serve = (
        (web.path / "app/serve.py")
        .read_text()
        .replace("import http.server, os\n", "import http.server, os\nos.environ['WHO']\n")
    )
    web.write({"buildguard.toml": f'{toml}required-env = ["WHO"]\n', "app/serve.py": serve})
    web.commit()
    refused = deployed(web, build_local=True)
    assert any("export them here" in one for one in refused.plan.refusals)
    monkeypatch.setenv("WHO", "me")

    found = deployed(web, build_local=True)

    assert found.exit_code == 0, as_text(found)
    with CloudRunClient() as run:
        there = run.get("web")
    assert there is not None
    assert there.env["WHO"] == "me"


# ------------------------------------------------------------------------------------------ before traffic


def test_code_that_does_not_compile_is_never_built(site: Project, google: Callable[..., Emulator]) -> None:
    made = google()
    _change(site, "def f[T](): pass\n")

    found = deployed(site)

    assert found.exit_code == 1
    assert _bad(found)[0] == "check"
    assert not made.builds.find("emulated", "")


def test_a_container_that_does_not_start_is_told_by_its_log(web: Project, google: Callable[..., Emulator]) -> None:
    google()
    first = deployed(web)
    for text, words in (
        (f"import os\nos.environ['DATABASE_URL']\n{SERVER}", "DATABASE_URL"),
        (f"__import__('nothing_' + 'like_it')\n{SERVER}", "nothing_like_it"),
        ("raise SystemExit(3)\n", "it ended with status 3"),
    ):
        web.write({"app/serve.py": text})
        web.commit()

        found = deployed(web)

        assert found.exit_code == 1, words
        step, why = _bad(found)
        assert step == "start"
        assert words in why
        assert "it does not start" in why
        assert _sole() == first.revision
        assert requests.get(first.url, timeout=60).text == first.revision


def test_an_image_that_holds_something_else_is_not_deployed(web: Project, google: Callable[..., Emulator]) -> None:
    google()
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write({"Dockerfile": dockerfile.replace("CMD", "RUN echo 'x = 9' > app/other.py\nCMD")})
    web.commit()

    found = deployed(web, build_local=True)

    assert found.exit_code == 1
    step, words = _bad(found)
    assert step == "verify-image"
    assert "app/other.py" in words


@pytest.mark.parametrize(
    ("lines", "exit_code", "words"),
    [
        ("RUN ./slim.sh\n", 3, "RUN in line 4 may remove it"),
        ("RUN python3 -c \"import os; os.remove('app/other.py')\"\n", 1, "app/other.py"),
    ],
)
def test_a_module_that_the_image_lacks_is_not_deployed(web: Project, lines: str, exit_code: int, words: str) -> None:
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write({"Dockerfile": dockerfile.replace("CMD", f"{lines}CMD"), "slim.sh": "#!/bin/sh\nrm app/other.py\n"})
    (web.path / "slim.sh").chmod(0o755)
    web.commit()

    found = deployed(web, build_local=True)

    step, said = _bad(found)
    assert (found.exit_code, step) == (exit_code, "verify-image")
    assert words in said


def _with_package(web: Project, text: str, line: str) -> None:
    """A package in the image whose names no reading decides, and a line of the project that imports it."""
    code = "import os, sysconfig; os.makedirs(p := sysconfig.get_path('purelib') + '/quick'); open(p + '/__init__.py', 'w').write"
    dockerfile = (web.path / "Dockerfile").read_text().replace("CMD", f'RUN python3 -c "{code}({text!r})"\nCMD')
    web.write({"Dockerfile": dockerfile, "app/serve.py": f"{line}\n{(web.path / 'app/serve.py').read_text()}"})
    web.commit()


def test_an_import_that_only_the_start_can_settle_is_left_to_it(web: Project) -> None:
    _with_package(web, "globals().update(x=1)", "from quick import x")

    found = deployed(web, build_local=True)

    assert (verdicts(found)["verify-image"], verdicts(found)["start"]) == ("ok", "ok")
    verify, start = (
        next(one for one in found.outcomes or () if one.step == step) for step in ("verify-image", "start")
    )
    assert verify.words.endswith(", 1 import left to start")
    assert verify.evidence["imports"] == {
        "undecided": 1,
        "executed": ["app/serve.py:1: its package is not known"],
        "left_to": "start",
    }
    assert start.evidence["settled_imports"] == 1


@pytest.mark.parametrize(
    ("text", "line", "verdict"),
    [
        ("globals().update(x=1)", "from quick import x", "unproven"),
        ("globals().update(x=1); y = 2", "from quick import y", "ok"),
        ("globals().update(x=1)", "def late(): from quick import x", "ok"),
    ],
)
def test_without_a_start_an_import_that_is_executed_has_to_be_decided(
    web: Project, text: str, line: str, verdict: str
) -> None:
    _with_package(web, text, line)

    found = deployed(web, build_local=True, skip_start="no engine")

    assert found.exit_code == 3
    assert verdicts(found)["verify-image"] == verdict
    if verdict == "unproven":
        assert "app/serve.py:1: its package is not known" in _bad(found)[1]


def test_an_import_that_fails_in_the_start_is_not_settled(web: Project) -> None:
    _with_package(web, "globals().update(x=1)", "from quick import z")

    found = deployed(web, build_local=True)

    assert (found.exit_code, verdicts(found)["verify-image"], _bad(found)[0]) == (1, "ok", "start")


def test_a_module_that_the_dockerfile_removes_by_name_is_not_missed(
    web: Project, google: Callable[..., Emulator]
) -> None:
    google()
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write({"Dockerfile": dockerfile.replace("CMD", "RUN rm app/other.py\nCMD")})
    web.commit()

    found = deployed(web, build_local=True)

    assert found.exit_code == 0, as_text(found)
    assert verdicts(found)["verify-image"] == "ok"


@pytest.mark.parametrize(
    ("files", "copies", "count"),
    [
        ({"README": "x"}, "COPY . .", "2 files as committed, compiled by"),
        ({"tests/test_a.py": "x = 1\n", ".dockerignore": "tests\n"}, "COPY . .", "2 files as committed, compiled by"),
        ({"tests/test_a.py": "x = 1\n"}, "COPY app/serve.py app/", "1 file as committed, compiled by"),
        ({"app/sub/x.py": "x = 1\n", "lib/y.py": "y = 1\n"}, "COPY a* ./app/\nCOPY lib /opt/lib", "4 files as committed, 3 compiled by"),
    ],
)  # fmt: skip
def test_what_the_image_need_not_have(web: Project, files: dict[str, str], copies: str, count: str) -> None:
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write({"Dockerfile": dockerfile.replace("COPY . .", copies), **files})
    web.commit()

    found = deployed(web, build_local=True, skip_start="the image is asked for")

    assert found.outcomes is not None
    one = next(one for one in found.outcomes if one.step == "verify-image")
    assert (one.verdict, one.words.startswith(count)) == ("ok", True), one.words


@pytest.mark.parametrize("allow_dirty", [False, True])
def test_an_image_of_a_commit_need_not_have_untracked_files(web: Project, *, allow_dirty: bool) -> None:
    web.write({"app/scratch.py": "x = 1\n"})

    found = deployed(web, build_local=True, skip_start="the image is asked for", allow_dirty=allow_dirty)

    assert found.outcomes is not None
    assert verdicts(found)["verify-image"] == "ok", _bad(found)


def test_what_is_not_sent_may_be_absent_and_nothing_else(web: Project, google: Callable[..., Emulator]) -> None:
    """An ignore rule explains that a file is missing in the image, and never that another one is there."""
    google()
    dockerfile = (web.path / "Dockerfile").read_text()
    web.write({".gcloudignore": "extra/\n", "extra/a.py": "x = 1\n"})
    web.commit()
    assert deployed(web, build_local=True).exit_code == 0
    web.write({"Dockerfile": dockerfile.replace("CMD", "RUN mkdir extra && echo 'x = 9' > extra/a.py\nCMD")})
    web.commit()

    found = deployed(web, build_local=True)

    assert found.exit_code == 1
    assert _bad(found)[0] == "verify-image"
    assert "extra/a.py" in _bad(found)[1]


# ------------------------------------------------------------------------------------------ verify commands


@pytest.mark.parametrize(
    ("command", "verdict", "words"),
    [
        ("python3 -m unittest discover -s e2e", "ok", "1 test passed"),
        ("echo '===== 3 passed in 1.00s ====='", "failed", "it ran no test"),
        ("echo '<testsuite><testcase/><testcase/></testsuite>' > $BUILDGUARD_JUNIT", "ok", "2 tests passed"),
        ("echo '===== 1 failed, 2 passed in 1.00s ====='; false", "failed", "status 1"),
        ("echo '===== 1 failed, 2 passed in 1.00s ====='", "failed", "one of its runs failed"),
        ("echo '===== no tests ran in 0.01s ====='", "failed", "it ran no test"),
        ("true", "unproven", "whether it ran any test is unknown"),
    ],
)
def test_verify_commands(
    site: Project, google: Callable[..., Emulator], command: str, verdict: str, words: str
) -> None:
    google()
    site.write(
        {
            "e2e/test_it.py": (
                "import os, unittest, urllib.request\n"
                "class Test(unittest.TestCase):\n"
                "    def test_it_is_the_candidate(self):\n"
                "        with urllib.request.urlopen(os.environ['BUILDGUARD_URL']) as answer:\n"
                "            self.assertEqual(answer.read().decode(), os.environ['BUILDGUARD_REVISION'])\n"
            ),
            ".gcloudignore": "e2e/\n",
        }
    )
    site.commit()
    first = deployed(site, build_local=True)
    toml = (site.path / "buildguard.toml").read_text()
    site.write({"buildguard.toml": f"{toml}verify = [{json.dumps(command)}]\n"})
    site.commit()

    found = deployed(site, build_local=True)

    assert found.outcomes is not None
    one = next(one for one in found.outcomes if one.step == "verify")
    assert (one.verdict, words in one.words) == (verdict, True), one.words
    assert (_sole() == found.revision) == (verdict == "ok")
    assert (_sole() == first.revision) == (verdict != "ok")


# ------------------------------------------------------------------------------------------ the service


def test_a_revision_that_does_not_come_up_costs_nobody_anything(site: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    first = deployed(site, build_local=True)
    _change(site)
    emulator.faults.add("revision-not-ready")

    found = deployed(site, build_local=True)

    assert found.exit_code == 1
    assert _bad(found)[0] == "revision"
    assert _sole() == first.revision


def test_a_first_revision_that_did_not_come_up_is_no_obstacle(site: Project, google: Callable[..., Emulator]) -> None:
    """The service is there then, and nothing serves."""
    google("revision-not-ready=1")
    first = deployed(site, build_local=True)
    assert (first.exit_code, _bad(first)[0], _sole()) == (1, "revision", "")

    found = deployed(site, build_local=True)

    assert found.exit_code == 0, as_text(found)
    assert _sole() == found.revision
    assert requests.get(found.url, timeout=60).text == found.revision


def test_where_nothing_ever_came_up_nobody_says_that_no_traffic_moves(
    site: Project, google: Callable[..., Emulator]
) -> None:
    """A service that is there and serves nothing gives the next revision all traffic as it comes up."""
    google("revision-not-ready=1")
    deployed(site, build_local=True)

    refused = deployed(site, build_local=True, no_traffic=True)
    planned = plan_deploy(DeployRequest(cwd=site.path, build_local=True)).plan

    assert (refused.exit_code, _sole()) == (1, "")
    assert any("gets its traffic at once" in one for one in refused.plan.refusals)
    assert any("no revision of the service ever came up" in one for one in planned.notes)
    assert {one.id: one.will for one in planned.steps}[DeployStep.REVISION].endswith("as the service's first")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(DeployInterruptedError, match="may have 100 %"):
        deployed(site, build_local=True, watcher=Meanwhile("health", interrupt))
    assert _sole() != ""


def test_traffic_that_somebody_pinned_is_no_success(site: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    first = deployed(site, build_local=True)
    _change(site)
    emulator.faults.add("traffic-pinned")

    found = deployed(site, build_local=True)

    assert found.exit_code != 0
    assert _sole() == first.revision


def test_a_change_of_somebody_elses_is_not_written_over(site: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    first = deployed(site, build_local=True)
    _change(site)
    emulator.faults.add("etag-conflict=1")

    found = deployed(site, build_local=True)

    assert found.exit_code == 3
    assert "the service was changed meanwhile" in _bad(found)[1]
    assert _sole() == first.revision


def test_without_traffic_the_candidate_waits_under_its_tag(site: Project, google: Callable[..., Emulator]) -> None:
    google()
    first = deployed(site, build_local=True)
    _change(site)

    found = deployed(site, build_local=True, no_traffic=True)

    assert found.exit_code == 0
    assert _sole() == first.revision
    assert requests.get(found.url, timeout=60).text == found.revision
    # what --no-traffic pinned is no obstacle to the next deploy
    _change(site, "x = 3\n")
    after = deployed(site, build_local=True)
    assert after.exit_code == 0, as_text(after)
    assert _sole() == after.revision


@pytest.mark.parametrize("step", ["check", "archive"])
def test_the_next_commit_is_none_of_this_deploys_business(
    site: Project, google: Callable[..., Emulator], step: str
) -> None:
    """Builds take minutes, and no one waits for them: what is deployed is the commit that was HEAD at the start."""
    google()

    _goes_on(site, step)


def test_the_next_commit_is_none_of_this_images_business(web: Project, google: Callable[..., Emulator]) -> None:
    """Compared with the image is the commit that was HEAD at the start."""
    google()

    _goes_on(web, "verify-image")


def _goes_on(project: Project, step: str) -> None:
    found = deployed(project, build_local=True, watcher=Meanwhile(step, lambda: _change(project, "x = (\n")))

    assert found.exit_code == 0, as_text(found)
    assert found.last is not None
    assert found.last.step == "prove"


def test_a_dirty_tree_may_be_edited_on(web: Project, google: Callable[..., Emulator]) -> None:
    """Compared with the image is what was packed, and not what the tree has become since."""
    google()
    web.write({"app/other.py": "x = 5\n"})

    found = deployed(
        web,
        build_local=True,
        allow_dirty=True,
        watcher=Meanwhile("build", lambda: web.write({"app/other.py": "x = 6\n"})),
    )

    assert found.exit_code == 0, as_text(found)


def test_other_peoples_tags_stay(site: Project, google: Callable[..., Emulator]) -> None:
    google()
    first = deployed(site, build_local=True)
    with CloudRunClient() as run:
        run.route("web", [TrafficShare(first.revision, 100, "staging")])
    _change(site)

    found = deployed(site, build_local=True)

    assert found.exit_code == 0, as_text(found)
    with CloudRunClient() as run:
        there = run.get("web")
    assert there is not None
    assert there.only_revision == found.revision
    tags = {one.tag: (one.revision, one.percent) for one in there.observed if one.tag}
    assert tags["staging"] == (first.revision, 0)


def test_a_change_in_the_middle_of_the_traffic_is_not_written_over(
    site: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    google()
    first = deployed(site, build_local=True)
    _change(site)
    route = CloudRunClient.route
    calls: list[int] = []

    def meddled(self: CloudRunClient, service: str, shares: list[TrafficShare], etag: str = "") -> object:
        calls.append(1)
        if len(calls) == 2:
            route(self, service, [TrafficShare(first.revision, 100)])
        return route(self, service, shares, etag)

    monkeypatch.setattr(CloudRunClient, "route", meddled)

    found = deployed(site, build_local=True)

    assert found.exit_code == 3
    assert found.last is not None
    assert (found.last.step, "left as it is now" in found.last.words) == ("traffic", True)
    assert _sole() == first.revision


@pytest.mark.parametrize("step", ["traffic", "prove"])
def test_it_is_said_who_may_serve_where_the_traffic_was_moved_by_others(
    site: Project, google: Callable[..., Emulator], step: str
) -> None:
    """The last line does not say that the old revision serves as before: the new one may have a part of it."""
    google()
    first = deployed(site, build_local=True)
    _change(site)

    def divide() -> None:
        with CloudRunClient() as run:
            new = run.revisions("web")[0].name
            run.route("web", [TrafficShare(first.revision, 20), TrafficShare(new, 80)])

    found = deployed(site, build_local=True, watcher=Meanwhile(step, divide))

    assert found.exit_code in {1, 3}
    assert found.last is not None
    assert found.last.step == step
    last = unstyle(as_text(found).splitlines()[-1])
    assert f"; the traffic now: 20 % {first.revision}, 80 % {found.revision}; to go back: buildguard rollback" in last


def test_without_a_certain_way_back_all_traffic_moves_at_once(site: Project, google: Callable[..., Emulator]) -> None:
    """Two revisions that a person made with another tool share the traffic: no one had it alone that we know of."""
    google()
    first = deployed(site, build_local=True)
    with CloudRunClient() as run:
        run.candidate("web", run.revision("web", first.revision).image, NewRevision("web-00002-abc", "theirs"))
        run.route("web", [TrafficShare(first.revision, 50), TrafficShare("web-00002-abc", 50)])
    _change(site)

    found = deployed(site, build_local=True)

    assert found.exit_code == 0, as_text(found)
    assert "no revision has all the traffic now, so there is no certain way back" in found.plan.notes
    assert [one.will for one in found.plan.steps if one.id == "traffic"] == [
        "move traffic to it: 100 %; its health is checked after each step"
    ]
    assert [one.words for one in found.outcomes or () if one.step == "traffic"] == [f"100 % on {found.revision}"]
    assert _sole() == found.revision


@pytest.mark.parametrize("back", [True, False])
def test_ctrl_c_in_the_middle_of_the_traffic_says_who_has_it(
    site: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, *, back: bool
) -> None:
    google()
    first = deployed(site, build_local=True)
    _change(site)
    route = CloudRunClient.route

    def interrupted(self: CloudRunClient, service: str, shares: list[TrafficShare], etag: str = "") -> ServiceState:
        done = route(self, service, shares, etag)
        if len(shares) == 2:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(CloudRunClient, "route", interrupted)
        with pytest.raises(
            DeployInterruptedError, match=r"at the step traffic: web-bg-.* may have 50 % of the traffic"
        ) as caught:
            deployed(site, build_local=True)

    assert caught.value.exit_code == 130
    with CloudRunClient() as run:
        there = run.get("web")
    assert there is not None
    assert f"50 % {first.revision}" in there.describe_traffic
    if back:
        told = site.run(*caught.value.hint.split("`")[3].split()[1:])
        assert told.code == 0, told.err
        assert _sole() == first.revision
    else:
        again = deployed(site, build_local=True)
        assert again.exit_code == 0, as_text(again)
        assert _sole() == again.revision
        assert again.plan.serving.rollback_to == first.revision
        assert any(f"{first.revision} had all of it before" in note for note in again.plan.notes)
        assert [one.words for one in again.outcomes or () if one.step == "traffic"] == [
            f"50 %, 100 % on {again.revision}"
        ]


@pytest.mark.parametrize(("step", "says"), [("start", "no traffic was moved"), ("prove", "may have 100 %")])
def test_ctrl_c_says_where_it_struck(site: Project, google: Callable[..., Emulator], step: str, says: str) -> None:
    google()
    deployed(site, build_local=True)
    _change(site)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(DeployInterruptedError, match=f"interrupted at the step {step}") as caught:
        deployed(site, build_local=True, watcher=Meanwhile(step, interrupt))

    assert (says in caught.value.what, caught.value.exit_code) == (True, 130)


def test_rollback_goes_to_the_last_that_served_alone(site: Project, google: Callable[..., Emulator]) -> None:
    google()
    with pytest.raises(Exception, match="no service web"):
        rollback(DeployRequest(cwd=site.path), "", Watcher())
    first = deployed(site, build_local=True)
    with pytest.raises(UnprovenError, match="not certain"):
        rollback(DeployRequest(cwd=site.path), "", Watcher())
    _change(site)
    second = deployed(site, build_local=True)

    back = rollback(DeployRequest(cwd=site.path), "", Watcher())

    assert (back.before, back.revision) == (second.revision, first.revision)
    assert requests.get(back.url, timeout=60).text == first.revision == _sole()
    named = site.run("rollback", "--revision", second.revision)
    assert named.code == 0, named.err
    assert _sole() == second.revision
    with CloudRunClient() as run:
        run.route("web", [TrafficShare(first.revision, 50), TrafficShare(second.revision, 50)])
    split = rollback(DeployRequest(cwd=site.path), second.revision, Watcher())
    assert split.before == ""
