"""Everything in an f-string that a target refuses, each with its exact range. Pure.

`legacy.refusal` decides whether 3.8 to 3.11 refuse a literal; this names all the places that make them, since the
compiler stops at the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.fstrings.legacy_parser import refusal
from buildguard.fstrings.parser import FString, LiteralText, OvernestedString, PlainString, ReplacementField, Trivia
from buildguard.project.target import PEP_701

_SPEC_BEFORE, _SPEC_SINCE = 2, 3  # how many format specs deep a field may not lie
_PAIR = lazy_pattern(r"\\(?:\r\n|[\s\S])")


class Violation(NamedTuple):
    """One place in a source: offsets in code points, the end exclusive; `what` completes the message."""

    code: Code
    start: int
    end: int
    what: str = ""


def find_violations(text: str, literal: FString | OvernestedString, minor: int) -> list[Violation]:
    """What the Python 3.`minor` refuses in an outermost f-string, or warns of, in order of place."""
    if isinstance(literal, OvernestedString):
        return [
            Violation(Code.BG206, literal.start, literal.end, "more f-strings within one another than any Python takes")
        ]
    if literal.is_template:
        return []
    if minor >= PEP_701:
        return [_too_deep(field) for field, depth in fields(literal.parts) if depth >= _SPEC_SINCE]
    refused = refusal(text, literal.start, literal.prefix, literal.quote, literal.end)
    if refused is None:
        return [Violation(Code.BG205, inner.start, inner.end) for inner in _inner(literal) if not inner.is_template]
    violations = sorted(
        set(_ViolationFinder(text).literal(literal, ())),
        key=lambda violation: (violation.start, violation.end, violation.code),
    )
    return violations or [Violation(refused.code or Code.BG201, refused.at, refused.at + 1)]


def fields(parts: tuple[LiteralText | ReplacementField, ...], depth: int = 0) -> Iterator[tuple[ReplacementField, int]]:
    """Every field at any depth, with its depth in format specs."""
    for part in parts:
        if isinstance(part, ReplacementField):
            yield part, depth
            yield from fields(part.spec or (), depth + 1)
            for token in part.tokens:
                if isinstance(token, FString):
                    yield from fields(token.parts)


def _inner(literal: FString) -> Iterator[FString]:
    for field, _depth in fields(literal.parts):
        for token in field.tokens:
            if isinstance(token, FString):
                yield token


def _too_deep(field: ReplacementField) -> Violation:
    return Violation(Code.BG206, field.start, field.end, "a format spec in a format spec")


class _ViolationFinder:
    """Goes through one refused f-string; `around` are the quotes of the f-strings around a place."""

    def __init__(self, text: str) -> None:
        self._text = text

    def literal(self, literal: FString, around: tuple[str, ...]) -> Iterator[Violation]:
        for part in literal.parts:
            if isinstance(part, ReplacementField):
                yield from self._field(part, literal, around, 0)
            elif around:
                yield from self._backslash(part)

    def _field(
        self, field: ReplacementField, owner: FString, around: tuple[str, ...], depth: int
    ) -> Iterator[Violation]:
        if depth >= _SPEC_BEFORE:
            yield _too_deep(field)
        here = (*around, owner.quote)
        if self._breaks(field, owner, around):
            yield Violation(Code.BG204, field.start, field.end)
        if field.conversion is not None and field.tail > field.conversion + 1:
            yield Violation(Code.BG207, field.conversion + 1, field.tail)
        for token in field.tokens:
            yield from self._token(token, here)
        for part in field.spec or ():
            if isinstance(part, ReplacementField):
                yield from self._field(part, owner, around, depth + 1)
            elif around:
                yield from self._backslash(part)

    def _token(self, token: PlainString | FString | Trivia, here: tuple[str, ...]) -> Iterator[Violation]:
        if isinstance(token, Trivia):
            if token.kind == "comment":
                yield Violation(Code.BG203, token.start, token.end)
            elif token.kind == "continuation":
                yield Violation(Code.BG202, token.start, token.start + 1)
            return
        reused = next((quote for quote in dict.fromkeys(here) if self._holds(token, quote)), None)
        if reused is not None:
            yield Violation(Code.BG201, token.start, token.end, reused)
        if isinstance(token, FString):
            yield from self.literal(token, here)
        else:
            yield from self._backslash(token)

    def _holds(self, token: PlainString | FString, quote: str) -> bool:
        """Whether a literal's own quotes or text would end the f-string with that quote around it."""
        if quote in token.quote:
            return True
        if isinstance(token, PlainString):
            return quote in _PAIR.sub("", self._text[token.start : token.end])
        return any(quote in _PAIR.sub("", self._text[part.start : part.end]) for part in _texts(token.parts))

    def _backslash(self, literal: PlainString | LiteralText) -> Iterator[Violation]:
        if "\\" in self._text[literal.start : literal.end]:
            yield Violation(Code.BG202, literal.start, literal.end)

    def _breaks(self, field: ReplacementField, owner: FString, around: tuple[str, ...]) -> bool:
        """Whether a line ends in a field of a single-quoted f-string: in this one, not in those of its format spec."""
        if len(owner.quote) > 1 or any(len(quote) == 1 for quote in around):
            return False
        inside, at = "", field.start
        for part in field.spec or ():
            if isinstance(part, ReplacementField):
                inside += self._text[at : part.start]
                at = part.end
        # behind a backslash a line goes on, for a tokenizer that knows no fields
        inside = _PAIR.sub("", inside + self._text[at : field.end])
        return "\n" in inside or "\r" in inside


def _texts(parts: tuple[LiteralText | ReplacementField, ...]) -> Iterator[LiteralText]:
    """The literal text of an f-string, that of its format specs included."""
    for part in parts:
        if isinstance(part, LiteralText):
            yield part
        else:
            yield from _texts(part.spec or ())
