"""More folders, one in the other, than Python calls functions, or than a path reaches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def nest(root: Path, deep: int, source: bytes = b"x = (") -> None:
    """A source below so many folders; the folders alone where it is empty."""
    inner = os.open(root, os.O_RDONLY)
    for _ in range(deep):
        os.mkdir("d", dir_fd=inner)
        inner = _step(inner, "d")
    if source:
        file = os.open("a.py", os.O_CREAT | os.O_WRONLY, dir_fd=inner)
        os.write(file, source)
        os.close(file)
    os.close(inner)


def flatten(root: Path, deep: int) -> None:
    """Remove them: what removes the folder of a test calls itself for each."""
    inner = os.open(root, os.O_RDONLY)
    for _ in range(deep):
        inner = _step(inner, "d")
    if "a.py" in os.listdir(inner):
        os.unlink("a.py", dir_fd=inner)
    for _ in range(deep):
        inner = _step(inner, "..")
        os.rmdir("d", dir_fd=inner)
    os.close(inner)


def _step(folder: int, name: str) -> int:
    """Open a folder beside an open one, which is closed."""
    opened = os.open(name, os.O_RDONLY, dir_fd=folder)
    os.close(folder)
    return opened
