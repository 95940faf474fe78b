"""BG701: words of the exec form that a program gets as they are written: variables, and the program's own name once more."""

from __future__ import annotations

import posixpath

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.project.image_model import CommandForm, ImageCommand
from buildguard.project.server_options import SERVERS, OptionRole, OptionValue, parse_options
from buildguard.project.start_command import StartCommand
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.modules import search

_VARIABLE = lazy_pattern(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_][^}]*\})")  # `$(NAME)` is what Kubernetes fills in
_NUMBERS = frozenset(
    {
        *("-w", "--workers", "--threads", "-t", "--timeout", "--graceful-timeout", "--keep-alive", "--backlog"),
        *("--max-requests", "--max-requests-jitter", "--worker-connections", "--limit-concurrency"),
        *("--timeout-keep-alive", "--limit-max-requests"),
    }
)
_COUNTING = frozenset({"gunicorn", "uvicorn"})  # the servers that these are options of


def check_raw_words(image: ImageStart, start: StartCommand, findings: StartupFindings) -> bool:
    """Whether a start gets its words as they are meant; a variable that no shell expands is reported, and a program named twice."""
    message, hint = _raw_problem(image, start) or _doubled_problem(image, start) or ("", "")
    if message:
        findings.add(Code.BG701, image.place_of(start.place), message, hint)
    return not message


def _raw_problem(image: ImageStart, start: StartCommand) -> tuple[str, str] | None:
    raw = "" if start.expanded else start.raw or _raw_value(start)
    if not raw or not any(_is_value(word, raw) for word in _written(image)):
        return None
    name = posixpath.basename(start.programs[-1].name) if start.programs else "the kernel"
    message = f"{name} gets {raw} as it is written: exec form expands no variable"
    return message, 'use shell form (CMD exec …), or ["sh", "-c", "exec …"]'


def _doubled_problem(image: ImageStart, start: StartCommand) -> tuple[str, str] | None:
    if not _is_doubled(image, start):
        return None
    server = start.server
    return f"ENTRYPOINT runs {server}, and CMD begins with {server} once more", f"leave {server} out of CMD"


def _is_value(word: str, raw: str) -> bool:
    return word == raw or (word.startswith("-") and word.endswith(raw))


def _written(image: ImageStart) -> list[str]:
    """The words of the commands that the Dockerfile has in exec form; `env -S` expands variables."""
    model = image.tree.model
    words = [word for command in (model.entrypoint, model.cmd) if _is_exec(command) for word in _words(command)]
    return [] if any(word.startswith(("-S", "--split-string")) for word in words) else words


def _is_exec(command: ImageCommand | None) -> bool:
    return command is not None and command.form is CommandForm.EXEC


def _words(command: ImageCommand | None) -> tuple[str, ...]:
    return command.words if command is not None else ()


def _raw_value(start: StartCommand) -> str:
    """A variable in what a server cannot do with any text: its application, its folder and its numbers; else empty."""
    if start.server not in SERVERS:
        return ""
    parsed = parse_options(start.arguments, SERVERS[start.server], {})
    application = [] if start.server in {"flask", "celery"} else [*parsed.operands[:1]]
    values = [option.value for option in parsed.values if _is_strict(start, option)]
    return next(filter(_VARIABLE.search, [*application, *values]), "")


def _is_strict(start: StartCommand, option: OptionValue) -> bool:
    is_number = option.source in _NUMBERS and start.server in _COUNTING
    return is_number or (option.role is OptionRole.FOLDER and start.server == "gunicorn")


def _is_doubled(image: ImageStart, start: StartCommand) -> bool:
    """Whether ENTRYPOINT ends in a server, and CMD names it again; a module of the project may be called like it."""
    model = image.tree.model
    entry, command = _words(model.entrypoint), _words(model.cmd)
    names = [*map(posixpath.basename, entry)]
    is_again = bool(command) and start.server in names and posixpath.basename(command[0]) == start.server
    is_used = start.arguments[-len(command) :] == command and not start.expanded
    return is_again and is_used and not search(image, start.server, start.search_path).path
