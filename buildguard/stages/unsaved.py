"""A stage with one file as an editor holds it: its content comes from the editor, everything else from the stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from buildguard.diagnostic import RelativePath, UnreadableFile
from buildguard.stages.stage import Entry, EntryKind, Stage


class UnsavedStage:
    """Another stage, with the content of one path replaced; the path need not exist there."""

    def __init__(self, stage: Stage, path: bytes, content: bytes) -> None:
        self.name = "stdin"
        self.root: Path = stage.root
        self._stage = stage
        self._entry = Entry(RelativePath(path), EntryKind.FILE)
        self._content = content

    def entries(self) -> list[Entry]:
        """Every path of the stage, and the unsaved file."""
        others = [entry for entry in self._stage.entries() if entry.path != self._entry.path]
        return sorted([*others, self._entry], key=lambda entry: entry.path)

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The content of each entry, in order."""
        for entry in entries:
            if entry.path == self._entry.path:
                yield entry, self._content
            else:
                yield from self._stage.contents([entry])

    def notes(self) -> list[str]:
        """The stage's own notes."""
        return self._stage.notes()
