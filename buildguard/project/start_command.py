"""What a container starts, as far as its command line and entrypoint scripts say it: one record for each start. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from buildguard.project.gunicorn_config import ConfigSetting

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
MODULE = lazy_pattern(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PYTHON = lazy_pattern(r"(?:python|pypy)(?:3(?:\.\d+)?t?)?")


class CommandPlace(NamedTuple):
    """Where a command is written: a file of the project, or of the image where `in_image`, and the line."""

    file: str
    line: int | None
    in_image: bool = False


class CommandText(NamedTuple):
    """A command as a file declares it: words in exec form, or the text that a shell gets."""

    place: CommandPlace
    words: tuple[str, ...] = ()
    text: str = ""

    @property
    def is_shell(self) -> bool:
        """Whether a shell reads it."""
        return bool(self.text)


class StartProgram(NamedTuple):
    """A file or a name on PATH that a start needs: executed by the kernel, or only read by a program that was executed."""

    name: str
    folder: str
    place: CommandPlace
    is_executed: bool = True


class ListenAddress(NamedTuple):
    """The address of a server, and what sets it.

    A port is digits, or `$PORT` for what the platform sets; any other text, or none, is unknown. `is_raw` says that a variable
    reaches the server as it is written, as no shell expands it.
    """

    host: str
    port: str
    source: str
    place: CommandPlace
    is_raw: bool = False


class StartContext(NamedTuple):
    """What surrounds a command: working folder, variables, the content of a file of the image (None where unknown).

    `may_exist` says whether the image may have a file whose content is unknown. `scripts` are the programs that the project itself installs, with the `module:function` of each.
    """

    folder: str = "/"
    env: Mapping[str, str] = MappingProxyType({})
    read: Callable[[str], bytes | None] = lambda _path: None
    scripts: Mapping[str, str] = MappingProxyType({})
    may_exist: Callable[[str], bool] = lambda _path: False


class StartCommand(NamedTuple):
    """What a start runs in the end.

    `programs` are all that it executes or reads on the way, in order. `script` is an absolute path, `module` a dotted name;
    `is_main` says that it runs as `__main__`. `attribute` is what a server takes from it, called where `is_factory`.
    `search_path` are the entries that come before the installed packages in sys.path. `configs` are absolute paths, `worker`
    is the program that gunicorn's workers need beside it. `before`
    are commands that run first, each in a process of its own; one `may_fail` where the start goes on without it.
    `loads` is what the script itself loads by name, in its own process. `expanded` says that a shell expanded the variables. What cannot be known
    is `undecided`, with the reason; the fields then hold what is known. `unread` says that the reason is a file whose content is unknown,
    `raw` the program or script that is a variable.
    """

    place: CommandPlace
    programs: tuple[StartProgram, ...] = ()
    server: str = ""
    arguments: tuple[str, ...] = ()
    script: str = ""
    module: str = ""
    attribute: str = ""
    is_main: bool = False
    is_factory: bool = False
    folder: str = "/"
    search_path: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    worker: str = ""
    listener: ListenAddress | None = None
    expanded: bool = False
    env: Mapping[str, str] = MappingProxyType({})
    before: tuple[StartCommand, ...] = ()
    may_fail: bool = False
    loads: tuple[StartCommand, ...] = ()
    undecided: str = ""
    unread: bool = False
    raw: str = ""


def processes(command: StartCommand) -> Iterator[StartCommand]:
    """Each process of a start, without those before it, in their order: the last is what the container runs."""
    for before in command.before:
        for process in processes(before):
            yield process._replace(may_fail=process.may_fail or before.may_fail)
    yield command._replace(before=())


def combine(
    entrypoint: CommandText | None, command: CommandText | None, system_shell: Sequence[str] = ("/bin/sh", "-c")
) -> CommandText | None:
    """The words that the kernel gets of ENTRYPOINT and CMD; a shell-form ENTRYPOINT ignores CMD. None without either."""
    if entrypoint is None or not (entrypoint.words or entrypoint.text):
        return _as_words(command, system_shell)
    if entrypoint.is_shell or command is None:
        return _as_words(entrypoint, system_shell)
    tail = _as_words(command, system_shell)
    return entrypoint._replace(words=(*entrypoint.words, *(tail.words if tail is not None else ())))


def _as_words(command: CommandText | None, system_shell: Sequence[str]) -> CommandText | None:
    if command is None or not (command.words or command.text):
        return None
    return command._replace(words=(*system_shell, command.text), text="") if command.is_shell else command


def is_python(name: str) -> bool:
    """Whether a program is called like a Python interpreter."""
    return _PYTHON.fullmatch(posixpath.basename(name)) is not None


def is_shell(name: str) -> bool:
    """Whether a program is called like a shell."""
    return posixpath.basename(name) in _SHELLS


def is_unknown(text: str) -> bool:
    """Whether a text holds a variable that was not filled in."""
    from buildguard.project import shell

    return shell.UNKNOWN in text or "$" in re.sub(r"\$PORT\b|\$\{PORT\}", "", text)


def in_folder(folder: str, path: str) -> str:
    """A path as an absolute one of the image."""
    joined = posixpath.normpath(posixpath.join(folder, path))
    return "/" + joined.lstrip("/")


def split_address(text: str, source: str, start: StartCommand) -> ListenAddress | None:
    """The address of `host:port`, `:port` or `host`; None for a socket file or a file descriptor."""
    text = text.partition(",")[0].strip().removeprefix("tcp://")
    if text.startswith(("unix:", "fd://", "fd@", "/")):
        return None
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return ListenAddress(host, port.lstrip(":") or "8000", source, start.place)
    head, colon, tail = text.rpartition(":")
    if not colon and "$" in text:
        return ListenAddress("", text, source, start.place)
    if not colon:
        return ListenAddress(text, "8000", source, start.place) if not text.isdigit() else None
    return ListenAddress(head or "0.0.0.0", tail, source, start.place)  # noqa: S104  what the servers do


def configured_listener(start: StartCommand, path: str, setting: ConfigSetting) -> ListenAddress | None:
    """The address that a configuration file of the image binds."""
    place = start.place._replace(file=path, line=setting.line, in_image=True)
    return split_address(setting.text, f"{posixpath.basename(path)}:{setting.line}", start._replace(place=place))


def unknown_listener(start: StartCommand, path: str) -> ListenAddress:
    """An address that only running the start would tell."""
    return ListenAddress("", "", posixpath.basename(path), start.place)


def read_module(start: StartCommand, name: str, context: StartContext) -> bytes | None:
    """The source of a module or package on the search path; None where the image is not known to have one."""
    bases = (posixpath.join(folder, *name.split(".")) for folder in start.search_path)
    contents = (context.read(path) for base in bases for path in (f"{base}/__init__.py", f"{base}.py"))
    return next((content for content in contents if content is not None), None)


def with_class(start: StartCommand, name: str, place: CommandPlace, context: StartContext) -> StartCommand:
    """With a class of the project that a server loads by its name: `jobs.Worker`, and `loops:make` of uvicorn."""
    module, _, attribute = name.replace(":", ".").rpartition(".")
    return with_module(start, module, attribute, place, context) if MODULE.fullmatch(attribute) else start


def with_module(
    start: StartCommand, module: str, attribute: str, place: CommandPlace, context: StartContext
) -> StartCommand:
    """With a module of the project that a server loads by its name, in its own process."""
    if not MODULE.fullmatch(module) or read_module(start, module.partition(".")[0], context) is None:
        return start
    loaded = StartCommand(place, server=start.server, module=module, attribute=attribute, folder=start.folder)
    return start._replace(loads=(*start.loads, loaded._replace(search_path=start.search_path, env=start.env)))
