"""The JSON Schema of `[tool.buildguard]`, from the keys that the program reads, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from buildguard.engines.engine import EngineName
from buildguard.project import config, deploy_table

_TYPES: Mapping[type, Mapping[str, Any]] = MappingProxyType(
    {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        dict: {"type": "object"},
        list: {"type": "array", "items": {"type": "string"}},
    }
)
_CODE = {"type": "string", "pattern": "^BG[0-9]{0,3}$"}
_VERSION = {"type": "string", "pattern": r"^3\.[0-9]+(\.[0-9]+)?$"}
_PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
_STAGE = {
    "type": "object",
    "properties": {"percent": _PERCENT, "for": {"type": "string", "pattern": "^[0-9]{1,6}[smh]$"}},
    "required": ["percent"],
    "additionalProperties": False,
}
_VERIFY = {
    "type": "object",
    "properties": {
        "run": {"type": "string"},
        "gate": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "tests": {"type": "boolean"},
        "pattern": {"type": "string"},
    },
    "required": ["run"],
    "additionalProperties": False,
}
_KNOWN_FAILURE = {
    "type": "object",
    "properties": {
        "test": {"type": "string"},
        "reason": {"type": "string"},
        # a date of TOML, which editors take for a string
        "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    },
    "required": ["test", "reason", "until"],
    "additionalProperties": False,
}
# What a key takes beyond the type of its value.
_VALUES: Mapping[tuple[str, str], Mapping[str, Any]] = MappingProxyType(
    {
        ("", "target"): {"anyOf": [_VERSION, {"type": "array", "items": _VERSION}]},
        ("", "engine"): {"type": "array", "items": {"enum": [*EngineName]}},
        ("", "select"): {"type": "array", "items": _CODE},
        ("", "ignore"): {"type": "array", "items": _CODE},
        ("", "per-file-ignores"): {"type": "object", "additionalProperties": {"type": "array", "items": _CODE}},
        ("cloud", "substitutions"): {"type": "object", "additionalProperties": {"type": "string"}},
        ("cloud", "builds"): {"enum": [*config.BUILDS]},
        ("deploy", "fallback"): {"enum": [*deploy_table.FALLBACKS]},
        ("deploy", "kind"): {"enum": [*deploy_table.DeployKind]},
        ("deploy", "before"): {"enum": [deploy_table.TRAFFIC]},
        ("deploy", "health"): {"type": "string", "pattern": r"^(/(?!/)[!-\[\]-~]*)?$"},
        ("deploy", "verify"): {"type": "array", "items": {"anyOf": [{"type": "string"}, _VERIFY]}},
        ("deploy", "known-failures"): {"type": "array", "items": _KNOWN_FAILURE},
        ("deploy", "traffic"): {"type": "array", "items": {"anyOf": [_PERCENT, _STAGE]}},
    }
)
_NAMED = frozenset({"env"})  # tables by names of the user's
_LISTED = frozenset({"deploy"})  # one table, or a list of them
_REQUIRED = MappingProxyType({"service": ["name", "dockerfile"]})


def config_schema() -> dict[str, Any]:
    """Draft 2020-12, for buildguard.toml as a whole and for the table `[tool.buildguard]` of pyproject.toml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:buildguard:schema:configuration:1",
        "title": "buildguard.toml, or [tool.buildguard] in pyproject.toml",
        "description": "Generated from the code; keys may be added, and are never renamed.",
        **_table(""),
    }


def _table(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: _value(name, key, kind) for key, kind in config.KEYS[name].items()},
        "additionalProperties": False,
    }
    return schema | ({"required": _REQUIRED[name]} if name in _REQUIRED else {})


def _value(table: str, key: str, kind: type) -> dict[str, Any]:
    if not table and key in config.KEYS:
        inner = _table(key)
        if key in _NAMED:
            return {"type": "object", "additionalProperties": inner}
        if key in _LISTED:
            return {"anyOf": [inner, {"type": "array", "items": inner}]}
        return {"type": "array", "items": inner} if kind is list else inner
    if f"{table}.{key}" in config.KEYS:
        return {"type": "object", "additionalProperties": _table(f"{table}.{key}")}
    shared = "deploy" if table.startswith("env") else table
    return dict(_VALUES.get((shared, key), _TYPES[kind]))
