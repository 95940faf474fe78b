"""The virtual environments that a command of a RUN fills, as far as its words show it. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern

_PYTHON = lazy_pattern(r"python[\d.]*|pypy3?")
_WITH_VALUE = frozenset({"-p", "--python", "--prompt", "--app-data", "--cache-dir", "--directory", "--project"})
ROOT = frozenset({"", "root", "0"})  # what USER says of the user who owns everything
USER_SITE = ".local"
# Where poetry and pipenv keep their environments, below the home of the user who runs them.
POETRY_CACHE, PIPENV_FOLDER = ".cache/pypoetry/virtualenvs", ".local/share/virtualenvs"
_STEERS = frozenset(
    {
        *("VIRTUAL_ENV", "CONDA_PREFIX", "POETRY_VIRTUALENVS_PATH", "POETRY_CACHE_DIR", "XDG_CACHE_HOME"),
        *("POETRY_CONFIG_DIR", "POETRY_HOME", "-C", "--directory", "-P", "--project"),
    }
)
_BRINGS_NONE = frozenset(
    {
        *(
            "cd",
            "mkdir",
            "rm",
            "rmdir",
            "chmod",
            "chown",
            "chgrp",
            "useradd",
            "adduser",
            "groupadd",
            "addgroup",
            "usermod",
        ),
        *("echo", "printf", "true", "set", "test", "[", "export", "touch", "ls", "cat", "compileall"),
    }
)
_INSTALLERS = frozenset({"apt", "apt-get", "apk"})
_MORE = lazy_pattern(
    r"python|py3|corn|celery|flask|django|waitress|supervisor|\$|/"
)  # a package that may have a server
# `pip install uv`: the tools themselves, none of which is a server
_WITHOUT_PROGRAMS = lazy_pattern(
    r"uv (?:-\S+ )*(?:lock|export|cache|python)\b|(?:poetry|pdm) (?:config|lock|export|check)\b"
    r"|pip3? (?:-\S+ )*install(?: (?:-\S+|(?:uv|pip|setuptools|wheel|poetry|pdm|pipenv)(?:[=<>~!]=?[\w.]+)?))+$"
)
_ELSEWHERE = frozenset({"-t", "--target", "--prefix", "--root", "--user", "--python", "-p", "--system"})
_WITHOUT_PIP = lazy_pattern(r"\buv\s+venv\b|--without-pip|\bdeactivate\b")  # then pip is the image's own
_TRUE, _FALSE = frozenset({"1", "true"}), frozenset({"0", "false"})
_POETRY_SETTING = lazy_pattern(
    r"\bpoetry config (?:--?\w+ )*(?P<name>virtualenvs\.in-project|virtualenvs\.create|virtualenvs\.path|cache-dir) (?P<value>[^\s;&|]+)"
)
_POETRY_NAMES = MappingProxyType(
    {
        "virtualenvs.in-project": "POETRY_VIRTUALENVS_IN_PROJECT",
        "virtualenvs.create": "POETRY_VIRTUALENVS_CREATE",
        "virtualenvs.path": "POETRY_VIRTUALENVS_PATH",
        "cache-dir": "POETRY_CACHE_DIR",
    }
)
_IN_PLACE = frozenset({"sync", "install"})


class FilledFolder(NamedTuple):
    """A folder of an environment, as a command writes it; `has_python` says that its programs run the Python in it.

    Where it is not certain, the command may fill another one; where it is steered, a file of the project or an active environment
    may say so. `is_flat` says that the packages are in the folder itself.
    """

    path: str
    has_python: bool = True
    is_certain: bool = True
    is_flat: bool = False
    is_steered: bool = False


class _Command(NamedTuple):
    """The arguments of a program, the variables that it gets, and who runs it."""

    arguments: Sequence[str]
    settings: Mapping[str, str]
    user: str

    @property
    def operands(self) -> list[str]:
        """The words that are neither options nor the values of some."""
        return [*_operands(self.arguments)]

    def option(self, *names: str) -> str:
        """The value of the first option that has one of some names; empty without one."""
        for at, word in enumerate(self.arguments):
            name, equals, value = word.partition("=")
            if name in names:
                return value if equals else next(iter(self.arguments[at + 1 :]), "")
        return ""


def filled_folders(words: Sequence[str], settings: Mapping[str, str], user: str) -> Iterable[FilledFolder]:
    """The folders of a command's environments; `settings` are its variables, `user` who runs it."""
    name, arguments = _program(words)
    fill = _FILLING.get(name)
    return fill(_Command(arguments, settings, user)) if fill is not None else ()


def _program(words: Sequence[str]) -> tuple[str, list[str]]:
    """The name of a program, or of the module that Python runs, and its arguments."""
    name, arguments = posixpath.basename(words[0]), [*words[1:]]
    if _PYTHON.fullmatch(name) and arguments[:1] == ["-m"]:
        name, arguments = "".join(arguments[1:2]), arguments[2:]
    return name, arguments


def poetry_settings(runs: str) -> dict[str, str]:
    """What some commands set for poetry, as the variables that do the same."""
    return {_POETRY_NAMES[match["name"]]: match["value"] for match in _POETRY_SETTING.finditer(runs)}


