"""The syntax cases: what each real interpreter said of each file, and nothing else."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

from tests.conftest import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

# BG102, BG106 and BG107 beside the compiler's verdict; the versions are those of the targets that show it.
_TEXT = {
    ("BG102", "187_semantic_s_null_byte.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG102", "188_semantic_s_null_in_comment.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG102", "190_semantic_s_bad_utf8_comment.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG102", "191_semantic_s_bad_cookie.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG105", "022_fstring_bs_raw_rf.py"): "3.12 3.13",
    ("BG105", "118_tstring_t_raw.py"): "",
    ("BG105", "169_removed_r_num_kw.py"): "3.11 3.12 3.13",
    ("BG105", "170_removed_r_invalid_escape.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG106", "106_fstring_latin1_cookie_quote.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG106", "209_semantic_s_lfs_pointer.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
    ("BG107", "187_semantic_s_null_byte.py"): "3.8 3.9 3.10",
    ("BG107", "188_semantic_s_null_in_comment.py"): "3.8 3.9 3.10",
    ("BG107", "190_semantic_s_bad_utf8_comment.py"): "3.8 3.9 3.10 3.11 3.12 3.13",
}

# The releases that the table was measured with: 3.11.2 raises ValueError where 3.11.7 raises SyntaxError.
MEASURED = {
    "3.8": "3.8.18",
    "3.9": "3.9.18",
    "3.10": "3.10.13",
    "3.11": "3.11.7",
    "3.12": "3.12.1",
    "3.13": "3.13.0",
}


def test_verdicts_equal_the_interpreters(project: Callable[..., Project], version: str) -> None:
    made = project()
    shutil.copytree(CASES / "syntax", made.path, dirs_exist_ok=True)
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(rows) > 100

    report = made.check("--target", MEASURED[version], "--ignore", "BG2").json

    assert report["targets"][0]["interpreter"] == f"CPython {MEASURED[version]}"
    found = [
        (one["path"], one["line"], one["column"]) for one in report["diagnostics"] if one["code"] in {"BG101", "BG103"}
    ]
    expected = {(row["file"], int(row[version].split(":")[0]) or None) for row in rows if row[version] != "ok"}
    assert {(path, line) for path, line, _column in found} == expected
    assert len(found) == len(expected)
    assert report["unproven"] == []
    assert report["summary"]["files"] == len(rows)
    text = {(one["code"], one["path"]) for one in report["diagnostics"] if one["code"] in {"BG102", "BG106", "BG107"}}
    assert text == {key for key, versions in _TEXT.items() if key[0] != "BG105" and version in versions.split()}


def test_messages_are_the_interpreters_own(project: Callable[..., Project], version: str) -> None:
    made = project()
    shutil.copytree(CASES / "syntax", made.path, dirs_exist_ok=True)
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row[version] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}

    report = made.check("--target", MEASURED[version], "--ignore", "BG2").json

    for one in report["diagnostics"]:
        if one["code"] == "BG101":
            words = rows[one["path"]].split(": ", 1)[1].removesuffix(": ")
            assert one["message"] == words
