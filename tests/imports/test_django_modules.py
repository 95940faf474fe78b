"""What Django loads by name: an import that fails there is an error, as a real start fails on it."""

from __future__ import annotations

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.imports.django_modules import DjangoReader
from buildguard.imports.finder import FileTree
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.program_words import program_words
from buildguard.project.discovery import ImageRecipe
from buildguard.project.start_command import CommandPlace, StartCommand
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind

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


def test_a_command_before_the_start_loads_them_as_well() -> None:
    start = _START._replace(script="/srv/site/urls.py", before=(_START,))

    assert "site.settings.prod" in _modules(start)


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


@pytest.mark.parametrize(
    "files",
    [{"deploy.yaml": "DJANGO_SETTINGS_MODULE: x"}, {".gitignore": "", "x.sh": "export DJANGO_SETTINGS_MODULE=y"}],
)
def test_settings_that_a_deploy_sets_are_not_followed(files: dict[str, str]) -> None:
    assert _program({**_FILES, **files}, "gunicorn site.wsgi")[0] == []


def test_no_start_loads_nothing() -> None:
    assert _program({"main.py": ""}, "")[0] == []
