"""What is valid TOML and no table where one belongs: read as an empty table, and never a crash."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from buildguard.imports.lock import read_lock
from buildguard.imports.package_roots import package_roots
from buildguard.imports.requirements import read_requirements
from buildguard.project import toml, version_files
from buildguard.project.buildpack_model import _dependencies
from buildguard.project.buildpacks import _project_variables
from tests.conftest import REPOSITORY

_KEYS = (
    *(
        "tool",
        "tool.poetry",
        "tool.poetry.dependencies",
        "tool.poetry.group",
        "tool.poetry.group.a",
        "tool.poetry.packages",
    ),
    *(
        "tool.uv",
        "tool.uv.build-backend",
        "tool.pdm",
        "tool.pdm.build",
        "tool.hatch",
        "tool.hatch.build",
        "tool.setuptools",
    ),
    *("project", "project.dependencies", "project.optional-dependencies", "dependency-groups", "requires"),
    *("build", "io", "io.buildpacks", "io.buildpacks.build", "io.buildpacks.build.env"),
)


def test_a_table_by_its_names() -> None:
    content = toml.read(b"[a.b]\nc = 1\n", "x.toml")

    assert toml.table(content, "a", "b") == {"c": 1}
    assert toml.table(content, "a", "b", "c") == toml.table(content, "b") == toml.table(3, "a") == {}


@pytest.mark.parametrize("value", ["3", "[1]", "'text'"])
@pytest.mark.parametrize("key", _KEYS)
def test_what_is_no_table_says_nothing(key: str, value: str) -> None:
    data = f"{key} = {value}\n".encode()

    for file in ("pyproject.toml", "project.toml", "Pipfile"):
        assert list(version_files.declarations(data, file)) == []
    assert not read_requirements(["pyproject.toml"], lambda _path: data).has_unnamed
    assert package_roots("", data, lambda folder: folder == "src") == ("src", "")
    assert _project_variables(data, "project.toml") == {}
    assert len(list(_dependencies(data))) <= 1
    read_lock("poetry.lock", b"[[package]]\nname = 'a'\nversion = '1'\n", data)


def _lines() -> Iterator[str]:
    for file in sorted((REPOSITORY / "buildguard").rglob("*.py")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if re.search(r"""\.get\("(?:tool|project)"[^)]*\)(?:\.get\(|$)""", line):
                yield f"{file.name}:{number}"


def test_nobody_else_goes_down_into_tables() -> None:
    assert list(_lines()) == []
