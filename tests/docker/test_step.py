"""The step as Cloud Build runs it: in real containers of each base image, with a workspace and a place for outputs."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from buildguard.project.cloudbuild import guard_step as step
from tests import images
from tests.compare import damage
from tests.compare.damage import DAMAGES, Damage
from tests.conftest import CASES, sample
from tests.remote.running import FLAGS, carry, install, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.conftest import Project

pytestmark = pytest.mark.usefixtures("engine")


class Ended(NamedTuple):
    """A step's status, its log, and what it wrote to $BUILDER_OUTPUT."""

    code: int
    log: str
    answer: dict[str, Any]


def run_step(
    image: str, entrypoint: str, args: Sequence[str], workspace: Path, env: Mapping[str, str] | None = None
) -> Ended:
    """One step: the image's program over a copy of the workspace, without network, as root, like Cloud Build's."""
    api = images.api()
    made = api.create_container(
        image,
        entrypoint=[entrypoint],
        command=[one.replace("$$", "$") for one in args],
        working_dir="/workspace",
        environment={"BUILDER_OUTPUT": "/builder/outputs", "HOME": "/builder/home", **(env or {})},
        user="0",
        host_config=api.create_host_config(network_mode="none"),
    )["Id"]
    try:
        api.put_archive(made, "/", _packed(workspace))
        api.start(made)
        code = api.wait(made, timeout=300)["StatusCode"]
        log = api.logs(made).decode()
        return Ended(code, log, _answer(api, made))
    finally:
        api.remove_container(made, force=True)


def _packed(workspace: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(workspace, "workspace")
        for name in ("builder/outputs", "builder/home", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
    return packed.getvalue()


def _answer(api: Any, container: str) -> dict[str, Any]:
    import docker

    try:
        chunks, _stat = api.get_archive(container, "/builder/outputs/output")
    except docker.errors.NotFound:
        return {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        found = tar.extractfile("output")
        assert found is not None
        answer: dict[str, Any] = json.loads(found.read())
        return answer


def test_the_verdicts_of_check_in_each_base_image(project: Callable[..., Project], version: str) -> None:
    import shutil

    made = project()
    shutil.copytree(CASES / "syntax", made.path, dirs_exist_ok=True)
    report = made.check("--image", images.base(version), "--ignore", "BG2", "--no-cache").json
    code = install(made.path)

    ended = run_step(images.base(version), "python3", [*FLAGS, code], made.path)

    fields = ("path", "code", "line", "column", "message")
    refused = {tuple(one[key] for key in fields) for one in report["diagnostics"] if one["code"] in {"BG101", "BG103"}}
    assert len(refused) > 40
    assert {
        tuple(one[key] for key in fields) for one in ended.answer["diagnostics"] if one["code"] != "BG102"
    } == refused
    assert ended.answer["interpreter"] == report["targets"][0]["interpreter"]
    assert ended.code == 1
    assert ended.answer["unproven"] == []


@pytest.fixture(scope="module")
def minimal(engine_address: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_address)
        return images.debian_minimal(tmp_path_factory.mktemp("minimal"))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    damage.fill(made)
    return made


def test_debians_minimal_python(minimal: str, workspace: Path) -> None:
    digest = carry(workspace)
    code = install(workspace)

    clean = run_step(minimal, "python3", [*FLAGS, code], workspace, {step.VARIABLE: digest})
    (workspace / "app/one.py").write_text('f"{d["x"]}"\n')
    broken = run_step(minimal, "python3", [*FLAGS, code], workspace, {step.VARIABLE: digest})

    assert clean.code == 0, clean.log
    assert clean.answer["identical"] is True
    assert broken.code == 1
    assert [(one["code"], one["path"]) for one in broken.answer["differences"]] == [("BG303", "app/one.py")]
    assert [(one["code"], one["path"]) for one in broken.answer["diagnostics"]] == [("BG101", "app/one.py")]


def test_an_image_without_a_shell(workspace: Path) -> None:
    tag = images.assemble(f"{images.REPOSITORY}/shellless:3.11", "3.11", shell=False)

    ended = run_step(tag, "python3", [*FLAGS, install(workspace)], workspace)

    assert ended.code == 0, ended.log


# each of them is named without a container in tests/remote/test_build_step.py
@pytest.mark.parametrize("one", sample(DAMAGES, 6), ids=lambda one: one.name.replace(" ", "-"))
def test_damage_in_a_container(workspace: Path, one: Damage) -> None:
    digest = carry(workspace)
    code = install(workspace)
    one.do(workspace)

    ended = run_step(images.base("3.11"), "python3", [*FLAGS, code], workspace, {step.VARIABLE: digest})

    assert ended.code == 1
    named = {row["path"] for row in ended.answer["differences"]}
    assert named == {
        path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for path in one.expected
    }


# ------------------------------------------------------------------------------------------ without Python


@pytest.fixture
def bare(engine: str) -> str:
    """Busybox alone: an image with a shell and `sha256sum`, and no Python."""
    with images.Rootfs() as rootfs:
        rootfs.busybox()
        for applet in ("sha256sum", "tr", "sed", "grep", "echo", "["):
            rootfs.link(f"bin/{applet}", "busybox")
        return rootfs.become(f"{images.REPOSITORY}/bare:1", ["ENV PATH=/bin"])


def test_without_python_the_bytes_are_proven(bare: str, tmp_path: Path) -> None:
    damage.repository(tmp_path / "repo")
    (tmp_path / "repo/line\nbreak.txt").unlink()  # BusyBox reads one name a line
    damage.git(tmp_path / "repo", "commit", "--quiet", "--all", "--message", "no odd name")
    workspace = tmp_path / "workspace"
    digest = unpacked(tmp_path / "repo", workspace)
    args, env = ["-c", step.WITHOUT_PYTHON], {step.VARIABLE: digest}

    clean = run_step(bare, "sh", args, workspace, env)
    (workspace / "app/main.py").write_bytes(b"import os\n")
    changed = run_step(bare, "sh", args, workspace, env)
    (workspace / "app/main.py").unlink()
    gone = run_step(bare, "sh", args, workspace, env)
    (workspace / ".buildguard/manifest").write_bytes(b"")
    emptied = run_step(bare, "sh", args, workspace, env)
    alone = run_step(bare, "sh", args, workspace)

    assert clean.code == 0, clean.log
    assert "none was compiled" in clean.log
    assert (changed.code, gone.code, emptied.code, alone.code) == (1, 1, 1, 3)
    assert "./app/main.py: FAILED" in changed.log
    assert "unproven" in alone.log
