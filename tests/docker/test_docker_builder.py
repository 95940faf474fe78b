"""The docker builder's steps without its image: what they ask for is done, and nothing outside of the workspace is read."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import docker
import pytest

from buildguard.docker import client
from buildguard.docker.build_image import DockerfileOptions
from buildguard.docker.docker_builder import DockerBuilder, DockerCommand, read_command
from buildguard.project.cloudbuild.steps import BuildStep, plan_build_steps
from tests import images

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUILDER = "gcr.io/cloud-builders/docker"
_MADE = f"{images.REPOSITORY}/made-by-step"


def _step(*args: str, **fields: Any) -> BuildStep:
    return plan_build_steps({"steps": [{"name": _BUILDER, "args": list(args), **fields}]}, {}).steps[0]


def test_a_build_is_read_with_its_options() -> None:
    step = _step(
        *(
            "build",
            "--network",
            "cloudbuild",
            "-t",
            "a:1",
            "--tag=b:2",
            "--build-arg",
            "X",
            "--build-arg=Y=2",
            "--no-cache",
        ),
        *("-f", "api/Dockerfile", "--target", "run", "."),
        env=["X=1"],
        dir="shop",
    )

    options = DockerfileOptions({"X": "1", "Y": "2"}, {}, "run", no_cache=True)
    wanted = DockerCommand("build", ("a:1", "b:2"), "workspace/shop", "workspace/shop/api/Dockerfile", options)
    assert read_command(step) == wanted
    assert options.argv == ["--build-arg=X=1", "--build-arg=Y=2", "--target=run", "--no-cache"]


@pytest.mark.parametrize(
    ("args", "names"), [(("tag", "a", "b"), ("a", "b")), (("push", "a"), ("a",)), (("pull", "a:1"), ("a:1",))]
)
def test_tag_push_and_pull_are_read(args: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert read_command(_step(*args)) == DockerCommand(args[0], names)
    assert read_command(_step(*args, entrypoint="docker")) == DockerCommand(args[0], names)


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (("run", "a"), {}),
        (("push", "--all-tags", "a"), {}),
        (("build", "--secret", "id=x", "."), {}),
        (("build", "--ssh=default", "."), {}),
        (("build", "/"), {}),
        (("build", ".."), {}),
        (("build", "-f", "../../etc/passwd", "."), {}),
        (("build", "https://example.com/x.git"), {}),
        (("build", "-"), {}),
        (("build", "--net", "host", "."), {}),
        (("-c", "docker build ."), {"entrypoint": "bash"}),
        ((), {"script": "docker build ."}),
        (("build", "."), {"name": "example.com/docker"}),
    ],
)
def test_what_only_the_builder_itself_can_do_is_left_to_it(args: tuple[str, ...], fields: Mapping[str, Any]) -> None:
    assert read_command(_step(*args, **fields)) is None


def _workspace(files: Mapping[str, str], links: Mapping[str, str] = {}) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"workspace/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        for name, target in links.items():
            info = tarfile.TarInfo(f"workspace/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return [buffer.getvalue()]


def test_a_link_out_of_the_workspace_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(DockerBuilder, "_remember", lambda _self, _name: None)
    builder = DockerBuilder(None, "linux/amd64", None)  # type: ignore[arg-type]  # it is not come to
    for command in (
        DockerCommand("build", ("a",), "workspace/all", "workspace/Dockerfile"),
        DockerCommand("build", ("a",), "workspace", "workspace/all/etc/passwd"),
    ):
        workspace = _workspace({"Dockerfile": "FROM scratch\n"}, {"all": "/"})
        assert builder.run(command, lambda: workspace, said.append) == 1  # noqa: B023  it is called at once

    assert [line.rpartition(" is ")[2] for line in said] == ["a link out of the source"] * 2


def _ids(names: list[str]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(str(images.api().inspect_image(name)["Id"]))
        except docker.errors.ImageNotFound:
            found.append("")
    return found


@pytest.mark.usefixtures("engine")
def test_names_are_given_and_taken_back() -> None:
    base = images.base("3.11")
    names = [f"{_MADE}:1", f"{_MADE}:2", f"{_MADE}:old"]
    images.api().tag(base, _MADE, "old")
    before = _ids(names)
    daemon = client.connect()
    said: list[str] = []
    try:
        builder = DockerBuilder(daemon, "linux/amd64", None)
        files = {"Dockerfile": f"FROM {base}\nARG X\nCOPY a /a\nENV X=$X\n", "a": "1"}
        build = DockerCommand(
            "build", tuple(names[:1]), "workspace", "workspace/Dockerfile", DockerfileOptions({"X": "7"})
        )
        assert builder.run(build, lambda: _workspace(files), said.append) == 0, said
        assert builder.run(DockerCommand("tag", (names[0], names[1])), list, said.append) == 0
        assert builder.run(DockerCommand("tag", (names[0], names[2])), list, said.append) == 0
        given = _ids(names)
        described = images.api().inspect_image(names[0])
        wrong = DockerCommand("build", (), "workspace", "workspace/Dockerfile")
        assert builder.run(wrong, lambda: _workspace({"Dockerfile": f"FROM {base}\nCOPY no /\n"}), said.append) == 1
        builder.restore()
        after = _ids(names)
    finally:
        daemon.close()
        images.api().remove_image(names[2])

    assert "X=7" in described["Config"]["Env"]
    assert before[:2] == ["", ""]
    assert len({*given}) == 1
    assert given[0] not in before
    assert after == before


def test_an_engine_in_trouble_is_a_failed_step() -> None:
    class Daemon:
        class api:  # noqa: N801  as docker-py calls it
            @staticmethod
            def tag(*_names: str) -> None:
                raise OSError("gone")

            @staticmethod
            def inspect_image(_name: str) -> None:
                raise docker.errors.NotFound("no")

    said: list[str] = []
    builder = DockerBuilder(Daemon(), "linux/amd64", None)  # type: ignore[arg-type]

    assert builder.run(DockerCommand("tag", ("a", "b")), list, said.append) == 1
    assert "tagging a" in said[0]
