"""What Django loads by name: an import that fails there is an error, as a real start fails on it."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.imports.django_modules import DjangoReader
from buildguard.imports.finder import FileTree
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.program_words import program_words
from buildguard.project.discovery import ImageRecipe
from buildguard.project.django_names import literal_setting
from buildguard.project.start_command import CommandPlace, StartCommand, processes
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind
from tests.conftest import Project

_MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings.prod')\n"
_FILES = {
    "manage.py": _MANAGE,
    "site/__init__.py": "",
    "site/urls.py": "",
    "site/wsgi.py": _MANAGE,
    "site/settings/__init__.py": "",
    "site/settings/base.py": "INSTALLED_APPS = ['shop', 'blog.apps.BlogConfig', 'rest_framework']\nROOT_URLCONF = 'site.urls'\n",
    "site/settings/prod.py": "from .base import *\nfrom site.settings.extra import *\nMIDDLEWARE = ['site.first.First']\n",
    "site/settings/extra.py": "def f(:\n",
    "site/first.py": "",
    "shop/__init__.py": "",
    "shop/models.py": "",
    "blog/apps.py": "",
    "blog/models/__init__.py": "",
}
_START = StartCommand(CommandPlace("Dockerfile", 1), script="/srv/manage.py", is_main=True, arguments=("migrate",))


def _modules(start: StartCommand, files: dict[str, str] | None = None) -> list[str]:
    texts = {f"/srv/{path}": text.encode() for path, text in (files or _FILES).items()}
    tree = FileTree({path: path.removeprefix("/srv/") for path in texts})
    reader = DjangoReader(tree, ("/srv",), texts.get, lambda command, default: command.env.get("SETTINGS", default))
    return [module.name for module in reader.modules(start)]


def test_the_settings_lead_to_apps_middleware_and_models() -> None:
    assert _modules(_START) == [
        "site", "site.settings", "site.settings.prod", "site.first", "shop", "blog.apps", "shop.models", "blog.models",
    ]  # fmt: skip


def test_runserver_loads_the_urls() -> None:
    assert _modules(_START._replace(arguments=("runserver", "0:8080")))[-1] == "site.urls"


@pytest.mark.parametrize(
    "start",
    [
        _START._replace(script="/srv/other.py"),
        _START._replace(script="/srv/site/urls.py"),
        _START._replace(env={"SETTINGS": ""}),
        _START._replace(env={"SETTINGS": "installed.settings"}),
    ],
)
def test_nothing_is_loaded_without_settings_of_the_project(start: StartCommand) -> None:
    assert _modules(start) == []


def test_a_command_before_the_start_loads_them_in_a_process_of_its_own() -> None:
    start = _START._replace(script="/srv/site/urls.py", before=(_START,))

    assert ["site.settings.prod" in _modules(process) for process in processes(start)] == [True, False]


def _program(files: dict[str, str], command: str) -> tuple[list[str], tuple[str, ...]]:
    files = {**files, "Dockerfile": f"FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD {command}\n"}
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.DECLARED, "Dockerfile"))
    (program,) = read_programs(sources, [ImageRecipe(service, files["Dockerfile"].encode())])
    return [module.name for module in program.by_name()], program_words([program])


def test_a_program_has_them_beside_its_starts() -> None:
    modules, words = _program(_FILES, "gunicorn site.wsgi")

    assert "shop.models" in modules
    assert not any("models" in word for word in words)  # the step of a build follows its start alone


def test_the_configuration_of_a_server_hides_no_settings() -> None:
    files = {**_FILES, "gunicorn.conf.py": "bind = ':8080'\n", "extra.py": ""}

    assert "shop.models" in _program(files, "gunicorn -c gunicorn.conf.py site.wsgi")[0]


@pytest.mark.parametrize(
    "files",
    [{"deploy.yaml": "DJANGO_SETTINGS_MODULE: x"}, {".gitignore": "", "x.sh": "export DJANGO_SETTINGS_MODULE=y"}],
)
def test_settings_that_a_deploy_sets_are_not_followed(files: dict[str, str]) -> None:
    assert _program({**_FILES, **files}, "gunicorn site.wsgi")[0] == []


def test_no_start_loads_nothing() -> None:
    assert _program({"main.py": ""}, "")[0] == []


# Settings, and what Django 5.1 imports for their lists when it sets itself up, as executing them shows; undecided lists are left out.
_LISTS = [
    ("INSTALLED_APPS = ['shop', 'blog.apps.BlogConfig']\n", ["shop", "blog.apps:BlogConfig"]),
    ("MIDDLEWARE = ('site.first.First', 'site.second.limit')\n", ["site.first:First", "site.second:limit"]),
    ("INSTALLED_APPS = ['django.contrib.auth', 'shop'] + ['blog']\nINSTALLED_APPS += ['more']\n", ["shop", "blog", "more"]),
    ("OTHER = ['x']\nINSTALLED_APPS = ['shop', *OTHER]\n", ["shop", "x"]),
    ("A = ['a']\nB = ('b', 'c')\nINSTALLED_APPS = A + list(B)\n", ["a"]),
    ("A = ['a']\nA += ['b']\nB = A + ['c']\nINSTALLED_APPS = B + ['shop']\n", ["a", "b", "c", "shop"]),
    ("A: list = ['a']\nINSTALLED_APPS = A\n", ["a"]),
    ("A = ['a']\nA = ['b']\nINSTALLED_APPS = ['shop'] + A\n", ["shop"]),
    ("A = ['a']\nA.append('b')\nINSTALLED_APPS = ['shop'] + A\n", ["shop"]),
    ("A = ['a']\nif A:\n    A += ['b']\nINSTALLED_APPS = ['shop'] + A\n", ["shop"]),
    ("from .base import A\nINSTALLED_APPS = ['shop'] + A\n", ["shop"]),
    ("A = B\nB = A\nINSTALLED_APPS = ['shop'] + A + B\n", ["shop"]),
    ("from .base import *\n", ["shop", "blog.apps:BlogConfig", "rest_framework"]),
    ("from .base import *\nINSTALLED_APPS += ['more']\n", ["more", "shop", "blog.apps:BlogConfig", "rest_framework"]),
    ("from .base import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'a']\n", ["a", "shop", "blog.apps:BlogConfig", "rest_framework"]),
    ("from .base import *\nINSTALLED_APPS = ['only']\n", ["only"]),
    ("from .base import *\nINSTALLED_APPS.remove('shop')\n", []),
    ("from .base import *\nINSTALLED_APPS = [app for app in INSTALLED_APPS if app != 'shop']\n", []),
    ("INSTALLED_APPS = ['shop']\nif INSTALLED_APPS:\n    INSTALLED_APPS = ['b']\n", []),
    ("INSTALLED_APPS = ['shop']\ndel INSTALLED_APPS[0]\n", []),
    ("if True:\n    INSTALLED_APPS = ['shop']\n", []),
    ("INSTALLED_APPS = list(['shop'])\n", []),
    ("INSTALLED_APPS = ['no module', '']\n", []),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "expected"), _LISTS)
def test_what_settings_list_is_imported(settings: str, expected: list[str]) -> None:
    files = {f"/srv/{path}": text for path, text in {**_FILES, "site/settings/prod.py": settings}.items()}
    tree = FileTree({path: path.removeprefix("/srv/") for path in files})
    reader = DjangoReader(tree, ("/srv",), lambda path: files.get(path, "").encode(), lambda _command, default: default)

    served, other = (
        [":".join([row.module, *row.names]) for _module, row in reader.imports(_START._replace(arguments=words))]
        for words in (("runserver", "--skip-checks"), ("migrate",))
    )
    assert served == expected
    assert other == ([] if "MIDDLEWARE" in settings else expected)  # a command makes no application


_CONFIG = "from django.apps import AppConfig\nclass ShopConfig(AppConfig):\n    name = 'lost'\n"
_FORMATTER = "LOGGING = {'formatters': {'f': {'()': 'site.logs.Json'}}}\n"

# Settings and an apps.py, and what Django 5.2 imports beside what the settings list, as executing them shows.
_NAMES = [
    ("INSTALLED_APPS = ['shop']\n", _CONFIG, ["lost:3"]),
    ("INSTALLED_APPS = ['shop.apps.ShopConfig']\n", _CONFIG, ["lost:3"]),
    ("INSTALLED_APPS = ['shop.apps.ShopConfig']\n", _CONFIG + "class Other(AppConfig):\n    name = 'other'\n", ["lost:3"]),
    ("INSTALLED_APPS = ['shop']\n", _CONFIG + "class Other(AppConfig):\n    name = 'other'\n", []),
    ("INSTALLED_APPS = ['shop']\n", _CONFIG + "    default = False\n", []),
    ("INSTALLED_APPS = ['shop']\n", "from blog.apps import BlogConfig\n" + _CONFIG, []),
    ("INSTALLED_APPS = ['shop']\n", _CONFIG.replace("'lost'", "__package__"), []),
    ("INSTALLED_APPS = ['shop']\n", _CONFIG + "    name = 'shop'\n", []),
    ("INSTALLED_APPS = ['shop']\n", "def f(:\n", []),
    ("ROOT_URLCONF = 'site.lost'\n", "", ["site.lost:1"]),
    ("WSGI_APPLICATION = 'site.wsgi.lost'\n", "", ["site.wsgi.lost:1"]),
    ("INSTALLED_APPS = ['daphne']\nWSGI_APPLICATION = 'site.wsgi.lost'\n", "", []),
    ("ROOT_URLCONF = 'a'\nif ROOT_URLCONF:\n    ROOT_URLCONF = 'b'\n", "", []),
    ("AUTHENTICATION_BACKENDS = ['site.lost.Backend']\nASGI_APPLICATION = 'site.lost.app'\n", "", []),
    (_FORMATTER, "", ["site.logs.Json:1"]),
    ("LOGGING = {\n'handlers': {'h': {'class': 'site.logs.H', 'level': 'a.b'}},\n'filters': {'f': {'()': 'site.logs.F'}}}\n", "", ["site.logs.H:2", "site.logs.F:3"]),
    ("LOGGING = {'loggers': {'a.b': {'class': 'site.logs.H'}}, 'handlers': {'h': {'class': make(), 'x': 'a.b'}}}\n", "", []),
    ("LOGGING_CONFIG = None\n" + _FORMATTER, "", []),
    (_FORMATTER + "LOGGING['formatters'].clear()\n", "", []),
    ("LOGGING = {'incremental': True, 'handlers': {'h': {'class': 'site.logs.H'}}}\n", "", []),
    ("LOGGING = make()\n", "", []),
    ("from .base import *\n", "", ["site.urls:2"]),
    ("from .base import *\nROOT_URLCONF = 'site.lost'\n", "", ["site.lost:2"]),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "apps", "expected"), _NAMES)
def test_what_else_settings_name_is_imported(settings: str, apps: str, expected: list[str]) -> None:
    files = {**_FILES, "site/settings/prod.py": settings, "shop/apps.py": apps}
    texts = {f"/srv/{path}": text.encode() for path, text in files.items()}
    tree = FileTree({path: path.removeprefix("/srv/") for path in texts})
    reader = DjangoReader(tree, ("/srv",), texts.get, lambda _command, default: default)

    rows = [row for _module, row in reader.imports(_START._replace(arguments=("runserver",)))]
    named = [f"{'.'.join([row.module, *row.names])}:{row.line}" for row in rows]
    listed = {"shop", "shop.apps.ShopConfig", "blog.apps.BlogConfig", "rest_framework", "daphne"}
    assert [name for name in named if name.partition(":")[0] not in listed] == expected


@pytest.mark.parametrize(
    ("pin", "modules"), [("Django==3.1.7\n", []), ("django==3.2\n", ["shop.apps"]), ("", ["shop.apps"])]
)
def test_a_configuration_beside_an_app_is_found_from_3_2_on(pin: str, modules: list[str]) -> None:
    files = {
        **_FILES,
        "site/settings/prod.py": "INSTALLED_APPS = ['shop']\n",
        "shop/apps.py": "",
        "requirements.txt": pin,
    }

    assert [name for name in _modules(_START, files) if name == "shop.apps"] == modules


def test_only_a_server_of_django_s_own_loads_the_urls() -> None:
    sources = [("a.py", ast.parse("ROOT_URLCONF = 'site.urls'\n"))]
    files = {f"/srv/{path}": text.encode() for path, text in _FILES.items()}
    reader = DjangoReader(FileTree(dict.fromkeys(files, "")), ("/srv",), files.get, lambda _command, default: default)

    assert literal_setting(sources, "ROOT_URLCONF") == ("a.py", "site.urls", 1)
    for words in (("migrate",), ("runserver", "--skip-checks")):
        rows = reader.imports(_START._replace(arguments=words))
        assert "site.urls" not in [row.module for _module, row in rows]


def test_a_class_that_settings_list_and_no_module_binds(repository: Callable[..., Project]) -> None:
    docker = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD gunicorn -b :$PORT site.wsgi\n"
    files = {
        **_FILES,
        "site/settings/extra.py": "",
        "site/first.py": "class Last: pass\n",
        "blog/apps.py": "import blog.models\n",
    }
    files["site/wsgi.py"] += "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    files = {path.replace("site", "web"): text.replace("site", "web") for path, text in files.items()}
    docker = docker.replace("site", "web")  # `site` is a module of Python
    report = (
        repository({**files, "Dockerfile": docker, "requirements.txt": "django==5.1\ngunicorn==23.0.0\n"}).check().json
    )

    found = [(row["code"], row["path"], row["line"], row["severity"]) for row in report["diagnostics"]]
    assert [row for row in found if row[0] == "BG604"] == [
        ("BG604", "web/settings/base.py", 1, "error"),
        ("BG604", "web/settings/prod.py", 3, "error"),
    ]
    assert "base.py:1: no requirement that the image installs is known to bring rest_framework" in report["notes"][-1]
