"""`did you mean`: stages, paths, services, revisions, engines and codes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.errors import did_you_mean
from buildguard.locate import suggest_path
from tests.conftest import Project

pytestmark = pytest.mark.interpreters

_FILES = {"Dockerfile": "FROM python:3.11-slim\n", "app/orders.py": "", "app/sub/x.py": ""}


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("check", "comit:HEAD"), "'commit:HEAD'"),
        (("check", "idnex:"), "'index:'"),
        (("diff", "comit:HEAD", "dir:."), "'commit:HEAD'"),
        (("manifest", "manfest:x.json"), "'manifest:x.json'"),
        (("check", "app/order.py"), "'app/orders.py'"),
        (("check", "ap/orders.py"), "'app/orders.py'"),
        (("check", "app/sbu/x.py"), "'app/sub/x.py'"),
        (("check", "tar:src.tr"), "'src.tar'"),
        (("manifest", "dir:ap"), "'app'"),
        (("check", "--service", "root1"), "'root'"),
        (("check", "commit:releas"), "'release'"),
        (("diff", "commit:mian", "dir:."), "'main'"),
        (("check", "--diff-base", "mian"), "'main'"),
        (("check", "HEAD~0"), "'commit:HEAD~0'"),
        (("diff", "main", "dir:."), "'commit:main'"),
        (("check", "--engine", "interpeter"), "'interpreter'"),
        (("check", "--select", "BG20I"), "'BG20"),
        (("chek",), "'check'"),
        (("explain", "f-strng"), "f-string"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(
    repository: Callable[..., Project], command: tuple[str, ...], hint: str
) -> None:
    made = repository({**_FILES, "src.tar": ""})
    made.git("tag", "release")

    result = made.run(*command)

    assert result.code == 2
    assert "id you mean" in result.err
    assert hint in result.err


def test_a_word_like_nothing_gets_none(tmp_path: Path) -> None:
    assert did_you_mean("xyz", ["abc"]) == ""
    assert did_you_mean("xyz", ["abc"], "known: abc") == "known: abc"
    assert suggest_path(tmp_path, "nothing/here.py") == ""
    assert suggest_path(tmp_path, "zzz:HEAD") == ""


def test_a_repository_without_commits_has_no_head(project: Callable[..., Project]) -> None:
    made = project(_FILES)
    made.git("init", "--quiet")

    result = made.run("check", "commit:HEAD")

    assert result.code == 2
    assert "unknown revision 'HEAD': this branch has no commits" in result.err
    assert "hint: git add --all && git commit" in result.err
    assert f"hint: paths are relative to {made.path}" in made.run("check", "zzz/x.py").err


def test_several_codes_are_several_options(project: Callable[..., Project]) -> None:
    assert "repeat the option for each code" in project(_FILES).run("check", "--select", "BG2,BG3").err


def test_a_revision_that_a_shallow_clone_lacks(repository: Callable[..., Project], tmp_path: Path) -> None:
    made = repository(_FILES)
    made.commit({"app/orders.py": "x = 1\n"})
    subprocess.run(["git", "clone", "--quiet", "--depth=1", made.path.as_uri(), tmp_path / "shallow"], check=True)

    result = Project(tmp_path / "shallow").run("check", "--diff-base", "upstream/feature")

    assert result.code == 2
    assert "unknown revision 'upstream/feature' (this is a shallow clone)" in result.err
    assert "git fetch upstream feature, or set fetch-depth: 0" in result.err


def test_stages_are_named_the_same_way_everywhere(repository: Callable[..., Project]) -> None:
    made = repository(_FILES)
    made.git("archive", "--output=src.tgz", "HEAD")

    assert made.check("src.tgz").json["summary"]["files"] == 2
    assert made.check("commit:").json["summary"]["files"] == 2
    assert made.run("manifest", "src.tgz").code == 0
