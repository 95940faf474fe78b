"""BG604: imports of the project's own modules, as a real Python decides them."""

from __future__ import annotations

import pytest

from buildguard.imports.doubts import ProjectTexts
from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import FileTree, ModuleKind
from buildguard.imports.program import started_modules, working_folder
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import ImportStatement
from buildguard.imports.standard import LibraryModules
from buildguard.imports.third_party import PackageAnswer, PackagePresence
from buildguard.project.start_command import CommandPlace, StartCommand
from tests.imports.projects import TextProject, findings, lines_of

_CLEAN: dict[str, dict[str, str]] = {
    "the name is bound by a star": {"main.py": "from a import x\n", "a.py": "from b import *\n", "b.py": "x = 1\n"},
    "the name is bound on one path": {"main.py": "from a import x\n", "a.py": "if len(__name__) > 3:\n    x = 1\n"},
    "the name is a submodule": {"main.py": "from a import x\n", "a/__init__.py": "", "a/x.py": ""},
    "a function binds the name": {"main.py": "from a import x\n", "a.py": "def f():\n    global x\n    x = 1\n"},
    "the module is lazy": {"main.py": "from a import x\n", "a.py": "def __getattr__(name):\n    return 1\n"},
    "the module writes its globals": {"main.py": "from a import x\n", "a.py": "globals().update(x=1)\n"},
    "another file sets the name": {"main.py": "from a import x\n", "a.py": "", "b.py": "import a\na.x = 1\n"},
    "the star is of an installed package": {"main.py": "from a import x\n", "a.py": "from flask import *\n"},
    "ImportError is caught": {"main.py": "try:\n    from a import x\nexcept ImportError:\n    x = 0\n", "a.py": ""},
    "a namespace package": {"main.py": "import a.b\nfrom a import b\n", "a/b.py": ""},
    "a generated module": {"main.py": "from a._version import x\nimport a.x_pb2\n", "a/__init__.py": ""},
    "a generated submodule": {"main.py": "from a import _version, x_pb2\n", "a/__init__.py": ""},
    "a compiled module": {"main.py": "import a.fast\n", "a/__init__.py": "", "a/fast.pyx": ""},
    "a generated module of the package itself": {"main.py": "import a\n", "a/__init__.py": "from . import _version\n"},
    "a folder of an installed package's name": {"main.py": "from alembic import op\n", "alembic/env.py": ""},
    "Alembic runs a file of a package of its own name": {
        "main.py": "",
        "alembic/__init__.py": "",
        "alembic/env.py": "from alembic import context\n",
        "alembic/script.py.mako": "",
        "alembic/versions/__init__.py": "",
        "alembic/versions/one.py": "from alembic import op\n",
    },
    "a module adds the folder": {
        "main.py": "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\nimport helper\n",
        "lib/helper.py": "",
    },
    "a circle that works": {
        "main.py": "import a\n",
        "a.py": "x = 1\nfrom b import y\n",
        "b.py": "from a import x\ny = 1\n",
    },
    "a circle of modules": {"main.py": "import a\n", "a.py": "import b\nx = 1\n", "b.py": "import a\ny = 1\n"},
    "a package extends its path": {
        "main.py": "import a.plugin\n",
        "a/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
    },
    "the project puts it into sys.modules": {
        "main.py": "import boot\nimport a.made\n",
        "a/__init__.py": "",
        "boot.py": "import sys, types\nsys.modules['a.made'] = types.ModuleType('made')\n",
    },
    "the annotations of a module": {"main.py": "from a import __annotations__\n", "a.py": "x: int = 1\n"},
    "a deliberate module of a standard name": {
        "main.py": "import queue\nqueue.push()\n",
        "queue.py": "def push(): pass\n",
    },
}


@pytest.mark.parametrize("files", _CLEAN.values(), ids=_CLEAN)
def test_an_import_that_works_or_may_work_is_no_finding(files: dict[str, str]) -> None:
    assert findings(files, "main.py") == []
    assert findings(files, "") == []


