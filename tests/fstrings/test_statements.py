"""Where statements begin and what they stand in, compared with Python's own tokenizer, which reads only what it accepts."""

from __future__ import annotations

import io
import sysconfig
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.fstrings.statements import Statement, comments, place_before, statements
from tests.conftest import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
_MODULES = (
    "asyncio/base_events",
    "dataclasses",
    "tokenize",
    *(("argparse", "inspect", "tarfile", "typing") if ALL else ()),
)
_QUIET = {tokenize.NL, tokenize.COMMENT, tokenize.ENCODING, tokenize.ENDMARKER}
_TRAPS = """\
if a: b = (1, (2), [3,
  (4)], {5: (6)}
)
def f(): \\
    return (a)
@x
async  def g():
\twith a as b, \\
        c: pass
\tif a:
		b = 1  # a comment after it
\telse:

        # a comment of its own
		'''a ) string
        of lines'''
\tc = 1 ; d = (
  )
class A(
  B):
    x = 1
    class C: y = 2
    @a
    @b
    def d(self): return {
}
    match = x
z = [")", '(', \"\"\"[\"\"\", r'\\\\'] # ( not a bracket
"""


def _oracle(text: str) -> Iterator[tuple[int, int, int | None]]:
    """The offsets of each logical line and of its first token, and the number of the one that it stands under."""
    lines = text.splitlines(keepends=True)
    begins = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    stack: list[int | None] = [None]
    count, begun = 0, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.INDENT:
            stack.append(count - 1)
        elif token.type == tokenize.DEDENT:
            stack.pop()
        elif token.type == tokenize.NEWLINE:
            begun = False
        elif token.type not in _QUIET and not begun:
            begun = True
            count += 1
            line = begins[token.start[0] - 1]
            yield line, line + token.start[1], stack[-1]


def _read(text: str) -> list[tuple[int, int, int | None]]:
    return [(one.line, one.start, one.parent) for one in statements(text)]


@pytest.mark.parametrize("name", _MODULES)
def test_the_library(name: str) -> None:
    text = (_LIBRARY / f"{name}.py").read_text("utf-8")
    assert _read(text) == list(_oracle(text))


def test_traps() -> None:
    found = statements(_TRAPS)
    assert _read(_TRAPS) == list(_oracle(_TRAPS))
    assert [one.word for one in found if one.parent is None] == ["if", "def", "@", "async  def", "class", "z"]


def test_a_tab_goes_to_the_eighth_column() -> None:
    """Compilers refuse the mixture, and tokenizers since 3.12."""
    assert _read("if a:\n\tb\n        c\n") == [(0, 0, None), (6, 7, 0), (9, 17, 0)]


def test_comments() -> None:
    tokens = tokenize.generate_tokens(io.StringIO(_TRAPS).readline)
    assert [_TRAPS[start:end] for start, end in comments(_TRAPS)] == [
        token.string for token in tokens if token.type == tokenize.COMMENT
    ]


@pytest.mark.parametrize(
    "first",
    ['a = f"{d["("]}"', 'a = f"{d["#"]}"', "a = f'{x:{')'}}'", 'a = f"{f"{f"{(1)}"}"}"', 'a = f"""{\nd["""("""]\n}"""'],
    ids=["bracket", "comment", "format", "nested", "lines"],
)
def test_what_newer_pythons_read_in_a_field(first: str) -> None:
    """The tokenizer of this Python may be older than they are."""
    text = f"{first}\nb = 1\n"
    assert [(one.start, one.word) for one in statements(text)] == [(0, "a"), (len(first) + 1, "b")]


def _above(text: str) -> Statement:
    """What would be bound before the line that holds `HERE`."""
    return place_before(statements(text), text.index("HERE"))


@pytest.mark.parametrize(
    ("text", "word", "line"),
    [
        ("if a:\n    HERE\n", "HERE", 2),
        ("if a:\n    b\nelif HERE:\n    c\n", "if", 1),
        ("x\nif a:\n    for b in c:\n        d\n    else:\n        e\nelif f:\n    g\nelse: HERE\n", "if", 2),
        ("class A:\n    if a:\n        HERE\n", "class", 1),
        ("x\nclass A:\n    class B:\n        HERE\n", "class", 2),
        ("class A:\n    def b(self):\n        HERE\n", "HERE", 3),
        ("class A:\n    @b\n    @c(HERE)\n    def d(self): pass\n", "class", 1),
        ("@a\n@b\ndef c():\n    pass\nif d:\n    @e\n    @f\n    def HERE(): pass\n", "@", 6),
        ("@a\nclass B:\n    HERE\n", "@", 1),
        ("x\nmatch a:\n    case HERE: pass\n", "match", 2),
        ("match a:\n    case HERE: pass\n", "match", 1),
        ("x\nif a: b\nelif HERE: c\n", "if", 2),
        ("match a:\n    case b:\n        HERE\n", "HERE", 3),
        # which no Python accepts: an answer all the same, and soon
        ("else: HERE\nx\n", "else", 1),
        ("    else: HERE\nx\n", "else", 1),
        ("HERE\nx\n@a\n", "HERE", 1),
    ],
    ids=lambda one: str(one) if isinstance(one, int) else "",
)
def test_where_a_name_can_be_bound(text: str, word: str, line: int) -> None:
    found = _above(text)
    assert (found.word, text.count("\n", 0, found.start) + 1) == (word, line)
