"""Packages that `pip install --user` put into the home of another user than the one who starts the program."""

from __future__ import annotations

import re
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.image_model import PythonEnvironment, is_below
from buildguard.project.run_environments import PIPENV_FOLDER, POETRY_CACHE, USER_SITE, user_home, user_site
from buildguard.project.start_command import StartCommand
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import start_texts, starting_user

_READERS = MappingProxyType({"Python": USER_SITE, "poetry": POETRY_CACHE, "pipenv": PIPENV_FOLDER})
_INTO_SYSTEM = MappingProxyType({"poetry": "ENV POETRY_VIRTUALENVS_CREATE=false", "pipenv": "pipenv install --system"})
_ROOTS_HOME = "/root"  # only root may enter it, in the images of Debian and Alpine
# What may open that folder, or bring its packages elsewhere.
_OPENS = lazy_pattern(r"/root/?(?=[\s'\";&|)]|$)|\b(?:cp|mv|ln|rsync|usermod|setfacl|tar)\b|~|\$\{?HOME\b|\.pth\b")
_SETS_HOME = lazy_pattern(r"(?:^|\s)(?:-d|-h|--home|--home-dir)[\s=]")
_CHANGES = lazy_pattern(rb"\b(?:PYTHONPATH|PYTHONUSERBASE|HOME|su|sudo|activate)\b")


class UnreadSite(NamedTuple):
    """A folder with all packages of an image, and the user for whom Python, poetry or pipenv does not read it."""

    folder: str
    user: str
    reader: str = "Python"

    @property
    def reason(self) -> str:
        """Why a start finds no package."""
        return f"the packages are in {self.folder}, where {self.reader} does not look for USER {self.user}"

    @property
    def hint(self) -> str:
        """What puts the packages where every user has them."""
        if self.reader != "Python":
            return f"install them as USER {self.user}, or into the image's own Python: {_INTO_SYSTEM[self.reader]}"
        return "install them without --user, or into a virtual environment, for a home belongs to one user"


def find_unread_site(image: ImageStart, start: StartCommand) -> UnreadSite | None:
    """The home with all packages that is another user's than the one who starts; None where there may be others, or it may be read."""
    model, user = image.tree.model, starting_user(image)
    if not user or not model.environments or model.takes_more:
        return None
    found = model.environments[0]
    reader = _reader_of(found.path, start_texts(image, start))
    settings = {**model.env, **start.env}
    is_unread = reader and all(_is_unread(item, user, settings, image.tree.run_text) for item in model.environments)
    return UnreadSite(found.path, user, reader) if is_unread else None


def _reader_of(path: str, texts: list[bytes]) -> str:
    """Who reads the packages of a folder, where a start asks for it and changes nothing about it; else empty."""
    reader = next((name for name, folder in _READERS.items() if path.endswith(f"/{folder}")), "")
    runs = re.compile(rb"\b%s\s+run\b" % reader.encode())
    is_asked = reader == "Python" or any(map(runs.search, texts))
    return reader if is_asked and not any(map(_CHANGES.search, texts)) else ""


def _is_unread(found: PythonEnvironment, user: str, settings: dict[str, str], runs: str) -> bool:
    """Whether nothing surely reads the packages of an environment for a user; `settings` are its variables."""
    folder = next((folder for folder in _READERS.values() if found.path.endswith(f"/{folder}")), "")
    if not folder or not (found.taken or found.path).endswith(folder) or _OPENS.search(runs):
        return False
    if any("$" in settings.get(name, "") for name in ("HOME", "PYTHONPATH")):
        return False
    return is_below(found.path, _ROOTS_HOME) or _is_of_another(found.path, folder, user, settings, runs)


def _is_of_another(path: str, folder: str, user: str, settings: dict[str, str], runs: str) -> bool:
    """Whether a folder in a home is surely another user's, and nothing names it."""
    if any(is_below(place, path) for place in settings.get("PYTHONPATH", "").split(":") if place):
        return False
    if "HOME" not in settings and (user.isdigit() or _SETS_HOME.search(runs)):
        return False  # where the home is, is not known
    return path != (user_site(user, settings) if folder == USER_SITE else f"{user_home(user, settings)}/{folder}")
