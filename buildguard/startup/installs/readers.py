"""The reader of each lock file, by its name. Pure."""

from __future__ import annotations

import posixpath

from buildguard.project.install_choice import InstallChoice
from buildguard.startup.installs.locked import Lock, LockedRelease, is_pylock, of_pylock, of_uv
from buildguard.startup.installs.platform import WheelPlatform
from buildguard.startup.installs.poetry import of_poetry


def releases(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> list[LockedRelease] | None:
    """The releases that are certainly installed; None for a lock that cannot be read."""
    is_poetry = posixpath.basename(lock.file) == "poetry.lock"
    read = of_pylock if is_pylock(lock.file) else of_poetry if is_poetry else of_uv
    try:
        return list(read(lock, platform, choice))
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
