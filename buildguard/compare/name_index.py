"""Other names and other places of the contents of a hop: what was renamed, moved or mixed up. Pure."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from buildguard.compare.causes import Cause, CauseKind
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.diagnostic import display_path
from buildguard.stages.manifest import Manifest, ManifestEntry, fold_path, normalize_path


class NameIndex:
    """The rows of a hop by their contents and by their names."""

    def __init__(self, differences: Sequence[Difference], before: Manifest, after: Manifest) -> None:
        self._before, self._after = before, after
        added = [difference for difference in differences if difference.change is ChangeKind.ADDED]
        removed = [difference for difference in differences if difference.change is ChangeKind.REMOVED]
        changed = [difference for difference in differences if difference.change is ChangeKind.CHANGED]
        self._added_contents = _paths_by_digest((row.path, row.after) for row in added)
        self._removed_contents = _paths_by_digest((row.path, row.before) for row in removed)
        self._old_contents = _paths_by_digest((row.path, row.before) for row in changed)
        self._added_names = _paths_by_normal_form(added)
        self._removed_names = _paths_by_normal_form(removed)
        self._paths_by_folded_name = _paths_by_folded_name(differences, [*before.entries, *after.entries])

    def find_normalized(self, difference: Difference) -> Cause | None:
        """The same name in another Unicode form on the other side."""
        removed = difference.change is ChangeKind.REMOVED
        others = self._added_names if removed else self._removed_names
        other = others.get(normalize_path(difference.path))
        if other is None or other == difference.path:
            return None
        old, new = (difference.path, other) if removed else (other, difference.path)
        same = "the same content" if self._is_same_content(old, new) else "and other content"
        words = f"the name is {_unicode_form(old)} before and {_unicode_form(new)} after, {same}"
        return Cause(CauseKind.NAME_NORMALIZATION, words)

    def find_collision(self, difference: Difference) -> Cause | None:
        """A name that differs by case only."""
        for other in self._paths_by_folded_name.get(fold_path(difference.path), ()):
            if other == difference.path or normalize_path(other) == normalize_path(difference.path):
                continue
            if difference.change is ChangeKind.CHANGED and not self._has_content_of(difference, other):
                continue
            words = f"{display_path(other)} is the same name on a disk that ignores case"
            return Cause(CauseKind.CASE_COLLISION, words)
        return None

    def find_moved(self, difference: Difference) -> Cause | None:
        """The same content under another name on the other side."""
        removed = difference.change is ChangeKind.REMOVED
        entry = difference.before if removed else difference.after
        if entry is None or not entry.size or entry.type != "file":
            return None  # every empty file is every other one
        other = (self._added_contents if removed else self._removed_contents).get(entry.sha256)
        return None if other is None else Cause(CauseKind.MOVED, f"{'now' if removed else 'was'} {display_path(other)}")

    def find_swapped(self, difference: Difference) -> Cause | None:
        """The old content of another path that changed as well."""
        assert difference.after is not None
        other = self._old_contents.get(difference.after.sha256)
        if other is None or other == difference.path or not difference.after.size:
            return None
        return Cause(CauseKind.MOVED, f"holds what {display_path(other)} held")

    def _is_same_content(self, path: bytes, other: bytes) -> bool:
        manifests = (self._before, self._after)
        entries = [manifest.entries.get(name) for manifest in manifests for name in (path, other)]
        return len({entry.sha256 for entry in entries if entry is not None}) == 1

    def _has_content_of(self, difference: Difference, other: bytes) -> bool:
        was = self._before.entries.get(other)
        return was is not None and difference.after is not None and was.sha256 == difference.after.sha256


def _paths_by_digest(rows: Iterable[tuple[bytes, ManifestEntry | None]]) -> Mapping[str, bytes]:
    return {entry.sha256: path for path, entry in rows if entry is not None}


def _paths_by_normal_form(differences: Iterable[Difference]) -> Mapping[str, bytes]:
    return {normalize_path(row.path): row.path for row in differences if not row.path.isascii()}


def _paths_by_folded_name(differences: Iterable[Difference], paths: Iterable[bytes]) -> Mapping[str, Sequence[bytes]]:
    """The paths that share a folded name with a row: only those can have been mixed up with it."""
    wanted = {fold_path(difference.path) for difference in differences}
    by_name: dict[str, list[bytes]] = {}
    for path in dict.fromkeys(paths):
        name = fold_path(path)
        if name in wanted:
            by_name.setdefault(name, []).append(path)
    return by_name


def _unicode_form(path: bytes) -> str:
    text = os.fsdecode(path)
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, text)), "of mixed form")
