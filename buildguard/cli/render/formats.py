"""Renderings of a result: each takes records and returns text."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from buildguard.cli.render.layout import TextLayout
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
    """Write a file whole or not at all, with `mode` less the umask; raises UnprovenError where it cannot be."""
    import os

    from buildguard.system import temporary

    new = temporary.temporary_sibling(os.fsencode(file))
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, file)
    except OSError as error:
        raise UnprovenError(f"{file} could not be written: {error.strerror}") from error
    finally:
        if os.path.lexists(new):
            os.unlink(new)
