"""Libraries that read variables: decouple, environs, django-environ, starlette and Flask, by how they are called. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.env_files import EnvFile, beside
from buildguard.startup.variables.guards import default_of
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.records import UNKNOWN_PREFIX, CallSite, VariableRead

DJANGO = "django-environ"
_DIRECT = {"decouple.config": "decouple", "environs.env": "environs"}  # ready objects
_MAKERS = {
    "decouple.Config": "decouple",
    "decouple.AutoConfig": "decouple",
    "environs.Env": "environs",
    "environs.FileAwareEnv": "environs",
    "environ.Env": "django-environ",
    "environ.FileAwareEnv": "django-environ",
    "starlette.config.Config": "starlette",
}
LOADERS = frozenset({"dotenv.load_dotenv", "environ.Env.read_env", "environs.Env.read_env", "dotenv.main.load_dotenv"})
# Libraries whose settings come from files, variables and vaults together: what they need is undecided.
OPEN_READERS = frozenset(
    {"dynaconf.Dynaconf", "dynaconf.LazySettings", "dynaconf.FlaskDynaconf", "dynaconf.DjangoDynaconf"}
)
_NO_READS = frozenset(
    {
        "read_env",
        "prefixed",
        "seal",
        "dump",
        "add_parser",
        "parser_for",
        "add_parser_from_field",
        "parse_value",
    }
)
_PREFIX_KEYS = {"environs": "prefix", "starlette": "env_prefix"}
_NO_DEFAULTS = frozenset({"NOTSET", "undefined"})  # what the libraries have for "no default"
_FIXED = {  # django-environ's own names for what is read without one
    "db": "DATABASE_URL",
    "db_url": "DATABASE_URL",
    "cache": "CACHE_URL",
    "cache_url": "CACHE_URL",
    "email": "EMAIL_URL",
    "email_url": "EMAIL_URL",
    "search_url": "SEARCH_URL",
    "channels": "CHANNELS_URL",
    "channels_url": "CHANNELS_URL",
}


class Wrapper(NamedTuple):
    """An object that reads variables: its library, how it was made, and why what it reads is unknown (empty where it is known)."""

    library: str
    made: CallSite | None = None
    unknown: str = ""


def wrapper_of(function: str) -> Wrapper | None:
    """The reader that a library has ready under a full name."""
    return next((Wrapper(_DIRECT[name]) for name in _DIRECT if f"{function}.".startswith(f"{name}.")), None)


def method_of(function: str) -> str:
    """The method of such a reader that a full name means; empty where it is the reader itself."""
    return next((function[len(name) + 1 :] for name in _DIRECT if function.startswith(f"{name}.")), "")


def made_by(site: CallSite) -> Wrapper | None:
    """The reader that a call makes; None for a call of anything else."""
    library = _MAKERS.get(site.name)
    if library is None:
        return None
    return Wrapper(library, site, _why_unknown(library, site.call))


def _why_unknown(library: str, call: ast.Call) -> str:
    keywords = {keyword.arg for keyword in call.keywords}
    if library == "environs" and keywords & {"eager", None}:
        return "environs reads it later"
    if library == "decouple" and call.args:
        return "decouple reads a file as well"
    if library == "starlette" and any(not isinstance(argument, ast.Constant) for argument in call.args[:1]):
        return "starlette reads a file as well"
    if library == "starlette" and (keywords & {"environ", None} or len(call.args) > 1):
        return "starlette reads a mapping of its own"
    return ""


def _prefix_of(wrapper: Wrapper, names: ModuleNames) -> str | None:
    """What a reader puts before each name; None where that is computed."""
    made = wrapper.made
    if made is None:
        return ""
    if made.prefix:
        return made.prefix if made.prefix != UNKNOWN_PREFIX else None
    key = _PREFIX_KEYS.get(wrapper.library, "")
    value = next((keyword.value for keyword in made.call.keywords if keyword.arg == key), None)
    return "" if value is None else names.text(value) or None


def files_of(wrapper: Wrapper, module: str) -> Iterator[EnvFile]:
    """The files that a reader, called in a module, takes variables of besides the environment."""
    call = wrapper.made.call if wrapper.made is not None else None
    if wrapper.library == "decouple":
        yield beside("decouple", module, "settings.ini", ".env")
    elif wrapper.library == "starlette" and call is not None:
        given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "env_file")]
        yield from (
            EnvFile((str(value.value),), "starlette")
            for value in given
            if isinstance(value, ast.Constant) and value.value
        )


def read_call(wrapper: Wrapper, method: str, site: CallSite, names: ModuleNames) -> VariableRead | None:
    """The variable that a call of a reader, or of a method of it, reads; None where it reads none, or which is unknown."""
    if method in _NO_READS:
        return None
    name, default = _ASKS[wrapper.library](wrapper, method, site.call, names)
    if not name:
        return None
    if default is not None and names.full(default).rpartition(".")[2] in _NO_DEFAULTS:
        default = None
    shown = "" if default is None else ast.unparse(default)[:60]
    is_required = default is None and not site.is_guarded
    prefix = _prefix_of(wrapper, names)
    if prefix is None:
        return None
    name = prefix + site.prefix + name
    by_file = (f"{name}_FILE",) if wrapper.made is not None and wrapper.made.name.endswith("FileAwareEnv") else ()
    return VariableRead((name, *by_file), site.call.lineno, wrapper.library, is_required, shown)


def _first(call: ast.Call, names: ModuleNames) -> str:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    return names.text(
        call.args[0]
        if call.args
        else keywords.get("var") or keywords.get("name") or keywords.get("key") or keywords.get("option")
    )


_Question = tuple[str, ast.expr | None]


def _ask_decouple(_wrapper: Wrapper, method: str, call: ast.Call, names: ModuleNames) -> _Question:
    return ("", None) if method not in {"", "get"} else (_first(call, names), default_of(call))


def _ask_environs(_wrapper: Wrapper, _method: str, call: ast.Call, names: ModuleNames) -> _Question:
    return _first(call, names), default_of(call)


def _ask_starlette(_wrapper: Wrapper, method: str, call: ast.Call, names: ModuleNames) -> _Question:
    return ("", None) if method not in {"", "get"} else (_first(call, names), default_of(call, 2))


def _ask_django(wrapper: Wrapper, method: str, call: ast.Call, names: ModuleNames) -> _Question:
    has_name = bool(call.args) or any(keyword.arg == "var" for keyword in call.keywords)
    name = _first(call, names) if has_name else _FIXED.get(method, "")
    default = default_of(call, 1 if method not in {"", "get_value"} else 2)
    return name, default if default is not None else _scheme_default(wrapper, name)


def _scheme_default(wrapper: Wrapper, name: str) -> ast.expr | None:
    """The default that `Env(NAME=(type, default))` gives."""
    keywords = wrapper.made.call.keywords if wrapper.made is not None else []
    value = next((keyword.value for keyword in keywords if keyword.arg == name), None)
    return value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) > 1 else None


_ASKS: dict[str, Callable[[Wrapper, str, ast.Call, ModuleNames], _Question]] = {
    "decouple": _ask_decouple,
    "environs": _ask_environs,
    "django-environ": _ask_django,
    "starlette": _ask_starlette,
}
