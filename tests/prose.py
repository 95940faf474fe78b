"""The house style as data: phrases that read like a translation, and what to write instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# A regular expression, and what an English-speaking engineer would write.
PHRASES = {
    r"cannot be told|could not be told": "unknown",
    r"is none of": "does not come from; is not one of",
    r"there is none\b": "missing, not found, none",
    r"nobody|somebody": "name who, or use the passive",
    r"tells? (?:nothing|which|why|no)|told (?:nothing|no|by)": "reports, returns, prints; contains no",
    r"says which|say which": "sets, names",
    r"speaks? of": "is about, mentions",
    r"wants? to know": "requires, needs",
    r"lies (?:in|at|on|there|where|beside)": "is in, is stored in",
    r"held (?:to|against)": "compared with, checked against",
    r"came through": "succeeded",
    r"is no (?:code|bug|repository)": "is not a",
    r"as it was sent": "unchanged",
    r"anew\b": "again",
    r"what it comes to": "the result",
    r"is meant\b": "is intended; ambiguous",
}
_PHRASE = re.compile(rf"(?i)\b(?:{'|'.join(PHRASES)})")
_CODE = re.compile(r"\bBG[0-9]{3}\b")
_SENTENCE_ENDS = re.compile(r"[.;:?!](?:\s|$)|\n| \(|\)")
MOST_WORDS = 25


class Place(NamedTuple):
    """A line of a file, and what is wrong with it."""

    file: str
    line: int
    text: str


def find_phrases(file: Path, name: str) -> Iterator[Place]:
    """The phrases in a file, comments and docstrings included."""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if (match := _PHRASE.search(line)) is not None:
            yield Place(name, number, match[0])


def find_codes(text: str) -> set[str]:
    """Every code that a text names."""
    return set(_CODE.findall(text))


class Message(NamedTuple):
    """A text that a person reads; each value in it is one `X`."""

    line: int
    text: str


def messages(nodes: Iterable[ast.AST]) -> Iterator[Message]:
    """What errors say, and each hint, note, reason and help text of a module, of which all nodes are given."""
    for node in nodes:
        if isinstance(node, ast.Call):
            name = _called(node)
            if name.endswith("Error") or name in {"Unproven", "Finding", "Diagnostic", "echo"}:
                yield from _texts(node.args)
            yield from _texts(word.value for word in node.keywords if word.arg in {"hint", "help", "message", "note"})
        elif isinstance(node, ast.Yield) and node.value is not None:
            yield from _texts([node.value])


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _texts(nodes: object) -> Iterator[Message]:
    for node in nodes:  # type: ignore[attr-defined]
        text = _text(node)
        if text is not None:
            yield Message(node.lineno, text)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or "X" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_text(left) or 'X'}{_text(right) or 'X'}"
    return None


def long_sentences(message: Message) -> Iterator[str]:
    """The sentences of a message that have more than MOST_WORDS words; a colon or a parenthesis ends one too."""
    for sentence in _SENTENCE_ENDS.split(message.text):
        if len(sentence.split()) > MOST_WORDS:
            yield sentence.strip()


def unagreed_plurals(nodes: Iterable[ast.AST]) -> Iterator[Message]:
    """Numbers that a plural follows whatever they are: f"{len(names)} files"."""
    for node in nodes:
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, value, after in zip([None, *node.values], node.values, node.values[1:], strict=False):
            is_name = isinstance(before, ast.Constant) and str(before.value).endswith("#")  # step #3 waits
            if (
                not is_name
                and _is_number(value)
                and isinstance(after, ast.Constant)
                and re.match(r" [a-z]+s\b(?!-)", str(after.value))
            ):
                yield Message(node.lineno, ast.unparse(node))


def _is_number(node: ast.AST) -> bool:
    if not isinstance(node, ast.FormattedValue):
        return False
    inner = node.value
    if isinstance(inner, ast.Call):
        return _called(inner) in {"len", "sum"}
    return isinstance(inner, ast.Name) and inner.id in {"number", "total", "count", "files", "errors", "warnings"}
