"""BG604: names that are taken by a dot from a module of the project: `config.DEBUG`, where config never binds DEBUG."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.imports import executed_uses
from buildguard.imports.faults import ImportContext
from buildguard.imports.import_graph import ImportGraph
from buildguard.imports.names import NameReader
from buildguard.imports.resolver import ModuleResolver, SearchPath
from buildguard.imports.taken_names import TakenNameReader
from tests.imports.projects import TextProject, findings, lines_of

_CONFIG = {"config.py": "PORT = 8080\n", "app/__init__.py": "", "app/users.py": "ROUTES = []\n"}
_LACKS = "error main.py:2 module 'config' has no attribute 'DEBUG': config.py never binds it"
_USERS = "error main.py:2 module 'app.users' has no attribute 'router': app/users.py never binds it"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import config\nx = config.DEBUG\n", _LACKS),
        ("import config\nconfig.DEBUG.lower()\n", _LACKS),
        ("import config as c\nx = [c.DEBUG]\n", _LACKS),
        ("import config\ndef f(x=config.DEBUG): pass\n", _LACKS),
        ("import config\ndef f(x: config.DEBUG): pass\n", _LACKS),
        ("import config\n@config.DEBUG\ndef f(config): pass\n", _LACKS),
        ("import config\nclass A(config.DEBUG): pass\n", _LACKS),
        ("import config\nif config.DEBUG: pass\n", _LACKS),
        ("import config\nwith config.DEBUG: pass\n", _LACKS),
        ("import config\ntry: config.DEBUG\nexcept KeyError: pass\n", _LACKS),
        ("from app import users\nusers.router\n", _USERS),
        ("from app import users as u\nprint(u.router)\n", _USERS),
        ("import app.users\napp.users.router\n", _USERS),
        ("import app.users as users\nusers.router\n", _USERS),
    ],
)
def test_a_name_that_its_module_never_binds(source: str, expected: str) -> None:
    assert findings({**_CONFIG, "main.py": source}) == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "import config\nx = config.PORT\nconfig.__name__\n",
        "import config\ndef f():\n    return config.DEBUG\n",
        "import config\nf = lambda: config.DEBUG\n",
        "import config\ntry: config.DEBUG\nexcept AttributeError: pass\n",
        "import config\nif hasattr(config, 'DEBUG'): config.DEBUG\n",
        "import config\nif False: config.DEBUG\n",
        "import sys, config\nif sys.version_info < (3, 6): config.DEBUG\n",
        "from typing import TYPE_CHECKING\nimport config\nif TYPE_CHECKING: config.DEBUG\n",
        "from __future__ import annotations\nimport config\ndef f(x: config.DEBUG): pass\n",
        "import config\nconfig.DEBUG = 1\nconfig.DEBUG\n",
        "import config\nsetattr(config, 'DEBUG', 1)\nconfig.DEBUG\n",
        "import config\nfor key in ['DEBUG']: setattr(config, key, 1)\nconfig.DEBUG\n",
        "import config\nvars(config).update(DEBUG=1)\nconfig.DEBUG\n",
        "import config\nconfig.__dict__['DEBUG'] = 1\nconfig.DEBUG\n",
        "import config as c\nfor key in ['DEBUG']: setattr(c, key, 1)\nc.DEBUG\n",
        "import config\nsetattr(\n    config,\n    'DEBUG',\n    1,\n)\nconfig.DEBUG\n",
        "import config\ndef get(): return config\nsetattr(get(), 'DEBUG', 1)\nconfig.DEBUG\n",
        "import config\nconfig.DEBUG, config.HOST = 1, 2\nconfig.DEBUG\n",
        "import config\nfor config.DEBUG in [1]: pass\nconfig.DEBUG\n",
        "import config\nwith open(__file__) as config.DEBUG: config.DEBUG\n",
        "import config\nassert config.PORT, config.DEBUG\n",
        "import config\nconfig.__eq__, config.__hash__\n",
        "import config\ndef f():\n    global config\n    config = 1\nf()\nconfig.DEBUG\n",
        "import os\nos.nothing\n",  # no module of the project
        "import flask\nflask.nothing\n",
        "from app.users import ROUTES\nROUTES.nothing\n",
    ],
)
def test_what_is_there_or_may_be_is_no_finding(source: str) -> None:
    assert findings({**_CONFIG, "main.py": source}, requires=("flask",)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import config\nif len(__name__) > 3:\n    config.DEBUG\n",
        "import config\nx = len(__name__) or config.DEBUG\n",
        "import config\nassert config.DEBUG\n",  # not with -O
        "import config\nconfig.DEBUG\nconfig = 1\n",
        "import config\nfor config in ['a']:\n    config.DEBUG\n",
        "import config\nx = [config.DEBUG for config in 'a']\nconfig.DEBUG\n",
        "from app import *\nimport config\nconfig.DEBUG\n",
        "import sometimes\nsometimes.DEBUG\n",
    ],
)
def test_what_only_running_it_decides_is_undecided(source: str) -> None:
    files = {**_CONFIG, "main.py": source, "sometimes.py": "if len(__name__) > 3:\n    DEBUG = 1\n"}
    result = TextProject(files).judge()

    assert lines_of(result) == []
    assert [item.path for item in result.undecided] == ["main.py"]
    assert "has DEBUG when it is asked for is not known" in result.undecided[0].reason


@pytest.mark.parametrize(
    ("package", "fails"),
    [
        ("from . import users\n", True),
        ("from app import users\n", True),
        ("from . import users\nusers = users.ROUTES\n", False),
        ("users = object()\n", False),
        ("from .users import ROUTES as users\n", False),
        ("def __getattr__(name): return 1\n", False),
        ("from .users import *\n", False),
        ("from . import factory\nfactory.make()\n", False),
    ],
)
@pytest.mark.parametrize("source", ["import app.users\napp.users.router\n", "from app import users\nusers.router\n"])
def test_a_submodule_is_one_where_its_package_calls_nothing_else_so(source: str, package: str, *, fails: bool) -> None:
    files = {**_CONFIG, "main.py": source, "app/__init__.py": package}
    files["app/factory.py"] = "import app\ndef make():\n    app.users = object()\n" if "factory" in package else ""

    assert findings(files) == ([_USERS] if fails else [])


def test_an_alias_of_a_submodule_is_what_its_package_calls_so() -> None:
    files = {"app/__init__.py": "from app.logger import logger\n", "app/logger.py": "logger = object()\n"}

    assert findings({**files, "main.py": "import app.logger as logger\nlogger.info('x')\n"}) == []
    (found,) = findings({**files, "app/__init__.py": "", "main.py": "import app.logger as logger\nlogger.info('x')\n"})
    assert found.startswith("error main.py:2 module 'app.logger' has no attribute 'info'")


def test_a_text_that_speaks_of_a_name_sets_none() -> None:
    text = '"""Such as config.DEBUG, or for config.DEBUG alone."""\n'

    (found,) = findings({**_CONFIG, "main.py": "import config\nconfig.DEBUG\n", "notes.py": text})
    assert found == _LACKS


def test_a_flag_that_a_star_import_may_change_decides_nothing() -> None:
    flag = "USE = False\ntry:\n    from local import *\nexcept ImportError:\n    pass\nif USE:\n    URL = 1\n"
    files = {"settings.py": flag, "local.py": "USE = True\n"}

    assert findings({**files, "main.py": "import settings\nsettings.URL\n"}) == []
    assert findings({**files, "main.py": "from settings import URL\n"}) == []
    assert (
        len(findings({"settings.py": "USE = False\nif USE:\n    URL = 1\n", "main.py": "from settings import URL\n"}))
        == 1
    )


def test_the_chain_leads_to_a_use_and_one_that_no_start_reaches_is_a_warning() -> None:
    files = {**_CONFIG, "main.py": "import app.web\n", "app/web.py": "from . import users\nusers.router\n"}

    assert findings(files) == [_USERS.replace("main.py", "app/web.py") + " (main → app.web)"]
    assert findings({**files, "main.py": ""}) == [_USERS.replace("error main.py", "warning app/web.py")]
    assert findings(files, start="") == [_USERS.replace("main.py", "app/web.py")]


def test_a_name_that_is_deleted_again_says_so() -> None:
    files = {"main.py": "import config\nconfig.DEBUG\n", "config.py": "DEBUG = 1\ndel DEBUG\n"}

    (found,) = findings(files)

    assert found.startswith(_LACKS.replace("never binds it", "binds it in line 1, and deletes it again"))


def test_a_name_that_is_deleted_behind_the_import_of_what_takes_it_may_be_there() -> None:
    files = {"main.py": "import app\n", "app/__init__.py": "x = 1\nfrom . import web\ndel x\n"}
    result = TextProject({**files, "app/web.py": "import app\napp.x\n"}).judge()

    assert lines_of(result) == []
    assert [(item.path, item.line) for item in result.undecided] == [("app/web.py", 2)]
    (found,) = findings({**files, "main.py": "import app\napp.x\n", "app/web.py": ""})
    assert found.startswith("error main.py:2 module 'app' has no attribute 'x': app/__init__.py binds it in line 1")


_CIRCLE = {"main.py": "import app.a\n", "app/__init__.py": ""}
_NOT_YET = "has not bound it yet, because the imports run in a circle"


@pytest.mark.parametrize("use", ["def f(x: a.User): pass", "class B(a.User): pass", "a.User()"])
@pytest.mark.parametrize("imports", ["from app import a", "from . import a", "import app.a as a"])
def test_a_name_that_a_module_in_a_circle_has_not_bound_yet(imports: str, use: str) -> None:
    files = {**_CIRCLE, "app/b.py": f"{imports}\n{use}\n"}
    late, early = "from app import b\nclass User: pass\n", "class User: pass\nfrom app import b\n"

    (found,) = findings({**files, "app/a.py": late})
    assert found.startswith(f"error app/b.py:2 module 'app.a' has no attribute 'User': app/a.py {_NOT_YET}")
    assert findings({**files, "app/a.py": early}) == []
    assert findings({**files, "app/a.py": late, "app/b.py": f"{imports}\ndef g():\n    return a.User\n"}) == []


def test_a_use_in_a_circle_that_a_condition_decides_is_undecided() -> None:
    files = {**_CIRCLE, "app/b.py": "from app import a\nif len(__name__) > 3:\n    a.User\n"}
    result = TextProject({**files, "app/a.py": "from app import b\nclass User: pass\n"}).judge()

    assert lines_of(result) == []
    assert [(item.path, item.line) for item in result.undecided] == [("app/b.py", 3)]


def test_a_package_has_no_submodule_before_that_is_executed() -> None:
    files = {"main.py": "import app.core\n", "app/__init__.py": "", "app/core/beta.py": "x = 1\n"}
    used = "import app.core.beta\napp.core.beta.x\n"

    (found,) = findings({**files, "app/core/__init__.py": used})
    assert found.startswith(
        f"error app/core/__init__.py:2 module 'app' has no attribute 'core': app/__init__.py {_NOT_YET}"
    )
    assert findings({**files, "app/core/__init__.py": "from app.core import beta\nbeta.x\n"}) == []


def test_a_use_in_a_program_that_is_started_counts_under_its_main_test() -> None:
    files = {**_CONFIG, "main.py": "import config\nif __name__ == '__main__':\n    config.DEBUG\n"}

    assert findings(files, "main.py") == [_LACKS.replace(":2", ":3")]
    assert findings(files, "main") == []


def test_a_source_that_is_too_new_to_be_parsed_here_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_data: bytes) -> None:
        raise SyntaxError

    monkeypatch.setattr(executed_uses, "parse_source", refuse)
    result = TextProject({**_CONFIG, "main.py": "import config\nconfig.DEBUG\n"}).judge()

    assert lines_of(result) == []
    assert [(item.path, item.line) for item in result.undecided] == [("main.py", 2)]


def test_what_is_read_of_a_module() -> None:
    project = TextProject({**_CONFIG, "main.py": "import config\nconfig.DEBUG\n"})
    context = ImportContext(project.facts, project.read, frozenset(), project.may_be_foreign)
    resolver = ModuleResolver(project.tree, SearchPath(("/srv",)), frozenset(), project.may_be_foreign)
    graph = ImportGraph(resolver, project.facts)
    names = NameReader(project.tree, project.facts, lambda *_: None, project.may_be_foreign, project.read)
    main = resolver.find("main").last
    assert main is not None

    (taken,) = TakenNameReader(graph, names, context).read(main)

    assert (taken.source.name, taken.name, taken.row.line, taken.is_open) == ("config", "DEBUG", 2, False)


_SUBMODULE = {"app/__init__.py": "", "app/users.py": "X = 1\n", "app/v1/__init__.py": "", "app/v1/users.py": "X = 1\n"}


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("main", "line", "package"),
    [
        ("import app\napp.users.X\n", 2, "app"),
        ("import app as a\na.users.X\n", 2, "app"),
        ("import app.v1\napp.v1.users.X\n", 2, "app.v1"),
        ("from app import v1\nv1.users.X\n", 2, "app.v1"),
        (
            "from typing import TYPE_CHECKING\nimport app\nif TYPE_CHECKING:\n    import app.users\napp.users.X\n",
            5,
            "app",
        ),
    ],
)
def test_a_submodule_that_nothing_imports(main: str, line: int, package: str, tmp_path: Path) -> None:
    message = f"module '{package}' has no attribute 'users': nothing imports {package}.users"

    assert findings({**_SUBMODULE, "main.py": main}, "main.py") == [f"error main.py:{line} {message}"]
    assert f"module '{package}' has no attribute 'users'" in _last_line({**_SUBMODULE, "main.py": main}, tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": "import app, other\napp.users.X\n", "other.py": "import app.users\n"},
        {"main.py": "import app, other\napp.users.X\n", "other.py": "from app.users import X\n"},
        {"main.py": "import app\ndef f(): import app.users\nf()\napp.users.X\n"},
        {"main.py": "import app\napp.users.X\n", "app/__init__.py": "from . import users\n"},
        {"main.py": "import app\napp.users.X\n", "app/__init__.py": "from .users import X\n"},
        {"main.py": "import app\napp.users.X\n", "app/__init__.py": "def __getattr__(name): return 1\n"},
        {"main.py": "import importlib, app\nimportlib.import_module('app.users')\napp.users.X\n"},
        {"main.py": "import app\ntry:\n    app.users.X\nexcept AttributeError:\n    pass\n"},
        {"main.py": "import app\nif hasattr(app, 'users'): app.users.X\n"},
        {"main.py": "import app\ndef f(): app.users.X\n"},
        {"main.py": "import app, other\napp.users.X\n", "other.py": "import app.users\nprint 1\n"},  # it cannot be read
    ],
)
def test_a_submodule_that_something_may_import_is_no_finding(files: dict[str, str]) -> None:
    assert findings({**_SUBMODULE, **files}, "main.py") == []


@pytest.mark.parametrize(
    "files",
    [
        {"app/__init__.py": "import importlib\nfor n in ['users']: importlib.import_module('app.' + n)\n"},
        {"boot.py": "MODULES = 'app.users'\n"},
        {"boot.py": "from importlib import import_module\ndef load(name): import_module(name)\n"},
        {
            "main.py": "import boot\nfrom app import *\nimport app\napp.users.X\n",
            "app/__init__.py": "__all__ = ['users']\n",
        },
    ],
)
def test_a_submodule_that_a_text_may_import_is_undecided(files: dict[str, str]) -> None:
    project = {**_SUBMODULE, "boot.py": "", "main.py": "import boot\nimport app\napp.users.X\n", **files}

    result = TextProject(project, "main.py").judge()

    assert lines_of(result) == []
    assert {item.path for item in result.undecided} == {"main.py"}


_EARLY = {
    "main.py": "import app\n",
    "app/__init__.py": "from app import routes\nfrom app.db import db\n",
    "app/db.py": "class Database: session = 1\ndb = Database()\n",
    "app/routes.py": "from app import db\ndb.session\n",
}
_RUNNING = {
    "app/__init__.py": "from app.db import db\n",
    "app/db.py": "from app.routes import x\nclass Database: session = 1\ndb = Database()\n",
    "app/routes.py": "from app import db\nx = db.session\n",
}


@pytest.mark.interpreters
@pytest.mark.parametrize("files", [{}, _RUNNING, {"app/routes.py": "from . import db\ndb.session\n"}])
def test_a_submodule_in_place_of_what_its_package_binds_later(files: dict[str, str], tmp_path: Path) -> None:
    project = {**_EARLY, **files}
    (found,) = findings(project, "main.py")

    assert found.startswith(
        "error app/routes.py:2 module 'app.db' has no attribute 'session': app has not bound db yet"
    )
    assert "module 'app.db' has no attribute 'session'" in _last_line(project, tmp_path)


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "files",
    [
        {"app/__init__.py": "from app.db import db\nfrom app import routes\n"},
        {"app/db.py": "session = db = 1\n"},
        {"app/routes.py": "from app import db\ndef f(): return db.session\n"},
        {"app/routes.py": "from app import db\ngetattr(db, 'session', None)\n"},
        {
            "app/__init__.py": "db = None\nfrom app import routes\n",
            "app/routes.py": "from app import db\ndb.__class__\n",
        },
    ],
)
def test_what_a_package_has_bound_by_then_is_no_finding(files: dict[str, str], tmp_path: Path) -> None:
    assert findings({**_EARLY, **files}, "main.py") == []
    assert _last_line({**_EARLY, **files}, tmp_path) == ""


def _last_line(files: dict[str, str], folder: Path) -> str:
    """What Python ends with when it runs a project."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = subprocess.run([sys.executable, "-B", "main.py"], cwd=folder, capture_output=True, text=True, check=False)
    return (done.stderr.splitlines() or [""])[-1]
