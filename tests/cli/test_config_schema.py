"""The published schemas: the configuration's is generated from the code, and each has a name of its own.

`python -m tests.cli.test_config_schema` writes the former again.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buildguard.cli.config_schema import config_schema
from buildguard.errors import UsageError
from buildguard.project import config
from tests.conftest import REPOSITORY

_SCHEMAS = sorted((REPOSITORY / "docs/schemas").glob("*.json"))
_CONFIGURATION = REPOSITORY / "docs/schemas/configuration.json"
_VALIDATOR = jsonschema.Draft202012Validator(config_schema())
_DOCUMENTED = re.findall(
    r"^```toml\n(.*?)^```", (REPOSITORY / "docs/configuration.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


def _text() -> str:
    return json.dumps(config_schema(), indent=1) + "\n"


def test_the_committed_schema_is_current() -> None:
    assert _CONFIGURATION.read_text("utf-8") == _text()


@pytest.mark.parametrize("file", _SCHEMAS, ids=lambda file: file.stem)
def test_every_schema_has_a_urn_with_its_version(file: Path) -> None:
    schema = json.loads(file.read_text("utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)
    assert (
        schema["$id"] == f"urn:buildguard:schema:{file.stem}:{schema['properties'].get('schema', {}).get('const', 1)}"
    )


def test_every_key_is_in_the_schema() -> None:
    tables = {"": _VALIDATOR.schema["properties"]}
    for table in config.KEYS:
        if table:
            parent, _, key = table.rpartition(".")
            inner = tables[parent][key]
            inner = inner.get("anyOf", [inner])[0]
            inner = inner.get("items", inner)
            tables[table] = (inner if "properties" in inner else inner["additionalProperties"])["properties"]

    assert {name: set(keys) for name, keys in config.KEYS.items()} == {name: set(keys) for name, keys in tables.items()}


@pytest.mark.parametrize("text", _DOCUMENTED)
def test_the_documented_configuration_is_valid(text: str) -> None:
    table = tomllib.loads(text)
    _VALIDATOR.validate(table.get("tool", {}).get("buildguard", table) if "tool" in table else {})


@pytest.mark.parametrize(
    "text",
    [
        "targets = ['3.11']",
        "target = 'python3'",
        "engine = ['docker']",
        "ignore = ['E501']",
        "[cloud]\nbuilds = 'sometimes'",
        "[deploy]\ntraffic = [0, 101]",
        "[[service]]\nname = 'x'",
        "fetch-python = true",
    ],
)
def test_what_the_program_refuses_is_no_valid_configuration(text: str) -> None:
    assert not _VALIDATOR.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    "deploy",
    [
        {"health": "/healthz", "traffic": [0, 10, 100]},
        {"health": "", "traffic": [{"percent": 10, "for": "5m"}, 100]},
        {"health": "https://evil.example/"},
        {"health": "//evil.example"},
        {"traffic": [{"percent": 10, "for": "5 minutes"}, 100]},
        {"traffic": [{"for": "5m"}, 100]},
        {"traffic": [101, 100]},
    ],
)
def test_the_schema_takes_of_a_deploy_what_is_read(deploy: dict[str, Any]) -> None:
    lines = [f"{key} = {_toml(value)}" for key, value in deploy.items()]
    try:
        config.read({b"buildguard.toml": "\n".join(["[deploy]", *lines]).encode()})
    except UsageError:
        assert not _VALIDATOR.is_valid({"deploy": deploy})
    else:
        _VALIDATOR.validate({"deploy": deploy})


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())}}}"
    return json.dumps(value)


if __name__ == "__main__":
    _CONFIGURATION.write_text(_text(), "utf-8")
