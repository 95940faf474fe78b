"""The image stage of `diff`: the project's files as a built image holds them, under the project's own paths."""

from __future__ import annotations

import os
import weakref
from collections.abc import Collection
from pathlib import Path

from buildguard.compare.image_project import Finder, parse, project_around
from buildguard.diagnostic import Unproven, Unreadable, shown_path
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker import sandbox as cells
from buildguard.docker.image_stage import Held, ImageFiles
from buildguard.project.request import Request, may_pull
from buildguard.stages import manifest as manifests
from buildguard.stages import snapshot
from buildguard.stages.manifest import Entry, Extras, Manifest
from buildguard.stages.snapshot import Snapshot
from buildguard.stages.stage import Kind

_MODES = {Kind.FILE: manifests.FILE, Kind.EXECUTABLE: manifests.EXECUTABLE, Kind.LINK: manifests.LINK}


class Image:
    """An image, read once; its contents stay at hand for as long as this lives."""

    def __init__(self, cwd: Path, text: str, commit: str = "") -> None:
        """`text` is `image:REF[:/root]`, `commit` the project's to look for in it. Raises UsageError for anything else."""
        self._cwd = cwd
        self._commit = commit
        self._text = text
        self._reference, self._root = parse(text)
        self._files: ImageFiles | None = None
        self._places: dict[bytes, bytes] = {}

    def snapshot(self) -> Snapshot:
        """The project in the image; what installers put beside it is no part of it."""
        project = project_around(self._cwd, "", self._commit)
        daemon = daemons.connect()
        try:
            cells.sweep(daemon)
            pull = (lambda _line: None) if may_pull(Request(self._cwd)) else None
            image = images.find(daemon, self._reference, project.config.platform, pull)
            with cells.looking(daemon, image) as cell:
                self._files = ImageFiles(cell, whole=True)
                weakref.finalize(self, self._files.close)
                finder = Finder(project, image, cell, self._files, self._root)
                located = finder.located()
                own, _installed = finder.places(located)
                own = {**finder.elsewhere(located), **own}
        finally:
            daemon.close()
        self._places = {path: place for path, place in own.items() if not self._copy(path, place, located.twins, own)}
        entries, special, unproven = [], {}, []
        for path, place in self._places.items():
            held = self._files.found[place]
            if held.kind in _MODES:
                entries.append(_entry(path, held))
            elif not held.link:
                special[path] = "something special"
            else:
                unproven.append(Unproven(shown_path(path), None, "a hard link to what was not read of the image"))
        notes = (f"the project lies in {', '.join(located.roots)}, by {located.told_by}",)
        return Snapshot(
            self._text,
            snapshot.IMAGE,
            Manifest(entries, Extras(special=special)),
            notes,
            tuple(unproven),
            digests=(("image", image.id),),
            dockerfile=located.recipe.service.dockerfile if located.recipe is not None else "",
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | Unreadable]:
        """Some files of the image."""
        assert self._files is not None
        found: dict[bytes, bytes | Unreadable] = {}
        for path in paths:
            held = self._files.found[self._places[path]]
            found[path] = held.link if held.kind is Kind.LINK else self._files.content(self._places[path])
        return found

    def _copy(self, path: bytes, place: bytes, twins: dict[str, str], own: dict[bytes, bytes]) -> bool:
        """Whether this is another copy of a project's file, with the same bytes, at a second place in the image."""
        assert self._files is not None
        twin = os.fsencode(twins.get(os.fsdecode(place), ""))
        if path != place or twin not in own:
            return False
        one, other = self._files.found[place], self._files.found[own[twin]]
        return (one.kind, one.digest) == (other.kind, other.digest)


def _entry(path: bytes, held: Held) -> Entry:
    if held.kind is Kind.LINK:
        return manifests.of_bytes(path, manifests.LINK, held.link)
    return Entry(path, _MODES[held.kind], held.size, held.digest.hex(), held.blob)
