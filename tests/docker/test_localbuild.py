"""Builds on the real engine, as Cloud Build runs them: workspace, folders, order, limits, outputs, and nothing left behind."""

from __future__ import annotations

import io
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.docker import client
from buildguard.docker.run_steps import BuildEnvironment, BuildResult, LocalBuild
from buildguard.project.cloudbuild.steps import plan_build_steps
from tests import images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from buildguard.docker.client import Daemon

pytestmark = pytest.mark.usefixtures("spotless")


@pytest.fixture
def engine_daemon(engine: str) -> Iterator[Daemon]:
    made = client.connect()
    yield made
    made.close()


def _tar(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def _ran(
    engine: Daemon, build: Mapping[str, Any], files: Mapping[str, str | bytes] | None = None, **secrets: str
) -> tuple[BuildResult, list[str], dict[str, bytes]]:
    """The result of a build, its log, and the workspace that it left."""
    log: list[str] = []
    made = LocalBuild(
        engine,
        plan_build_steps(build, {"BUILD_ID": "b-1", "PROJECT_ID": "acme"}),
        BuildEnvironment(log.append, secrets),
    )
    with made.workspace([_tar(files or {"a.txt": "a\n"})]):
        result = made.run()
        with tarfile.open(fileobj=io.BytesIO(b"".join(made.files()))) as tar:
            left = {one.name.removeprefix("workspace/"): tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]
    return result, log, left


def _sh(text: str, **fields: Any) -> dict[str, Any]:
    return {"name": images.base("3.11"), "script": text, **fields}


def test_steps_share_the_workspace_and_their_home(engine_daemon: Daemon) -> None:
    result, log, left = _ran(
        engine_daemon,
        {
            "steps": [
                _sh("pwd; cat a.txt; echo made > b.txt; echo kept > $HOME/kept", id="one"),
                _sh(
                    "pwd; cat ../b.txt $HOME/kept; printf '%s' $A$_B", dir="sub", env=["A=1"], automapSubstitutions=True
                ),
                {
                    "name": images.base("3.11"),
                    "entrypoint": "python3",
                    "args": ["-c", "print('$_B', '$BUILD_ID', '$$x')"],
                },
            ],
            "substitutions": {"_B": "2"},
        },
        {"a.txt": "source\n", "sub/x": ""},
    )

    assert result.status == "SUCCESS", log
    assert 'Step #0 - "one": /workspace' in log
    assert 'Step #0 - "one": source' in log
    assert "Step #1: /workspace/sub" in log
    assert {"Step #1: made", "Step #1: kept", "Step #1: 12", "Step #2: 2 b-1 $x"} <= set(log)
    assert left == {"a.txt": b"source\n", "sub/x": b"", "b.txt": b"made\n"}


def test_outputs_and_the_image_that_ran(engine_daemon: Daemon) -> None:
    result, _log, _left = _ran(
        engine_daemon,
        {
            "steps": [
                _sh("echo answer > $BUILDER_OUTPUT/output"),
                _sh("head -c 60000 /dev/zero > $BUILDER_OUTPUT/output"),
                _sh("true"),
            ]
        },
    )

    assert result.steps[0].output == b"answer\n"
    assert len(result.steps[1].output) == 50_000
    assert result.steps[2].output == b""
    assert result.steps[0].image == images.api().inspect_image(images.base("3.11"))["Id"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "FAILURE"),
        ({"allowFailure": True}, "SUCCESS"),
        ({"allowExitCodes": [3]}, "SUCCESS"),
        ({"allowExitCodes": [4], "allowFailure": True}, "FAILURE"),
    ],
)
def test_a_step_that_fails(engine_daemon: Daemon, fields: dict[str, Any], status: str) -> None:
    result, log, _left = _ran(engine_daemon, {"steps": [_sh("exit 3", **fields), _sh("echo after")]})

    assert result.status == status
    assert result.steps[0].code == 3
    assert ("Step #1: after" in log) == (status == "SUCCESS")
    if status == "FAILURE":
        assert result.steps[1].status == "QUEUED"
        assert "non-zero status: 3" in result.detail


def test_order_and_steps_side_by_side(engine_daemon: Daemon) -> None:
    wait = "i=0; while [ ! -e {0} ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; [ -e {0} ]"
    result, log, _left = _ran(
        engine_daemon,
        {
            "steps": [
                _sh(f"touch first; {wait.format('second')}", id="a", waitFor=["-"]),
                _sh(f"touch second; {wait.format('first')}", id="b", waitFor=["-"]),
                _sh("[ -e first ] && [ -e second ]", waitFor=["a", "b"]),
            ]
        },
    )

    assert result.status == "SUCCESS", (result, log)


def test_limits_of_a_step_and_of_the_build(engine_daemon: Daemon) -> None:
    started = time.monotonic()

    step, _log, _left = _ran(engine_daemon, {"steps": [_sh("sleep 1000", timeout="1s"), _sh("true")]})
    build, _log, _left = _ran(engine_daemon, {"steps": [_sh("sleep 1000")], "timeout": "1s"})

    assert step.status == "TIMEOUT"
    assert build.status == "TIMEOUT"
    assert time.monotonic() - started < 300


def test_volumes_and_secrets(engine_daemon: Daemon) -> None:
    volumes = [{"name": "shared", "path": "/shared"}]
    result, log, _left = _ran(
        engine_daemon,
        {
            "steps": [
                _sh("echo $TOKEN > /shared/x", volumes=volumes, secretEnv=["TOKEN"]),
                _sh("cat /shared/x; echo [$TOKEN]", volumes=volumes),
            ]
        },
        TOKEN="value",
    )

    assert result.status == "SUCCESS", log
    assert {"Step #1: value", "Step #1: []"} <= set(log)


def test_an_image_that_is_not_there(engine_daemon: Daemon) -> None:
    result, log, _left = _ran(engine_daemon, {"steps": [_sh("true"), {"name": "localhost:1/nothing:1"}]})

    assert result.status == "INTERNAL_ERROR"
    assert any("localhost:1/nothing:1" in line for line in log)


def test_shebangs_and_shells(engine_daemon: Daemon) -> None:
    result, log, _left = _ran(
        engine_daemon,
        {"steps": [_sh("#!/usr/local/bin/python3\nimport sys\nprint(sys.version_info[1])\n"), _sh("echo $0")]},
    )

    assert result.status == "SUCCESS", log
    assert "Step #0: 11" in log


def test_what_a_build_leaves_is_removed(engine_daemon: Daemon) -> None:
    made = LocalBuild(
        engine_daemon, plan_build_steps({"steps": [_sh("touch x")]}, {}), BuildEnvironment(lambda _line: None)
    )

    def volumes() -> list[str]:
        return [one["Name"] for one in images.api().volumes()["Volumes"] or [] if one["Name"].startswith(made._name)]

    with made.workspace([_tar({"a": ""})]):
        made.run()
        assert len(volumes()) == 2
    assert volumes() == []
