"""The f-strings of all syntax cases, on the command line."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

from tests.conftest import CASES, Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable


def test_every_case_for_every_target(project: Callable[..., Project], version: str) -> None:
    """Exactly the files that 3.12 accepts and an older Python refuses because of an f-string."""
    made = project()
    shutil.copytree(CASES / "syntax", made.path, dirs_exist_ok=True)
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    interpreter(version)
    refused = {row["file"] for row in rows if row[version] != "ok" and "fstring" in row["file"]}
    expected = {row["file"] for row in rows if row["file"] in refused and row["3.12"] == "ok"}
    # what no Python takes, for nesting too deep
    expected |= {"109_fstring_nested_160.py"}

    codes = made.check("--target", version).codes()

    found = {path for path, of_file in codes.items() if path and set(of_file) & {f"BG20{n}" for n in "123467"}}
    assert found == expected
    for path in expected:
        assert "BG101" not in codes[path]
