"""A package whose `__init__.py` no COPY brings: its modules can be imported, its names cannot. Each case is run as well."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from buildguard.diagnostic import Severity
from tests.startup.projects import APP, report_of, rows_of

_INIT = "from pkg.parts import helper\nNAME = 1\n__all__ = ['NAME']\n"
_FILES = {
    "pkg/__init__.py": _INIT,
    "pkg/parts/__init__.py": "",
    "pkg/parts/helper.py": "X = 1\n",
    "pkg/parts/web.py": APP,
    "lib/other.py": "",
}


class _Case(NamedTuple):
    name: str
    main: str
    lines: tuple[int, ...] = ()  # of the Dockerfile, where it is reported
    undecided: bool = False
    module: str = "main"


_CASES = (
    _Case("a submodule of a submodule", f"import pkg.parts.helper\n{APP}"),
    _Case("from a submodule", f"from pkg.parts.helper import X\n{APP}"),
    _Case("a submodule by name", f"from pkg import parts\n{APP}"),
    _Case("a name of its own", f"from pkg import NAME\n{APP}", (6,)),
    _Case("a name that it imports", f"from pkg import helper\n{APP}", (6,)),
    _Case("guarded", f"try:\n    from pkg import NAME\nexcept ImportError:\n    NAME = 2\n{APP}"),
    _Case("the package alone", f"import pkg\n{APP}", undecided=True),
    _Case("all of its names", f"from pkg import *\n{APP}", undecided=True),
    _Case("its names all over", f"from pkg import NAME\nfrom pkg import NAME as B\nimport pkg.parts\n{APP}", (6,)),
    _Case("the application is below it", APP, module="pkg.parts.web"),
    _Case("the application is in it", APP, (6,), module="pkg"),
    _Case("the application is nowhere", APP, (7,), module="lib"),
)
_LOADER = """
import importlib, sys, types
flask = types.ModuleType("flask"); flask.Flask = lambda name: name; sys.modules["flask"] = flask
sys.path.insert(0, sys.argv[1])
importlib.import_module(sys.argv[2]).app
"""


class _SameName(NamedTuple):
    """A start of a module whose name a folder of the project and an installed package share; `code` is of what fails."""

    name: str
    module: str
    files: dict[str, str]
    copied: str
    code: str = ""
    main: str = ""
    requirements: str = "tool==1\n"


_SAME_NAMES = (
    _SameName("a folder without sources", "tool", {"tool/a.ini": ""}, "."),
    _SameName("a folder with sources", "tool", {"tool/env.py": ""}, "."),
    _SameName("a module of it", "tool.run", {"tool/env.py": ""}, "."),
    _SameName("a package of the project", "tool", {"tool/env.py": "", "tool/__init__.py": ""}, ".", "BG701"),
    _SameName("a folder that is not copied", "tool", {"tool/env.py": ""}, "main.py"),
    _SameName("a package that is not copied", "tool", {"tool/__init__.py": ""}, "main.py"),
    _SameName("an import", "main", {"tool/env.py": ""}, "main.py", main="import tool.run\n"),
    _SameName("an import of the own", "main", {"mine/a.py": ""}, "main.py", "BG704", "import mine.a\n"),
    _SameName("a folder of its own", "mine", {"mine/a.py": ""}, ".", "BG701"),
    _SameName("a folder of its own that is not copied", "mine", {"mine/a.py": ""}, "main.py", "BG704"),
)


@pytest.mark.interpreters
@pytest.mark.parametrize("case", _SAME_NAMES, ids=lambda case: case.name)
def test_a_package_that_is_installed_comes_before_a_folder(tmp_path: Path, case: _SameName) -> None:
    project, image, site = tmp_path / "project", tmp_path / "image", tmp_path / "site/tool"
    site.mkdir(parents=True)
    for name in ("__init__", "__main__", "run"):
        (site / f"{name}.py").touch()
    dockerfile = (
        "FROM python:3.11-slim\nWORKDIR /srv\nCOPY requirements.txt ./\nRUN pip install -r requirements.txt\n"
        f'COPY {case.copied} ./\nCMD ["python", "-m", "{case.module}"]\n'
    )

    files = {"requirements.txt": case.requirements, "main.py": case.main, **case.files}
    report = report_of(project, {**files, "Dockerfile": dockerfile})

    assert [row[0] for row in rows_of(report)] == [case.code] * bool(case.code)
    image.mkdir()
    copied = project if case.copied == "." else project / case.copied
    _ = shutil.copytree(copied, image, dirs_exist_ok=True) if copied.is_dir() else shutil.copy(copied, image)
    command, env = [sys.executable, "-m", case.module], {**os.environ, "PYTHONPATH": str(site.parent)}
    started = subprocess.run(command, capture_output=True, text=True, check=False, cwd=image, env=env)
    assert bool(case.code) is (started.returncode != 0), started.stderr


@pytest.mark.parametrize(
    ("requirements", "codes"),
    [
        ("flask-migrate==4.0.7\n", []),  # needs alembic
        ("acme-toolkit==1\n", []),  # what it needs is unknown
        ("flask==3.0.3\n", ["BG701"]),
        ("", ["BG701"]),
    ],
)
@pytest.mark.parametrize("files", [{}, {"alembic/env.py": ""}], ids=["no folder", "a folder"])
def test_a_package_that_another_may_need(
    tmp_path: Path, files: dict[str, str], requirements: str, codes: list[str]
) -> None:
    install = "COPY requirements.txt ./\nRUN pip install -r requirements.txt\n" if requirements else ""
    start = 'CMD ["python", "-m", "alembic", "upgrade", "head"]\n'
    dockerfile = f"FROM python:3.11-slim\nWORKDIR /srv\n{install}COPY . .\n{start}"

    report = report_of(tmp_path, {"requirements.txt": requirements, **files, "Dockerfile": dockerfile})

    assert [row[0] for row in rows_of(report)] == codes


# What the image holds, and the lines that copy it.
_COPIED = ("main.py", "pkg/parts", "lib")
_DOCKERFILE = """FROM python:3.11-slim
WORKDIR /srv
COPY main.py requirements.txt ./
RUN pip install -r requirements.txt
COPY pkg/parts ./pkg/parts
COPY lib ./lib
CMD gunicorn --bind :$PORT {module}:app
"""


@pytest.mark.interpreters
@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_what_is_reported_is_what_fails(tmp_path: Path, case: _Case) -> None:
    project = tmp_path / "project"
    files = {**_FILES, "main.py": case.main, "Dockerfile": _DOCKERFILE.format(module=case.module)}

    report = report_of(project, files)

    started = _start_copied(project, tmp_path / "srv", case.module)
    assert [row[2] for row in rows_of(report)] == list(case.lines)
    assert all(finding.severity is Severity.ERROR for finding in report.diagnostics)
    assert bool(case.lines) is (started.returncode != 0), started.stderr
    assert case.undecided is any("its names may be used" in reason for reason in report.undecided)


def _start_copied(project: Path, image: Path, module: str) -> subprocess.CompletedProcess[str]:
    for name in _COPIED:
        source, place = project / name, image / name
        place.parent.mkdir(parents=True, exist_ok=True)
        _ = shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
    command = [sys.executable, "-I", "-c", _LOADER, str(image), module]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"lib/helpers.py": "x = 1"}, "COPY lib/ ./lib/"),
        ({"lib/helpers.py": "x = 1", "lib/other.py": ""}, "COPY lib/helpers.py ./lib/"),
        ({"lib/a b/helpers.py": "x = 1", "lib/other.py": ""}, 'COPY ["lib/a b/", "./lib/a b/"]'),
    ],
)
def test_the_hint_copies_to_where_it_is_looked_for(tmp_path: Path, files: dict[str, str], command: str) -> None:
    path = next(iter(files))
    dockerfile = _DOCKERFILE.format(module="main").replace("COPY lib ./lib", "COPY lib/other.py ./lib/")
    if "lib/other.py" not in files:
        dockerfile = dockerfile.replace("COPY lib/other.py ./lib/\n", "")
    main = f"DATA = open({path!r}).read()\n{APP}"

    report = report_of(tmp_path, {"pkg/parts/x.py": "", **files, "main.py": main, "Dockerfile": dockerfile})

    assert [finding.hint for finding in report.diagnostics] == [f"add it: {command}"]


def test_one_file_is_reported_once(tmp_path: Path) -> None:
    files = {
        "pkg/parts/a.py": "import shared\n",
        "pkg/parts/b.py": "import shared\n",
        "shared.py": "",
        "lib/x.py": "",
        "main.py": f"import shared, pkg.parts.a, pkg.parts.b\n{APP}",
        "Dockerfile": _DOCKERFILE.format(module="main"),
    }

    report = report_of(tmp_path, files)

    (finding,) = report.diagnostics
    assert finding.message.endswith("main.py:1 imports shared, and 2 more places")


@pytest.mark.parametrize(
    ("lines", "requirements"),
    [("RUN make prepare\n", "flask\ngunicorn\n"), ("", "flask\ngunicorn\nlib\n")],
    ids=["a command may make the file", "a package of that name comes first"],
)
def test_an_application_in_a_folder_that_may_be_more(tmp_path: Path, lines: str, requirements: str) -> None:
    dockerfile = _DOCKERFILE.format(module="lib").replace("CMD", f"{lines}CMD")
    files = {"Dockerfile": dockerfile, "requirements.txt": requirements, "lib/x.py": "", "pkg/parts/x.py": ""}

    report = report_of(tmp_path, files)

    assert report.diagnostics == ()
    assert any("module lib: " in reason for reason in report.undecided), report.undecided
