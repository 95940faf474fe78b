"""Names that a module binds in uncommon ways against the truth: real Pythons import them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildguard.imports.binding_nodes import NamedTree, names_bound_by, parse_source
from buildguard.imports.bindings import find_binding
from buildguard.imports.records import Bound, extract
from tests.conftest import ALL, VERSIONS, interpreter
from tests.imports.bindings import every_binding, make_bindings
from tests.imports.generated import Project, RealPython
from tests.imports.projects import TextProject, findings
from tests.imports.test_generated_projects import describe, judge_project

_SEEDS = range(3000 if ALL else 120)
_STEP = 1 if ALL else 61  # of each statement that binds with each that changes
_NAME_ERRORS = ("ImportError", "ModuleNotFoundError", "AttributeError: module")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def real(version: str, tmp_path: Path) -> Iterator[RealPython]:
    python = RealPython(interpreter(version), tmp_path)
    yield python
    python.close()


@pytest.mark.interpreters
def test_a_name_that_is_not_there_is_found_or_counted_as_undecided(real: RealPython, version: str) -> None:
    minor = int(version.partition(".")[2])
    seeds = [seed for seed in _SEEDS if ALL or seed % len(VERSIONS) == minor - 8]
    answers: Counter[str] = Counter()

    for project in [*(make_bindings(seed, minor) for seed in seeds), *list(every_binding(minor))[minor - 8 :: _STEP]]:
        answers[_compare(project, real, minor)] += 1

    assert min(answers["found"], answers["clean"]) > len(seeds) // 8, answers


def _compare(project: Project, real: RealPython, minor: int) -> str:
    outcome = real.start(project)
    result = judge_project(project, (3, minor))
    faults = {(item.module.location.file, item.row.line) for item in result.faults if item.certain}
    faults |= {
        (item.module.location.file, item.row.line)
        for item in result.outside
        if item.certain and item.row.module.startswith("missing")
    }
    undecided = {(item.file, item.line) for item in result.undecided}
    if outcome is None:
        assert not faults, describe(project, faults)
        return "undecided" if undecided else "clean"
    if not outcome.message.startswith(_NAME_ERRORS):
        return "another failure"
    place = (f"/srv/{outcome.file}", outcome.line)
    assert place in faults | undecided, describe(project, outcome)
    return "found" if place in faults else "undecided"


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("x = 1\ndel x\n", Bound.NO),
        ("import x\nif X:\n    del x\n", Bound.UNKNOWN),
        ("try:\n    f()\nexcept E as x:\n    pass\n", Bound.NO),
        ("x = 1\ntry:\n    f()\nexcept E as x:\n    pass\n", Bound.UNKNOWN),
        ("try:\n    import x\nexcept ImportError:\n    x = None\n", Bound.YES),
        ("try:\n    import x\nexcept ImportError:\n    raise SystemExit\n", Bound.YES),
        ("try:\n    import x\nexcept ImportError:\n    sys.exit(1)\n", Bound.YES),
        ("try:\n    import x\nexcept ImportError:\n    pass\n", Bound.UNKNOWN),
        ("try:\n    X = 1\n    import y\nexcept ImportError:\n    y = 1\nx = X\n", Bound.YES),
        ("if X:\n    x = 1\nelse:\n    def x(): pass\n", Bound.YES),
        ("if X:\n    x = 1\n", Bound.UNKNOWN),
        ("import sys\nif sys.version_info < (3, 9):\n    x = 1\n", Bound.NO),
        ("import sys\nif sys.version_info >= (3, 9):\n    x = 1\n", Bound.YES),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1\n", Bound.NO),
        ("if __name__ == '__main__':\n    x = 1\n", Bound.NO),
        ("for x in (1, 2):\n    pass\n", Bound.YES),
        ("for x in ():\n    pass\n", Bound.NO),
        ("for x in X:\n    pass\n", Bound.UNKNOWN),
        ("while True:\n    if X:\n        x = 1\n        break\n", Bound.YES),
        ("while True:\n    if X:\n        break\n    x = 1\n", Bound.UNKNOWN),
        ("with open('a') as x:\n    pass\n", Bound.YES),
        ("with open('a'):\n    f()\n    x = 1\n", Bound.YES),
        ("with X:\n    f()\n    x = 1\n", Bound.UNKNOWN),
        ("def f():\n    global x\n    x = 1\n", Bound.UNKNOWN),
        ("def f():\n    global x\n    x = 1\nf()\n", Bound.YES),
        ("def f():\n    global x\n    if X:\n        return\n    x = 1\nf()\n", Bound.UNKNOWN),
        ("x = 1\ndef f():\n    global x\n    del x\n", Bound.UNKNOWN),
        ("class A:\n    global x\n    x = 1\n", Bound.YES),
        ("y = [x := z for z in X]\n", Bound.UNKNOWN),
        ("y = X and (x := 1)\n", Bound.UNKNOWN),
        ("y = (x := 1) and X\n", Bound.YES),
        ("match X:\n    case 1:\n        x = 1\n    case _:\n        x = 2\n", Bound.YES),
        ("match X:\n    case [x]:\n        pass\n", Bound.UNKNOWN),
        ("for y in (1,):\n    try:\n        break\n    finally:\n        x = 1\n", Bound.YES),
        ("x = (\n", Bound.UNKNOWN),
    ],
)  # fmt: skip
def test_the_statements_of_a_module_are_followed(source: str, bound: Bound) -> None:
    assert find_binding(source.encode(), "x", (3, 11), lambda _module, _level: Bound.NO) is bound


def test_functions_without_a_name_decide_nothing_about_it() -> None:
    source = b"def f():\n    return 1\n\n\nif X:\n    x = 1\n\n\nclass A:\n    x = 2\n"

    kept = NamedTree(source, "x").tree.body

    assert [name for node in kept for name in names_bound_by(node)] == ["A"]
    assert [node.lineno for node in kept] == [5, 9]
    assert len(NamedTree(b"def f():\n    global x\n", "y").tree.body) == 1


def test_only_names_without_a_sure_statement_are_followed() -> None:
    source = (
        "import a, b as c\nfrom d import (\n    e,\n)\nf: int = 1\ng = h = 2\ndef i(): pass\n@X\nclass j: pass\n"
        "if X:\n    k = 1\nl = 1\ndel l\nm = 1; n = 2\n(o := 1)\nX and (\np := 1)\nwhile X: q = 1\n"
    )
    facts = extract(source.encode(), (3, 11))

    assert facts is not None
    assert facts.unsure == {*"klmnopq"}
    assert extract(b"x = 1\nvars().pop('x')\n", (3, 11)).unsure == {"*"}  # type: ignore[union-attr]
    assert extract(b"import sys\nx = 1\nsys.modules[__name__] = X\n", (3, 11)).unsure == {"*"}  # type: ignore[union-attr]


def test_a_module_that_its_package_imports_by_name_is_reached() -> None:
    files = {
        "main.py": "import app\n",
        "app/__init__.py": "from . import alpha\n",
        "app/alpha.py": "from app import gone\n",
    }

    (line,) = findings(files)

    assert line.startswith("error app/alpha.py:1 cannot import name 'gone'")
    assert line.endswith("(main → app → app.alpha)")


def test_a_source_is_parsed_once_for_many_names_and_calls_of_it_count_for_each() -> None:
    names = [f"x{number}" for number in range(30)]
    source = "if len(__name__):\n    " + "; ".join(f"{name} = 1" for name in names) + "\n"
    source += "def f():\n    global x0\n    def g():\n        global x1\n        del x1\n"
    parse_source.cache_clear()

    answers = {name: find_binding(source.encode(), name, (3, 11), lambda *_: Bound.NO) for name in names}

    assert parse_source.cache_info().misses == 1
    assert set(answers.values()) == {Bound.UNKNOWN}


def test_a_star_import_needs_every_name_in_all() -> None:
    files = {"main.py": "from a import *\n", "a.py": "__all__ = ['x', 'y']\nx = 1\n"}

    assert findings(files) == ["error main.py:1 cannot import name 'y': a.py names it in __all__, and never binds it"]


def test_a_name_that_is_deleted_again_says_where_it_was_bound() -> None:
    (line,) = findings({"main.py": "from a import x\n", "a.py": "\nx = 1\ndel x\n"})

    assert line == (
        "error main.py:1 cannot import name 'x': a.py binds it in line 2, and deletes it again or does not run that line here"
    )


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": "from a import x\n", "a.py": "if len(__name__) > 99:\n    x = 1\n"},
        {"main.py": "import c\nfrom b import x\n", "c.py": "import a\n", "a.py": "from b import *\nx = 1\n", "b.py": "from a import *\n"},
        {"main.py": "from a import *\n", "a.py": "__all__ = [name for name in dir()] + ['gone']\n"},
        {"main.py": "import a\n", "a.py": "if len(__name__) < 99:\n    from b import y\nx = 1\n", "b.py": "from a import x\ny = 1\n"},
        {"main.py": "import a\n", "a.py": "x = 1\nif len(__name__) < 99:\n    del x\nimport b\n", "b.py": "from a import x\n"},
    ],
)  # fmt: skip
def test_what_only_a_run_decides_is_counted(files: dict[str, str]) -> None:
    result = TextProject(files).judge()

    assert result.findings == {}
    assert result.undecided
