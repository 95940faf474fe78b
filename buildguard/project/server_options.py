"""How the usual Python servers read their command lines: application, search path, configuration and address. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, StrEnum, words


class OptionRole(StrEnum):
    """What the value of an option means for a start."""

    BIND = "bind"
    HOST = "host"
    PORT = "port"
    FOLDER = "folder"  # the working folder
    PATH = "path"  # one more entry of sys.path
    CONFIG = "config"
    APP = "app"
    ATTRIBUTE = "attribute"
    FACTORY = "factory"
    SOURCE = "source"
    WORKER = "worker"
    NEEDED = "needed"  # a file that must exist
    SOCKET = "socket"  # another listener than an address
    CLASS = "class"  # what a server loads by its name
    LIBRARY = "library"  # what a server runs on, a package of its own
    PLAIN = "plain"


class ServerSyntax(NamedTuple):
    """The options of a program: those with a value by role, those without, and the variables that stand for options.

    `host` and `port` are where it listens by default; both are empty for a program that listens nowhere. `has_dotted` says that
    every option with a dot in its name has a value.
    """

    values: Mapping[str, OptionRole]
    flags: frozenset[str]
    variables: Mapping[str, OptionRole] = MappingProxyType({})
    host: str = ""
    port: str = ""
    attribute: str = ""
    has_dotted: bool = False


class OptionValue(NamedTuple):
    """The value of an option, and where it stands: the option or the variable."""

    role: OptionRole
    value: str
    source: str


class ParsedOptions(NamedTuple):
    """The options and operands of a command line; `unknown` is the first option that no table has."""

    values: tuple[OptionValue, ...]
    operands: tuple[str, ...]
    unknown: str = ""

    def last(self, role: OptionRole) -> OptionValue | None:
        """The value that counts for a role."""
        return next(reversed(self._of(role)), None)

    def has(self, role: OptionRole) -> bool:
        """Whether any option has a role."""
        return bool(self._of(role))

    def all(self, role: OptionRole) -> list[str]:
        """Every value of a role."""
        return [option.value for option in self._of(role)]

    def _of(self, role: OptionRole) -> list[OptionValue]:
        return [option for option in self.values if option.role is role]


def parse_options(words: Sequence[str], syntax: ServerSyntax, env: Mapping[str, str]) -> ParsedOptions:
    """Read a command line as a program does; the variables come first, as a flag wins over them."""
    values = [OptionValue(role, env[name], name) for name, role in syntax.variables.items() if env.get(name)]
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            operands += rest
        elif not word.startswith("-") or word == "-":
            operands.append(word)
        else:
            option = _option(word, rest, syntax)
            if option is None:
                return ParsedOptions(tuple(values), tuple(operands), word)
            values.append(option)
    return ParsedOptions(tuple(values), tuple(operands))


def _option(word: str, rest: Iterator[str], syntax: ServerSyntax) -> OptionValue | None:
    """One option with its value: `--name value`, `--name=value`, `-n value` or `-nvalue`; None for one that no table has."""
    name, equals, value = word.partition("=")
    if name in syntax.flags:
        role = OptionRole.FACTORY if name == "--factory" else OptionRole.PLAIN
        return OptionValue(role, "", name)
    if name not in syntax.values and not word.startswith("--"):
        name, equals, value = word[:2], word[2:], word[2:]
    if name in syntax.values:
        return OptionValue(syntax.values[name], value if equals else next(rest, ""), name)
    if syntax.has_dotted and _is_dotted(name):
        return OptionValue(OptionRole.PLAIN, value if equals else next(rest, ""), name)
    return OptionValue(OptionRole.PLAIN, "", word) if _is_cluster(word, syntax) else None


def _is_dotted(name: str) -> bool:
    return name.startswith("--") and "." in name


def _is_cluster(word: str, syntax: ServerSyntax) -> bool:
    """Whether a word is several flags of one letter."""
    return not word.startswith("--") and all(f"-{letter}" in syntax.flags for letter in word[1:])


def _values(plain: str, **roles: str) -> dict[str, OptionRole]:
    """Options with a value: those that do not matter, and the others by their role."""
    named = {option: OptionRole(role) for role, options in roles.items() for option in options.split()}
    return dict.fromkeys(plain.split(), OptionRole.PLAIN) | named


_GUNICORN = ServerSyntax(
    _values(
        "-w --workers --threads --worker-connections --max-requests --max-requests-jitter -t --timeout "
        "--graceful-timeout --keep-alive --limit-request-line --limit-request-fields --limit-request-field_size "
        "--reload-engine --reload-extra-file --worker-tmp-dir -u --user -g --group -m --umask --forwarded-allow-ips "
        "--access-logfile --access-logformat --error-logfile --log-file --log-level "
        "--log-config-json --log-syslog-to --log-syslog-prefix --log-syslog-facility --statsd-host --statsd-prefix "
        "--dogstatsd-tags -n --name -e --env -p --pid --keyfile --certfile --ssl-version --cert-reqs --ca-certs --ciphers "
        "--backlog --paste-global --proxy-allow-from --header-map --forwarder-headers",
        bind="-b --bind",
        folder="--chdir",
        path="--pythonpath",
        config="-c --config",
        worker="-k --worker-class",
        **{"class": "--logger-class"},
        needed="--log-config",
        socket="--paste --paster",
    ),
    words(
        "--reload --preload -D --daemon --check-config --print-config --spew --no-sendfile --reuse-port --capture-output "
        "--enable-stdio-inheritance -R --proxy-protocol --disable-redirect-access-to-syslog --log-syslog --initgroups "
        "--suppress-ragged-eofs --do-handshake-on-connect --strip-header-spaces --permit-obsolete-folding "
        "--permit-unconventional-http-method --permit-unconventional-http-version --casefold-http-method"
    ),
    host="0.0.0.0",  # noqa: S104  what the server does, with PORT set
    port="$PORT",
    attribute="application",
)
_UVICORN = ServerSyntax(
    _values(
        "--reload-dir --reload-include --reload-exclude --reload-delay --workers --log-level "
        "--ws-max-size --ws-max-queue --ws-ping-interval --ws-ping-timeout --ws-per-message-deflate --lifespan "
        "--interface --root-path --forwarded-allow-ips --limit-concurrency --backlog --limit-max-requests "
        "--limit-max-requests-jitter --timeout-keep-alive --timeout-graceful-shutdown --timeout-worker-healthcheck "
        "--ssl-keyfile --ssl-certfile --ssl-keyfile-password --ssl-version --ssl-cert-reqs --ssl-ca-certs --ssl-ciphers "
        "--header --h11-max-incomplete-event-size",
        host="--host",
        port="--port",
        path="--app-dir",
        needed="--env-file --log-config",
        library="--loop --http --ws",
        socket="--uds --fd",
    ),
    words(
        "--factory --reload --access-log --no-access-log --use-colors --no-use-colors --proxy-headers --no-proxy-headers "
        "--server-header --no-server-header --date-header --no-date-header"
    ),
    {"UVICORN_HOST": OptionRole.HOST, "UVICORN_PORT": OptionRole.PORT, "UVICORN_APP_DIR": OptionRole.PATH},
    "127.0.0.1",
    "8000",
)
_HYPERCORN = ServerSyntax(
    _values(
        "--access-log --access-logfile --access-logformat --backlog --ca-certs --certfile --cert-reqs --ciphers --error-log "
        "--error-logfile --log-file --graceful-timeout --read-timeout --max-requests --max-requests-jitter -g --group -k "
        "--worker-class --keep-alive --keyfile --keyfile-password --insecure-bind --log-config --log-level -p --pid "
        "--quic-bind --root-path --server-name --statsd-host --statsd-prefix -m --umask -u --user --verify-mode "
        "--websocket-ping-interval -w --workers",
        bind="-b --bind",
        config="-c --config",
    ),
    words("--debug --reload"),
    host="127.0.0.1",
    port="8000",
    attribute="app",
)
_FLASK = ServerSyntax(
    _values(
        "-e --env-file --cert --key --extra-files --exclude-patterns",
        app="-A --app",
        host="-h --host",
        port="-p --port",
    ),
    words(
        "--debug --no-debug --reload --no-reload --debugger --no-debugger --with-threads --without-threads "
        "--eager-loading --lazy-loader"
    ),
    {"FLASK_APP": OptionRole.APP, "FLASK_RUN_HOST": OptionRole.HOST, "FLASK_RUN_PORT": OptionRole.PORT},
    "127.0.0.1",
    "5000",
)
_FASTAPI = ServerSyntax(
    _values(
        "--workers --root-path --forwarded-allow-ips --reload-dir",
        host="--host",
        port="--port",
        attribute="--app",
        app="-e --entrypoint",
    ),
    words("--reload --no-reload --proxy-headers --no-proxy-headers --verbose --no-verbose"),
    {"PORT": OptionRole.PORT},
    "0.0.0.0",  # noqa: S104
    "$PORT",
)
_FUNCTIONS = ServerSyntax(
    _values("--signature-type --gateway", attribute="--target", source="--source", host="--host", port="--port"),
    words("--debug --dry-run"),
    {"FUNCTION_TARGET": OptionRole.ATTRIBUTE, "FUNCTION_SOURCE": OptionRole.SOURCE},
    "0.0.0.0",  # noqa: S104
    "$PORT",
)
_DAPHNE = ServerSyntax(
    _values(
        "-v --verbosity -t --http-timeout --access-log --log-fmt --ping-interval --ping-timeout --application-close-timeout "
        "--root-path --server-name --ws-protocol --websocket_timeout --websocket_connect_timeout --proxy-headers-host",
        host="-b --bind",
        port="-p --port",
        socket="-u --unix-socket --fd -e --endpoint",
    ),
    words("--proxy-headers --no-server-name"),
    host="127.0.0.1",
    port="8000",
)
_WAITRESS = ServerSyntax(
    _values(
        "--unix-socket-perms --url-scheme --url-prefix --ident --threads --connection-limit --asyncore-loop-timeout "
        "--channel-timeout --cleanup-interval --backlog --trusted-proxy --trusted-proxy-count --trusted-proxy-headers "
        "--max-request-body-size --max-request-header-size",
        bind="--listen",
        host="--host",
        port="--port",
        path="--app-path",
        socket="--unix-socket --app",
    ),
    words("--call --expose-tracebacks --no-expose-tracebacks --clear-untrusted-proxy-headers --ipv4 --no-ipv4 --ipv6"),
    host="0.0.0.0",  # noqa: S104
    port="8080",
)
_STREAMLIT = ServerSyntax(
    _values("", host="--server.address", port="--server.port"),
    frozenset(),
    {"STREAMLIT_SERVER_ADDRESS": OptionRole.HOST, "STREAMLIT_SERVER_PORT": OptionRole.PORT},
    "0.0.0.0",  # noqa: S104
    "8501",
    has_dotted=True,
)
_CELERY = ServerSyntax(
    _values(
        "-b --broker --result-backend --loader --config -l --loglevel -c --concurrency -Q --queues -n --hostname -P --pool "
        "-f --logfile --pidfile -s --schedule -S --scheduler -X --exclude-queues -I --include --max-tasks-per-child "
        "--max-memory-per-child --time-limit --soft-time-limit --autoscale -O --max-interval --prefetch-multiplier "
        "--statedb --uid --gid --umask --executable --basic-auth --port --address",
        app="-A --app",
        folder="--workdir",
    ),
    words(
        "-E --task-events -B --beat --without-gossip --without-mingle --without-heartbeat --purge --discard -D --detach "
        "-q --quiet -C --no-color --skip-checks"
    ),
)
_GRANIAN = ServerSyntax(
    _values(
        "--uds-permissions --interface --http --workers --blocking-threads --blocking-threads-idle-timeout --runtime-threads "
        "--runtime-blocking-threads --runtime-mode --loop --task-impl --backlog --backpressure --http1-buffer-size "
        "--http1-header-read-timeout --http2-initial-connection-window-size --http2-initial-stream-window-size "
        "--http2-keep-alive-interval --http2-keep-alive-timeout --http2-max-concurrent-streams --http2-max-frame-size "
        "--http2-max-headers-size --http2-max-send-buffer-size --log-level --log-config --access-log-fmt --ssl-certificate "
        "--ssl-keyfile --ssl-keyfile-password --ssl-protocol-min --ssl-ca --ssl-crl --url-path-prefix --respawn-interval "
        "--rss-sample-interval --rss-samples --workers-lifetime --workers-max-rss --workers-kill-timeout --env-files "
        "--static-path-route --static-path-mount --static-path-dir-to-file --static-path-expires --metrics-scrape-interval "
        "--metrics-address --metrics-port --reload-paths --reload-ignore-dirs --reload-ignore-patterns --reload-ignore-paths "
        "--reload-tick --process-name --pid-file",
        host="--host",
        port="--port",
        folder="--working-dir",
        socket="--uds",
    ),
    words(
        "--ws --no-ws --http1-keep-alive --no-http1-keep-alive --http1-pipeline-flush --no-http1-pipeline-flush "
        "--http2-adaptive-window --no-http2-adaptive-window --log --no-log --access-log --no-access-log --ssl-client-verify "
        "--no-ssl-client-verify --respawn-failed-workers --no-respawn-failed-workers --factory --no-factory --metrics "
        "--no-metrics --reload --no-reload --reload-ignore-worker-failure --no-reload-ignore-worker-failure"
    ),
    {"GRANIAN_HOST": OptionRole.HOST, "GRANIAN_PORT": OptionRole.PORT, "GRANIAN_WORKING_DIR": OptionRole.FOLDER},
    "127.0.0.1",
    "8000",
    "app",
)
_SANIC = ServerSyntax(
    _values(
        "--http --cert --key --tls --reload-dir -w --workers -v --verbosity --pidfile --logfile --user --group",
        host="-H --host",
        port="-p --port",
        socket="-u --unix",
    ),
    words(
        "--factory --debug -r --reload --auto-reload -d --dev --auto-tls --fast --single-process --access-logs "
        "--no-access-logs --coffee --no-coffee --motd --no-motd --noisy-exceptions --no-noisy-exceptions --tls-strict-host -D "
        "--daemon"
    ),
    host="127.0.0.1",
    port="8000",
    attribute="app",
)
_LITESTAR = ServerSyntax(
    _values(
        "-R --reload-dir -I --reload-include -E --reload-exclude -W --wc --web-concurrency --ssl-certfile --ssl-keyfile",
        app="--app",
        path="--app-dir",
        host="-H --host",
        port="-p --port",
        socket="-F --fd --file-descriptor -U --uds --unix-domain-socket",
    ),
    words("-r --reload -d --debug -P --pdb --use-pdb --create-self-signed-cert"),
    {"LITESTAR_APP": OptionRole.APP, "LITESTAR_HOST": OptionRole.HOST, "LITESTAR_PORT": OptionRole.PORT},
    "127.0.0.1",
    "8000",
)
SERVERS: Mapping[str, ServerSyntax] = MappingProxyType(
    {
        "gunicorn": _GUNICORN,
        "uvicorn": _UVICORN,
        "hypercorn": _HYPERCORN,
        "flask": _FLASK,
        "fastapi": _FASTAPI,
        "functions-framework": _FUNCTIONS,
        "daphne": _DAPHNE,
        "waitress-serve": _WAITRESS,
        "streamlit": _STREAMLIT,
        "celery": _CELERY,
        "granian": _GRANIAN,
        "sanic": _SANIC,
        "litestar": _LITESTAR,
    }
)
# Modules that `python -m` runs as the programs of the same purpose.
AS_MODULE: Mapping[str, str] = MappingProxyType(
    {
        "gunicorn": "gunicorn",
        "gunicorn.app.wsgiapp": "gunicorn",
        "uvicorn": "uvicorn",
        "hypercorn": "hypercorn",
        "flask": "flask",
        "fastapi": "fastapi",
        "functions_framework": "functions-framework",
        "daphne": "daphne",
        "waitress": "waitress-serve",
        "streamlit": "streamlit",
        "celery": "celery",
        "granian": "granian",
        "sanic": "sanic",
        "litestar": "litestar",
    }
)
