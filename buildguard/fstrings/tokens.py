"""The tokens of a field's code, taken together: literals side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.fstrings.parser import Nested, Plain, Trivia


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
