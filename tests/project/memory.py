"""A stage that exists in memory alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from buildguard.diagnostic import RelativePath, UnreadableFile
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.stages.stage import Entry, EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class MemoryStage:
    """Files by path; None for one that cannot be read."""

    name = "memory:"
    root = Path("/nowhere")

    def __init__(self, files: Mapping[str, str | None]) -> None:
        self._files = {path.encode(): text for path, text in files.items()}

    def entries(self) -> list[Entry]:
        return [Entry(RelativePath(path), EntryKind.FILE) for path in sorted(self._files)]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        for entry in entries:
            text = self._files[entry.path]
            yield entry, UnreadableFile("permission denied") if text is None else text.encode()

    def notes(self) -> list[str]:
        return []

    def sources(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.path.endswith(b".py")]


def empty_project() -> Project:
    """A project without files."""
    stage = MemoryStage({})
    return Project(WorkScope(stage.root, None, stage, ()))
