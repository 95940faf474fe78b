"""The smallest rewrite of an f-string that every Python accepts and that means the same. Pure.

Each way to write a literal has a cost, and the cheapest one that is legal wins: other quotes inside, other quotes
outside, one piece of text merged into another, a constant bound to a name before the statement. Nothing that is
evaluated ever moves. What comes out is read once more by `legacy.refusal` before anybody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from buildguard.fstrings import escape
from buildguard.fstrings.escape import CannotError, Place
from buildguard.fstrings.parser import Field, Nested, Plain, Text, Trivia
from buildguard.fstrings.tokens import chains

_QUOTES = ('"', "'", '"""', "'''")
_WORD = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]")
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
_RAW_SPEC = "Pythons do not agree on a backslash in the format spec of a raw f-string"
_SHOWN_IN_SPEC = "Pythons do not agree on what `=` shows in a format spec"
# 3.12 and 3.13.0 decode a backslash in the text of a `=` field, cut it at # and != in a string, and drop a comment of a
# nested f-string; 3.13.2 and later print the source. No rewrite prints both, and no single witness shows the difference.
_PRINTED_DIFFERENTLY = ("\\", "#", "!=")
_PRINTED_REASON = "Python versions print the text of a `=` field differently if it contains a backslash, # or !="
_COMMENT, _BREAK = "\ud800", "\ud801"  # stand-ins for what is left out of code: no source decodes to them
_COMMENT_LINE = re.compile(rf"(\r\n|[\r\n])[ \t\f]*{_COMMENT}(?=\r\n|[\r\n])")
_COMMENT_END = re.compile(rf"[ \t\f]*{_COMMENT}")
_BREAKS = re.compile(rf"[ \t\f{_COMMENT}{_BREAK}]*{_BREAK}[ \t\f{_COMMENT}{_BREAK}]*")


class Piece(NamedTuple):
    """A piece of new source, what it costs, the constants that it needs by name, and the comments that it lost."""

    text: str
    cost: int = 0
    lifted: tuple[tuple[str, str], ...] = ()
    comments: tuple[tuple[int, str], ...] = ()


def joined(pieces: Iterable[Piece], cost: int = 0) -> Piece:
    """Several pieces as one."""
    pieces = list(pieces)
    return Piece(
        "".join(one.text for one in pieces),
        cost + sum(one.cost for one in pieces),
        tuple(dict.fromkeys(lift for one in pieces for lift in one.lifted)),
        tuple(comment for one in pieces for comment in one.comments),
    )