def brings_programs(words: Sequence[str]) -> bool:
    """Whether a command that fills no environment may bring a program to a folder of PATH."""
    name, arguments = _program(words)
    if name in _INSTALLERS:
        return any(map(_MORE.search, arguments))
    return name not in _BRINGS_NONE and not _WITHOUT_PROGRAMS.match(" ".join([name, *arguments]))


def activated_folder(words: Sequence[str]) -> str:
    """The environment whose `activate` a shell reads; empty for any other command."""
    folder, _bin, name = "".join(words[1:2]).rpartition("/bin/")
    return folder if words[0] in {".", "source"} and name == "activate" else ""


def own_folder(words: Sequence[str], settings: Mapping[str, str], active: str, runs: str) -> str:
    """The environment that a program fills: its own, or `active`, the shell's; empty where it may be another folder."""
    name, arguments = _program(words)
    folder, _bin, program = words[0].rpartition("/bin/")
    if _ELSEWHERE.intersection(word.partition("=")[0] for word in arguments):
        return ""
    if folder and "/" not in program:
        return folder
    if name == "uv" and not settings.get("UV_SYSTEM_PYTHON"):
        return active or settings.get("VIRTUAL_ENV", "")
    return active if name in {"pip", "pip3"} and not _WITHOUT_PIP.search(runs) else ""


def _operands(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, "")
        elif not word.startswith("-"):
            yield word


def _venv(command: _Command) -> Iterable[FilledFolder]:
    return [FilledFolder(folder) for folder in command.operands]


def _virtualenv(command: _Command) -> Iterable[FilledFolder]:
    return [*_venv(command)][:1]


def _uv(command: _Command) -> Iterable[FilledFolder]:
    if "install" in command.operands[:2]:
        return _pip(command)
    own = command.settings.get("UV_PROJECT_ENVIRONMENT") or ".venv"
    in_project = posixpath.join(command.option("--project", "--directory"), own)
    folders = {"venv": [*command.operands[1:2], in_project], "sync": [in_project]}.get(
        "".join(command.operands[:1]), []
    )
    has_python = "--relocatable" not in command.arguments and not command.settings.get("UV_VENV_RELOCATABLE")
    return [FilledFolder(folder, has_python) for folder in folders[:1]]


def _poetry(command: _Command) -> Iterable[FilledFolder]:
    """The project's `.venv`, or the folder of the user's cache that poetry keeps its environments in."""
    settings = command.settings
    in_project = settings.get("POETRY_VIRTUALENVS_IN_PROJECT", "").lower()
    is_system = settings.get("POETRY_VIRTUALENVS_CREATE", "").lower() in _FALSE
    if is_system or not _IN_PLACE.intersection(command.operands[:1]):
        return []
    if in_project or _STEERS.intersection([*settings, *command.arguments]):
        return [FilledFolder(".venv", is_certain=in_project in _TRUE)]
    return [FilledFolder(posixpath.join(user_home(command.user, settings), POETRY_CACHE), is_steered=True)]


def _pdm(command: _Command) -> Iterable[FilledFolder]:
    return [FilledFolder(".venv", is_certain=False)] if _IN_PLACE.intersection(command.operands[:1]) else []


def _pipenv(command: _Command) -> Iterable[FilledFolder]:
    settings = command.settings
    if "--system" in command.arguments or not _IN_PLACE.intersection(command.operands[:1]):
        return []
    in_project = settings.get("PIPENV_VENV_IN_PROJECT", "").lower()
    if in_project or "VIRTUAL_ENV" in settings or any(name.startswith(("PIPENV_", "WORKON_")) for name in settings):
        return [FilledFolder(".venv", is_certain=in_project in _TRUE)]
    return [FilledFolder(posixpath.join(user_home(command.user, settings), PIPENV_FOLDER), is_steered=True)]


def _pip(command: _Command) -> Iterable[FilledFolder]:
    if "install" not in command.operands[:2]:
        return ()
    folders = [
        command.option("--prefix"),
        user_site(command.user, command.settings) if "--user" in command.arguments else "",
    ]
    target = command.option("-t", "--target")
    flat = [FilledFolder(target, has_python=False, is_flat=True)] if target else []
    return [*(FilledFolder(folder, has_python=False) for folder in folders if folder), *flat]


def user_site(user: str, settings: Mapping[str, str]) -> str:
    """Where `pip install --user` installs to for a user as USER names it, and where Python looks then."""
    return settings.get("PYTHONUSERBASE") or posixpath.join(user_home(user, settings), USER_SITE)


def user_home(user: str, settings: Mapping[str, str]) -> str:
    """The home of a user as USER names it."""
    name = user.partition(":")[0]
    return settings.get("HOME") or ("/root" if name in ROOT else f"/home/{name}")


_FILLING: Mapping[str, Callable[[_Command], Iterable[FilledFolder]]] = MappingProxyType(
    {
        "venv": _venv,
        "virtualenv": _virtualenv,
        "uv": _uv,
        "poetry": _poetry,
        "pdm": _pdm,
        "pipenv": _pipenv,
        "pip": _pip,
        "pip3": _pip,
    }
)
