"""The container engine: where it is, how it is reached, and its troubles in words that say what to do.

Docker, Docker Desktop, rootless Docker and Podman speak one protocol. Found as Docker's own command line finds
it: DOCKER_HOST, DOCKER_CONTEXT, the active context; then the sockets that each of them puts up.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import requests
import urllib3
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound, create_api_error_from_http_exception
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import Reason, UnprovenError
from buildguard.system import process, programs
from buildguard.system.foreign import translate_foreign
from buildguard.system.home import home_folder

if TYPE_CHECKING:
    import subprocess

_TIMEOUT = 60
_PIECE = 1 << 20
_LAST_WORDS = 2
_AGAIN = "start it again, and run this once more"
_MAY_USE = "sudo usermod -aG docker $USER and log in again, or use rootless Docker"
_START = "start it: sudo systemctl start docker, or Docker Desktop"
_INSTALL = "install Docker or Podman and start it, or set DOCKER_HOST"


class EngineAddress(NamedTuple):
    """Where a container engine listens: its URL, its TLS settings, and who said so."""

    url: str
    tls: Any
    said_by: str


class Daemon:
    """A container engine that answered; `close` when done."""

    def __init__(self, api: docker.APIClient, address: EngineAddress, tunnel: _SshTunnel | None) -> None:
        self.api = api
        self.address = address
        self._tunnel = tunnel

    @property
    def name(self) -> str:
        """What it is and where, for people."""
        return f"the container engine at {self.address.url}"

    def head(self, path: str, params: dict[str, str]) -> requests.Response:
        """A HEAD request to a path of the API, which docker-py has no method for."""
        return self.api.head(self._url(path), params=params, timeout=_TIMEOUT)

    def stream(self, path: str, params: dict[str, str], timeout: float | None = _TIMEOUT) -> Iterator[bytes]:
        """What a path of the API answers, in pieces; `timeout` is how long it may be silent, in seconds.

        Closed early it hangs up, where docker-py would keep the engine waiting.
        """
        with self.api.get(self._url(path), params=params, timeout=timeout, stream=True) as response:
            if not response.ok:
                raise create_api_error_from_http_exception(requests.HTTPError(response.reason, response=response))
            yield from response.iter_content(_PIECE)

    def _url(self, path: str) -> str:
        return f"{self.api.base_url}/v{self.api.api_version}{path}"

    def close(self) -> None:
        """Hang up."""
        self.api.close()
        if self._tunnel is not None:
            self._tunnel.close()


class _SingleHostAdapter(UnixHTTPAdapter):
    """Connections that are used again: docker-py's own keeps a pool for each address of the API that is asked."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002  whatever the address
        """The pool that there is."""
        return super().get_connection("http+docker://localhost", proxies)


class _TlsClient(docker.APIClient):
    """A client that believes the certificates it was given: REQUESTS_CA_BUNDLE would otherwise take their place."""

    @property
    def trust_env(self) -> bool:
        return False

    @trust_env.setter
    def trust_env(self, value: bool) -> None:
        """Requests sets it while it is being made."""


def connect(patience: int = _TIMEOUT) -> Daemon:
    """Reach the container engine that this machine would use, within so many seconds.

    Raises UnprovenError with what is wrong, in words.
    """
    address = find()
    tunnel = None
    url = address.url
    if url.startswith("ssh://"):
        tunnel = _SshTunnel(url, patience)
        url = tunnel.url
    try:
        with translate_errors(f"the container engine at {address.url}", address):
            if url.startswith("unix://"):
                os.stat(url.removeprefix("unix://"))  # a client leaves a socket open that found no file
            client = _TlsClient if address.tls else docker.APIClient
            api = client(base_url=url, tls=address.tls or False, version="auto", timeout=patience)
            api.timeout = _TIMEOUT
            if url.startswith("unix://"):
                api.get_adapter("http+docker://").close()  # the connection that asked for the version
                api.mount("http+docker://", _SingleHostAdapter(f"http+{url}", _TIMEOUT))
    except UnprovenError as error:
        words = tunnel.complaint() if tunnel is not None else ""
        if tunnel is not None:
            tunnel.close()
        if words:
            raise UnprovenError(f"{address.url} cannot be reached: {words}", hint=error.hint) from error
        raise
    return Daemon(api, address, tunnel)


