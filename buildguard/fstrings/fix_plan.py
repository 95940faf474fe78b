"""The edits that repair a source: each f-string that a target refuses, rewritten, and what stands before it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from buildguard.diagnostic import Range
from buildguard.fstrings.escape import CannotError
from buildguard.fstrings.legacy_parser import refusal
from buildguard.fstrings.parser import Nested, read
from buildguard.fstrings.rewrite import Piece, Rewriter
from buildguard.fstrings.rules import Judged, judge
from buildguard.fstrings.statements import Statement, place_before, statements

_WORDS = re.compile(r"[^\W\d]\w*")
_TELLING_NAMES = {
    r"\n": "_newline",
    r"\r\n": "_crlf",
    r"\t": "_tab",
    r"\\": "_backslash",
    r"\"": "_quote",
    '"': "_quote",
    r"\'": "_apostrophe",
    "'": "_apostrophe",
    r"\0": "_nul",
    r"\n\n": "_blank_line",
}
_QUOTED = re.compile(r"[uU]?([\"'])(?P<body>.*)\1", re.DOTALL)


class Edit(NamedTuple):
    """Replace the text from `start` to `end` (offsets in code points) by `text`."""

    start: int
    end: int
    text: str


class Fix(NamedTuple):
    """What repairs one outermost f-string: edits, and the names that it binds to constants; or why nothing does.

    `note` says where the structure could not be read twice.
    """

    judged: Judged
    edits: tuple[Edit, ...] = ()
    lifted: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    note: str = ""


class Plan(NamedTuple):
    """All of one source: the text before and after, and a fix for each f-string that is refused."""

    before: str
    after: str
    fixes: tuple[Fix, ...]

    @property
    def lifted(self) -> tuple[str, ...]:
        """The names that the new text binds."""
        return tuple(dict.fromkeys(name for fix in self.fixes for name, _source in fix.lifted))


def plan(
    text: str,
    minor: int,
    doubt: Callable[[str, Nested], tuple[bool, str]] | None = None,
    only: tuple[Range, ...] = (),
) -> Plan:
    """How to repair a decoded source for the target 3.`minor` and every other Python.

    `doubt` is `structure.doubt` where libcst may run; `only` are the f-strings to repair, by their place, else all.
    """
    planner = _Planner(text)
    refused = [one for one in judge(text, minor) if one.refused and (not only or one.range in only)]
    fixes = tuple(_twice(text, planner.fix(one), doubt) for one in refused)
    return Plan(text, applied(text, [edit for fix in fixes for edit in fix.edits]), fixes)


def _twice(text: str, fix: Fix, doubt: Callable[[str, Nested], tuple[bool, str]] | None) -> Fix:
    """A fix, dropped where the second reading of its f-string is not that of the first."""
    if doubt is None or not fix.edits or not isinstance(fix.judged.literal, Nested):
        return fix
    differs, note = doubt(text, fix.judged.literal)
    return Fix(fix.judged, reason=note) if differs else fix._replace(note=note)


def applied(text: str, edits: list[Edit]) -> str:
    """A text after edits; those that insert the same at the same place do it once."""
    pieces, at = [], 0
    for edit in sorted(dict.fromkeys(edits), key=lambda one: (one.start, one.end)):
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


class _Planner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._taken: set[str] | None = None
        self._names: dict[str, str] = {}
        self._statements: list[Statement] | None = None
        self._rewriter = Rewriter(text, self._name_for)

    def fix(self, judged: Judged) -> Fix:
        if not isinstance(judged.literal, Nested):
            return Fix(judged, reason="it nests deeper than any Python takes")
        try:
            piece = self._legal(judged.literal)
        except CannotError as error:
            return Fix(judged, reason=error.reason)
        except RecursionError:
            return Fix(judged, reason="it nests too deep to be rewritten")
        edits = [Edit(judged.literal.start, judged.literal.end, piece.text)]
        return Fix(judged, (*self._before(judged.literal, piece), *edits), piece.lifted)

    def _legal(self, literal: Nested) -> Piece:
        for piece in self._rewriter.candidates(literal):
            again = read(piece.text)
            if again is not None and refusal(piece.text, 0, again.prefix, again.quote, again.end) is None:
                return piece
        raise CannotError("there is no other way to write it")

    def _before(self, literal: Nested, piece: Piece) -> list[Edit]:
        """What has to stand before the statement: the comments, and the constants by name."""
        if not piece.lifted and not piece.comments:
            return []
        if self._statements is None:
            self._statements = statements(self._text)
        statement = place_before(self._statements, literal.start)
        newline = self._newline()
        lines = [text for _at, text in sorted(set(piece.comments))]
        lines += [f"{name} = {source}" for name, source in piece.lifted]
        return [Edit(statement.line, statement.line, f"{statement.blank}{line}{newline}") for line in lines]

    def _newline(self) -> str:
        found = re.search(r"\r\n|\r|\n", self._text)
        return found.group() if found else "\n"

    def _name_for(self, source: str, otherwise: str) -> str:
        if source not in self._names:
            if self._taken is None:
                self._taken = set(_WORDS.findall(self._text))
            quoted = _QUOTED.fullmatch(source)
            stem = _TELLING_NAMES.get(quoted["body"], otherwise) if quoted else otherwise
            name, number = stem, 1
            while name in self._taken:
                number += 1
                name = f"{stem}_{number}"
            self._taken.add(name)
            self._names[source] = name
        return self._names[source]
