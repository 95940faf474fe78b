"""`action.yml` and the GitLab job, carried out as runners do: their shell runs, and what they name is pinned."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import BROKEN_BEFORE_312, REPOSITORY, Project

_ACTION: dict[str, Any] = YAML(typ="safe").load(REPOSITORY / "action.yml")
_STEPS = {step["name"]: step for step in _ACTION["runs"]["steps"]}
_EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
_DOCKERFILE = "FROM python:3.11-slim\nCOPY . /app\nCMD python /app/a.py\n"


@dataclass
class Runner:
    """What a runner gives a composite action: its contexts, its files, and the shell of each step."""

    workspace: Path
    temporary: Path
    inputs: dict[str, str]

    def value(self, text: str) -> str:
        contexts = {
            **{f"inputs.{name}": value for name, value in self.inputs.items()},
            "github.action_path": str(REPOSITORY),
            "github.workspace": str(self.workspace),
            "runner.temp": str(self.temporary),
        }
        return _EXPRESSION.sub(lambda match: contexts[match[1]], text)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step = _STEPS[name]
        assert step["shell"] == "bash"
        script = self.temporary / "step.sh"
        script.write_text(step["run"], "utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=self.workspace,
            env={
                **os.environ,
                "GITHUB_OUTPUT": str(self.temporary / "output"),
                "GITHUB_STEP_SUMMARY": str(self.temporary / "summary.md"),
                **{key: self.value(value) for key, value in step["env"].items()},
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def read(self, name: str) -> str:
        return (self.temporary / name).read_text("utf-8")


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., Runner]:
    """A runner whose environment holds the buildguard under test."""

    def make(workspace: Path, **inputs: str) -> Runner:
        temporary = tmp_path / "runner"
        (temporary / "buildguard-environment/bin").mkdir(parents=True)
        command = Path(sys.executable).with_name("buildguard")
        (temporary / "buildguard-environment/bin/buildguard").symlink_to(command)
        defaults = {name: field.get("default", "") for name, field in _ACTION["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return Runner(workspace, temporary, {**defaults, "diff-base": "", **given})

    return make


def _expressions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _expressions(inner)
    elif isinstance(value, str):
        yield from _EXPRESSION.findall(value)


def test_every_action_is_pinned_to_a_commit_with_its_version() -> None:
    text = (REPOSITORY / "action.yml").read_text("utf-8")
    uses = re.findall(r"^ +uses: (.*)$", text, re.MULTILINE)

    assert len(uses) == 3
    assert not [line for line in uses if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)]


def test_no_expression_is_pasted_into_a_shell() -> None:
    """A branch or a path of a pull request would be run as code there."""
    assert not [step["name"] for step in _STEPS.values() if "${{" in step.get("run", "")]
    known = {f"inputs.{name}" for name in _ACTION["inputs"]}
    names = {name for step in _STEPS.values() for name in _expressions(step) if name.startswith("inputs.")}
    assert names <= known


def test_findings_are_annotations_a_report_and_a_summary(
    project: Callable[..., Project], runner: Callable[..., Runner]
) -> None:
    folder = project({"Dockerfile": _DOCKERFILE, "a.py": BROKEN_BEFORE_312})
    action = runner(folder.path)

    result = action.run("Check")

    assert result.returncode == 1, result.stderr
    assert re.search(r"^::error file=a\.py,line=1\b.*BG101", result.stdout, re.MULTILINE)
    assert action.read("output") == "status=1\n"
    sarif = json.loads((folder.path / "buildguard.sarif").read_text("utf-8"))
    assert [row["ruleId"] for row in sarif["runs"][0]["results"]] == ["BG101"]
    heading, rest = action.read("summary.md").split("\n\n", 1)
    assert heading == "## buildguard: exit status 1"
    assert "    a.py" in rest
    assert not [line for line in rest.splitlines() if line and not line.startswith("    ")]


def test_a_clean_project_passes(project: Callable[..., Project], runner: Callable[..., Runner]) -> None:
    action = runner(project({"Dockerfile": _DOCKERFILE, "a.py": "x = 1\n"}).path)

    result = action.run("Check")

    assert (result.returncode, action.read("output")) == (0, "status=0\n"), result.stderr


def test_a_usage_error_is_not_taken_for_findings(
    project: Callable[..., Project], runner: Callable[..., Runner]
) -> None:
    action = runner(project({"a.py": "x = 1\n"}).path, proof="certain")

    assert action.run("Check").returncode == 2
    assert action.read("output") == "status=2\n"
    assert action.read("summary.md").startswith("## buildguard: exit status 2")


def test_paths_are_a_line_each_and_never_options(
    project: Callable[..., Project], runner: Callable[..., Runner]
) -> None:
    files = {"Dockerfile": _DOCKERFILE, "a b/x.py": BROKEN_BEFORE_312, "--jobs/y.py": BROKEN_BEFORE_312, "z.py": "("}
    action = runner(project(files).path, paths="a b\n\n--jobs\n")

    result = action.run("Check")

    assert result.returncode == 1, result.stderr
    assert sorted(re.findall(r"::error file=([^,]+)", result.stdout)) == ["--jobs/y.py", "a b/x.py"]


def test_a_shallow_clone_gets_the_commit_to_compare_with(
    project: Callable[..., Project], runner: Callable[..., Runner], tmp_path: Path
) -> None:
    origin = project()
    base = origin.commit({"Dockerfile": _DOCKERFILE, "old.py": BROKEN_BEFORE_312})
    origin.commit({"between.txt": "x"})
    origin.commit({"new.py": BROKEN_BEFORE_312})
    origin.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = Project(tmp_path / "clone")
    origin.git("clone", "--quiet", "--depth=1", f"file://{origin.path}", str(clone.path))
    action = runner(clone.path, diff_base=base)

    fetched, result = action.run("Fetch the commit to compare with"), action.run("Check")

    assert fetched.returncode == 0, fetched.stderr
    assert re.findall(r"::error file=([^,]+)", result.stdout) == ["new.py"], result.stderr


def test_a_commit_that_is_nowhere_stops_the_run(project: Callable[..., Project], runner: Callable[..., Runner]) -> None:
    folder = project()
    folder.commit({"a.py": "x = 1\n"})

    assert runner(folder.path, diff_base="0" * 40).run("Fetch the commit to compare with").returncode != 0


@pytest.mark.parametrize(
    ("source", "status", "codes"), [(BROKEN_BEFORE_312, 1, ["BG101"]), ("x = 1\n", 0, [])], ids=["broken", "clean"]
)
def test_the_gitlab_job_reports_what_it_finds(
    project: Callable[..., Project], tmp_path: Path, source: str, status: int, codes: list[str]
) -> None:
    job = YAML(typ="safe").load(REPOSITORY / "templates/gitlab.yml")["buildguard"]
    folder = project({"Dockerfile": _DOCKERFILE, "a.py": source})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/buildguard").symlink_to(Path(sys.executable).with_name("buildguard"))
    script = "\n".join(job["script"]).replace("/tmp/buildguard/", f"{tmp_path}/")

    result = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder.path,
        env={**os.environ, "BUILDGUARD_PATHS": job["variables"]["BUILDGUARD_PATHS"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == status, result.stderr
    reports = job["artifacts"]["reports"]
    rows = json.loads((folder.path / reports["codequality"]).read_text("utf-8"))
    assert [row["check_name"] for row in rows] == codes
    assert (folder.path / reports["junit"]).read_text("utf-8").count("<failure") == len(codes)
    assert not [line for line in job["before_script"] if "pip install" in line and "buildguard-gcp" in line]


@pytest.mark.skipif("BUILDGUARD_ALL" not in os.environ, reason="./scripts/test all: it installs from the package index")
def test_the_locked_packages_are_installed(runner: Callable[..., Runner], project: Callable[..., Project]) -> None:
    action = runner(project({"Dockerfile": _DOCKERFILE, "a.py": "x = 1\n"}).path)
    (action.temporary / "buildguard-environment/bin/buildguard").unlink()

    installed = action.run("Install buildguard")

    assert installed.returncode == 0, installed.stderr
    assert action.run("Check").returncode == 0
