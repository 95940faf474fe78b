"""Whole modules as text of one file: what newer Pythons brought is replaced, and only what is there is imported."""

from __future__ import annotations

import ast

import pytest

from buildguard.project.cloudbuild.embed import LOADER, embed
from buildguard.project.cloudbuild.guard_step import _IMPORTS


def _texts() -> dict[str, str]:
    names = ast.parse(embed(_IMPORTS)).body[0]
    assert isinstance(names, ast.Assign)
    texts: dict[str, str] = ast.literal_eval(names.value)
    return texts


def test_modules_are_read_by_python_3_8() -> None:
    for name, text in _texts().items():
        tree = ast.parse(text, feature_version=(3, 8))
        assert not any(word in text for word in (".removesuffix", ".removeprefix", ": TypeAlias =")), name
        assert not any(
            alias.name == "StrEnum"
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "enum"
            for alias in node.names
        ), name


def test_a_module_imports_the_library_and_what_stands_before_it() -> None:
    before: set[str] = set()
    for name, text in _texts().items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("buildguard"):
                module = node.module or ""
                assert module in before or {f"{module}.{alias.name}" for alias in node.names} <= before, name
        before.add(name)


@pytest.mark.parametrize("end", ["", ".py", "y", "a.py!"])
def test_functions_for_older_versions(end: str) -> None:
    space: dict[str, object] = {"Enum": object, "str": str}
    functions = LOADER[LOADER.index("def removesuffix") : LOADER.index("def load_modules")]
    exec(functions, space)

    assert space["removesuffix"]("a.py", end) == "a.py".removesuffix(end)  # type: ignore[operator]
    assert space["removeprefix"]("a.py", end) == "a.py".removeprefix(end)  # type: ignore[operator]
