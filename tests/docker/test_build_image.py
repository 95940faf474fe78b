"""An image from an archive by the classic builder: where it is unpacked, what is reported, and how it fails."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.docker import build_image
from buildguard.docker.build_image import BuildFailedError, DockerfileBuild
from buildguard.errors import UnprovenError
from buildguard.system import process, programs
from buildguard.system.process import ProcessResult
from tests.docker.fakes import daemon_of, tar_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A project with its Dockerfile in a folder of its own."""
    file = tmp_path / "source.tar"
    file.write_bytes(tar_of({"svc/Dockerfile": b"FROM scratch\n", "svc/main.py": b"x = 1\n"}))
    return file


@pytest.fixture
def classic(monkeypatch: pytest.MonkeyPatch) -> None:
    """No docker CLI on this machine."""
    monkeypatch.setattr(programs, "several", lambda *_arguments: iter(()))


def _events(*events: dict[str, Any]) -> Callable[..., Any]:
    def build(**options: Any) -> Any:
        assert (Path(options["path"]) / "main.py").read_bytes() == b"x = 1\n"
        assert Path(options["dockerfile"]).read_bytes() == b"FROM scratch\n"
        assert (options["tag"], options["platform"]) == ("app:1", "linux/amd64")
        return iter(events)

    return build


@pytest.mark.usefixtures("classic")
def test_a_build_runs_on_the_unpacked_archive_and_returns_its_id(archive: Path) -> None:
    said: list[str] = []
    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")
    events = _events({"stream": "Step 1/1\n"}, {"stream": "\n"}, {"aux": {"ID": "sha256:1"}}, {"stream": "done\n"})

    assert build.build(daemon_of(build=events), "app:1", said.append) == "sha256:1"
    assert said[1:] == ["Step 1/1", "done"]


@pytest.mark.usefixtures("classic")
def test_a_failing_step_is_the_projects_own_with_the_end_of_its_log(archive: Path) -> None:
    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")
    log = [{"stream": f"line {number}\n"} for number in range(100)]

    with pytest.raises(BuildFailedError, match="returned a non-zero code: 1") as caught:
        build.build(daemon_of(build=_events(*log, {"error": "returned a non-zero code: 1"})), "app:1", print)

    assert caught.value.exit_code == 1
    assert caught.value.log.splitlines() == [b"line %d" % number for number in range(60, 100)]


@pytest.mark.usefixtures("classic")
def test_a_builder_without_a_result_proves_nothing(archive: Path) -> None:
    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")

    with pytest.raises(UnprovenError, match="image"):
        build.build(daemon_of(build=_events({"stream": "done\n"})), "app:1", print)


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
@pytest.mark.parametrize("has_filters", [True, False])
@pytest.mark.parametrize("name", ["../out.py", "link/out.py"])
def test_nothing_is_unpacked_beside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, has_filters: bool
) -> None:
    if not has_filters:  # as before Python 3.11.4
        monkeypatch.delattr(tarfile, "tar_filter", raising=False)
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo(name))

    with pytest.raises(UnprovenError):
        DockerfileBuild(tmp_path / "evil.tar", "Dockerfile", "", "linux/amd64").build(daemon_of(), "a:1", str)

    assert list(outside.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")  # of what 3.11.0 does without a word
def test_an_archive_is_unpacked_by_every_patch_release(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tarfile, "tar_filter", raising=False)

    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")

    assert (build._context / "main.py").read_bytes() == b"x = 1\n"


def test_a_damaged_archive_is_unproven(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"not a tar")

    with pytest.raises(UnprovenError, match="cannot be unpacked"):
        DockerfileBuild(tmp_path / "bad.tar", "Dockerfile", "", "linux/amd64")


@pytest.mark.parametrize(
    ("plugin", "version", "builder"),
    [(0, b"", "BuildKit"), (1, b"20.10.7\n", "BuildKit"), (1, b"24.0.1\n", "classic"), (1, b"nonsense", "classic")],
)
def test_a_docker_cli_builds_where_it_has_buildkit(
    archive: Path, monkeypatch: pytest.MonkeyPatch, plugin: int, version: bytes, builder: str
) -> None:
    def run(argv: list[str], **options: Any) -> ProcessResult:
        assert options["env"]["DOCKER_HOST"] == "unix:///nowhere.sock"
        if argv[1] == "buildx":
            return ProcessResult((), plugin, b"", b"")
        if argv[1] == "version":
            return ProcessResult((), 0, version, b"")
        Path(argv[argv.index("--iidfile") + 1]).write_text("sha256:cli\n", "utf-8")
        return ProcessResult((), 0, b"", b"#1 done\n")

    monkeypatch.setattr(programs, "several", lambda *_arguments: iter(["/usr/bin/docker"]))
    monkeypatch.setattr(process, "run", run)
    said: list[str] = []
    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")

    identity = build.build(daemon_of(build=_events({"aux": {"ID": "sha256:classic"}})), "app:1", said.append)

    assert builder in said[0]
    assert identity == ("sha256:cli" if builder == "BuildKit" else "sha256:classic")


def test_a_failing_docker_cli_leaves_no_id_behind(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_image, "_with_buildkit", lambda _daemon: "/usr/bin/docker")
    monkeypatch.setattr(process, "run", lambda *_a, **_k: ProcessResult((), 17, b"", b"#2 ERROR: exit 1\n"))
    build = DockerfileBuild(archive, "svc/Dockerfile", "svc", "linux/amd64")

    with pytest.raises(BuildFailedError, match="status 17") as caught:
        build.build(daemon_of(), "app:1", print)

    assert caught.value.log == b"#2 ERROR: exit 1"
