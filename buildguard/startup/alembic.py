"""What Alembic loads where a start runs its migrations: alembic.ini, env.py, and every file of versions."""

from __future__ import annotations

import configparser
import posixpath
from collections.abc import Iterator

from buildguard.definitions import NamedTuple
from buildguard.project.start_command import StartCommand, in_folder
from buildguard.startup.applications import EntryFile
from buildguard.startup.image_start import ImageStart

_SECTION = "alembic"


class AlembicConfig(NamedTuple):
    """The folder of the scripts, empty where it is a package's or unknown, and what comes first in sys.path."""

    scripts: str
    search_path: tuple[str, ...]


def config_path(command: StartCommand) -> str:
    """The configuration that an `alembic` command reads; empty for any other command."""
    names = [posixpath.basename(program.name) for program in command.programs]
    if names[-1:] != ["alembic"] and command.module != "alembic":
        return ""
    words = list(command.arguments)
    option = next((word for word in words if word in {"-c", "--config"}), "")
    name = words[words.index(option) + 1] if option and words[-1] != option else "alembic.ini"
    return "" if "$" in name else in_folder(command.folder, name)


def read_config(image: ImageStart, path: str, folder: str) -> AlembicConfig | None:
    """The configuration at a path of the image, read where the working folder is `folder`; None where it is unknown."""
    content = image.read(path)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string((content or b"").decode("utf-8", "replace"))
        here, scripts = posixpath.dirname(path), parser.get(_SECTION, "script_location", fallback="")
    except configparser.Error:
        return None
    if not scripts:
        return None
    scripts = scripts.replace("%(here)s", here)
    added = parser.get(_SECTION, "prepend_sys_path", fallback="").replace("%(here)s", here)
    entries = tuple(in_folder(folder, entry) for entry in added.replace(":", " ").split())
    is_known = ":" not in scripts and "%" not in scripts and "$" not in scripts
    return AlembicConfig(in_folder(folder, scripts) if is_known else "", entries)


def loaded_files(image: ImageStart, config: AlembicConfig) -> Iterator[EntryFile]:
    """The scripts that Alembic runs."""
    if not config.scripts:
        return
    for path in sorted(image.tree.below(config.scripts)):
        inside = posixpath.relpath(path, config.scripts)
        if inside == "env.py" or (inside.startswith("versions/") and inside.endswith(".py")):
            placed = image.tree.find(path)
            if placed is not None:
                yield EntryFile(path, placed)
