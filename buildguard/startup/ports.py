"""BG705: the address that a start listens on is one that Cloud Run reaches."""

from __future__ import annotations

import ast
import ipaddress
import posixpath
import re
from collections.abc import Iterator

from buildguard.definitions import lazy_pattern
from buildguard.project.start_command import ListenAddress, StartCommand
from buildguard.startup.deployed_ports import DeployedPort
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.source_facts import read_facts

_PROXIES = lazy_pattern(r"\b(?:nginx|caddy|haproxy|envoy|traefik|apache2|httpd|supervisor|supervisord)\b")
_ALL = "0.0.0.0"  # noqa: S104  an address to compare with


def check_port(image: ImageStart, start: StartCommand, deployed: DeployedPort, findings: StartupFindings) -> None:
    """Report an address that is loopback, a port that differs, and a variable that no shell expands."""
    if deployed.is_job or deployed.has_sidecars or _has_proxy(image, start):
        return
    listener = start.listener
    place = image.place_of(listener.place) if listener is not None else image.place_of(start.place)
    if listener is None and start.is_main:
        script = _script_listener(image, start)
        if script is None:
            return
        listener, place = script
    if listener is not None:
        is_assumed = deployed.is_default and _names_port(image, listener.port)
        _check_address(listener, place, deployed._replace(port="") if is_assumed else deployed, findings)


def _names_port(image: ImageStart, port: str) -> bool:
    """Whether a file of the project may give a service that port: a deploy without one leaves a service's own as it is."""
    pattern = re.compile(rb"(?i)port\W{0,20}%s\b" % re.escape(port.encode()))
    paths = image.files.named(_may_configure)
    image.files.load(paths)
    return any(pattern.search(image.files.read(path) or b"") for path in paths)


def _may_configure(path: str) -> bool:
    return path.endswith((".tf", ".tfvars", ".sh", ".yaml", ".yml", ".mk", "Makefile", "justfile"))


def _has_proxy(image: ImageStart, start: StartCommand) -> bool:
    """Whether another server of the container may be the one that Cloud Run reaches."""
    names = {posixpath.basename(program.name) for command in start.before for program in command.programs}
    return bool(
        _PROXIES.search(image.tree.run_text) or _PROXIES.search(" ".join(names)) or _PROXIES.search(image.tree.base)
    )


def _check_address(
    listener: ListenAddress, place: FindingPlace, deployed: DeployedPort, findings: StartupFindings
) -> None:
    text = f"{listener.host}:{listener.port}"
    if listener.is_raw:
        hint = 'use shell form (CMD exec …), or ["sh", "-c", "exec … $PORT"]'
        findings.add(
            "BG705", place, f"{listener.source} gets {text} as it is written: exec form expands no variable", hint
        )
    elif is_loopback(listener.host):
        message = f"the server listens on {text} ({listener.source}): nothing outside of the container reaches it"
        findings.add("BG705", place, message, f"listen on {_ALL} and the port in $PORT")
    elif not listener.port.isdigit():
        if listener.port != "$PORT":
            findings.leave_open(place, "the port is known at run time only")
    elif deployed.port and listener.port != deployed.port:
        message = f"the server listens on port {listener.port} ({listener.source}), and Cloud Run sends to {deployed.port} ({deployed.by})"
        findings.add("BG705", place, message, f"listen on $PORT, or deploy with --port {listener.port}")
    elif not deployed.port and listener.port != "8080":
        findings.leave_open(place, f"whether port {listener.port} is the container's is not known")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from inside the container alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------ servers in a script


def _script_listener(image: ImageStart, start: StartCommand) -> tuple[ListenAddress, FindingPlace] | None:
    """The address of the server that a Python script starts itself; None where that is not known for certain."""
    if posixpath.basename(start.script) == "manage.py":
        return _django(image, start)
    image_file = image.tree.find(start.script) if start.script else None
    content = image.content(image_file) if image_file is not None and not image_file.doubt else None
    facts = read_facts(content, is_main=True) if content is not None else None
    if image_file is None or facts is None or facts.tree is None:
        return None
    try:
        listeners = ((call, _of_call(call, start, is_flask=is_flask)) for call, is_flask in _server_calls(facts.tree))
        call, listener = next(((call, listener) for call, listener in listeners if listener is not None), (None, None))
    except RecursionError:
        return None  # nested too deeply to be read
    if call is None or listener is None:
        return None
    return listener, FindingPlace(image_file.source or image.dockerfile, call.lineno)


def _django(image: ImageStart, start: StartCommand) -> tuple[ListenAddress, FindingPlace] | None:
    words = [word for word in start.arguments if not word.startswith("-")]
    if words[:1] != ["runserver"]:
        return None
    content = image.read(start.script)
    if content is None or b"default_addr" in content:
        return None  # it sets another address, or cannot be read
    place = image.place_of(start.place)
    text = words[1] if len(words) > 1 else "8000"
    host, _, port = text.rpartition(":")
    address = _ALL if host == "0" else host or "127.0.0.1"
    is_raw = "$" in text and not start.expanded
    return ListenAddress(address, port, "runserver", start.place, is_raw), place


def _server_calls(tree: ast.Module) -> Iterator[tuple[ast.Call, bool]]:
    """The calls that start a server on the path of a script: at its top level, under `__main__`, and in functions called there."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    flask = _flask_names(tree)
    seen: set[str] = set()
    pending: list[ast.AST] = [node for node in tree.body if _runs(node)]
    while pending:
        for call in _calls_of(pending.pop(0)):
            name = ast.unparse(call.func)
            if name in functions and name not in seen:
                seen.add(name)
                pending.append(functions[name])
            elif name in {"uvicorn.run", "hypercorn.run"} or name in flask:
                yield call, name in flask


def _runs(node: ast.stmt) -> bool:
    """Whether a statement of a script runs: tests other than the one for `__main__` may not hold."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(node, ast.If):
        return "__name__" in ast.unparse(node.test)
    return not isinstance(node, ast.Try)


def _calls_of(node: ast.AST) -> Iterator[ast.Call]:
    """The calls in a block, less those in its inner functions and tests."""
    children = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If) else [node]
    pending: list[ast.AST] = list(children)
    while pending:
        part = pending.pop(0)
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.If):
            continue
        if isinstance(part, ast.Call):
            yield part
        pending += ast.iter_child_nodes(part)


def _flask_names(tree: ast.Module) -> set[str]:
    """`app.run` for each name that is assigned a `Flask(…)` at the top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and _is_flask(node.value):
            names |= {f"{target.id}.run" for target in node.targets if isinstance(target, ast.Name)}
    return names


def _is_flask(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in {"Flask", "flask.Flask"}


def _of_call(call: ast.Call, start: StartCommand, *, is_flask: bool) -> ListenAddress | None:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if None in keywords or "uds" in keywords or "fd" in keywords:
        return None
    positional = call.args if is_flask else []
    host = keywords.get("host") or (positional[0] if positional else None)
    port = keywords.get("port") or (positional[1] if len(positional) > 1 else None)
    default = "5000" if is_flask else "8000"
    return ListenAddress(_text(host, "127.0.0.1"), _text(port, default), ast.unparse(call.func), start.place)


def _text(node: ast.expr | None, default: str) -> str:
    """The value of an argument: `$PORT` where it reads that variable, `$` where it is not known."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return default
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "$PORT" if "'PORT'" in ast.unparse(node) else "$"
