"""What a start command runs: programs, wrappers, shells, scripts and servers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from buildguard.project import shell, start_wrappers
from buildguard.project.dockerfile import exec_words
from buildguard.project.gunicorn_config import read_settings
from buildguard.project.hypercorn_config import read_bind
from buildguard.project.server_options import SERVERS, OptionRole, parse_options
from buildguard.project.start_command import (
    CommandPlace,
    CommandText,
    StartCommand,
    StartContext,
    combine,
    split_address,
)
from buildguard.project.start_declarations import (
    buildpack_default,
    override,
    read_app_yaml,
    read_dockerfile,
    read_processes,
    read_procfile,
    read_scripts,
)
from buildguard.project.start_parser import parse_start
from buildguard.project.target import PythonVersion

_PLACE = CommandPlace("Dockerfile", 9)


def _instruction(text: str) -> CommandText:
    """The command of a CMD or ENTRYPOINT."""
    words = exec_words(text)
    return CommandText(_PLACE, text=text.strip()) if words is None else CommandText(_PLACE, tuple(words))


def _start(text: str, files: Mapping[str, str] | None = None, **env: str) -> StartCommand:
    """The start of a CMD below the working folder /srv."""
    contents = {name: content.encode() for name, content in (files or {}).items()}
    command = combine(None, _instruction(text))
    assert command is not None
    return parse_start(command, StartContext("/srv", env, contents.get, {"serve": "shop.cli:main"}))


def _address(start: StartCommand) -> str:
    return f"{start.listener.host}:{start.listener.port}" if start.listener is not None else ""


@pytest.mark.parametrize(
    ("text", "module", "attribute"),
    [
        ('["gunicorn", "main:app"]', "main", "app"),
        ("gunicorn main:app", "main", "app"),
        ("gunicorn -w 4 -b :8080 -k uvicorn.workers.UvicornWorker app.main:app", "app.main", "app"),
        ("exec gunicorn --bind :$PORT --workers 1 --threads 8 --timeout 0 main:app", "main", "app"),
        ("gunicorn \"main:create_app('prod')\"", "main", "create_app"),
        ("gunicorn config.wsgi", "config.wsgi", "application"),
        ("python -m gunicorn main:app", "main", "app"),
        ("python3.11 -u -m uvicorn main:app", "main", "app"),
        ('["uvicorn", "--factory", "shop:create", "--port", "8080"]', "shop", "create"),
        ("hypercorn shop.asgi", "shop.asgi", "app"),
        ("flask --app shop.web:app run", "shop.web", "app"),
        ("python -m shop", "shop", ""),
        ("python -mshop", "shop", ""),
        ("celery -A shop worker -l info", "shop", ""),
        ("uv run --no-sync gunicorn main:app", "main", "app"),
        ("uv run -m shop.web", "shop.web", ""),
        ("poetry run uvicorn main:app", "main", "app"),
        ('["tini", "-g", "--", "gunicorn", "main:app"]', "main", "app"),
        ('["dumb-init", "gunicorn", "main:app"]', "main", "app"),
        ('["/usr/bin/env", "A=1", "gunicorn", "main:app"]', "main", "app"),
        ('["env", "-S", "gunicorn main:app"]', "main", "app"),
        ('["sh", "-c", "exec gunicorn main:app"]', "main", "app"),
        ('["bash", "-lc", "cd /srv && gunicorn main:app || exit 1"]', "main", "app"),
        ("python manage.py migrate && gunicorn shop.wsgi:application", "shop.wsgi", "application"),
        ("nginx & gunicorn main:app", "main", "app"),
        ("gosu app gunicorn main:app", "main", "app"),
        ("ddtrace-run gunicorn main:app", "main", "app"),
        ("opentelemetry-instrument --traces_exporter console gunicorn main:app", "main", "app"),
        ("serve", "shop.cli", "main"),
    ],
)
def test_the_module_and_the_attribute(text: str, module: str, attribute: str) -> None:
    start = _start(text)

    assert (start.module, start.attribute, start.undecided) == (module, attribute, "")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ('["python", "main.py"]', "/srv/main.py"),
        ("python -u -W ignore src/main.py --port 80", "/srv/src/main.py"),
        ("cd src && python main.py", "/srv/src/main.py"),
        ("uv run main.py", "/srv/main.py"),
        ("python manage.py runserver 0.0.0.0:8080", "/srv/manage.py"),
        ("flask --app src/web.py run", "/srv/src/web.py"),
        ("fastapi run app/main.py --port 80", "/srv/app/main.py"),
        ("functions-framework --target hello", "/srv/main.py"),
        ("functions-framework --target hello --source fn/code.py", "/srv/fn/code.py"),
        ("streamlit run Home.py --server.port 8080", "/srv/Home.py"),
    ],
)
def test_the_script(text: str, script: str) -> None:
    start = _start(text)

    assert (start.script, start.undecided) == (script, "")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gunicorn main:app", "0.0.0.0:$PORT"),
        ("gunicorn -b :8000 main:app", "0.0.0.0:8000"),
        ("gunicorn -b127.0.0.1:8000 main:app", "127.0.0.1:8000"),
        ("gunicorn --bind=[::1]:80 main:app", "::1:80"),
        ("gunicorn --bind unix:/run/x.sock main:app", ""),
        ("gunicorn --bind 0.0.0.0:${PORT:-8000} main:app", "0.0.0.0:$PORT"),
        ("uvicorn main:app", "127.0.0.1:8000"),
        ("uvicorn main:app --host 0.0.0.0 --port $PORT", "0.0.0.0:$PORT"),
        ("uvicorn main:app --uds /run/x.sock", ""),
        ("flask --app main run", "127.0.0.1:5000"),
        ("fastapi run main.py", "0.0.0.0:$PORT"),
        ("fastapi dev main.py", "127.0.0.1:$PORT"),
        ("functions-framework --target x", "0.0.0.0:$PORT"),
        ("hypercorn main:app", "127.0.0.1:8000"),
        ("celery -A main worker", ""),
        ("PORT=9000 && gunicorn -b :$PORT main:app", "0.0.0.0:9000"),
    ],
)
def test_the_address(text: str, address: str) -> None:
    assert _address(_start(text)) == address


def test_a_variable_reaches_the_server_as_written_without_a_shell() -> None:
    raw, filled = _start('["gunicorn", "-b", ":$PORT", "main:app"]'), _start("gunicorn -b :$PORT main:app")

    assert raw.listener is not None
    assert raw.listener.is_raw
    assert filled.listener is not None
    assert not filled.listener.is_raw


def test_variables_of_the_image_set_options() -> None:
    assert _address(_start("uvicorn main:app", UVICORN_HOST="0.0.0.0", UVICORN_PORT="8080")) == "0.0.0.0:8080"
    assert _address(_start("gunicorn main:app", GUNICORN_CMD_ARGS="--bind :9000")) == "0.0.0.0:9000"
    assert _start("flask run", FLASK_APP="shop:app").module == "shop"
    assert _start("python x.py", PYTHONPATH="lib:/opt/more").search_path == ("/srv", "/srv/lib", "/opt/more")


def test_options_change_the_folder_and_the_search_path() -> None:
    chdir = _start("gunicorn --chdir app main:app")

    assert (chdir.folder, chdir.search_path) == ("/srv/app", ("/srv/app", "/srv"))
    assert _start("uvicorn --app-dir src main:app").search_path == ("/srv/src",)
    assert _start("gunicorn --pythonpath lib,more main:app").search_path == ("/srv/more", "/srv/lib", "/srv")
    both = _start("gunicorn --chdir app --pythonpath ../lib main:app")
    assert both.search_path == ("/srv/lib", "/srv/app", "/srv")  # as gunicorn 27 prints sys.path


def test_a_configuration_of_gunicorn_is_read_as_data() -> None:
    config = {"/srv/gunicorn.conf.py": 'import os\nwsgi_app = "shop:app"\nbind = f"0.0.0.0:{os.environ[\'PORT\']}"\n'}
    start = _start("gunicorn", config)

    assert (start.module, start.attribute, start.configs) == ("shop", "app", ("/srv/gunicorn.conf.py",))
    assert _address(start) == "0.0.0.0:$PORT"
    assert _address(_start("gunicorn -c conf.py m:a", {"/srv/conf.py": 'bind = "127.0.0.1:80"\n'})) == "127.0.0.1:80"
    assert _address(_start("gunicorn -c conf.py m:a")) == ":"
    assert read_settings(b"bind = host + ':80'\n")["bind"].text == "$:80"


@pytest.mark.parametrize(
    ("option", "content", "address"),
    [
        ("hyper.toml", 'bind = "0.0.0.0:8080"\n', "0.0.0.0:8080"),
        ("hyper.toml", 'workers = 2\nbind = ["[::]:80", "x"]\n', ":::80"),
        ("hyper.toml", "workers = 2\n", "127.0.0.1:8000"),
        ("hyper.toml", "bind = \n", ":$unreadable"),
        ("hyper.toml", "bind = 3\n", ":$unreadable"),
        ("hyper.toml", 'bind = "unix:/run/x.sock"\n', ":"),
        ("file:hyper.py", 'bind = ["0.0.0.0:8080"]\n', "0.0.0.0:8080"),
        ("python:hyper", "", ":"),
        ("other.toml", "", ":"),
    ],
)
def test_a_configuration_of_hypercorn_is_read_as_data(option: str, content: str, address: str) -> None:
    name = option.removeprefix("file:")
    files = {f"/srv/{name}": content} if content else {}

    setting = read_bind(content.encode(), is_python=option.startswith("file:")) if content else None
    assert (setting is not None) is ("bind" in content)
    assert _address(_start(f"hypercorn --config {option} main:app", files)) == address
    assert _address(_start(f"hypercorn -c {option} -b :80 main:app", files)) == "0.0.0.0:80"


def test_entrypoint_scripts_are_followed() -> None:
    script = '#!/bin/sh\nset -e\n# comment\nif [ -n "$WAIT" ]; then\n  sleep 1\nfi\nexport A=1\npython manage.py migrate\nexec "$@"\n'
    entrypoint = _instruction('["./start.sh"]')
    command = combine(entrypoint, _instruction('["gunicorn", "main:app"]'))
    assert command is not None
    start = parse_start(command, StartContext("/srv", {}, {"/srv/start.sh": script.encode()}.get))

    assert (start.module, start.attribute, start.undecided) == ("main", "app", "")
    assert [program.name for program in start.programs] == ["./start.sh", "gunicorn"]
    assert start.place == CommandPlace("/srv/start.sh", 9, in_image=True)
    assert [before.script for before in start.before] == ["/srv/manage.py"]
    assert start.env["A"] == "1"


@pytest.mark.parametrize(
    ("block", "is_known"),
    [
        ('if [ -z "$A" ]; then\n  echo missing\n  exit 1\nfi', True),
        ("until nc -z db 5432; do sleep 1 || exit 2; done", True),
        ("[ -d /srv ] || { echo missing; exit 1; }", True),
        ('if [ -n "$A" ]; then exit 0; fi', False),
        ('if [ -n "$A" ]; then exit; fi', False),
        ('if [ -n "$A" ]; then exec exit 1; cd 1; fi', False),
    ],
)
def test_a_block_that_ends_a_start_with_an_error(block: str, *, is_known: bool) -> None:
    start = _start('["sh", "start.sh"]', {"/srv/start.sh": f"set -e\n{block}\nexec gunicorn main:app\n"})

    assert (start.module, bool(start.undecided)) == (("main", False) if is_known else ("", True))


def test_a_script_that_a_shell_reads_is_not_executed() -> None:
    start = _start('["sh", "start.sh"]', {"/srv/start.sh": "exec gunicorn main:app"})

    assert [(program.name, program.is_executed) for program in start.programs] == [
        ("sh", True),
        ("start.sh", False),
        ("gunicorn", True),
    ]


def test_a_python_script_with_a_first_line_of_its_own() -> None:
    start = _start("./run.py", {"/srv/run.py": "#!/usr/bin/env -S python3 -u\nprint()\n"})

    assert (start.script, start.is_main) == ("/srv/run.py", True)


@pytest.mark.parametrize(
    "text",
    [
        "gunicorn $APP",
        "gunicorn ${APP:-main:app}",
        "$RUNNER main:app",
        "gunicorn --new-option main:app",
        'if [ "$A" ]; then exec gunicorn a:b; else exec gunicorn c:d; fi',
        "run() { gunicorn a:b; }; run",
        "eval gunicorn main:app",
        ". ./env.sh && gunicorn main:app",
        '["./missing.sh"]',
        '["supervisord", "-n"]',
        '["python", "$FILE"]',
        "python",
        "flask run",
        '["sh"]',
        "uvicorn main",
        "cat <<EOF\nx\nEOF\ngunicorn main:app",
        "cd $WHERE && python x.py",
    ],
)
def test_what_cannot_be_known_is_undecided(text: str) -> None:
    assert _start(text).undecided


def test_scripts_that_start_each_other_come_to_an_end() -> None:
    assert "start each other" in _start("./a.sh", {"/srv/a.sh": "#!/bin/sh\nexec ./a.sh\n"}).undecided


def test_docker_combines_entrypoint_and_command() -> None:
    entry = CommandText(_PLACE, ("tini", "--"))
    assert combine(None, None) is None
    assert combine(entry, CommandText(_PLACE, text="gunicorn a:b")) == CommandText(
        _PLACE, ("tini", "--", "/bin/sh", "-c", "gunicorn a:b")
    )
    assert combine(CommandText(_PLACE, text="x"), CommandText(_PLACE, ("y",))) == CommandText(
        _PLACE, ("/bin/sh", "-c", "x")
    )
    start = read_dockerfile(b"FROM a\nCMD [not json]\n", "Dockerfile", {})
    assert start is not None
    assert start.command == CommandText(CommandPlace("Dockerfile", 2), ("/bin/sh", "-c", "[not json]"))


def test_a_service_overrides_the_image() -> None:
    image, entry = CommandText(_PLACE, ("tini", "--", "a")), CommandText(_PLACE, ("tini", "--"))
    own = CommandText(_PLACE, ("own",))

    assert override(image, entry, None, None) == image
    assert override(image, entry, own, None) == own
    assert override(image, entry, None, own) == CommandText(_PLACE, ("tini", "--", "own"))
    assert override(image, None, None, own) == own


def test_the_start_of_a_dockerfile() -> None:
    data = b"""FROM python:3.11 AS base
