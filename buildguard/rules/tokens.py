"""The tokens of a field's code, taken together: comments at any depth, and literals side by side. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.rules.literals import Field, Nested, Plain, Text, Trivia

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def inner_comments(field: Field) -> Iterator[Trivia]:
    """Every comment in a field, those in the f-strings in it included, in order."""
    for token in field.tokens:
        if isinstance(token, Trivia):
            if token.kind == "comment":
                yield token
        elif isinstance(token, Nested):
            yield from _comments_in(token.parts)


def _comments_in(parts: Iterable[Text | Field]) -> Iterator[Trivia]:
    for part in parts:
        if isinstance(part, Field):
            yield from inner_comments(part)
            yield from _comments_in(part.spec or ())


def chains(text: str, tokens: Sequence[Plain | Nested | Trivia]) -> list[list[Plain | Nested | Trivia]]:
    """Strings with nothing but white space between them belong together; every other token stands alone."""
    found: list[list[Plain | Nested | Trivia]] = []
    pending: list[Plain | Nested | Trivia] = []  # trivia behind a string, which another string may follow
    for one in tokens:
        last = (pending or (found[-1] if found else []))[-1:]
        near = bool(last) and not text[last[0].end : one.start].strip(" \t\f")
        in_chain = bool(found) and not isinstance(found[-1][-1], Trivia) and near
        if isinstance(one, Trivia):
            if in_chain:
                pending.append(one)
            else:
                found += [[trivia] for trivia in pending]
                pending = []
                found.append([one])
        elif in_chain:
            found[-1] += [*pending, one]
            pending = []
        else:
            found += [[trivia] for trivia in pending]
            pending = []
            found.append([one])
    return found + [[trivia] for trivia in pending]