@pytest.mark.parametrize(
    ("files", "start", "expected"),
    [
        ({"main.py": "import a.b\n", "a/__init__.py": ""}, "main", "error main.py:1 no module named 'a.b'"),
        ({"main.py": "import a.B\n", "a/__init__.py": "", "a/b.py": ""}, "main", "error main.py:1 no module named 'a.B': it is spelled 'a.b'"),
        ({"main.py": "import Utils\n", "utils.py": ""}, "main", "error main.py:1 no module named 'Utils': it is spelled 'utils'"),
        ({"main.py": "from a import Sub\n", "a/__init__.py": "", "a/sub.py": ""}, "main", "error main.py:1 no module named 'a.Sub'"),
        ({"main.py": "from a import x\n", "a.py": "y = 1\n"}, "main", "error main.py:1 cannot import name 'x': a.py never binds it"),
        ({"main.py": "from a import x\n", "a.py": "from b import *\n", "b.py": "_x = 1\n"}, "main", "error main.py:1 cannot import name 'x'"),
        ({"main.py": "from a import x\n", "a.py": "from b import *\n", "b.py": "__all__ = ['y']\nx = y = 1\n"}, "main", "error main.py:1 cannot"),
        ({"main.py": "def f():\n    from a import x\n", "a.py": ""}, "main", "warning main.py:2 cannot import name 'x'"),
        ({"main.py": "import a\n", "a.py": "", "b.py": "from a import x\n"}, "main", "warning b.py:1 cannot import name 'x'"),
        ({"main.py": "try:\n    from a import x\nexcept ModuleNotFoundError:\n    x = 0\n", "a.py": ""}, "main", "error main.py:2 cannot"),
        ({"app/run.py": "from .util import f\n", "app/__init__.py": "", "app/util.py": "f = 1\n"}, "app/run.py", "error app/run.py:1 relative import with no parent package: run.py is started"),
        ({"main.py": "import app.a\n", "app/__init__.py": "", "app/a.py": "from .. import b\n", "b.py": ""}, "main", "error app/a.py:1 relative import beyond the top-level package 'app' (main → app.a)"),
        ({"main.py": "import a\n", "a/__init__.py": "from . import gone\n"}, "main", "error a/__init__.py:1 cannot import name 'gone': a/__init__.py never binds it"),
        ({"main.py": "import a\n", "a.py": "from b import y\nx = 1\n", "b.py": "from a import x\ny = 1\n"}, "main", "error b.py:1 cannot import name 'x': a.py has not bound it yet"),
        ({"app/run.py": "import app.util\n", "app/util.py": ""}, "app/run.py", "error app/run.py:1 no module named 'app': it is in /srv"),
        ({"main.py": "import random\nrandom.choice([1])\n", "random.py": "x = 1\n"}, "main.py", "error main.py:1 random.py shadows the standard library's 'random', and never binds 'choice'"),
        ({"main.py": "from random import choice\n", "random.py": "x = 1\n"}, "main.py", "error main.py:1 cannot import name 'choice': random.py never binds it, and shadows the standard library's 'random'"),
        ({"main.py": "from email.mime.text import MIMEText\n", "email/__init__.py": ""}, "main.py", "error main.py:1 no module named 'email.mime'"),
    ],
)  # fmt: skip
def test_an_import_that_fails_is_found(files: dict[str, str], start: str, expected: str) -> None:
    lines = findings(files, start)

    assert len(lines) == 1
    assert lines[0].startswith(expected)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("main.py", "warning main.py:4 cannot import name 'x'"),
        ("other.py", "error main.py:4 cannot import name 'x': a.py never binds it (other.py → main)"),
    ],
)
def test_a_program_that_ends_in_its_own_block_imports_nothing_behind_it(start: str, expected: str) -> None:
    files = {
        "main.py": "import sys\nif __name__ == '__main__':\n    sys.exit(0)\nfrom a import x\n",
        "other.py": "import main\n",
        "a.py": "",
    }

    lines = findings(files, start)

    assert len(lines) == 1
    assert lines[0].startswith(expected)


