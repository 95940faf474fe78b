"""`buildguard init` in a repository that uses pre-commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.cli.init_pre_commit import BLOCK, CONFIG
from tests.cli.test_hooks import run_pre_commit
from tests.conftest import BROKEN_BEFORE_312, Project

_FILES = {"Dockerfile": "FROM python:3.11-slim\n", "a.py": ""}
_WITH_COMMENTS = """\
# ours
repos:
  # formatting
  - repo: https://example.com/format
    rev: v1  # pinned
    hooks:
      - id: format

  # the end
fail_fast: true
"""


def test_an_existing_configuration_gets_the_block_to_paste(repository: Callable[..., Project]) -> None:
    made = repository({**_FILES, CONFIG: _WITH_COMMENTS})

    out = made.run("init").out

    assert "\n".join(f"  {line}" for line in BLOCK) in out
    assert "buildguard init --pre-commit" in out
    assert (made.path / CONFIG).read_text() == _WITH_COMMENTS
    assert not (made.path / ".git/hooks/pre-commit").exists()
    assert (made.path / ".git/hooks/pre-push").is_file()


@pytest.mark.parametrize(
    "before",
    [
        _WITH_COMMENTS,
        _WITH_COMMENTS.replace("\n", "\r\n"),
        "repos:\n- repo: x\n  hooks: [{id: y}]",
        "fail_fast: true\nrepos: # all\n- repo: meta\n  hooks:\n  - id: identity\n",
    ],
)
def test_the_block_is_added_and_nothing_else(repository: Callable[..., Project], before: str) -> None:
    made = repository({**_FILES, CONFIG: before})

    first = made.run("init", "--pre-commit")
    after = (made.path / CONFIG).read_bytes().decode()
    second = made.run("init", "--pre-commit")

    assert first.code == second.code == 0
    assert f"{CONFIG}: changed: added the hook, and nothing else" in first.out
    assert f"{CONFIG}: already runs buildguard, unchanged" in second.out
    assert [line for line in after.splitlines() if line.strip() not in {row.strip() for row in BLOCK}] == [
        line for line in before.splitlines() if line.strip() != "hooks:"
    ]
    assert (made.path / CONFIG).read_bytes().decode() == after
    assert "\r\n" in after or "\r\n" not in before


@pytest.mark.parametrize(
    "before", ["repos: []\n", "repos: &x\n- repo: local\n  hooks: []\n", "fail_fast: true\n", "[]\n"]
)
def test_a_configuration_that_cannot_take_it_is_unchanged(repository: Callable[..., Project], before: str) -> None:
    made = repository({**_FILES, CONFIG: before})

    result = made.run("init", "--pre-commit")

    assert result.code == 2
    assert "was not changed" in result.err
    assert (made.path / CONFIG).read_text() == before


def test_without_a_configuration_one_is_written(repository: Callable[..., Project]) -> None:
    made = repository(_FILES)

    assert made.run("init", "--pre-commit").code == 0
    assert (made.path / CONFIG).read_text() == "\n".join(["repos:", *BLOCK, ""])
    assert made.run("init", "--pre-commit", "--cloudbuild").code == 2


def test_the_real_pre_commit_runs_the_block(repository: Callable[..., Project]) -> None:
    made = repository(_FILES)
    assert made.run("init", "--pre-commit").code == 0
    made.commit()

    good = run_pre_commit(made, made.path.parent / "store", "run", "--all-files")
    made.write({"b.py": BROKEN_BEFORE_312})
    made.git("add", "--all")
    bad = run_pre_commit(made, made.path.parent / "store", "run")
    made.git("commit", "--quiet", "--no-verify", "--message", "x")
    everything = run_pre_commit(made, made.path.parent / "store", "run", "--all-files")

    assert good.returncode == 0, good.stdout
    assert bad.returncode == everything.returncode == 1
    assert b"BG101" in bad.stdout
    assert b"BG101" in everything.stdout
