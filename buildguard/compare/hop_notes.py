"""What is recorded of a hop and not judged: kinds of files, permissions, hard links, twins. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.diagnostic import display_path
from buildguard.stages.snapshot import Snapshot


def notes(before: Snapshot, after: Snapshot) -> list[str]:
    """What git does not record and the stages do: full modes, empty folders, special files, hard links; one line each kind."""
    extras_before, extras_after = before.manifest.extras, after.manifest.extras
    lines = []
    for mine, theirs, words in (
        (extras_before, extras_after, f"not in {after.stage}"),
        (extras_after, extras_before, f"only in {after.stage}"),
    ):
        folders = mine.folders - theirs.folders
        if folders and (theirs.whole or mine is extras_after):
            lines.append(f"empty folders {words}: {_listed(folders)}")
        special = {path: kind for path, kind in mine.special.items() if theirs.special.get(path) != kind}
        if special:
            lines.append(
                f"special files {words}: "
                + ", ".join(f"{display_path(path)} ({kind})" for path, kind in sorted(special.items()))
            )
    modes: dict[tuple[int, int], list[bytes]] = {}
    for path in extras_before.modes.keys() & extras_after.modes.keys():
        was, now = extras_before.modes[path], extras_after.modes[path]
        if was != now and bool(was & 0o100) == bool(now & 0o100):
            modes.setdefault((was, now), []).append(path)
    lines += [
        f"permissions {was:04o} became {now:04o}: {_listed(paths)}" for (was, now), paths in sorted(modes.items())
    ]
    if extras_after.twins:
        lines.append(f"hard links: {_listed(extras_after.twins)}")
    return lines


def _listed(paths: frozenset[bytes] | list[bytes] | Mapping[bytes, bytes]) -> str:
    names = [display_path(path) for path in sorted(paths)]
    return ", ".join(names[:5]) + (f" … and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
