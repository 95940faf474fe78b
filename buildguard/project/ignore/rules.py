"""Ignore rules as the tools have them that apply them: which file, line and pattern drops a path. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


_NAME = r"(?!\.{1,2}(?:/|$))[\w.-]+"
_PLAIN = lazy_pattern(rf"(?:(?P<any>\*\*/)|(?P<root>/))?(?P<path>{_NAME}(?:/{_NAME})*)(?P<end>/|/\*\*)?", re.ASCII)
_MOST_LINES = 2000


class IgnoreRule(NamedTuple):
    """A pattern and where it stands; `line` counts from 1, and is 0 for what a tool has built in."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.text}"


def parents(path: str) -> list[str]:
    """The folders above a path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def spec_of(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Patterns in gitignore's syntax, as git reads them.

    Git takes `a/**/` for the folders in `a` at any depth, and pathspec for everything in it: the one more star says it to both.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(_folders_in(pattern) for pattern in patterns)


def matcher_of(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a file's path matches any of some patterns; for plain ones without pathspec, whose import is a tenth of a hook."""
    plain = [_PLAIN.fullmatch(pattern) for pattern in patterns]
    if not all(plain):
        return spec_of(patterns).match_file
    rules = [_PlainRule.of(match) for match in plain if match is not None]

    def matches(path: str) -> bool:
        if path.startswith(("/", "./")) or path.endswith("/") or "\n" in path:  # none of a stage's, but a few of git's
            return spec_of(patterns).match_file(path)
        return any(rule.matches(path) for rule in rules)

    return matches


def without_comments(patterns: Iterable[str]) -> list[str]:
    """The patterns that mean something: no comment, and no blank line."""
    return [
        pattern
        for pattern in patterns
        if _PLAIN.fullmatch(pattern) or any(each.include is not None for each in spec_of([pattern]).patterns)
    ]


class _PlainRule(NamedTuple):
    """A pattern that is a path: from the root or at any depth, of a folder alone or of a file as well."""

    path: str
    is_anchored: bool
    is_folder: bool

    @classmethod
    def of(cls, match: re.Match[str]) -> _PlainRule:
        path, end = match["path"], match["end"]
        is_anchored = not match["any"] and bool(match["root"] or "/" in path or end == "/**")
        return cls(path, is_anchored, bool(end))

    def matches(self, path: str) -> bool:
        whole = f"/{path}" if self.is_folder else f"/{path}/"
        return whole.startswith(f"/{self.path}/") if self.is_anchored else f"/{self.path}/" in whole


def _folders_in(pattern: str) -> str:
    bare = pattern.rstrip(" ")
    return f"{bare}*/" if bare.endswith("**/") else pattern


def find_git_rule(read: Callable[[str], bytes | None], path: str) -> IgnoreRule | None:
    """The rule of a `.gitignore` that keeps an untracked path out of git; `read` gives the content of a file."""
    for inside in [*parents(path), path]:
        rule = _last_rule(read, inside, is_folder=inside != path)
        if rule is not None:
            return rule
    return None


def _last_rule(read: Callable[[str], bytes | None], path: str, *, is_folder: bool) -> IgnoreRule | None:
    last = None
    for folder in ["", *parents(path)]:
        name = f"{folder}/.gitignore" if folder else ".gitignore"
        data = read(name)
        lines = (data or b"").decode("utf-8", "replace").splitlines()
        rest = path[len(folder) + 1 :] if folder else path
        for number, line in enumerate(lines, 1):
            if _git_matches(line.removeprefix("!"), rest, is_folder=is_folder):
                last = None if line.startswith("!") else IgnoreRule(name, number, line.strip())
    return last


def _git_matches(line: str, path: str, *, is_folder: bool) -> bool:
    if not line.strip() or line.startswith("#"):
        return False
    try:
        return _spec_of_line(line).match_file(f"{path}/" if is_folder else path)
    except ValueError:
        return False


@functools.lru_cache(_MOST_LINES)  # every path is matched with each of them
def _spec_of_line(line: str) -> GitIgnoreSpec:
    return spec_of([line])
