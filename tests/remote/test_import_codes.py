"""Imports that are read from compiled code are those of the syntax tree, guards and all; what is unclear is left to it."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import os
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import pytest

from buildguard.remote.import_codes import plain_exports, plain_reader
from buildguard.remote.import_facts import read_facts, read_tree
from buildguard.remote.import_pieces import ImportPieces
from buildguard.remote.module_code import ModuleCode, UnclearImportError

PLAIN = {
    "top": "import os, sys as s\nfrom . import a\nfrom ..b.c import (\n    d,\n    e as f,\n)  # g\nfrom h import *\n",
    "exports": '__all__ = [\n    "a",\n    "b",\n]\nimport os\n',
    "tuple": "__all__ = ('a', 'b')\nimport os\n",
    "function": "def f(a,\n      b):\n    import os\n    if a:\n        return 1\n    return 2\n",
    "method": "class A:\n    @property\n    def f(self):\n        from os import path\n\n        def g():\n            import re\n            return re\n",
    "after a test": "import sys\nif sys.platform == 'win32':\n    x = 1\nimport os\n",
    "early names": "x = 'import y'\nimport os\n",
}
UNCLEAR = {
    "try": "try:\n    import a\nexcept ImportError:\n    a = None\n",
    "if": "if x:\n    import a\n",
    "with in a function": "def f():\n    with (\n        suppress(ImportError)\n    ):\n        import a\n",
    "if in brackets": "def f():\n    if (\n        x\n    ):\n        import a\n",
    "one line": "if x: import a\n",
    "two in a line": "import a; import b\n",
    "a function under a test": "if x:\n    def f():\n        import a\n",
    "a class under a test": "try:\n    class A:\n        import a\nexcept ImportError:\n    pass\n",
    "after an early return": "def f():\n    if sys.platform != 'win32':\n        return\n    import winreg\n",
    "after an early raise": "if sys.platform != 'linux':\n    raise SystemExit\nimport fcntl\n",
    "after an exit": "import sys\nif sys.platform != 'linux':\n    sys.exit()\nimport fcntl\n",
    "continued": "if x: \\\nimport a\n",
    "path": "import sys\nsys.path.insert(0, 'lib')\nimport a\n",
    "call": "import importlib\nimportlib.import_module('a')\n",
    "no tuple": "__all__ = ('a')\nimport os\n",
    "exports twice": "__all__ = ['a']\n__all__ += ['b']\nimport os\n",
    "comprehension": "__all__ = [x for x in dir()]\nimport os\n",
    "carriage returns": "import a\rimport b\r",
}


@pytest.mark.parametrize("case", PLAIN)
def test_plain(case: str) -> None:
    assert _plain(PLAIN[case].encode()) == _by_tree(PLAIN[case].encode())


@pytest.mark.parametrize("case", UNCLEAR)
def test_unclear(case: str) -> None:
    assert _plain(UNCLEAR[case].encode()) is None


def test_what_the_compiler_copies_is_bound_once() -> None:
    """From 3.12 on the statements that end a module behind a `try` are compiled for each way out of it."""
    data = b"try:\n    from a import *\nexcept ImportError:\n    from b import *\n\n__all__ = ('x', 'y')\n"

    assert _by_tree(data)[1] == ["x", "y"]
    assert _by_tree(data + b"__all__ = made()\n")[1] is None
    assert _by_tree(data + b"def f():\n    global __all__\n    __all__ = made()\n")[1] is None


@pytest.mark.slow
def test_library() -> None:
    _compare(1)


def test_part_of_library() -> None:
    assert _compare(160) > 1  # a distribution leaves out the tests of the library


def _library() -> list[Path]:
    """The sources of the standard library; below it are thousands that were installed."""
    found: list[Path] = []
    for folder, folders, files in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = sorted({*folders} - {"site-packages", "__pycache__"})
        found += (Path(folder, name) for name in sorted(files) if name.endswith(".py"))
    return found


def _compare(step: int) -> int:
    """How many sources of the standard library are plain; each of them reads as its tree does."""
    plain = 0
    for file in _library()[::step]:
        data = file.read_bytes()
        if b"import" not in data:
            continue
        try:
            facts = _plain(data)
        except SyntaxError:
            continue
        if facts is not None:
            assert facts == _by_tree(data), file
            plain += 1
        elif b"sys.path" not in data and b"import_module" not in data:
            assert _facts(data) == _by_tree(data), file  # what is not read from a tree as well
    return plain


# Beside an import that needs a tree, what is read without one: functions and classes, and statements that name `__all__`.
MIXED = {
    "a function after a guard": "try:\n    import a\nexcept ImportError:\n    a = None\n\n\ndef f():\n    import b\n    return b\n",
    "a class before one": "class A:\n    x = 'y'\n\n    @property\n    def f(self):\n        from . import c\n        return c\n\n\nif x:\n    import d\n",
    "a constant below": "if X == 1:\n    import a\nX = 1\nif X == 1:\n    import b\n",
    "a class whose text is like an import": "try:\n    import a\nexcept ImportError:\n    pass\n\n\nclass A:\n    '''\n    from here on\n    '''\n    x = 1\n\n\nif x:\n    import b\n",
    "two classes in a line": "if x:\n    import a\nA = type('A', (), {}); f = lambda: 1\nclass B: x = 'import'\n",
    "exports in a class": "if x:\n    import a\n__all__ = ['a']\nclass B:\n    __all__ = ['b']\n    x = '''\nfrom here'''\nif x:\n    import b\n",
    "nothing below": "try:\n    import a\nexcept ImportError:\n    pass\nPY3 = True\nx = 'import'\n",
    "exports in a test": "import os\n__all__ = ['a']\nif x:\n    __all__ += ['b']\n",
    "exports with comments": "import os\n__all__ = [\n    'a',  # b\n]\n__all__.extend(['c'])\n",
    "exports of another": "import os\nfrom . import a\n__all__ = ['b']\n__all__ += a.__all__\n",
    "exports in a text": "import os\n__all__ = ['a']\nx = '''\n__all__ = ['b']\n'''\n",
    "exports under another name": "import os\n__all__ = ['a']\nx = __all__\nx.append('b')\n",
    "exports continued": "import os\n__all__ = \\\n['a']\n",
    "exports in a function": "import os\n__all__ = ['a']\ndef __dir__():\n    return __all__\n",
    "exports over two lines of a call": "import os\n__all__ = ['a']\n__all__.append(\n'b')\n",
}


@pytest.mark.parametrize("case", MIXED)
def test_mixed(case: str) -> None:
    assert _facts(MIXED[case].encode()) == _by_tree(MIXED[case].encode())


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("import sys\nimport os\n\nos.path.join(sys.argv[0]).append(1)\n", False),
        ("import os, sys\nx = []\nx.append(os.path.sep + sys.prefix)\n", False),
        ("import sys\nsys.path.append('lib')\n", True),
        ("import sys\n(sys\n .path.append('lib'))\n", True),
        ("import sys\n(sys  # the list\n .path).append('lib')\n", True),
        ("import sys\n(sys).path.append('lib')\n", True),
        ("import sys as s\ns.path.append('lib')\n", True),
        ("from sys import path\npath.append('lib')\n", True),
        ("import site\nsite.addsitedir('lib')\n", True),
    ],
)
def test_what_may_change_where_modules_are_found_needs_a_tree(text: str, is_path: bool) -> None:
    assert (plain_reader(_module(text.encode())) is None) is is_path


def test_what_a_class_assigns_is_no_constant_of_the_module() -> None:
    text = "class A:\n    debug = False\n\n\nif debug:\n    import a\n"

    assert [row[6] for row in _read(text.encode())["imports"]] == ["conditional"]


@pytest.mark.parametrize(
    "text",
    [
        # a constant that a function changes, and one that another function's `try` decides: no import of a later call knows them
        "debug = False\n\n\ndef set_up():\n    global debug\n    debug = True\n\n\ndef f():\n    if debug:\n        import a\n",
        # and one that a loop of the module binds
        "debug = False\nfor debug in flags:\n    pass\n\n\ndef f():\n    if debug:\n        import a\n",
        "def f():\n    try:\n        x = 1\n    except Exception:\n        x = 0\n\n\ndef g(x):\n    if x:\n        import a\n",
    ],
)
def test_a_late_import_is_conditional_under_what_may_change(text: str) -> None:
    data = text.encode()

    assert [row[6:8] for row in _read(data)["imports"]] == [["conditional", True]]
    assert [row[6:8] for row in _by_tree(data)[0]] == [["conditional", True]]


def _facts(data: bytes) -> object:
    facts = _read(data)
    return [row for row in facts["imports"] if row[6] != "false"], facts["exports"]


def _read(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_facts(data, compile(data, "<source>", "exec", dont_inherit=True), sys.version_info, "linux")


def _plain(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _module(data)
    exports = plain_exports(data, module.bindings()[1]) if b"__all__" in data else None
    reader: Any = plain_reader(module)
    try:
        split = None if reader is None else ImportPieces(reader)
    except UnclearImportError:
        return None
    calls = {"import_module", "__import__"} & module.names
    if split is None or split.pieces or calls or (exports is None and b"__all__" in data):
        return None
    return split.rows, exports


def _by_tree(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _module(data)
        reader: Any = read_tree(data, module, module.bindings()[1], (sys.version_info, "linux"), None)
    assert reader.paths is None or not reader.paths.rows
    rows = [row for row in reader.imports if row[6] != "false"]  # what never runs is not compiled
    return rows, reader.exports.names(module)


def _module(data: bytes) -> Any:
    return ModuleCode(data, compile(data, "<source>", "exec", dont_inherit=True))
