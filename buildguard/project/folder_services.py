"""Which services a configuration file below the root decides. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from buildguard.project.config import Config
from buildguard.project.target import ImageService, Target


def leave_out(target: Target, contexts: Iterable[str]) -> Target:
    """A target that the configuration at the root sets, without the services that a nearer file decides."""
    inside = {context for context in contexts if context} if target.service is None and target.context == "" else set()
    return target._replace(without=tuple(sorted({*target.without, *inside})))


def services_in(folder: str, services: Iterable[ImageService]) -> list[ImageService]:
    """The services whose Dockerfile is in a folder."""
    return [service for service in services if f"{posixpath.dirname(service.dockerfile)}/".startswith(f"{folder}/")]


def unused_targets(config: Config, services: Sequence[ImageService], *, picked: bool) -> Iterator[str]:
    """A note on each file below the root whose target no service uses; none if one service was picked."""
    for folder in config.folders:
        if folder.target and not picked and not services_in(folder.folder, services):
            yield f"{folder.file}: target is not used, because no service is built in {folder.folder}/"
