"""The documentation as users read it: the site builds without a warning, and every command in it does what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from buildguard import codes as buildguard_codes
from buildguard.project import config
from tests.conftest import REPOSITORY, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Project

_DOCS = REPOSITORY / "docs"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (_DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _steps(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a page's consoles with the output that is shown for it."""
    for block in _blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            yield command, shown


def _fits(shown: list[str], printed: str) -> bool:
    """Whether every line that is shown was printed, in that order; `…` stands for anything."""
    wanted = [one for one in shown if one != "…"]
    pattern = r"[\s\S]*?".join(r"[^\n]*".join(map(re.escape, line.split("…"))) for line in wanted)
    return re.search(pattern, printed) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(made)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return made


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert (site / "tutorial/index.html").exists()


def test_the_reference_is_whole(site: Path, project: Callable[..., Project]) -> None:
    commands = (site / "reference/commands/index.html").read_text("utf-8")
    names = re.findall(r"^  (\w+) +\S", project().run("--help").out.split("Commands:")[1], re.MULTILINE)
    assert len(names) > 10
    assert [one for one in names if f'id="{one}"' not in commands] == []
    keys = (site / "reference/configuration/index.html").read_text("utf-8")
    assert [key for table in config.KEYS.values() for key in table if f"<code>{key}</code>" not in keys] == []
    codes = (site / "reference/codes/index.html").read_text("utf-8")
    assert [code for code in buildguard_codes.CODES if f"{code}:" not in codes] == []


@pytest.mark.interpreters
def test_the_tutorial_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command, in order, in one folder; what is shown was printed."""
    interpreter("3.11")
    monkeypatch.setenv("BUILDGUARD", str(REPOSITORY))
    monkeypatch.setenv("PATH", f"{sys.executable.rpartition('/')[0]}:/usr/bin:/bin")
    cwd = tmp_path
    statuses: dict[str, list[int]] = {}
    steps = list(_steps("tutorial.md"))
    for command, shown in steps:
        if command.startswith("cd "):
            cwd = cwd / command[3:]
            continue
        done = subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, check=False)
        statuses.setdefault(command, []).append(done.returncode)
        assert _fits(shown, done.stdout), f"$ {command}\n{done.stdout}{done.stderr}"
    assert len(steps) > 10
    assert statuses.pop("buildguard check") == [1, 0]
    assert {command: set(found) for command, found in statuses.items() if found != [0]} == {
        "buildguard diagnose --log three-deploys.log": {1}
    }


@pytest.mark.parametrize("command", [command for command, _shown in _steps("recipes.md")])
def test_the_recipes_run(repository: Callable[..., Project], command: str) -> None:
    services = "".join(one for one in _blocks("recipes.md", "toml") if "[[service]]" in one)
    made = repository(
        {
            **{f"{name}/Dockerfile": "FROM python:3.11-slim\nCOPY . .\n" for name in ("web", "worker")},
            **{f"{name}/a.py": "x = 1\n" for name in ("web", "worker")},
            "cloudbuild.yaml": "steps:\n- name: python:3.11-slim\n  args: [python, worker/a.py]\n",
            "buildguard.toml": services,
        }
    )
    if "worker" not in command:
        made.git("rm", "-rq", "worker", "buildguard.toml")

    done = made.run(*command.split()[1:])

    assert done.code == 0, done.out + done.err


def test_what_is_shown_as_configuration_is_valid() -> None:
    blocks = _blocks("recipes.md", "toml")
    assert len(blocks) == 2
    for block in blocks:
        tomllib.loads(block)
        config.read({b"buildguard.toml": block.encode()})


@pytest.mark.interpreters
@pytest.mark.parametrize("whose", ["recipe", "ours"])
def test_a_workflow_is_one_that_an_auditor_passes(tmp_path: Path, whose: str) -> None:
    (recipe,) = [one for one in _blocks("recipes.md", "yaml") if "jobs:" in one]
    workflow = recipe if whose == "recipe" else (REPOSITORY / ".github/workflows/test.yml").read_text("utf-8")
    file = tmp_path / ".github/workflows/buildguard.yml"
    file.parent.mkdir(parents=True)
    file.write_text(workflow)
    auditor = shutil.which("zizmor", path=sys.executable.rpartition("/")[0])
    assert auditor is not None

    done = subprocess.run(
        [auditor, "--offline", "--persona=pedantic", tmp_path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    jobs = YAML(typ="safe").load(workflow)["jobs"].values()
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert used
    assert [one for one in used if not re.search(r"@[0-9a-f]{40}$", one)] == []


@pytest.mark.interpreters
def test_wheel_and_sdist_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Built twice, from two checkouts at two times: nothing of the machine or the day is in them."""
    digests = []
    for number in range(2):
        checkout = tmp_path / f"checkout-{number}"
        subprocess.run(["git", "clone", "-q", REPOSITORY, checkout], check=True)
        words = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / f"dist-{number}")]
        subprocess.run(words, cwd=checkout, capture_output=True, check=True)
        digests.append({one.name: one.read_bytes() for one in sorted((tmp_path / f"dist-{number}").iterdir())})

    assert len(digests[0]) == 2
    assert digests[0] == digests[1]
