"""F-strings at random, by the grammar of PEP 701: short ones, with much in them that an older Python refuses."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECES = (
    "a",
    "{",
    "}",
    ":",
    "!r",
    "=",
    "'",
    '"',
    "\\",
    "\n",
    "(",
    ")",
    " ",
    "# ",
    "f'",
    '"""',
    "b'",
    "\\N{DIGIT ONE}",
)
_QUOTES = ("'", '"', "'''", '"""')
_SPACES = ("", "", "", " ", "\n", " # }\n", "\\\n")
_WORDS = (
    "a",
    "b ",
    ">3",
    "{{",
    "}}",
    "\\n",
    "\\{{",
    "\\N{DIGIT ONE}",
    "#",
    "\n",
    "=",
    "(",
    "\\\n",
    "\\'",
    "\\1",
    "2",
    '"',
)
_CODE = ("a", "a != b", "a[1:2]", "(a, b)", "{c: d}", "a,", "(lambda: a)", "(b := a)", '"}"', "b'{'", "b'\\0'", "{'a'}")
_STRINGS = 3  # that many of five expressions hold strings


def literals() -> Iterator[str]:
    """Of two kinds of quotes, and raw where that matters: all short ones, and many longer ones, the same each time."""
    for quote in ("'", '"""'):
        for one in dict.fromkeys(_bodies()):
            yield f"f{quote}{one}{quote}"
            if "\\" in one:
                yield f"Rf{quote}{one}{quote}"


def _bodies() -> Iterator[str]:
    for length in range(4):
        for pieces in itertools.product(_PIECES, repeat=length):
            yield "".join(pieces)
    dice = random.Random(701)
    for _ in range(8_000):
        made = body(dice, 3)
        at = dice.randrange(len(made) + 1)
        yield made if dice.random() < 0.7 else made[:at] + dice.choice(_PIECES) + made[at:]


def body(dice: random.Random, depth: int = 2, *, in_spec: bool = False) -> str:
    """What stands between the quotes of an f-string."""
    words = _WORDS[:3] if in_spec and dice.random() < 0.7 else _WORDS
    return "".join(
        _field(dice, depth - 1) if depth and dice.random() < 0.5 else dice.choice(words)
        for _ in range(dice.randrange(1, 4))
    )


def literal(dice: random.Random, depth: int = 2) -> str:
    """One f-string, or what looks like one: its quotes may end it early."""
    quote = dice.choice(_QUOTES)
    made = f"{{x:{body(dice, depth, in_spec=True)}}}" if dice.random() < 0.3 else body(dice, depth)
    return f"{dice.choice(('f', 'f', 'rF'))}{quote}{made}{quote}"


def _string(dice: random.Random, depth: int) -> str:
    quote = dice.choice(_QUOTES)
    text = dice.choice(("", "a", "{", "it's", '"', "\\n", "\\'", "\\\\", "a\\\nb", "\\d", "\n"))
    return (
        literal(dice, depth) if dice.random() < 0.4 else f"{dice.choice(('', '', 'r', 'b', 'U'))}{quote}{text}{quote}"
    )


def _expression(dice: random.Random, depth: int) -> str:
    if dice.randrange(5) >= _STRINGS:
        return dice.choice(_CODE)
    first, second = _string(dice, depth), _string(dice, depth)
    space = dice.choice(_SPACES)
    frames = (
        first,
        first,
        f"{first}{space}{second}",
        f"({space}{first}{space})",
        f"(({first}){space})",
        f"g({space}{first}, {second})",
        f"{first}.join(x)",
        f"d[{first}]",
        f"{first}if x else{second}",
        f"x if{first}else {second}",
        f"{space}{first} +{space}{second}",
    )
    return dice.choice(frames)


def _field(dice: random.Random, depth: int) -> str:
    before, behind = dice.choice(_SPACES), dice.choice(_SPACES)
    equal = dice.choice(("", "", "", "", "=", " = ", "=\n", " # =\n="))
    conversion = dice.choice(("", "", "", "!r", "!s ", "!a"))
    spec = dice.choice(("", "", "", ":", f":{body(dice, depth, in_spec=True)}"))
    return f"{{{before}{_expression(dice, depth)}{behind}{equal}{conversion}{spec}}}"
