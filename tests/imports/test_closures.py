"""Requirements whose whole closure is known: what they bring, and what none of them does."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from buildguard.imports.closures import InstalledNames, is_unbrought, needed_distributions
from buildguard.imports.distributions import ModuleIndex
from buildguard.project.package_names import normalize

_INDEX = ModuleIndex({})


@pytest.mark.parametrize(
    ("top", "names", "is_missing"),
    [
        ("yaml", {"flask"}, True),
        ("yaml", {"pandas", "uvicorn"}, True),
        ("fastapi", {"uvicorn"}, True),
        ("yaml", {"pyyaml", "flask"}, False),
        ("werkzeug", {"flask"}, False),
        ("starlette", {"fastapi"}, False),
        ("dateutil", {"pandas"}, False),
        ("itsdangerous", {"flask-cors"}, False),
        ("pkg_resources", {"flask"}, False),  # what the image may have of itself
        ("yaml", {"flask", "acme-tools"}, False),  # that may need anything
        ("acme", {"flask"}, True),
    ],
)
def test_a_module_that_nothing_brings(top: str, names: set[str], *, is_missing: bool) -> None:
    assert is_unbrought(top, InstalledNames(frozenset(names)), _INDEX, 11) is is_missing


@pytest.mark.parametrize(
    ("top", "names", "is_missing"),
    [
        ("requests", set(), True),
        ("yaml", {"requests", "acme-tools"}, True),  # what that needs would be here as well
        ("werkzeug", {"flask"}, True),
        ("acme_tools", {"requests", "acme-tools"}, False),
        ("setuptools", set(), False),
    ],
)
def test_what_needs_no_others_brings_no_others(top: str, names: set[str], *, is_missing: bool) -> None:
    assert is_unbrought(top, InstalledNames(frozenset(names), is_whole=True), _INDEX, 11) is is_missing


def test_what_is_installed_here_needs_no_more_than_the_table_says() -> None:
    installed = {normalize(item.name): item.requires or [] for item in metadata.distributions()}
    table = needed_distributions()
    compared = installed.keys() & table.keys()

    assert compared
    for name in compared:
        rows = map(Requirement, installed[name])
        needed = {normalize(row.name) for row in rows if row.marker is None or "extra" not in str(row.marker)}
        assert needed <= table[name], name


@pytest.mark.parametrize(("minor", "is_missing"), [(11, False), (12, True)])
def test_setuptools_comes_with_python_up_to_3_11(minor: int, *, is_missing: bool) -> None:
    assert is_unbrought("pkg_resources", InstalledNames(frozenset({"flask"})), _INDEX, minor) is is_missing
    assert not is_unbrought("pip", InstalledNames(frozenset({"flask"})), _INDEX, minor)
    assert not is_unbrought("setuptools", InstalledNames(frozenset({"setuptools"})), _INDEX, minor)
