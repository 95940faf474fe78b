"""Files that shadow a module which only the standard library imports, as real Pythons run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.imports.library_shadows import find_library_shadows
from tests.conftest import interpreter
from tests.imports.projects import findings

_FAILING = [
    ({"main.py": "import logging\n", "string.py": "def shout(): pass\n"}, "main.py:1 string.py shadows the standard library's 'string', which logging imports, and never binds 'Template'"),
    ({"main.py": "import http.client\n", "email/__init__.py": "def send(): pass\n"}, "main.py:1 email/__init__.py shadows the standard library's 'email', which http.client imports, and never binds 'parser'"),
    ({"main.py": "import a\n", "a.py": "import json\nfrom dataclasses import dataclass\n", "token.py": "SECRET = 1\n"}, "a.py:2 token.py shadows the standard library's 'token', which dataclasses imports, and never binds 'EXACT_TOKEN_TYPES' (main.py → a)"),
    ({"main.py": "from urllib import request\n", "random.py": "x = 1\n"}, "main.py:1 random.py shadows the standard library's 'random', which urllib imports, and never binds 'Random'"),
]  # fmt: skip
_WORKING = [
    {"main.py": "import logging\n", "string.py": "class Template:\n    pattern = ''\nclass Formatter: pass\n"},
    {"main.py": "import logging\n", "queue.py": ""},  # what uses it is never called
    {"main.py": "import json\n", "token.py": "SECRET = 1\n"},
    {"main.py": "def f():\n    import logging\n", "string.py": ""},
    {"main.py": "try:\n    import logging\nexcept ImportError:\n    pass\n", "string.py": ""},
    {"main.py": "import sys\nsys.path.pop(0)\nimport logging\n", "string.py": ""},
    {"main.py": "import logging\n", "lib/string.py": ""},
    {"main.py": "import calendar\n", "signal.py": "", "time.py": ""},
]


@pytest.mark.parametrize(("files", "expected"), _FAILING)
def test_a_file_that_the_standard_library_gets_in_place_of_its_own(files: dict[str, str], expected: str) -> None:
    assert findings(files, "main.py") == [f"warning {expected}"]


@pytest.mark.parametrize("files", _WORKING)
def test_what_works_is_no_finding(files: dict[str, str]) -> None:
    assert findings(files, "main.py") == []


def test_of_two_such_files_one_may_hide_the_other() -> None:
    files = {"main.py": "import logging\nimport inspect\n", "string.py": "", "token.py": ""}

    assert findings(files, "main.py") == []


def test_a_server_has_loaded_the_standard_library_before() -> None:
    assert findings({"main.py": "import logging\n", "string.py": ""}, "main") == []
    assert find_library_shadows.__doc__


@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_real_pythons_agree(tmp_path: Path, version: str) -> None:
    cases = [(files, False) for files, _text in _FAILING] + [(files, True) for files in _WORKING]
    for number, (files, works) in enumerate(cases):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run(
            [interpreter(version), "-E", "-B", "main.py"], cwd=tmp_path / str(number), capture_output=True, check=False
        )
        assert (done.returncode == 0) == works, files
