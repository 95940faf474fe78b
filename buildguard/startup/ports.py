"""BG705: the address that a start listens on is one that Cloud Run reaches."""

from __future__ import annotations

import ast
import posixpath
import re

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.start_command import ListenAddress, StartCommand
from buildguard.startup.deployed_ports import DeployedPort
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.script_servers import ScriptServer, script_servers
from buildguard.startup.source_facts import read_facts
from buildguard.system.addresses import is_loopback

_PROXIES = lazy_pattern(r"\b(?:nginx|caddy|haproxy|envoy|traefik|apache2|httpd|supervisor|supervisord)\b")
_ALL = "0.0.0.0"  # noqa: S104  an address to compare with


def check_port(image: ImageStart, start: StartCommand, deployed: DeployedPort, findings: StartupFindings) -> None:
    """Report an address that is loopback, a port that differs, and a variable that no shell expands."""
    if deployed.is_job or deployed.has_sidecars or _has_proxy(image, start):
        return
    listener = start.listener
    place = image.place_of(listener.place) if listener is not None else image.place_of(start.place)
    if listener is None and start.is_main:
        script = _script_listener(image, start, deployed.port or "8080")
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
            Code.BG705, place, f"{listener.source} gets {text} as it is written: exec form expands no variable", hint
        )
    elif is_loopback(listener.host):
        message = f"the server listens on {text} ({listener.source}): nothing outside of the container reaches it"
        findings.add(Code.BG705, place, message, f"listen on {_ALL} and the port in $PORT")
    elif not listener.port.isdigit():
        if listener.port != "$PORT":
            findings.leave_open(place, "the port is known at run time only")
    elif deployed.port and listener.port != deployed.port:
        message = f"the server listens on port {listener.port} ({listener.source}), and Cloud Run sends to {deployed.port} ({deployed.by})"
        findings.add(Code.BG705, place, message, f"listen on $PORT, or deploy with --port {listener.port}")
    elif not deployed.port and listener.port != "8080":
        findings.leave_open(place, f"whether port {listener.port} is the container's is not known")


# ------------------------------------------------------------------------------------------ servers in a script


def _script_listener(image: ImageStart, start: StartCommand, served: str) -> tuple[ListenAddress, FindingPlace] | None:
    """The address of the server that a Python script starts itself; None where that is not known for certain."""
    if posixpath.basename(start.script) == "manage.py":
        return _django(image, start)
    image_file = image.tree.find(start.script) if start.script else None
    if image_file is None or image_file.doubt:
        return None
    content = image.content(image_file)
    facts = read_facts(content, is_main=True) if content is not None else None
    if facts is None or facts.tree is None:
        return None
    server = _main_server(facts.tree, served)
    if server is None:
        return None
    address = ListenAddress(server.host, server.port, ast.unparse(server.call.func), start.place)
    return address, FindingPlace(image_file.source or image.dockerfile, server.call.lineno)


def _main_server(tree: ast.Module, served: str) -> ScriptServer | None:
    """The server that requests reach: the first that others can reach, else the first; a bare one only on the served port."""
    try:
        servers = [item for item in script_servers(tree) if not item.is_bare or item.port in {served, "$PORT"}]
    except RecursionError:
        return None  # nested too deeply to be read
    return next((item for item in servers if not is_loopback(item.host)), next(iter(servers), None))


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
