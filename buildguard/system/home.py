"""The home folder of whoever runs buildguard."""

from __future__ import annotations

from pathlib import Path

_NOWHERE = Path("/nonexistent")  # Debian's name for the home of an account that has none


def home_folder() -> Path:
    """The home folder; one that does not exist for a user without HOME and without an account, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return _NOWHERE
