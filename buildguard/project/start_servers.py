"""From the options of a Python server to the application that it loads and the address it listens on. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import toml
from buildguard.project.server_options import SERVERS, OptionRole, ParsedOptions, parse_options
from buildguard.project.start_command import (
    MODULE,
    ListenAddress,
    StartCommand,
    StartContext,
    configured_listener,
    in_folder,
    is_unknown,
    split_address,
    unknown_listener,
    with_class,
    with_module,
)

_CALL = lazy_pattern(r"([A-Za-z_][\w.]*)\s*\(.*\)", re.DOTALL)
# Where both look for an application that nothing names, in their order.
_FLASK_PATHS = ("wsgi.py", "app.py")
_FLASK_FILES = (".flaskenv", ".env")
_FLASK_TEXTS = (
    *_FLASK_FILES,
    ".env.sample",
    ".env.example",
    ".env.template",
    ".env.dist",
)  # of a `.env` that git ignores
_LITESTAR_PATHS = ("app.py", "application.py")
_FASTAPI_PATHS = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
_CLI_PIN = lazy_pattern(rb"(?m)^(?:name = \")?fastapi-cli(?:\[[^\]\n]*\])?(?:\s*==\s*|\"\r?\nversion = \")0\.0\.(\d+)")
_CLI_RANGE = lazy_pattern(rb"(?m)^fastapi-cli(?:\[[^\]\n]*\])?\s*(?:<|~=|!=|===)")
# What `import_module` takes: a file may be called as no `import` statement can.
_LOADED_MODULE = lazy_pattern(r"[\w-]+(?:\.[\w-]+)*")
PINS = ("requirements.txt", "uv.lock", "poetry.lock")  # what may name the version of a server
_READS_PYPROJECT = 15  # fastapi-cli 0.0.15
_WORKERS = MappingProxyType(
    {
        "gevent": "gevent",
        "gevent_wsgi": "gevent",
        "gevent_pywsgi": "gevent",
        "eventlet": "eventlet",
        "tornado": "tornado",
    }
)
_CLASSES = MappingProxyType({"worker_class": OptionRole.WORKER, "logger_class": OptionRole.CLASS})
_LIBRARIES = frozenset(
    {"uvloop", "httptools"}
)  # what uvicorn takes by itself where it is there, and requires where it is named


def apply_server(start: StartCommand, words: Sequence[str], context: StartContext) -> StartCommand:
    """A start with what its server's command line says; `words` come after the program."""
    syntax = SERVERS[start.server]
    if start.server == "gunicorn" and context.env.get("GUNICORN_CMD_ARGS"):
        words = [*_split(context.env["GUNICORN_CMD_ARGS"]), *words]
    parsed = parse_options(words, syntax, context.env)
    if parsed.unknown:
        return start._replace(undecided=f"{start.server} option {parsed.unknown} is not known")
    start = _APPLY[start.server](_in_folder(start, parsed), parsed, context)
    needed = (in_folder(start.folder, name) for name in parsed.all(OptionRole.NEEDED) if not is_unknown(name))
    start = start._replace(configs=(*start.configs, *needed))
    return start if start.listener is not None else start._replace(listener=_listener(start, parsed))


