"""The last event of a log that a program of this repository wrote, and the code that should follow it. Pure.

For a request that never ends: no error is in the log, and what counts is how far the program came.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern

_CALLS = frozenset(
    {"debug", "info", "warning", "warn", "error", "critical", "exception", "log", "msg", "print", "write", "event"}
)
_SHORTEST = 5  # characters of a message that are enough to know it by
_FOLLOWING = 6  # lines of code
_LARGEST = 1 << 20  # bytes of a source that is read
_LONGEST_LINE = 2000
_FORMAT = lazy_pattern(r"%(?:\([^)]*\))?[-#0 +]*[\d*]*(?:\.\d+)?[sdrifgxc]|\{[^{}]*\}")


class CodeLine(NamedTuple):
    """A line of a source, with its number."""

    number: int
    text: str


class LastEvent(NamedTuple):
    """The last line of a log that a call in a source fits: the line, the place of the call, and the code behind it."""

    text: str
    path: str
    line: int
    following: tuple[CodeLine, ...]


class _EventCall(NamedTuple):
    """A call that writes an event: where it ends, and what it writes."""

    path: str
    line: int
    end: int
    literal: int  # characters that are certain
    pieces: tuple[str, ...]


def find_last_event(lines: Sequence[str], sources: Mapping[str, bytes]) -> LastEvent | None:
    """The last line of a log that exactly one call in the sources writes; None where none fits."""
    calls = [call for path, content in sorted(sources.items()) for call in _calls(path, content)]
    for line in reversed(lines):
        fitting = [call for call in calls if _fits(line[:_LONGEST_LINE], call.pieces)]
        longest = max((call.literal for call in fitting), default=0)
        best = [call for call in fitting if call.literal == longest]
        if len(best) == 1:
            return _event(line, best[0], sources[best[0].path])
        if best:
            return None  # several places write it: which one it was is unknown
    return None


def _event(line: str, call: _EventCall, source: bytes) -> LastEvent:
    texts = source.decode("utf-8", "replace").splitlines()
    rows = [CodeLine(number, text) for number, text in enumerate(texts, 1) if number > call.end and text.strip()]
    return LastEvent(line.strip()[:300], call.path, call.line, tuple(rows[:_FOLLOWING]))


def _calls(path: str, content: bytes) -> Iterator[_EventCall]:
    if len(content) > _LARGEST:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # it is for another Python, or hostile: nothing is known of it
    for node in nodes:
        if isinstance(node, ast.Call) and _name(node.func) in _CALLS:
            for argument in node.args[:2]:
                pieces = _pieces(argument)
                literal = sum(len(piece.strip()) for piece in pieces)
                if literal >= _SHORTEST:
                    yield _EventCall(path, node.lineno, node.end_lineno or node.lineno, literal, _words(pieces))
                    break


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _pieces(argument: ast.expr) -> list[str]:
    """The literal parts of a message; what is filled in lies between them."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return _FORMAT.split(argument.value)
    if isinstance(argument, ast.JoinedStr):
        pieces = [""]
        for value in argument.values:
            if isinstance(value, ast.Constant):
                pieces[-1] += str(value.value)
            else:
                pieces.append("")
        return pieces
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Mod):
        return _pieces(argument.left)
    return []


def _words(pieces: Sequence[str]) -> tuple[str, ...]:
    return tuple(piece.strip("\n") for piece in pieces if piece.strip("\n"))


def _fits(line: str, pieces: Sequence[str]) -> bool:
    """Whether a line has these pieces one behind the other; in a time that grows with its length."""
    position = 0
    for piece in pieces:
        position = line.find(piece, position)
        if position < 0:
            return False
        position += len(piece)
    return True
