"""Stack dumps of Python's faulthandler, as they stand in a log: which threads did not move, and where. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from buildguard.definitions import NamedTuple, lazy_pattern

_DUMP = lazy_pattern(r"^(?:Timeout \(\d+:\d\d:\d\d(?:\.\d+)?\)!|Fatal Python error: )")
_THREAD = lazy_pattern(r"^(?:Current thread|Thread) 0x[0-9a-f]+[^\n]*\(most recent call first\):")
_FRAME = lazy_pattern(r'^  File "(?P<path>[^"\n]{1,400})", line (?P<line>\d{1,7}) in (?P<function>[^\n]{1,200})$')


class StackFrame(NamedTuple):
    """A frame of a dump: the path in the image, the line, and the function."""

    path: str
    line: int
    function: str


Stack = tuple[StackFrame, ...]  # the innermost frame first


def read_dumps(lines: Sequence[str]) -> list[frozenset[Stack]]:
    """The stacks of each dump, the oldest first."""
    dumps: list[set[Stack]] = []
    stack: list[StackFrame] | None = None
    for line in [*lines, ""]:
        frame = _FRAME.match(line)
        if frame is not None and stack is not None:
            stack.append(StackFrame(frame["path"], int(frame["line"]), frame["function"]))
            continue
        if stack and dumps:
            dumps[-1].add(tuple(stack))
        stack = None
        if _DUMP.match(line):
            dumps.append(set())
        elif _THREAD.match(line):
            stack = []
            if not dumps:
                dumps.append(set())
    return [frozenset(dump) for dump in dumps]


def find_blocked(dumps: Sequence[frozenset[Stack]], idle: frozenset[Stack], is_ours: Callable[[str], bool]) -> Stack:
    """A stack with code of ours that is the same in two dumps one after the other, and was not there when nothing was asked."""
    for earlier, later in pairwise(dumps):
        same = sorted((earlier & later) - idle)
        ours = [stack for stack in same if any(is_ours(frame.path) for frame in stack)]
        if ours:
            return max(ours, key=lambda stack: sum(is_ours(frame.path) for frame in stack))
    return ()
