"""Which file a call reads: `open` and the readers of the usual libraries, given a path that the source spells out. Pure."""

from __future__ import annotations

import ast

from buildguard.definitions import NamedTuple
from buildguard.project.script_calls import dotted
from buildguard.startup.literal_paths import LiteralPath, PathReader
from buildguard.startup.source_nodes import all_nodes

_OPEN = frozenset({"open", "io.open", "codecs.open"})
# Calls whose first argument is a file that has to exist.
_READERS = frozenset(
    {
        *(f"{name}.read_{kind}" for name in ("pd", "pandas") for kind in ("csv", "json", "parquet", "excel", "pickle")),
        *("joblib.load", "np.load", "numpy.load", "np.loadtxt", "torch.load", "Image.open"),
        *("logging.config.fileConfig", "fileConfig", "ort.InferenceSession", "onnxruntime.InferenceSession"),
    }
)
_METHODS = frozenset({"open", "read_text", "read_bytes"})
_WRITES = frozenset("wax+")
# What catches a file that is missing, and what asks before it opens one.
_CATCHES = frozenset({"", "OSError", "IOError", "EnvironmentError", "FileNotFoundError", "Exception", "BaseException"})
_ASKS = ("exists", "is_file", "isfile", "is_dir", "isdir", "access")


class ReadCall(NamedTuple):
    """The path that a call reads; `is_folder` says that it has to be a folder."""

    path: LiteralPath
    is_folder: bool = False


def read_call(call: ast.Call, reader: PathReader) -> ReadCall | None:
    """What a call reads; None for any other call, and where the path is not spelled out."""
    name = dotted(call.func)
    if name in _OPEN:
        return None if _writes(call, 1) else _first(call, reader, "file")
    if name in _READERS:
        return _first(call, reader, "")
    if name.rpartition(".")[2] == "StaticFiles":
        found = _first(call, reader, "directory")
        return found and found._replace(is_folder=True)
    if name.rpartition(".")[2].endswith("Config"):  # of Alembic
        found = _first(call, reader, "file_")
        return found if found is not None and found.path.text.endswith(".ini") else None
    return _of_method(call, reader)


def _of_method(call: ast.Call, reader: PathReader) -> ReadCall | None:
    """What a method of a path reads."""
    method = call.func
    if not isinstance(method, ast.Attribute) or method.attr not in _METHODS or isinstance(method.value, ast.Constant):
        return None
    path = None if method.attr == "open" and _writes(call, 0) else reader.read(method.value)
    return ReadCall(path) if path is not None else None


def _first(call: ast.Call, reader: PathReader, keyword: str) -> ReadCall | None:
    node = next((item.value for item in call.keywords if item.arg == keyword), call.args[0] if call.args else None)
    path = reader.read(node) if node is not None else None
    return ReadCall(path) if path is not None else None


def _writes(call: ast.Call, position: int) -> bool:
    """Whether a call opens for writing, or in a mode that is not spelled out."""
    mode = next((item.value for item in call.keywords if item.arg == "mode"), None)
    mode = mode or (call.args[position] if len(call.args) > position else None)
    if mode is None:
        return False
    return not isinstance(mode, ast.Constant) or bool(_WRITES & {*str(mode.value)})


def handles_absence(node: ast.stmt) -> bool:
    """Whether the block of a statement may be without the files that it opens: it catches that, or asks before."""
    if isinstance(node, ast.Try):
        return any(_CATCHES & {*_caught(handler)} for handler in node.handlers)
    if isinstance(node, ast.With):
        return any(_named(item.context_expr, "suppress") for item in node.items)
    return isinstance(node, ast.If) and any(_named(node.test, word) for word in _ASKS)


def _named(node: ast.expr, word: str) -> bool:
    """Whether a name in an expression, or an attribute, ends in a word."""
    names = (getattr(part, "attr", "") or getattr(part, "id", "") for part in all_nodes(node))
    return any(name.endswith(word) for name in names)


def _caught(handler: ast.ExceptHandler) -> list[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return ["" if kind is None else dotted(kind).rpartition(".")[2] for kind in kinds]
