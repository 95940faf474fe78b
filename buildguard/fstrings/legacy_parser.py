"""What 3.8 to 3.11 make of the text of an f-string: first a token, then its fields. Pure.

Before PEP 701 the tokenizer knew no fields: a literal ended at its first closing quote. A second pass, over the text
between the quotes, found the fields character by character. Both are followed here step by step, so that "accepted"
means accepted (CPython 3.11: Parser/tokenizer.c and Parser/string_parser.c, `fstring_find_literal`,
`fstring_find_expr`). Whether the code in a field is an expression is the compiler's business.
"""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.fstrings.parser import is_field_prefix, is_raw, openings, token_end

_DEEPEST_SPEC = 2
_SPACE = " \t\n\r\f\v"
_REFUSED = {"\\": Code.BG202, "#": Code.BG203}
_COMPARISON = lazy_pattern(r"[!=<>]=|[<>]")
_PAIRS = {")": "(", "]": "[", "}": "{"}
# A field's code up to the next character that means something to the second pass.
_TELLING = lazy_pattern(r"[\\'\"#\[\](){}!:=<>]")


class LegacyRefusal(NamedTuple):
    """Why 3.8 to 3.11 refuse an f-string, and where; `code` is None where every Python does."""

    code: Code | None
    at: int


class _LegacyRefusedError(Exception):
    def __init__(self, code: Code | None, at: int) -> None:
        super().__init__()
        self.refusal = LegacyRefusal(code, at)


def refusal(text: str, start: int, prefix: str, quote: str, end: int) -> LegacyRefusal | None:
    """Why 3.8 to 3.11 refuse the f-string that 3.12 reads from `start` to `end`; None where they accept it."""
    body = start + len(prefix) + len(quote)
    closed = token_end(text, body, quote)
    if closed is None:
        return LegacyRefusal(Code.BG204, body)
    if closed != end:
        return LegacyRefusal(Code.BG201, closed - len(quote))
    try:
        _SecondPass(text, end - len(quote), raw=is_raw(prefix)).literal(body, 0)
    except _LegacyRefusedError as refused:
        return refused.refusal
    return None


class _SecondPass:
    """The second pass over the text of one literal, up to its closing quote at `end`."""

    def __init__(self, text: str, end: int, *, raw: bool) -> None:
        self._text = text
        self._end = end
        self._raw = raw

    def literal(self, at: int, level: int) -> int:
        """Follow literal text and fields; return where it ended, which inside of a format spec is its `}`."""
        text, end = self._text, self._end
        while at < end:
            char = text[at]
            if char == "\\" and not self._raw and at + 1 < end:
                at = self._behind_backslash(at + 1)
                continue
            doubled = text.startswith(char, at + 1, end)
            if char == "{" and not (doubled and level == 0):
                at = self._field(at + 1, level)
            elif char == "}" and level:
                return at
            elif char == "}" and not doubled:
                raise _LegacyRefusedError(None, at)
            else:
                at += 2 if char in "{}" else 1
        return at

    def _behind_backslash(self, at: int) -> int:
        """Behind what a backslash escapes; a brace is not among that, and opens a field or closes one."""
        if self._text[at] == "N":
            return self._named(at + 1)
        return at if self._text[at] in "{}" else at + 1

    def _named(self, at: int) -> int:
        if not self._text.startswith("{", at, self._end):
            return min(at + 1, self._end)
        closed = self._text.find("}", at, self._end)
        return self._end if closed < 0 else closed + 1

    def _field(self, start: int, level: int) -> int:
        if level >= _DEEPEST_SPEC:
            raise _LegacyRefusedError(Code.BG206, start - 1)
        text, end = self._text, self._end
        at = self._expression(start)
        self._code(start, at)
        if text[at : at + 1] == "=":
            at += 1
            while at < end and text[at] in _SPACE:
                at += 1
        if text.startswith("!", at, end):
            at = self._conversion(at)
        if text.startswith(":", at, end):
            at = self.literal(at + 1, level + 1)
        if not text.startswith("}", at, end):
            raise _LegacyRefusedError(Code.BG203 if text.startswith("#", at, end) else None, at)
        return at + 1

    def _conversion(self, at: int) -> int:
        """Behind the conversion that begins at a `!`."""
        if not self._text.startswith(("s", "r", "a"), at + 1, self._end):
            raise _LegacyRefusedError(None, at)
        at += 2
        if at < self._end and self._text[at] not in ":}":
            raise _LegacyRefusedError(Code.BG207, at)
        return at

    def _expression(self, at: int) -> int:
        """Where the expression ends: at `=`, `!`, `:` or `}`."""
        text, end = self._text, self._end
        brackets: list[str] = []
        while match := _TELLING.search(text, at, end):
            at, char = match.start(), match.group()
            if char in _REFUSED:
                raise _LegacyRefusedError(_REFUSED[char], at)
            if char in "'\"":
                at = self._behind_string(at)
                continue
            if char in "([{":
                brackets.append(char)
            elif not brackets and char in "!:}=<>":
                comparison = _COMPARISON.match(text, at, end)
                if comparison is None:
                    return at
                at = comparison.end()
                continue
            elif char in _PAIRS and (not brackets or brackets.pop() != _PAIRS[char]):
                raise _LegacyRefusedError(None, at)
            at += 1
        raise _LegacyRefusedError(None, end)

    def _behind_string(self, start: int) -> int:
        """Behind a string in a field, in which the second pass knows no escapes."""
        text, end = self._text, self._end
        quote = text[start] * (3 if text.startswith(text[start] * 3, start, end) else 1)
        closed = text.find(quote, start + len(quote), end)
        backslash = text.find("\\", start, end if closed < 0 else closed)
        if backslash >= 0:
            raise _LegacyRefusedError(Code.BG202, backslash)
        if closed < 0:
            raise _LegacyRefusedError(Code.BG201, start)
        return closed + len(quote)

    def _code(self, start: int, end: int) -> None:
        """The code of a field is compiled for itself: the f-strings in it go through the same two passes."""
        if not self._text[start:end].strip(" \t\n\r\f"):
            raise _LegacyRefusedError(None, start)
        for opening in openings(self._text, start, end):
            closed = token_end(self._text, opening.end(), opening["quote"])
            if closed is None or closed > end:
                raise _LegacyRefusedError(None, opening.start())
            if is_field_prefix(opening["prefix"]):
                raw = is_raw(opening["prefix"])
                _SecondPass(self._text, closed - len(opening["quote"]), raw=raw).literal(opening.end(), 0)