class Rewriter:
    """Rewrites the f-strings of one source; `name_for` gives a constant (its source text) a name, for want of a better one the second."""

    def __init__(self, text: str, name_for: Callable[[str, str], str]) -> None:
        self._text = text
        self._name_for = name_for
        self._known: dict[tuple[object, ...], Piece | CannotError] = {}

    def candidates(self, literal: Nested) -> Iterator[Piece]:
        """The ways to write an outermost f-string, cheapest first; raises CannotError where there is none."""
        found, reasons = [], []
        for quote in _outer_quotes(literal.quote):
            try:
                piece = self._fstring(literal, quote, ())
            except CannotError as error:
                reasons.append(error)
                continue
            if quote == literal.quote and piece.cost <= _OUTER:
                yield piece  # no other quotes cost less
                continue
            more = 0 if quote == literal.quote else _OUTER if len(quote) == 1 else _OUTER_TRIPLE
            found.append(piece._replace(cost=piece.cost + more))
        yield from sorted(found, key=lambda one: one.cost)
        if not found and reasons:
            raise reasons[0]

    # -------------------------------------------------------------------------------- strings

    def _fstring(self, literal: Nested, quote: str, around: tuple[str, ...]) -> Piece:
        return self._once(("f", literal.start, quote, around), lambda: self._new_fstring(literal, quote, around))

    def _new_fstring(self, literal: Nested, quote: str, around: tuple[str, ...]) -> Piece:
        place = Place(quote, literal.raw, around)
        place.check_quote()
        body = self._body(literal.parts, place, 0, literal.raw)
        text = escape.closed(body.text, place)
        return body._replace(text=literal.prefix + quote + text + quote)

    def _body(self, parts: Iterable[Text | Field], place: Place, depth: int, raw: bool, cost: int = 0) -> Piece:
        """Literal text and fields that were written for `raw` or not, at a place; `depth` is that of format specs."""
        parts = list(parts)
        if depth:
            self._check_agreed(parts)
        pieces = [self._part(part, place, depth, raw) for part in parts]
        for at in range(1, len(pieces)):
            if escape.joins(pieces[at - 1].text, pieces[at].text):
                own = at if isinstance(parts[at], Field) else at - 1
                pieces[own] = self._unmerged(parts[own], place, depth, raw)
        return joined(pieces, cost)

    def _unmerged(self, part: Text | Field, place: Place, depth: int, raw: bool) -> Piece:
        if isinstance(part, Field):
            return self._as_field(part, place, depth, raw)
        raise CannotError("a digit would join the octal escape before it")

    def _check_agreed(self, spec: list[Text | Field]) -> None:
        """Raise CannotError for a format spec that not all releases from 3.12 on read alike."""
        for left, right in pairwise(spec):
            if isinstance(left, Field) and isinstance(right, Field) and right.equal >= 0:
                raise CannotError(_SHOWN_IN_SPEC)
            if "{{" in self._text[right.start : right.end if isinstance(right, Text) else right.start + 2]:
                raise CannotError("Pythons do not agree on doubled braces behind a field of a format spec")

    def _part(self, part: Text | Field, place: Place, depth: int, raw: bool) -> Piece:
        if isinstance(part, Field):
            return self._field(part, place, depth, raw)
        text = self._text[part.start : part.end]
        if raw and not place.raw and depth and "\\" in text:
            raise CannotError(_RAW_SPEC)
        return self._text_piece(text, place, raw=raw, in_spec=depth > 0)

    def _text_piece(self, text: str, place: Place, *, raw: bool, in_spec: bool) -> Piece:
        """Literal text of an f-string, as it stands in the source, at another place."""
        try:
            return Piece(escape.text(text, place, raw=raw, in_spec=in_spec))
        except CannotError:
            return self._lifted_text(text, raw=raw, in_spec=in_spec)

    def _lifted_text(self, text: str, *, raw: bool, in_spec: bool) -> Piece:
        if raw and in_spec and "\\" in text:
            raise CannotError(_RAW_SPEC)
        constant = escape.as_constant(text, raw=raw, in_spec=in_spec)
        name = self._name_for(constant, "_text")
        return Piece(f"{{{name}}}", _LIFT, ((name, constant),))

    def _string(self, token: Plain | Nested, here: tuple[str, ...]) -> Piece:
        """A string inside of a field, in the quotes that cost least."""
        if isinstance(token, Nested) and token.is_template:
            raise CannotError("a t-string is 3.14's, and no older Python has it")
        return self._cheapest(partial(self._in_quotes, token, quote, here) for quote in _inner_quotes(token.quote))

    def _in_quotes(self, token: Plain | Nested, quote: str, here: tuple[str, ...]) -> Piece:
        cost = 0 if quote == token.quote else _INNER if len(quote) == len(token.quote) else _INNER_SIZE
        if isinstance(token, Nested):
            piece = self._fstring(token, quote, here)
            return piece._replace(cost=piece.cost + cost)
        place = Place(quote, token.raw, here)
        place.check_quote()
        return Piece(token.prefix + quote + escape.plain(self._text[token.body], place) + quote, cost)

    def _lifted(self, source: str, behind: int) -> Piece:
        """A constant by its name; `behind` is where the literals that it stands for end."""
        name = self._name_for(source, "_separator" if self._text.startswith(".join(", behind) else "_text")
        return Piece(name, _LIFT, ((name, source),))

    # -------------------------------------------------------------------------------- fields

    def _field(self, field: Field, place: Place, depth: int, raw: bool) -> Piece:
        key = ("field", field.start, place, depth)
        return self._once(key, lambda: self._cheapest(self._ways(field, place, depth, raw)))

    def _ways(self, field: Field, place: Place, depth: int, raw: bool) -> list[Callable[[], Piece]]:
        ways: list[Callable[[], Piece]] = []
        if depth == _DEEPEST_SPEC - 1 and any(isinstance(part, Field) for part in field.spec or ()):
            ways += [partial(self._wrapped, field, quote, place, raw) for quote in _QUOTES]
        else:
            ways.append(lambda: self._as_field(field, place, depth, raw))
        sole = self._sole(field)
        if sole is not None and field.equal < 0 and field.conversion < 0 and field.spec is None:
            ways.append(lambda: self._merged(sole, field, place, depth))
        return ways

    def _wrapped(self, field: Field, quote: str, place: Place, raw: bool) -> Piece:
        """A format spec in a format spec, as an f-string of its own."""
        inner = Place(quote, raw, place.here)
        inner.check_quote()
        piece = self._field(field, inner, 0, raw)
        prefix = "rf" if raw else "f"
        return piece._replace(text=f"{{{prefix}{quote}{piece.text}{quote}}}", cost=piece.cost + _WRAP)

    def _merged(self, token: Plain | Nested, field: Field, place: Place, depth: int) -> Piece:
        """What a field without conversion and spec holds, merged into the text around it."""
        comments = self._comments(field.tokens)
        if isinstance(token, Plain):
            text = escape.braced(self._text[token.body], raw=token.raw, in_spec=depth > 0)
            text = escape.text(text, place, raw=token.raw, in_spec=depth > 0)
            if depth and place.raw and "\\" in text:
                raise CannotError(_RAW_SPEC)
            return Piece(text, _MERGE_TEXT, (), comments)
        if depth:
            self._check_spec(token, place)
        piece = self._body(token.parts, place, depth, token.raw, _MERGE)
        return piece._replace(comments=(*comments, *piece.comments))

    def _check_spec(self, token: Nested, place: Place) -> None:
        """Raise CannotError for what the text of a format spec cannot hold, or Pythons do not agree on there."""
        texts = [self._text[part.start : part.end] for part in token.parts if isinstance(part, Text)]
        if any("{{" in text or "}}" in text for text in texts):
            raise CannotError("a format spec has no way to write a brace")
        if place.raw and any("\\" in text for text in texts):
            raise CannotError(_RAW_SPEC)
        if any(isinstance(part, Field) and part.equal >= 0 for part in token.parts):
            raise CannotError(_SHOWN_IN_SPEC)

    def _as_field(self, field: Field, place: Place, depth: int, raw: bool) -> Piece:
        here = place.here
        code = self._code(field, here)
        head, tail = Piece(""), ""
        if field.equal >= 0:
            words = self._text[field.start + 1 : field.equal]
            if code.text == self._text[field.start + 1 : field.code_end] and self._fits(field, here):
                tail = words[field.code_end - field.start - 1 :]
            else:
                head = self._spelled(field, place, depth, raw)
                code = code._replace(text=code.text.rstrip(" \t\f\r\n"))
                tail = "" if field.conversion >= 0 or field.spec is not None else "!r"
        if field.conversion >= 0:
            tail += "!" + self._text[field.conversion]
        pieces = [head, Piece("{"), code._replace(text=_apart(code.text)), Piece(tail)]
        if field.spec is not None:
            pieces.append(Piece(":"))
            pieces.append(self._body(field.spec, place, depth + 1, raw))
        pieces.append(Piece("}", 0, (), self._comments(field.tokens, behind=field.code_end)))
        return joined(pieces)

    def _fits(self, field: Field, here: tuple[str, ...]) -> bool:
        """Whether the white space behind the `=` may stay as it is."""
        behind = [one for one in field.tokens if field.code_end <= one.start < field.equal]
        return all(one.kind == "newline" for one in behind if isinstance(one, Trivia)) and (
            not behind or _all_triple(here)
        )

    def _spelled(self, field: Field, place: Place, depth: int, raw: bool) -> Piece:
        """The text that a `=` field prints, as literal text: its source without the comments."""
        words = self._without_comments(field)
        if depth:
            raise CannotError(_SHOWN_IN_SPEC)
        if any(part in words for part in _PRINTED_DIFFERENTLY):
            raise CannotError(_PRINTED_REASON)
        piece = self._text_piece(escape.braced(words, raw=raw, in_spec=False), place, raw=raw, in_spec=False)
        return piece._replace(cost=piece.cost + _SPELL)

    def _without_comments(self, field: Field) -> str:
        text, at = "", field.start + 1
        for comment in [one for one in field.tokens if isinstance(one, Trivia) and one.kind == "comment"]:
            if comment.end <= field.equal:
                text += self._text[at : comment.start]
                at = comment.end
                if _is_open(text):
                    raise CannotError("Python versions disagree on which comments belong to the text of a `=` field")
        return text + self._text[at : field.equal]

    def _comments(self, tokens: Iterable[Plain | Nested | Trivia], behind: int = 0) -> tuple[tuple[int, str], ...]:
        return tuple(
            (one.start, self._text[one.start : one.end])
            for one in tokens
            if isinstance(one, Trivia) and one.kind == "comment" and one.start >= behind
        )

    def _sole(self, field: Field) -> Plain | Nested | None:
        """The literal that is all of a field's expression, where there is one that formats as itself."""
        strings = [one for one in field.tokens if not isinstance(one, Trivia)]
        if len(strings) != 1 or (isinstance(strings[0], Plain) and "b" in strings[0].prefix.lower()):
            return None
        if isinstance(strings[0], Nested) and strings[0].is_template:
            return None
        rest = [self._text[field.start + 1 : strings[0].start], self._text[strings[0].end : field.code_end]]
        for one in reversed(field.tokens):
            if isinstance(one, Trivia) and one.start < field.code_end:
                side, base = (0, field.start + 1) if one.start < strings[0].start else (1, strings[0].end)
                rest[side] = rest[side][: one.start - base] + rest[side][one.end - base :]
        before, after = ("".join(one.split()) for one in rest)
        return strings[0] if set(before) <= {"("} and after == ")" * len(before) else None

    # -------------------------------------------------------------------------------- code

    def _code(self, field: Field, here: tuple[str, ...]) -> Piece:
        """The expression of a field: its strings in quotes that fit, its comments gone, its lines joined."""
        pieces: list[Piece] = []
        at, lines = field.start + 1, _all_triple(here)
        for chain in chains(self._text, [one for one in field.tokens if one.start < field.code_end]):
            pieces.append(Piece(self._text[at : chain[0].start]))
            at = chain[-1].end
            if isinstance(chain[0], Trivia):
                pieces.append(self._trivia(chain[0], lines=lines))
            else:
                pieces.append(self._chain(chain, here, lines=lines))
        pieces.append(Piece(self._text[at : field.code_end]))
        for index in range(1, len(pieces) - 1):
            if pieces[index].lifted:
                pieces[index] = _spaced(pieces[index], pieces[index - 1].text, pieces[index + 1].text)
        piece = joined(pieces)
        text = _COMMENT_END.sub("", _COMMENT_LINE.sub("", _BREAKS.sub(_join, piece.text)))
        return piece._replace(text=text)

    def _trivia(self, trivia: Trivia, *, lines: bool) -> Piece:
        source = self._text[trivia.start : trivia.end]
        if trivia.kind == "comment":
            return Piece(_COMMENT, 0, (), ((trivia.start, source),))
        return Piece(source.lstrip("\\")) if lines else Piece(_BREAK, _JOIN)

    def _chain(self, chain: Sequence[Plain | Nested | Trivia], here: tuple[str, ...], *, lines: bool) -> Piece:
        """Strings side by side, which are one constant or one f-string."""
        strings = [one for one in chain if not isinstance(one, Trivia)]
        constant = all(isinstance(one, Plain) for one in strings)
        ways: list[Callable[[], Piece]] = [lambda: self._side_by_side(chain, here, lines=lines, alone=constant)]
        if constant:
            source = " ".join(self._text[one.start : one.end] for one in strings)
            ways.append(lambda: self._lifted(source, chain[-1].end)._replace(comments=self._comments(chain)))
        return self._cheapest(ways)

    def _side_by_side(
        self, chain: Sequence[Plain | Nested | Trivia], here: tuple[str, ...], *, lines: bool, alone: bool
    ) -> Piece:
        pieces: list[Piece] = []
        at = chain[0].start
        for one in chain:
            # two literals that touch could become the three quotes of one
            touching = at == one.start > chain[0].start and not isinstance(one, Trivia)
            pieces.append(Piece(" " if touching else self._text[at : one.start]))
            at = one.end
            if isinstance(one, Trivia):
                pieces.append(self._trivia(one, lines=lines))
            elif alone or isinstance(one, Nested):
                pieces.append(self._string(one, here))
            else:
                pieces.append(self._beside_fstring(one, here))
        return joined(pieces)

    def _beside_fstring(self, token: Plain, here: tuple[str, ...]) -> Piece:
        """A plain string beside an f-string: where it must be lifted, an f-string holds its name."""
        return self._cheapest([lambda: self._string(token, here), lambda: self._lifted_fstring(token, here)])

    def _lifted_fstring(self, token: Plain, here: tuple[str, ...]) -> Piece:
        quote = next((one for one in _QUOTES if not Place(one, raw=False, around=here).conflicts(one)), None)
        if quote is None:
            raise CannotError("every kind of quotes is taken by the f-strings around it")
        lifted = self._lifted(self._text[token.start : token.end], token.end)
        return lifted._replace(text=f"f{quote}{{{lifted.text}}}{quote}")

    # -------------------------------------------------------------------------------- choosing

    def _cheapest(self, ways: Iterable[Callable[[], Piece]]) -> Piece:
        best: Piece | None = None
        reason: CannotError | None = None
        for way in ways:
            try:
                piece = way()
            except CannotError as error:
                reason = reason or error
                continue
            if best is None or piece.cost < best.cost:
                best = piece
        if best is None:
            raise reason or CannotError("there is no other way to write it")
        return best

    def _once(self, key: tuple[object, ...], make: Callable[[], Piece]) -> Piece:
        known = self._known.get(key)
        if known is None:
            try:
                known = make()
            except CannotError as error:
                known = error
            self._known[key] = known
        if isinstance(known, CannotError):
            raise known
        return known


