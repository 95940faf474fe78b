"""What the tests of deploying share: a project that serves, a registry, and Google's services on this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click import unstyle

from buildguard.cli.render import deploy as report
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import DeployReport, deploy
from buildguard.gcp import cloud_build as builds
from buildguard.gcp import storage
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.emulator.server import Emulator
from tests import images
from tests.conftest import ALL, REPOSITORY, schema
from tests.deploy.played import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Project

SERVER = """\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        fine = self.path == "/healthz" or "broken" not in os.environ.get("K_REVISION", "")
        self.send_response(200 if fine else 500)
        self.end_headers()
        self.wfile.write(os.environ.get("K_REVISION", "unset").encode())
    def log_message(self, *args):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def update(self, done: int, total: int) -> None:
        """Verdicts came."""

    def tell(self, text: str) -> None:
        """Something takes its time."""
        self.told.append(text)


class Meanwhile(Watcher):
    """Something happens as a step begins."""

    def __init__(self, step: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._step = step
        self._act = act

    def tell(self, text: str) -> None:
        """What a step does is told before it begins."""
        super().tell(text)
        if text.startswith(f"{self._step}:"):
            self._act()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can afford."""
    monkeypatch.setattr(builds, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(storage, "PATIENCE", 3)


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Emulator]]:
    """Start the emulator with some faults; Google's clients in this process and its children are pointed at it."""
    started: list[Emulator] = []

    def start(*faults: str, **options: Any) -> Emulator:
        made = Emulator(faults, **options)
        started.append(made)
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        return made

    yield start
    for one in started:
        one.close()


def _files(base: str, registry: str) -> dict[str, str]:
    return {
        "Dockerfile": f'FROM {base}\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app/serve.py"]\n',
        "app/serve.py": SERVER,
        "app/other.py": "x = 1\n",
        "buildguard.toml": (
            '[deploy]\nservice = "web"\nhealth = "/healthz"\ntraffic = [0, 50, 100]\n'
            f'image = "{registry}/acme/web"\nroot = "/app"\n'
        ),
    }


@pytest.fixture
def web(engine: str, repository: Callable[..., Project], registry: str) -> Project:
    """A repository whose image serves."""
    images.docker_builder()
    return repository(_files(images.base("3.11"), registry))


@pytest.fixture
def site(
    request: pytest.FixtureRequest, repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """The same for tests that are not about the image: its engine is played, but for `./scripts/test all`."""
    if ALL:
        yield request.getfixturevalue("web")
        return
    played = play(monkeypatch)
    yield repository(_files("python:3.11-slim", "registry.invalid"))
    played.close()


def command(site: Project) -> list[str]:
    """The command for a process of its own, which meets the same engine as `site` does."""
    if ALL:
        return [str(site.executable)]
    start = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from tests.deploy.played import main; main()"
    return [sys.executable, "-c", start]


def deployed(
    project: Project, /, *, says: bool | None = True, watcher: Watcher | None = None, **fields: Any
) -> DeployReport:
    """Deploy; `says` is what the person answers to whatever is asked."""
    found = deploy(DeployRequest(cwd=project.path, **fields), watcher or Watcher(), lambda _question: says)
    _told(found)
    return found


def verdicts(found: DeployReport) -> dict[str, str]:
    """The verdict of each step."""
    assert found.outcomes is not None
    return {one.step: one.verdict for one in found.outcomes}


def _serves(line: str, found: DeployReport) -> None:
    """What the last line says of the traffic is so."""
    with CloudRunClient(found.plan.serving.project) as run:
        there = run.get(found.plan.wishes.service)
    assert there is not None
    serving, old = found.plan.serving, found.plan.serving.rollback_to
    if line.endswith((" serves as before", " has all traffic")):
        assert there.only_revision == line.rpartition("; ")[2].partition(" ")[0], (line, there.describe_traffic)
    elif line.endswith("; the traffic is as before"):
        assert there.describe_traffic == serving.divided
    elif found.exit_code and old:
        assert f"; the traffic now: {there.describe_traffic}; to go back: buildguard rollback" in line, line


def _told(found: DeployReport) -> None:
    """Every deploy of every test is told to people as well, and the last line says what the exit status does."""
    lines = unstyle(report.as_text(found)).splitlines()
    fine = ("nothing refuses this plan so far", "deployed: ", f"{found.revision} is ready at ", "built and verified")
    bad = ("failed at ", "refused: nothing was done", "this plan would be refused")
    if found.exit_code == 0:
        assert lines[-1].startswith(fine), lines[-1]
    elif found.exit_code == 1:
        assert lines[-1].startswith(bad), lines[-1]
    else:
        assert lines[-1].startswith("unproven at "), lines[-1]
    if found.outcomes and found.plan.serving.exists:
        _serves(lines[-1], found)
    steps = [
        line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in {"ok", "failed", "unproven"}
    ]
    assert steps == [one.verdict for one in found.outcomes or () if one.verdict != "skipped"]
    answer = json.loads(report.as_json(found))
    schema("deploy").validate(answer)
    assert answer["exit_code"] == found.exit_code
