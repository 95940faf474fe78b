"""Small projects in which a module binds, changes or deletes the name that another one imports from it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from tests.imports.generated import Project

# Statements that bind `x`, delete it, or do neither; {} is where its value stands.
BINDS = (
    "x = {}",
    "x: int = {}",
    "x: int",
    "x, other = {}, 2",
    "[other, *x] = {}, 2",
    "other = x = {}",
    "other = (1,\n{}); x = 3",
    "(x := {})",
    "def x(): return {}",
    "class x: value = {}",
    "import json as x",
    "import os.path as x",
    "from json import loads as x",
    "from b import x",
    "from b import y as x",
    "from b import *",
    "from b import (\n    y,\n    z as x,\n)",
    "for x in ({}, 2): pass",
    "for x in (): pass",
    "for x in range({}): pass",
    "for other in (1, 2):\n    x = {}",
    "for other in (1, 2):\n    if other > 1: break\n    x = {}",
    "while True:\n    x = {}\n    break",
    "while len(__name__) > 99:\n    x = {}",
    "while len(__name__) > 99: pass\nelse:\n    x = {}",
    "with open(__file__) as x: pass",
    "with open(__file__):\n    x = {}",
    "import contextlib\nwith contextlib.suppress(ValueError):\n    int('a')\n    x = {}",
    "import contextlib\nwith contextlib.suppress(ValueError):\n    x = {}\n    int('a')",
    "with swallow():\n    int('a')\n    x = {}",
    "try:\n    int('a')\nexcept ValueError as x: pass",
    "try:\n    int('a')\nexcept ValueError as x:\n    x = {}",
    "try:\n    x = {}\nexcept ValueError as x: pass",
    "try:\n    x = {}\n    int('a')\nexcept ValueError: pass",
    "try:\n    int('a')\n    x = {}\nexcept ValueError: pass",
    "try:\n    import missing_module as x\nexcept ImportError:\n    x = {}",
    "try:\n    import missing_module as x\nexcept ImportError: pass",
    "try:\n    import json as x\nexcept ImportError: pass",
    "try:\n    int('1')\nexcept ValueError: pass\nelse:\n    x = {}",
    "try:\n    int('1')\nfinally:\n    x = {}",
    "try:\n    x = {}\nfinally:\n    other = 1",
    "for other in (1,):\n    try:\n        break\n    finally:\n        x = {}",
    "for other in (1,):\n    try:\n        int('a')\n    except ValueError as x:\n        x = {}\n        break",
    "if len(__name__) > 99:\n    x = {}",
    "if len(__name__) < 99:\n    x = {}",
    "if len(__name__) > 99:\n    x = {}\nelse:\n    x = 2",
    "if len(__name__) > 99:\n    raise ValueError\nelse:\n    x = {}",
    "if __name__ == '__main__':\n    x = {}",
    "import sys\nif sys.version_info >= (3, 11):\n    x = {}",
    "import sys\nif sys.version_info < (3, 11):\n    x = {}",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = {}",
    "FLAG = False\nfor FLAG in (1,): pass\nif FLAG:\n    x = {}",
    "FLAG = False\ndef turn():\n    global FLAG\n    FLAG = True\nturn()\nif FLAG:\n    x = {}",
    "FLAG = False\nwith open(__file__) as FLAG: pass\nif FLAG:\n    x = {}",
    "FLAG = False\nother = (FLAG := True)\nif FLAG:\n    x = {}",
    "FLAG = 0\nFLAG += 1\nif FLAG:\n    x = {}",
    "if 0:\n    x = {}",
    "if False: x = {}",
    "other = len(__name__) > 99 and (x := {})",
    "other = (x := {}) and 2",
    "other = (x := {}) if len(__name__) > 99 else 2",
    "other = [x := item for item in ({}, 2)]",
    "other = [x := item for item in ()]",
    "other = lambda: (x := {})",
    "other = 1 < 0 < (x := {})",
    "def bind():\n    global x\n    x = {}",
    "def bind():\n    global x\n    x = {}\nbind()",
    "def bind():\n    global x\n    if len(__name__) > 99:\n        return\n    x = {}\nbind()",
    "def bind():\n    global x\n    x = {}\nif len(__name__) > 99: bind()",
    "def bind():\n    global x\n    import json as x\nbind()",
    "def bind():\n    def inner():\n        global x\n        x = {}\n    inner()\nbind()",
    "def bind():\n    global x\n    yield\n    x = {}\nbind()",
    "def bind():\n    global x\n    for x in (1, 2): pass\nother = bind()",
    "class Holder:\n    global x\n    x = {}",
    "class Holder:\n    x = {}",
    "class Holder:\n    def bind(self):\n        global x\n        x = {}\nHolder().bind()",
    "globals()['x'] = {}",
    "globals().update(x={})",
    "exec('x = {}')",
    "def __getattr__(name):\n    if name == 'x': return {}\n    raise AttributeError(name)",
    "x = {}\nimport sys, types\nsys.modules[__name__] = types.ModuleType('a')",
)
NEWER = {
    10: (
        "match {}:\n    case x: pass",
        "match {}:\n    case 99 as x: pass",
        "match [1, 2]:\n    case [*x]: pass",
        "match {}:\n    case x if False: pass",
        "match {}:\n    case 99:\n        x = 1\n    case _:\n        x = 2",
        "match {{'a': 1}}:\n    case {{'a': 1, **x}}: pass",
        "with (open(__file__) as x): pass",
    ),
    11: ("try:\n    raise ExceptionGroup('e', [ValueError()])\nexcept* ValueError as x: pass",),
    12: ("type x = int", "def x[T](): return {}", "class x[T]: value = {}"),
}
CHANGES = (
    "del x",
    "del other, x",
    "del (x)",
    "x += 1",
    "x = x",
    "if len(__name__) > 99:\n    del x",
    "if len(__name__) < 99:\n    del x",
    "try:\n    int('a')\nexcept ValueError:\n    del x",
    "for other in (1,):\n    del x",
    "def unbind():\n    global x\n    del x",
    "def unbind():\n    global x\n    del x\nunbind()",
    "try:\n    int('a')\nexcept ValueError as x: pass",
    "del globals()['x']",
    "globals().pop('x')",
    "exec('del x')",
    "eval(compile('other = 1; del x', 'a', 'exec'))",
    "def unbind():\n    exec('global x\\ndel x')\nunbind()",
    "eval('globals().pop(\"x\")')",
    "import sys\ndelattr(sys.modules[__name__], 'x')",
    "exec('other = 1')",
    "import sys\nif sys.version_info < (3, 10):\n    del x",
    "if len(__name__) > 99:\n    pass\n    '''\ndel x\n'''",
    "class Holder:\n    x = 1\n    del x",
    "def local():\n    x = 1\n    del x\nlocal()",
    "x = 1",
    "pass",
)
EXPORTS = (
    "__all__ = ['x', 'y', 'z']",
    "__all__ = ['y', 'z']",
    "__all__ = ['y']\n__all__ += ['x', 'z']",
    "if len(__name__) > 99:\n    __all__ = ['x', 'y']\nelse:\n    __all__ = ['y', 'z']",
    "if len(__name__) < 99:\n    __all__ = ['x', 'y']\nelse:\n    __all__ = ['y', 'z']",
    "__all__ = ['y', 'z', 'gone']",
    "__all__ = []\n__all__.append('x')",
    "__all__ = ['x', 'y']\n__all__.remove('x')",
    "__all__ = ['x', 'y']\ndel __all__",
    "__all__ = ['y']\ndef change():\n    global __all__\n    __all__ = ['x']\nchange()",
    "__all__ = [name for name in dir() if name != 'x']",
    "__all__ = ['y']\nfor __all__ in (['x'],): pass",
    "__all__ = ('x', 'y')",
    "__all__: list = ['x', 'y']",
    "pass",
    "pass",
)
_SWALLOW = "class swallow:\n    def __enter__(self): pass\n    def __exit__(self, *_): return True\n"
_MAINS = (
    "from a import x",
    "from a import other_name, x",
    "from a import *\nx",
    "from c import x",
    "import a\nfrom a import x as y",
)


def _binds(minor: int) -> list[str]:
    """The statements that bind, in the syntax of a Python and of the one that reads it here."""
    known = min(minor, sys.version_info.minor)
    return [*BINDS, *(text for since, texts in NEWER.items() if known >= since for text in texts)]


class _Maker:
    def __init__(self, seed: int, minor: int) -> None:
        self._random = random.Random(seed)
        self._binds = _binds(minor)

    def make(self) -> Project:
        pick = self._random
        files = {
            "a.py": self._module(),
            "b.py": f"x = 1\ny = z = 2\n{pick.choice(EXPORTS)}\n",
            "c.py": "from a import *\n",
        }
        if pick.random() < 0.2:
            files["b.py"] = f"{_SWALLOW}{self._bind()}\ny = z = 2\n{pick.choice(EXPORTS)}\n".replace("from b", "from d")
            files["d.py"] = "x = y = z = 3\n"
        if pick.random() < 0.15:
            files["a.py"] += f"{pick.choice(EXPORTS)}\n"
        start = pick.choice([*_MAINS, *_MAINS[:1] * 5])
        if "a import *" in start:
            start = "from a import *"
        return Project({**files, "main.py": f"{start}\n".replace("other_name, ", "")}, (".",), "module", "main")

    def _bind(self) -> str:
        return self._random.choice(self._binds).format(1)

    def _module(self) -> str:
        return _SWALLOW + "other = 0\n" + "\n".join(self._statements()) + "\n"

    def _statements(self) -> Iterator[str]:
        pick = self._random
        yield self._bind()
        if pick.random() < 0.5:
            yield self._wrapped(pick.choice([*CHANGES, self._bind()]))
        if pick.random() < 0.2:
            yield self._wrapped(pick.choice([*CHANGES, self._bind()]))

    def _wrapped(self, text: str) -> str:
        """A statement in a block, or as it is."""
        inside = "\n".join(f"    {line}" for line in text.split("\n"))
        if "import *" in text or "'''" in text or self._random.random() < 0.6:
            return text
        return self._random.choice(
            (
                f"if len(__name__) < 99:\n{inside}",
                f"if len(__name__) > 99:\n{inside}",
                f"try:\n{inside}\nexcept (NameError, ImportError, UnboundLocalError): pass",
                f"try:\n{inside}\nfinally:\n    other = 2",
                f"for other in (1, 2):\n{inside}",
                f"with open(__file__) as other:\n{inside}",
            )
        )


def make_bindings(seed: int, minor: int) -> Project:
    """A project from a seed, in the syntax of a Python 3 of some minor version."""
    return _Maker(seed, minor).make()


def every_binding(minor: int) -> Iterator[Project]:
    """Each statement alone, and each pair of one that binds and one that changes."""
    for bind in _binds(minor):
        for change in CHANGES:
            text = f"{_SWALLOW}other = 0\n{bind.format(1)}\n{change}\n"
            yield Project(
                {"main.py": "from a import x\n", "a.py": text, "b.py": "x = y = z = 1\n"}, (".",), "module", "main"
            )