def _is_open(code: str) -> bool:
    """Whether 3.13.2 and later believe that code ends in a string: they count quotes singly, `'''it's'''` as seven."""
    quote = ""
    for char in code:
        if char in "'\"":
            quote = "" if char == quote else quote or char
    return bool(quote)


def _outer_quotes(quote: str) -> list[str]:
    """The quotes that an outermost f-string may get, its own first; lines in it keep it triple-quoted."""
    return [quote, *(one for one in _QUOTES if one != quote and len(one) >= len(quote))]


def _inner_quotes(quote: str) -> list[str]:
    return [quote, *sorted((one for one in _QUOTES if one != quote), key=lambda one: len(one) != len(quote))]


def _all_triple(quotes: tuple[str, ...]) -> bool:
    return all(len(quote) > 1 for quote in quotes)


def _spaced(piece: Piece, before: str, after: str) -> Piece:
    """A name in place of a string literal needs white space where the quotes needed none."""
    left = " " if _WORD.match(before[-1:]) and _WORD.match(piece.text) else ""
    right = " " if _WORD.match(after[:1]) and _WORD.match(piece.text[-1:]) else ""
    return piece._replace(text=left + piece.text + right)


def _join(found: re.Match[str]) -> str:
    text = found.string
    if found.start() == 0 or found.end() == len(text) or text[found.start() - 1] in "([{" or text[found.end()] in ")]}":
        return ""
    return " "


def _apart(code: str) -> str:
    """An expression that starts with a brace must not touch the field's own."""
    return f" {code}" if code.startswith("{") else code
