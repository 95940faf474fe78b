"""A deploy from a machine without a container engine: Cloud Build shows, compiles and starts the pushed image."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.compare.image_lookup import ANY_IMAGE
from buildguard.deploy.cloud_image import RUNNER, _RecordedContainer
from buildguard.docker.image_source import ExportedFilesystem
from buildguard.docker.offline_start import AccessResult, EntrypointError, access_command, probe_command
from buildguard.engines.image_driver_script import arguments
from buildguard.errors import UnprovenError
from buildguard.remote import image_driver
from buildguard.stages.archives.tar import TarReader
from tests import images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project


@pytest.fixture
def engineless(web: Project) -> Project:
    """The project on a machine without an engine; the emulator keeps its own."""
    images.api().tag(images.base("3.11"), RUNNER, "latest")
    web.env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    return web


def _steps(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {step["id"]: (step["verdict"], step["words"]) for step in answer["steps"]}


def test_a_deploy_needs_no_container_engine(engineless: Project, google: Callable[..., Emulator]) -> None:
    emulated = google()

    result = engineless.run("deploy", "--yes", "--format", "json")

    assert result.code == 0, "\n".join(map(str, _steps(result.json).items()))
    steps = _steps(result.json)
    assert steps["verify-image"][1].startswith("2 files as committed, compiled by CPython 3.11")
    assert steps["verify-image"][1].endswith("(in Cloud Build)")
    assert steps["start"] == ("ok", steps["start"][1])
    assert "responds with 200" in steps["start"][1]
    assert steps["prove"][0] == "ok"
    assert any("verify-image and start run in Cloud Build" in note for note in result.json["notes"])
    left = [name for (_bucket, name), several in emulated.storage.buckets.objects() if several]
    assert not [name for name in left if name.endswith("files.tar.gz")], "an image is not left in the bucket"


def test_another_source_in_the_image_is_found(engineless: Project, google: Callable[..., Emulator]) -> None:
    google("alter-member=1")

    result = engineless.run("deploy", "--yes", "--format", "json")

    assert result.code == 1
    verdict, words = _steps(result.json)["verify-image"]
    assert verdict == "failed"
    assert "the image does not hold what was committed" in words


def test_a_wrong_bind_is_found(engineless: Project, google: Callable[..., Emulator]) -> None:
    google()
    server = (engineless.path / "app/serve.py").read_text()
    engineless.commit({"app/serve.py": server.replace('HTTPServer(("",', 'HTTPServer(("127.0.0.1",')})

    result = engineless.run("deploy", "--yes", "--format", "json")

    assert result.code == 1
    assert _steps(result.json)["start"][1].startswith("BG502 it listens on 127.0.0.1:8080")


def _exported(tmp_path: Path) -> ExportedFilesystem:
    file = tmp_path / "files.tar"
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("app", "usr", "usr/bin"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name, data, mode in (("app/x.py", b"x = 1\n", 0o644), ("usr/bin/python3.11", b"ELF", 0o755)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
        for name, target, kind in (
            ("bin", "usr/bin", tarfile.SYMTYPE),
            ("usr/bin/python3", "python3.11", tarfile.SYMTYPE),
            ("app/same.py", "app/x.py", tarfile.LNKTYPE),
            ("around", "around", tarfile.SYMTYPE),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    return ExportedFilesystem(file)


def test_exported_files_are_looked_at_as_an_engine_does(tmp_path: Path) -> None:
    with closing(_exported(tmp_path)) as files:
        python = files.stat("/bin/python3")
        assert python is not None
        assert (python.path, python.is_folder, python.is_executable) == ("/usr/bin/python3.11", False, True)
        assert files.stat("/around") is files.stat("/app/none.py") is None
        folder = files.stat("/app")
        assert folder is not None
        assert folder.is_folder
        reader = TarReader(files.tar("/app/."))
        assert {member.path: b"".join(reader.content()) for member in reader} == {
            b"x.py": b"x = 1\n",
            b"same.py": b"x = 1\n",
        }
        (alone,) = TarReader(files.tar("/usr/bin/python3.11"))
        assert alone.path == b"python3.11"


def test_a_cut_export_is_unproven(tmp_path: Path) -> None:
    _exported(tmp_path).close()
    file = tmp_path / "files.tar"
    file.write_bytes(file.read_bytes()[:2000])

    with pytest.raises(UnprovenError, match=r"cut|damaged"):
        ExportedFilesystem(file)


def _seen(seconds: float, ending: str = "", **probe: Any) -> dict[str, Any]:
    words = {"status": None, "responded": False, "listeners": [], "ticks": 1, **probe}
    return {"seconds": seconds, "ending": ending, "probe": "" if ending else json.dumps(words)}


def _late(seconds: float, status: int) -> dict[str, Any]:
    return _seen(seconds, responded=True, status=status, listeners=[["0.0.0.0", 8080]])


@pytest.mark.parametrize(
    ("events", "started", "words"),
    [
        ([_seen(0.2), _seen(0.9, responded=True, status=204, listeners=[["0.0.0.0", 8080]])], True, ""),
        ([_seen(0.9, responded=True, status=204, listeners=[["127.0.0.1", 8080]])], False, "127.0.0.1:8080"),
        ([_seen(0.2), _seen(0.5, "it ended with status 3")], False, "it ended with status 3"),
        ([_seen(0.2), _seen(60.1)], False, ""),
        ([_late(0.9, 503), _late(3.1, 503), _late(4.0, 200)], True, ""),
    ],
)
def test_what_was_seen_there_is_judged_here(events: list[dict[str, Any]], started: bool, words: str) -> None:
    access = json.dumps({"user": 7, "unreadable": [], "unwritable": ["/srv"]})
    container = _RecordedContainer({"refused": "", "log": "bye", "events": events, "access": access}, "", 8080)

    result = container.wait("/", 60, container.clock)

    assert (result.started, "".join((*result.listens_on, result.ending))) == (started, words)
    assert (container.last, container.log()) == (events[-1]["seconds"], b"bye")
    assert container.access(()) == AccessResult(7, (), ("/srv",))


_ANSWER = b"import http.server as h\nh.HTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()\n"


def test_what_the_user_of_an_image_cannot_read_is_seen_there(
    engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_address)
    last = ["RUN chmod 600 /app/key.pem", "WORKDIR /app", "USER 1000", 'CMD ["python3", "/app/serve.py"]']
    files = {"app/serve.py": _ANSWER, "app/key.pem": b""}
    image = images.derived(f"{images.REPOSITORY}/not-root:3.11", images.base("3.11"), files, last)
    monkeypatch.setattr(image_driver, "SOCKET", engine_address.removeprefix("unix://"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / image_driver.RESULTS).mkdir()
    task = {"image": image, "env": [], "command": [], "args": [], "limit": 60}

    image_driver.start(
        {**task, "probe": probe_command("python3", 8080, "/"), "access": access_command("python3", ["/app", "/tmp"])}
    )

    record = json.loads((tmp_path / image_driver.RESULTS / image_driver.START).read_text())
    container = _RecordedContainer(record, "", 8080)
    assert container.wait("/", 60, container.clock).status == 200
    assert container.access(()) == AccessResult(1000, ("/app/key.pem",), ("/app",))


def test_a_program_that_could_not_be_executed_is_named() -> None:
    with pytest.raises(EntrypointError, match="no such file"):
        _RecordedContainer({"refused": "exec: no such file", "log": "", "events": [], "access": ""}, "", 8080)


def test_the_program_travels_in_the_request() -> None:
    words = arguments({"do": "start", "env": ["PRICE=5$"], "probe": ["x" * 9000]})

    assert max(map(len, words)) <= 4000
    text = "".join(words[7:]).replace("$$", "$")
    compile(text, "driver", "exec")
    assert "PRICE=5$" in text


def test_an_engine_that_refuses_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUILDER_OUTPUT", str(tmp_path))
    monkeypatch.setattr(image_driver, "SOCKET", str(tmp_path / "none.sock"))

    assert image_driver.drive({"do": "export", "image": "acme/web@sha256:1"}) == 0

    assert "No such file" in json.loads((tmp_path / "output").read_text())["wrong"]


def test_the_engine_here_is_the_default() -> None:
    assert ANY_IMAGE.source is None