_LIB = {"lib/helper.py": "", "app/lib/near.py": ""}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("sys.path.append('lib')", []),  # the program runs in /srv
        ("sys.path.append('../lib')", ["it is in /srv/lib, and that folder is not on sys.path"]),
        ("sys.path += ['lib']", []),
        (
            "sys.path.append(Path(__file__).parent.parent / 'lib')",
            ["it is in /srv/lib, and that folder is not on sys.path"],
        ),
        ("sys.path.append(str(Path(__file__).parent.parent / 'lib'))", []),
    ],
)
def test_a_folder_that_a_module_adds(change: str, expected: list[str]) -> None:
    files = {**_LIB, "app/main.py": f"import sys\nfrom pathlib import Path\n{change}\nimport helper\n"}

    assert findings(files, "app/main.py") == [
        f"error app/main.py:4 no module named 'helper': {text}" for text in expected
    ]


@pytest.mark.parametrize(
    "change",
    ["sys.path.remove('x')", "sys.path.extend(folders())", "def add(name):\n    sys.path.append(name)\nadd('lib')"],
)
def test_an_unknown_folder_on_the_path_leaves_imports_undecided(change: str) -> None:
    project = TextProject({**_LIB, "app/main.py": f"import sys\n{change}\nimport helper\n"}, "app/main.py")

    result = project.judge()

    assert result.findings == {}
    assert len(result.undecided) == 1


def test_a_relative_folder_is_unknown_where_nothing_says_in_which_folder_the_program_runs() -> None:
    project = TextProject(
        {**_LIB, "app/main.py": "import sys\nsys.path.append('lib')\nimport helper, near\n"}, "app/main.py"
    )
    project.program = project.program._replace(folder="")

    result = project.judge()

    assert result.findings == {}
    assert len(result.undecided) == 2


class _NoPackages:
    predicted = False
    words = "an empty environment"

    def ask(self, row: ImportStatement) -> PackageAnswer:
        return PackageAnswer(PackagePresence.MISSING, row.module)


@pytest.mark.parametrize(("folder", "count"), [("sys.argv[1]", 1), ("'lib'", 2)])
def test_what_a_folder_of_the_project_has_may_be_found_there(folder: str, count: int) -> None:
    files = {
        "app/main.py": f"import sys\nsys.path.append({folder})\nimport helper\nimport flask\n",
        "deep/helper.py": "",
    }

    lines = lines_of(TextProject(files, "app/main.py", ("flask", "helper")).judge(_NoPackages()))

    assert len(lines) == count


@pytest.mark.parametrize(
    ("folders", "expected"),
    [(("/srv",), "/srv"), (("/srv", "/"), ""), (("/$unknown",), ""), ((), "")],
)
def test_the_folder_in_which_a_start_works(folders: tuple[str, ...], expected: str) -> None:
    place = CommandPlace("Dockerfile", 1)
    parts = [StartCommand(place, script="/srv/main.py", folder=folder) for folder in folders]
    nothing = StartCommand(place, folder="/elsewhere")  # no Python

    command = parts[0]._replace(before=(nothing, *parts[1:])) if parts else None

    assert working_folder(command) == expected


@pytest.mark.parametrize(
    "build",
    [
        b"RustExtension('a._fast', path='a/Cargo.toml')",
        b"ext_modules=[\n    Extension(\n        name=\"a._fast\",\n        sources=['src/fast.c'])]",
        b"[tool.maturin]\nmodule-name = 'a._fast'\n",
        b"py.extension_module('_fast', 'fast.c', subdir: 'a')",
        b"pybind11_add_module(_fast src/fast.cpp)",
        b"[lib]\ncrate-type = ['cdylib']\nname = \"_fast\"\n",
        b"ext-modules = [{name = 'a._fast', sources = ['src/fast.c']}]",
    ],
)
def test_what_a_build_compiles_is_undecided(build: bytes) -> None:
    project = TextProject({"main.py": "import a._fast.core\nfrom a import _fast\n", "a/__init__.py": ""})

    assert project.judge(build=build).findings == {}
    assert len(project.judge(build=build).undecided) == 2
    assert len(lines_of(project.judge(build=build.replace(b"_fast", b"_slow")))) == 2


def test_what_a_build_script_compiles_is_undecided() -> None:
    script = "from cffi import FFI\nFFI().set_source('a._fast', '')\n"
    project = TextProject({"main.py": "import a._fast\n", "a/__init__.py": "", "a/build_fast.py": script})

    assert project.judge().findings == {}


