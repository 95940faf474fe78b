"""What a start is written with: the folders that its programs are looked for in, and the texts that may change them."""

from __future__ import annotations

from buildguard.project.image_model import DEFAULT_PATH
from buildguard.project.start_command import StartCommand
from buildguard.startup.image_start import ImageStart


def path_folders(image: ImageStart, start: StartCommand) -> list[str]:
    """The folders in which a program may be looked for."""
    folders = start.env.get("PATH", image.tree.model.env.get("PATH", "")).split(":")
    return [folder for folder in [*folders, *DEFAULT_PATH.split(":")] if folder.startswith(("/", "$"))]


def start_texts(image: ImageStart, start: StartCommand) -> list[bytes]:
    """The commands of the Dockerfile that start something, and the scripts of the image that they run."""
    model = image.tree.model
    commands = [command.text.encode() for command in (model.entrypoint, model.cmd) if command is not None]
    scripts = {program.place.file for program in start.programs if program.place.in_image}
    return [*commands, *filter(None, map(image.read, sorted(scripts)))]
