"""What one module reads of its environment, and what it calls. Pure records."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import MappingProxyType

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.names import ModuleNames

UNKNOWN_PREFIX = "?"  # of a reader that puts something computed before each name


class VariableRead(NamedTuple):
    """A place that reads a variable: any of `names` will do, or any that begins with `prefix`.

    `is_required` says that the code fails without it; `default` is the source text of what counts then. `any_case` says that
    the names' case does not matter.
    """

    names: tuple[str, ...]
    line: int
    reader: str
    is_required: bool = True
    default: str = ""
    any_case: bool = False
    prefix: str = ""


class UnreadUse(NamedTuple):
    """A use of the environment that is not read as a variable: its line, and what it is."""

    line: int
    reason: str


class OpenUse(NamedTuple):
    """Why a file of the project may require variables that are not known: its path, the line if there is one, and the reason."""

    path: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}" if self.line else f"{self.path}: {self.reason}"


class CallSite(NamedTuple):
    """A call: the full name of what is called, the call itself, a prefix for the variables that it reads, and how it is reached.

    `reader` is the call that made the object whose method it is, where that is a name of the same function.
    """

    name: str
    call: ast.Call
    prefix: str = ""
    is_certain: bool = True
    is_guarded: bool = False
    reader: CallSite | None = None


class CodeBlock(NamedTuple):
    """A body that runs as a whole: `reads` surely run with it, `later` are those that may run.

    `unread` are uses of the environment that are no reads of known names, `attributes` all that it asks objects for.
    """

    reads: tuple[VariableRead, ...] = ()
    later: tuple[VariableRead, ...] = ()
    calls: tuple[CallSite, ...] = ()
    unread: tuple[UnreadUse, ...] = ()
    attributes: frozenset[str] = frozenset()


def _bind_nothing(_name: str, _call: ast.Call) -> CodeBlock | None:
    return None


class ModuleVariables(NamedTuple):
    """One module: its own body, its functions and methods by their names, its classes, and the objects that calls made.

    `sets` are variables that the code sets itself; `is_open` says that it sets others too, of which the names are unknown.
    `properties` are methods that run where an attribute is asked for, by its name, with what they require.
    `bind` gives a function's body as one call runs it, or None where that is no other than usual.
    """

    block: CodeBlock
    names: ModuleNames
    functions: Mapping[str, CodeBlock] = MappingProxyType({})
    classes: Mapping[str, ast.ClassDef] = MappingProxyType({})
    objects: Mapping[str, CallSite] = MappingProxyType({})
    sets: frozenset[str] = frozenset()
    is_open: bool = False
    properties: Mapping[str, UnreadUse] = MappingProxyType({})
    bind: Callable[[str, ast.Call], CodeBlock | None] = _bind_nothing
