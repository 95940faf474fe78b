"""Requirements whose whole closure is known: what they bring, and what none of them does."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from buildguard.imports.closures import is_unbrought, needed_distributions
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
    assert is_unbrought(top, names, _INDEX) is is_missing


def test_what_is_installed_here_needs_no_more_than_the_table_says() -> None:
    installed = {normalize(item.name): item.requires or [] for item in metadata.distributions()}
    table = needed_distributions()
    compared = installed.keys() & table.keys()

    assert compared
    for name in compared:
        rows = map(Requirement, installed[name])
        needed = {normalize(row.name) for row in rows if row.marker is None or "extra" not in str(row.marker)}
        assert needed <= table[name], name
