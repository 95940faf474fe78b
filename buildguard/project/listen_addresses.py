"""The addresses that start commands and the configurations of servers spell out. Pure."""

from __future__ import annotations

import posixpath

from buildguard.definitions import TYPE_CHECKING
from buildguard.project.start_command import ListenAddress, StartCommand

if TYPE_CHECKING:
    from buildguard.project.gunicorn_config import ConfigSetting


def split_address(text: str, source: str, start: StartCommand) -> ListenAddress | None:
    """The address of `host:port`, `:port` or `host`; None for a socket file or a file descriptor."""
    text = text.partition(",")[0].strip().removeprefix("tcp://")
    if text.startswith(("unix:", "fd://", "fd@", "/")):
        return None
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return ListenAddress(host, port.lstrip(":") or "8000", source, start.place)
    head, colon, tail = text.rpartition(":")
    if not colon and "$" in text:
        return ListenAddress("", text, source, start.place)
    if not colon:
        return ListenAddress(text, "8000", source, start.place) if not text.isdigit() else None
    return ListenAddress(head or "0.0.0.0", tail, source, start.place)  # noqa: S104  what the servers do


def configured_listener(start: StartCommand, path: str, setting: ConfigSetting) -> ListenAddress | None:
    """The address that a configuration file of the image binds."""
    place = start.place._replace(file=path, line=setting.line, in_image=True)
    return split_address(setting.text, f"{posixpath.basename(path)}:{setting.line}", start._replace(place=place))


def unknown_listener(start: StartCommand, path: str) -> ListenAddress:
    """An address that only running the start would tell."""
    return ListenAddress("", "", posixpath.basename(path), start.place)
