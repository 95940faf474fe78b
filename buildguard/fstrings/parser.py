"""Where f-strings begin and end and what they are made of, by the grammar of PEP 701. Pure.

This reads text, not a syntax tree: libcst loses white space inside of fields and refuses legal literals, and no
parser reads a file that is broken elsewhere. Whatever no Python accepts is skipped here: the compiler tells of it.
Offsets count code points of the decoded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.fstrings.prefilter import next_suspect

DEEPEST = 149  # f-strings within one another; one more is "too many nested f-strings" on 3.12 and later
_PATIENCE = 8  # how often a source may be read again because its f-strings do not end
_DEEPEST_FIELD = 160  # fields within one another, in f-strings or format specs: reading stops before the stack ends
_WORD = r"[A-Za-z0-9_\x80-\U0010ffff]"
OPENING = rf"(?:(?<!{_WORD})(?P<prefix>[fF][rR]?|[rR][fF]|[tT][rR]?|[rR][tT]|[bB][rR]?|[rR][bB]|[uUrR]))?(?P<quote>\"\"\"|'''|[\"'])"
_TOP = lazy_pattern(OPENING)
_CODE = lazy_pattern(rf"\#[^\r\n]*|\\(?:\r\n|[\r\n])|\r\n|[\r\n]|{OPENING}|[\[\](){{}}]|[=!<>]=|[=!:\\]")
_TRIVIA = lazy_pattern(r"[ \t\f]+|(?P<comment>\#[^\r\n]*)|(?P<newline>\r\n|[\r\n])|(?P<continuation>\\(?:\r\n|[\r\n]))")
_CONVERSION = lazy_pattern(rf"[sra](?!{_WORD})")
_NAMED = lazy_pattern(r"\\N\{[^{}\"'\r\n]*\}")
_NEWLINES = "\r\n"
_PAIRS = {")": "(", "]": "[", "}": "{"}
# From behind the opening quote to behind the closing one, as every tokenizer before 3.12 reads any literal.
_ENDS = {
    "'": re.compile(r"[^'\\\r\n]*(?:\\(?:\r\n|[\s\S])[^'\\\r\n]*)*'"),
    '"': re.compile(r'[^"\\\r\n]*(?:\\(?:\r\n|[\s\S])[^"\\\r\n]*)*"'),
    "'''": re.compile(r"[^'\\]*(?:(?:\\[\s\S]|'(?!''))[^'\\]*)*'''"),
    '"""': re.compile(r'[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"""'),
}


class PlainString(NamedTuple):
    """A string or bytes literal without fields."""

    start: int
    prefix: str
    quote: str
    end: int

    @property
    def body(self) -> slice:
        """What is between its quotes."""
        return slice(self.start + len(self.prefix) + len(self.quote), self.end - len(self.quote))

    @property
    def raw(self) -> bool:
        """Whether a backslash in it is one."""
        return is_raw(self.prefix)


class Trivia(NamedTuple):
    """A comment, a newline, or a continuation (backslash and newline) in the code of a field."""

    kind: str
    start: int
    end: int


class LiteralText(NamedTuple):
    """Literal text of an f-string."""

    start: int
    end: int


class ReplacementField(NamedTuple):
    """A replacement field, from its `{` to behind its `}`; offsets that it does not have are -1."""

    start: int
    tokens: tuple[PlainString | FString | Trivia, ...]
    code_end: int  # where the expression and the white space behind it end
    equal: int | None  # behind `=` and the white space that belongs to it
    conversion: int | None  # the letter
    tail: int  # where the white space behind the conversion ends: `:` or `}`
    spec: tuple[LiteralText | ReplacementField, ...] | None
    end: int


class FString(NamedTuple):
    """An f-string or a t-string."""

    start: int
    prefix: str
    quote: str
    parts: tuple[LiteralText | ReplacementField, ...]
    end: int

    @property
    def raw(self) -> bool:
        """Whether a backslash in its literal text is one."""
        return is_raw(self.prefix)

    @property
    def is_template(self) -> bool:
        """Whether it is a t-string (3.14), which is judged by its own version."""
        return "t" in self.prefix.lower()


class OvernestedString(NamedTuple):
    """An f-string that nests more f-strings, or format specs, than any Python takes."""

    start: int
    end: int


class _BrokenError(Exception):
    """No Python accepts this literal."""


class _TooDeepError(Exception):
    """The reading ended at a nesting that no Python takes."""


def find_suspects(text: str) -> Iterator[FString | OvernestedString]:
    """The outermost f-strings and t-strings of a source that need a close look, in order.

    A literal that no Python accepts is left out; behind one that does not end, nothing is read any more.
    """
    at = 0
    reader = LiteralReader(text)
    while (match := _TOP.match(text, next_suspect(text, at))) is not None:
        literal = reader.read(match) if is_field_prefix(match["prefix"]) else None
        if literal is not None:
            yield literal
        end = literal.end if literal is not None else token_end(text, match.end(), match["quote"])
        if end is None:
            return
        at = end


def token_end(text: str, body: int, quote: str) -> int | None:
    """Behind the closing quote of a literal whose body starts at `body`, in any tokenizer that knows no fields."""
    match = _ENDS[quote].match(text, body)
    return match.end() if match else None


def read(text: str) -> FString | None:
    """A text that is one f-string and nothing else."""
    opening = _TOP.match(text)
    literal = LiteralReader(text).read(opening) if opening and is_field_prefix(opening["prefix"]) else None
    return literal if isinstance(literal, FString) and literal.end == len(text) else None


def openings(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """The literals that a tokenizer before 3.12 finds in a range, by their prefix and quote; ends where one does not end."""
    at = start
    while (match := _TOP.search(text, at, end)) is not None:
        yield match
        at = token_end(text, match.end(), match["quote"]) or end


def is_field_prefix(prefix: str | None) -> bool:
    """Whether a literal with that prefix holds replacement fields."""
    return prefix is not None and any(letter in "fFtT" for letter in prefix)


def is_raw(prefix: str) -> bool:
    """Whether a backslash in a literal with that prefix is one."""
    return "r" in prefix.lower()


class _OwnerString(NamedTuple):
    """The f-string whose text is being read, and its depth in f-strings, itself included."""

    quote: str
    raw: bool
    level: int


class LiteralReader:
    """Reads the outermost literals of one text, with patience for just so many that turn out to be broken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._far = self._depth = 0
        # 3.13.0 reads doubled braces behind a field of a format spec as text; other releases do not
        self._doubled = False
        self._wasted = 0

    def read(self, opening: re.Match[str]) -> FString | OvernestedString | None:
        """The f-string or t-string that opens there; None where no Python accepts it, or patience is at its end."""
        if self._wasted > _PATIENCE * (len(self._text) + 10_000):
            return None
        start = opening.start()
        for self._doubled in (False, True):
            self._far, self._depth = start, 0
            try:
                return self._nested(opening, 1)
            except _TooDeepError:
                end = self._text.find("\n", self._far)
                return OvernestedString(start, len(self._text) if end < 0 else end)
            except _BrokenError:
                self._wasted += self._far - start
        return None

    def _nested(self, opening: re.Match[str], level: int) -> FString:
        if level > DEEPEST:
            raise _TooDeepError
        prefix, quote = opening["prefix"], opening["quote"]
        owner = _OwnerString(quote, is_raw(prefix), level)
        parts: list[LiteralText | ReplacementField] = []
        at = opening.end()
        while True:
            text, at = self._text_part(at, owner, in_spec=False)
            if text.end > text.start:
                parts.append(text)
            if self._text.startswith(quote, at):
                return FString(opening.start(), prefix, quote, tuple(parts), at + len(quote))
            field = self._field(at, owner)
            parts.append(field)
            at = field.end

    def _text_part(
        self, start: int, owner: _OwnerString, *, in_spec: bool, doubled: bool = False
    ) -> tuple[LiteralText, int]:
        """Literal text up to the quote, a field, or the end of a spec."""
        text, at = self._text, start
        while True:
            match = _STOPS[owner.quote].search(text, at)
            if match is None:
                raise _BrokenError
            at, char = match.start(), match.group()
            if char == "\\":
                at = self._behind_backslash(at, raw=owner.raw)
            elif char in _NEWLINES or char == owner.quote:
                if in_spec == (char == owner.quote):
                    raise _BrokenError
                return LiteralText(start, at), at
            elif text[at + 1 : at + 2] == char and (not in_spec or (doubled and char == "{")):
                at += 2
            elif char == "}" and not in_spec:
                raise _BrokenError
            else:
                return LiteralText(start, at), at

    def _behind_backslash(self, at: int, *, raw: bool) -> int:
        text = self._text
        if text[at + 1 : at + 2] in {"{", "}"}:
            return at + 1
        named = None if raw else _NAMED.match(text, at)
        if named is not None:
            return named.end()
        return at + (3 if text.startswith("\r\n", at + 1) else 2)

    def _field(self, start: int, owner: _OwnerString) -> ReplacementField:
        self._depth += 1
        if self._depth > _DEEPEST_FIELD:
            raise _TooDeepError
        tokens, at = self._expression(start + 1, owner.level)
        self._refuse_empty(start + 1, at, tokens)
        code_end = at
        equal: int | None = None
        conversion: int | None = None
        if self._text[at] == "=":
            at = equal = self._trivia(at + 1, tokens)
        if self._text[at : at + 1] == "!":
            conversion = at + 1
            if _CONVERSION.match(self._text, conversion) is None:
                raise _BrokenError
            at = self._trivia(conversion + 1, tokens)
        tail = at
        spec = None
        if self._text[at : at + 1] == ":":
            spec, at = self._spec(at + 1, owner, tokens)
        if self._text[at : at + 1] != "}":
            raise _BrokenError
        self._depth -= 1
        return ReplacementField(start, tuple(tokens), code_end, equal, conversion, tail, spec, at + 1)

    def _spec(
        self, at: int, owner: _OwnerString, tokens: list[PlainString | FString | Trivia]
    ) -> tuple[tuple[LiteralText | ReplacementField, ...], int]:
        parts: list[LiteralText | ReplacementField] = []
        while True:
            text, at = self._text_part(at, owner, in_spec=True, doubled=self._doubled and bool(parts))
            if text.end > text.start:
                parts.append(text)
            if self._text[at : at + 1] in {"\r", "\n"}:  # 3.12.0 to 3.13.3: a newline ends the text of the spec
                at = self._trivia(at, tokens)
            if self._text[at : at + 1] != "{":
                return tuple(parts), at
            field = self._field(at, owner)
            parts.append(field)
            at = field.end

    def _expression(self, at: int, level: int) -> tuple[list[PlainString | FString | Trivia], int]:
        """The tokens of an expression that matter here, and where it ends: at `=`, `!`, `:` or `}`."""
        tokens: list[PlainString | FString | Trivia] = []
        brackets: list[str] = []
        while True:
            match = _CODE.search(self._text, at)
            if match is None:
                raise _BrokenError
            start, at, char = match.start(), match.end(), match.group()
            self._far = at
            if match["quote"] is not None:
                tokens.append(self._literal(match, level))
                at = tokens[-1].end
            elif trivia := _TRIVIA.match(self._text, start):
                tokens.append(Trivia(trivia.lastgroup or "", start, at))
            elif not brackets and char in {"=", "!", ":", "}"}:
                return tokens, start
            elif char == "\\":
                raise _BrokenError
            else:
                _track_bracket(brackets, char)

    def _literal(self, opening: re.Match[str], level: int) -> PlainString | FString:
        if is_field_prefix(opening["prefix"]):
            return self._nested(opening, level + 1)
        end = token_end(self._text, opening.end(), opening["quote"])
        if end is None:
            raise _BrokenError
        return PlainString(opening.start(), opening["prefix"] or "", opening["quote"], end)

    def _trivia(self, at: int, tokens: list[PlainString | FString | Trivia]) -> int:
        while match := _TRIVIA.match(self._text, at):
            if match.lastgroup is not None:
                tokens.append(Trivia(match.lastgroup, at, match.end()))
            at = match.end()
        return at

    def _refuse_empty(self, start: int, end: int, tokens: list[PlainString | FString | Trivia]) -> None:
        if any(not isinstance(token, Trivia) for token in tokens):
            return
        at = start
        while at < end and (match := _TRIVIA.match(self._text, at)):
            at = match.end()
        if at >= end:
            raise _BrokenError


def _track_bracket(brackets: list[str], char: str) -> None:
    """Note a bracket that opens, and match one that closes."""
    if char in {"(", "[", "{"}:
        brackets.append(char)
    elif char in _PAIRS and (not brackets or brackets.pop() != _PAIRS[char]):
        raise _BrokenError


_STOPS = {
    "'": re.compile(r"['{}\\\r\n]"),
    '"': re.compile(r'["{}\\\r\n]'),
    "'''": re.compile(r"'''|[{}\\]"),
    '"""': re.compile(r'"""|[{}\\]'),
}
