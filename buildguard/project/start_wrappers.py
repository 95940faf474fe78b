"""Programs that only start another one: how many words are theirs. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern

_MODULE = frozenset({"-m", "--module"})
_ASSIGNMENT = lazy_pattern(r"[A-Za-z_]\w*=")


class Unwrapped(NamedTuple):
    """The command behind a wrapper, the variables that it sets, and whether it may be a Python file by its bare name."""

    words: tuple[str, ...]
    env: Mapping[str, str] = MappingProxyType({})
    runs_python: bool = False


class WrapperSyntax(NamedTuple):
    """A wrapper: the words after its name, its options with a value, and the operands that come before the command."""

    verbs: tuple[str, ...] = ()
    with_value: frozenset[str] = frozenset()
    operands: int = 0
    runs_python: bool = False


def _syntax(verbs: str = "", values: str = "", operands: int = 0, *, runs_python: bool = False) -> WrapperSyntax:
    return WrapperSyntax(tuple(verbs.split()), frozenset(values.split()), operands, runs_python)


_UV_VALUES = (
    "--extra --no-extra --group --no-group --only-group --env-file --with --with-editable --with-requirements --index "
    "--default-index -i --index-url --extra-index-url -f --find-links -P --upgrade-package --refresh-package -p --python "
    "--package --project --directory --cache-dir --config-file --link-mode --resolution --color --python-platform -C"
)
_WRAPPERS: Mapping[str, WrapperSyntax] = MappingProxyType(
    {
        "tini": _syntax(values="-p -e"),
        "tini-static": _syntax(values="-p -e"),
        "docker-init": _syntax(values="-p -e"),
        "dumb-init": _syntax(values="-r --rewrite"),
        "exec": _syntax(values="-a"),
        "command": _syntax(),
        "nohup": _syntax(),
        "time": _syntax(),
        "setsid": _syntax(),
        "nice": _syntax(values="-n --adjustment"),
        "stdbuf": _syntax(values="-i -o -e"),
        "gosu": _syntax(operands=1),
        "su-exec": _syntax(operands=1),
        "sudo": _syntax(values="-u --user -g --group -h --host -p --prompt -C -D --chdir -R -r -t -U"),
        "timeout": _syntax(values="-k --kill-after -s --signal", operands=1),
        "s6-setuidgid": _syntax(operands=1),
        "uv": _syntax("run", _UV_VALUES, runs_python=True),
        "poetry": _syntax("run", "-C --directory -P --project"),
        "pipenv": _syntax("run"),
        "pdm": _syntax("run", "-p --project"),
        "rye": _syntax("run"),
        "pixi": _syntax("run", "-e --environment --manifest-path"),
        "conda": _syntax("run", "-n --name -p --prefix --cwd"),
        "micromamba": _syntax("run", "-n --name -p --prefix --cwd"),
        "ddtrace-run": _syntax(),
        "opentelemetry-instrument": _syntax(
            values="--traces_exporter --metrics_exporter --logs_exporter --service_name --exporter_otlp_endpoint"
        ),
        "newrelic-admin": _syntax("run-program"),
        "doppler": _syntax("run", "-p --project -c --config -t --token"),
    }
)


def unwrap(words: Sequence[str]) -> Unwrapped | None:
    """The command that a wrapper starts; None for any other program, and for a wrapper that is used otherwise."""
    name = posixpath.basename(words[0])
    if name == "env":
        return _unwrap_env(words[1:])
    syntax = _WRAPPERS.get(name)
    if syntax is None:
        return None
    rest = list(words[1:])
    for verb in syntax.verbs:
        rest = _without_options(rest, syntax)
        if rest[:1] != [verb]:
            return None
        rest = rest[1:]
    module = _module_of(rest, syntax)
    rest = module or _without_options(rest, syntax)[syntax.operands :]
    return Unwrapped(tuple(rest), runs_python=syntax.runs_python) if rest else None


def _without_options(words: list[str], syntax: WrapperSyntax) -> list[str]:
    rest = words[_end_of_options(words, syntax) :]
    return rest[1:] if rest[:1] == ["--"] else rest


def _module_of(words: list[str], syntax: WrapperSyntax) -> list[str]:
    """`uv run -m package`: the options of uv end there."""
    rest = words[_end_of_options(words, syntax, _MODULE) :] if syntax.runs_python else []
    return ["python", "-m", *rest[1:]] if rest[:1] and rest[0] in _MODULE else []


def _end_of_options(words: list[str], syntax: WrapperSyntax, ends: frozenset[str] = frozenset()) -> int:
    """Where the options of a wrapper end: at a word that is none, at `--`, or at one of some others."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] not in {"--", *ends}:
        at += 2 if words[at] in syntax.with_value else 1
    return at


def _unwrap_env(words: Sequence[str]) -> Unwrapped | None:
    rest, env = list(words), {}
    while rest:
        word = rest.pop(0)
        if word in {"-S", "--split-string"} and rest:
            rest = [*rest.pop(0).split(), *rest]
        elif word.startswith("-S") and len(word) > len("-S"):
            rest = [*word[2:].split(), *rest]
        elif word in {"-u", "--unset", "-C", "--chdir"}:
            rest = rest[1:]
        elif _ASSIGNMENT.match(word):
            name, _equals, value = word.partition("=")
            env[name] = value
        elif not word.startswith("-"):
            return Unwrapped((word, *rest), env)
    return None
