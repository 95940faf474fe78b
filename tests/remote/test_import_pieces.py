"""Guarded imports are read from the statements around them alone, and as a tree of the whole source shows them."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import ast
import sys
import warnings
from typing import Any

import pytest

from buildguard.remote import import_facts, import_outline, import_reader
from buildguard.remote.import_codes import plain_reader
from buildguard.remote.import_facts import read_facts, read_pieces, tree_facts
from buildguard.remote.import_pieces import ImportPieces, NameOrigins
from buildguard.remote.module_code import ModuleCode, UnclearImportError

_TARGET: Any = (sys.version_info, "linux")
_READ: Any = read_pieces
_OUTLINE: Any = import_outline
_READER: Any = import_reader  # written for old Pythons, without annotations

PIECES = {
    "type checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import b\nimport c\n",
    "type checking by another name": "from typing import TYPE_CHECKING as T\nif T:\n    from a import b\nimport c\n",
    "type checking of a module": "import typing as t\n\nif t.TYPE_CHECKING:\n    import a\nelse:\n    import b\n",
    "type checking of the project": "from .compat import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n",
    "try": "import os\ntry:\n    import a\nexcept ImportError:\n    a = None\nelse:\n    import b\nif a:\n    import c\n",
    "a caught name": "try:\n    import a\n    HAS_A = True\nexcept ImportError:\n    HAS_A = False\n\n\ndef f():\n    if HAS_A:\n        import b\n",
    "version": "import sys\nif sys.version_info >= (3, 5):\n    import a\nelse:\n    import b\n",
    "platform": "import sys as s\nx = 1\nif s.platform == 'win32':\n    import winreg\n",
    "main": "import a\n\n\ndef f():\n    return 1\n\n\nif __name__ == '__main__':\n    import b\n    b.run(f)\n",
    "suppress": "from contextlib import suppress\nwith suppress(ImportError):\n    import a\n",
    "suppress of a module": "import contextlib\n\nwith contextlib.suppress(ImportError):\n    import a\n",
    "a function": "import sys\n\n\n@wraps(f)\ndef g(a,\n      b=1):\n    '''text\nat the margin'''\n    if a:\n        from x import y\n    return y\n",
    "a method": "class A:\n    '''It's.'''\n    x = 1\n\n    @property\n    def f(self):\n        try:\n            import a\n        except ImportError:\n            return None\n        return a\n\n    async def g(self):\n        import b\n        return b\n",
    "a method of another indent": "class A:\n  def f(self):\n      if self.x:\n          import a\n      return a\n  def g(self): pass\nx = 1\n",
    "a class under a test": "if x():\n    class A:\n        import a\n",
    "an import in a class": "class A:\n    import a\n    def f(self):\n        if x:\n            import b\n",
    "a nested class": "class A:\n    class B:\n        def f(self):\n            if x:\n                import a\n",
    "comments and continued lines": "if (x and\n        y):  # why\n# at the margin\n    import a\n\nelif z: import b\nelse:\n    pass\nimport c\n",
    "other characters": "# ü\nif x:\n    'äöü'; import a; 'ä'; import b\nimport ä\n",
    "after a return": "def f():\n    if x:\n        return\n    import winreg\n    return winreg\n",
    "after an exit in a function": "import sys\n\n\ndef f():\n    sys.exit(1)\n    import a\n",
    "an exit at the end": "import sys\nif x:\n    import a\nif __name__ == '__main__':\n    sys.exit(main())\n",
    "a raise in a handler": "try:\n    import a\nexcept ImportError as e:\n    raise RuntimeError from e\nimport b\n",
    "a constant of the statement": "import sys\nif x:\n    import a\n    if sys.version_info > (2,):\n        NEW = True\nelse:\n    import b\n",
    "exports in a guard": "import sys\nif sys.version_info >= (3, 5):\n    from a import b\n    __all__ = ['b']\nelse:\n    __all__ = []\n",
    "a global": "def f():\n    global X\n    X = 1\nif X:\n    import a\n",
    "an import twice": "import a.b as c\ntry:\n    from d import c\nexcept ImportError:\n    pass\nif c:\n    import e\n",
    "imports that follow": "import sys\nif sys.version_info < (3,):\n    import a\n    import b.c\n    from d import e, f\n    from .g import h\nelse:\n    import i\n    import j as k\n    import l\n    import m\n\n    import n\n",
    "imports that follow in a try": "try:\n    import a\n    from b import c\n    x = 1\n    import d\n    import e\nexcept ImportError:\n    import f\n    import g\n",
    "what follows names a test": "from a import b\nif x:\n    import c\n    from typing import TYPE_CHECKING\n    if TYPE_CHECKING:\n        import d\n        import e\n",
    "imports that follow at other margins": "if x:\n    import a\n    import b\n    if y:\n        import c\n        import d\n    import e\nimport f\n",
    "imports that follow a star": "if x:\n    import a\n    from b import *\n    import c\n    import d\n",
    "imports that follow behind tabs": "if x:\n\timport a\n\timport b\n\tfrom c import d\n",
    "imports that follow in a text": 'if x:\n    import a\n    y = """\n    import a\n    import b\n"""\n    import b\n    import c; import d\n    import e\n',
    "a function that goes on": "def f():\n    if x:\n        import a\n    y = [\n        1,\n    ]\n    return y\n",
    "a function with a text behind its import": "def f():\n    if x:\n        import a\n    y = '''\n    z\n    import b\n'''\n    return y\n",
    "a function with a try around its import": "def f():\n    try:\n        import a\n        return 1\n    except ImportError:\n        pass\n    return 2\n",
    "what ends a function in branches": "def f():\n    if x:\n        return\n    else:\n        raise E\n    if y:\n        import a\n",
    "a constant that ends a function": "import sys\n\n\ndef f():\n    if sys.version_info > (2,):\n        return 1\n    if y:\n        import a\n",
    "a test in a class of a function": "def f():\n    class A:\n        try:\n            x = y()\n        except ImportError:\n            x = None\n    if x:\n        import a\n",
    "a function with a header over lines": "def f(\n        a,\n        b: x[\n            y\n        ],\n) -> z:\n    if a:\n        import a\n    return [\n    a\n    ]\n",
    "a function below a function": "def f():\n    def g():\n        if x:\n            return 1\n        import a\n    if y:\n        import b\n    return g\n",
    "exports in a function": "def f():\n    if x:\n        import a\n    __all__.append(y)\n\n\n__all__ = []\n",
    "two ifs": "if a:\n    import b\nif c:\n    import d\nelse:\n    import e\n",
}
# What decides is in statements that import nothing.
DECIDED_ELSEWHERE = {
    "a constant": "DEBUG = False\nif DEBUG:\n    import a\n",
    "a constant below": "def f():\n    if DEBUG:\n        import a\n\n\nDEBUG = False\n",
    "a constant of an import": "import sys\nPY2 = sys.version_info[0] == 2\nif PY2:\n    import a\n",
    "a constant of a constant": "import sys\nMAJOR = sys.version_info[0]\nPY2 = MAJOR == 2\nif PY2:\n    import a\n",
    "a constant that is bound in two branches": "if x:\n    DEBUG = False\nelse:\n    DEBUG = True\nif DEBUG:\n    import a\n",
    "a constant that a handler binds": "try:\n    SET_UP\nexcept NameError:\n    SET_UP = False\nif SET_UP:\n    import a\n",
    "a try without an import": "try:\n    x = f()\nexcept ImportError:\n    x = None\nif x:\n    import a\n",
    "after a raise": "if x:\n    raise SystemExit\nif y:\n    import a\n",
    "after an exit": "import sys\nif x:\n    sys.exit()\nif y:\n    import a\n",
    "a constant for two": "PARTS = (ImportError, OSError)\ntry:\n    import a\nexcept PARTS:\n    pass\n",
    "a name that is bound twice": "from typing import TYPE_CHECKING\nTYPE_CHECKING = x()\nif TYPE_CHECKING:\n    import a\n",
    "after an end": "if x:\n    import a\nraise SystemExit\nif y:\n    import b\n",
}
# Calls that import are in the statements around them.
CALLS = {
    "a call": "import importlib\nx = importlib.import_module('a')\nimport b\n",
    "a call of a name": "from importlib import import_module\n\n\nclass A:\n    def f(self):\n        return import_module('a.b')\n",
    "a guarded call": "import importlib\ntry:\n    importlib.import_module('a')\nexcept ImportError:\n    pass\nimport b\n",
    "a call below the imports": "import importlib\nimport b\n\n\ndef f():\n    return importlib.import_module('a')\n",
    "a call after an exit": "import importlib\nimport sys\nif x:\n    sys.exit()\nimportlib.import_module('a')\n",
    "a call below an import": "@a\n@b(\n    1\n)\ndef f():\n    import c\n    __import__('c.d')\n",
    "a call below an import of a method": "class A:\n    @a\n    def f(self):\n        import c\n        __import__('c.d')\n",
    "calls in methods with and without an import": "class A:\n    def f(self):\n        return __import__('a')\n\n    def g(self):\n        import b\n        return __import__('b.c')\n",
    "a call in a method beside one under a test": "class A:\n    def f(self):\n        return __import__('a')\n    if x:\n        def g(self):\n            import b\n",
    "a call in a decorator": "@a\n@f(__import__('c'))\ndef f():\n    import d\n",
    "a call over lines": "x = f(\n    1,\n    __import__(\n        'a'),\n)\n",
}
# A name of the test means what only the rest of the source shows.
WHOLE = {
    "a call beside what is unclear": "from a import sys\nimport sys\nif sys.version_info < (3,):\n    import b\n\n\ndef f():\n    import c\n    __import__('c.d')\n",
    "imported twice": "from a import sys\nimport sys\nif sys.version_info < (3,):\n    import a\n",
    "a call under another name": "from importlib import import_module as load\nload('a')\n",
}
# Texts that look like other code.
TEXTS = {
    "a text at the margin": 'class A:\n    def f(self):\n        return """\nat the margin\n  if not code\n"""\n\n    def g(self):\n        import a\n        return a\n\n    def h(self):\n        if x:\n            import b\n',
    "a header that a text ends": 'class A:\n    x = \'"""\'\n    if y:\n        def f(self):\n            import a\n    z = \'"""\'\n',
    "a continued test": "if x: \\\nimport a\nimport b\n",
    "a continued handler": "try: \\\nimport a\nexcept ImportError: \\\nimport b\n",
    "a header over lines": "def f():\n    if not (\n            x\n        and y):\n            import a\n",
    "a header that ends in a line of its own": "class A:\n    def f(\n        self,\n    ) -> x:\n        import a\n\n\n        return a\n",
    "a header at a smaller margin": "class A:\n    x = f(\n    )\n    if y:\n        def f(self):\n            import a\n",
    "a header at the smallest margin": "class A:\n def f(self):\n  import a\n  def g():\n   import b\n",
    "a continued header": "class A:\n    if x \\\n            and y:\n        def f(self):\n            import a\n",
}


