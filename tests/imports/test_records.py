"""What is read of a source's imports and names: places, guards, what a target decides, and what nothing can see."""

from __future__ import annotations

import pytest

from buildguard.imports.records import Guard, ImportForm, ImportStatement, extract, facts_from

_SOURCE = b"""\
import sys, os.path as p
from . import k
from ..m import n as o
def f(x):
    import imp
class A:
    import cgi
    def g(self): pass
from x import *
\xc3\xa9 = "\xc3\xa9"; import colorsys
import importlib
importlib.import_module("foo.bar")
importlib.import_module(".bar", __package__)
importlib.import_module(name)
"""


def test_every_import_has_its_place_and_form() -> None:
    facts = extract(_SOURCE, (3, 13))

    assert facts is not None
    assert [statement[:6] for statement in facts.imports] == [
        (1, 1, ImportForm.IMPORT, "sys", (), 0),
        (1, 1, ImportForm.IMPORT, "os.path", (), 0),
        (2, 1, ImportForm.FROM, "", ("k",), 1),
        (3, 1, ImportForm.FROM, "m", ("n",), 2),
        (5, 5, ImportForm.IMPORT, "imp", (), 0),
        (7, 5, ImportForm.IMPORT, "cgi", (), 0),
        (9, 1, ImportForm.FROM, "x", ("*",), 0),
        (10, 10, ImportForm.IMPORT, "colorsys", (), 0),
        (11, 1, ImportForm.IMPORT, "importlib", (), 0),
        (12, 1, ImportForm.CALL, "foo.bar", (), 0),
        (13, 1, ImportForm.CALL, "bar", (), 1),
    ]
    assert [statement.module for statement in facts.imports if statement.late] == ["imp"]
    assert not any(statement.guard for statement in facts.imports)


def _guards(source: str, version: tuple[int, ...] = (3, 11, 7), platform: str = "linux") -> dict[str, Guard]:
    facts = extract(source.encode(), version, platform)
    assert facts is not None
    return {statement.module: statement.guard for statement in facts.imports if statement.module[:1].islower()}


