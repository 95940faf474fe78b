"""The image stage of `diff`: the project's files as a built image holds them, under the project's own paths."""

from __future__ import annotations

import os
import weakref
from collections.abc import Collection, Mapping
from pathlib import Path

from buildguard.compare.image_lookup import ANY_IMAGE, ImageLookup
from buildguard.compare.image_project import ProjectFinder, load_project, parse
from buildguard.diagnostic import RelativePath, Unproven, UnreadableFile, display_path
from buildguard.docker.image_source import ENGINE_IMAGES
from buildguard.docker.image_stage import ImageEntry, ImageFiles
from buildguard.project.request import CheckRequest, may_pull
from buildguard.stages import manifest as manifests
from buildguard.stages.manifest import Extras, Manifest, ManifestEntry
from buildguard.stages.snapshot import Snapshot, StageKind
from buildguard.stages.stage import EntryKind

_MODES = {EntryKind.FILE: manifests.FILE, EntryKind.EXECUTABLE: manifests.EXECUTABLE, EntryKind.LINK: manifests.LINK}


class ImageSnapshotter:
    """An image, read once; its contents stay at hand for as long as this lives."""

    def __init__(self, cwd: Path, text: str, lookup: ImageLookup = ANY_IMAGE) -> None:
        """`text` is `image:REF[:/root]`. Raises UsageError for anything else."""
        self._cwd = cwd
        self._lookup = lookup
        self._text = text
        self._reference, self._root = parse(text)
        self._files: ImageFiles | None = None
        self._places: dict[bytes, bytes] = {}

    def snapshot(self) -> Snapshot:
        """The project in the image; what installers put beside it is no part of it."""
        project = load_project(self._cwd, self._lookup.service, self._lookup.commit)
        pull = (lambda _line: None) if may_pull(CheckRequest(self._cwd)) else None
        source = self._lookup.source or ENGINE_IMAGES
        with source.open(self._reference, project.config.platform, pull) as (image, cell):
            self._files = ImageFiles(cell, whole=True)
            weakref.finalize(self, self._files.close)
            finder = ProjectFinder(project, image, cell, self._files, self._root)
            located = finder.located()
            own, _installed = finder.places(located)
            other = finder.other_start(located)
            own = {**finder.elsewhere(located), **own}
        self._places = {path: place for path, place in own.items() if not self._copy(path, place, located.twins, own)}
        entries, special, unproven = [], {}, []
        for path, place in self._places.items():
            held = self._files.entries[place]
            if held.kind in _MODES:
                entries.append(_entry(path, held))
            elif not held.link:
                special[path] = "something special"
            else:
                unproven.append(Unproven(display_path(path), None, "a hard link to what was not read of the image"))
        notes = (f"the project is in {', '.join(located.roots)}, by {located.reported_by}", *filter(None, [other]))
        return Snapshot(
            self._text,
            StageKind.IMAGE,
            Manifest(entries, Extras(special=special)),
            notes,
            tuple(unproven),
            digests=(("image", image.id),),
            dockerfile=located.recipe.service.dockerfile if located.recipe is not None else "",
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """Some files of the image."""
        assert self._files is not None
        contents: dict[bytes, bytes | UnreadableFile] = {}
        for path in paths:
            held = self._files.entries[self._places[path]]
            contents[path] = held.link if held.kind is EntryKind.LINK else self._files.content(self._places[path])
        return contents

    def _copy(self, path: bytes, place: bytes, twins: Mapping[str, str], own: dict[bytes, bytes]) -> bool:
        """Whether this is another copy of a project's file, with the same bytes, at a second place in the image."""
        assert self._files is not None
        twin = os.fsencode(twins.get(os.fsdecode(place), ""))
        if path != place or twin not in own:
            return False
        entry, twin_entry = self._files.entries[place], self._files.entries[own[twin]]
        return (entry.kind, entry.digest) == (twin_entry.kind, twin_entry.digest)


def _entry(path: bytes, held: ImageEntry) -> ManifestEntry:
    if held.kind is EntryKind.LINK:
        return manifests.of_bytes(path, manifests.LINK, held.link)
    return ManifestEntry(
        RelativePath(path), _MODES[held.kind], held.size, manifests.Sha256(held.digest.hex()), held.blob
    )
