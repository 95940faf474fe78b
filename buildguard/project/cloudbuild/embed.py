"""Puts whole modules of ours into one file as text, for a Python that is older than this one.

A module that only has to be read, in a file that people review, is stripped of comments; what newer Pythons brought is
replaced by what the loader of the file defines.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from buildguard.project.cloudbuild.assemble import strip_comments

# What the loader puts into each module in place of what Python 3.8 lacks.
LOADER = '''
def removesuffix(text, end):
    """`str.removesuffix` for older versions."""
    return text[: len(text) - len(end)] if end and text.endswith(end) else text


def removeprefix(text, start):
    """`str.removeprefix` for older versions."""
    return text[len(start) :] if text.startswith(start) else text


def load_modules():
    """The modules below, loaded from this file: nothing of the working folder is imported."""
    for name in ("buildguard", "buildguard.imports", "buildguard.remote"):
        sys.modules[name] = ModuleType(name)
    for name, text in MODULES.items():
        module = sys.modules[name] = ModuleType(name)
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)
        module.__dict__.update(removesuffix=removesuffix, removeprefix=removeprefix)
        exec(compile(text, name, "exec", 0, True), module.__dict__)
    return sys.modules[name]
'''
_METHODS = frozenset({"removesuffix", "removeprefix"})
_NEWER = (
    (re.compile(r"^from typing import TypeAlias\n|, TypeAlias\b", re.MULTILINE), ""),
    (re.compile(r": TypeAlias = "), " = "),
    (re.compile(r"\(Container\[str\]\)"), "(Container)"),
)


@functools.cache
def embed(modules: tuple[str, ...]) -> str:
    """The text that defines MODULES: some modules in their order, by dotted name; the last is what the loader returns."""
    pieces = ["# Each module of ours that judges imports, without its comments.\nMODULES = {\n"]
    for name in modules:
        text = _text_of(name, modules)
        if "'''" in text:
            raise ValueError(f"{name} cannot be written between three quotes")
        pieces.append(f"    {name!r}: r'''{text}''',\n")
    return "".join(pieces) + "}\n"


def _text_of(name: str, modules: Sequence[str]) -> str:
    file = Path(__file__).parents[3].joinpath(*name.split(".")).with_suffix(".py")
    source = _with_functions(strip_comments(_without_docstring(file.read_text("utf-8"))))
    for pattern, replacement in _NEWER:
        source = pattern.sub(replacement, source)
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and not _is_known(node, modules):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "".join(lines)


def _without_docstring(source: str) -> str:
    first = ast.parse(source).body[0]
    return "".join(source.splitlines(keepends=True)[first.end_lineno :])


def _is_known(node: ast.ImportFrom, modules: Sequence[str]) -> bool:
    """Whether an import leads to the standard library, or to one of the modules."""
    module = node.module or ""
    if not module.startswith("buildguard"):
        return True
    return module in modules or all(f"{module}.{alias.name}" in modules for alias in node.names)


def _with_functions(source: str) -> str:
    """`text.removesuffix(end)` as `removesuffix(text, end)`, and the same for prefixes."""
    if not any(f".{method}" in source for method in _METHODS):
        return source
    while (call := next(_newer_calls(source), None)) is not None:
        old = ast.get_source_segment(source, call) or ""
        assert isinstance(call.func, ast.Attribute)
        text = ast.get_source_segment(source, call.func.value)
        end = ast.get_source_segment(source, call.args[0])
        source = source.replace(old, f"{call.func.attr}({text}, {end})")
    return source


def _newer_calls(source: str) -> Iterator[ast.Call]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    yield from (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS)
