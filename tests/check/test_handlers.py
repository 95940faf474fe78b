"""Imports in the handlers of a `try`: a real Python executes each program, and `check` finds the ones that fail."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.conftest import Project, interpreter

# Of every version, of new ones, of old ones, and of none.
_IMPORTS = (
    "import json",
    "import tomllib",
    "import zoneinfo, cgi",
    "from typing import Self",
    "from typing import TypeForm",
)
_FORMS = {
    "handler": "try:\n    {0}\nexcept ImportError:\n    {1}\n",
    "both": "try:\n    {0}\n    {1}\nexcept ImportError:\n    {2}\n",
    "any exception": "try:\n    {0}\nexcept:\n    {1}\n",
    "no module": "try:\n    {0}\nexcept ModuleNotFoundError:\n    {1}\n",
    "other handler": "try:\n    {0}\nexcept ImportError:\n    pass\nexcept OSError:\n    {1}\n",
    "first of two": "try:\n    {0}\nexcept (OSError, ImportError):\n    {1}\nexcept Exception:\n    {2}\n",
    "nested": "try:\n    {0}\nexcept ImportError:\n    try:\n        {1}\n    except ImportError:\n        {2}\n",
    "nested in no module": "try:\n    {0}\nexcept ImportError:\n    try:\n        {1}\n    except ModuleNotFoundError:\n        {2}\n",
    "else": "try:\n    {0}\nexcept ImportError:\n    pass\nelse:\n    {1}\n",
    "else of a handler": "try:\n    {0}\nexcept ImportError:\n    try:\n        {1}\n    except ImportError:\n        pass\n    else:\n        {2}\n",
    "version": "import sys\ntry:\n    {0}\nexcept ImportError:\n    if sys.version_info < (3, 9):\n        {1}\n",
    "raises": "try:\n    {0}\nexcept ImportError:\n    {1}\n    raise\n",
    "class": "class A:\n    try:\n        {0}\n    except ImportError:\n        {1}\n",
    "after others": "try:\n    x = 1\n    {0}\nexcept ImportError:\n    {1}\n",
}
# What only running it shows is no finding: none of these is wrong, and what they find is less than what fails.
_UNSURE = ("raises", "after others")
_RUN = """
import json, sys
failed = []
for name, source in json.load(sys.stdin).items():
    try:
        exec(compile(source, name, "exec"), {"__name__": "module"})
    except BaseException:
        failed.append(name)
print(json.dumps(failed))
"""


def _programs() -> Iterator[tuple[str, str]]:
    for form, text in _FORMS.items():
        for number, chosen in enumerate(product(_IMPORTS, repeat=text.count("{"))):
            yield f"{form.replace(' ', '_')}_{number}.py", text.format(*chosen)


@pytest.mark.interpreters
def test_what_fails_in_a_handler_is_found(repository: Callable[..., Project], version: str) -> None:
    programs = dict(_programs())
    project = repository(programs)
    ran = subprocess.run(
        [interpreter(version), "-I", "-S", "-c", _RUN],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=True,
    )

    found = project.check("--target", version).json["diagnostics"]

    failed = set(json.loads(ran.stdout))
    errors = {row["path"] for row in found if row["severity"] == "error"}
    unsure = {name for name in programs if name.startswith(tuple(form.replace(" ", "_") for form in _UNSURE))}
    assert errors - failed == set()
    assert failed - errors <= unsure
    assert failed - unsure
