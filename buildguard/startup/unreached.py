"""BG701: packages in a folder that neither PATH nor Python's search path names, so that a start does not find them."""

from __future__ import annotations

import sys

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.image_model import is_below
from buildguard.project.start_command import StartCommand, is_python
from buildguard.startup.applications import EntryFile
from buildguard.startup.bare_images import INSTALLS_NONE, install_hint, is_bare
from buildguard.startup.copied_environments import add_programs, unreached_environment
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.modules import search
from buildguard.startup.named_packages import who_names
from buildguard.startup.source_facts import read_facts
from buildguard.startup.start_texts import path_folders, start_texts
from buildguard.startup.user_sites import find_unread_site

_ACTIVATES = lazy_pattern(rb"activate|\bconda\b|\b(?:uv|poetry|pdm|pipenv|hatch)\s+run\b|\buvx\b|bashrc|profile")
_SOURCED = lazy_pattern(rb"(?m)(?:^|[;&|])[ \t]*(?:\.|source)[ \t]+[^\s;&|'\"]*/activate(?=[ \t]*(?:[;&|\\]|$))")
_EXTENDS = lazy_pattern(rb"\bsys\.path\b|\bsite\b|activate_this|\bos\.exec")
_SEEN = lazy_pattern(r"/(?:site|dist)-packages|/lib/python3\.\d+(?:/|$)|/\.local$")
_SETTINGS = frozenset({"PYTHONHOME", "PYTHONUSERBASE", "PYTHONSTARTUP"})
_OWN = frozenset({"pip", "setuptools", "wheel", "pkg_resources"})  # what the base image has


def find_unreached(image: ImageStart, start: StartCommand) -> str:
    """The environment that has all packages and that PATH does not reach; empty where a command may activate one."""
    run_text = _SOURCED.sub(b"", image.tree.run_text.encode())  # that ends with its RUN
    texts = [*start_texts(image, start), run_text]
    if "BASH_ENV" in start.env or any(_ACTIVATES.search(text) for text in texts):
        return ""
    return unreached_environment(image, path_folders(image, start))


def check_unseen(image: ImageStart, start: StartCommand, entry: EntryFile | None, findings: StartupFindings) -> None:
    """Report a server or an import that the image's own Python runs, and whose package is in another folder."""
    name = _own_python(start)
    reason, hint = _unseen_packages(image, start) if name else ("", "")
    needed = _needed_package(image, start, entry) if reason else ""
    if needed:
        who = "runs" if start.server else "imports"
        findings.add(Code.BG701, image.place_of(start.place), f"{name} {who} {needed}, and {reason}", hint)


def _unseen_packages(image: ImageStart, start: StartCommand) -> tuple[str, str]:
    """Where all packages are, that the image's own Python does not look for them there, and what helps; empty where it may."""
    if is_bare(image, start):
        return INSTALLS_NONE, install_hint(image)
    folder = "" if _is_seen(image, start) else find_unreached(image, start)
    if folder:
        return f"the packages are in {folder}, where it does not look", add_programs(folder)
    site = find_unread_site(image, start)
    return (site.reason, site.hint) if site is not None else ("", "")


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
        return start.server if search(image, start.server, start.search_path).is_missing else ""
    content = image.read(entry.path) if entry is not None else None
    names = _imports(content) if content is not None else ()
    return next((name for name in names if _is_installed(image, start, name)), "")


def _imports(content: bytes) -> list[str]:
    """The packages that a source imports in any case; none where it may add folders to search."""
    facts = None if _EXTENDS.search(content) else read_facts(content)
    imports = facts.imports if facts is not None else ()
    return [item.module.partition(".")[0] for item in imports if item.is_certain and not item.level]


def _is_installed(image: ImageStart, start: StartCommand, name: str) -> bool:
    """Whether a name is a package's that the project requires, and no module of the project or of Python."""
    if name in sys.stdlib_module_names or name in _OWN:
        return False
    return search(image, name, start.search_path).is_missing and bool(who_names(image, name))
