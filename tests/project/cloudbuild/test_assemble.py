"""Modules of the package as one file: imports once, only the definitions that are wanted, and no comments if asked."""

from __future__ import annotations

import ast

from buildguard.project.cloudbuild.assemble import assemble, strip_comments

_PART = ("project/cloudbuild/durations.py", frozenset({"parse_duration", "_GO"}))
_NAMES = ("remote/source_names.py", frozenset[str]())


def _defined(source: str) -> set[str]:
    tree = ast.parse(source)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    return functions | {target.id for target in targets if isinstance(target, ast.Name)}


def test_only_what_is_wanted() -> None:
    source = assemble([_PART])

    assert _defined(source) == {"parse_duration", "_GO", "_PART", "_UNITS"}
    assert source.startswith("import re\n")


def test_what_the_wanted_names_use_comes_along() -> None:
    source = assemble([("project/cloudbuild/durations.py", frozenset({"parse_duration"}))])

    assert _defined(source) == {"parse_duration", "_GO", "_PART", "_UNITS"}
    scope: dict[str, object] = {}
    exec(compile(source, "part.py", "exec"), scope)
    parse = scope["parse_duration"]
    assert callable(parse)
    assert parse("2m") == 120


def test_an_empty_set_takes_everything_and_imports_stand_once() -> None:
    source = assemble([_PART, ("project/cloudbuild/durations.py", frozenset()), _NAMES])

    assert {"as_json_duration", "is_json_duration", "_UNITS"} <= _defined(source)
    assert source.count("import re\n") == 1
    assert "buildguard" not in "".join(line for line in source.splitlines() if line.startswith(("import", "from")))


def test_a_part_runs_by_itself() -> None:
    scope: dict[str, object] = {}
    source = assemble([("project/cloudbuild/durations.py", frozenset())])

    exec(compile(source, "part.py", "exec"), scope)

    parse = scope["parse_duration"]
    assert callable(parse)
    assert parse("2m") == 120


def test_comments_and_docstrings_go_and_the_code_stays() -> None:
    source = '"""Head."""\n# one\nx = "# kept"  # two\n\n\ndef f():\n    """Only a docstring."""\n\n\nclass C:\n    """Doc."""\n\n    a = 1\n'

    stripped = strip_comments(source)

    assert stripped == '"""Head."""\nx = "# kept"\ndef f():\n    pass\nclass C:\n    a = 1\n'
    assert ast.dump(ast.parse(strip_comments(stripped))) == ast.dump(ast.parse(stripped))
