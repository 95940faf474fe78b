"""The simple commands of a RUN, as a shell takes them apart. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from buildguard.definitions import NamedTuple, lazy_pattern

_REDIRECTION = lazy_pattern(r"\d*>>?|&>>?")
_OPENS = frozenset({"if", "for", "while", "until", "case"})
_CLOSES = frozenset({"fi", "done", "esac"})

# What separates commands, and does not within quotes or behind a backslash.
_QUOTED = lazy_pattern(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"")
_AS_TEXT = {ord(mark): 0xE000 + number for number, mark in enumerate(";&|<>()")}
_AS_WRITTEN = {number: mark for mark, number in _AS_TEXT.items()}


class RunCommand(NamedTuple):
    """One simple command: its words, the files that its output is redirected to, and whether it runs in any case."""

    words: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    is_certain: bool = True


def split(text: str) -> Iterator[RunCommand]:
    """The simple commands of a text; raises ValueError where its quotes do not match."""
    body = re.sub(r"\\\r?\n", " ", text).replace("\n", " ; ")
    body = _QUOTED.sub(lambda match: match[0].translate(_AS_TEXT), body)
    lexer = shlex.shlex(body, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    collector = _CommandCollector()
    for token in lexer:
        if token and set(token) <= set(";&|()"):  # `""` is a word
            yield from collector.end(token)
        else:
            collector.add(token)
    yield from collector.end("")


class _CommandCollector:
    """Words on their way to a command; it knows which commands run only under a condition."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._outputs: list[str] = []
        self._redirects = ""
        self._depth = 0
        self._after_or = False

    def add(self, token: str) -> None:
        """Take a word, an arrow or what follows one."""
        if _REDIRECTION.fullmatch(token) or (token and set(token) <= {"<"}):
            self._redirects = token
        elif self._redirects:
            self._outputs += [token.translate(_AS_WRITTEN)] if ">" in self._redirects else []
            self._redirects = ""
        else:
            self._words.append(token.translate(_AS_WRITTEN))

    def end(self, separator: str) -> Iterator[RunCommand]:
        """The command that a separator ends."""
        first = self._words[0] if self._words else ""
        self._depth += (first in _OPENS) - (first in _CLOSES)
        if self._words or self._outputs:
            is_certain = self._depth <= 0 and not self._after_or
            yield RunCommand(tuple(self._words), tuple(self._outputs), is_certain)
        self._after_or = separator == "||" or (self._after_or and separator == "|")
        self._words, self._outputs, self._redirects = [], [], ""
