"""The servers that a Python script starts itself, and the address that each listens on, read as data. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from buildguard.definitions import NamedTuple
from buildguard.project.script_calls import dotted, full_name, imported_names, reached_calls

_ALL = "0.0.0.0"  # noqa: S104 -- what servers listen on, not what we do
_LOOPBACK = "127.0.0.1"


class ServerCall(NamedTuple):
    """Where a function takes its address: the index of an argument, or of one that is a pair; and its defaults.

    An empty default is an address that only the call itself can name.
    """

    host: int | None = None
    port: int | None = None
    pair: int | None = None
    default_host: str = ""
    default_port: str = ""


class ScriptServer(NamedTuple):
    """A call that starts a server, and the host and port it listens on, `$PORT` or `$` where they are known later.

    A bare server is one of the standard library's kind, which may serve metrics beside the service itself.
    """

    call: ast.Call
    host: str
    port: str
    is_bare: bool = False


_PAIR = ServerCall(pair=0)
_FUNCTIONS = {
    "uvicorn.run": ServerCall(default_host=_LOOPBACK, default_port="8000"),
    "hypercorn.run": ServerCall(default_host=_LOOPBACK, default_port="8000"),
    "waitress.serve": ServerCall(default_host=_ALL, default_port="8080"),
    "aiohttp.web.run_app": ServerCall(default_host=_ALL, default_port="8080"),
    "bottle.run": ServerCall(default_host=_LOOPBACK, default_port="8080"),
    "wsgiref.simple_server.make_server": ServerCall(host=0, port=1),
    "werkzeug.serving.run_simple": ServerCall(host=0, port=1),
    "http.server.HTTPServer": _PAIR,
    "http.server.ThreadingHTTPServer": _PAIR,
    "socketserver.TCPServer": _PAIR,
    "socketserver.ThreadingTCPServer": _PAIR,
    "gevent.pywsgi.WSGIServer": _PAIR,
    "cheroot.wsgi.Server": _PAIR,
}
_METHODS = {
    ("flask.Flask", "run"): ServerCall(host=0, port=1, default_host=_LOOPBACK, default_port="5000"),
    ("quart.Quart", "run"): ServerCall(host=0, port=1, default_host=_LOOPBACK, default_port="5000"),
    ("sanic.Sanic", "run"): ServerCall(host=0, port=1, default_host=_LOOPBACK, default_port="8000"),
    ("flask_socketio.SocketIO", "run"): ServerCall(host=1, port=2, default_host=_LOOPBACK, default_port="5000"),
    # what an environment variable may set has no default here
    ("dash.Dash", "run"): ServerCall(host=0, port=1),
    ("gradio.Blocks", "launch"): ServerCall(),
    ("gradio.Interface", "launch"): ServerCall(),
}
_KEYWORDS = (("host", "server_name", "hostname", "address"), ("port", "server_port"))
_OTHER_SOCKETS = frozenset({None, "uds", "fd", "sock", "path", "unix_socket", "sockets", "listen"})


def script_servers(tree: ast.Module) -> Iterator[ScriptServer]:
    """The servers on the path of a script: at its top level, under `__main__`, and in functions that are called there."""
    imported = imported_names(tree)
    instances = dict(_instances(tree, imported))
    for call in reached_calls(tree):
        name = dotted(call.func)
        holder, _, method = name.rpartition(".")
        known = _METHODS.get((instances.get(holder, ""), method)) or _FUNCTIONS.get(full_name(name, imported))
        server = _read_call(call, known) if known is not None else None
        if server is not None:
            yield server


def _instances(tree: ast.Module, imported: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The class of each name that is assigned a call at the top level."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = full_name(dotted(node.value.func), imported)
            yield from ((target.id, made) for target in node.targets if isinstance(target, ast.Name))


def _read_call(call: ast.Call, known: ServerCall) -> ScriptServer | None:
    """The address of a call; None where it names a socket of another kind, or nothing that decides."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if _OTHER_SOCKETS & keywords.keys() or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    if known.pair is not None:
        return _read_pair(call, known.pair)
    values = [
        next((keywords[name] for name in names if name in keywords), _argument(call, index))
        for names, index in zip(_KEYWORDS, (known.host, known.port), strict=True)
    ]
    if values[0] is None and not known.default_host:
        return None
    host, port = _text(values[0], known.default_host), _text(values[1], known.default_port or "$")
    return ScriptServer(call, host or _ALL, port)


def _read_pair(call: ast.Call, index: int) -> ScriptServer | None:
    pair = _argument(call, index)
    if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:  # noqa: PLR2004 -- host and port
        return None
    host, port = pair.elts
    return ScriptServer(call, _text(host, "$") or _ALL, _text(port, "$"), is_bare=True)


def _argument(call: ast.Call, index: int | None) -> ast.expr | None:
    return call.args[index] if index is not None and index < len(call.args) else None


def _text(node: ast.expr | None, default: str) -> str:
    """The value of an argument: `$PORT` where it reads that variable, `$` where it is not known."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return default
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "$PORT" if "'PORT'" in ast.unparse(node) else "$"
