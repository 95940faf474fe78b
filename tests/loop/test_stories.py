"""Three outages, replayed on the emulator by `buildguard loop` with a scripted --between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from buildguard.cli.cycle_reports import render_cycle
from buildguard.deploy.prepare import DeployRequest
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.loop import run
from buildguard.loop.run import LoopOptions, LoopReport, LoopTools
from tests.deploy.conftest import Watcher, _quick, google, site, web  # noqa: F401  fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.cycles.record import CycleRecord
    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_HANDLER = """\
import http.server, os, sys
{start}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/case/"):
            {case}
        else:
            status = 200
        self.send_response(status)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
# a case of its own for each number, by a runner that every Python has
_TESTS = """\
import os, unittest, urllib.request, urllib.error
def status(path, timeout={timeout}):
    try:
        with urllib.request.urlopen(os.environ["BUILDGUARD_URL"] + path, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
class Case(unittest.TestCase):
    pass
for number in range({number}):
    def test(self, number=number):
        self.assertEqual(status(f"/case/{{number}}"), 200)
    setattr(Case, f"test_{{number:02d}}", test)
"""
_VERIFY = "python3 -m unittest discover -v -s e2e"


def _commit(project: Project, name: str, *steps: dict[str, str]) -> str:
    """A command that commits the next of some sets of files each time it runs."""
    folder = project.path.parent
    (folder / f"{name}.json").write_text(json.dumps(steps))
    (folder / f"{name}.py").write_text(
        "import json, os, pathlib, subprocess, sys\n"
        f"file = pathlib.Path({str(folder / name)!r} + '.json')\n"
        "assert not [key for key in os.environ if key.startswith('BUILDGUARD_RUN')]\n"
        f"pathlib.Path({str(folder)!r}, 'reports').open('a').write(open(os.environ['BUILDGUARD_REPORT']).read())\n"
        "step, *others = json.loads(file.read_text())\n"
        "file.write_text(json.dumps(others))\n"
        "for path, text in step.items(): pathlib.Path(path).write_text(text)\n"
        "subprocess.run(['git', '-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '-qam', 'next'], check=True)\n"
    )
    return f"python3 {folder / name}.py"


def _service(project: Project, **files: str) -> None:
    toml = (project.path / "buildguard.toml").read_text()
    ignored = {".gcloudignore": "e2e/\nbuildguard.toml\n.gcloudignore\n"}
    project.write({"buildguard.toml": f"{toml}verify = [{json.dumps(_VERIFY)}]\n", **ignored, **files})
    project.commit()


def _loop(project: Project, **options: Any) -> LoopReport:
    request = DeployRequest(cwd=project.path, build_local=options.pop("build_local", False))
    tools = LoopTools(Watcher(), lambda _question: True, render_cycle)
    return run.loop(request, LoopOptions(max_cycles=4, **options), tools)


def _records(found: LoopReport) -> list[CycleRecord]:
    return [each.finished.record for cycle in found.cycles for each in cycle.reports if each.finished is not None]


def _read(project: Project) -> str:
    return (project.path.parent / "reports").read_text()


def test_one_missing_variable_then_92_percent_then_all(
    web: Project,  # noqa: F811
    google: Callable[..., Emulator],  # noqa: F811
) -> None:
    google()
    start = 'os.environ["DATABASE_URL"]'
    broken = _HANDLER.format(start=start, case='status = 500 if self.path[6:] in {"3", "7"} else 200')
    fixed = _HANDLER.format(start=start, case="status = 200")
    _service(web, **{"app/serve.py": broken, "e2e/test_cases.py": _TESTS.format(number=25, timeout=30)})
    dockerfile = (web.path / "Dockerfile").read_text()
    command = _commit(
        web,
        "story",
        {"Dockerfile": dockerfile.replace("WORKDIR", "ENV DATABASE_URL=postgres://db/x\nWORKDIR")},
        {"app/serve.py": fixed},
    )

    found = _loop(web, between=command, build_local=True)

    first, second, third = _records(found)
    assert (found.exit_code, found.reason) == (0, "green after 3 cycles")
    assert first.diagnosis["cause"] == "missing-variable"
    assert "DATABASE_URL" in first.diagnosis["sentence"]
    assert not first.has_tests
    assert (second.counts.rate, third.counts.rate) == (0.92, 1.0)
    assert [case.id for case in second.last_results.values() if case.outcome.is_bad] == [
        "test_cases.Case::test_03",
        "test_cases.Case::test_07",
    ]
    assert "23 of 25 tests passed (92 %)" in _read(web)
    (change, *_more) = found.cycles[-1].reports[0].finished.changes  # type: ignore[union-attr]
    assert change.cases is not None
    assert len(change.cases.fixed) == 2
    assert change.deploy.commits.paths == ("app/serve.py",)
    with CloudRunClient() as client:
        state = client.get("web")
    assert state is not None
    assert state.only_revision == third.revision
    text = web.run("history").out
    assert "92 %" in text
    assert "100 %" in text


