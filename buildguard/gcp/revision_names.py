"""By what a revision in Cloud Run is known as one of ours: its name, its tag and its annotations. Pure but for chance in a name."""

from __future__ import annotations

import uuid

OWN_TAG = "bg-"  # how our tags begin
# annotations: the commit, what was sent of it, and the revision that had all traffic before
COMMIT, ARCHIVE, INSTEAD_OF = "buildguard.dev/commit", "buildguard.dev/archive", "buildguard.dev/instead-of"
_LONGEST_NAME = 63
_LONGEST_TAG = 46  # with the name of its service: both are one label of the address


def name_of(service: str, commit: str) -> str:
    """A new name for a revision; Cloud Run wants it to begin with the whole name of the service, 49 characters at most."""
    begin = f"{service}{_own(commit)}"
    return f"{begin}{uuid.uuid4().hex[: max(1, min(4, _LONGEST_NAME - len(begin)))]}"


def is_ours(name: str, commit: str) -> bool:
    """Whether a revision has the name that we would give to one of that commit; others may have copied its annotations."""
    return bool(commit) and _own(commit) in name


def tag_of(service: str, commit: str) -> str:
    """The tag of a commit's revision, as far as there is room for it beside the name of the service."""
    return f"{OWN_TAG}{commit[: max(1, min(7, _LONGEST_TAG - len(service) - len(OWN_TAG)))]}"


def _own(commit: str) -> str:
    return f"-{OWN_TAG}{commit[:7]}-"
