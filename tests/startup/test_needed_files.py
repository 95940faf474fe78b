"""Files that a start needs: opened beside the source, by Alembic, Django and gunicorn, and placeholders in their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.diagnostic import Severity
from tests.conftest import Project
from tests.startup.projects import APP, Files, report_of, rows_of

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\n"
_INSTALL = "RUN pip install -r requirements.txt\n"
_ONE = f"{_HEAD}COPY main.py requirements.txt ./\n{_INSTALL}CMD gunicorn --bind :$PORT main:app\n"
_ALL = f"{_HEAD}COPY . .\n{_INSTALL}"
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
_LFS = {"model.bin": _POINTER, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}


@pytest.mark.parametrize(
    "line",
    [
        "open('data/x.json')",
        "open(Path(__file__).parent / 'data' / 'x.json')",
        "(Path(__file__).resolve().parent / 'data/x.json').read_text()",
        "(Path(__file__).parent.joinpath('data', 'x.json')).open()",
        "Path(__file__).parents[0].joinpath('data/x.json').read_bytes()",
        "Path(__file__).with_name('data').joinpath('x.json').read_bytes()",
        "open(os.path.join(os.path.dirname(__file__), 'data', 'x.json'))",
        "open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data/x.json'), 'r')",
        "open(os.path.dirname(__file__) + '/data/x.json', mode='rb')",
        "HERE = Path(__file__).parent\nopen(HERE / 'data/x.json')",
        "NAME = 'data/x.json'\ndef load():\n    return open(NAME)\nCONFIG = load()",
        "pd.read_json('data/x.json')",
        "logging.config.fileConfig('data/x.json')",
        "app.mount('/x', StaticFiles(directory='data'))",
        "with open('data/x.json') as file: pass",
    ],
)
def test_a_file_that_is_opened_and_not_copied(tmp_path: Path, line: str) -> None:
    report = report_of(tmp_path, {"Dockerfile": _ONE, "main.py": f"{APP}{line}\n", "data/x.json": "{}"})

    assert rows_of(report) == [("BG704", "Dockerfile", 3)]
    assert report.diagnostics[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    "line",
    [
        "open('data/x.json', 'w')",
        "open(Path(__file__).parent / 'data' / 'x.json', MODE)",
        "(HERE / 'data/x.json').open('a')",
        "try:\n    open('data/x.json')\nexcept FileNotFoundError: pass",
        "try:\n    open('data/x.json')\nexcept (ValueError, OSError): pass",
        "if os.path.exists('data/x.json'):\n    open('data/x.json')",
        "def load(HERE):\n    return open(HERE)",
        "HERE = 'data/x.json'\nHERE = other\nopen(HERE)",
        "Path('data/x.json')",
        "open('/etc/data/x.json')",
        "open(Path(__file__).parent.parent / 'data/x.json')",
    ],
)
def test_a_file_that_need_not_be_there(tmp_path: Path, line: str) -> None:
    assert rows_of(report_of(tmp_path, {"Dockerfile": _ONE, "main.py": f"{APP}{line}\n", "data/x.json": "{}"})) == []


def test_a_file_above_what_is_copied(tmp_path: Path) -> None:
    main = f"{APP}open(Path(__file__).parent.parent / 'x.json')\n"
    docker = f"{_HEAD}COPY src/ requirements.txt ./\n{_INSTALL}CMD gunicorn --bind :$PORT main:app\n"
    files = {"Dockerfile": docker, "src/main.py": main, "x.json": "{}"}

    assert rows_of(report_of(tmp_path, files)) == [("BG704", "Dockerfile", 3)]


@pytest.mark.parametrize("body", ["return open('x.json')", "if y: return\n    open('x.json')"])
def test_a_file_that_a_function_opens_is_a_warning(tmp_path: Path, body: str) -> None:
    main = f"{APP}def load(y):\n    {body}\n" + ("load(1)\n" if "if" in body else "")
    report = report_of(tmp_path, {"Dockerfile": _ONE, "main.py": main, "x.json": "{}"})

    assert [(item.code, item.severity) for item in report.diagnostics] == [("BG704", Severity.WARNING)]


# ------------------------------------------------------------------------------------------ frameworks

_INI = "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = .\n"
_ALEMBIC = {
    "requirements.txt": "gunicorn\nalembic\nflask\n",
    "alembic.ini": _INI,
    "migrations/env.py": "from models import Base\n",
    "migrations/versions/one.py": "from alembic import op\n",
    "models.py": "Base = 1\n",
}
_UPGRADE = "CMD alembic upgrade head && gunicorn --bind :$PORT main:app\n"


@pytest.mark.parametrize(
    ("copied", "words"),
    [
        ("main.py requirements.txt models.py", "alembic.ini"),
        ("main.py requirements.txt models.py alembic.ini", "migrations/env.py"),
        ("main.py requirements.txt alembic.ini", "models.py"),
    ],
)
def test_what_alembic_loads(tmp_path: Path, copied: str, words: str) -> None:
    scripts = "COPY migrations migrations\n" if words == "models.py" else ""
    text = f"{_HEAD}{scripts}COPY {copied} ./\n{_INSTALL}{_UPGRADE}"
    report = report_of(tmp_path, {**_ALEMBIC, "Dockerfile": text})

    assert {item.code for item in report.diagnostics} == {"BG704"}
    assert any(words in item.message for item in report.diagnostics)


def test_a_whole_alembic_is_clean(tmp_path: Path) -> None:
    assert rows_of(report_of(tmp_path, {**_ALEMBIC, "Dockerfile": _ALL + _UPGRADE})) == []


_SETTINGS = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', '{}')\napplication = 1\n"
_DJANGO = {
    "requirements.txt": "gunicorn\ndjango\n",
    "shop/__init__.py": "",
    "shop/wsgi.py": _SETTINGS.format("shop.settings"),
    "shop/settings.py": "INSTALLED_APPS = [\n    'django.contrib.admin',\n    'users.apps.UsersConfig',\n]\n",
    "users/__init__.py": "",
    "users/apps.py": "",
}
_WSGI = "CMD gunicorn --bind :$PORT shop.wsgi\n"


def test_an_app_that_the_settings_list(tmp_path: Path) -> None:
    report = report_of(tmp_path, {**_DJANGO, "Dockerfile": f"{_HEAD}COPY shop shop\n{_INSTALL}{_WSGI}"})

    assert ("BG704", "Dockerfile", 3) in rows_of(report)
    assert any("shop/settings.py:3 imports users" in item.message for item in report.diagnostics)


@pytest.mark.parametrize(
    ("file", "text", "rows"),
    [
        ("shop/wsgi.py", _SETTINGS.format("shop.setings"), [("BG701", "shop/wsgi.py", 2)]),
        ("shop/settings.py", "INSTALLED_APPS = [\n    'users.app',\n]\n", [("BG701", "shop/settings.py", 2)]),
        ("shop/settings.py", "INSTALLED_APPS = ['unknown.app', 'django.contrib.admin']\n", []),  # may be installed
        ("shop/wsgi.py", "import os\nif os.environ.get('X'):\n    " + _SETTINGS.format("shop.other")[10:], []),
        (".gitignore", "local.py\n", []),
    ],
)
def test_modules_that_django_loads_by_name_exist(tmp_path: Path, file: str, text: str, rows: list[object]) -> None:
    files = {**_DJANGO, "Dockerfile": f"{_HEAD}COPY . .\n{_INSTALL}{_WSGI}", file: text}
    if file == ".gitignore":
        files["shop/wsgi.py"] = _SETTINGS.format("shop.local")

    assert rows_of(report_of(tmp_path, files)) == rows


@pytest.mark.parametrize("package", ["def simple(get): ...\n", "from users.apps import *\n", "__path__ = []\n"])
def test_middleware_may_be_a_function_of_its_module(tmp_path: Path, package: str) -> None:
    settings = (
        "def simple(get): ...\nMIDDLEWARE = [\n    'shop.settings.simple',\n    'users.simple',\n    'shop.late',\n]\n"
    )
    files = {**_DJANGO, "shop/settings.py": settings, "users/__init__.py": package, "users/apps.py": "simple = 1\n"}

    report = report_of(tmp_path, {**files, "Dockerfile": f"{_HEAD}COPY . .\n{_INSTALL}{_WSGI}"})

    assert rows_of(report) == [("BG701", "shop/settings.py", 5)]


def test_settings_that_a_deploy_chooses(tmp_path: Path) -> None:
    build = "steps:\n- name: gcloud\n  args: [run, deploy, x, --set-env-vars, DJANGO_SETTINGS_MODULE=shop.prod]\n"
    files = {**_DJANGO, "cloudbuild.yaml": build, "Dockerfile": f"{_HEAD}COPY shop/w* shop/\n{_INSTALL}{_WSGI}"}

    assert not any("settings" in item.message for item in report_of(tmp_path, files).diagnostics)


def test_what_the_configuration_of_gunicorn_imports(tmp_path: Path) -> None:
    copy = "COPY main.py gunicorn.conf.py requirements.txt ./\n"
    files = {
        "Dockerfile": f"{_HEAD}{copy}{_INSTALL}CMD gunicorn main:app\n",
        "gunicorn.conf.py": "import hooks\n",
        "hooks.py": "",
    }

    assert rows_of(report_of(tmp_path, files)) == [("BG704", "Dockerfile", 3)]


# ------------------------------------------------------------------------------------------ placeholders


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"main.py": f"{APP}open('model.bin', 'rb')\n"}, Severity.ERROR),
        ({"main.py": f"{APP}M = joblib.load(Path(__file__).parent / 'model.bin')\n"}, Severity.ERROR),
        ({"main.py": f"import helper\n{APP}", "helper.py": "D = open('model.bin', 'rb').read()\n"}, Severity.ERROR),
        ({"main.py": APP}, Severity.WARNING),
        ({"main.py": f"{APP}def load():\n    return open('model.bin', 'rb')\n"}, Severity.WARNING),
    ],
)
def test_a_pointer_is_an_error_where_the_start_reads_it(tmp_path: Path, files: Files, severity: Severity) -> None:
    report = report_of(tmp_path, {**_LFS, **files, "Dockerfile": _ALL + "CMD gunicorn main:app\n"})

    assert [(item.code, item.path, item.severity) for item in report.diagnostics] == [("BG707", "model.bin", severity)]


def test_a_build_step_may_fetch_what_a_pointer_stands_for(tmp_path: Path) -> None:
    steps = "steps:\n- name: gcr.io/cloud-builders/git\n  args: [lfs, pull]\n- name: gcr.io/cloud-builders/docker\n  args: [build, .]\n"
    files = {**_LFS, "cloudbuild.yaml": steps, "Dockerfile": _ALL + "CMD gunicorn main:app\n"}

    assert rows_of(report_of(tmp_path, files)) == []


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("main", "copy", "expected"),
    [
        ("import lib.core\n", "COPY . .", {("BG707", "error")}),
        ("x = 1\n", "COPY . .", {("BG707", "warning")}),
        ("import lib.core\n", "COPY lib lib\nCOPY main.py .", {("BG703", "error")}),
    ],
)
def test_a_submodule_is_an_error_where_the_start_imports_it(
    repository: Callable[..., Project], main: str, copy: str, expected: set[tuple[str, str]]
) -> None:
    docker = f"FROM python:3.11\nWORKDIR /srv\n{copy}\nCMD python main.py\n"
    project = repository({"Dockerfile": docker, "main.py": main, ".gitmodules": ""})
    project.git("update-index", "--add", "--cacheinfo", f"160000,{project.git('rev-parse', 'HEAD').strip()},lib")
    (project.path / "lib").mkdir()
    found = project.check().json["diagnostics"]

    assert {(item["code"], item["severity"]) for item in found if item["code"] != "BG404"} == expected


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("hypercorn -c server.toml main:app", "server.toml"),
        ("uvicorn --host 0.0.0.0 --port 8080 --log-config log.json main:app", "log.json"),
    ],
)
def test_a_configuration_that_is_no_python_is_not_executed(tmp_path: Path, command: str, name: str) -> None:
    docker = f"FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD {command}\n"
    files = {"Dockerfile": docker, name: 'bind = "0.0.0.0:8080"\n', "requirements.txt": "flask\nuvicorn\nhypercorn\n"}
    report = report_of(tmp_path, files)

    assert (rows_of(report), name in report.executed) == ([], False)


def test_the_hint_names_the_folder_where_a_file_is_looked_for(tmp_path: Path) -> None:
    docker = "FROM python:3.11-slim\nCOPY run.sh /\nWORKDIR /app\nCOPY src/ /app/\nCMD alembic upgrade head && exec gunicorn main:app\n"
    files = {"Dockerfile": docker, "run.sh": "", "src/main.py": APP, "alembic.ini": "[alembic]\nscript_location = a\n"}
    report = report_of(tmp_path, files)

    hints = [row.hint for row in report.diagnostics if row.code == "BG704" and "alembic.ini" in row.message]
    assert hints == ["add it: COPY alembic.ini ./"]
