"""What a configuration that is not read as it was meant leads to: an error or a note with the line to write."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.project import config
from buildguard.project.target import PythonVersion


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


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        (
            '[[service]]\nname = "api"',
            "a service needs a dockerfile",
            '[[service]]\nname = "api"\ndockerfile = "api/Dockerfile"',
        ),
        (
            '[[service]]\ndockerfile = "x/Dockerfile"',
            "a service needs a name",
            '[[service]]\nname = "backend"\ndockerfile = "x/Dockerfile"',
        ),
        (
            '[[service]]\nname = "api"\ndockerfile = "a"\n[[service]]\nname = "api"\ndockerfile = "b"',
            "two services are called 'api'",
            "give each service a name of its own",
        ),
    ],
)
def test_a_service_is_whole_and_has_a_name_of_its_own(text: str, words: str, hint: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        config.read({b"buildguard.toml": text.encode()})

    assert raised.value.hint == hint


@pytest.mark.parametrize(
    ("text", "value"),
    [("3,11", "3.11"), ("312", "3.12"), ("python3.9-slim", "3.9"), ("x", "3.11"), ("3.99", "3.11"), ("2.7", "3.11")],
)
def test_a_target_names_its_place_and_the_value_that_was_meant(text: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"^pyproject\.toml:3: target: ") as placed:
        PythonVersion.typed(text, "pyproject.toml:3")
    with pytest.raises(UsageError) as typed:
        PythonVersion.typed(text)

    assert placed.value.hint == f'target = ["{value}"]'
    assert typed.value.hint == f"--target {value}"


@pytest.mark.parametrize("name", ["buildgaurd", "build-guard", "buildgard", "Buildguard"])
def test_a_misspelt_table_is_noted(name: str) -> None:
    for text in (f"[tool.{name}]\ntarget = ['3.11']\n", f"# buildguard\n[tool.{name}.deploy]\n"):
        notes = config.read({b"pyproject.toml": text.encode()}).notes

        assert notes == (f"pyproject.toml: [tool.{name}] is not read; did you mean [tool.buildguard]?",)


@pytest.mark.parametrize("name", ["buildbot", "build-system", "black", "bumpversion", "buildguard"])
def test_another_table_is_not_noted(name: str) -> None:
    assert config.read({b"pyproject.toml": f"[tool.{name}]\n".encode()}).notes == ()