def _split(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _in_folder(start: StartCommand, parsed: ParsedOptions) -> StartCommand:
    """A start in the folder that an option changes to, with the entries of sys.path that options add."""
    changed = parsed.last(OptionRole.FOLDER)
    folder = in_folder(start.folder, changed.value) if changed is not None else start.folder
    added = [path for text in parsed.all(OptionRole.PATH) for path in text.split(",") if path]
    paths = [in_folder(folder, path) for path in added]
    if start.server == "gunicorn":
        # each is put before the others; it adds its working folder before it changes it, and again afterwards
        paths = [*reversed(paths), folder, start.folder]
    return start._replace(folder=folder, search_path=tuple(dict.fromkeys([*paths, *start.search_path])))


def _listener(start: StartCommand, parsed: ParsedOptions) -> ListenAddress | None:
    syntax = SERVERS[start.server]
    if not syntax.port or parsed.last(OptionRole.SOCKET) is not None:
        return None
    bind, host, port = (parsed.last(role) for role in (OptionRole.BIND, OptionRole.HOST, OptionRole.PORT))
    default = f"{start.server}'s default"
    if bind is not None:
        listener = split_address(bind.value, bind.source, start)
    else:
        listener = ListenAddress(
            host.value if host is not None else syntax.host,
            port.value if port is not None else syntax.port,
            next((option.source for option in (port, host) if option is not None), default),
            start.place,
        )
    deciding = (host, port) if bind is None else (bind,)
    is_raw = not start.expanded and any(option is not None and "$" in option.value for option in deciding)
    return listener and listener._replace(is_raw=is_raw)


# ------------------------------------------------------------------------------------------ applications


def _gunicorn(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    start = _with_config(start, parsed, context)
    if start.folder not in start.search_path:
        start = start._replace(search_path=(start.folder, *start.search_path))
    start = _with_worker(start, parsed, context)
    for name in parsed.all(OptionRole.CLASS)[-1:]:
        start = with_class(start, name, start.place, context)
    operand = parsed.operands[0] if parsed.operands else ""
    application = operand or (start.module and f"{start.module}:{start.attribute}")
    if not application:
        return start._replace(undecided=start.undecided or "gunicorn gets no application")
    return _application(start._replace(module="", attribute=""), application)


def _with_worker(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """With what the class of gunicorn's workers needs: a program, or a module of the project."""
    option = parsed.last(OptionRole.WORKER)
    name = option.value if option is not None else ""
    if name in _WORKERS:
        return start._replace(worker=_WORKERS[name])
    top = name.partition(".")[0]
    if "." in name and top in {"uvicorn", "gevent", "tornado"}:
        return start._replace(worker=top)
    return with_class(start, name, start.place, context)


def _with_config(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """With what gunicorn's configuration sets and no option does; its path is relative to the first working folder."""
    option = parsed.last(OptionRole.CONFIG)
    name = option.value.removeprefix("file:") if option is not None else "gunicorn.conf.py"
    if name.startswith("python:"):
        start = with_module(start, name[7:], "", start.place, context)
        return start._replace(undecided=f"gunicorn reads its configuration from the module {name[7:]}")
    path = in_folder(context.folder, name)
    content = context.read(path)
    if content is None and option is None:
        return start
    start = start._replace(configs=(path,))
    if content is None:
        return (
            start
            if parsed.last(OptionRole.BIND) is not None
            else start._replace(listener=unknown_listener(start, path))
        )
    return _with_settings(start, content, parsed, context)


def _with_settings(start: StartCommand, content: bytes, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """With what the source of gunicorn's configuration sets."""
    from buildguard.project.gunicorn_config import read_settings  # it needs `ast`

    (path,), settings = start.configs, read_settings(content)
    if "chdir" in settings and parsed.last(OptionRole.FOLDER) is None:
        start = start._replace(folder=in_folder(context.folder, settings["chdir"].text))
    if "wsgi_app" in settings:
        module, _, attribute = settings["wsgi_app"].text.partition(":")
        start = start._replace(module=module, attribute=attribute)
    for key, role in _CLASSES.items():
        if key in settings and not parsed.has(role):
            place = start.place._replace(file=path, line=settings[key].line, in_image=True)
            start = with_class(start, settings[key].text, place, context)
    setting = settings.get("bind")
    if setting is None or parsed.last(OptionRole.BIND) is not None:
        return start
    listener = configured_listener(start, path, setting)
    return start._replace(listener=listener or unknown_listener(start, path))


def _named(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """A server that takes `module:attribute` and searches the working folder first."""
    if not parsed.operands:
        return start._replace(undecided=f"{start.server} gets no application")
    application = parsed.operands[0]
    libraries = _LIBRARIES.intersection(parsed.all(OptionRole.LIBRARY))
    start = start._replace(worker=min(libraries, default=""))
    if start.server == "hypercorn":
        start = _with_hypercorn_config(start, parsed, context)
    if start.server == "hypercorn" and "/" in application.partition(":")[0]:
        start, application = _application_of_path(start, application)
    elif not parsed.has(OptionRole.PATH):
        start = searching_folder(start)
    start = _application(start, application)
    for name in parsed.all(OptionRole.LIBRARY) if start.server == "uvicorn" else ():
        start = with_class(start, name if ":" in name else "", start.place, context)
    return start._replace(is_factory=start.is_factory or parsed.has(OptionRole.FACTORY))


def _with_hypercorn_config(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """With the address that hypercorn's configuration binds, where no option does."""
    option = parsed.last(OptionRole.CONFIG)
    if option is None:
        return start
    from buildguard.project.hypercorn_config import hypercorn_listener  # it needs `ast`

    kind, _, module = option.value.partition(":")
    if kind == "python":
        start = start._replace(undecided=f"hypercorn reads its configuration from the module {module}")
        listener: ListenAddress | None = unknown_listener(start, module)
    else:
        start = start._replace(configs=(in_folder(start.folder, option.value.removeprefix("file:")),))
        listener = hypercorn_listener(start, context.read(start.configs[0]), is_python=kind == "file")
    return start if parsed.has(OptionRole.BIND) else start._replace(listener=listener)


def _application_of_path(start: StartCommand, text: str) -> tuple[StartCommand, str]:
    """`folder/module:attribute`: hypercorn imports the module alone, and searches its folder first."""
    path, separator, attribute = text.partition(":")
    folder, name = posixpath.split(in_folder(start.folder, path))
    search_path = tuple(dict.fromkeys([folder, *start.search_path]))
    return start._replace(search_path=search_path), f"{name.removesuffix('.py')}{separator}{attribute}"


def _application(start: StartCommand, text: str) -> StartCommand:
    """`package.module:attribute`, `package.module:factory("x")`, or a module alone where the server has a default."""
    module, _, attribute = text.partition(":")
    call = _CALL.fullmatch(attribute.strip())
    attribute = call[1] if call is not None else attribute.strip()
    default = SERVERS[start.server].attribute
    if is_unknown(text) or "$" in text or not _LOADED_MODULE.fullmatch(module) or (not attribute and not default):
        return start._replace(
            undecided=start.undecided or f"the application '{text}' of {start.server} is not understood"
        )
    if not MODULE.fullmatch(attribute or default):
        return start._replace(module=module, undecided=f"the attribute '{attribute}' is not a name")
    return start._replace(module=module, attribute=attribute or default, is_factory=call is not None)


def _flask(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    if "run" not in parsed.operands:
        return start._replace(undecided="flask runs another command than `run`")
    if not parsed.has(OptionRole.HOST):
        start = _with_flask_address(start, context)
    option = parsed.last(OptionRole.APP)
    if option is None:
        return _discovered_flask(start, context)
    target, _, attribute = option.value.partition(":")
    call = _CALL.fullmatch(attribute.strip())
    attribute = call[1] if call is not None else attribute.strip()
    if is_unknown(option.value) or "$" in option.value:
        return start._replace(undecided=f"the application '{option.value}' of flask is not understood")
    start = _file_or_module(start, target, context)
    return start._replace(attribute=attribute, is_factory=call is not None)


def _with_flask_address(start: StartCommand, context: StartContext) -> StartCommand:
    """With an unknown address where a file that flask reads sets it, or the template of such a file does."""
    setter = next((name for name in _FLASK_TEXTS if b"FLASK_RUN_" in text_of(start, name, context)), "")
    return start._replace(listener=unknown_listener(start, setter)) if setter else start


def _discovered_flask(start: StartCommand, context: StartContext) -> StartCommand:
    """What `flask run` takes where no option and no variable names an application."""
    names_it = any(b"FLASK_APP" in text_of(start, name, context) for name in _FLASK_FILES)
    path = "" if names_it else _first_file(start.folder, _FLASK_PATHS, context)
    if not path:
        return start._replace(undecided="flask searches for its application in wsgi.py and app.py")
    return _imported_file(start, path, context)


def _file_or_module(start: StartCommand, target: str, context: StartContext) -> StartCommand:
    if target.endswith(".py") or "/" in target:
        return _source_file(start, in_folder(start.folder, target), context)
    if not MODULE.fullmatch(target):
        return start._replace(undecided=f"'{target}' is not a module")
    return searching_folder(start)._replace(module=target)


def _source_file(start: StartCommand, path: str, context: StartContext) -> StartCommand:
    """A file that a server imports by its path, with or without its ending."""
    return _imported_file(start, path if path.endswith(".py") else f"{path}.py", context)


def _imported_file(start: StartCommand, path: str, context: StartContext) -> StartCommand:
    """A file that a server imports by its dotted name, from the first folder above it that is no package."""
    folder, name = posixpath.split(path)
    parts = [name.removesuffix(".py")] if name != "__init__.py" else []
    while folder not in {"", "/"} and context.read(f"{folder}/__init__.py") is not None:
        folder, package = posixpath.split(folder)
        parts.insert(0, package)
    start = start._replace(search_path=tuple(dict.fromkeys([folder, *start.search_path])))
    module = ".".join(parts)
    if context.read(path) is None or not MODULE.fullmatch(module):
        return start._replace(script=path)
    return start._replace(module=module)


def _first_file(folder: str, paths: Sequence[str], context: StartContext) -> str:
    """The first of some paths that the image has; empty where it is not known to have one, or may have an earlier one."""
    for path in (in_folder(folder, path) for path in paths):
        if context.read(path) is not None:
            return path
        if context.may_exist(path):
            return ""
    return ""


def _fastapi(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    verb, *paths = parsed.operands or [""]
    if verb not in {"run", "dev"} or parsed.last(OptionRole.APP) is not None:
        return start._replace(undecided="fastapi runs another command than `run FILE`")
    option = parsed.last(OptionRole.ATTRIBUTE)
    start = start._replace(attribute=option.value if option is not None else "")
    if verb == "dev" and parsed.last(OptionRole.HOST) is None:
        start = start._replace(listener=ListenAddress("127.0.0.1", "$PORT", "fastapi dev's default", start.place))
    if not paths:
        return _discovered_fastapi(start, context)
    path = in_folder(start.folder, paths[0])
    if not path.endswith(".py"):
        return start._replace(undecided="fastapi gets a folder")
    return _imported_file(start, path, context)


def _discovered_fastapi(start: StartCommand, context: StartContext) -> StartCommand:
    """What `fastapi run` takes without a path: `entrypoint` of [tool.fastapi], else the first of its usual files."""
    try:
        settings = toml.read(context.read(in_folder(start.folder, "pyproject.toml")) or b"", "pyproject.toml")
    except UsageError:
        return start._replace(undecided="fastapi reads pyproject.toml, which is not valid TOML")
    entrypoint = toml.table(settings, "tool", "fastapi").get("entrypoint")
    if entrypoint is not None and any(_CLI_RANGE.search(text_of(start, name, context)) for name in PINS):
        return start._replace(undecided="whether fastapi-cli reads [tool.fastapi] depends on its version")
    if entrypoint is None or _has_old_cli(start, context):
        path = _first_file(start.folder, _FASTAPI_PATHS, context)
        if not path:
            return start._replace(undecided="fastapi searches for its application")
        return _imported_file(start, path, context)
    module, _, attribute = str(entrypoint).partition(":")
    if not MODULE.fullmatch(module):
        return start._replace(undecided=f"'{entrypoint}' of [tool.fastapi] is not a module")
    return searching_folder(start)._replace(module=module, attribute=attribute or start.attribute)


def _has_old_cli(start: StartCommand, context: StartContext) -> bool:
    """Whether a fastapi-cli is pinned that does not read pyproject.toml."""
    texts = (text_of(start, name, context) for name in PINS)
    return any(int(number) < _READS_PYPROJECT for text in texts for number in _CLI_PIN.findall(text))


def _functions(start: StartCommand, parsed: ParsedOptions, _context: StartContext) -> StartCommand:
    source, target = parsed.last(OptionRole.SOURCE), parsed.last(OptionRole.ATTRIBUTE)
    script = in_folder(start.folder, source.value if source is not None else "main.py")
    start = start._replace(
        script=script, search_path=tuple(dict.fromkeys([posixpath.dirname(script), *start.search_path]))
    )
    if target is None:
        return start._replace(undecided="functions-framework gets no target")
    return start._replace(attribute=target.value)


def _streamlit(start: StartCommand, parsed: ParsedOptions, _context: StartContext) -> StartCommand:
    if parsed.operands[:1] != ("run",) or len(parsed.operands) == 1:
        return start._replace(undecided="streamlit runs another command than `run FILE`")
    script = in_folder(start.folder, parsed.operands[1])
    return start._replace(script=script, search_path=(posixpath.dirname(script), *start.search_path))


def searching_folder(start: StartCommand) -> StartCommand:
    """A start that searches its working folder first."""
    return start._replace(search_path=tuple(dict.fromkeys([start.folder, *start.search_path])))


def text_of(start: StartCommand, name: str, context: StartContext) -> bytes:
    """The content of a file of the working folder; empty where the image is not known to have one."""
    return context.read(in_folder(start.folder, name)) or b""


def _celery(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    from buildguard.project.celery_start import apply_celery

    return apply_celery(start, parsed, context)


def _granian(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """`module:attribute`, where a module may be a path as well."""
    if not parsed.operands:
        return start._replace(undecided="granian gets no application")
    target, colon, attribute = parsed.operands[0].partition(":")
    if "/" in target or target.endswith(".py"):
        start = _source_file(start, in_folder(context.folder, target), context)
        start = start._replace(attribute=attribute or SERVERS["granian"].attribute)
    else:
        # it changes no folder, and searches both
        paths = (context.folder, start.folder, *start.search_path)
        start = start._replace(search_path=tuple(dict.fromkeys(paths)))
        start = _application(start, f"{target}{colon}{attribute}")
    return start._replace(is_factory=parsed.has(OptionRole.FACTORY))


def _sanic(start: StartCommand, parsed: ParsedOptions, _context: StartContext) -> StartCommand:
    """`module:attribute` or `module.attribute`; the working folder is searched last."""
    if not parsed.operands:
        return start._replace(undecided="sanic gets no application")
    target = parsed.operands[0]
    module, separator, attribute = target.rpartition(":" if ":" in target else ".")
    if not separator:
        module, attribute = target, SERVERS["sanic"].attribute
    is_factory = attribute.endswith("()") or parsed.has(OptionRole.FACTORY)
    start = _application(searching_folder(start), f"{module}:{attribute.removesuffix('()')}")
    return start._replace(is_factory=is_factory)


def _litestar(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """The application of `--app`, else what app.py has."""
    if "run" not in parsed.operands:
        return start._replace(undecided="litestar runs another command than `run`")
    if not parsed.has(OptionRole.PATH):
        start = searching_folder(start)
    option = parsed.last(OptionRole.APP)
    if option is not None:
        return _application(start, option.value)
    path = _first_file(start.search_path[0], _LITESTAR_PATHS, context)
    if not path:
        return start._replace(undecided="litestar searches for its application")
    return start._replace(module=posixpath.basename(path).removesuffix(".py"))


_Applier = Callable[[StartCommand, ParsedOptions, StartContext], StartCommand]
_APPLY: Mapping[str, _Applier] = MappingProxyType(
    {
        "gunicorn": _gunicorn,
        "flask": _flask,
        "fastapi": _fastapi,
        "functions-framework": _functions,
        "streamlit": _streamlit,
        "celery": _celery,
        "granian": _granian,
        "sanic": _sanic,
        "litestar": _litestar,
        **dict.fromkeys(("uvicorn", "hypercorn", "daphne", "waitress-serve"), _named),
    }
)
