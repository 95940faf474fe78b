"""The lines of a `.pth` file that Python executes: those that start with `import`. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.project.snippets.mapped_text import map_whole
from buildguard.project.snippets.snippet import EmbeddedSource, Snippet, SnippetForm

LARGEST = 1 << 16  # bytes; weights of a model are called .pth too, and are larger
_EXECUTED = ("import ", "import\t")


def pth_snippets(data: bytes, path: str) -> Iterator[Snippet]:
    """Each import line of a `.pth` file is a program of its own; a file that is no text has none."""
    if len(data) > LARGEST or b"\0" in data:
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(_EXECUTED):
            yield Snippet(path, EmbeddedSource(map_whole(line, number), SnippetForm.PTH))
