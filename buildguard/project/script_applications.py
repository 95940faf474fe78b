"""What a script loads by name once it runs: the application that it gives a server, or a module that it runs. Pure."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Iterator

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.script_calls import dotted, full_name, imported_names, reached_calls
from buildguard.project.start_command import CommandPlace, StartCommand

_MODULE = lazy_pattern(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# Calls that take `module:attribute`, and the server that loads it.
_SERVERS = {
    "uvicorn.run": "uvicorn",
    "uvicorn.main.run": "uvicorn",
    "uvicorn.Config": "uvicorn",
    "uvicorn.config.Config": "uvicorn",
    "granian.Granian": "granian",
    "granian.server.Granian": "granian",
}
_RUNNERS = frozenset({"runpy.run_module"})
_KEYWORDS = frozenset({"app", "target", "mod_name"})
_TEXTS = (ast.JoinedStr, ast.BinOp, ast.IfExp)  # what may put a name together


class LoadedName(NamedTuple):
    """The `module:attribute` that a call names; empty where it is computed."""

    server: str
    text: str
    line: int
    is_factory: bool = False


def load_applications(start: StartCommand, path: str, content: bytes, is_known: Callable[[str], bool]) -> StartCommand:
    """A start with what its script, at a path of the image, loads by name; `is_known` says whether a path has a file."""
    try:
        names = list(_loaded_names(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return start
    changes_path = b"sys.path" in content or b"app_dir" in content or b"addsitedir" in content
    place = start.place._replace(file=path, in_image=True)
    loads = [_command_of(start._replace(place=place._replace(line=name.line)), name) for name in names]
    return start._replace(
        loads=tuple(
            each
            if each.undecided or not changes_path or _is_found(each, is_known)
            else each._replace(module="", undecided=f"{posixpath.basename(path)} changes sys.path")
            for each in loads
        )
    )


def _is_found(start: StartCommand, is_known: Callable[[str], bool]) -> bool:
    bases = (posixpath.join(folder, *start.module.split(".")) for folder in start.search_path)
    return any(is_known(path) for base in bases for path in (f"{base}.py", f"{base}/__init__.py"))


def _loaded_names(tree: ast.Module) -> Iterator[LoadedName]:
    imported = imported_names(tree)
    for call in reached_calls(tree):
        name = full_name(dotted(call.func), imported)
        if name not in _SERVERS and name not in _RUNNERS:
            continue
        given = [*call.args[:1], *(word.value for word in call.keywords if word.arg in _KEYWORDS)]
        node = given[0] if given else None
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if text or isinstance(node, _TEXTS):
            words = {word.arg: word.value for word in call.keywords}
            factory = words.get("factory")
            is_factory = isinstance(factory, ast.Constant) and factory.value is True
            yield LoadedName(_SERVERS.get(name, ""), text, call.lineno, is_factory)


def _command_of(start: StartCommand, name: LoadedName) -> StartCommand:
    """The start of what a call names, on the path of its script."""
    module, _, attribute = name.text.partition(":")
    loaded = StartCommand(
        CommandPlace(*start.place),
        server=name.server,
        folder=start.folder,
        search_path=start.search_path,
        env=start.env,
        is_main=not name.server,
        is_factory=name.is_factory,
    )
    what = f"the application '{name.text}' of {name.server}" if name.server else f"the module '{name.text}'"
    if not name.text:
        return loaded._replace(undecided=f"the name that {name.server or 'runpy'} loads is computed")
    if not _MODULE.fullmatch(module) or (name.server and not _MODULE.fullmatch(attribute)):
        return loaded._replace(undecided=f"{what} is not understood")
    return loaded._replace(module=module, attribute=attribute)
