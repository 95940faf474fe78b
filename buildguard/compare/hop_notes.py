"""What is recorded of a hop and not judged: kinds of files, permissions, hard links, twins. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.diagnostic import shown_path
from buildguard.stages.snapshot import Snapshot


def notes(before: Snapshot, after: Snapshot) -> list[str]:
    """What git does not record and the stages do: full modes, empty folders, special files, hard links; one line each kind."""
    one, other = before.manifest.extras, after.manifest.extras
    found = []
    for mine, theirs, words in ((one, other, f"not in {after.stage}"), (other, one, f"only in {after.stage}")):
        folders = mine.folders - theirs.folders
        if folders and (theirs.whole or mine is other):
            found.append(f"empty folders {words}: {_listed(folders)}")
        special = {path: kind for path, kind in mine.special.items() if theirs.special.get(path) != kind}
        if special:
            found.append(
                f"special files {words}: "
                + ", ".join(f"{shown_path(path)} ({kind})" for path, kind in sorted(special.items()))
            )
    modes: dict[tuple[int, int], list[bytes]] = {}
    for path in one.modes.keys() & other.modes.keys():
        was, now = one.modes[path], other.modes[path]
        if was != now and bool(was & 0o100) == bool(now & 0o100):
            modes.setdefault((was, now), []).append(path)
    found += [
        f"permissions {was:04o} became {now:04o}: {_listed(paths)}" for (was, now), paths in sorted(modes.items())
    ]
    if other.twins:
        found.append(f"hard links: {_listed(other.twins)}")
    return found


def _listed(paths: frozenset[bytes] | list[bytes] | Mapping[bytes, bytes]) -> str:
    names = [shown_path(path) for path in sorted(paths)]
    return ", ".join(names[:5]) + (f" … and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
