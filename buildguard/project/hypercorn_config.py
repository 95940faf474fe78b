"""The address in a hypercorn configuration, a TOML or a Python file, read as data. Pure."""

from __future__ import annotations

from buildguard.errors import UsageError
from buildguard.project import toml
from buildguard.project.gunicorn_config import ConfigSetting, read_settings
from buildguard.project.start_command import ListenAddress, StartCommand, configured_listener, unknown_listener

_UNREADABLE = ConfigSetting("$unreadable", 1)


def read_bind(content: bytes, *, is_python: bool) -> ConfigSetting | None:
    """The first address that a configuration binds, `$…` where it is not known; None where it sets none."""
    if is_python:
        return read_settings(content).get("bind")
    try:
        value = toml.read(content, "").get("bind")
    except UsageError:
        return _UNREADABLE
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        return None
    line = toml.line_of(content, "bind") or 1
    return ConfigSetting(value, line) if isinstance(value, str) else _UNREADABLE


def hypercorn_listener(start: StartCommand, content: bytes | None, *, is_python: bool) -> ListenAddress | None:
    """The address that a configuration binds; None where hypercorn's default holds."""
    path = start.configs[0]
    if content is None:
        return unknown_listener(start, path)
    setting = read_bind(content, is_python=is_python)
    return setting and (configured_listener(start, path, setting) or unknown_listener(start, path))
