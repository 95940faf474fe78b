"""Renderings of a result: each takes records and returns text."""

from __future__ import annotations

import importlib
from pathlib import Path

from buildguard.cli.render.layout import TextLayout
from buildguard.definitions import TYPE_CHECKING
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from buildguard.check.result import CheckReport

_PLAIN = TextLayout()
_RENDERERS = {
    "text": "check_text",
    "concise": "concise",
    "json": "check_json",
    "sarif": "sarif",
    "junit": "junit",
    "github": "github",
    "gitlab": "gitlab",
}
_LAID_OUT = frozenset({"text", "concise"})
FORMATS = tuple(_RENDERERS)


def render(report: CheckReport, form: str, layout: TextLayout = _PLAIN) -> str:
    """A result in one of FORMATS; only texts for people are laid out."""
    module = importlib.import_module(f"buildguard.cli.render.{_RENDERERS[form]}")
    text: str = module.render(report, layout) if form in _LAID_OUT else module.render(report)
    return text


def write(content: str | bytes, file: Path, mode: int = 0o666) -> None:
    """Write a file whole or not at all, with `mode` less the umask; raises UnprovenError if it cannot be written.

    A device or a pipe is written to, never replaced.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    try:
        if _is_special(file):
            file.write_bytes(data)
        else:
            from buildguard.system import temporary

            temporary.write_whole(file, data, mode)
    except OSError as error:
        raise UnprovenError(f"{file} could not be written: {error.strerror}") from error


def _is_special(file: Path) -> bool:
    """Whether a path is a device, a pipe or a stream such as /dev/stdout; a link elsewhere is replaced, never followed."""
    if file.is_relative_to("/dev"):
        return True
    return not file.is_symlink() and file.exists() and not file.is_file()
