"""BG702: `uv run` for a user without a home, where uv cannot make its cache and ends."""

from __future__ import annotations

import posixpath
import re

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.start_command import StartCommand
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import start_texts, starting_user

_CACHING = frozenset({"uv", "uvx"})
_SETTINGS = frozenset({"HOME", "UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME"})
_CHANGES = lazy_pattern(
    rb"--no-cache|--cache-dir|\s-n\s|\bUV_|XDG_CACHE_HOME|\bHOME=|\b(?:mkdir|su|sudo|gosu|su-exec)\b"
)
_CONFIGURES = lazy_pattern(rb"(?m)^\s*(?:tool\.uv\.)?(?:cache-dir|no-cache)\s*=")
_MAKES_USER = lazy_pattern(r"(?:^|[\s/])(?P<program>useradd|adduser)(?P<arguments>[^;&|\n]*)")
_OTHER_USERS = lazy_pattern(r"\bpasswd\b|\bnewusers\b|\busermod\b|\bmkhomedir\w*")
_OPENS = lazy_pattern(r"/home/?(?:\s|$)|\bch(?:own|mod)\b[^;&|]*\s/(?:\s|$)")
_CREATES = lazy_pattern(r"(?:^|\s)(?:-\w*m\w*|--create-home)(?=\s|$)")  # of useradd, which makes no home by itself
_CREATES_NOT = lazy_pattern(r"(?:^|\s)(?:-\w*H\w*|--no-create-home)(?=\s|$)")  # of adduser, which makes one
_NAMES_HOME = lazy_pattern(r"(?:^|\s)(?:-d|-h|--home|--home-dir)[\s=]+[\"']?(?P<home>/[^\s\"']*)")
_BRINGS_USERADD = "alpine"  # has it from a package
_WITHOUT_HOME = lazy_pattern(r"_apt|no(?:body)|65534")  # accounts of the base images


def check_cache(image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
    """Report uv as a program that a user without a home starts."""
    program = next((item for item in start.programs if posixpath.basename(item.name) in _CACHING), None)
    if program is None or not program.is_executed:
        return
    home = homeless(image)
    if home and not _may_cache(image, start):
        message = (
            f"{posixpath.basename(program.name)} fails as USER {starting_user(image)}, who has no home:"
            f" it cannot create its cache {posixpath.join(home, '.cache/uv')}"
        )
        hint = "ENV UV_CACHE_DIR=/tmp/uv, or start the program of the environment itself, without uv"
        findings.add(Code.BG702, image.place_of(start.place), message, hint)


def _may_cache(image: ImageStart, start: StartCommand) -> bool:
    """Whether a setting, an option or a script may name another cache."""
    if not _SETTINGS.isdisjoint([*image.tree.model.env, *start.env]):
        return True
    return any(map(_CHANGES.search, start_texts(image, start))) or any(map(_CONFIGURES.search, _settings(image)))


def _is_settings(path: str) -> bool:
    return path.rpartition("/")[2] in {"pyproject.toml", "uv.toml"}


def _settings(image: ImageStart) -> list[bytes]:
    """The files of the project that uv may read its settings from."""
    paths = image.files.named(_is_settings)
    image.files.load(paths)
    return [image.files.read(path) or b"" for path in paths]


def homeless(image: ImageStart) -> str:
    """The home that the user who starts does not have; empty where there may be one, or root starts."""
    user, runs = starting_user(image), image.tree.run_text
    if not user:
        return ""
    made = _makers_of(user, runs)
    if len(made) > 1 or _OTHER_USERS.search(runs) or _may_bring(image, "/etc/passwd"):
        return ""
    others = _MAKES_USER.sub("", runs)
    home = _lacking_home(user, made[0], image.tree.base) if made else _unnamed_home(user, runs)
    return "" if _OPENS.search(others) or (home != "/" and _may_exist(image, home, others)) else home


def _makers_of(user: str, runs: str) -> list[re.Match[str]]:
    """The commands that make a user, or add it to something."""
    return [found for found in _MAKES_USER.finditer(runs) if user in _words(found["arguments"])]


def _may_exist(image: ImageStart, home: str, runs: str) -> bool:
    """Whether a command or another instruction may make a home."""
    return home in runs or home in image.tree.model.folders or _may_bring(image, home)


def _unnamed_home(user: str, runs: str) -> str:
    """The home of a user that no command makes: of a number alone it is the root folder."""
    is_known = _WITHOUT_HOME.fullmatch(user) is not None or (user.isdigit() and not _MAKES_USER.search(runs))
    return "/" if is_known else ""


def _lacking_home(user: str, made: re.Match[str], base: str) -> str:
    """The home that the command which makes a user surely does not make; empty where it may."""
    program, arguments = made["program"], made["arguments"]
    if program == "useradd":
        may_make = _CREATES.search(arguments) or _BRINGS_USERADD in base  # by settings of its own
    else:
        may_make = _CREATES_NOT.search(arguments) is None
    if may_make:
        return ""
    named = _NAMES_HOME.search(arguments)
    if named is not None:
        return named["home"]
    if not user.isdigit():
        return f"/home/{user}"
    return f"/home/{_words(arguments)[-1]}" if program == "useradd" else ""


def _may_bring(image: ImageStart, path: str) -> bool:
    """Whether an instruction may put something at a path."""
    return image.tree.find(path) is not None or any(area.covers(path) for area in image.tree.model.unknown)


def _words(text: str) -> list[str]:
    return re.split(r"[\s=]+", text.strip())
