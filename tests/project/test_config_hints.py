"""What a configuration that is not read as it was meant leads to: an error or a note with the line to write."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.project import config


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("target = 3.11", 'target = ["3.11"]'),
        ('engine = "docker"', 'engine = ["docker"]'),
        ("[deploy]\nhealth = 3", 'health = "3"'),
        ("exclude = {}", ""),
        ('[tool.buildguard]\ntarget = ["3.11"]', "in buildguard.toml write [deploy] for [tool.buildguard.deploy]"),
    ],
)
def test_an_error_shows_the_line_to_write(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        config.read({b"buildguard.toml": text.encode()})

    assert raised.value.hint.startswith(hint)
    assert bool(raised.value.hint) is bool(hint)


@pytest.mark.parametrize("name", ["buildgaurd", "build-guard", "buildgard", "Buildguard"])
def test_a_misspelt_table_is_noted(name: str) -> None:
    for text in (f"[tool.{name}]\ntarget = ['3.11']\n", f"# buildguard\n[tool.{name}.deploy]\n"):
        notes = config.read({b"pyproject.toml": text.encode()}).notes

        assert notes == (f"pyproject.toml: [tool.{name}] is not read; did you mean [tool.buildguard]?",)


@pytest.mark.parametrize("name", ["buildbot", "build-system", "black", "bumpversion", "buildguard"])
def test_another_table_is_not_noted(name: str) -> None:
    assert config.read({b"pyproject.toml": f"[tool.{name}]\n".encode()}).notes == ()
