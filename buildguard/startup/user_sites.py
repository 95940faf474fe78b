"""Packages that `pip install --user` put into the home of another user than the one who starts the program."""

from __future__ import annotations

import posixpath

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.image_model import PythonEnvironment, is_below
from buildguard.project.run_environments import USER_SITE, user_site
from buildguard.project.start_command import StartCommand
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import start_texts, starting_user

_ROOTS_HOME = "/root"  # only root may enter it, in the images of Debian and Alpine
# What may open that folder, or bring its packages elsewhere.
_OPENS = lazy_pattern(r"/root/?(?=[\s'\";&|)]|$)|\b(?:cp|mv|ln|rsync|usermod|setfacl|tar)\b|~|\$\{?HOME\b|\.pth\b")
_SETS_HOME = lazy_pattern(r"(?:^|\s)(?:-d|-h|--home|--home-dir)[\s=]")
_CHANGES = lazy_pattern(rb"\b(?:PYTHONPATH|PYTHONUSERBASE|HOME|su|sudo|activate)\b")


class UnreadSite(NamedTuple):
    """A folder with all packages of an image, and the user for whom Python does not read it."""

    folder: str
    user: str

    @property
    def reason(self) -> str:
        """Why a start finds no package."""
        return f"the packages are in {self.folder}, where Python does not look for USER {self.user}"

    @property
    def hint(self) -> str:
        """What puts the packages where every user has them."""
        return "install them without --user, or into a virtual environment, for a home belongs to one user"


def find_unread_site(image: ImageStart, start: StartCommand) -> UnreadSite | None:
    """The home with all packages that is another user's than the one who starts; None where there may be others, or it may be read."""
    model, user = image.tree.model, starting_user(image)
    if not user or not model.environments or model.takes_more:
        return None
    if any(_CHANGES.search(text) for text in start_texts(image, start)):
        return None
    settings = {**model.env, **start.env}
    is_unread = all(_is_unread(found, user, settings, image.tree.run_text) for found in model.environments)
    return UnreadSite(model.environments[0].path, user) if is_unread else None


def _is_unread(found: PythonEnvironment, user: str, settings: dict[str, str], runs: str) -> bool:
    """Whether Python surely reads no package of an environment for a user; `settings` are its variables."""
    is_home = posixpath.basename(found.path) == USER_SITE and USER_SITE in (found.taken or found.path)
    if not is_home or _OPENS.search(runs) or any("$" in settings.get(name, "") for name in ("HOME", "PYTHONPATH")):
        return False
    if is_below(found.path, _ROOTS_HOME):
        return True
    is_named = any(is_below(folder, found.path) for folder in settings.get("PYTHONPATH", "").split(":") if folder)
    is_known = "HOME" in settings or not (user.isdigit() or _SETS_HOME.search(runs))
    return is_known and not is_named and found.path != user_site(user, settings)