def find() -> EngineAddress:
    """The address of the container engine. Raises UnprovenError if it or the context is missing."""
    if os.environ.get("DOCKER_HOST"):
        with translate_errors("the certificates of DOCKER_HOST (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH)"):
            env = kwargs_from_env()
        return EngineAddress(env["base_url"], env.get("tls"), "DOCKER_HOST")
    name = os.environ.get("DOCKER_CONTEXT")
    with translate_foreign(_context_error):  # docker-py raises no type of its own for a damaged file
        context = ContextAPI.get_context(name)
    if context is None:  # the default one would be another engine
        raise UnprovenError(f"there is no Docker context '{name or 'the active one'}'", hint="docker context ls")
    if context.Name != "default":
        return EngineAddress(str(context.Host), context.TLSConfig, f"the Docker context '{context.Name}'")
    socket_path = next((path for path in _sockets() if os.path.exists(path)), None)
    if socket_path is None:
        raise UnprovenError("no container engine is running here", hint=_INSTALL)
    return EngineAddress(f"unix://{socket_path}", None, "its socket")


def _context_error(error: Exception) -> UnprovenError:
    return UnprovenError(f"the Docker context cannot be read: {error}", hint="docker context ls")


def _sockets() -> Iterator[Path]:
    home, runtime = home_folder(), os.environ.get("XDG_RUNTIME_DIR")
    yield Path("/var/run/docker.sock")
    if runtime:
        yield Path(runtime, "docker.sock")
    yield home / ".docker/run/docker.sock"
    yield home / ".docker/desktop/docker.sock"
    yield home / ".colima/default/docker.sock"
    if runtime:
        yield Path(runtime, "podman/podman.sock")
    yield Path("/run/podman/podman.sock")


# ------------------------------------------------------------------------------------------ in words


@contextmanager
def translate_errors(
    what: str, address: EngineAddress | None = None, *, reason: Reason | None = None
) -> Iterator[None]:
    """Whatever goes wrong with a container engine inside, as UnprovenError: what could not be done, why, what to do.

    `reason` is what that means to the caller, else it is the engine's.
    """
    try:
        yield
    except APIError as error:
        words = str(error.explanation or error).strip()
        found = Reason.NOT_FOUND if isinstance(error, NotFound) else reason_of(words)
        raise UnprovenError(f"{what}: {words}", hint=remedy(words), reason=reason or found) from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        words, hint, trouble = _trouble(error, address)
        who = what if address is not None else f"{what}: the container engine"
        raise UnprovenError(f"{who} {words}", hint=hint, reason=reason or trouble) from error
    except (LookupError, TypeError, ValueError) as error:
        # where a connection breaks in the head of an answer, what is there of it passes for the whole
        who = what if address is not None else f"{what}: the container engine"
        raise UnprovenError(f"{who}'s answer is cut", hint=_AGAIN, reason=reason) from error


def ensure_network(daemon: Daemon, name: str) -> None:
    """Make a network that is not there yet; it stays."""
    if not daemon.api.networks(names=[name]):
        daemon.api.create_network(name)


# How an engine reports that it could not execute a program; its own trouble, such as a mount, has no "exec".
_NO_PROGRAM = lazy_pattern(r"(?is)\bexec(?:utable)?\b.*(?:not found|no such file or directory)")
_NOT_EXECUTABLE = lazy_pattern(r"(?is)\bexec(?:utable)?\b.*permission denied")


def start_container(daemon: Daemon, identity: str, doing: str) -> None:
    """Start it. Raises UnprovenError, with NO_PROGRAM or NOT_EXECUTABLE as its reason where its program is the trouble."""
    try:
        with translate_errors(doing):
            daemon.api.start(identity)
    except UnprovenError as error:
        words = str(getattr(error.__cause__, "explanation", None) or "")
        if _NO_PROGRAM.search(words):
            error.reason = Reason.NO_PROGRAM
        elif _NOT_EXECUTABLE.search(words):
            error.reason = Reason.NOT_EXECUTABLE
        raise


def is_missing(error: UnprovenError) -> bool:
    """Whether the engine said that there is no such image, container or path."""
    return error.reason is Reason.NOT_FOUND


def is_refused(error: UnprovenError) -> bool:
    """Whether the engine answered, and would not do what it was asked for there and then."""
    return error.reason in {Reason.REFUSED, Reason.DENIED}


# How registries refuse what they do not have, and engines what may not be run: they pass both on as text alone.
_NO_SUCH_IMAGE = lazy_pattern(r"(?i)manifest (?:\S+ )?(?:unknown|not found)|repository does not exist|name unknown")
_DENIED = lazy_pattern(r"(?i)permission denied|unauthorized|denied")


