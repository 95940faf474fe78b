"""How often a prediction is wrong: a corpus of faulty and of legal programs, judged by the static engine and by the real Pythons."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from buildguard.engines.engine import EngineName
from tests.trust.interpreter_suites import suite_snippets, verdicts, with_suite
from tests.wasm import RELEASES, ask_wasm

REAL = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
_MUTANTS = 6000
_LONGEST = 20_000
_TOKEN = re.compile(r"\w+|\s+|\"\"\"|'''|[^\w\s]")
_WORDS = [
    "await",
    "async",
    "yield",
    "return",
    "lambda",
    "in",
    "is",
    "not",
    "import",
    "from",
    "global",
    "nonlocal",
    "class",
    "def",
    "del",
    "with",
    "as",
    "for",
    "if",
    "else",
    "match",
    "case",
    "type",
]
_SIGNS = [
    "*",
    "**",
    ":",
    ":=",
    "=",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "\\",
    "!",
    ".",
    "->",
    "@",
    "f'",
    "...",
    "1",
    "#",
    "\n",
    "\n  ",
]
_JUDGE = r"""
import sys, json, base64, warnings
warnings.simplefilter("ignore")
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
judged = []
for text in json.loads(ASKED):
    try:
        compile(base64.b64decode(text), "<source>", "exec", 0, True)
        judged.append(True)
    except (MemoryError, RecursionError):
        judged.append(None)
    except BaseException:
        judged.append(False)
PRINTED = json.dumps(judged)
"""


class PredictionCount(NamedTuple):
    """How many programs a Python rejects and accepts, and which of them a prediction gets wrong."""

    version: str
    rejected: int
    accepted: int
    missed: tuple[bytes, ...]
    false_alarms: tuple[bytes, ...]


def suites() -> list[bytes]:
    """The snippets of every suite at hand, each once."""
    each = (snippet.source for version in REAL for snippet in suite_snippets(version))
    return [source for source in dict.fromkeys(each) if len(source) < _LONGEST]


def mutants(seed: int, number: int = _MUTANTS) -> Iterator[bytes]:
    """Programs of the suites with one or two tokens changed: nothing was made to fit them."""
    chance = random.Random(seed)
    texts = [source.decode("utf-8") for source in suites() if 20 < len(source) < 600 and source.isascii()]
    for _ in range(number):
        tokens = _TOKEN.findall(chance.choice(texts))
        for _change in range(chance.choice((1, 1, 2))):
            _mutate(tokens, chance)
        yield "".join(tokens).encode()


def _mutate(tokens: list[str], chance: random.Random) -> None:
    at = chance.randrange(len(tokens))
    kind = chance.randrange(5)
    if kind == 0:
        tokens[at] = ""
    elif kind == 1:
        tokens.insert(at, tokens[chance.randrange(len(tokens))])
    elif kind == 2:
        other = chance.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif kind == 3:
        tokens.insert(at, f" {chance.choice(_WORDS)} ")
    else:
        tokens.insert(at, chance.choice(_SIGNS))


def real_verdicts(version: str, sources: Sequence[bytes], folder: Path) -> list[bool | None]:
    """Whether the real Python accepts each source; None where it gave up."""
    asked = [base64.b64encode(source).decode("ascii") for source in sources]
    if version in RELEASES:
        return [*ask_wasm(version, _JUDGE + "PRINTED\n", asked, folder)]
    program = _JUDGE.replace("ASKED", "sys.stdin.read()") + "print(PRINTED)\n"
    argv = [str(with_suite(version)), "-I", "-S", "-B", "-c", program]
    done = subprocess.run(argv, input=json.dumps(asked).encode(), capture_output=True, check=True)
    return [*json.loads(done.stdout)]


def count(version: str, sources: Sequence[bytes], folder: Path) -> PredictionCount:
    """Predictions beside the verdicts of the real Python."""
    real = real_verdicts(version, sources, folder)
    predicted = verdicts(version, EngineName.STATIC, sources)
    rows = list(zip(sources, real, predicted, strict=True))
    return PredictionCount(
        version,
        real.count(False),
        real.count(True),
        tuple(source for source, accepted, passes in rows if accepted is False and passes),
        tuple(source for source, accepted, passes in rows if accepted and not passes),
    )
