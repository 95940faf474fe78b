"""What the user of a container cannot read or write: run by the image's own Python, beside the program.

Called with folders; prints one line of JSON. `unreadable` are files and folders below them, `unwritable` the folders themselves.
"""

from __future__ import annotations

import json
import os
import sys

_MOST_ENTRIES = 20_000
_MOST_SHOWN = 20


def unreadable(folder: str) -> list[str]:
    """The files and folders below a folder that this user cannot read, some at the most."""
    denied: list[str] = []
    seen, pending = 0, [folder]
    while pending and seen <= _MOST_ENTRIES and len(denied) < _MOST_SHOWN:  # before 3.12 `os.walk` calls itself
        parent = pending.pop()
        try:
            names = os.listdir(parent)
        except OSError:
            continue  # it is among what was denied
        for path in [os.path.join(parent, name) for name in names]:
            seen += 1
            if os.path.islink(path):
                continue
            is_folder = os.path.isdir(path)
            if not os.access(path, os.R_OK | os.X_OK if is_folder else os.R_OK):
                denied.append(path)
            elif is_folder:
                pending.append(path)
    return denied[:_MOST_SHOWN]


if __name__ == "__main__":
    denied = [path for folder in sys.argv[1:] for path in unreadable(folder)]
    closed = [folder for folder in sys.argv[1:] if os.path.isdir(folder) and not os.access(folder, os.W_OK)]
    print(json.dumps({"user": os.getuid(), "unreadable": denied, "unwritable": closed}))
