"""Metadata of the distribution that the code decides (a hook of hatch): links, once there is a page to link to."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_CODES = Path(__file__).resolve().parents[1] / "buildguard/codes.py"
_SETTING = "DOCUMENTATION_URL"


class Links(MetadataHookInterface):
    """Sets `project.urls` from the one setting that every result's links come from."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the links; none while the setting is empty."""
        metadata["urls"] = links(_CODES.read_text("utf-8"))


def links(source: str) -> dict[str, str]:
    """The links for a text of codes.py."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [_SETTING]:
            address = str(ast.literal_eval(node.value)).rstrip("/")
            return {"Documentation": address, "Codes": f"{address}/reference/codes/"} if address else {}
    raise LookupError(f"{_SETTING} is not set in codes.py")
