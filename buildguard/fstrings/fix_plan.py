"""The edits that repair a source: each f-string that a target refuses, rewritten, and what stands before it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import Range
from buildguard.fstrings.escape import UnencodableError
from buildguard.fstrings.legacy_parser import refusal
from buildguard.fstrings.parser import FString, read
from buildguard.fstrings.rewrite import Rewriter
from buildguard.fstrings.rules import FStringVerdict, judge
from buildguard.fstrings.source_piece import SourcePiece
from buildguard.fstrings.statements import Statement, place_before, statements

_WORDS = lazy_pattern(r"[^\W\d]\w*")
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
_QUOTED = lazy_pattern(r"[uU]?([\"'])(?P<body>.*)\1", re.DOTALL)


class TextEdit(NamedTuple):
    """Replace the text from `start` to `end` (offsets in code points) by `text`."""

    start: int
    end: int
    text: str


class FStringFix(NamedTuple):
    """What repairs one outermost f-string: edits, and the names that it binds to constants; or why nothing does.

    `note` says where the structure could not be read twice.
    """

    verdict: FStringVerdict
    edits: tuple[TextEdit, ...] = ()
    lifted: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    note: str = ""


class RewritePlan(NamedTuple):
    """All of one source: the text before and after, and a fix for each f-string that is refused."""

    before: str
    after: str
    fixes: tuple[FStringFix, ...]

    @property
    def lifted(self) -> tuple[str, ...]:
        """The names that the new text binds."""
        return tuple(dict.fromkeys(name for fix in self.fixes for name, _source in fix.lifted))


def plan_rewrite(
    text: str,
    minor: int,
    doubt: Callable[[str, FString], tuple[bool, str]] | None = None,
    only: tuple[Range, ...] = (),
) -> RewritePlan:
    """How to repair a decoded source for the target 3.`minor` and every other Python.

    `doubt` is `structure.doubt` where libcst may run; `only` are the f-strings to repair, by their place, else all.
    """
    planner = _RewritePlanner(text)
    refused = [verdict for verdict in judge(text, minor) if verdict.refused and (not only or verdict.range in only)]
    fixes = tuple(_verify_structure(text, planner.fix(verdict), doubt) for verdict in refused)
    return RewritePlan(text, apply_edits(text, [edit for fix in fixes for edit in fix.edits]), fixes)


def _verify_structure(
    text: str, fix: FStringFix, doubt: Callable[[str, FString], tuple[bool, str]] | None
) -> FStringFix:
    """A fix, dropped where the second reading of its f-string is not that of the first."""
    if doubt is None or not fix.edits or not isinstance(fix.verdict.literal, FString):
        return fix
    differs, note = doubt(text, fix.verdict.literal)
    return FStringFix(fix.verdict, reason=note) if differs else fix._replace(note=note)


def apply_edits(text: str, edits: list[TextEdit]) -> str:
    """A text after edits; those that insert the same at the same place do it once."""
    pieces, at = [], 0
    for edit in sorted(dict.fromkeys(edits), key=lambda item: (item.start, item.end)):
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


class _RewritePlanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._taken: set[str] | None = None
        self._names: dict[str, str] = {}
        self._statements: list[Statement] | None = None
        self._rewriter = Rewriter(text, self._name_for)

    def fix(self, judged: FStringVerdict) -> FStringFix:
        if not isinstance(judged.literal, FString):
            return FStringFix(judged, reason="it nests deeper than any Python takes")
        try:
            piece = self._legal(judged.literal)
        except UnencodableError as error:
            return FStringFix(judged, reason=error.reason)
        except RecursionError:
            return FStringFix(judged, reason="it nests too deep to be rewritten")
        edits = [TextEdit(judged.literal.start, judged.literal.end, piece.text)]
        return FStringFix(judged, (*self._before(judged.literal, piece), *edits), piece.lifted)

    def _legal(self, literal: FString) -> SourcePiece:
        for piece in self._rewriter.candidates(literal):
            again = read(piece.text)
            if again is not None and refusal(piece.text, 0, again.prefix, again.quote, again.end) is None:
                return piece
        raise UnencodableError("there is no other way to write it")

    def _before(self, literal: FString, piece: SourcePiece) -> list[TextEdit]:
        """What has to stand before the statement: the comments, and the constants by name."""
        if not piece.lifted and not piece.comments:
            return []
        if self._statements is None:
            self._statements = statements(self._text)
        statement = place_before(self._statements, literal.start)
        newline = self._newline()
        lines = [text for _at, text in sorted(set(piece.comments))]
        lines += [f"{name} = {source}" for name, source in piece.lifted]
        return [TextEdit(statement.line, statement.line, f"{statement.blank}{line}{newline}") for line in lines]

    def _newline(self) -> str:
        match = re.search(r"\r\n|\r|\n", self._text)
        return match.group() if match else "\n"

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
