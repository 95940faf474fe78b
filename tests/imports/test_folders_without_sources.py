"""A folder without any Python source, of the name of a package that may be installed. Each case is run with and without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.imports.records import ImportStatement
from buildguard.imports.third_party import PackageAnswer, PackagePresence
from tests.imports.projects import TextProject

_YAML = {"config/x.yaml": "a: 1\n"}
_DEEP = {"config/site/x.yaml": "a: 1\n"}
_OWN = {"config/__init__.py": "", **_DEEP}


class _Packages:
    """A list of packages that answers alike of every import."""

    predicted = False
    words = "a list"

    def __init__(self, presence: PackagePresence) -> None:
        self._presence = presence

    def ask(self, row: ImportStatement) -> PackageAnswer:
        """The one answer."""
        return PackageAnswer(self._presence, row.module)


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("statement", "files", "fails"),
    [
        ("from config import Config", _YAML, False),
        ("from config.loader import Config", _YAML, False),
        ("from config.site.base import Config", _DEEP, False),
        ("import config.loader", _YAML, False),
        ("from config.loader import Config", _OWN, True),
        ("from config.site import Config", _OWN, True),
    ],
)
def test_an_installed_package_comes_before_a_folder_without_sources(
    tmp_path: Path, statement: str, files: dict[str, str], *, fails: bool
) -> None:
    files = {"main.py": f"{statement}\n", **files}

    result = TextProject(files, requires=("some-internal-lib",)).judge()
    absent = TextProject(files).judge(_Packages(PackagePresence.MISSING))

    assert (bool(result.findings), len(result.undecided)) == (fails, 0 if fails else 1)
    assert bool(absent.findings)
    assert _starts(tmp_path, files, "site") is not fails
    assert not _starts(tmp_path, files, "nothing")


def _starts(folder: Path, files: dict[str, str], installed: str) -> bool:
    """Whether a program starts where a package `config` is installed, or nothing."""
    site = {f"site/config/{name}.py": "Config = 1\n" for name in ("__init__", "loader", "site/__init__", "site/base")}
    for name, text in {**{f"app/{name}": text for name, text in files.items()}, **site}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _ = (folder / name).write_text(text, "utf-8")
    env = {**os.environ, "PYTHONPATH": str(folder / installed)}
    command = [sys.executable, "-m", "main"]
    return subprocess.run(command, cwd=folder / "app", env=env, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("presence", "codes"),
    [(PackagePresence.MISSING, ["BG604"]), (PackagePresence.UNKNOWN, []), (PackagePresence.PRESENT, [])],
)
def test_a_list_of_packages_decides_it(presence: PackagePresence, codes: list[str]) -> None:
    project = TextProject({"main.py": "from config import Config\n", **_YAML})

    result = project.judge(_Packages(presence))

    assert [finding.code for of_file in result.findings.values() for finding in of_file] == codes
