"""What is below a folder, however deep: `os.walk` calls itself for each folder below another before Python 3.12."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import AnyStr


def files_below(folder: AnyStr) -> Iterator[AnyStr]:
    """Every path below a folder that is none itself; links are not followed, and what cannot be listed is left out."""
    pending = [folder]
    while pending:
        parent = pending.pop()
        try:
            with os.scandir(parent) as listing:
                entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
        except OSError:
            continue
        for name, is_folder in sorted(entries, reverse=True):
            if is_folder:
                pending.append(os.path.join(parent, name))
            else:
                yield os.path.join(parent, name)
