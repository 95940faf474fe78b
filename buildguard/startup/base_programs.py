"""Programs that Python's official images do not have: other interpreters, other shells, init programs."""

from __future__ import annotations

import posixpath
import re

from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference
from buildguard.startup.image_start import ImageStart
from buildguard.startup.locked_programs import find_reason, installs_packages, provides, shows_all

_ABSENT = frozenset(
    [
        "bun",
        "caddy",
        "deno",
        "fish",
        "gosu",
        "java",
        "ksh",
        "nginx",
        "node",
        "npm",
        "npx",
        "php",
        "pnpm",
        "Rscript",
        "ruby",
        "su-exec",
        "yarn",
        "zsh",
    ]
)
_INITS = frozenset({"dumb-init", "tini", "tini-static", "catatonit", "supervisord"})
_PACKAGES = {
    "supervisord": "supervisor",
    "tini-static": "tini",
    "node": "node",
    "npm": "node",
    "npx": "node",
    "java": "jre|jdk|java",
    "Rscript": "r-base",
}
_OTHER_PYTHON = lazy_pattern(r"python(?:2(?:\.\d)?|3\.(?P<minor>\d{1,2}))")


def find_lack(image: ImageStart, program: str) -> str:
    """That the base image has no such program and nothing installs it; empty where it may be there."""
    base, name = image.tree.base, posixpath.basename(program)
    if image_reference.parse(base).last != "python" or not shows_all(image):
        return ""
    is_absent = (
        name in _ABSENT
        or _is_lacking_init(image, name)
        or (name == "bash" and "alpine" in base)
        or _is_other_python(name, base)
    )
    installed = _PACKAGES.get(name, re.escape(name))
    steps = " ".join(
        step.text for stage in image.stages for step in stage.instructions if step.name not in {"CMD", "ENTRYPOINT"}
    )
    if not is_absent or re.search(rf"(?i)(?<![\w./-])(?:{installed})", steps):
        return ""
    return f"{base} has no {name}"


def _is_lacking_init(image: ImageStart, name: str) -> bool:
    """Whether an init program comes with no Python package either."""
    if not provides(name) or not installs_packages(image):
        return name in _INITS
    return name == "dumb-init" and bool(
        find_reason(image, name)
    )  # the program that a start ends in is looked up by itself


def _is_other_python(name: str, base: str) -> bool:
    """Whether a program is a Python of another minor version than the image's."""
    match, version = _OTHER_PYTHON.fullmatch(name), image_reference.promised_version(base)
    return match is not None and version is not None and match["minor"] != str(version.minor)
