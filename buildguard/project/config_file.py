"""The file that a configuration is read from, and the values of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.project import toml


class ConfigFile(NamedTuple):
    """A configuration file: where its keys stand, for messages."""

    file: str
    data: bytes

    def line(self, key: str) -> int | None:
        """The line of a key; None if it is not found."""
        return toml.line_of(self.data, key)

    def wrong(self, key: str, message: str, hint: str = "") -> UsageError:
        """What is wrong with a key, with its place."""
        line = self.line(key)
        place = self.file if line is None else f"{self.file}:{line}"
        return UsageError(f"{place}: {message}", hint=hint)


def path_inside(table: Mapping[str, Any], key: str, place: ConfigFile) -> str:
    """A path below the root, whatever a repository writes."""
    value: str = table.get(key, "")
    if value.startswith("/") or ".." in value.split("/"):
        raise place.wrong(key, f"'{key}' must be a path below the folder of {place.file}")
    return value


def strings(table: Mapping[str, Any], key: str, place: ConfigFile) -> tuple[str, ...]:
    """A list of strings, or one string; raises UsageError for anything else."""
    value = table.get(key, [])
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise place.wrong(key, f"'{key}' must be a list of strings")
    return tuple(value)
