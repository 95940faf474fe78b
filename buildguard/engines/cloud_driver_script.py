"""The driver as a build gets it: in the arguments of its step, so that the request vouches for it and no archive has to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from buildguard.engines.worker import ProbeLimits
from buildguard.project.cloudbuild.assemble import assemble, strip_comments
from buildguard.project.cloudbuild.guard_step import sha256

_ALL: frozenset[str] = frozenset()
_PARTS = (
    ("remote/import_outline.py", _ALL),
    ("remote/module_code.py", _ALL),
    ("remote/import_paths.py", _ALL),
    ("remote/import_tests.py", _ALL),
    ("remote/evaluated_types.py", _ALL),
    ("remote/library_attributes.py", _ALL),
    ("remote/import_codes.py", _ALL),
    ("remote/import_pieces.py", _ALL),
    ("remote/import_reader.py", _ALL),
    ("remote/import_facts.py", _ALL),
    ("remote/probe.py", _ALL),
    ("remote/wire.py", _ALL),
    ("remote/source_names.py", _ALL),
    ("remote/manifest_rows.py", _ALL),
    (
        "remote/workspace.py",
        frozenset({"_FLAGS", "_GIT", "Workspace", "scan_workspace", "read_source", "read_file", "row_of_file"}),
    ),
    ("remote/cloud_driver.py", _ALL),
)
_LOADER = """\
import hashlib, sys
text = "".join(sys.argv[3:])
if hashlib.sha256(text.encode("utf-8")).hexdigest() != sys.argv[1]:
    sys.exit("buildguard: the driver is not what was sent")
exec(compile(text, "driver", "exec"))
"""
_MOST = 3900  # characters of one argument: 4000 was the limit once


@cache
def driver(more: tuple[bytes, ...]) -> str:
    """The driver's text; `more` are sources that it asks about beside the workspace's."""
    end = f"sys.exit(drive(Task(*map(int, sys.argv[2].split()), {list(more)!r})))\n"
    return strip_comments(f"from __future__ import annotations\n{assemble(_PARTS)}{end}")


def arguments(target: int, share: int, shares: int, more: Sequence[bytes]) -> list[str]:
    """What follows `python3` in the step for one share of a target; `$` is written `$$`, as a build file wants it."""
    text = driver(tuple(more))
    limits, wider = ProbeLimits(), ProbeLimits().wider()
    task = f"{target} {share} {shares} {limits.memory} {limits.seconds} {wider.memory} {wider.seconds}"
    return step_arguments(text, task)


def step_arguments(text: str, task: str = "-") -> list[str]:
    """The arguments of a step's `python3` that runs a program; it finds `task` in `sys.argv[2]`."""
    return ["-I", "-S", "-B", "-c", _LOADER, sha256(text.encode("utf-8")), task, *_pieces(text)]


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that are short enough, `$` doubled and no pair of them parted."""
    doubled = text.replace("$", "$$")
    at = 0
    while at < len(doubled):
        end = at + _MOST
        while doubled[end - 1 : end] == "$":
            end -= 1
        yield doubled[at:end]
        at = end
