"""Programs that run in other Pythons, with the standard library alone."""

from pathlib import Path


def program(name: str) -> Path:
    """The file of one of these programs."""
    return Path(__file__).with_name(name)