@pytest.mark.parametrize(
    ("source", "guard"),
    [
        ("try:\n    import t\nexcept ImportError:\n    pass\n", Guard.EXCEPT),
        ("try:\n    import t\nexcept (OSError, ImportError):\n    pass\n", Guard.EXCEPT),
        ("try:\n    import t\nexcept Exception:\n    pass\n", Guard.EXCEPT),
        ("try:\n    import t\nexcept:\n    pass\n", Guard.EXCEPT),
        ("try:\n    import t\nexcept ModuleNotFoundError:\n    pass\n", Guard.MODULE_ONLY),
        ("E = (ImportError, OSError)\ntry:\n    import t\nexcept E:\n    pass\n", Guard.EXCEPT),
        ("try:\n    import t\nexcept OSError:\n    pass\n", Guard.NONE),
        ("try:\n    X\nexcept OSError:\n    import t\n", Guard.CONDITIONAL),
        ("try:\n    import x\n    import t\nexcept OSError:\n    pass\n", Guard.NONE),
        ("try:\n    X = long\n    import t\nexcept NameError:\n    pass\n", Guard.CONDITIONAL),
        ("try:\n    X\n    import t\nexcept ImportError:\n    pass\n", Guard.EXCEPT),
        ("try:\n    X\nexcept ImportError:\n    import t\n", Guard.HANDLER),
        ("try:\n    import x\nexcept ImportError:\n    X\nelse:\n    import t\n", Guard.HANDLER),
        ("try:\n    X\nexcept ImportError:\n    X\nelse:\n    import t\n", Guard.CONDITIONAL),
        ("try:\n    X\nfinally:\n    import t\n", Guard.NONE),
        ("with contextlib.suppress(ImportError):\n    import t\n", Guard.EXCEPT),
        ("with contextlib.suppress(OSError):\n    import t\n", Guard.NONE),
        ("if find_spec('t'):\n    import t\n", Guard.TESTED),
        ("HAS = importlib.util.find_spec('t') is not None\nif HAS:\n    import t\n", Guard.TESTED),
        ("if not hasattr(X, 'y'):\n    import t\n", Guard.TESTED),
        ("try:\n    X\n    HAS = True\nexcept ImportError:\n    HAS = False\nif HAS:\n    import t\n", Guard.TESTED),
        ("if 't' in sys.modules:\n    import t\n", Guard.TESTED),
        ("if TYPE_CHECKING:\n    import t\n", Guard.FALSE),
        ("import typing as X\nif X.TYPE_CHECKING:\n    import t\n", Guard.FALSE),
        ("if not TYPE_CHECKING:\n    import t\n", Guard.NONE),
        ("if sys.version_info < (3, 11):\n    import t\n", Guard.FALSE),
        ("if sys.version_info >= (3, 11, 8):\n    import t\n", Guard.FALSE),
        ("if sys.version_info >= (3, 11):\n    import t\n", Guard.NONE),
        ("if (3, 8) <= sys.version_info[:2] < (3, 12):\n    import t\n", Guard.NONE),
        ("if sys.version_info[0] == 2:\n    X\nelse:\n    import t\n", Guard.NONE),
        ("if sys.version_info.minor > 11:\n    X\nelif sys.platform == 'win32':\n    import t\n", Guard.FALSE),
        ("from .compat import PY3\nif PY3:\n    X\nelse:\n    import t\n", Guard.FALSE),
        ("import six\nif six.PY2:\n    import t\n", Guard.FALSE),
        ("PY2 = sys.version_info[0] == 2\nif PY2:\n    import t\n", Guard.FALSE),
        ("from sys import platform as P\nif P.startswith('win'):\n    import t\n", Guard.FALSE),
        ("W = os.name == 'nt'\nif not W:\n    import t\n", Guard.NONE),
        ("if sys.platform in ('darwin', 'win32'):\n    import t\n", Guard.FALSE),
        ("if sys.implementation.name == 'pypy':\n    import t\n", Guard.FALSE),
        ("if platform.system() == 'Windows' and X:\n    import t\n", Guard.FALSE),
        ("if X:\n    import t\n", Guard.CONDITIONAL),
        ("for x in X:\n    import t\n", Guard.CONDITIONAL),
        ("if __name__ == '__main__':\n    import t\n", Guard.MAIN),
        ("if __name__ == '__main__':\n    if X:\n        import t\n", Guard.CONDITIONAL),
        ("if __name__ == '__main__':\n    sys.exit(X)\nimport t\n", Guard.IMPORTED),
        ("if __name__ == '__main__':\n    import x\n    sys.exit(X)\nimport t\n", Guard.IMPORTED),
        ("if __name__ == '__main__':\n    raise SystemExit(0)\nif X:\n    import t\n", Guard.CONDITIONAL),
        ("if __name__ == '__main__':\n    sys.exit(0)\nif __name__ == '__main__':\n    import t\n", Guard.FALSE),
        ("if __name__ == '__main__':\n    X()\nimport t\n", Guard.NONE),
        ("import t\nif __name__ == '__main__':\n    import x\n    sys.exit(X)\n", Guard.NONE),
        ("if sys.version_info < (3, 12):\n    raise SystemExit(1)\nimport t\n", Guard.FALSE),
        ("if sys.version_info < (3, 11):\n    raise SystemExit(1)\nimport t\n", Guard.NONE),
        ("sys.exit(1)\nimport t\n", Guard.FALSE),
        ("try:\n    def f():\n        import t\nexcept ImportError:\n    pass\n", Guard.NONE),
        ("if 0:\n    import t\n", Guard.FALSE),
        # in a function an import that is expected to fail is for a part of the program alone
        ("def f():\n    try:\n        import t\n    except ImportError:\n        raise X from None\n", Guard.EXCEPT),
        ("def f():\n    try:\n        import t\n    except (ImportError, OSError):\n        raise\n", Guard.EXCEPT),
        ("def f():\n    try:\n        import t\n    except ImportError:\n        sys.exit(1)\n", Guard.EXCEPT),
        ("def f():\n    try:\n        import t\n    except ModuleNotFoundError:\n        raise X\n", Guard.MODULE_ONLY),
        ("def f():\n    try:\n        import t\n    except Exception:\n        raise X\n", Guard.NONE),
        ("def f():\n    try:\n        import t\n    except OSError:\n        raise X\n", Guard.NONE),
        ("try:\n    import t\nexcept ImportError:\n    raise X\n", Guard.NONE),
        ("try:\n    import t\nexcept ImportError:\n    sys.exit(1)\n", Guard.NONE),
    ],
)
def test_a_guard_is_read_for_the_target(source: str, guard: Guard) -> None:
    assert _guards(source).get("t", Guard.FALSE) is guard  # what never runs is not compiled


@pytest.mark.parametrize(
    ("expression", "guard"),
    [
        ("import_module('t') if sys.version_info >= (3, 12) else None", Guard.FALSE),
        ("import_module('t') if sys.version_info >= (3, 11) else None", Guard.NONE),
        ("None if X else __import__('t')", Guard.CONDITIONAL),
        ("import_module('t') if find_spec('t') else None", Guard.TESTED),
        ("sys.version_info >= (3, 12) and import_module('t')", Guard.FALSE),
        ("X or import_module('t')", Guard.CONDITIONAL),
        ("import_module('t') or X", Guard.NONE),
        ("print((1, [import_module('t')]))", Guard.NONE),
        ("[import_module('t') for x in X]", Guard.CONDITIONAL),
        ("{x: import_module('t') for x in X}", Guard.CONDITIONAL),
        ("[x for x in X if import_module('t')]", Guard.CONDITIONAL),
        ("[x for x in import_module('t').X]", Guard.NONE),
        ("any(x for x in X for y in __import__('t').X)", Guard.CONDITIONAL),
    ],
)
def test_an_expression_guards_the_imports_by_call_in_it(expression: str, guard: Guard) -> None:
    for source in (f"x = {expression}\n", f"class A:\n    x = {expression}\n", f"def f(x={expression}): ...\n"):
        imports = "import sys\nfrom importlib import import_module\nfrom importlib.util import find_spec\n"
        assert _guards(imports + source).get("t", Guard.FALSE) is guard


