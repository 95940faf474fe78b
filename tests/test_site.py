"""The documentation as users read it: the site builds without a warning, and every command in it does what the page says."""

from __future__ import annotations

import os
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
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

_DOCS = REPOSITORY / "docs"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (_DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(made)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # the theme's note about another program
    done = subprocess.run(words, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return made


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert (site / "tutorial/index.html").exists()


def test_a_copied_console_has_no_prompt(site: Path) -> None:
    page = (site / "loop/index.html").read_text("utf-8")

    assert '<span class="gp">$ </span>buildguard<' in page
    assert 'href="../site.css"' in page
    assert "[data-md-copying] :is(.gp, .go) { display: none; }" in (site / "site.css").read_text("utf-8")


def test_the_reference_is_whole(site: Path, project: Callable[..., Project]) -> None:
    commands = (site / "reference/commands/index.html").read_text("utf-8")
    names = re.findall(r"^  (\w+) +\S", project().run("--help").out.split("Commands:")[1], re.MULTILINE)
    assert len(names) > 10
    assert [one for one in names if f'id="{one}"' not in commands] == []
    keys = (site / "reference/configuration/index.html").read_text("utf-8")
    assert [key for table in config.KEYS.values() for key in table if f"<code>{key}</code>" not in keys] == []
    codes = (site / "reference/codes/index.html").read_text("utf-8")
    assert [code for code in buildguard_codes.CODES if f"{code}:" not in codes] == []


@pytest.mark.parametrize("page", ["monorepo.md", "private-base.md"])
def test_what_is_shown_as_configuration_is_valid(page: str) -> None:
    (block,) = _blocks(page, "toml")

    assert tomllib.loads(block)
    config.read({b"buildguard.toml": block.encode()})


@pytest.mark.interpreters
@pytest.mark.parametrize("whose", ["recipe", "test", "release", "example"])
def test_a_workflow_is_one_that_an_auditor_passes(tmp_path: Path, whose: str) -> None:
    (recipe,) = _blocks("github.md", "yaml")
    paths = {"example": "examples/service/.github/workflows/check.yml"}
    path = REPOSITORY / paths.get(whose, f".github/workflows/{whose}.yml")
    workflow = recipe if whose == "recipe" else path.read_text("utf-8")
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