@pytest.mark.parametrize("reads_code", [True, False])
@pytest.mark.parametrize("case", TEXTS)
def test_a_text_is_no_code(case: str, monkeypatch: pytest.MonkeyPatch, *, reads_code: bool) -> None:
    data = TEXTS[case].encode()
    if not reads_code:
        monkeypatch.setattr(import_facts, "plain_reader", lambda _module: None)

    assert _facts(data) == _by_tree(data)


@pytest.mark.parametrize("case", [*PIECES, *DECIDED_ELSEWHERE, *CALLS])
def test_what_surrounds_an_import_is_enough(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {**PIECES, **DECIDED_ELSEWHERE, **CALLS}[case].encode()
    expected = _by_tree(data)
    monkeypatch.setattr(import_facts, "tree_facts", _fail)

    assert _facts(data) == expected


@pytest.mark.parametrize("case", [*PIECES, *DECIDED_ELSEWHERE, *CALLS, *WHOLE, *TEXTS])
def test_what_is_left_out_of_functions_changes_nothing(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {**PIECES, **DECIDED_ELSEWHERE, **CALLS, **WHOLE, **TEXTS}[case].encode()
    by_pieces, by_tree = _facts(data), _by_tree(data)
    monkeypatch.setattr(_READER.FactReader, "need", lambda *_rest: None)

    assert (_facts(data), _by_tree(data)) == (by_pieces, by_tree)


@pytest.mark.parametrize(
    ("text", "last", "parsed"),
    [
        ("def f():\n    import a\n    y = 1\n    return y\n", 2, 2),
        ("def f():\n    import a\n\n    # why\n    return 1\n", 2, 4),
        ("def f():\n    if x:\n        import a\n        y = 1\n    return y\n", 3, 4),
        ("if 1:\n    @x\n    def f(\n        self,\n    ):\n        import a\n        return 1\n", 6, 6),
        ("def f():\n    import a\n", 2, 2),
        ("def f():\n    y = [\n    1]\n    return y\n", 2, 4),
        ("def f():\n    y = '''\n    1'''\n    return y\n", 2, 4),
        ("def f(a=[\n    1]): return\n", 1, 2),
        ("def f():\n    try:\n        import a\n    except E:\n        y = 1\n    return y\n", 3, 5),
    ],
)
def test_a_function_is_parsed_as_far_as_it_matters(text: str, last: int, parsed: int) -> None:
    tree = _OUTLINE.tree_of_piece(text.encode(), last, text.startswith("if"), {})

    assert ast.dump(tree) == ast.dump(ast.parse("\n".join(text.split("\n")[:parsed])))


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        (
            "    import a\n    import b.c as d, e\n\n    # why\n    from f import g as h, i  # why\n    from . import j\n",
            False,
        ),
        ("    from a import (\n        b,  # why )\n        c as d,\n    )\n    from ..e.f import (g, h)\n", False),
        ("    import a; import b\n", True),
        ("    import a\nelse:\n    import b\n", True),
        ("    import a\n    x = 1\n", True),
        ("    import a\n    '''\n    import b\n    '''\n", True),
        ("    from a import *\n", True),
        ("    import \\\n        a\n", True),
    ],
)
def test_what_type_checkers_import_needs_no_tree(text: str, monkeypatch: pytest.MonkeyPatch, *, is_read: bool) -> None:
    data = f"import x\nfrom typing import Any, TYPE_CHECKING\nif TYPE_CHECKING:  # why\n{text}\n\nimport y\n".encode()
    rows = _rows_by_tree(data)
    parsed: list[object] = []

    def note(*rest: object) -> object:
        parsed.append(rest)
        return _READ(*rest)

    monkeypatch.setattr(import_facts, "read_pieces", note)

    assert _rows(data) == rows
    assert bool(parsed) is is_read


