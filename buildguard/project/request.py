"""The flags of a check, which other commands take too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class CheckRequest(NamedTuple):
    """What a person asked for; the fields are the flags of the command line."""

    cwd: Path
    staged: bool = False
    targets: tuple[str, ...] = ()
    engine: str = "auto"
    image: str = ""
    service: str = ""
    proof: str = "compiled"
    use_cache: bool = True
    jobs: int = 0
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    diff_base: str = ""
    strict: bool = False
    project: str = ""
    region: str = ""
    verify_download: bool = False
    config: str = ""
    isolated: bool = False


def may_pull(request: CheckRequest) -> bool:
    """Whether an image may be pulled: never from a hook, nor where a prediction would do."""
    return not (request.staged or request.proof == "predicted" or os.environ.get("PRE_COMMIT"))
