"""Puts modules of ours together as one file, from slices of their source.

Never from `ast.unparse`: it writes for the Python that runs it, and 3.12 reuses the quotes of an f-string inside of it.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

# A module of the package, and the names that are taken from it with what they use there; none for all of them.
Part = tuple[str, frozenset[str]]
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.DEDENT, tokenize.ENDMARKER}


def assemble(parts: Sequence[Part]) -> str:
    """The definitions of some modules in their order, after one import of each module that they need.

    What the parts take from each other is found by being in one file.
    """
    package = Path(__file__).parents[2]
    imports: set[str] = set()
    pieces: list[str] = []
    for name, wanted in parts:
        source = (package / name).read_text("utf-8")
        tree = ast.parse(source)
        imports.update(_imports(tree))
        pieces.append(f"\n\n# {'-' * 40} {name.rpartition('/')[2].removesuffix('.py')}\n\n")
        pieces += _definitions(source, tree, wanted)
    return "\n".join(sorted(imports, key=lambda line: (line.startswith("from"), line))) + "\n" + "".join(pieces)


def strip_comments(source: str) -> str:
    """A source without docstrings, comments and blank lines."""
    lines = source.splitlines(keepends=True)
    kept: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
        elif token.type not in _LAYOUT:
            kept.update(range(row, token.end[0] + 1))
    for docstring, alone in _docstrings(ast.parse(source)):
        kept.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
        if alone:
            kept.add(docstring.lineno)
            lines[docstring.lineno - 1] = " " * docstring.col_offset + "pass\n"
    return "".join(lines[row - 1] for row in sorted(kept))


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Every docstring of a function or class, and whether nothing else is in its body."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            yield node.body[0], len(node.body) == 1


def _imports(tree: ast.Module) -> Iterator[str]:
    """What a part takes from the standard library, types aside."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield "import " + ", ".join(map(_imported, node.names))
        elif isinstance(node, ast.ImportFrom) and node.module not in {None, "__future__"}:
            names = [_imported(alias) for alias in node.names if alias.name != "TYPE_CHECKING"]
            if names and not str(node.module).startswith("buildguard"):
                yield f"from {node.module} import {', '.join(names)}"


def _imported(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _definitions(source: str, tree: ast.Module, wanted: Collection[str]) -> Iterator[str]:
    """The text of what a part defines, comments above it included; all of it, or what is wanted."""
    lines = source.splitlines(keepends=True)
    wanted = _with_used(source, tree, wanted)
    before = 0
    for node in tree.body:
        last = node.end_lineno or node.lineno
        name = _name_of(source, node)
        if name in wanted if wanted else name:
            yield "".join(lines[before:last])
        before = last


def _with_used(source: str, tree: ast.Module, wanted: Collection[str]) -> set[str]:
    """The wanted names, and those of the same module that their definitions use, and so on."""
    uses = {
        _name_of(source, node): {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        for node in (tree.body if wanted else ())
    }
    reached: set[str] = set()
    pending = [*wanted]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += uses.get(name, set()) & uses.keys()
    return reached


def _name_of(source: str, node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.Assign):  # in 3.11 this walks the whole source, letter by letter
        return ast.get_source_segment(source, node.targets[0]) or ""
    return ""
