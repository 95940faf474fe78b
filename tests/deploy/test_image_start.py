"""What is observed when an image starts, and what `check image:REF --start` makes of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buildguard.check.result import CheckReport, Dependencies, ImageReport
from buildguard.codes import Code
from buildguard.deploy import image_start, start
from buildguard.deploy.image_start import prove_start
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity
from buildguard.docker.images import Image
from buildguard.docker.offline_start import AccessResult, EntrypointError, OfflineResult
from buildguard.docker.serve import StartOptions
from buildguard.errors import UnprovenError
from buildguard.load import Project as LoadedProject
from buildguard.project.image_reference import ImageDigest
from buildguard.remote import access_probe
from tests import images
from tests.conftest import Project
from tests.project.memory import empty_project

_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"
_FINE = OfflineResult(True, 2.0, 200, bound=("0.0.0.0:8080", "[::]:8080"), bound_after=1.5, useful_after=2.0)


def _report(**fields: Any) -> CheckReport:
    image = ImageReport("web", "sha256:1", "", "linux/amd64", ("/srv",), "", (), (), Dependencies(0, (), (), ()))
    return CheckReport(".", (), (), (), (), 1, 0.1, image=image)._replace(**fields)


def _prove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: OfflineResult | Exception, log: bytes = b""
) -> tuple[CheckReport, list[StartOptions]]:
    asked: list[StartOptions] = []

    def run(options: StartOptions, _path: str, _limit: float) -> tuple[OfflineResult, bytes]:
        asked.append(options)
        if isinstance(result, Exception):
            raise result
        return result, log

    monkeypatch.setattr("buildguard.system.git.repository_of", lambda _folder: None)
    monkeypatch.setattr(start, "start_here", lambda *_arguments: run)
    image = Image("web", "sha256:1", ImageDigest(""), "linux/amd64", (), "/srv", ("python", "main.py"))
    monkeypatch.setattr("buildguard.docker.client.connect", io.BytesIO)
    monkeypatch.setattr("buildguard.docker.images.find", lambda *_arguments: image)
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    (tmp_path / "main.py").write_text("import os\nA = os.environ['DATABASE_URL'], os.environ['PORT']\n")
    return prove_start(_report(), LoadedProject.load(tmp_path), "image:web", lambda _text: None), asked


def test_what_is_observed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = AccessResult(1000, ("/srv/key.pem",), ("/srv",))

    report, asked = _prove(tmp_path, monkeypatch, _FINE._replace(access=access))

    assert asked[0].env["DATABASE_URL"] == start.STAND_IN
    assert "responds with 200 after 2.0 s; listens on 0.0.0.0:8080, [::]:8080" in report.notes[0]
    assert "its user 1000 cannot read /srv/key.pem" in report.notes[0]
    assert report.start is not None
    assert (report.start["bound_seconds"], report.start["useful_seconds"]) == (1.5, 2.0)
    assert (report.start["user"], report.start["unwritable"]) == (1000, ["/srv"])
    assert report.exit_code == 0


def test_a_port_that_opens_early_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, _asked = _prove(tmp_path, monkeypatch, _FINE._replace(seconds=12.0, useful_after=12.0))

    assert [(each.code, each.severity) for each in report.diagnostics] == [("BG502", Severity.WARNING)]
    assert "10.5 s before it can serve" in report.diagnostics[0].message


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("result", "log", "expected"),
    [
        (OfflineResult(False, 3.0, listens_on=("127.0.0.1:5000",)), b"", (1, "it listens on 127.0.0.1:5000")),
        (OfflineResult(False, 1.0, ending="it ended with status 1"), b"ModuleNotFoundError: No module named 'x'\n", (1, "x")),
        (OfflineResult(False, 1.0, ending="it ended with status 1"), b"could not connect to server\n", (3, "status 1")),
        (EntrypointError("the image has no program 'x'"), b"", (1, "the image has no program 'x'")),
        (UnprovenError("no container engine"), b"", (3, "no container engine")),
    ],
)  # fmt: skip
def test_an_image_that_does_not_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    result: OfflineResult | Exception,
    log: bytes,
    expected: tuple[int, str],
) -> None:
    monkeypatch.setattr("buildguard.deploy.start.STARTS_WITHIN", 1.0)

    report, _asked = _prove(tmp_path, monkeypatch, result, log)

    texts = [*(each.message for each in report.diagnostics), *(each.reason for each in report.unproven)]
    assert report.exit_code == expected[0]
    assert any(expected[1] in text for text in texts), texts


def test_an_image_with_errors_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_start, "images", None)
    error = Diagnostic(Code.BG101, Severity.ERROR, DisplayPath("a.py"), Range(1), "x", "")

    assert prove_start(_report(diagnostics=(error,)), empty_project(), "image:web", print).notes == (
        "not started: 1 error first",
    )
    assert prove_start(_report()._replace(image=None), empty_project(), "image:web", print).start is None


def test_folders_that_a_user_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "closed.py").write_text("")
    monkeypatch.setattr("os.access", lambda path, _mode: not str(path).endswith("closed.py"))

    assert access_probe.unreadable(str(tmp_path)) == [str(tmp_path / "open" / "closed.py")]


_SERVER = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if time.monotonic() - began < {late} else 200)
        self.end_headers()
    def log_message(self, *args):
        pass
began = time.monotonic()
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_an_image_is_started(engine: str, project: Callable[..., Project]) -> None:
    assert engine
    base = images.base("3.11")
    source = _SERVER.format(late=0)
    instructions = ["WORKDIR /srv", "RUN chmod 700 /srv/data", "USER 1234", 'CMD ["python3", "main.py"]']
    reference = images.derived(
        f"{images.REPOSITORY}/observed:3.11", base, {"srv/main.py": source, "srv/data/x": ""}, instructions
    )
    made = project(
        {"Dockerfile": f"FROM {base}\nWORKDIR /srv\nCOPY main.py .\nCMD python3 main.py\n", "main.py": source}
    )

    result = made.run("check", f"image:{reference}:/srv", "--start", "--format", "json")

    observed = result.json["start"]
    assert result.code == 0, result.out
    assert (observed["started"], observed["status"], observed["listens_on"]) == (True, 200, ["0.0.0.0:8080"])
    assert (observed["user"], observed["unreadable"]) == (1234, ["/srv/data"])
    assert "/srv" in observed["unwritable"]
