"""What a source changes in `sys.path`: the folders that are known, and everything else as unknown."""

from __future__ import annotations

import pytest

from buildguard.imports.records import extract
from buildguard.remote.import_paths import may_change_paths

_HEAD = "import os, sys, site, pathlib\nfrom os.path import dirname, join\nfrom pathlib import Path\nHERE = dirname(__file__)\n"


def _folders(text: str, version: tuple[int, int] = (3, 13)) -> list[str | None]:
    facts = extract((_HEAD + text + "\nimport last\n").encode(), version)
    assert facts is not None
    return [change.folder for change in facts.paths]


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("sys.path += ['a', HERE]", ["a", "@"]),
        ("sys.path.extend([join(HERE, 'a'), 'b'])", ["@/a", "b"]),
        ("sys.path.extend(('a',))", ["a"]),
        ("sys.path = ['a'] + sys.path", ["a"]),
        ("sys.path = sys.path[:] + ['a']", ["a"]),
        ("sys.path = [HERE, *sys.path]", ["@"]),
        ("sys.path = list(sys.path) + ['a']", ["a"]),
        ("sys.path[0:0] = ['a']", ["a"]),
        ("sys.path[:0] = ['a']", ["a"]),
        ("sys.path[1:1] = [join(HERE, '..')]", ["@/.."]),
        ("sys.path[len(sys.path):] = ['a']", ["a"]),
        ("from sys import path\npath.append('a')", ["a"]),
        ("import sys as s\ns.path.append('a')", ["a"]),
        ("x = sys.path.append('a') or 1", ["a"]),
        ("if 'a' not in sys.path: sys.path.append('a')", ["a"]),
        ("sys.path.append(os.getcwd())", ["."]),
        ("sys.path.append(str(Path.cwd() / 'a'))", ["./a"]),
        ("sys.path.append(str(Path(__file__).parent.joinpath('a', 'b')))", ["@/a/b"]),
        ("site.addsitedir(Path(__file__).parent)", ["@"]),
        ("if sys.version_info < (3,): sys.path.append(x)", []),
    ],
)
def test_folders_that_are_known(text: str, folders: list[str]) -> None:
    assert _folders(text) == folders
    assert _folders(text, (3, 8)) == folders


@pytest.mark.parametrize(
    "text",
    [
        "sys.path = ['a']",
        "sys.path[0] = 'a'",
        "sys.path[:] = ['a']",
        "sys.path[0:1] = ['a']",
        "sys.path.remove('a')",
        "sys.path.pop(0)",
        "del sys.path[0]",
        "sys.path *= 2",
        "sys.path += x",
        "sys.path.extend(x)",
        "sys.path.insert(0)",
        "sys.path.append(x)",
        "[sys.path.append(join(HERE, d)) for d in ('a',)]",
        "for d in ('a',): sys.path.append(d)",
        "p = sys.path\np.append('a')",
        "add = sys.path.append\nadd('a')",
        "def add(p): p.append('a')\nadd(sys.path)",
        "(x := sys.path)",
        "os.chdir('a')\nsys.path.insert(0, '')",
    ],
)
def test_what_is_not_understood_is_an_unknown_folder(text: str) -> None:
    assert _folders(text) == [None]
    assert _folders(text, (3, 8)) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "for p in sys.path: print(p)",
        "x = 'a' in sys.path",
        "x = sys.path[0], sys.path[1:]",
        "x = len(sys.path) + sys.path.index('a')",
        "x = [p for p in sys.path if p]",
        "x = f'{sys.path}' + os.pathsep.join(sys.path)",
        "x = ['a'] + sys.path",
        "def f(path=sys.path): return [*sys.path]",
        "x = {'path': sys.path}",
        "if sys.path and not sys.path: assert sys.path",
        "x = sys.path_hooks\nx.append(1)",
    ],
)
def test_what_reads_the_path_changes_nothing(text: str) -> None:
    changes = [folder for folder in _folders(text) if folder is not None]

    assert changes == []
    if "and not" not in text:
        assert _folders(text) == []


@pytest.mark.parametrize(
    "expression",
    [
        "Path(__file__).parent / 'a'",
        "pathlib.Path('a')",
        "Path(x)",
        "Path(__file__).resolve().parents[1]",
        "Path.cwd()",
        "ROOT",
        "ROOT / 'a'",
        "'a' / ROOT",
    ],
)
def test_an_object_of_pathlib_adds_no_folder(expression: str) -> None:
    """The import system passes over what is no text."""
    root = "ROOT = Path(__file__).resolve().parent\n"

    assert _folders(f"{root}sys.path.append({expression})") == []
    assert _folders(f"{root}sys.path += [{expression}]") == []
    assert len(_folders(f"{root}sys.path.append(str({expression}))")) == 1


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("def add(): sys.path.append(HERE)\nadd()", "@"),
        ("def add():\n    here = Path(__file__).parent\n    sys.path.append(str(here / 'a'))\nadd()", "@/a"),
        ("def add():\n    name = 'a'\n    sys.path.append(name)\nadd()", "a"),
        ("class A:\n    def add(self): sys.path.append(HERE)\nA().add()", "@"),
        ("def add(): sys.path.append(HERE)", None),  # whoever calls it
        ("def add(HERE): sys.path.append(HERE)\nadd(1)", None),
        ("def add():\n    name = 'a'\n    name = x\n    sys.path.append(name)\nadd()", None),
        ("def add():\n    for HERE in x: sys.path.append(HERE)\nadd()", None),
        ("def add():\n    here = 'a'\nadd()\nsys.path.append(here)", None),
    ],
)
def test_a_function_adds_a_folder(text: str, folder: str | None) -> None:
    assert _folders(text) == [folder]


def test_a_long_class_keeps_what_changes_the_path() -> None:
    other = "".join(
        f"    def f{number}(self):\n        return os.path.join('x', '{number}')\n\n" for number in range(20)
    )
    source = f"class A:\n{other}    def add(self):\n        sys.path.append('a')\n\n    def late(self):\n        import x\n\nA().add()"

    assert _folders(source) == ["a"]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("import os, sys\nfor p in sys.path: os.path.join(p)\n", False),
        ("import os, sys\nprint(os.path.join(sys.path[0]), 'a' in sys.path)\n", False),
        ("import os\nfrom sys import argv\nos.path.join(argv[0])\n", False),
        ("from sys import path\n", True),
        ("import sys\nsys.path += x\n", True),
        ("import sys\nsys.path[0:0] = x\n", True),
        ("import sys\nsys.path.extend(x)\n", True),
        ("import sys\ndel sys.path[0]\n", True),
        ("import sys\np = sys.path\n", True),
        ("import sys\nadd(sys.path)\n", True),
    ],
)
def test_which_sources_need_a_tree_for_it(text: str, may: bool) -> None:
    code = compile(text, "x", "exec")
    names = frozenset(code.co_names)

    assert may_change_paths(text.encode(), names) is may
