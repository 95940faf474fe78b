"""Random programs around f-strings; the bench draws them by the hundred thousand, the suite with hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = ["x", "w", "names", "d", "t"]
_PREFIXES = ["f", "f", "f", "f", "F", "rf", "fR", "Rf"]
_QUOTES = ['"', "'", '"""', "'''"]
_WORDS = [
    "",
    "a",
    "it's",
    'say "x"',
    "é",
    "{{",
    "}}",
    "#",
    "a b",
    "!",
    ":",
    "=",
    "\\n",
    "\\t",
    "\\\\",
    "\\x41",
    "\\N{DASH}",
    "\\'",
    '\\"',
]
_FRAMES = [
    "s = {}\n",
    "s = {}\n",
    "s = ({},\n  1)\n",
    "def f():\n    return {}\n",
    "class C:\n    a = 1\n    s = {}\n",
    "class C:\n\tdef m(self):\n\t\tif x:\n\t\t\treturn {}\n",
    "if x == 0:\n    pass\nelif {}:\n    s = 1\n",
    "while {} == 0:\n    pass\n",
    "for c in {}: s = c\n",
    "s = 1; r = {}; q = 2\n",
    "def g(a={}): return a\n",
    "s = 'a' {} \"b\"\n",
    "@deco({})\ndef h(): pass\n",
    "v: {} = 1\n",
    "s = [{} for n in names]\n",
    "s = lambda: {}\n",
    "try:\n    s = 1\nexcept KeyError:\n    s = {}\nelse:\n    s = 2\n",
    "with open({}) as o:\n  pass\n",
    "if x: s = {}\nelse: s = 2\n",
    "assert {} , 'no'  # why\n",
]


class Programs:
    """Draws programs with `below`, which returns a number from 0 up to what it is given, exclusive."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self._below = below

    def program(self) -> str:
        """One or two statements; many are legal on 3.12 and not before, some nowhere."""
        text = self._of(_FRAMES).replace("{}", self.fstring(0), 1)
        if not self._below(4):
            text += "t = " + self.fstring(1) + "\n"
        return text.replace("\n", "\r\n") if not self._below(25) else text

    def fstring(self, depth: int) -> str:
        """An f-string with one to three parts."""
        quote = self._of(_QUOTES[: 2 + 2 * self._below(2)])
        prefix = self._of(_PREFIXES)
        parts = [self._part(quote, depth, raw="r" in prefix.lower()) for _ in range(1 + self._below(3))]
        return prefix + quote + "".join(parts) + quote

    def _part(self, quote: str, depth: int, *, raw: bool) -> str:
        return self._field(quote, depth, 0) if self._below(3) else self._words(quote, raw=raw)

    def _words(self, quote: str, *, raw: bool = False) -> str:
        text = "".join(self._of(_WORDS) for _ in range(1 + self._below(2)))
        if self._below(20):
            text = text if raw else text.replace(f"\\{quote[0]}", "q").replace(quote[0], "\\" + quote[0])
            text = text.replace(quote[0], "").replace("\\\\", "\\") if raw else text
        if len(quote) > 1 and not self._below(4):
            text += "\n"
        elif not self._below(30):
            text += "\\\n"
        return text

    def _field(self, quote: str, depth: int, spec: int) -> str:
        text = "{" + self._space() + self._expression(quote, depth) + self._space()
        if not self._below(6):
            text += "=" + self._space()
        if not self._below(5):
            text += "!" + self._of(["r", "s", "a"]) + (self._space() if not self._below(3) else "")
        if not self._below(4):
            text += ":" + self._spec(quote, depth, spec)
        return text + "}"

    def _spec(self, quote: str, depth: int, spec: int) -> str:
        parts = [self._of(["", ">", "^", "10", "x", "%H", "\\x3e", "\\N{DASH}"])]
        while spec < 3 and not self._below(2):
            parts.append(self._field(quote, depth, spec + 1))
        if len(quote) == 3 and not self._below(12):
            parts.append("\n")
        return "".join(parts)

    def _space(self) -> str:
        return self._of(
            ["", "", "", "", "", "", "", "", " ", "  ", "\t", "\n", "\n  ", " # c\n", "# it's\n ", "\\\n"][
                : 10 + 6 * (not self._below(3))
            ]
        )

    def _expression(self, quote: str, depth: int) -> str:
        which = self._below(16)
        if depth > 3 or which < 4:
            return self._of(_NAMES)
        inner = [
            lambda: self._string(quote),
            lambda: self._string(quote),
            lambda: self.fstring(depth + 1),
            lambda: self.fstring(depth + 1),
            lambda: f"d[{self._space()}{self._string(quote)}]",
            lambda: f"{self._string(quote)}.join({self._space()}names)",
            lambda: f"({self._expression(quote, depth + 1)}{self._space()}, {self._expression(quote, depth + 1)})",
            lambda: (
                f"{self._expression(quote, depth + 1)} if x else{self._space()} {self._expression(quote, depth + 1)}"
            ),
            lambda: f" {{{self._string(quote)}: {self._expression(quote, depth + 1)}}}",
            lambda: f"(lambda a: {self._expression(quote, depth + 1)})(1)",
            lambda: f"[{self._expression(quote, depth + 1)} for n in names]",
            lambda: f"{self._string(quote)} {self._space()}{self._of([self._string(quote), self.fstring(depth + 1)])}",
        ]
        return inner[which - 4]()

    def _string(self, outer: str) -> str:
        quote = self._of(_QUOTES)
        prefix = self._of(["", "", "", "", "r", "b", "u", "rb"])
        text = self._words(quote, raw="r" in prefix)
        if "b" in prefix:
            text = text.replace("é", "e")
        return prefix + quote + text + quote

    def _of(self, choices: list[str]) -> str:
        return choices[self._below(len(choices))]