def test_the_name_of_the_project_says_nothing_of_its_modules() -> None:
    project = TextProject({"main.py": "import a.b\n", "a/__init__.py": ""})

    assert len(lines_of(project.judge(build=b"[project]\nname = 'a'\n[tool.poetry]\nname = 'b'\n"))) == 1


@pytest.mark.parametrize(
    ("requires", "finding", "undecided"),
    [
        (("fastapi-mail",), ["error main.py:1 no module named 'api.gone': the package 'api' has no such module"], []),
        (("acme-api",), [], [("main.py", 1, "a package may bring the rest of a folder without __init__.py")]),
    ],
)
def test_a_folder_without_init_that_a_package_may_complete(
    requires: tuple[str, ...], finding: list[str], undecided: list[tuple[str, int, str]]
) -> None:
    project = TextProject({"main.py": "from api.gone import x\n", "api/other.py": ""}, requires=requires)

    result = project.judge()

    assert lines_of(result) == finding
    assert [(left.path, left.line, left.reason) for left in result.undecided] == undecided


def test_without_a_lock_an_import_that_nothing_explains_is_undecided() -> None:
    text = "import gone\nimport requests\nimport acme\ntry:\n    import fast\nexcept ImportError:\n    pass\n"
    project = TextProject({"main.py": text}, requires=("acme-client",))

    result = project.judge()

    assert result.findings == {}
    reason = "no file and no requirement of the project is known to bring gone"
    assert [(left.line, left.reason) for left in result.undecided] == [(1, reason)]


def test_without_a_start_every_module_but_tests_is_reached() -> None:
    files = {"pkg/__init__.py": "", "pkg/a.py": "from pkg import nope\n", "tests/test_a.py": "from pkg import nope\n"}

    assert findings(files, "") == ["error pkg/a.py:1 cannot import name 'nope': pkg/__init__.py never binds it"]


def test_without_a_start_a_circle_counts_only_if_every_order_fails() -> None:
    one_way = {"a.py": "import b\nx = 1\n", "b.py": "from a import x\ny = 1\n"}
    both = {"a.py": "from b import y\nx = 1\n", "b.py": "from a import x\ny = 1\n"}

    assert findings(one_way, "") == []
    assert [line.split(":")[0] for line in findings(both, "")] == ["error b.py"]


def test_without_a_start_a_module_of_the_nearest_folder_will_do() -> None:
    files = {"scripts/__init__.py": "", "service/scripts/setup.py": "", "service/run.py": "import scripts.setup\n"}

    assert findings(files, "") == []
    assert findings({**files, "service/__init__.py": ""}, "") == []


def test_without_a_start_a_file_called_like_an_installed_package_means_the_package() -> None:
    assert findings({"locust.py": "from locust import FastHttpUser\n"}, "") == []
    assert findings({"load/flask.py": "from flask import Flask\n"}, "") == []


def test_a_git_ignored_module_and_what_a_build_names_are_undecided() -> None:
    project = TextProject({"main.py": "import a.local\n", "a/__init__.py": ""})

    assert len(lines_of(project.judge())) == 1
    assert project.judge(ignored=("a/local.py",)).findings == {}
    assert project.judge(build=b"write_to = 'a/local.py'").findings == {}
    assert [item.reason for item in project.judge(ignored=("a/local.py",)).undecided] == ["git ignores a/local.py"]


@pytest.mark.parametrize(
    ("test", "is_doubt"),
    [
        ("import sys\nsys.modules['a.gone'] = object()\n", True),
        ("import sys\nsys.meta_path.append(object())\n", True),
        ("x = 'sys.meta_path and sys.modules have a.gone'\n", False),
        ("import gone\n", False),
    ],
)
def test_a_test_that_makes_a_module_is_a_doubt_and_one_that_speaks_of_it_is_none(test: str, *, is_doubt: bool) -> None:
    files = {"main.py": "import a.gone\n", "a/__init__.py": "", "tests/conftest.py": test}

    assert (findings(files, "main") == []) is is_doubt


