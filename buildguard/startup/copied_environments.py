"""Environments that one stage makes and another gets: BG401 where its Python is another, and which of them PATH does not reach."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference
from buildguard.project.image_model import PythonEnvironment, is_below
from buildguard.project.run_environments import PIPENV_FOLDER, POETRY_CACHE
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

WITHOUT_SERVERS = frozenset({"python", "uv"})
_CACHES = (POETRY_CACHE, PIPENV_FOLDER)
_INSTALLER = lazy_pattern(r"\b(?:pip3?|uv|poetry|pdm|pipenv|conda|mamba)\b")


def check_environments(image: ImageStart, findings: StartupFindings) -> None:
    """Report each COPY of an environment from a stage whose Python has another minor version than the image's."""
    model = image.tree.model
    version = model.python
    # what the image installs itself is there, and what its base image brings
    if version is None or not model.knows_base or _INSTALLER.search(image.tree.run_text):
        return
    searched = model.env.get("PYTHONPATH", "").split(":")
    for found in model.environments:
        # packages without compiled code work in a folder that the image's own Python searches
        is_searched = any(folder.startswith("$") or is_below(folder, found.path) for folder in searched if folder)
        if not found.taken or found.python is None or f"python{version.minor_text}" in found.path or is_searched:
            continue
        if found.python.minor != version.minor:
            findings.add(
                Code.BG401,
                FindingPlace(image.dockerfile, found.line),
                f"copies {found.taken} with packages for Python {found.python.minor_text} (line {found.base_line}) into an image of"
                f" Python {version.minor_text} (line {model.base_line}), which does not look for them there",
                f"use the same Python in both stages: FROM {model.base}",
            )


def unreached_environment(image: ImageStart, folders: Iterable[str]) -> str:
    """The environment that is all that an image of Python's own gets, where none of some folders is in one; else empty."""
    model = image.tree.model
    if model.takes_more or image_reference.parse(model.base).last not in WITHOUT_SERVERS:
        return ""
    places = [found.path for found in model.environments]
    searched = {*folders}
    is_reached = any(_may_have_programs(place, folder) for place in places for folder in searched)
    return "" if is_reached else next(iter(places), "")


def _may_have_programs(place: str, folder: str) -> bool:
    """Whether a folder may be that of an environment's programs; a cache holds environments whose names are not known."""
    return "$" in folder or folder == f"{place}/bin" or (place.endswith(_CACHES) and is_below(folder, place))


def lost_python(image: ImageStart, program: str) -> str:
    """The Python that a program of an environment names in its first line, where the image lacks it; empty where it may have it."""
    found = next(
        (found for found in image.tree.model.environments if f"{found.path}/bin" == posixpath.dirname(program)), None
    )
    if found is None or not found.home or _may_be_mended(found, image.tree.run_text):
        return ""
    python = f"{found.home}/bin/python"
    return "" if _may_exist(image, python) else python


def _may_be_mended(environment: PythonEnvironment, runs: str) -> bool:
    """Whether a command may have changed an environment, or made one where it looks for its Python."""
    return environment.home in runs or environment.path in runs or _INSTALLER.search(runs) is not None


def _may_exist(image: ImageStart, path: str) -> bool:
    is_filled = any(is_below(path, environment.path) for environment in image.tree.model.environments)
    return is_filled or image.tree.find(path) is not None or image.tree.may_create(path)


def add_programs(folder: str) -> str:
    """What puts the programs of an environment on PATH; they are not in its `lib` folder."""
    if folder.endswith(POETRY_CACHE):
        return "start it with poetry run, or ENV POETRY_VIRTUALENVS_CREATE=false above poetry install"
    if folder.endswith(PIPENV_FOLDER):
        return "start it with pipenv run, or write pipenv install --system"
    place, has_packages, _rest = folder.partition("/lib/python3.")
    if has_packages:
        return f"COPY --from the bin folder beside it too, to {place}/bin"
    return f"ENV PATH={folder}/bin:$PATH, for the packages are installed there"
