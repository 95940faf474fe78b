"""The tokens of a field's code, taken together: literals side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.fstrings.parser import FString, PlainString, Trivia


def chains(text: str, tokens: Sequence[PlainString | FString | Trivia]) -> list[list[PlainString | FString | Trivia]]:
    """Strings with nothing but white space between them belong together; every other token stands alone."""
    groups: list[list[PlainString | FString | Trivia]] = []
    pending: list[PlainString | FString | Trivia] = []  # trivia behind a string, which another string may follow
    for token in tokens:
        last = (pending or (groups[-1] if groups else []))[-1:]
        near = bool(last) and not text[last[0].end : token.start].strip(" \t\f")
        in_chain = bool(groups) and not isinstance(groups[-1][-1], Trivia) and near
        if isinstance(token, Trivia):
            if in_chain:
                pending.append(token)
            else:
                groups += [[trivia] for trivia in pending]
                pending = []
                groups.append([token])
        elif in_chain:
            groups[-1] += [*pending, token]
            pending = []
        else:
            groups += [[trivia] for trivia in pending]
            pending = []
            groups.append([token])
    return groups + [[trivia] for trivia in pending]
