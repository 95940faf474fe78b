"""What a Celery worker loads by name, as Celery 5.7 does: a module that is missing there stops it."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.imports.celery_modules import CeleryReader
from buildguard.imports.finder import FileTree
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.named_objects import import_of_module, import_of_object
from buildguard.project.celery_settings import read_config, read_listing
from buildguard.project.discovery import ImageRecipe
from buildguard.project.start_command import CommandPlace, StartCommand
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind
from tests.conftest import Project

_MADE = "from celery import Celery\napp = Celery('x')\n"
_PROJECT = {"jobs/__init__.py": "", "jobs/mail.py": "", "jobs/tasks.py": "", "conf.py": "", "shop/__init__.py": ""}

# The module of an application, and what `celery -A app worker` imports for it, as running one shows; undecided lists are left out.
_LISTS = [
    ("from celery import Celery\napp = Celery('x', include=['jobs.mail', 'jobs.lost'])\n", ["jobs.mail", "jobs.lost"]),
    ("import celery\nworker = celery.Celery('x', include=('jobs.mail',))\n", ["jobs.mail"]),
    ("from celery import Celery\nJOBS = ['jobs.mail']\napp = Celery(include=JOBS + ['jobs.lost'])\n", ["jobs.mail", "jobs.lost"]),
    (_MADE + "app.conf.imports = ('jobs.mail', 'jobs.lost')\n", ["jobs.mail", "jobs.lost"]),
    (_MADE + "app.conf.update(include=['jobs.mail'], imports=['jobs.lost'])\n", ["jobs.lost", "jobs.mail"]),
    (_MADE + "app.autodiscover_tasks(['jobs', 'lost', 'shop'])\n", ["jobs", "lost", "shop"]),
    (_MADE + "app.autodiscover_tasks(packages=['jobs.lost'], related_name='mail')\n", []),
    (_MADE + "app.config_from_object('conf')\n", ["conf"]),
    (_MADE + "app.config_from_object('jobs.Config')\n", ["jobs:Config"]),
    (_MADE + "app.config_from_object('conf:Config')\n", []),
    (_MADE + "app.config_from_object('conf', silent=True)\n", []),
    (_MADE + "app.config_from_object(conf)\n", []),
    (_MADE + "app.config_from_object('conf')\napp.config_from_envvar('CONF')\n", []),
    (_MADE + "app.conf.include = ['a']\napp.conf.include = ['b']\n", []),
    (_MADE + "app.conf.include = ['a']\napp.conf.include += ['b']\n", []),
    (_MADE + "app.conf.update({'imports': ['a']})\n", []),
    (_MADE + "if app:\n    app.conf.imports = ['a']\n", []),
    ("from celery import Celery\ndef make():\n    return Celery(include=['a'])\n", []),
    ("from celery import Celery\nif 1:\n    app = Celery(include=['a'])\n", []),
    ("from celery import Celery\napp = Celery(include=['a'])\napp = Celery(include=['b'])\n", []),
    ("from celery import Celery\napp = Celery(include=['a'])\napp = wrap(app)\n", []),
    ("def f(:\nCelery(include=['a'])\n", []),
    ("Celery()\n", []),
]  # fmt: skip


def _reader(files: dict[str, str], start: StartCommand) -> CeleryReader:
    texts = {f"/srv/{path}": text.encode() for path, text in {**_PROJECT, **files}.items()}
    tree = FileTree({path: path.removeprefix("/srv/") for path in texts})
    return CeleryReader(tree, ("/srv",), texts.get, start._replace(search_path=("/srv",)))


_START = StartCommand(CommandPlace("Dockerfile", 1), server="celery", module="app", arguments=("-A", "app", "worker"))


def _rows(files: dict[str, str], start: StartCommand = _START) -> list[str]:
    return [":".join([row.module, *row.names]) for _module, row in _reader(files, start).imports()]


@pytest.mark.parametrize(("source", "expected"), _LISTS)
def test_what_an_application_names_is_imported(source: str, expected: list[str]) -> None:
    assert _rows({"app.py": source}) == expected


@pytest.mark.parametrize(
    ("config", "source", "expected"),
    [
        (
            "imports = ['jobs.mail', 'jobs.lost']\n",
            "app.config_from_object('conf')\n",
            ["conf", "jobs.mail", "jobs.lost"],
        ),
        ("CELERY_IMPORTS = ('jobs.lost',)\n", "app.config_from_object('conf')\n", ["conf", "jobs.lost"]),
        (
            "JOBS_INCLUDE = ('jobs.lost',)\n",
            "app.config_from_object('conf', namespace='jobs')\n",
            ["conf", "jobs.lost"],
        ),
        ("include = ('jobs.lost',)\n", "app.config_from_object('conf', namespace='jobs')\n", ["conf"]),
        ("imports = ['a']\nimports += ['b']\n", "app.config_from_object('conf')\n", ["conf"]),
        (
            "imports = ['a']\n",
            "app.config_from_object('conf')\napp.conf.imports = ['jobs.mail']\n",
            ["conf", "jobs.mail"],
        ),
        ("if 1:\n    imports = ['a']\n", "app.config_from_object('conf')\n", ["conf"]),
        ("def f(:\n", "app.config_from_object('conf')\n", ["conf"]),
    ],
)
def test_what_its_settings_name_is_imported(config: str, source: str, expected: list[str]) -> None:
    assert _rows({"conf.py": config, "app.py": _MADE + source}) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("app.autodiscover_tasks(['jobs', 'lost'])\n", ["jobs", "jobs.tasks"]),
        ("app.autodiscover_tasks(['jobs'], related_name='mail')\n", ["jobs", "jobs.mail"]),
        ("app.autodiscover_tasks(['jobs.mail'], None)\n", ["jobs", "jobs.mail"]),
        ("app.autodiscover_tasks(['jobs'], related_name=NAME)\n", []),
        ("app.config_from_object('conf')\napp.conf.include = ['jobs.mail']\n", ["conf", "jobs", "jobs.mail"]),
        ("app.config_from_object('jobs.Config')\n", ["jobs"]),
    ],
)
def test_what_is_found_is_loaded(source: str, expected: list[str]) -> None:
    assert [module.name for module in _reader({"app.py": _MADE + source}, _START).modules()] == expected


def test_a_package_that_takes_the_application_from_its_module() -> None:
    source = "from celery import Celery\napp = Celery(include=['proj.lost'])\napp.autodiscover_tasks()\n"
    files = {"proj/__init__.py": "from .celery import app\nfrom jobs import x\n", "proj/celery.py": source}
    start = _START._replace(module="proj")

    assert _rows(files, start) == ["proj.lost"]
    assert _reader(files, start).application.module == "proj.celery"
    assert _reader(files, start).finds_all


@pytest.mark.parametrize(
    "start",
    [
        _START._replace(arguments=("-A", "app", "inspect")),
        _START._replace(attribute="other"),
        _START._replace(module="conf"),
        _START._replace(module="lost"),
    ],
)
def test_other_commands_and_applications_load_nothing(start: StartCommand) -> None:
    source = "from celery import Celery\napp = Celery(include=['jobs.lost'])\n"

    assert _rows({"app.py": source}, start) == []
    assert _reader({"app.py": source}, start).modules() == ()


@pytest.mark.parametrize("other", ["app.conf.include = []\n", "CELERY_IMPORTS = ()\n", "update({'include': []})\n"])
def test_a_list_that_another_source_may_replace_is_left_out(other: str) -> None:
    source = "from celery import Celery\napp = Celery(include=['jobs.mail', 'jobs.lost'])\n"

    assert _rows({"app.py": source, "shop/setup.py": other}) == []
    assert _rows({"app.py": source.replace(", 'jobs.lost'", ""), "shop/setup.py": other}) == ["jobs.mail"]


def test_a_text_names_a_module_or_an_object_of_one() -> None:
    assert (import_of_module("a.b", 3).module, import_of_object("a.b", 3)[3:5]) == ("a.b", ("a", ("b",)))
    assert import_of_object("a", 3) == import_of_module("a", 3)


def test_the_texts_have_their_lines() -> None:
    listing = read_listing(
        ast.parse("from celery import Celery\nx = Celery(\n    include=[\n        'a',\n    ],\n)\n")
    )

    assert listing is not None
    assert listing.tasks == (("a", 4),)
    assert read_config(ast.parse("\ninclude = ['b']\n"), "", ()) == (("b", 2),)


def test_a_worker_without_one_of_its_modules(repository: Callable[..., Project]) -> None:
    files = {
        "proj/__init__.py": "from .celery import app as celery_app\n",
        "proj/celery.py": "from celery import Celery\napp = Celery('proj', include=['proj.mail', 'proj.lost'])\n",
        "proj/mail.py": "from proj.smtp import send\n",
        "proj/unused.py": "from proj.smtp import send\n",
        "requirements.txt": "celery==5.4.0\n",
        "Dockerfile": "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD celery -A proj worker\n",
    }

    rows = repository(files).check().json["diagnostics"]

    assert [(row["path"], row["line"], row["severity"]) for row in rows if row["code"] == "BG604"] == [
        ("proj/celery.py", 2, "error"),
        ("proj/mail.py", 1, "error"),
        ("proj/unused.py", 1, "warning"),
    ]


def test_a_worker_loads_the_tasks_of_the_apps_of_django() -> None:
    source = "import os\nfrom celery import Celery\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'proj.settings')\n"
    files = {
        "proj/__init__.py": "from .celery import app\n",
        "proj/celery.py": f"{source}app = Celery()\napp.autodiscover_tasks()\n",
        "proj/settings.py": "INSTALLED_APPS = ['shop', 'lost']\n",
        "shop/__init__.py": "",
        "shop/tasks.py": "",
        "Dockerfile": "FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD celery -A proj worker\n",
    }
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.DECLARED, "Dockerfile"))
    (program,) = read_programs(sources, [ImageRecipe(service, files["Dockerfile"].encode())])

    assert [module.name for module in program.by_name()] == ["proj", "proj.settings", "shop", "shop.tasks"]
    assert [row.module for _module, row in program.listed()] == ["shop", "lost"]
