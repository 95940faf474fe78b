"""One pattern of a `.dockerignore`, with the meaning that Docker's own matcher gives it.

Written after moby/patternmatcher: a pattern is first checked by Go's `filepath.Match`, and then compared as a whole, as a
beginning, as an end, or as a regular expression of Go's that a few replacements make of it. `**.pyc` is an end.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern

_ALL, _FOLDERS, _STAR, _ANY = ".*", "(?:.*/)?", "[^/]*", "[^/]"
_MOST_OPEN = 2  # with so many parts of any length Python's own match is quick on every path
_ESCAPES = {letter: f"\\{letter}" for letter in "afnrtv"} | {
    "d": "[0-9]",
    "D": "[^0-9]",
    "s": "[\\t\\n\\f\\r ]",
    "S": "[^\\t\\n\\f\\r ]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
}
_SURROGATES = lazy_pattern("[\udc80-\udcff]")
_REPEATED = lazy_pattern(r"\{\d+(,\d*)?\}")
_WORD = lazy_pattern(r"[0-9A-Za-z]")


class PatternError(Exception):
    """Docker refuses the pattern, or gives it a meaning that this module does not know."""


def compile_pattern(text: str) -> Callable[[str], object]:
    """What tells whether a path matches; raises PatternError."""
    _refuse_bad_syntax(text)
    if text.startswith("\ufeff"):
        raise PatternError("a byte order mark")
    plain = text.removeprefix("**").removesuffix("**")
    if not any(char in plain for char in "*?[]\\"):
        return _plain_match(text)
    try:
        return _regex_match(_expression(text))
    except re.error as error:
        raise PatternError(str(error)) from error


def _plain_match(text: str) -> Callable[[str], object]:
    """Without another wildcard, a pattern is compared as it stands, but for `**` at its ends."""
    if text.startswith("**"):
        if text.endswith("**") and text != "**":
            return _regex_match(_expression(text))
        end = text[2:]
        if end.startswith("/"):
            return lambda path: path.endswith(end) or path == end[1:]
        return lambda path: path.endswith(end)
    if text.endswith("**"):
        start = text[:-2]
        return lambda path: path.startswith(start)
    return lambda path: path == text


# ------------------------------------------------------------------------------------------ Go's filepath.Match


def _refuse_bad_syntax(text: str) -> None:
    """Raise PatternError where Go's `filepath.Match` calls a pattern bad; it is stricter than regular expressions."""
    at = 0
    while at < len(text):
        if text[at] == "[":
            at = _class_end(text, at + 1)
        elif text[at] == "\\":
            if at + 1 == len(text):
                raise PatternError("it ends in a backslash")
            at += 2
        else:
            at += 1


def _class_end(text: str, at: int) -> int:
    """Where a class ends that begins before `at`."""
    at += text.startswith("^", at)
    first = True
    while first or not text.startswith("]", at):
        at = _class_char_end(text, at)
        if text.startswith("-", at):
            at = _class_char_end(text, at + 1)
        first = False
    return at + 1


def _class_char_end(text: str, at: int) -> int:
    if text[at : at + 1] in {"", "-", "]"}:
        raise PatternError("a class is malformed")
    at += text[at] == "\\"
    # something has to follow, for the class is not closed yet
    if at + 1 >= len(text) or _SURROGATES.match(text, at):
        raise PatternError("a class is not closed")
    return at + 1


# ------------------------------------------------------------------------------------------ the regular expression


def _expression(text: str) -> str:
    """The regular expression that docker makes of a pattern."""
    out: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("**", at):
            at += 3 if text.startswith("/", at + 2) else 2
            out.append(_ALL if at == len(text) else _FOLDERS)
        elif text[at] == "\\":
            out.append(_escape(text[at + 1]))
            at += 2
        else:
            out.append(_single(text[at]))
            at += 1
    expression = "".join(out)
    if "[:" in expression or _REPEATED.search(text):
        raise PatternError("a class by its name, or a number of repetitions")
    return _SURROGATES.sub("\ufffd", expression)