def test_three_files_are_found_in_one_cycle(
    site: Project,  # noqa: F811
    google: Callable[..., Emulator],  # noqa: F811
) -> None:
    emulator = google()
    bad = 'def text(row):\n    return f"{row["name"]}"\n'
    good = "def text(row):\n    return f\"{row['name']}\"\n"
    names = ("app/a.py", "app/b.py", "app/c.py")
    _service(
        site,
        **dict.fromkeys(names, bad),
        **{
            "app/serve.py": _HANDLER.format(start="", case="status = 200"),
            "e2e/test_cases.py": _TESTS.format(number=1, timeout=30),
        },
    )

    found = _loop(site, between=_commit(site, "story", dict.fromkeys(names, good)))

    first, second = _records(found)
    assert (found.exit_code, second.counts.rate) == (0, 1.0)
    assert first.diagnosis["cause"] == "target-older-than-code"
    assert [words.partition(":")[0] for words in first.diagnosis["chain"][0]["evidence"]] == [*names]
    assert any("--build-local" in words for words in first.diagnosis["remedies"])
    assert len(emulator.builds.find("emulated", "")) == 1  # nothing was built of the commit that no Python accepts
    for name in names:
        assert name in _read(site)


def test_a_request_that_blocks(
    web: Project,  # noqa: F811
    google: Callable[..., Emulator],  # noqa: F811
) -> None:
    google()
    agent = (
        "import threading\n\n\ndef find(name):\n    return {}.get(name)\n\n\ndef run(name):\n"
        '    print(f"start agent {name}", flush=True)\n    agent = find(name)\n    done = threading.Event()\n'
        "    if agent is not None:\n        done.set()\n    done.wait()\n"
        '    print("agent finished", flush=True)\n'
    )
    fixed = agent.replace("return {}.get(name)", "return {}.get(name, name)")
    serve = _HANDLER.format(
        start="import pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\nimport agent",
        case="agent.run(self.path[6:])\n            status = 200",
    ).replace("HTTPServer((", "ThreadingHTTPServer((")
    _service(
        web, **{"app/serve.py": serve, "app/agent.py": agent, "e2e/test_cases.py": _TESTS.format(number=2, timeout=12)}
    )

    found = _loop(web, between=_commit(web, "story", {"app/agent.py": fixed}), build_local=True)

    first, second = _records(found)
    diagnosis = first.diagnosis
    assert (found.exit_code, second.counts.rate) == (0, 1.0)
    assert diagnosis["cause"] == "unknown"
    assert "got no answer in time" in diagnosis["sentence"]
    chain = {link["words"]: link["evidence"] for link in diagnosis["chain"]}
    event = next(words for words in chain if "last event" in words)
    assert event.endswith("app/agent.py, line 9")
    assert chain[event] == ["start agent 1"]
    assert chain["the code that should follow it"][0] == "app/agent.py:10:     agent = find(name)"
    stack = next(words for words in chain if "a thread stays in" in words)
    assert "app/agent.py, line 14" in stack
    assert chain[stack][0] == "app/agent.py, line 14, in run"
    assert not any("traceback" in word.lower() for word in chain)
