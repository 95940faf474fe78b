"""The smallest rewrite of an f-string that every Python accepts and that means the same. Pure.

Each way to write a literal has a cost, and the cheapest one that is legal wins: other quotes inside, other quotes
outside, one piece of text merged into another, a constant bound to a name before the statement. Nothing that is
evaluated ever moves. What comes out is read once more by `legacy.refusal` before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from buildguard.fstrings import escape
from buildguard.fstrings.disagreements import Disagreement
from buildguard.fstrings.escape import QuoteContext, UnencodableError
from buildguard.fstrings.parser import FString, LiteralText, PlainString, ReplacementField, Trivia
from buildguard.fstrings.source_piece import (
    BREAK,
    COMMENT,
    SourcePiece,
    cheapest,
    ends_in_string,
    join_lines,
    join_pieces,
    separate_brace,
    with_spaces,
)
from buildguard.fstrings.tokens import chains

_QUOTES = ('"', "'", '"""', "'''")
# What a change costs: the cheapest legal rewrite wins, and one that adds a statement comes last.
_INNER = 1  # other quotes around a string in a field
_INNER_SIZE = 2  # three quotes there for one, or one for three
_JOIN = 10  # a line joined with the next
_SPELL = 30  # the words of a `=` field as text
_MERGE_TEXT = 40  # a field that is plain text
_OUTER = 50  # other quotes around it all
_OUTER_TRIPLE = 60
_MERGE = 70  # a nested f-string in the text around it
_WRAP = 70  # a format spec in a format spec as an f-string
_LIFT = 100  # a constant bound to a name
_DEEPEST_SPEC = 2
# In the text of a `=` field: no rewrite prints what every release prints.
_PRINTED_DIFFERENTLY = (
    ("\\", Disagreement.BACKSLASH_IN_TEXT),
    ("#", Disagreement.HASH_IN_TEXT),
    ("!=", Disagreement.NOT_EQUAL_IN_TEXT),
)


