"""Every rewrite of many f-strings, as it was when real Pythons proved it: a change of one shows in `rewrites.json`.

`python -m tests.fstrings.test_rewrite` writes that file again; read what became of it before you keep it.
"""

from __future__ import annotations

import functools
import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.fstrings.fix_plan import RewritePlan, plan_rewrite
from buildguard.fstrings.parser import FString, LiteralText, ReplacementField
from tests.conftest import sample
from tests.fstrings.grammar import literal
from tests.oracle import doubt, refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEPT = Path(__file__).with_name("rewrites.json")
_COUNT, _LONGEST = 900, 60
_CHOSEN = [
    "s = f'{\na != b=!r}'\n",
    "s = f'{\\\na\n!s }\\{{{ {c: d}\n=}'\n",
    "s = rF'{\\\nb'\\0'=:}a'\n",
    "s = f'{\\\nrF'''{x:\\'2=}'''}'\n",
    's = f\'{x:{\nrF"""{x:a{ "\\\'" !s }>3}""" }}\'\n',
    "s = f'{x:{\\\n(U'''\n''')}}'\n",
    's = f"""{x:{ f"""{{\\n"""}}"""\n',
    "s = f'{x:{(\nf'\\n'\n)\n}}'\n",
    's = rF"""{b"""a"""\\\n=}"""\n',
    's = f"""\\n{((rF"""a"{ \'a\\\nb\'!a:b b b }"""))}"""\n',
    "s = rF'''#{ # }\nrF'b \\''if x else\"\"\"\"\"\"=:}#'''\n",
    "s = f\"{'\\1'}2\"\n",
    "s = f\"a{x}{'\\1'}2{y}\"\n",
    "s = f'{x:{'{'}}'\n",
    "s = f\"{x:{'{\\n'}}\"\n",
    "s = f\"{((('\\n')))    }\"\n",
]  # where chance rarely comes
_ROWS: list[list[Any]] = json.loads(_KEPT.read_text("utf-8")) if _KEPT.is_file() else []


@functools.cache
def _plan(source: str) -> RewritePlan:
    return plan_rewrite(source, 11)


def _row(source: str) -> list[Any]:
    """A source, what became of it, the names that it binds, and why it was left alone."""
    made = _plan(source)
    (fix,) = made.fixes
    return [source, made.after, list(made.lifted), fix.reason]


@pytest.mark.parametrize("tenth", range(10))
def test_rewrites_are_as_they_were(tenth: int) -> None:
    rows = sample(_ROWS[tenth::10], 2)
    assert [_row(source) for source, *_rest in rows] == rows


@pytest.mark.parametrize("version", ["3.8", "3.11"])
def test_rewrites_are_legal(version: str) -> None:
    fixed = [after for _source, after, _names, reason in _ROWS if not reason]
    assert len(fixed) > _COUNT / 2
    assert [after for after, said in zip(fixed, refusals(version, fixed), strict=True) if said] == []


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_rewrites_mean_the_same(version: str) -> None:
    for source, after, names, reason in _ROWS:
        if not reason:
            assert doubt(version, source, after, names) == "", source


def test_no_repair_relies_on_how_a_witness_prints_an_equal_field() -> None:
    """3.12 and 3.13.0 accept such a repair as equal; 3.13.2 and later print the source's spelling, and so another text."""
    seen = 0
    for source, _after, _names, reason in (row for tenth in range(10) for row in sample(_ROWS[tenth::10], 2)):
        if reason:
            continue
        (fix,) = _plan(source).fixes
        assert isinstance(fix.verdict.literal, FString)
        texts = [
            source[field.start + 1 : field.equal]
            for field in _fields(fix.verdict.literal.parts)
            if field.equal is not None
        ]
        bare = [re.sub(r"#[^\r\n]*", "", text) for text in texts]
        assert not [text for text in bare if "\\" in text], source
        seen += len(bare)
    assert seen > 25


def _fields(parts: Iterable[LiteralText | ReplacementField]) -> Iterator[ReplacementField]:
    """Every field, those of nested f-strings and of format specs included."""
    for part in parts:
        if isinstance(part, ReplacementField):
            yield part
            yield from _fields(part.spec or ())
            for token in part.tokens:
                if isinstance(token, FString):
                    yield from _fields(token.parts)


def _made() -> list[list[Any]]:
    dice = random.Random(701)
    found = dict.fromkeys(_CHOSEN)
    while len(found) < _COUNT:
        sources = [f"s = {literal(dice)}\n" for _ in range(1_000)]
        sources = [one for one in sources if len(one) <= _LONGEST and one not in found]
        for version in ("3.12", "3.13"):
            sources = [one for one, said in zip(sources, refusals(version, sources), strict=True) if not said]
        sources = [one for one, said in zip(sources, refusals("3.11", sources), strict=True) if said]
        found.update(dict.fromkeys(one for one in sources if len(plan_rewrite(one, 11).fixes) == 1))
    return [_row(source) for source in [*found][:_COUNT]]


if __name__ == "__main__":
    _KEPT.write_text("[\n" + ",\n".join(json.dumps(row) for row in _made()) + "\n]\n", "utf-8")
