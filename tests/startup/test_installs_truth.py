"""Locks and wheelhouses by chance, installed by pip and uv: they fail exactly where a finding says so."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from buildguard.project.config import Config
from buildguard.project.install_choice import InstallChoice
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.installs.check import check_installs
from tests.conftest import interpreter
from tests.startup.record_poetry import CASES
from tests.startup.wheels import Release, random_project, random_releases, write_wheel

_IS_WHOLE = bool(os.environ.get("BUILDGUARD_ALL"))
# Answers one requirement after another in children of one pip, with everything that it needs.
_PIP = """
import os, sys
from pip._internal.cli.main import main
import pip._internal.commands.install, pip._internal.resolution.resolvelib.resolver
for line in sys.stdin:
    folder, _, words = line.strip().partition("\\t")
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os._exit(main(["install", "--dry-run", "--ignore-installed", "--no-index", "--disable-pip-version-check", "--no-cache-dir",
                       "--target", "x", "--isolated", "-q", "--find-links", folder, *words.split("\\t")]))
    print(os.waitpid(child, 0)[1], flush=True)
"""


def _reports(root: Path, files: Mapping[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).write_text(text)
    report = check_installs(FolderStage(root), None, Config())
    assert not report.undecided, report.undecided
    return [item.message for item in report.diagnostics if item.code == "BG606"]


def _dockerfile(version: str, install: str) -> str:
    return f"FROM python:{version}-slim-bookworm\nWORKDIR /srv\nCOPY . .\nRUN {install}\n"


@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.13", pytest.param("3.11", marks=pytest.mark.slow)])
def test_pip_agrees_on_what_wheels_need_in_turn(version: str, tmp_path: Path) -> None:
    chance = random.Random(33)
    rows, expected = [], []
    for number in range(300 if _IS_WHOLE else 30):
        folder = tmp_path / str(number) / "wheels"
        folder.mkdir(parents=True)
        for release in random_releases(chance):
            write_wheel(folder, release)
        wanted = f"p{chance.choice('abcdefghij')}{chance.choice(('', '[x]', '>=1', '>=2'))}"
        flags = chance.choice((["--no-deps"], [], [], []))
        install = f"pip install --no-index --find-links wheels {' '.join(flags)} "
        is_named = chance.random() < 0.5 and ">" not in wanted
        files = {"Dockerfile": _dockerfile(version, install + (wanted if is_named else "-r r.txt"))}
        expected.append(bool(_reports(folder.parent, files if is_named else {**files, "r.txt": f"{wanted}\n"})))
        rows.append("\t".join((os.fspath(folder), *flags, wanted)))

    done = subprocess.run(
        [interpreter(version), "-I", "-c", _PIP], input="\n".join(rows), capture_output=True, text=True, check=True
    )

    fails = [status != "0" for status in done.stdout.split()]
    assert len(fails) == len(rows)
    assert any(fails)
    assert not all(fails)
    assert [row for row, fail, said in zip(rows, fails, expected, strict=True) if fail is not said] == []


_CHOICES = (
    *("", "--no-dev", "--all-extras", "--extra fast", "--group docs", "--only-group docs", "--no-default-groups"),
    *("--all-groups --no-group dev", "--package two --no-dev", "--all-packages", "--all-packages --extra fast"),
    *("--only-dev", "--no-install-project --no-dev", "--package one --group docs", "--no-install-package pa"),
)
_FORMS = ("alone", "root", "virtual")


def _workspace(root: Path, form: str, chance: random.Random) -> None:
    """A project of uv in one of its forms, with wheels that are known by their folder."""
    wheels = root / "wheels"
    wheels.mkdir(parents=True)
    for release in random_releases(chance, pythons=False):
        write_wheel(wheels, release)
    source = f'[tool.uv]\nno-index = true\nfind-links = ["{wheels}"]\n'
    if chance.random() < 0.2:
        source += 'default-groups = ["docs"]\n' if form == "root" else ""
    workspace = '[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\none = { workspace = true }\n'
    text = source if form == "virtual" else random_project("svc", chance).pyproject + source
    (root / "pyproject.toml").write_text(text + ("" if form == "alone" else workspace))
    for name, more in (("one", ()), ("two", ("one",))) if form != "alone" else ():
        member = root / "packages" / name
        member.mkdir(parents=True)
        uses = "[tool.uv.sources]\none = { workspace = true }\n" if more else ""
        (member / "pyproject.toml").write_text(random_project(name, chance, more).pyproject + uses)


def _uv(uv: str, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.fspath(root), "UV_CACHE_DIR": os.fspath(root.parent / "cache")}
    return subprocess.run(
        [uv, *words, "--offline", "--no-progress"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.interpreters
def test_uv_agrees_on_locks_of_workspaces(tmp_path: Path) -> None:
    uv = _real_uv()
    chance, contradictions, fails = random.Random(606), [], []
    for number in range(120 if _IS_WHOLE else 6):
        root = tmp_path / str(number)
        _workspace(root, _FORMS[number % 3], chance)
        locked = _uv(uv, root, "lock")
        if locked.returncode:
            continue  # some needs exclude each other
        version = chance.choice(("3.11", "3.13"))
        python = os.fspath(interpreter(version))
        choices = [each for each in _CHOICES if "packa" not in each or number % 3 or "install" in each]
        for choice in chance.sample(choices, 5):
            done = _uv(uv, root, "sync", "--frozen", "--dry-run", "--python", python, *choice.split())
            assert done.returncode == 0 or "can't be installed" in done.stderr, done.stderr
            fails.append(done.returncode != 0)
            said = _reports(root, {"Dockerfile": _dockerfile(version, f"uv sync --frozen {choice}")})
            if bool(said) is not fails[-1]:
                contradictions.append((number, version, choice, done.stderr[-600:], said))
    assert any(fails)
    assert not all(fails)
    assert contradictions == []


@pytest.mark.interpreters
def test_uv_agrees_on_locks_of_pep_751(tmp_path: Path) -> None:
    uv = _real_uv()
    chance, contradictions, fails = random.Random(751), [], []
    for number in range(90 if _IS_WHOLE else 6):
        root = tmp_path / str(number)
        _workspace(root, "alone", chance)
        exported = ("export", "--format", "pylock.toml", "-o", "pylock.svc.toml", "--no-emit-project", "-q")
        if _uv(uv, root, "lock").returncode or _uv(uv, root, *exported).returncode:
            continue
        version = chance.choice(("3.11", "3.13"))
        install = "pip install --no-index -r pylock.svc.toml"
        python = ("--python", os.fspath(interpreter(version)), "--target", "x", "--dry-run")
        done = _uv(uv, root, *install.split(), *python)
        if "must include one of" in done.stderr:
            continue  # uv wrote a package without any wheel, which PEP 751 does not know
        fails.append(done.returncode != 0)
        said = _reports(root, {"Dockerfile": _dockerfile(version, f"uv {install}")})
        if bool(said) is not fails[-1]:
            contradictions.append((number, version, done.stderr[-600:], said))
    assert any(fails)
    assert not all(fails)
    assert contradictions == []


@pytest.mark.interpreters
@pytest.mark.parametrize(("needed", "status"), [(">=3.9999", 2), (">=3.8", 0)])
def test_uv_refuses_a_pylock_for_another_python(tmp_path: Path, needed: str, status: int) -> None:
    """As PEP 751 wants it, where a uv.lock makes uv look for another Python."""
    (tmp_path / "pylock.toml").write_text(
        f'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = "{needed}"\npackages = []\n'
    )
    words = [_real_uv(), "pip", "install", "--offline", "--dry-run", "--python", sys.executable, "-r", "pylock.toml"]

    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == status


def _real_uv() -> str:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("no uv on this machine")
    pythons = sorted(
        (Path.home() / ".pyenv/versions").glob("*/bin/uv")
    )  # a shim takes only the version that it is set to
    return os.fspath(pythons[-1]) if "shims" in uv and pythons else uv


def test_a_choice_takes_groups_and_extras() -> None:
    choice = InstallChoice(frozenset({"fast"}), groups=frozenset({"docs"}), without_groups=frozenset({"dev"}))

    assert [choice.wants_group(group, is_default=True) for group in ("dev", "docs", "lint")] == [False, True, True]
    assert choice.wanted_extras(["fast", "slow"]) == {"fast"}
    assert Release("a", python="<4").file == "a-1.0-py3-none-any.whl"


@pytest.mark.parametrize("row", [json.loads(line) for line in CASES.read_text().splitlines()], ids=lambda _row: "")
def test_poetry_agreed(row: dict[str, Any], tmp_path: Path) -> None:
    files = {"pyproject.toml": row["pyproject"], "poetry.lock": row["lock"]}

    said = _reports(tmp_path, {**files, "Dockerfile": _dockerfile(row["python"], row["command"])})

    assert bool(said) is row["fails"], said
