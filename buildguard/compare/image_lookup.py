"""How an image is looked at as a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.definitions import NamedTuple

if TYPE_CHECKING:
    from buildguard.docker.image_source import ImageSource


class ImageLookup(NamedTuple):
    """What an image is compared with, and where it is read.

    `commit` is the one whose files it should have, in place of those on disk; `service` the one that it is of (empty: any of
    the project); `source` is None for the local container engine.
    """

    commit: str = ""
    service: str = ""
    source: ImageSource | None = None


ANY_IMAGE = ImageLookup()
