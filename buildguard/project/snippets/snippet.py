"""A piece of Python source in another file, and the Python that will run it."""

from __future__ import annotations

import posixpath

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
from buildguard.project import image_reference
from buildguard.project.snippets.mapped_text import MappedText
from buildguard.project.target import PythonVersion


class SnippetForm(StrEnum):
    """How the source reaches the interpreter."""

    COMMAND = "python -c"
    STDIN = "python -"
    FILE = "file"
    PTH = ".pth"


class EmbeddedSource(NamedTuple):
    """Python source in a script; not `is_known` where an expansion is part of it. `program` is what runs it."""

    text: MappedText
    form: SnippetForm
    program: str = ""
    is_known: bool = True


class SnippetPython(NamedTuple):
    """The Python that runs a snippet: its version with the place that says so, or why it is unknown."""

    version: PythonVersion | None
    found_in: str
    image: str | None = None
    doubt: str = ""
    unknown: str = ""


class Snippet(NamedTuple):
    """A piece of Python source and its file; `service` is the name of the image that it becomes a part of, if any.

    `python` is the Python of its own stage or step, None where it is that of every target that runs the file.
    """

    path: str
    source: EmbeddedSource
    python: SnippetPython | None = None
    service: str | None = None

    @property
    def line(self) -> int:
        """The line of the file that it starts on."""
        return self.source.text.place(0)[0]


_NAMED_VERSION = lazy_pattern(r"python(3\.\d+)t?")


def python_of_program(own: SnippetPython, program: str, place: str) -> SnippetPython:
    """The Python that a program's name or path stands for, where it is not that of its stage or step."""
    name = posixpath.basename(program)
    if name.startswith("pypy"):
        return own._replace(version=None, unknown=f"{name} runs it, and buildguard asks CPython only")
    match = _NAMED_VERSION.fullmatch(name)
    named = PythonVersion.parse(match[1]) if match is not None else None
    if named is not None and (own.version is None or own.version.minor != named.minor):
        return SnippetPython(named, place)
    if program.startswith("/usr/bin/") and image_reference.parse(own.image or "").last == "python":
        unknown = f"{program} is the Python of the distribution, not of {own.image}"
        return own._replace(version=None, unknown=unknown)
    return own
