"""A decoded value beside the text that stands for it: where each of its characters comes from. Pure."""

from __future__ import annotations

import re

from buildguard.definitions import lazy_pattern
from buildguard.project.snippets.mapped_text import MappedText, TextBuilder

_ESCAPE = lazy_pattern(r"\\(?:x\w{2}|u\w{4}|U\w{8}|\r?\n[ \t]*|.)", re.DOTALL)


def align(value: str, raw: MappedText, *, escapes: bool = True) -> MappedText:
    r"""The value of a quoted or folded text with the place of each character; `escapes` is whether `\\` starts an escape."""
    builder, at, last = TextBuilder(), 0, max(0, len(raw.text) - 1)
    for character in value:
        at, following = _find(character, raw.text, at, escapes=escapes)
        builder.add(character, *raw.place(min(at, last)))
        at = following
    return builder.build()


def _find(character: str, text: str, at: int, *, escapes: bool) -> tuple[int, int]:
    """Where a character of a value stands in its text, and where the next one may."""
    if not character.isspace():
        while text[at : at + 1].isspace():
            at += 1
    escape = _ESCAPE.match(text, at) if escapes else None
    while escape is not None and escape[0][1] in "\r\n":  # a line that goes on
        at = escape.end()
        escape = _ESCAPE.match(text, at)
    if escape is not None:
        return at, escape.end()
    is_doubled = not escapes and character == "'" and text.startswith("''", at)
    return at, at + 1 + is_doubled


def align_block(value: str, raw: MappedText) -> MappedText:
    """The value of a literal block (`|`), whose lines stand in the text behind an indentation; `raw` starts with the mark."""
    builder = TextBuilder()
    lines = raw.text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for number, line in enumerate(value.split("\n")[: max(1, len(lines) - 1)], start=1):
        if number >= len(lines):
            break
        indent = max(0, len(lines[number].rstrip("\r")) - len(line)) if line else 0
        ending = "\n" if number <= value.count("\n") else ""
        builder.add(line + ending, *raw.place(min(starts[number] + indent, max(0, len(raw.text) - 1))))
    return builder.build()
