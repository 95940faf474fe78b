"""A manifest for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildguard import __version__
from buildguard.compare.manifest import ManifestResult
from buildguard.diagnostic import count, display_path, escape_text, unproven_line
from buildguard.stages import manifest as manifests


def as_json(listed: ManifestResult) -> str:
    """Schema 1 of `manifest`: what `manifest:FILE` reads back."""
    snapshot = listed.snapshot
    answer: dict[str, Any] = {
        "schema": 1,
        "buildguard": __version__,
        "stage": snapshot.stage,
        "commit": snapshot.commit or None,
        **{f"{name}_digest": digest for name, digest in snapshot.digests},
        **manifests.to_json(snapshot.manifest),
        "findings": [
            *({"path": display_path(path), "message": _ODD} for path in listed.odd),
            *(
                {"path": display_path(path) or ".", "code": "BG306", "message": why}
                for path, why in snapshot.damaged.items()
            ),
        ],
        "notes": list(snapshot.notes),
        "unproven": [{"path": item.path, "reason": item.reason} for item in snapshot.unproven],
        "exit_code": listed.exit_code,
    }
    import json

    return json.dumps(answer, indent=1) + "\n"


def as_text(listed: ManifestResult, *, on_terminal: bool) -> bytes:
    """SHA256SUMS; on a terminal, where no program reads it, names that the terminal would obey are escaped."""
    sums = listed.snapshot.manifest.sums()
    if not on_terminal:
        return sums
    lines = sums.split(b"\n")
    return "\n".join(escape_text(display_path(line)) for line in lines).encode("utf-8")


_ODD = "a name that only GNU's sha256sum reads back: BusyBox does not know its escapes"


def beside(listed: ManifestResult) -> Sequence[str]:
    """What SHA256SUMS cannot say, for stderr."""
    snapshot = listed.snapshot
    unsummed = snapshot.manifest.unsummed()
    lines = [f"{escape_text(display_path(path))}: {_ODD}" for path in listed.odd]
    lines += [f"{escape_text(display_path(path)) or '.'}: BG306 {why}" for path, why in snapshot.damaged.items()]
    if unsummed:
        lines.append(f"note: {count(len(unsummed), 'link or submodule')} not in SHA256SUMS; --format json has all")
    lines += [f"note: {escape_text(note)}" for note in snapshot.notes]
    lines += [f"unproven: {unproven_line(item)}" for item in snapshot.unproven]
    if not snapshot.unproven and not snapshot.damaged:  # of half a stage there is no digest
        entries = count(len(snapshot.manifest.entries), "entry")
        lines.append(f"{snapshot.manifest.digest}  {escape_text(snapshot.stage)} ({entries})")
    return lines
