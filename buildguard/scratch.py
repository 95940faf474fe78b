"""Temporary folders that go with what they belong to."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


def folder_of(owner: object) -> Path:
    """A new folder that is removed when its owner is gone, or at the end at the latest."""
    path = Path(tempfile.mkdtemp(prefix="buildguard-"))
    weakref.finalize(owner, shutil.rmtree, path, ignore_errors=True)
    return path
