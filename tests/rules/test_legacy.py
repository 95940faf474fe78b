"""The two passes of 3.8 to 3.11, where few programs come: names of characters, and strings in triple quotes in a field."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.rules.fstrings import judge
from tests.conftest import interpreter

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
