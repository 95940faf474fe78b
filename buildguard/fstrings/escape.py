"""How text is written at a place inside of an f-string: which quotes, which escapes. Pure."""

from __future__ import annotations

import re

from buildguard.definitions import NamedTuple, lazy_pattern

_ESCAPE = lazy_pattern(r"\\(?:N\{[^{}]*\}|\r\n|[\s\S])")
_BRACE = lazy_pattern(r"\\N\{[^{}]*\}|\\[^{}]|[{}]")
_DOUBLED = lazy_pattern(r"(\\N\{[^{}]*\}|\\[^{}])|\{\{|\}\}")
_OCTAL = frozenset("01234567")
_OCTAL_END = lazy_pattern(r"\\[0-7]{1,2}\Z")
_ESCAPED_BACKSLASH = lazy_pattern(r"\\\\")
_NEWLINE = lazy_pattern(r"\r\n|[\r\n]")


class UnencodableError(Exception):
    """There is no way to write it so that every Python accepts it; says why."""

    @property
    def reason(self) -> str:
        """Why, in words for a person."""
        return str(self.args[0])


class QuoteContext(NamedTuple):
    """The inside of a literal in the quotes `quote`, inside f-strings with the quotes `around`."""

    quote: str
    raw: bool
    around: tuple[str, ...]

    @property
    def here(self) -> tuple[str, ...]:
        """The quotes around a field at this place."""
        return (*self.around, self.quote)

    def check_quote(self) -> None:
        """Raise UnencodableError where the quotes themselves would end an f-string around them."""
        if self.conflicts(self.quote):
            raise UnencodableError("every kind of quotes is taken by the f-strings around it")

    def conflicts(self, text: str) -> bool:
        """Whether a text would end an f-string around this place."""
        return any(quote in text for quote in self.around)


def text(source: str, place: QuoteContext, *, raw: bool, in_spec: bool) -> str:
    """Literal text of an f-string, written for `raw` or not, rewritten for a place."""
    if raw and not place.raw:
        source = source.replace("\\", "\\\\")
    elif not raw:
        source = whole(source)
    if place.raw and not raw and "\\" in source:
        raise UnencodableError("a raw f-string has no escapes")
    if place.around:
        return _nested_text(source, place)
    return _outer_text(source, place, in_spec=in_spec)


def whole(source: str) -> str:
    r"""Text whose last backslash stands alone (before a brace, as in `\{x}`), with that one escaped."""
    return source + "\\" if _ends_open(source) else source


def _ends_open(source: str) -> bool:
    """Whether the last backslash of a text would escape what follows it."""
    return (len(source) - len(source.rstrip("\\"))) % 2 == 1


def _nested_text(source: str, place: QuoteContext) -> str:
    """Inside of a field: no backslash at all."""
    if not place.raw:
        source = _without_quote_escapes(source)
    _refuse(source, place)
    return source


def plain(source: str, place: QuoteContext) -> str:
    """The body of a string literal without fields, inside of a field."""
    source = _nested_text(source, place)
    if source.endswith(place.quote[0]):
        raise UnencodableError("its text holds the quotes that it needs")
    return source


def _refuse(source: str, place: QuoteContext) -> None:
    if "\\" in source:
        raise UnencodableError("a backslash inside of a field")
    if place.quote in source or place.conflicts(source):
        raise UnencodableError("its text holds the quotes that it needs")
    if _NEWLINE.search(source) and not all(len(quote) > 1 for quote in place.here):
        raise UnencodableError("a line break inside of a field")


def _without_quote_escapes(source: str) -> str:
    return _ESCAPE.sub(lambda match: match.group()[1] if match.group() in {"\\'", '\\"'} else match.group(), source)


def _outer_text(source: str, place: QuoteContext, *, in_spec: bool) -> str:
    if len(place.quote) == 1 and _NEWLINE.search(_ESCAPE.sub("", source)):
        if place.raw or in_spec:
            raise UnencodableError("a line break in single quotes")
        source = _broken_lines(source)
    if place.quote not in _ESCAPE.sub("\0\0", source):
        return source
    if place.raw:
        raise UnencodableError("a raw f-string has no escapes")
    return _outside_escapes(place.quote, f"\\{place.quote}", source)


def _broken_lines(source: str) -> str:
    return _outside_escapes(_NEWLINE.pattern, "\\n", source)


def _outside_escapes(what: str, put: str, source: str) -> str:
    """Replace a pattern wherever it is not part of an escape."""
    return re.sub(rf"({_ESCAPE.pattern})|(?:{what})", lambda match: match.group(1) or put, source)


def protect_closing_quote(body: str, place: QuoteContext) -> str:
    """The body of an f-string, so that its last character does not join the closing quote."""
    char = place.quote[0]
    if len(place.quote) == 1 or not body.endswith(char) or _ends_open(body[:-1]):
        return body
    if place.raw or place.around:
        raise UnencodableError("its text ends with the quote that it needs")
    return f"{body[:-1]}\\{char}"


def swallows_digit(before: str, after: str) -> bool:
    """Whether an octal escape at the end of a text would swallow the digit that follows it."""
    return after[:1] in _OCTAL and _OCTAL_END.search(_ESCAPED_BACKSLASH.sub("", before)) is not None


def double_braces(body: str, *, raw: bool, in_spec: bool) -> str:
    """The body of a plain string as text of an f-string: its braces doubled."""
    brace = re.compile(r"[{}]") if raw else _BRACE
    if not in_spec:
        return brace.sub(lambda match: match.group() * 2 if match.group() in "{}" else match.group(), body)
    if any(match.group() in "{}" for match in brace.finditer(body)):
        raise UnencodableError("a format spec has no way to write a brace")
    return body


def as_constant(source: str, *, raw: bool, in_spec: bool) -> str:
    """Literal text of an f-string as a string literal of its own."""
    body = source if raw else whole(source)
    if not in_spec:
        body = _single_braces(body, raw=raw)
    quote = _fitting_quote(body, body if raw else _ESCAPE.sub("", body))
    if quote:
        return f"{'r' if raw and chr(92) in body else ''}{quote}{body}{quote}"
    body = _broken_lines(body.replace("\\", "\\\\") if raw else body)
    return '"' + _outside_escapes('"', '\\"', body) + '"'


def _single_braces(body: str, *, raw: bool) -> str:
    return re.sub(r"\{\{|\}\}", lambda match: match.group()[0], body) if raw else _halve_backslashes(body)


def _fitting_quote(body: str, bare: str) -> str:
    """The first quotes that can stand around a body as it is, `bare` being that without escapes; empty where none can."""
    if "\\" in bare and body.endswith("\\"):
        return ""
    return next((quote for quote in ('"', "'", '"""', "'''") if _fits_around(quote, body, bare)), "")


def _fits_around(quote: str, body: str, bare: str) -> bool:
    if quote in bare or body.endswith(quote[0]):
        return False
    return len(quote) > 1 or _NEWLINE.search(bare) is None


def _halve_backslashes(source: str) -> str:
    return _DOUBLED.sub(lambda match: match.group(1) or match.group()[0], source)
