"""Files with Python in them that no engine compiles: templates, notebooks, archives. By their names alone. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from buildguard.definitions import NamedTuple, StrEnum


class UncheckedKind(StrEnum):
    """What keeps the Python in a file from being compiled."""

    TEMPLATE = "template"
    NOTEBOOK = "notebook"
    ARCHIVE = "archive"
    CYTHON = "Cython source"
    SNIPPET = "snippet"


class UncheckedPython(NamedTuple):
    """Python that was not checked: where it is, and for a snippet why; `suffix` is what a template's name ends with."""

    kind: UncheckedKind
    path: str
    line: int | None = None
    reason: str = ""
    suffix: str = ""

    @property
    def words(self) -> str:
        """The place and the reason, for people."""
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.reason}" if self.reason else place


_TEMPLATES = frozenset({".j2", ".jinja", ".jinja2", ".tmpl", ".tpl", ".template", ".mako", ".erb", ".mustache", ".in"})
_PLAIN_TEMPLATES = frozenset({".j2", ".jinja", ".jinja2", ".mako"})  # a name without another suffix counts as well
_OTHERS = {
    ".ipynb": UncheckedKind.NOTEBOOK,
    ".pyz": UncheckedKind.ARCHIVE,
    ".whl": UncheckedKind.ARCHIVE,
    ".egg": UncheckedKind.ARCHIVE,
    ".pyx": UncheckedKind.CYTHON,
}
UNCHECKED = tuple(suffix.encode() for suffix in (*_TEMPLATES, *_OTHERS))


def unchecked_files(paths: Iterable[str]) -> Iterator[UncheckedPython]:
    """The files of some paths that may hold Python and are not compiled."""
    for path in paths:
        stem, suffix = posixpath.splitext(posixpath.basename(path))
        if suffix in _OTHERS:
            yield UncheckedPython(_OTHERS[suffix], path, suffix=suffix)
        elif suffix in _TEMPLATES and _is_of_python(stem, suffix):
            yield UncheckedPython(UncheckedKind.TEMPLATE, path, suffix=suffix)


def _is_of_python(stem: str, suffix: str) -> bool:
    inner = posixpath.splitext(stem)[1]
    return inner in {".py", ".pyw"} or (not inner and suffix in _PLAIN_TEMPLATES)
