"""What is recorded of a hop and not judged: kinds of files, permissions, hard links, twins. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from buildguard.diagnostic import display_path
from buildguard.stages.manifest import Extras
from buildguard.stages.snapshot import Snapshot

_EXECUTABLE = 0o100


def notes(before: Snapshot, after: Snapshot) -> list[str]:
    """Full modes, empty folders, special files and hard links, which git does not record: one line for each kind."""
    old, new = before.manifest.extras, after.manifest.extras
    lines = [
        *_folder_notes(old, new, f"not in {after.stage}", known=new.whole),
        *_special_notes(old, new, f"not in {after.stage}"),
        *_folder_notes(new, old, f"only in {after.stage}", known=True),
        *_special_notes(new, old, f"only in {after.stage}"),
        *_mode_notes(old, new),
    ]
    return [*lines, f"hard links: {_listed(new.twins)}"] if new.twins else lines


def _folder_notes(here: Extras, other: Extras, words: str, *, known: bool) -> Iterator[str]:
    """The empty folders of one stage; `known` where the other would record them."""
    folders = here.folders - other.folders
    if folders and known:
        yield f"empty folders {words}: {_listed(folders)}"


def _special_notes(here: Extras, other: Extras, words: str) -> Iterator[str]:
    special = sorted((path, kind) for path, kind in here.special.items() if other.special.get(path) != kind)
    if special:
        yield f"special files {words}: " + ", ".join(f"{display_path(path)} ({kind})" for path, kind in special)


def _mode_notes(old: Extras, new: Extras) -> Iterator[str]:
    """The permissions that changed beside the executable bit, which is compared as a difference."""
    modes: dict[tuple[int, int], list[bytes]] = {}
    for path in old.modes.keys() & new.modes.keys():
        was, now = old.modes[path], new.modes[path]
        if was != now and bool(was & _EXECUTABLE) == bool(now & _EXECUTABLE):
            modes.setdefault((was, now), []).append(path)
    for (was, now), paths in sorted(modes.items()):
        yield f"permissions {was:04o} became {now:04o}: {_listed(paths)}"


def _listed(paths: frozenset[bytes] | list[bytes] | Mapping[bytes, bytes]) -> str:
    names = [display_path(path) for path in sorted(paths)]
    return ", ".join(names[:5]) + (f" … and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