def reason_of(words: str) -> Reason:
    """Why an engine refused something, by its own words."""
    if _NO_SUCH_IMAGE.search(words):
        return Reason.NOT_FOUND
    return Reason.DENIED if _DENIED.search(words) else Reason.REFUSED


def remedy(words: str) -> str:
    """What to do about an engine's complaint, empty where its own words are all there is."""
    if "no space left" in words:
        return "make room where the container engine keeps its data: docker system prune"
    if "no matching manifest" in words:
        return "build it for that platform, or set deploy.platform"
    if "invalid tar header" in words:
        return "update the container engine, or compress the layers with gzip: Docker 23 is the first that knows zstd"
    if "unauthorized" in words or "denied" in words:
        return "docker login, or gcloud auth configure-docker for Artifact Registry"
    return ""


def _trouble(error: BaseException, address: EngineAddress | None) -> tuple[str, str, Reason]:
    """Why the engine cannot be reached, and what to do, from the system error at the root of it."""
    said = f" (from {address.said_by})" if address is not None else ""
    root = _root(error)
    if isinstance(root, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"did not answer within {_TIMEOUT} seconds{said}", "restart it", Reason.TIMED_OUT
    for kind, number, words, hint in _TROUBLES:
        if isinstance(root, kind) and (number is None or getattr(root, "errno", None) == number):
            return f"{words}{said}", hint, Reason.UNREACHABLE
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError | ConnectionError):
        return "was lost in the middle of it", _AGAIN, Reason.UNREACHABLE
    return f"cannot be used: {error}{said}", "", Reason.UNREACHABLE


_TROUBLES: tuple[tuple[type[BaseException], int | None, str, str], ...] = (
    (OSError, errno.EACCES, "refuses us: permission denied", _MAY_USE),
    (OSError, errno.ENOENT, "is not there", _INSTALL),
    (OSError, errno.ECONNREFUSED, "does not run: connection refused", _START),
    (socket.gaierror, None, "is nowhere: no such host", "check DOCKER_HOST, or docker context ls"),
)


def _root(error: BaseException) -> BaseException:
    """The error that all the others were raised for: docker-py and requests wrap it several times, some as arguments."""
    seen: set[int] = set()
    current = error
    while id(current) not in seen:
        seen.add(id(current))
        inner = [argument for argument in current.args if isinstance(argument, BaseException)]
        reason = getattr(current, "reason", None)
        if isinstance(reason, BaseException):
            inner.append(reason)
        following = next(iter(inner), None) or current.__cause__ or current.__context__
        if following is None:
            break
        current = following
    return current


# ------------------------------------------------------------------------------------------ over ssh


class _SshTunnel:
    """A local socket; each connection to it is an `ssh HOST docker system dial-stdio`, as Docker's own client does."""

    def __init__(self, url: str, patience: int) -> None:
        from buildguard.system import temporary

        target = url.removeprefix("ssh://").rstrip("/")
        host, colon, port = target.partition("/")[0].rpartition(":")
        ssh = programs.which("ssh", os.getcwd())
        if ssh is None:
            raise UnprovenError(f"{url} needs ssh, which is not on PATH", hint="install an ssh client")
        if not (colon and port.isdigit()):
            host, port = target.partition("/")[0], ""
        self._folder = str(temporary.folder_of(self))
        # one login for every connection: it takes half a second
        shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._folder}/ssh"]
        self._argv = [ssh, "-o", f"ConnectTimeout={patience}", *shared, "-T", *(["-p", port] if port else [])]
        self._argv += ["--", host, "docker", "system", "dial-stdio"]
        path = os.path.join(self._folder, "docker.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._children: list[subprocess.Popen[bytes]] = []
        self.url = f"unix://{path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return  # closed
            with connection:
                self._children.append(process.start_on(self._argv, connection.fileno()))

    def complaint(self) -> str:
        """The last line that ssh wrote, where it has ended."""
        for child in self._children:
            if process.wait_for_exit(child, _LAST_WORDS) and child.stderr is not None:
                said = process.last_line(child.stderr.read())
                if said:
                    return said
        return ""

    def close(self) -> None:
        """End every connection, and remove the socket."""
        import shutil

        self._listener.close()
        for child in self._children:
            process.stop(child)
        shutil.rmtree(self._folder, ignore_errors=True)
