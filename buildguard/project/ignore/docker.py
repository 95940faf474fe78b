"""Which files of a build context `.dockerignore` keeps from `docker build`, by the rules of Docker's own matcher.

Written after moby/patternmatcher and the walk of docker's client, and compared with the real docker by a test. A pattern
that matches a folder counts for everything in it, and the last pattern that matches wins, also below a folder that an
earlier one dropped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.project.ignore.docker_pattern import PatternError, compile_pattern
from buildguard.project.ignore.rules import IgnoreRule, parents

FILE = ".dockerignore"
_LONGEST_LINE = 1 << 16  # docker fails on a longer one
# what Go's strings.TrimSpace takes away; Python's strip would take control characters as well
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


class _DockerPattern(NamedTuple):
    rule: IgnoreRule
    text: str
    matches: Callable[[str], object]
    negated: bool


class _FolderMatch(NamedTuple):
    """What docker remembers of a folder: which patterns matched it, and the one that drops it, if any."""

    matched: tuple[bool, ...] = ()
    rule: IgnoreRule | None = None


class DockerIgnoreRules:
    """The rules of one build: those of `<Dockerfile>.dockerignore` where it is there, else of the context's own file."""

    def __init__(self, read: Callable[[str], bytes | None], context: str, dockerfile: str) -> None:
        """`read` gives the content of a file, `context` is the context's folder; paths are the project's.

        Raises UnprovenError for a pattern on which docker itself fails.
        """
        self._start = f"{context}/" if context else ""
        self._patterns: list[_DockerPattern] = []
        self._folders: dict[str, _FolderMatch] = {"": _FolderMatch()}
        for name in (f"{dockerfile}{FILE}", f"{self._start}{FILE}"):
            data = read(name)
            if data is not None:
                text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
                parsed = (
                    _parse_rule(IgnoreRule(name, number, line)) for number, line in enumerate(text.split("\n"), 1)
                )
                self._patterns = [pattern for pattern in parsed if pattern is not None]
                return

    @property
    def has_any(self) -> bool:
        """Whether a rule exists that may drop a file."""
        return bool(self._patterns)

    def drops(self, path: str) -> IgnoreRule | None:
        """The rule by which a file of the context is not sent; what lies outside of it is never sent by any rule."""
        if not path.startswith(self._start) or not self._patterns:
            return None
        inside = path[len(self._start) :]
        for folder in parents(inside):
            match = self._folder(folder)
            if match.rule is not None and not self._reopened(folder):
                return match.rule
        return self._match(inside).rule

    def _folder(self, path: str) -> _FolderMatch:
        if path not in self._folders:
            self._folders[path] = self._match(path)
        return self._folders[path]

    def _match(self, path: str) -> _FolderMatch:
        """Docker's own order: a pattern that cannot change the answer is not asked, and counts as one that did not match."""
        above = self._folder(path.rpartition("/")[0]).matched
        matched: list[bool] = []
        rule = None
        for at, pattern in enumerate(self._patterns):
            by_folder = bool(above) and above[at]
            decides = pattern.negated == (rule is not None)
            matched.append(by_folder or (decides and bool(pattern.matches(path))))
            if matched[-1]:
                rule = None if pattern.negated else pattern.rule
        return _FolderMatch(tuple(matched), rule)

    def _reopened(self, folder: str) -> bool:
        """Whether docker looks into a folder that is dropped: only where a pattern with `!` begins with its very name."""
        return any(pattern.negated and f"{pattern.text}/".startswith(f"{folder}/") for pattern in self._patterns)


def _parse_rule(rule: IgnoreRule) -> _DockerPattern | None:
    if len(rule.text) >= _LONGEST_LINE:
        raise UnprovenError(f"{rule.file}:{rule.line}: docker refuses a line of more than 64 KB")
    if rule.text.startswith("#"):
        return None
    rule = rule._replace(text=rule.text.strip(_SPACE))
    text = rule.text
    negated = text.startswith("!")
    text = text.removeprefix("!").strip(_SPACE)
    if not text and not negated:
        return None
    text = _clean(text) if text else ""
    if not negated and text.startswith("!"):  # `/!a` becomes `!a` before docker looks for the mark
        negated, text = True, text[1:]
    if negated and text in {"", "/"}:
        raise UnprovenError(f"{rule}: docker refuses this pattern")
    try:
        return _DockerPattern(rule, text, compile_pattern(text), negated)
    except PatternError as error:
        why = f"docker refuses this pattern, or buildguard does not know its meaning: {error}"
        raise UnprovenError(f"{rule}: {why}") from error


def _clean(text: str) -> str:
    """A path in its plainest form, as Go has it: `//` is the root, where POSIX keeps two slashes."""
    text = posixpath.normpath(text)
    text = text[1:] if text.startswith("//") else text
    return text.removeprefix("/") if len(text) > 1 else text
