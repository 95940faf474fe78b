r"""Which files `gcloud builds submit` leaves behind: its own rules, which look like git's and are not.

Measured on the Google Cloud SDK 528 and kept equal to it by a test that asks the real one: patterns with a slash in the
middle are not anchored, a part is matched by `fnmatch` after its backslashes are gone, only `.gcloudignore`, or else the
top folder's `.gitignore`, counts. A library for gitignore would be right about git and wrong about what is uploaded.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.errors import UnprovenError
from buildguard.project.ignore.rules import IgnoreRule, parents

if TYPE_CHECKING:
    from typing import TypeAlias

    # whether these parts of a pattern match that path
    _Known: TypeAlias = dict[tuple[tuple[str, ...], str], bool]

FILE = ".gcloudignore"
_GIT_FILE = ".gitignore"
_DEFAULT = "gcloud's default"
_INCLUDE = "!include:"
_ODD_BACKSLASHES = lazy_pattern(r"(?<!\\)\\(\\\\)*$")
_MOST_FOLDERS = 50  # times that `**` may stand in one pattern


class _GcloudPattern(NamedTuple):
    """A rule, taken apart as gcloud does."""

    rule: IgnoreRule
    parts: tuple[str, ...]
    negated: bool
    folders_only: bool


class GcloudIgnoreRules:
    """The rules for one upload; none at all where there is neither an ignore file nor git."""

    def __init__(self, read: Callable[[str], bytes | None], *, has_git: bool) -> None:
        """`read` gives the content of a file of the top folder, `has_git` is whether `.git` is in that very folder.

        Raises UnprovenError where gcloud itself fails on the files.
        """
        self._read = read
        self._folders: dict[str, IgnoreRule | None] = {}
        self._patterns = list(self._read_rules(has_git=has_git))

    def drops(self, path: str, *, is_folder: bool = False) -> IgnoreRule | None:
        """The rule by which a path is not uploaded; `is_folder` also for a link to a folder."""
        return self._above(path.rpartition("/")[0]) or self._verdict(path, is_folder=is_folder)

    def _above(self, folder: str) -> IgnoreRule | None:
        """The rule that drops a folder, or one around it."""
        if not folder:
            return None
        if folder not in self._folders:
            outer = self._above(folder.rpartition("/")[0])
            self._folders[folder] = outer or self._verdict(folder, is_folder=True)
        return self._folders[folder]

    def _verdict(self, path: str, *, is_folder: bool) -> IgnoreRule | None:
        last = None
        for pattern in self._patterns:
            if (is_folder or not pattern.folders_only) and _matches(pattern.parts, path):
                last = pattern
        return None if last is None or last.negated else last.rule

    def _read_rules(self, *, has_git: bool) -> Iterator[_GcloudPattern]:
        own = self._read(FILE)
        if own is not None:
            yield from self._of_file(FILE, own, includes=True)
            return
        ignored = self._read(_GIT_FILE)
        if not has_git and ignored is None:
            return
        for name in (FILE, ".git", _GIT_FILE):
            yield _GcloudPattern(IgnoreRule(_DEFAULT, 0, name), (name,), negated=False, folders_only=False)
        if ignored is not None:
            yield from self._of_file(_GIT_FILE, ignored, includes=False)

    def _of_file(self, name: str, data: bytes, *, includes: bool) -> Iterator[_GcloudPattern]:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnprovenError(f"{name} is not UTF-8, and gcloud fails on it") from error
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("#"):
                if includes and line[1:].lstrip().startswith(_INCLUDE):
                    yield from self._included(line.partition(_INCLUDE)[2], f"{name}:{number}")
                continue
            pattern = _parse_rule(IgnoreRule(name, number, line))
            if pattern is not None:
                yield pattern

    def _included(self, name: str, place: str) -> Iterator[_GcloudPattern]:
        data = self._read(name) if "/" not in name else None
        if data is None:
            why = "gcloud includes only files of the same folder" if "/" in name else "there is no such file"
            raise UnprovenError(f"{place} includes '{name}', and gcloud fails on that: {why}")
        yield from self._of_file(name, data, includes=False)


def _parse_rule(rule: IgnoreRule) -> _GcloudPattern | None:
    text = rule.text
    negated = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = _spaces(text.removesuffix("/"))
    if _ODD_BACKSLASHES.search(text):
        return None
    text = re.sub(r"\\([^\\])", r"\1", text).replace("\\\\", "\\")
    if text.count("**") > _MOST_FOLDERS:
        raise UnprovenError(f"{rule}: gcloud itself comes to no end with this pattern")
    return _GcloudPattern(rule, tuple(text.split("/")), negated, folders_only) if text else None


def _spaces(text: str) -> str:
    """Trailing blanks go, escaped ones stay as blanks."""
    tokens = re.findall(r"\\.|\\$|[^\\]", text, re.DOTALL)
    while tokens and tokens[-1] == " ":
        tokens.pop()
    return "".join(tokens).replace("\\ ", " ")


def _matches(parts: tuple[str, ...], path: str | None, known: _Known | None = None) -> bool:
    """Whether a pattern matches from the right; it is enough that the pattern is used up, which anchors nothing.

    gcloud asks the same again and again where a pattern has several `**`; `known` holds what was asked before.
    """
    known = {} if known is None else known
    while parts:
        if path is None:
            return False
        rest, part = parts[:-1], parts[-1]
        if part == "**":
            if (parts, path) not in known:
                anchored = rest if rest[:1] == ("",) else ("", *rest)
                known[parts, path] = any(_matches(anchored, prefix, known) for prefix in ("", *parents(path), path))
            return known[parts, path]
        above, _slash, name = path.rpartition("/")
        if (part == "*" and not rest and len(above) > 1) or not fnmatch.fnmatchcase(name, part):
            return False
        parts, path = rest, above if name else None
    return True
