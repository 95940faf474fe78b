"""The configuration of the person who runs buildguard: what no repository may set."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.project import toml
from buildguard.system.home import home_folder

KEYS = {"fetch-python": bool}


class UserConfig(NamedTuple):
    """`fetch_python` allows the download of a missing interpreter."""

    fetch_python: bool = False


def user_config_file() -> Path:
    """The file below XDG_CONFIG_HOME, by default ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "buildguard/buildguard.toml"


def read_user_config() -> UserConfig:
    """The configuration of the person, empty if there is no such file or home folder here; raises UsageError."""
    file = user_config_file()
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # HOME=/dev/null, or another user's
        return UserConfig()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    table = toml.read(data, str(file))
    for key, value in table.items():
        if key not in KEYS:
            raise UsageError(f"{file}: unknown key '{key}'", hint=f"known here: {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise UsageError(f"{file}: '{key}' must be true or false")
    return UserConfig(table.get("fetch-python", False))
