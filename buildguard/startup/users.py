"""BG701: the user that a container starts as exists in its image; the engine refuses to start it otherwise."""

from __future__ import annotations

import re

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern, words
from buildguard.project.dockerfile import Instruction
from buildguard.project.run_needs import program_names
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.replaced_path import is_own_python

# The accounts of Debian and Alpine, which also are groups or share their name with one.
_PRESENT = lazy_pattern(
    r"\d*|root|daemon|bin|sys|sync|games|man|lp|mail|news|uucp|proxy|www-data|backup|list|irc|gnats|_apt|no(?:body|group)|adm"
    r"|shutdown|halt|operator|postmaster|cron|ftp|sshd|at|squid|xfs|postgres|cyrus|vpopmail|ntp|smmsp|guest|users|wheel"
    r"|tty|disk|kmem|dialout|fax|voice|cdrom|floppy|tape|sudo|audio|dip|src|shadow|utmp|video|sasl|plugdev|staff|input"
)
_PLAIN = lazy_pattern(r"[\w.-]+")
_KEEP_ACCOUNTS = words("pip pip3 uv python python3 mkdir chmod rm touch true echo find sed ln cp mv cd set test [ ls")
_CREATES_COMPUTED = lazy_pattern(r"(?:(?:user|group)add|add(?:user|group))\b[^\n;&|]*\$")


def check_user(image: ImageStart, findings: StartupFindings) -> None:
    """Report the user or the group of the last USER, where the base image does not have it and nothing creates it."""
    step = _last_user(image) if is_own_python(image) else None
    missing = _missing_account(image) if step is not None else ""
    if step is not None and missing:
        _report(image, findings, FindingPlace(image.dockerfile, step.line), missing)


def _missing_account(image: ImageStart) -> str:
    """The user or the group of an image that its base does not have, and that no command names."""
    named = [name for name in image.tree.model.user.strip().split(":") if not _PRESENT.fullmatch(name)]
    return next((name for name in named if _PLAIN.fullmatch(name) and not _is_mentioned(image, name)), "")


def _report(image: ImageStart, findings: StartupFindings, place: FindingPlace, missing: str) -> None:
    if not program_names(image.tree.run_text) <= _KEEP_ACCOUNTS:
        findings.leave_open(place, f"whether a command creates the account {missing} is not known")
        return
    message = f"the container starts as {missing}, and no instruction of its stage creates that account"
    hint = f"add RUN useradd {missing} to the last stage: accounts of an earlier one stay there"
    findings.add(Code.BG701, place, message, hint)


def _last_user(image: ImageStart) -> Instruction | None:
    return next((step for step in reversed(image.tree.steps) if step.name == "USER"), None)


def _is_mentioned(image: ImageStart, name: str) -> bool:
    """Whether a command names an account, or a COPY may bring the list of accounts."""
    runs = image.tree.run_text
    if _CREATES_COMPUTED.search(runs) or re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", runs):
        return True
    copies = [step.text for step in image.tree.steps if step.name in {"COPY", "ADD"}]
    return any("/etc" in text or text.split()[-1:] == ["/"] for text in copies)
