"""BG701: packages in a folder that neither PATH nor Python's search path names, so that a start does not find them."""

from __future__ import annotations

import sys

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.image_model import DEFAULT_PATH, is_below
from buildguard.project.start_command import StartCommand, is_python
from buildguard.startup.applications import EntryFile
from buildguard.startup.copied_environments import add_programs, unreached_environment
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.modules import may_be_installed, search
from buildguard.startup.source_facts import read_facts

_ACTIVATES = lazy_pattern(rb"activate|\bconda\b|\b(?:uv|poetry|pdm|pipenv|hatch)\s+run\b|\buvx\b|bashrc|profile")
_SOURCED = lazy_pattern(rb"(?m)(?:^|[;&|])[ \t]*(?:\.|source)[ \t]+[^\s;&|'\"]*/activate(?=[ \t]*(?:[;&|\\]|$))")
_EXTENDS = lazy_pattern(rb"\bsys\.path\b|\bsite\b|activate_this|\bos\.exec")
_SEEN = lazy_pattern(r"/(?:site|dist)-packages|/lib/python3\.\d+(?:/|$)|/\.local$")
_SETTINGS = frozenset({"PYTHONHOME", "PYTHONUSERBASE", "PYTHONSTARTUP"})
_OWN = frozenset({"pip", "setuptools", "wheel", "pkg_resources"})  # what the base image has


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


def find_unreached(image: ImageStart, start: StartCommand) -> str:
    """The environment that has all packages and that PATH does not reach; empty where a command may activate one."""
    return "" if enters_environment(image, start) else unreached_environment(image, path_folders(image, start))


def enters_environment(image: ImageStart, start: StartCommand) -> bool:
    """Whether a command may activate an environment."""
    run_text = _SOURCED.sub(b"", image.tree.run_text.encode())  # that ends with its RUN
    texts = [*start_texts(image, start), run_text]
    return "BASH_ENV" in start.env or any(_ACTIVATES.search(text) for text in texts)


def check_unseen(image: ImageStart, start: StartCommand, entry: EntryFile | None, findings: StartupFindings) -> None:
    """Report a server or an import that the image's own Python runs, and whose package is in another folder."""
    name = _own_python(start)
    folder = find_unreached(image, start) if name and not _is_seen(image, start) else ""
    needed = _needed_package(image, start, entry) if folder else ""
    if needed:
        who = "runs" if start.server else "imports"
        message = f"{name} {who} {needed}, and the packages are in {folder}, where it does not look"
        findings.add(Code.BG701, image.place_of(start.place), message, add_programs(folder))


def _own_python(start: StartCommand) -> str:
    """The image's own Python as a start names it; empty where another one runs, or none."""
    name = next((program.name for program in start.programs if is_python(program.name)), "")
    return "" if "/" in name.removeprefix("/usr/local/bin/") else name


def _is_seen(image: ImageStart, start: StartCommand) -> bool:
    """Whether Python may look into one of the environments."""
    places = [environment.path for environment in image.tree.model.environments]
    is_searched = any(is_below(path, place) for path in start.search_path for place in places)
    return is_searched or _is_extended(image, start) or any(map(_SEEN.search, places))


def _is_extended(image: ImageStart, start: StartCommand) -> bool:
    """Whether a variable or a file may name more folders to search."""
    is_open = "$" in start.env.get("PYTHONPATH", "") or ".pth" in image.tree.run_text
    return is_open or not _SETTINGS.isdisjoint(start.env)


def _needed_package(image: ImageStart, start: StartCommand, entry: EntryFile | None) -> str:
    """The server, or the first package that the first file imports in any case; empty where the project may have it."""
    if start.server:
        return "" if search(image, start.server, start.search_path).path else start.server
    content = image.read(entry.path) if entry is not None else None
    names = _imports(content) if content is not None else ()
    return next((name for name in names if _is_installed(image, start, name)), "")


def _imports(content: bytes) -> list[str]:
    """The packages that a source imports in any case; none where it may add folders to search."""
    facts = None if _EXTENDS.search(content) else read_facts(content)
    imports = facts.imports if facts is not None else ()
    return [item.module.partition(".")[0] for item in imports if item.is_certain and not item.level]


def _is_installed(image: ImageStart, start: StartCommand, name: str) -> bool:
    """Whether a name is a package's that the image installs, and no module of the project or of Python."""
    if name in sys.stdlib_module_names or name in _OWN or image.tree.installs_project:
        return False
    return search(image, name, start.search_path).is_missing and bool(may_be_installed(image, name))