def test_every_source_is_read_once_for_all_names_that_something_may_set() -> None:
    names = [f"x{number}" for number in range(9)]
    files = {
        "main.py": "".join(f"from a import {name}\n" for name in names),
        "a.py": "",
        "b.py": "import a\na.x1 = 1\nsetattr(a, 'x2', 1)\na.x3: int = 1\ndef f():\n    assert a.x4 == 1\n",
    }
    project = TextProject(files)

    assert [line.split("'")[1] for line in lines_of(project.judge())] == ["x0", "x4", "x5", "x6", "x7", "x8"]
    assert project.read_together == [["/srv/main.py", "/srv/a.py", "/srv/b.py"]]


def test_a_circle_after_a_late_import_of_its_modules_is_undecided() -> None:
    files = {
        "main.py": "import boot\nboot.load()\nimport a\n",
        "boot.py": "def load():\n    import b\n",
        "a.py": "import b\nx = 1\n",
        "b.py": "from a import x\ny = 1\n",
    }

    assert findings(files) == []


def test_names_are_case_sensitive_and_links_are_unclear() -> None:
    tree = FileTree({"/srv/Utils.py": "Utils.py", "/srv/app/mod.cpython-311-x86_64-linux-gnu.so": ""}, ["/srv/linked"])

    assert tree.find("utils", ["/srv"]) is None
    assert list(tree.other_cases("utils", ["/srv"])) == ["Utils"]
    assert tree.look_up("app.mod", ["/srv"]).modules[-1].kind is ModuleKind.COMPILED
    assert tree.look_up("linked.x", ["/srv"]).is_unclear


@pytest.mark.parametrize(
    ("main", "messages"),
    [
        ("from .helper import x\nimport main\n", []),
        ("from . import helper\n", []),
        ("from .absent import x\n", ["no module named 'main.absent'"]),
        ("from ..helper import x\n", ["relative import beyond"]),
        ("import helper\nfrom .helper import y\n", ["cannot import name 'y'"]),
    ],
)
def test_a_function_imports_its_neighbours_relatively(main: str, messages: list[str]) -> None:
    project = TextProject({"main.py": main, "helper.py": "x = 1\n"}, "main.py")
    command = StartCommand(CommandPlace("Dockerfile", 1), server="functions-framework", script="/srv/main.py")
    project.program = project.program._replace(starts=tuple(started_modules(command, project.tree)))

    found = [line.partition(" main.py:")[2][2:] for line in lines_of(project.judge())]
    assert len(found) == len(messages)
    assert all(line.startswith(words) for line, words in zip(found, messages, strict=True))


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"pkg/__init__.py": "from ..other import x\n"}, ("pkg/__init__.py", 1)),
        ({"main.py": "from .other import x\n", "other.py": "x = 1\n"}, ("main.py", 1)),
    ],
)
def test_what_only_another_folder_would_repair_is_undecided_where_no_start_is_known(
    files: dict[str, str], place: tuple[str, int]
) -> None:
    below = {"space/pkg/__init__.py": "from ..other import x\n", "space/other.py": "x = 1\n"}

    result = TextProject({**files, **below}, "").judge()

    assert lines_of(result) == []
    assert [(item.path, item.line) for item in result.undecided] == [place]


def test_a_circle_that_fails_from_some_of_its_modules_is_undecided_where_no_start_is_known() -> None:
    files = {"a.py": "from b import y\nz = 1\n", "b.py": "y = 1\nfrom a import z\n"}

    result = TextProject(files, "").judge()

    assert lines_of(result) == []
    assert [(item.path, item.line, item.is_executed) for item in result.undecided] == [("b.py", 2, True)]


def test_what_many_import_is_asked_once() -> None:
    text = "import app.missing\nimport elsewhere.part\n"
    project = TextProject({"app/__init__.py": "", "app/a.py": text, "app/b.py": text}, "", requires=("elsewhere",))
    ignored: list[str] = []
    unlisted: list[str] = []

    def is_ignored(path: str) -> bool:
        ignored.append(path)
        return False

    context = ImportContext(project.facts, project.read, LibraryModules(11), project.may_be_foreign, unlisted.append)
    texts = ProjectTexts(project.read, is_ignored, project.facts, bytes, project.read_each)

    result = read_imports([ProgramSubject(project.program, context, texts)])

    assert [*result.findings] == ["app/a.py", "app/b.py"]
    assert ignored == ["app/missing.py", "app/missing/__init__.py"]
    assert unlisted == ["elsewhere"]
