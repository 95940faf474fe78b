"""Wheels made by hand, and houses and projects of them by chance: what installers are asked about."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

_TAGS = (
    *("py3-none-any", "py3-none-any", "py3-none-any", "py3-none-any", "py3-none-any", "py3-none-any"),
    *("cp311-cp311-manylinux_2_17_x86_64", "cp313-cp313-manylinux_2_17_x86_64", "cp39-abi3-manylinux2014_x86_64"),
    *("cp311-cp311-musllinux_1_2_x86_64", "cp313-cp313-manylinux_2_17_aarch64"),
)
_MARKERS = (
    *("", "", "", "", "python_version < '3.12'", "python_version >= '3.12'", "sys_platform == 'win32'", "extra == 'x'"),
    *("platform_machine == 'x86_64'", "python_full_version >= '3.9.0' and os_name == 'posix'"),
)
_EXTRAS = ("", "", "[x]")
_PYTHONS = ("", "", "", ">=3.8", ">=3.12", "<3.12")


class Release(NamedTuple):
    """A wheel: its distribution, its tag, what it needs, and the Pythons that it is for."""

    name: str
    tag: str = "py3-none-any"
    needs: tuple[str, ...] = ()
    python: str = ""

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}-1.0-{self.tag}.whl"


def write_wheel(folder: Path, release: Release, files: dict[str, bytes] | None = None) -> Path:
    """A wheel with the metadata of a release, and with files if there are any."""
    path, info = folder / release.file, f"{release.name}-1.0.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {release.name}", "Version: 1.0", "Provides-Extra: x"]
    lines += [f"Requires-Python: {release.python}"] if release.python else []
    lines += [f"Requires-Dist: {need}" for need in release.needs]
    content = {
        **(files or {}),
        f"{info}/METADATA": "\n".join(lines).encode() + b"\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {release.tag}\n".encode(),
    }
    record = "".join(f"{name},,\n" for name in (*content, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in {**content, f"{info}/RECORD": record.encode()}.items():
            wheel.writestr(name, data)
    return path


def random_releases(chance: Random, *, pythons: bool = True) -> list[Release]:
    """Ten distributions that need each other, circles included; `pythons` puts Requires-Python into some."""
    names = [f"p{letter}" for letter in "abcdefghij"]
    releases = []
    for name in names:
        others = chance.sample([other for other in names if other != name], chance.choice((0, 0, 1, 1, 2)))
        needs = tuple(_need(other, chance) for other in others)
        python = chance.choice(_PYTHONS) if pythons else ""
        releases.append(Release(name, chance.choice(_TAGS), needs, python))
    return releases


def _need(name: str, chance: Random) -> str:
    marker = chance.choice(_MARKERS)
    return f"{name}{chance.choice(_EXTRAS)}{f' ; {marker}' if marker else ''}"


class RandomProject(NamedTuple):
    """A member of a workspace: its name, and the requirements of the project, its extra `fast` and two groups."""

    name: str
    needs: tuple[str, ...]
    fast: tuple[str, ...]
    dev: tuple[str, ...]
    docs: tuple[str, ...]

    @property
    def pyproject(self) -> str:
        """Its pyproject.toml in the standard form."""
        return (
            f'[project]\nname = "{self.name}"\nversion = "1"\nrequires-python = ">=3.9,<4"\ndependencies = {_toml(self.needs)}\n'
            f"[project.optional-dependencies]\nfast = {_toml(self.fast)}\n"
            f"[dependency-groups]\ndev = {_toml(self.dev)}\ndocs = {_toml(self.docs)}\n"
        )


def random_project(name: str, chance: Random, more: Iterable[str] = ()) -> RandomProject:
    """A project that asks for some of the ten."""
    letters = list("abcdefghij")
    parts = ([*_some(letters, chance)] for _ in range(4))
    needs, fast, dev, docs = (tuple(part[: 1 + (at == 0)]) for at, part in enumerate(parts))
    return RandomProject(name, (*needs, *more), fast, dev, docs)


def _some(letters: list[str], chance: Random) -> Iterator[str]:
    markers = [marker for marker in _MARKERS if "extra" not in marker]
    for letter in chance.sample(letters, 2):
        marker = chance.choice(markers)
        yield f"p{letter}{chance.choice(_EXTRAS)}{f' ; {marker}' if marker else ''}"


def _toml(texts: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
