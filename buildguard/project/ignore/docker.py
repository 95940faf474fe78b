"""Which files of a build context `.dockerignore` keeps from `docker build`, by the rules of Docker's own matcher.

Written after moby/patternmatcher, whose patterns are regular expressions of Go's by a few replacements, and held to the
real docker by a test. A pattern that matches a folder holds for all that lies in it, and the last pattern that says
something wins, also below a folder that an earlier one dropped.
"""

from __future__ import annotations

import functools
import posixpath
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from buildguard.errors import UnprovenError
from buildguard.project.ignore.rules import IgnoreRule, parents

FILE = ".dockerignore"
_ALL, _FOLDERS = ".*", "(?:.*/)?"
_MOST_OPEN = 2  # with so many parts of any length Python's own match is quick on every path


class _DockerPattern(NamedTuple):
    rule: IgnoreRule
    text: str
    matches: Callable[[str], object]
    negated: bool


class DockerIgnoreRules:
    """The rules of one build: those of `<Dockerfile>.dockerignore` where it is there, else of the context's own file."""

    def __init__(self, read: Callable[[str], bytes | None], context: str, dockerfile: str) -> None:
        """`read` gives the content of a file, `context` is the context's folder; paths are the project's.

        Raises UnprovenError for a pattern on which docker itself fails.
        """
        self._start = f"{context}/" if context else ""
        self._patterns: list[_DockerPattern] = []
        for name in (f"{dockerfile}{FILE}", f"{self._start}{FILE}"):
            data = read(name)
            if data is not None:
                text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
                lines = [line.removesuffix("\r") for line in text.split("\n")]
                parsed = (_parse_rule(IgnoreRule(name, number, line)) for number, line in enumerate(lines, 1))
                self._patterns = [pattern for pattern in parsed if pattern is not None]
                return

    def drops(self, path: str) -> IgnoreRule | None:
        """The rule by which a file of the context is not sent; what lies outside of it is never sent by any rule."""
        if not path.startswith(self._start):
            return None
        inside = path[len(self._start) :]
        for folder in parents(inside):
            rule = self._verdict(folder)
            if rule is not None and not self._reopened(folder):
                return rule
        return self._verdict(inside)

    def _verdict(self, path: str) -> IgnoreRule | None:
        above = [*parents(path), path]
        last = None
        for pattern in self._patterns:
            if any(pattern.matches(folder) for folder in above):
                last = pattern
        return None if last is None or last.negated else last.rule

    def _reopened(self, folder: str) -> bool:
        """Whether docker looks into a folder that is dropped: only where a pattern with `!` begins with its very name."""
        return any(pattern.negated and f"{pattern.text}/".startswith(f"{folder}/") for pattern in self._patterns)


def _parse_rule(rule: IgnoreRule) -> _DockerPattern | None:
    if rule.text.startswith("#"):
        return None
    text = rule.text.strip()
    negated = text.startswith("!")
    text = text.removeprefix("!").strip()
    if not text:
        if negated:
            raise UnprovenError(f"{rule}: docker refuses this pattern")
        return None
    text = posixpath.normpath(text)
    if len(text) > 1:
        text = text.lstrip("/")
    return _DockerPattern(rule._replace(text=rule.text.strip()), text, _matcher(text, rule), negated)


def _matcher(text: str, rule: IgnoreRule) -> Callable[[str], object]:
    """What tells whether all of a path is as a pattern says; raises UnprovenError for one on which docker itself fails."""
    expression = _expression(text)
    try:
        with warnings.catch_warnings():
            # `[[a]` and `[a--b]` are to Python today what they are to Go; that Python may change its mind is nothing for users
            warnings.simplefilter("ignore", FutureWarning)
            whole = re.compile(expression, re.DOTALL).fullmatch
            parts = list(_parts(expression))
            if sum(part.is_open for part in parts) <= _MOST_OPEN:
                return whole
            return functools.partial(
                _matches_parts, [part._replace(regex=re.compile(part.text, re.DOTALL)) for part in parts]
            )
    except re.error as error:
        raise UnprovenError(f"{rule}: docker refuses this pattern") from error


def _expression(text: str) -> str:
    """The regular expression that docker makes of a pattern."""
    out, at = [], 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*" and text[at : at + 1] == "*":
            at += 1
            if text[at : at + 1] == "/":
                at += 1
            out.append(_ALL if at == len(text) else _FOLDERS)
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "\\" and at < len(text):
            out.append(re.escape(text[at]))
            at += 1
        elif char in "[]^-":
            out.append(char)
        else:
            out.append(re.escape(char))
    return "".join(out)


class _ExpressionPart(NamedTuple):
    """A piece of an expression: of one length, or open; `regex` is its text, compiled."""

    text: str
    is_open: bool
    regex: re.Pattern[str] = re.compile("")


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
    at += expression.startswith("]", at)  # the first one is meant as it stands
    while expression[at] != "]":
        at += 2 if expression[at] == "\\" else 1
    return at + 1


def _matches_parts(parts: Sequence[_ExpressionPart], path: str) -> bool:
    """What a match of all parts would tell, in a time that does not grow with the powers of the open ones.

    Docker's regular expressions never go back and try again, and Python's do: `*a*a*a*a*a*b` would end on no day of ours.
    """
    places = {0}  # up to where the parts so far can have come
    for text, is_open, regex in parts:
        if text == _ALL:
            places = set(range(min(places), len(path) + 1))
        elif text == _FOLDERS:
            places |= {at + 1 for at in range(min(places), len(path)) if path[at] == "/"}
        else:
            ends = {at: match.end() for at in places if (match := regex.match(path, at))}
            places = {at for start, end in ends.items() for at in range(start if is_open else end, end + 1)}
        if not places:
            return False
    return len(path) in places
