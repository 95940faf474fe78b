"""The two passes of 3.8 to 3.11, where few programs come: names of characters, and strings in triple quotes in a field."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.fstrings.legacy_parser import LegacyRefusal, refusal
from buildguard.fstrings.parser import read
from buildguard.fstrings.rules import judge
from tests.conftest import OTHER_HOST, interpreter, sample_on_other_hosts
from tests.fstrings.grammar import literals
from tests.oracle import refusals

pytestmark = pytest.mark.interpreters

_CODES: dict[str, list[str]] = {
    'f"\\N{DIGIT ONE}"': [],
    'f"\\N{DIGIT ONE}{a}"': [],
    'f"\\N{DIGIT ONE}{a}\\N{DIGIT TWO}{b}"': [],
    'f"\\N{DIGIT ONE}{{}}{a}"': [],
    "f\"\\N{DIGIT ONE}{'\\n'}\"": ["BG202"],
    "f\"\\N{DIGIT ONE}{'\\n'}{a}\"": ["BG202"],
    "f\"\\N{DIGIT ONE}a{'\\n'}{a}\"": ["BG202"],
    "f\"{a:\\N{DIGIT ONE}}{'\\n'}\"": ["BG202"],
    'rf"\\{a}{b}"': [],
    'f\'\'\'{"""a"b"""}\'\'\'': [],
    'f\'\'\'{"""a""" + "b"}\'\'\'': [],
    "f'''{\"\" + a}'''": [],
    "f'''{\"\"\"\\n\"\"\"}'''": ["BG202"],
    'f"""{\'\'\'a\'b\'\'\'}{d["""x"""]}"""': ["BG201"],
}


@pytest.mark.parametrize("code", _CODES)
def test_what_older_pythons_make_of_it(code: str) -> None:
    found = [one.code for judged in judge(f"x = {code}\n", 8) for one in judged.findings if one.code != "BG205"]

    assert found == _CODES[code]
    script = "import sys\ntry: compile(sys.stdin.read(), 'x', 'exec')\nexcept SyntaxError: print('refused')"
    for version in ("3.8", "3.11"):
        done = subprocess.run(
            [interpreter(version), "-c", script], input=f"x = {code}\n", capture_output=True, text=True, check=True
        )
        assert (done.stdout == "refused\n") == bool(found), version


def _refusal(code: str) -> LegacyRefusal | None:
    literal = read(code)
    assert literal is not None
    return refusal(code, 0, literal.prefix, literal.quote, literal.end)


@pytest.mark.parametrize("version", ["3.8", "3.11"])
def test_the_interpreters_refuse_the_same(version: str) -> None:
    codes = sample_on_other_hosts((code for code in literals() if read(code) is not None), 10)
    for newer in ("3.12", "3.13"):
        codes = [code for code, said in zip(codes, refusals(newer, codes), strict=True) if not said]
    assert len(codes) > (1_000 if OTHER_HOST else 10_000)

    found = {code: _refusal(code) for code in codes}

    said = dict(zip(codes, refusals(version, codes), strict=True))
    assert [code for code in codes if bool(said[code]) != (found[code] is not None)] == []
    assert 0.2 < sum(map(bool, found.values())) / len(codes) < 0.8


_PLACES = {
    "f'{a['b']}'": ("BG201", 5),
    "f'{f'{a}'}'": ("BG201", 4),
    'f"{a +\n b}"': ("BG204", 2),
    "f'''{a # b\n}'''": ("BG203", 7),
    "f'''{a=  # b\n}'''": ("BG203", 9),
    "f\"{d['a\\n']}\"": ("BG202", 7),
    "f'''{a + \\\n b}'''": ("BG202", 9),
    "f'{a!r }'": ("BG207", 6),
    "f'{a:{b:{c}}}'": ("BG206", 8),
    "f'''{'a''' 'b'}'''": ("BG201", 7),
    "f\"{'\\n\\n'}\"": ("BG202", 4),
    "rf'{a:{b:\\N{c}}}'": ("BG206", 11),
    "f'{a:{b:\\N{DIGIT ONE}}}'": None,
    "f\"{a!='b'}\"": None,
    "f'{a:}'": None,
    "f'{a=}'": None,
    "f'{a!r:{b}}'": None,
}


@pytest.mark.parametrize("code", _PLACES, ids=range(len(_PLACES)))
def test_where_the_older_ones_stop(code: str) -> None:
    assert _refusal(code) == _PLACES[code]
    assert {bool(refusals(version, [code])[0]) for version in ("3.8", "3.11")} == {bool(_PLACES[code])}