@pytest.mark.parametrize(
    "start",
    [
        "from typing import TYPE_CHECKING as T\nTYPE_CHECKING = f()\n",
        "from typing import TYPE_CHECKING\nTYPE_CHECKING = f()\n",
        "from x import TYPE_CHECKING\n",
        "try:\n    from typing import TYPE_CHECKING\nexcept ImportError:\n    pass\n",
        "from typing import TYPE_CHECKING\ndef f():\n    global TYPE_CHECKING\n    TYPE_CHECKING = 1\n",
        "def f():\n    from typing import TYPE_CHECKING\n",
    ],
)
def test_another_flag_may_be_anything(start: str) -> None:
    data = f"{start}if TYPE_CHECKING:\n    import a\nimport b\n".encode()

    assert _rows(data) == _rows_by_tree(data)


@pytest.mark.parametrize("case", WHOLE)
def test_what_the_rest_of_the_source_decides_is_left_to_its_tree(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = WHOLE[case].encode()
    asked: list[object] = []

    def note(*rest: object) -> object:
        asked.append(rest)
        return tree_facts(*rest)

    monkeypatch.setattr(import_facts, "tree_facts", note)

    assert _facts(data) == _by_tree(data)
    assert asked


def test_a_piece_is_no_more_than_the_statement() -> None:
    data = b"import a\n\n\nclass A:\n    def f(self):\n        if x:\n            import b\n\n    def g(self):\n        return 1\n\n\nif y:\n    import c\nz = 1\n"
    split = ImportPieces(plain_reader(_module(data)))

    assert [row[3] for row in split.rows] == ["a"]
    assert [(line, stop, is_inner) for line, stop, _text, is_inner in split.pieces] == [(5, 9, True), (13, 15, False)]
    assert split.pieces[1][2] == b"if y:\n    import c\n"
    assert ast.parse(split.pieces[0][2])
    assert split.covers(13)
    assert not split.covers(15)


def test_of_many_imports_in_a_try_few_are_named_by_each_in_a_handler() -> None:
    lines = b"".join(b"    import a%d\n" % number for number in range(2000))
    data = b"try:\n%bexcept ImportError:\n%belse:\n%b" % (lines, lines, lines)

    facts: Any = read_facts(data, compile(data, "<source>", "exec", dont_inherit=True), sys.version_info, "linux")

    assert len(facts["imports"]) == 6000
    assert facts["handlers"][0][3] == [["fails", list(range(2, 22))]]
    assert len(facts["handlers"]) == 2000  # whether all of them work is not known


def test_more_imports_than_were_read_leave_the_source_to_its_tree() -> None:
    reader = plain_reader(_module(b"if x:\n    import a\n"))
    split = ImportPieces(reader)
    origins = NameOrigins(reader, split)
    assert [row[3] for row in _READ(split, _TARGET, origins, ((), {})).imports] == ["a"]

    split.pieces = [(1, 2, b"if x:\n    pass\n", False)]

    with pytest.raises(UnclearImportError):
        _READ(split, _TARGET, origins, ((), {}))


def test_every_node_is_there() -> None:
    tree = ast.parse(
        "import a as b\nx = [y for y in z if y.a < -1]\nasync def f(a: int, *b, **c) -> None:\n    await g(a=1)\n"
    )
    skipped = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop)

    assert import_outline.all_nodes(tree) == [node for node in ast.walk(tree) if not isinstance(node, skipped)]


