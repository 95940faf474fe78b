"""Which files of a build context `.dockerignore` keeps from `docker build`, by the rules of Docker's own matcher.

Written after moby/patternmatcher, whose patterns are regular expressions of Go's by a few replacements, and held to the
real docker by a test. A pattern that matches a folder holds for all that lies in it, and the last pattern that says
something wins, also below a folder that an earlier one dropped.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

from buildguard.errors import UnprovenError
from buildguard.ignore import Rule, parents

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = ".dockerignore"


class _Pattern(NamedTuple):
    rule: Rule
    text: str
    regex: re.Pattern[str]
    negated: bool


class Rules:
    """The rules of one build: those of `<Dockerfile>.dockerignore` where it is there, else of the context's own file."""

    def __init__(self, read: Callable[[str], bytes | None], context: str, dockerfile: str) -> None:
        """`read` gives the content of a file, `context` is the context's folder; paths are the project's.

        Raises UnprovenError for a pattern on which docker itself fails.
        """
        self._start = f"{context}/" if context else ""
        self._patterns: list[_Pattern] = []
        for name in (f"{dockerfile}{FILE}", f"{self._start}{FILE}"):
            data = read(name)
            if data is not None:
                text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
                lines = [line.removesuffix("\r") for line in text.split("\n")]
                found = (_parsed(Rule(name, number, line)) for number, line in enumerate(lines, 1))
                self._patterns = [one for one in found if one is not None]
                return

    def drops(self, path: str) -> Rule | None:
        """The rule by which a file of the context is not sent; what lies outside of it is never sent by any rule."""
        if not path.startswith(self._start):
            return None
        inside = path[len(self._start) :]
        for folder in parents(inside):
            rule = self._verdict(folder)
            if rule is not None and not self._reopened(folder):
                return rule
        return self._verdict(inside)

    def _verdict(self, path: str) -> Rule | None:
        above = [*parents(path), path]
        last = None
        for pattern in self._patterns:
            if any(pattern.regex.fullmatch(one) for one in above):
                last = pattern
        return None if last is None or last.negated else last.rule

    def _reopened(self, folder: str) -> bool:
        """Whether docker looks into a folder that is dropped: only where a pattern with `!` begins with its very name."""
        return any(one.negated and f"{one.text}/".startswith(f"{folder}/") for one in self._patterns)


def _parsed(rule: Rule) -> _Pattern | None:
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
    return _Pattern(rule._replace(text=rule.text.strip()), text, _regex(text, rule), negated)


def _regex(text: str, rule: Rule) -> re.Pattern[str]:
    out, at = [], 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*" and text[at : at + 1] == "*":
            at += 1
            if text[at : at + 1] == "/":
                at += 1
            out.append(".*" if at == len(text) else "(?:.*/)?")
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
    try:
        with warnings.catch_warnings():
            # `[[a]` and `[a--b]` are to Python today what they are to Go; that Python may change its mind is nothing for users
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile("".join(out), re.DOTALL)
    except re.error as error:
        raise UnprovenError(f"{rule}: docker refuses this pattern") from error
