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
    denied, seen = [], 0
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            seen += 1
            wanted = os.R_OK | os.X_OK if name in folders else os.R_OK
            if not os.path.islink(path) and not os.access(path, wanted):
                denied.append(path)
        if seen > _MOST_ENTRIES or len(denied) >= _MOST_SHOWN:
            break
    return denied[:_MOST_SHOWN]


if __name__ == "__main__":
    denied = [path for folder in sys.argv[1:] for path in unreadable(folder)]
    closed = [folder for folder in sys.argv[1:] if os.path.isdir(folder) and not os.access(folder, os.W_OK)]
    print(json.dumps({"user": os.getuid(), "unreadable": denied, "unwritable": closed}))