def test_a_column_counts_characters() -> None:
    tree = ast.parse("'ä'; import b\n")
    reader = _READER.FactReader("'ä'; import b\n".encode(), (), _Values())

    reader.read(tree)

    assert [row[:4] for row in reader.imports] == [[1, 6, "import", "b"]]


class _Values:
    def see_import(self, node: ast.Import) -> None:
        assert node.names

    def dotted(self, _node: ast.AST) -> str:
        return ""


def _fail(*_rest: object) -> None:
    pytest.fail("a tree of all of it was asked for")


def _facts(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        facts: Any = read_facts(data, compile(data, "<source>", "exec", dont_inherit=True), sys.version_info, "linux")
    return [row for row in facts["imports"] if row[6] != "false"], facts["exports"]


def _rows(data: bytes) -> object:
    facts: Any = read_facts(data, compile(data, "<source>", "exec", dont_inherit=True), sys.version_info, "linux")
    return facts["imports"]


def _rows_by_tree(data: bytes) -> object:
    module = _module(data)
    reader: Any = import_facts.read_tree(data, module, module.bindings()[1], _TARGET, None)
    return reader.imports


def _by_tree(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _module(data)
        reader: Any = import_facts.read_tree(data, module, module.bindings()[1], _TARGET, None)
    return [row for row in reader.imports if row[6] != "false"], reader.exports.names(module)


def _module(data: bytes) -> Any:
    return ModuleCode(data, compile(data, "<source>", "exec", dont_inherit=True))
