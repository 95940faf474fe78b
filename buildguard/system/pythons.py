"""Finding Python interpreters on this machine; what is found is a candidate until it has answered a probe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from buildguard.definitions import lazy_pattern
from buildguard.system import programs
from buildguard.system.home import home_folder

_PYENV_NAME = lazy_pattern(r"[0-9A-Za-z][0-9A-Za-z._+-]*")


def candidates(version: str, root: Path) -> Iterator[tuple[Path, str]]:
    """Executables that may be Python `version` ("3.11"), and where each was found; cheap places first.

    Interpreters inside `root`, the folder under check, are left out: the code under check would be what
    chooses the program that runs.
    """
    seen: set[Path] = set()
    name = f"python{version}"
    for where, paths in (
        ("PATH", _on_path(name)),
        ("pyenv", _in_pyenv(version)),
        ("buildguard's own", _running_interpreter(version)),
        ("conda", _in_conda(name)),
        ("findpython", _by_library(name)),
    ):
        for path in paths:
            real = Path(os.path.realpath(path))
            if real not in seen and os.access(real, os.X_OK) and not _is_inside(real, root):
                seen.add(real)
                yield real, where


def default_python3(root: Path) -> Path | None:
    """What `python3` means in a shell in `root`, version managers included; None if it is missing."""
    for path in _on_path("python3", behind_shims=root):
        real = Path(os.path.realpath(path))
        if not _is_inside(real, root):
            return real
    return None


def _is_inside(path: Path, root: Path) -> bool:
    # Where a home folder is itself the repository, the person's own version managers still count.
    stores = [store for store in (_pyenv_root(), home_folder() / ".local/share/uv") if os.path.isdir(store)]
    return path.is_relative_to(root) and not any(path.is_relative_to(store) for store in stores)


def _on_path(name: str, behind_shims: Path | None = None) -> Iterator[Path]:
    for folder in programs.search_path():
        path = Path(folder, name)
        if not os.path.isfile(path):  # also where the folder may not be read
            continue
        if path.parent.name != "shims":
            yield path
        elif behind_shims is not None and path.is_relative_to(_pyenv_root()):
            yield from _behind_pyenv_shim(behind_shims)


def _running_interpreter(version: str) -> Iterator[Path]:
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        yield Path(getattr(sys, "_base_executable", None) or sys.executable)


def _pyenv_root() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or home_folder() / ".pyenv")


def _in_pyenv(version: str) -> Iterator[Path]:
    """Pyenv's interpreters of a version, the newest first; its shims refuse unless the version is activated."""
    for folder in _pyenv_versions(f"{version}*"):
        yield folder / "bin" / f"python{version}"


def _pyenv_versions(pattern: str) -> list[Path]:
    """Pyenv's folders of some versions, the newest first; none where its root may not be read, as after `su`."""
    try:
        return sorted((_pyenv_root() / "versions").glob(pattern), key=_by_number, reverse=True)
    except OSError:
        return []


def skipped_places() -> Iterator[str]:
    """A line for each place of interpreters that may not be read."""
    versions = _pyenv_root() / "versions"
    try:
        os.scandir(versions).close()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield f"{versions} is skipped: {error.strerror}"


def _by_number(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _behind_pyenv_shim(start: Path) -> Iterator[Path]:
    """What pyenv's shim would run, without running it: it lets a `.python-version` name any path."""
    versions = _pyenv_root() / "versions"
    for name in _pyenv_names(start):
        if not _PYENV_NAME.fullmatch(name):
            continue
        exact = versions / name / "bin" / "python3"
        if os.path.isfile(exact):
            yield exact
            return
        folders = _pyenv_versions(f"{name}.*")
        if folders:
            yield folders[0] / "bin" / "python3"
            return


def _pyenv_names(start: Path) -> list[str]:
    if chosen := os.environ.get("PYENV_VERSION"):
        return chosen.split(":")
    files = [folder / ".python-version" for folder in (start, *start.parents)]
    for file in [*files, _pyenv_root() / "version"]:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return []


def _in_conda(name: str) -> Iterator[Path]:
    listed = home_folder() / ".conda" / "environments.txt"
    try:
        prefixes = listed.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for prefix in prefixes:
        yield Path(prefix.strip(), "bin", name)


def _by_library(name: str) -> Iterator[Path]:
    """Everywhere else that findpython knows: uv, asdf, rye, framework builds, the Windows registry."""
    from findpython.providers import ALL_PROVIDERS

    for kind, provider_class in ALL_PROVIDERS.items():
        with suppress(OSError, RuntimeError):  # a home folder that may not be read, after `su`, or none at all
            provider = None if kind in {"path", "pyenv"} else provider_class.create()
            for python in provider.find_pythons() if provider is not None else ():
                yield python.executable.parent / name
