"""The tokens of a field's code, taken together: literals side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildguard.fstrings.parser import FString, PlainString, Trivia


def chains(text: str, tokens: Sequence[PlainString | FString | Trivia]) -> list[list[PlainString | FString | Trivia]]:
    """Strings with nothing but white space between them belong together; every other token stands alone."""
    groups: list[list[PlainString | FString | Trivia]] = []
    for run in _runs(text, tokens):
        strings = [number for number, token in enumerate(run) if not isinstance(token, Trivia)]
        first, end = (strings[0], strings[-1] + 1) if strings else (0, 0)
        groups += [[token] for token in run[:first]]
        if strings:
            groups.append(run[first:end])
        groups += [[token] for token in run[end:]]
    return groups


def _runs(
    text: str, tokens: Sequence[PlainString | FString | Trivia]
) -> Iterator[list[PlainString | FString | Trivia]]:
    """The tokens, parted where there is code between two of them."""
    run: list[PlainString | FString | Trivia] = []
    for token in tokens:
        if run and text[run[-1].end : token.start].strip(" \t\f"):
            yield run
            run = []
        run.append(token)
    if run:
        yield run
