"""What a start is written with: the folders that its programs are looked for in, and the texts that may change them."""

from __future__ import annotations

from buildguard.project import image_reference
from buildguard.project.image_model import DEFAULT_PATH
from buildguard.project.run_environments import ROOT
from buildguard.project.start_command import StartCommand
from buildguard.startup.copied_environments import WITHOUT_SERVERS
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


def rests_on_python(image: ImageStart) -> bool:
    """Whether an image rests on one of Python's own or of uv's, which has neither servers nor users of its own."""
    return image.tree.model.knows_base and image_reference.parse(image.tree.base).last in WITHOUT_SERVERS


def starting_user(image: ImageStart) -> str:
    """Who starts such an image, as USER names them; empty for root, and where the users of the base image are not known."""
    user = image.tree.model.user.partition(":")[0]
    return user if rests_on_python(image) and user not in ROOT and "$" not in user else ""
