"""`lazy import` of Python 3.15, as that Python itself reads it; a statement that is not known is never read as clean."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from buildguard.diagnostic import Severity
from buildguard.imports.execution import runs_at_import
from buildguard.imports.records import FileReach, extract, facts_from
from buildguard.imports.standard_imports import severity_of
from buildguard.remote import import_facts, import_reader, module_code
from tests.remote.running import newer_facts_of

_LAZY = "lazy import missing\nlazy from other import name\nimport os\n"


@pytest.mark.slow
@pytest.mark.interpreters
def test_a_lazy_import_is_late_as_the_real_python_reads_it(tmp_path: Path) -> None:
    version, answers = newer_facts_of(
        "3.15", [_LAZY, "import os\ntry:\n    import a\nfinally:\n    import b\n"], tmp_path
    )

    assert version.startswith("3.15.")
    (verdict, text), (_verdict, plain) = answers
    assert facts_from(plain.encode()) is not None
    assert verdict == "read", text
    facts = facts_from(text.encode())
    assert facts is not None
    assert [(row.module, row.lazy) for row in facts.imports] == [("missing", True), ("other", True), ("os", False)]
    first = facts.imports[0]
    assert not runs_at_import(first, is_main=False)
    assert severity_of(first, FileReach(certain=True)) is Severity.WARNING


def test_a_tree_is_read_where_code_says_more_of_an_import_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import a\nfrom b import c\ndef f():\n    if x:\n        import d\n"
    expected = extract(text.encode(), (3, 11))
    read: list[object] = []

    def operands(_code: object, _operations: bytes, operation: int) -> list[tuple[str, int]]:
        read.append(operation)
        return []

    monkeypatch.setattr(module_code, "NEWEST", (3, 0))
    monkeypatch.setattr(module_code, "operands", operands)

    facts = extract(text.encode(), (3, 11))

    assert facts is not None
    assert expected is not None
    assert facts.imports == expected.imports
    assert module_code.OPERATIONS["IMPORT_NAME"] not in read


@pytest.mark.parametrize(
    "text",
    ["import a\n", "try:\n    import a\nexcept ImportError:\n    pass\n", "try:\n    x = 1\nfinally:\n    import a\n"],
)
def test_an_import_in_a_statement_that_is_not_known_leaves_the_file_undecided(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_facts, "plain_reader", lambda *_rest: None)
    assert extract(text.encode(), sys.version_info[:2]) is not None
    monkeypatch.delitem(import_reader.READERS, ast.Import)

    assert extract(text.encode(), sys.version_info[:2]) is None