WORKDIR /srv
ENV A=1 PYTHONPATH=/srv/lib
CMD ["base"]
FROM base
ENTRYPOINT ["./start.sh"]
FROM base AS last
ARG MOD=main
WORKDIR app
CMD gunicorn main:app
"""
    last, other = read_dockerfile(data, "Dockerfile", {}), read_dockerfile(data, "Dockerfile", {}, "base")

    assert last is not None
    assert last.command == CommandText(CommandPlace("Dockerfile", 10), ("/bin/sh", "-c", "gunicorn main:app"))
    assert (last.folder, last.env["PYTHONPATH"], last.inherits_entrypoint) == (
        "/srv/app",
        "/srv/lib",
        True,
    )
    assert other is not None
    assert other.command is not None
    assert other.command.words == ("base",)
    assert read_dockerfile(b"", "Dockerfile", {}) is None


def test_an_entrypoint_resets_the_command_of_a_base_only() -> None:
    own = read_dockerfile(b'FROM a\nCMD ["x"]\nENTRYPOINT ["e"]\n', "Dockerfile", {})
    base = read_dockerfile(b'FROM a AS b\nCMD ["x"]\nFROM b\nENTRYPOINT ["e"]\n', "Dockerfile", {})

    assert own is not None
    assert own.command is not None
    assert own.command.words == ("e", "x")
    assert base is not None
    assert base.command is not None
    assert base.command.words == ("e",)


def test_declarations_of_buildpacks() -> None:
    procfile = read_procfile(b"worker: x\nweb: gunicorn -b :$PORT main:app\n", "Procfile")
    assert procfile == CommandText(CommandPlace("Procfile", 2), ("/bin/bash", "-c", "gunicorn -b :$PORT main:app"))
    assert read_procfile(b"worker: x\n", "Procfile") is None
    (worker,) = read_processes(b"worker: x\nweb: gunicorn -b :$PORT main:app\n", "Procfile")
    assert (worker.place, worker.words) == (CommandPlace("Procfile", 1), ("/bin/bash", "-c", "x"))
    entrypoint = read_app_yaml(b"runtime: python311\nentrypoint: gunicorn main:app\n", "app.yaml")
    assert entrypoint is not None
    assert (entrypoint.place.line, entrypoint.words[2]) == (2, "gunicorn main:app")
    assert read_app_yaml(b"runtime: x\n", "app.yaml") is None
    assert read_app_yaml(b"{", "app.yaml") is None


@pytest.mark.parametrize(
    ("names", "requirements", "minor", "words"),
    [
        (["main.py"], [], 12, "gunicorn -b :8080 main:app"),
        (["app.py"], ["uvicorn"], 12, "gunicorn -b :8080 app:app"),
        (["app.py"], ["uvicorn"], 13, "uvicorn app:app --port 8080 --host 0.0.0.0"),
        (["main.py"], ["streamlit"], 14, "streamlit run main.py --server.address 0.0.0.0 --server.port 8080"),
        (["main.py"], ["gradio"], 14, "python main.py"),
        (["main.py"], ["google-adk"], 14, "adk api_server --port 8080 --host 0.0.0.0"),
        (["other.py"], [], 13, None),
    ],
)
def test_the_default_of_a_buildpack(names: list[str], requirements: list[str], minor: int, words: str | None) -> None:
    command = buildpack_default(names, requirements, PythonVersion(minor))

    assert (" ".join(command.words) if command is not None else None) == words


def test_programs_that_the_project_installs() -> None:
    data = b'[project.scripts]\nserve = "shop.cli:main"\n[tool.poetry.scripts]\nother = "a:b"\n'

    assert read_scripts(data, "pyproject.toml") == {"serve": "shop.cli:main", "other": "a:b"}
    assert read_scripts(b"[", "pyproject.toml") == {}


def test_the_commands_of_a_shell_text() -> None:
    text = 'A=1 b "c d" \\\n  e # no\n(x) | y > /dev/null\ncase $a in\n b) c;;\nesac\nlast\n'
    commands = shell.split_commands(text)

    assert [(command.line, command.words[-1], command.in_block) for command in commands if not command.in_block] == [
        (1, "e", False),
        (3, "y", False),
        (7, "last", False),
    ]
    assert shell.expand("'$A'\"$B\"$(date)", {"A": "x", "B": "y"}) == ["$Ay$(…)"]
    assert shell.expand("$B", {"B": "y z"}) == ["y", "z"]
    assert shell.expand('"$1"', {}, ["one"]) == ["one"]
    assert shell.assignment("A=b") == ("A", "b")
    assert shell.split_commands("$(" * 9000)


def test_options_and_wrappers_that_are_not_known() -> None:
    assert parse_options(["--nope"], SERVERS["gunicorn"], {}).unknown == "--nope"
    assert parse_options(["-RD", "x"], SERVERS["gunicorn"], {}).operands == ("x",)
    assert parse_options(["-b", "1", "--bind=2"], SERVERS["gunicorn"], {}).all(OptionRole.BIND) == ["1", "2"]
    assert start_wrappers.unwrap(["uv", "pip", "install"]) is None
    assert start_wrappers.unwrap(["env"]) is None
    assert split_address("fd://3", "--bind", StartCommand(_PLACE)) is None


_OLD_CELERY = "celery takes -A behind its command up to version 4 only"
_ENTRYPOINT = {"main.py": "", "pyproject.toml": "[tool.fastapi]\nentrypoint = 'web:api'\n"}


@pytest.mark.parametrize(
    ("command", "files", "found"),
    [
        ("flask run", {"app.py": ""}, ("", "app", "")),
        ("python -m flask run --host 0.0.0.0", {"app.py": ""}, ("", "app", "")),
        ("flask run", {"app.py": "", "wsgi.py": ""}, ("", "wsgi", "")),
        ("flask run", {"main.py": ""}, ("", "", "")),
        ("flask run", {"app.py": "", ".flaskenv": "FLASK_APP=shop"}, ("", "", "")),
        ("fastapi run", {"app/main.py": "", "api.py": ""}, ("", "api", "")),
        ("fastapi run --workers 4", {"app/api.py": ""}, ("", "api", "")),
        ("fastapi run", {"server.py": ""}, ("", "", "")),
        (
            "fastapi run",
            {"main.py": "", "pyproject.toml": "[tool.fastapi]\nentrypoint = 'shop.web:api'\n"},
            ("", "shop.web", "api"),
        ),
        ("fastapi run", {"main.py": "", "pyproject.toml": "[tool.fastapi]\nentrypoint = 'a b'\n"}, ("", "", "")),
        ("fastapi run", {"main.py": "", "pyproject.toml": "[project]\nname = 'x'\n"}, ("", "main", "")),
        ("fastapi run", {"main.py": "", "pyproject.toml": "[tool.fastapi"}, ("", "", "")),
        ("fastapi run", {**_ENTRYPOINT, "requirements.txt": "fastapi\nfastapi-cli==0.0.14\n"}, ("", "main", "")),
        ("fastapi run", {**_ENTRYPOINT, "requirements.txt": "fastapi-cli[standard] == 0.0.15\n"}, ("", "web", "api")),
        ("fastapi run", {**_ENTRYPOINT, "requirements.txt": "fastapi-cli<0.0.15\n"}, ("", "", "")),
        ("fastapi run", {**_ENTRYPOINT, "requirements.txt": "fastapi-cli~=0.0.5\n"}, ("", "", "")),
        ("fastapi run", {**_ENTRYPOINT, "requirements.txt": "fastapi-cli>=0.0.5\n"}, ("", "web", "api")),
        ("fastapi run", {**_ENTRYPOINT, "uv.lock": 'name = "fastapi-cli"\nversion = "0.0.8"\n'}, ("", "main", "")),
        ("litestar run", {"app.py": ""}, ("", "app", "")),
        ("litestar run", {"web.py": ""}, ("", "", "")),
    ],
)
def test_an_application_that_no_option_names(command: str, files: dict[str, str], found: tuple[str, str, str]) -> None:
    start = _start(command, {f"/srv/{path}": text for path, text in files.items()})

    assert (start.script, start.module, start.attribute) == found
    assert bool(start.undecided) is not any(found)


@pytest.mark.parametrize("command", ["fastapi run {}", "flask --app {} run", "flask --app {}:app run"])
@pytest.mark.parametrize(
    ("path", "packages", "module", "folder"),
    [
        ("main.py", (), "main", "/srv"),
        ("src/web.py", (), "web", "/srv/src"),
        ("shop/api/main.py", ("shop", "shop/api"), "shop.api.main", "/srv"),
        ("src/shop/main.py", ("src/shop",), "shop.main", "/srv/src"),
        ("shop/api/main.py", ("shop",), "main", "/srv/shop/api"),
        ("shop/__init__.py", ("shop",), "shop", "/srv"),
    ],
)
def test_a_file_that_a_server_imports(
    command: str, path: str, packages: tuple[str, ...], module: str, folder: str
) -> None:
    """As flask's prepare_import and fastapi-cli's get_module_data_from_path name it."""
    files = {f"/srv/{name}": "" for name in (path, *(f"{package}/__init__.py" for package in packages))}

    start = _start(command.format(path), files)

    assert (start.module, start.script, start.search_path[0]) == (module, "", folder)


def test_a_file_that_a_server_would_import_is_not_there() -> None:
    start = _start("fastapi run src/web.py")

    assert (start.module, start.script, start.search_path[:1]) == ("", "/srv/src/web.py", ("/srv/src",))


@pytest.mark.parametrize(
    ("text", "module", "folders"),
    [
        ("hypercorn src/main:app", "main", ("/srv/src",)),
        ("hypercorn src/main.py:app", "main", ("/srv/src",)),
        ("hypercorn main:app", "main", ("/srv",)),
        ("daphne main:app", "main", ("/srv",)),
        ("waitress-serve main:app", "main", ("/srv",)),
    ],
)
def test_the_folders_that_a_server_searches(text: str, module: str, folders: tuple[str, ...]) -> None:
    start = _start(text)

    assert (start.module, start.attribute, start.search_path, start.undecided) == (module, "app", folders, "")


@pytest.mark.parametrize(
    ("command", "files", "module", "attribute"),
    [
        ("celery -A shop worker", ["shop.py"], "shop", "celery"),  # the file is empty
        ("celery -A shop.tasks worker", ["shop/tasks.py"], "shop.tasks", "celery"),
        ("celery -A shop.tasks.app worker", ["shop/tasks.py"], "shop.tasks", "app"),
        ("celery -A shop.app worker", ["shop.py"], "shop", "app"),
        ("celery -A shop:queue worker", ["shop.py"], "shop", "queue"),
        ("celery -A shop worker", ["shop/celery.py"], "shop.celery", ""),
        ("celery -A shop worker", ["shop/__init__.py", "shop/celery.py"], "shop.celery", ""),
        ("celery -A shop worker", ["shop/__init__.py"], "shop", "celery"),
        ("celery -A shop worker", [], "shop", ""),
        ("celery -A celery worker", ["celery.py"], "", ""),
        ("celery --app shop:queue worker -l info", ["shop.py"], "shop", "queue"),
        ("granian --interface wsgi shop", ["shop.py"], "shop", "app"),
        ("granian --interface wsgi shop.web:api", ["shop/web.py"], "shop.web", "api"),
        ("granian shop/web.py:api --factory", ["shop/__init__.py", "shop/web.py"], "shop.web", "api"),
        ("granian --workers 2", [], "", ""),
        ("sanic shop.web", ["shop.py"], "shop", "web"),
        ("sanic shop", ["shop.py"], "shop", "app"),
        ("sanic shop:make --factory", ["shop.py"], "shop", "make"),
        ("sanic --workers 2", [], "", ""),
        ("litestar --app shop.web:app run", ["shop/web.py"], "shop.web", "app"),
        ("litestar schema", ["app.py"], "", ""),
    ],
)
def test_the_application_of_a_worker(command: str, files: list[str], module: str, attribute: str) -> None:
    start = _start(command, {f"/srv/{path}": "" for path in files})

    assert (start.module, start.attribute) == (module, attribute)
    assert bool(start.undecided) is not bool(module)


@pytest.mark.parametrize(
    ("requirements", "is_open"),
    [
        ("celery==4.4.7\n", False),
        ("Celery[redis]==4.4\n", False),
        ("celery==5.3.0\n", True),
        ("celery\n", True),
        ("", True),
    ],
)
def test_the_options_of_celery_behind_its_command(requirements: str, *, is_open: bool) -> None:
    files = {"/srv/shop.py": "app = 1\n", "/srv/requirements.txt": requirements}
    start = _start("celery worker -A shop", files)

    assert (start.module, start.undecided) == ("shop", _OLD_CELERY if is_open else "")
    assert _start("celery -A shop worker", files).undecided == ""


def test_a_package_whose_init_names_an_application_is_asked_itself() -> None:
    queue = _start("celery -A shop worker", {"/srv/shop.py": "queue = make()"})
    start = _start("celery -A shop worker", {"/srv/shop/__init__.py": "from x import app", "/srv/shop/celery.py": ""})

    assert (start.module, start.attribute) == ("shop", "")
    assert (queue.module, queue.attribute) == ("shop", "")


@pytest.mark.parametrize(
    ("text", "env", "module", "folders"),
    [
        ("python -u main.py", {}, "", ("/srv", "/lib")),
        ("python -E main.py", {}, "", ("/srv",)),
        ("python -I main.py", {}, "", ()),
        ("python -uIB main.py", {}, "", ()),
        ("python -P main.py", {}, "", ("/lib",)),
        ("python -P -m shop.main", {}, "shop.main", ("/lib",)),
        ("python -Im shop.main", {}, "shop.main", ()),
        ("python -um shop.main", {}, "shop.main", ("/srv", "/lib")),
        ("python -mshop.main", {}, "shop.main", ("/srv", "/lib")),
        ("python -WIgnore -XP main.py", {}, "", ("/srv", "/lib")),
        ("python -W I -X P --check-hash-based-pycs IP main.py", {}, "", ("/srv", "/lib")),
        ("python main.py", {"PYTHONSAFEPATH": "1", "PYTHON_VERSION": "3.11.7"}, "", ("/lib",)),
        ("python main.py", {"PYTHONSAFEPATH": "1", "PYTHON_VERSION": "3.10"}, "", ("/srv", "/lib")),
        ("python main.py", {"PYTHONSAFEPATH": "", "PYTHON_VERSION": "3.11"}, "", ("/srv", "/lib")),
        ("python main.py", {"PYTHONSAFEPATH": "1"}, "", ("/srv", "/lib")),
        ("python -E main.py", {"PYTHONSAFEPATH": "1", "PYTHON_VERSION": "3.11"}, "", ("/srv",)),
        ("sh -c 'python -I first.py && exec python main.py'", {}, "", ("/srv", "/lib")),  # each has its own
    ],
)
def test_options_of_python_take_folders_away(
    text: str, env: dict[str, str], module: str, folders: tuple[str, ...]
) -> None:
    start = _start(text, None, PYTHONPATH="/lib", **env)

    assert (start.module, start.search_path) == (module, folders)
    assert start.script == ("" if module else "/srv/main.py")


def test_python_runs_the_main_file_of_a_folder() -> None:
    start = _start("python shop", {"/srv/shop/__main__.py": ""})

    assert (start.script, start.search_path) == ("/srv/shop/__main__.py", ("/srv/shop",))
    assert _start("python shop", {}).script == "/srv/shop"


def test_a_file_that_may_be_there_leaves_the_application_open() -> None:
    context = StartContext("/srv", {}, {"/srv/app.py": b""}.get, may_exist="/srv/wsgi.py".__eq__)
    start = parse_start(CommandText(_PLACE, ("flask", "run")), context)

    assert (start.module, start.script) == ("", "")
    assert start.undecided


def test_every_dotted_option_of_streamlit_has_a_value() -> None:
    start = _start("streamlit run --server.headless true --theme.base=dark app.py", {})

    assert start.script == "/srv/app.py"


@pytest.mark.parametrize("name", [".flaskenv", ".env", ".env.sample"])
def test_a_file_that_sets_the_address_of_flask_leaves_it_open(name: str) -> None:
    files = {"/srv/app.py": "", f"/srv/{name}": "FLASK_RUN_HOST=0.0.0.0\n"}
    listener = _start("flask run", files).listener

    assert listener is not None
    assert (listener.host, listener.port, listener.source) == ("", "", name)
    named = _start("flask run --host 127.0.0.1", files).listener
    assert named is not None
    assert named.host == "127.0.0.1"
