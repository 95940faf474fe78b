"""A deploy whose health nothing would prove is reported before anything is built: by `check` and by `init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.cli.init import init

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_NOTE = "no health path is configured: / must answer with 2xx"


@pytest.mark.parametrize(
    ("deploy", "is_noted"),
    [('service = "web"', True), ('service = "web"\nhealth = "/healthz"', False), ('image = "web"', False)],
)
def test_it_is_noted_without_a_health_path(repository: Callable[..., Project], deploy: str, *, is_noted: bool) -> None:
    project = repository({"a.py": "x = 1\n", "buildguard.toml": f'target = ["3.11"]\n[deploy]\n{deploy}\n'})

    checked = project.run("check", "--engine", "interpreter", "--no-cache")
    staged = project.run("check", "--staged")

    assert checked.code == 0
    assert (_NOTE in checked.out + checked.err) is is_noted
    assert _NOTE not in staged.out + staged.err
    assert any(line.startswith(_NOTE) for line in init(project.path)) is is_noted