def _single(char: str) -> str:
    if char in "[]^-|":  # docker leaves a bar as it stands, and so makes two expressions of one
        return char
    return {"*": _STAR, "?": _ANY}.get(char) or re.escape(char)


def _escape(char: str) -> str:
    """A character after a backslash, as Go's regular expressions read it: an `a` is a bell and no letter."""
    if char in _ESCAPES:
        return _ESCAPES[char]
    if _WORD.match(char) or not char.isascii():
        raise PatternError(f"a backslash before {char}")
    return re.escape(char)


class _ExpressionPart(NamedTuple):
    """A piece of an expression: of one length, or open; `regex` is its text, compiled."""

    text: str
    is_open: bool
    regex: re.Pattern[str] = re.compile("")


def _regex_match(expression: str) -> Callable[[str], object]:
    with warnings.catch_warnings():
        # `[[a]` is to Python today what it is to Go; that Python may change its mind is nothing for users
        warnings.simplefilter("ignore", FutureWarning)
        whole = re.compile(rf"\A{expression}\Z")
        parts = list(_parts(expression))
        if sum(part.is_open for part in parts) <= _MOST_OPEN:
            return lambda path: whole.search(_SURROGATES.sub("\ufffd", path))
        if "|" in expression:
            raise PatternError("a bar among several wildcards")
        compiled = [part._replace(regex=re.compile(part.text)) for part in parts]
    return lambda path: _matches_parts(compiled, _SURROGATES.sub("\ufffd", path))


def _parts(expression: str) -> Iterator[_ExpressionPart]:
    """An expression that is valid, cut before and after whatever is of any length. A class may be a star's: `[*]` makes one."""
    fixed, at = "", 0
    while at < len(expression):
        start = at
        if piece := next((candidate for candidate in (_FOLDERS, _ALL) if expression.startswith(candidate, at)), ""):
            at += len(piece)
        elif expression[at] == "\\":
            at += 2
        elif expression[at] == "[":
            at = _end_of_class(expression, at)
            if expression.startswith("*", at):
                at += 1
                piece = expression[start:at]
        else:
            at += 1
        if not piece:
            fixed += expression[start:at]
            continue
        if fixed:
            yield _ExpressionPart(fixed, is_open=False)
        yield _ExpressionPart(piece, is_open=True)
        fixed = ""
    if fixed:
        yield _ExpressionPart(fixed, is_open=False)


def _end_of_class(expression: str, at: int) -> int:
    at += 1
    at += expression.startswith("^", at)
    at += expression.startswith("]", at)  # the first one does not close it
    while expression[at] != "]":
        at += 2 if expression[at] == "\\" else 1
    return at + 1


def _matches_parts(parts: Sequence[_ExpressionPart], path: str) -> bool:
    """Whether all parts match, in a time that does not grow with the powers of the open ones.

    Docker's regular expressions never go back and try again, and Python's do: `*a*a*a*a*a*b` would end on no day of ours.
    """
    places = {0}  # up to where the parts so far can have come
    for text, is_open, regex in parts:
        if text == _ALL:
            places = {at for start, stop in _lines(places, path) for at in range(start, stop + 1)}
        elif text == _FOLDERS:
            places |= {at + 1 for start, stop in _lines(places, path) for at in range(start, stop) if path[at] == "/"}
        else:
            ends = {at: match.end() for at in places if (match := regex.match(path, at))}
            places = {at for start, end in ends.items() for at in range(start if is_open else end, end + 1)}
        if not places:
            return False
    return len(path) in places


def _lines(places: set[int], path: str) -> list[tuple[int, int]]:
    """For each line of a path that a place is in, the first such place and the line's end: a dot is no line break."""
    starts: dict[int, int] = {}
    for at in sorted(places, reverse=True):
        stop = path.find("\n", at)
        starts[len(path) if stop < 0 else stop] = at
    return [(start, stop) for stop, start in starts.items()]
