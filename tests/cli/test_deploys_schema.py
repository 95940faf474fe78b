"""The schema of several deploys follows that of one.

`python -m tests.cli.test_deploys_schema` writes it again.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import REPOSITORY

_ONE, _SEVERAL = (REPOSITORY / f"docs/schemas/{name}.json" for name in ("deploy", "deploys"))
_COMMON = ("schema", "buildguard", "commit", "dirty", "pushed", "archive")


def _several() -> str:
    one: dict[str, Any] = json.loads(_ONE.read_text("utf-8"))
    fields = one["properties"]
    service = {
        "type": "object",
        "properties": {name: field for name, field in fields.items() if name not in _COMMON},
        "required": [name for name in one["required"] if name not in _COMMON],
        "additionalProperties": False,
    }
    services = {"services": {"type": "array", "minItems": 2, "items": service}, "exit_code": fields["exit_code"]}
    schema = one | {
        "$id": "urn:buildguard:schema:deploys:1",
        "title": "buildguard deploy --format json, for several services or regions",
        "properties": {**{name: fields[name] for name in _COMMON}, **services},
        "required": [*_COMMON, "services", "exit_code"],
    }
    return json.dumps(schema, indent=1) + "\n"


def test_the_schema_of_several_deploys_is_current() -> None:
    assert _SEVERAL.read_text("utf-8") == _several()


if __name__ == "__main__":
    _SEVERAL.write_text(_several(), "utf-8")
