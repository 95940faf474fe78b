"""Whether an image starts in the folder, and with the command, that its Dockerfile declares: its files alone do not show it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from buildguard.docker.images import Image
from buildguard.project.image_model import ImageModel
from buildguard.project.start_declarations import declared_start

_LONGEST = 200  # characters of a command that are shown


def find_other_start(image: Image, model: ImageModel, dockerfile: str) -> str:
    """In words, what an image's own configuration says that its Dockerfile does not; empty where both agree or it is unknown."""
    declared = declared_start(model, dockerfile)
    if model.knows_workdir and "$" not in declared.folder and image.folder.rstrip("/") != declared.folder.rstrip("/"):
        return f"{image.reference} starts in {image.folder}, and {dockerfile} says {declared.folder}"
    words = declared.command.words if declared.command is not None else ()
    runs = image.command[-len(words) :] if declared.inherits_entrypoint and not model.knows_base else image.command
    if not words or _plain(words) == _plain(runs):
        return ""
    if not image.command:
        return f"{image.reference} has no command, and {dockerfile} says `{_shown(words)}`"
    return f"{image.reference} starts `{_shown(image.command)}`, and {dockerfile} says `{_shown(words)}`"


def _plain(words: Sequence[str]) -> list[str]:
    """Words with the white space in them as one blank: builders join continued lines each in their own way."""
    return [" ".join(word.split()) for word in words]


def _shown(words: Sequence[str]) -> str:
    text = shlex.join(words)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
