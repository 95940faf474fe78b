"""A PATH without the folder in which Python's official images have their programs, and in which pip puts those of packages."""

from __future__ import annotations

import posixpath
import re

from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference
from buildguard.project.image_model import DEFAULT_PATH, is_below
from buildguard.project.server_options import SERVERS
from buildguard.project.start_command import StartCommand, is_python
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import start_texts

_OWN = "/usr/local/bin"
_SYSTEM = frozenset({*DEFAULT_PATH.split(":"), "/usr/games"})
_RESETS = lazy_pattern(rb"activate|profile|bashrc|--login|\bbash -\w*l|\bsu\b|\bsudo\b|\bPATH\b")
_INSTALLER = lazy_pattern(r"\b(?:apt|apt-get|apk|aptitude|dpkg|ln|cp|mv|make)\b")


def lacking_path(image: ImageStart, start: StartCommand, name: str) -> str:
    """The PATH of a start, where no folder of it can have a program of Python's or of a package; else empty."""
    path = start.env.get("PATH", "")
    is_known = is_own_python(image) and _is_usual(name) and not _is_reset(image, start)
    return path if is_known and not any(_may_have(image, folder, name) for folder in path.split(":")) else ""


def is_own_python(image: ImageStart) -> bool:
    """Whether an image begins as Python's own: its programs, and those that pip installs, are in one folder."""
    return image.tree.model.knows_base and image_reference.parse(image.tree.base).last == "python"


def _is_usual(name: str) -> bool:
    return name in SERVERS or is_python(name)


def _is_reset(image: ImageStart, start: StartCommand) -> bool:
    """Whether a command of the start may set another PATH."""
    return "BASH_ENV" in start.env or any(map(_RESETS.search, start_texts(image, start)))


def _may_have(image: ImageStart, folder: str, name: str) -> bool:
    """Whether a folder may have a program: it is Python's own, it is unknown, an instruction names it, or the system fills it."""
    place = posixpath.normpath(folder)
    program = posixpath.join(place, name)
    is_fixed = place.startswith("/") and "$" not in place
    if place == _OWN or not is_fixed or _is_placed(image, program):
        return True
    return _system_may_have(image) if place in _SYSTEM else _is_filled(image, place)


def _is_placed(image: ImageStart, program: str) -> bool:
    return image.tree.find(program) is not None or image.tree.may_create(program)


def _system_may_have(image: ImageStart) -> bool:
    """Whether Debian's own Python may be there, as in the larger images, or what a package manager brings."""
    return not re.search("slim|alpine", image.tree.base) or _INSTALLER.search(image.tree.run_text) is not None


def _is_filled(image: ImageStart, place: str) -> bool:
    is_own = any(is_below(place, environment.path) for environment in image.tree.model.environments)
    return is_own or place in image.tree.run_text or "/.local/" in f"{place}/"