class Rewriter:
    """Rewrites the f-strings of one source; `name_for` gives a constant (its source text) a name, for want of a better one the second."""

    def __init__(self, text: str, name_for: Callable[[str, str], str]) -> None:
        self._text = text
        self._name_for = name_for
        self._known: dict[tuple[object, ...], SourcePiece | UnencodableError] = {}

    def candidates(self, literal: FString) -> Iterator[SourcePiece]:
        """The ways to write an outermost f-string, cheapest first; raises UnencodableError without one."""
        accepted, reasons = [], []
        for quote in _outer_quotes(literal.quote):
            try:
                piece = self._fstring(literal, quote, ())
            except UnencodableError as error:
                reasons.append(error)
                continue
            if quote == literal.quote and piece.cost <= _OUTER:
                yield piece  # no other quotes cost less
                continue
            more = 0 if quote == literal.quote else _OUTER if len(quote) == 1 else _OUTER_TRIPLE
            accepted.append(piece._replace(cost=piece.cost + more))
        yield from sorted(accepted, key=lambda candidate: candidate.cost)
        if not accepted and reasons:
            raise reasons[0]

    # -------------------------------------------------------------------------------- strings

    def _fstring(self, literal: FString, quote: str, around: tuple[str, ...]) -> SourcePiece:
        return self._once(("f", literal.start, quote, around), lambda: self._new_fstring(literal, quote, around))

    def _new_fstring(self, literal: FString, quote: str, around: tuple[str, ...]) -> SourcePiece:
        place = QuoteContext(quote, literal.raw, around)
        place.check_quote()
        body = self._body(literal.parts, place, 0, literal.raw)
        text = escape.protect_closing_quote(body.text, place)
        return body._replace(text=literal.prefix + quote + text + quote)

    def _body(
        self, parts: Iterable[LiteralText | ReplacementField], place: QuoteContext, depth: int, raw: bool, cost: int = 0
    ) -> SourcePiece:
        """Literal text and fields that were written for `raw` or not, at a place; `depth` is that of format specs."""
        parts = list(parts)
        if depth:
            self._check_agreed(parts)
        pieces = [self._part(part, place, depth, raw) for part in parts]
        for at in range(1, len(pieces)):
            if escape.swallows_digit(pieces[at - 1].text, pieces[at].text):
                own = at if isinstance(parts[at], ReplacementField) else at - 1
                pieces[own] = self._unmerged(parts[own], place, depth, raw)
        return join_pieces(pieces, cost)

    def _unmerged(
        self, part: LiteralText | ReplacementField, place: QuoteContext, depth: int, raw: bool
    ) -> SourcePiece:
        if isinstance(part, ReplacementField):
            return self._as_field(part, place, depth, raw)
        raise UnencodableError("a digit would join the octal escape before it")

    def _check_agreed(self, spec: list[LiteralText | ReplacementField]) -> None:
        """Raise UnencodableError for a format spec that not all releases from 3.12 on read alike."""
        for left, right in pairwise(spec):
            if isinstance(left, ReplacementField) and isinstance(right, ReplacementField) and right.equal is not None:
                raise UnencodableError(Disagreement.TEXT_IN_SPEC.reason)
            if "{{" in self._text[right.start : right.end if isinstance(right, LiteralText) else right.start + 2]:
                raise UnencodableError(Disagreement.BRACES_IN_SPEC.reason)

    def _part(self, part: LiteralText | ReplacementField, place: QuoteContext, depth: int, raw: bool) -> SourcePiece:
        if isinstance(part, ReplacementField):
            return self._field(part, place, depth, raw)
        text = self._text[part.start : part.end]
        if raw and not place.raw and depth and "\\" in text:
            raise UnencodableError(Disagreement.BACKSLASH_IN_RAW_SPEC.reason)
        return self._text_piece(text, place, raw=raw, in_spec=depth > 0)

    def _text_piece(self, text: str, place: QuoteContext, *, raw: bool, in_spec: bool) -> SourcePiece:
        """Literal text of an f-string, as it stands in the source, at another place."""
        try:
            return SourcePiece(escape.text(text, place, raw=raw, in_spec=in_spec))
        except UnencodableError:
            return self._lifted_text(text, raw=raw, in_spec=in_spec)

    def _lifted_text(self, text: str, *, raw: bool, in_spec: bool) -> SourcePiece:
        if raw and in_spec and "\\" in text:
            raise UnencodableError(Disagreement.BACKSLASH_IN_RAW_SPEC.reason)
        constant = escape.as_constant(text, raw=raw, in_spec=in_spec)
        name = self._name_for(constant, "_text")
        return SourcePiece(f"{{{name}}}", _LIFT, ((name, constant),))

    def _string(self, token: PlainString | FString, here: tuple[str, ...]) -> SourcePiece:
        """A string inside of a field, in the quotes that cost least."""
        if isinstance(token, FString) and token.is_template:
            raise UnencodableError("a t-string is 3.14's, and no older Python has it")
        return cheapest(partial(self._in_quotes, token, quote, here) for quote in _inner_quotes(token.quote))

    def _in_quotes(self, token: PlainString | FString, quote: str, here: tuple[str, ...]) -> SourcePiece:
        cost = 0 if quote == token.quote else _INNER if len(quote) == len(token.quote) else _INNER_SIZE
        if isinstance(token, FString):
            piece = self._fstring(token, quote, here)
            return piece._replace(cost=piece.cost + cost)
        place = QuoteContext(quote, token.raw, here)
        place.check_quote()
        return SourcePiece(token.prefix + quote + escape.plain(self._text[token.body], place) + quote, cost)

    def _lifted(self, source: str, behind: int) -> SourcePiece:
        """A constant by its name; `behind` is where the literals that it stands for end."""
        name = self._name_for(source, "_separator" if self._text.startswith(".join(", behind) else "_text")
        return SourcePiece(name, _LIFT, ((name, source),))

    # -------------------------------------------------------------------------------- fields

    def _field(self, field: ReplacementField, place: QuoteContext, depth: int, raw: bool) -> SourcePiece:
        key = ("field", field.start, place, depth)
        return self._once(key, lambda: cheapest(self._ways(field, place, depth, raw)))

    def _ways(
        self, field: ReplacementField, place: QuoteContext, depth: int, raw: bool
    ) -> list[Callable[[], SourcePiece]]:
        ways: list[Callable[[], SourcePiece]] = []
        if depth == _DEEPEST_SPEC - 1 and any(isinstance(part, ReplacementField) for part in field.spec or ()):
            ways += [partial(self._wrapped, field, quote, place, raw) for quote in _QUOTES]
        else:
            ways.append(lambda: self._as_field(field, place, depth, raw))
        sole = self._sole(field)
        if sole is not None and field.equal is None and field.conversion is None and field.spec is None:
            ways.append(lambda: self._merged(sole, field, place, depth))
        return ways

    def _wrapped(self, field: ReplacementField, quote: str, place: QuoteContext, raw: bool) -> SourcePiece:
        """A format spec in a format spec, as an f-string of its own."""
        inner = QuoteContext(quote, raw, place.here)
        inner.check_quote()
        piece = self._field(field, inner, 0, raw)
        prefix = "rf" if raw else "f"
        return piece._replace(text=f"{{{prefix}{quote}{piece.text}{quote}}}", cost=piece.cost + _WRAP)

    def _merged(
        self, token: PlainString | FString, field: ReplacementField, place: QuoteContext, depth: int
    ) -> SourcePiece:
        """What a field without conversion and spec holds, merged into the text around it."""
        comments = self._comments(field.tokens)
        if isinstance(token, PlainString):
            text = escape.double_braces(self._text[token.body], raw=token.raw, in_spec=depth > 0)
            text = escape.text(text, place, raw=token.raw, in_spec=depth > 0)
            if depth and place.raw and "\\" in text:
                raise UnencodableError(Disagreement.BACKSLASH_IN_RAW_SPEC.reason)
            return SourcePiece(text, _MERGE_TEXT, (), comments)
        if depth:
            self._check_spec(token, place)
        piece = self._body(token.parts, place, depth, token.raw, _MERGE)
        return piece._replace(comments=(*comments, *piece.comments))

    def _check_spec(self, token: FString, place: QuoteContext) -> None:
        """Raise UnencodableError for what the text of a format spec cannot hold, or Pythons do not agree on there."""
        texts = (self._text[part.start : part.end] for part in token.parts if isinstance(part, LiteralText))
        text = "\0".join(texts)  # what stands in two of them does not touch
        if "{{" in text or "}}" in text:
            raise UnencodableError("a format spec has no way to write a brace")
        if place.raw and "\\" in text:
            raise UnencodableError(Disagreement.BACKSLASH_IN_RAW_SPEC.reason)
        if any(isinstance(part, ReplacementField) and part.equal is not None for part in token.parts):
            raise UnencodableError(Disagreement.TEXT_IN_SPEC.reason)

    def _as_field(self, field: ReplacementField, place: QuoteContext, depth: int, raw: bool) -> SourcePiece:
        here = place.here
        code = self._code(field, here)
        head, tail = SourcePiece(""), ""
        if field.equal is not None:
            words = self._text[field.start + 1 : field.equal]
            if code.text == self._text[field.start + 1 : field.code_end] and self._fits(field, field.equal, here):
                tail = words[field.code_end - field.start - 1 :]
            else:
                head = self._spelled(self._without_comments(field, field.equal), place, depth, raw)
                code = code._replace(text=code.text.rstrip(" \t\f\r\n"))
                tail = "" if field.conversion is not None or field.spec is not None else "!r"
        if field.conversion is not None:
            tail += "!" + self._text[field.conversion]
        pieces = [head, SourcePiece("{"), code._replace(text=separate_brace(code.text)), SourcePiece(tail)]
        if field.spec is not None:
            pieces.append(SourcePiece(":"))
            pieces.append(self._body(field.spec, place, depth + 1, raw))
        pieces.append(SourcePiece("}", 0, (), self._comments(field.tokens, behind=field.code_end)))
        return join_pieces(pieces)

    def _fits(self, field: ReplacementField, equal: int, here: tuple[str, ...]) -> bool:
        """Whether the white space behind the `=` may stay as it is."""
        behind = [token for token in field.tokens if field.code_end <= token.start < equal]
        return all(token.kind == "newline" for token in behind if isinstance(token, Trivia)) and (
            not behind or _all_triple(here)
        )

    def _spelled(self, words: str, place: QuoteContext, depth: int, raw: bool) -> SourcePiece:
        """The text that a `=` field prints, as literal text."""
        if depth:
            raise UnencodableError(Disagreement.TEXT_IN_SPEC.reason)
        for part, disagreement in _PRINTED_DIFFERENTLY:
            if part in words:
                raise UnencodableError(disagreement.reason)
        piece = self._text_piece(escape.double_braces(words, raw=raw, in_spec=False), place, raw=raw, in_spec=False)
        return piece._replace(cost=piece.cost + _SPELL)

    def _without_comments(self, field: ReplacementField, equal: int) -> str:
        """The source of a field up to its `=`, without the comments."""
        text, at = "", field.start + 1
        for comment in [token for token in field.tokens if isinstance(token, Trivia) and token.kind == "comment"]:
            if comment.end <= equal:
                text += self._text[at : comment.start]
                at = comment.end
                if ends_in_string(text):
                    raise UnencodableError(
                        "Python versions disagree on which comments belong to the text of a `=` field"
                    )
        return text + self._text[at:equal]

    def _comments(
        self, tokens: Iterable[PlainString | FString | Trivia], behind: int = 0
    ) -> tuple[tuple[int, str], ...]:
        return tuple(
            (token.start, self._text[token.start : token.end])
            for token in tokens
            if isinstance(token, Trivia) and token.kind == "comment" and token.start >= behind
        )

    def _sole(self, field: ReplacementField) -> PlainString | FString | None:
        """The literal that is all of a field's expression, where there is one that formats as itself."""
        strings = [token for token in field.tokens if not isinstance(token, Trivia)]
        if len(strings) != 1 or not _formats_as_itself(strings[0]):
            return None
        before = self._bare_code(field, field.start + 1, strings[0].start)
        after = self._bare_code(field, strings[0].end, field.code_end)
        return strings[0] if set(before) <= {"("} and after == ")" * len(before) else None

    def _bare_code(self, field: ReplacementField, start: int, end: int) -> str:
        """A part of a field's code without white space, comments and line breaks."""
        pieces, at = [], start
        for token in field.tokens:
            if isinstance(token, Trivia) and start <= token.start < end:
                pieces.append(self._text[at : token.start])
                at = token.end
        return "".join("".join([*pieces, self._text[at:end]]).split())

    # -------------------------------------------------------------------------------- code

    def _code(self, field: ReplacementField, here: tuple[str, ...]) -> SourcePiece:
        """The expression of a field: its strings in quotes that fit, its comments gone, its lines joined."""
        pieces: list[SourcePiece] = []
        at, lines = field.start + 1, _all_triple(here)
        for chain in chains(self._text, [token for token in field.tokens if token.start < field.code_end]):
            pieces.append(SourcePiece(self._text[at : chain[0].start]))
            at = chain[-1].end
            if isinstance(chain[0], Trivia):
                pieces.append(self._trivia(chain[0], lines=lines))
            else:
                pieces.append(self._chain(chain, here, lines=lines))
        pieces.append(SourcePiece(self._text[at : field.code_end]))
        for index in range(1, len(pieces) - 1):
            if pieces[index].lifted:
                pieces[index] = with_spaces(pieces[index], pieces[index - 1].text, pieces[index + 1].text)
        piece = join_pieces(pieces)
        return piece._replace(text=join_lines(piece.text))

    def _trivia(self, trivia: Trivia, *, lines: bool) -> SourcePiece:
        source = self._text[trivia.start : trivia.end]
        if trivia.kind == "comment":
            return SourcePiece(COMMENT, 0, (), ((trivia.start, source),))
        return SourcePiece(source.lstrip("\\")) if lines else SourcePiece(BREAK, _JOIN)

    def _chain(
        self, chain: Sequence[PlainString | FString | Trivia], here: tuple[str, ...], *, lines: bool
    ) -> SourcePiece:
        """Strings side by side, which are one constant or one f-string."""
        strings = [token for token in chain if not isinstance(token, Trivia)]
        constant = all(isinstance(token, PlainString) for token in strings)
        ways: list[Callable[[], SourcePiece]] = [lambda: self._side_by_side(chain, here, lines=lines, alone=constant)]
        if constant:
            source = " ".join(self._text[token.start : token.end] for token in strings)
            ways.append(lambda: self._lifted(source, chain[-1].end)._replace(comments=self._comments(chain)))
        return cheapest(ways)

    def _side_by_side(
        self, chain: Sequence[PlainString | FString | Trivia], here: tuple[str, ...], *, lines: bool, alone: bool
    ) -> SourcePiece:
        pieces: list[SourcePiece] = []
        at = chain[0].start
        for token in chain:
            # two literals that touch could become the three quotes of one
            touching = at == token.start > chain[0].start and not isinstance(token, Trivia)
            pieces.append(SourcePiece(" " if touching else self._text[at : token.start]))
            at = token.end
            if isinstance(token, Trivia):
                pieces.append(self._trivia(token, lines=lines))
            elif alone or isinstance(token, FString):
                pieces.append(self._string(token, here))
            else:
                pieces.append(self._beside_fstring(token, here))
        return join_pieces(pieces)

    def _beside_fstring(self, token: PlainString, here: tuple[str, ...]) -> SourcePiece:
        """A plain string beside an f-string: where it must be lifted, an f-string holds its name."""
        return cheapest([lambda: self._string(token, here), lambda: self._lifted_fstring(token, here)])

    def _lifted_fstring(self, token: PlainString, here: tuple[str, ...]) -> SourcePiece:
        quote = next(
            (
                candidate
                for candidate in _QUOTES
                if not QuoteContext(candidate, raw=False, around=here).conflicts(candidate)
            ),
            None,
        )
        if quote is None:
            raise UnencodableError("every kind of quotes is taken by the f-strings around it")
        lifted = self._lifted(self._text[token.start : token.end], token.end)
        return lifted._replace(text=f"f{quote}{{{lifted.text}}}{quote}")

    # -------------------------------------------------------------------------------- cached

    def _once(self, key: tuple[object, ...], make: Callable[[], SourcePiece]) -> SourcePiece:
        known = self._known.get(key)
        if known is None:
            try:
                known = make()
            except UnencodableError as error:
                known = error
            self._known[key] = known
        if isinstance(known, UnencodableError):
            raise known
        return known


def _formats_as_itself(token: PlainString | FString) -> bool:
    """Whether a field that holds just this literal prints its text: bytes and templates do not."""
    if isinstance(token, FString):
        return not token.is_template
    return "b" not in token.prefix.lower()


def _outer_quotes(quote: str) -> list[str]:
    """The quotes that an outermost f-string may get, its own first; lines in it keep it triple-quoted."""
    return [quote, *(candidate for candidate in _QUOTES if candidate != quote and len(candidate) >= len(quote))]


def _inner_quotes(quote: str) -> list[str]:
    return [
        quote,
        *sorted(
            (candidate for candidate in _QUOTES if candidate != quote),
            key=lambda candidate: len(candidate) != len(quote),
        ),
    ]


def _all_triple(quotes: tuple[str, ...]) -> bool:
    return all(len(quote) > 1 for quote in quotes)