def test_a_lambda_imports_later() -> None:
    facts = extract(b"x = {'a': lambda y=__import__('a'): [__import__('b')]}\n", (3, 11))

    assert facts is not None
    assert [(row.module, row.late) for row in facts.imports] == [("a", False), ("b", True)]


def test_a_patch_release_that_is_not_known_decides_nothing() -> None:
    assert _guards("if sys.version_info >= (3, 11, 2):\n    import t\n", (3, 11))["t"] is Guard.CONDITIONAL
    assert _guards("if sys.version_info >= (3, 10, 2):\n    import t\n", (3, 11))["t"] is Guard.NONE


def test_another_platform_decides_otherwise() -> None:
    assert _guards("if sys.platform == 'win32':\n    import t\n", platform="win32")["t"] is Guard.NONE


def test_every_name_that_a_module_binds_is_known_with_its_first_line() -> None:
    source = b"""\
import a.b as c
from d import e
if X:
    f = 1
else:
    f, *g = 2, 3
def h(i): j = 1
class K: m = 1
for n in X: pass
with X as o: pass
try: pass
except X as p: pass
def q():
    global r
    r = 1
(s := 1)
"""
    facts = extract(source, (3, 13))

    assert facts is not None
    assert dict(facts.bound).items() >= {
        "c": 1, "e": 2, "f": 4, "g": 6, "h": 7, "K": 8, "n": 9, "o": 10, "p": 12, "q": 13, "r": 13, "s": 16,
    }.items()  # fmt: skip
    assert not {"i", "j", "m", "X"} & facts.bound.keys()
    assert not facts.dynamic


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name): ...\n",
        "globals()['x'] = 1\n",
        "def f():\n    globals().update(X)\n",
        "exec('x = 1')\n",
        "import sys\nsys.modules[__name__] = X\n",
        "locals()['x'] = 1\n",
    ],
)
def test_a_module_that_binds_names_in_other_ways_is_dynamic(source: str) -> None:
    facts = extract(source.encode(), (3, 13))

    assert facts is not None
    assert facts.dynamic


@pytest.mark.parametrize(
    ("source", "exports"),
    [
        ("__all__ = ['a', 'b']\n", ("a", "b")),
        ("__all__ = ('a',)\n__all__ += ['b']\n__all__.append('c')\n__all__.extend(['d'])\n", ("a", "b", "c", "d")),
        ("__all__ = X.names\n", None),
        ("__all__ = ['a'] + X\n", None),
        ("__all__ = ['a']\n__all__ += X\n", None),
        ("x = 1\n", None),
    ],
)
def test_the_exports_are_those_of_a_literal(source: str, exports: tuple[str, ...] | None) -> None:
    facts = extract(source.encode(), (3, 13))

    assert facts is not None
    assert facts.exports == exports


@pytest.mark.parametrize(
    ("argument", "folder"),
    [
        ("'lib'", "lib"),
        ("os.path.dirname(__file__)", "@"),
        ("os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib')", "@/../lib"),
        ("os.path.dirname(os.path.dirname(os.path.realpath(__file__)))", "@/.."),
        ("str(pathlib.Path(__file__).resolve().parent.parent / 'src')", "@/../src"),
        ("str(pathlib.Path(__file__).parents[1])", "@/.."),
        ("HERE", "@"),
        ("X", None),
    ],
)
def test_a_folder_added_to_the_path_is_read(argument: str, folder: str | None) -> None:
    source = f"import os, sys, pathlib\nHERE = os.path.dirname(__file__)\nsys.path.insert(0, {argument})\n"

    facts = extract(source.encode(), (3, 13))

    assert facts is not None
    assert facts.paths == ((3, folder),)


_FILLER = '''\
def first():
    """Text that looks like code:

import nothing
def second():
"""
    return 1


async def third(a,
b):
    return """
import nothing
"""
'''


def test_text_that_looks_like_an_import_is_none() -> None:
    facts = extract(f"{_FILLER}import sys\n{_FILLER}".encode(), (3, 13))

    assert facts is not None
    assert [(statement.line, statement.module) for statement in facts.imports] == [(15, "sys")]


def test_facts_that_are_none_are_refused() -> None:
    assert facts_from(b"") is None
    for data in (b"[]", b"{}", b'{"imports": [[1]]}', b"x", b"\xff"):
        with pytest.raises(ValueError, match=r"facts|JSON|Expecting|decode|codec|unpack"):
            facts_from(data)


def test_a_source_that_does_not_compile_here_has_no_facts() -> None:
    assert extract(b"x = (\n", (3, 13)) is None


def test_a_statement_is_an_import_of_everything_by_its_star() -> None:
    assert ImportStatement(1, 1, ImportForm.FROM, "x", ("*",)).is_star
    assert not ImportStatement(1, 1, ImportForm.FROM, "x", ("y",)).is_star
