"""Runs `-c TEXT` as an interpreter would, and tells coverage where each line of a text that we put together came from.

The step file and the driver are made of modules of ours, which never run as modules there. While coverage is measured
(`interpreting` says so), 3.11's part of their tests runs through this script: every definition is compiled from the
module that it was taken from, once it is found to be the same.
"""

from __future__ import annotations

import ast
import builtins
import copy
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any

_PACKAGE = Path(__file__).parents[1] / "buildguard"
_PARTS = ("remote/*.py",)
_KEY = "COVERAGE_PROCESS_CONFIG"


def interpreting(version: str, executable: Path) -> tuple[list[str], dict[str, str]]:
    """What runs `-I -S -B -c` under a version, and what that needs in its environment."""
    if version == "3.11" and _KEY in os.environ and sys.version_info[:2] == (3, 11):
        return [sys.executable, "-I", __file__], {_KEY: os.environ[_KEY]}
    return [str(executable)], {}


def _originals() -> dict[str, tuple[str, ast.stmt]]:
    """Every definition of the parts by what it says, with its module's file."""
    return {
        _said(node): (str(file), node)
        for pattern in _PARTS
        for file in _PACKAGE.glob(pattern)
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def _said(node: ast.AST) -> str:
    """A definition without its docstrings, which do not travel with the driver."""
    bare = copy.deepcopy(node)
    for one in ast.walk(bare):
        if isinstance(one, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(one, clean=False) is not None:
            one.body = one.body[1:] or [ast.Pass()]
    return ast.dump(bare)


def _placed(code: CodeType, files: dict[tuple[str, int], str]) -> CodeType:
    """The same code, with the definitions in the files that they came from."""
    return code.replace(
        co_consts=tuple(
            _moved(one, files[one.co_name, one.co_firstlineno])
            if isinstance(one, CodeType) and (one.co_name, one.co_firstlineno) in files
            else one
            for one in code.co_consts
        )
    )


def _moved(code: CodeType, file: str) -> CodeType:
    consts = tuple(_moved(one, file) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_filename=file, co_consts=consts)


def compiled(source: Any, name: Any, *rest: Any) -> Any:
    """The built-in `compile`, but for the two texts of ours."""
    if str(name) != "driver" and not str(name).endswith("verify.py"):
        return builtins.compile(source, name, *rest)
    tree, originals = ast.parse(source), _originals()
    files: dict[tuple[str, int], str] = {}
    for at, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _said(node) in originals:
            file, tree.body[at] = originals[_said(node)]
            first = tree.body[at].decorator_list[0].lineno if tree.body[at].decorator_list else tree.body[at].lineno
            files[node.name, first] = file
    return _placed(builtins.compile(tree, name, "exec"), files)


if __name__ == "__main__":
    text = sys.argv[sys.argv.index("-c") + 1]
    sys.argv = ["-c", *sys.argv[sys.argv.index("-c") + 2 :]]
    exec(text, {"__name__": "__main__", "compile": compiled})
