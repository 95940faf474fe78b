"""The flags of a check, which other commands take too."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.project.proof_grade import ProofGrade


class CheckRequest(NamedTuple):
    """What a person asked for; the fields are the flags of the command line.

    `submitted_file` is the build file that `deploy` is about to submit, empty where none is. `environment` is a virtual
    environment whose packages count as installed. `only_built` leaves out files that no build context has: they are not deployed.
    """

    cwd: Path
    staged: bool = False
    targets: tuple[str, ...] = ()
    engine: str = "auto"
    image: str = ""
    service: str = ""
    proof: ProofGrade = ProofGrade.COMPILED
    use_cache: bool = True
    jobs: int = 0
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    diff_base: str = ""
    strict: bool = False
    project: str = ""
    region: str = ""
    verify_download: bool = False
    submitted_file: str = ""
    config: str = ""
    isolated: bool = False
    environment: str = ""
    only_built: bool = False
    fetch_python: bool = False


def may_pull(request: CheckRequest) -> bool:
    """Whether an image may be pulled: never from a hook, nor where a prediction would do."""
    return not (request.staged or request.proof is ProofGrade.PREDICTED or os.environ.get("PRE_COMMIT"))


def may_fetch_python(request: CheckRequest) -> bool:
    """Whether a missing interpreter may be installed: by the flag, or outside of hooks by the user's configuration."""
    if request.fetch_python:
        return True
    if request.isolated or not may_pull(request):
        return False
    from buildguard.project.user_config import read_user_config

    return read_user_config().fetch_python
