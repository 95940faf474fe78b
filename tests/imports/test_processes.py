"""The programs of one start, each as a process of its own: what fails where a real shell runs them is what is reported."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.imports.doubts import ProjectTexts
from buildguard.imports.faults import ImportContext
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.program import StartedProgram
from buildguard.imports.program_words import program_words
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import ModuleFacts, ProjectImports, extract
from buildguard.imports.standard import LibraryModules
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind
from tests.conftest import interpreter

_APP = {"app/__init__.py": "", "app/main.py": "x = 1\n", "app/db.py": "def wait(): ...\n"}
_GONE = "from app.db import gone\n"
_SAME = {
    "a/run.py": "from config import NAME\n",
    "a/config.py": "NAME = 1\n",
    "b/run.py": "from config import PORT\n",
    "b/config.py": "PORT = 1\n",
}
_CIRCLE = {
    "app/__init__.py": "",
    "app/a.py": "X = 1\nfrom app.b import Y\n",
    "app/b.py": "from app.a import X\nY = 2\n",
}


class _Start(NamedTuple):
    """A shell's text, the files beside it, and the findings: severity, file and line. `fails` says that the start ends."""

    text: str
    files: dict[str, str]
    findings: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        return any(finding.startswith("error") for finding in self.findings)


_STARTS = {
    "a script with modules beside it": _Start(
        "set -e; python scripts/wait.py; exec python main.py",
        {"main.py": "x = 1\n", "scripts/wait.py": "from util import u\n", "scripts/util.py": "u = 1\n"},
    ),
    "modules of one name": _Start("python a/run.py && python b/run.py", _SAME),
    "modules of one name by cd": _Start("cd a && python run.py && cd ../b && python run.py", _SAME),
    "a working folder of its own": _Start(
        "set -e; python -m tools.migrate; cd backend; exec python -m app",
        {
            "tools/__init__.py": "",
            "tools/migrate.py": "from common import c\n",
            "common.py": "c = 1\n",
            "backend/app.py": "from common import d\n",
            "backend/common.py": "d = 1\n",
        },
    ),
    "a path that the first process lacks": _Start(
        "python scripts/wait.py && exec python main.py",
        {**_APP, "main.py": "import app.main\n", "scripts/wait.py": "from app.db import wait\n"},
        ("error scripts/wait.py:1",),
    ),
    "a name that one of two modules lacks": _Start(
        "python a/run.py && python b/run.py",
        {**_SAME, "a/run.py": "from config import PORT\n"},
        ("error a/run.py:1",),
    ),
    "modules that the first process loaded": _Start(
        "python -m app.a && python -m app.main",
        {**_CIRCLE, "app/a.py": "X = 1\nimport app.b\n", "app/b.py": "import app.c\n", "app/c.py": "", "app/main.py": "import app.c\n"},
    ),
    "a circle that the first process enters elsewhere": _Start(
        "python -m app.seed && python -m app.main",
        {**_CIRCLE, "app/seed.py": "import app.a\n", "app/main.py": "import app.b\n"},
        ("error app/a.py:2",),
    ),
    "a variable of one command": _Start(
        "set -e; PYTHONPATH=src python scripts/pre.py; exec python run.py",
        {"run.py": "import lib\n", "scripts/pre.py": "import lib\n", "src/lib.py": ""},
        ("error run.py:1",),
    ),
    "a variable of the shell": _Start(
        "set -e; PYTHONPATH=src; python scripts/pre.py; exec python run.py",
        {"run.py": "x = 1\n", "scripts/pre.py": "import lib\n", "src/lib.py": ""},
        ("error scripts/pre.py:1",),
    ),
    "a variable that is exported later": _Start(
        "set -e; PYTHONPATH=src; export OTHER=1 PYTHONPATH; exec python run.py", {"run.py": "import lib\n", "src/lib.py": ""}
    ),
    "every variable is exported": _Start(
        "set -a; PYTHONPATH=src; set +a; exec python run.py", {"run.py": "import lib\n", "src/lib.py": ""}
    ),
    "a variable that was exported": _Start(
        "export PYTHONPATH=other; PYTHONPATH=src; exec python run.py", {"run.py": "import lib\n", "src/lib.py": ""}
    ),
    "an exported variable": _Start(
        "set -e; export PYTHONPATH=src; python scripts/pre.py; exec python run.py",
        {"run.py": "import lib\n", "scripts/pre.py": "import lib\n", "src/lib.py": ""},
    ),
    "a fault in the first process": _Start(
        "python -m app.prestart && exec python -m app.main", {**_APP, "app/prestart.py": _GONE}, ("error app/prestart.py:1",)
    ),
    "a fault in both": _Start(
        "python -m app.prestart || true; exec python -m app.main",
        {**_APP, "app/prestart.py": "import app.work\n", "app/work.py": _GONE, "app/main.py": "import app.work\n"},
        ("error app/work.py:1",),
    ),
    "no set -e": _Start("python -m app.seed; exec python -m app.main", {**_APP, "app/seed.py": _GONE}, ("warning app/seed.py:1",)),
    "|| true": _Start(
        "set -e; python -m app.seed || true; exec python -m app.main", {**_APP, "app/seed.py": _GONE}, ("warning app/seed.py:1",)
    ),
    "|| echo": _Start(
        "python -m app.seed || echo failed; exec python -m app.main", {**_APP, "app/seed.py": _GONE}, ("warning app/seed.py:1",)
    ),
    "|| exit": _Start(
        "python -m app.seed || { echo failed; exit 1; }\nexec python -m app.main",
        {**_APP, "app/seed.py": _GONE},
        ("error app/seed.py:1",),
    ),
    "in the background": _Start(
        "set -e; python -m app.seed & exec python -m app.main", {**_APP, "app/seed.py": _GONE}, ("warning app/seed.py:1",)
    ),
    "piped": _Start(
        "set -e; python -m app.seed | cat; exec python -m app.main", {**_APP, "app/seed.py": _GONE}, ("warning app/seed.py:1",)
    ),
    "a test before it": _Start(
        'set -e; [ -z "$SEED" ] || python -m app.seed; exec python -m app.main',
        {**_APP, "app/seed.py": _GONE},
        ("warning app/seed.py:1",),
    ),
    "until": _Start(
        "set -e; until python -m app.seed; do python -m app.db && break; done; exec python -m app.main",
        {**_APP, "app/seed.py": _GONE},
        ("warning app/seed.py:1",),
    ),
    "a script that goes on": _Start(
        "set -e; sh pre.sh; exec python -m app.main",
        {**_APP, "app/seed.py": _GONE, "pre.sh": "python -m app.seed\npython -m app.db\n"},
        ("warning app/seed.py:1",),
    ),
    "a script that ends": _Start(
        "set -e; sh -e pre.sh; exec python -m app.main",
        {**_APP, "app/seed.py": _GONE, "pre.sh": "python -m app.seed\npython -m app.db\n"},
        ("error app/seed.py:1",),
    ),
}  # fmt: skip


def _programs(files: dict[str, str]) -> list[StartedProgram]:
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.DECLARED, "Dockerfile"))
    recipes = [ImageRecipe(service, files["Dockerfile"].encode())] if "Dockerfile" in files else []
    return read_programs(sources, recipes)


def _subject(files: dict[str, str], program: StartedProgram) -> ProgramSubject:
    def read(path: str) -> bytes | None:
        text = files.get(program.tree.origins.get(path, ""))
        return None if text is None else text.encode()

    def facts(path: str) -> ModuleFacts | None:
        data = read(path)
        return None if data is None else extract(data, (3, 11))

    context = ImportContext(facts, read, LibraryModules(11), lambda _dotted: False)
    return ProgramSubject(program, context, ProjectTexts(read, lambda _path: False, facts))


def _judged(files: dict[str, str]) -> ProjectImports:
    return read_imports([_subject(files, program) for program in _programs(files)])


def _found(files: dict[str, str]) -> tuple[str, ...]:
    every = _judged(files).findings.items()
    return tuple(f"{finding.severity} {path}:{finding.range.line}" for path, of_file in every for finding in of_file)


def _with_start(files: dict[str, str], text: str) -> dict[str, str]:
    command = json.dumps(["sh", "-c", text])
    return {**files, "Dockerfile": f"FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD {command}\n"}


@pytest.mark.parametrize("start", _STARTS.values(), ids=list(_STARTS))
def test_each_process_is_a_program_of_its_own(start: _Start) -> None:
    assert _found(_with_start(start.files, start.text)) == start.findings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(interpreter("3.11"))
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder


@pytest.mark.interpreters
@pytest.mark.parametrize("start", _STARTS.values(), ids=list(_STARTS))
def test_a_shell_agrees(start: _Start, folder: Path) -> None:
    for name, text in start.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    env = {"PATH": f"{folder.parent}/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}

    ran = subprocess.run(["sh", "-c", start.text], cwd=folder, env=env, capture_output=True, text=True, check=False)

    places = re.findall(rf'File "(?:{folder}/)?([^"<]+)", line (\d+)', ran.stderr)
    assert (ran.returncode != 0) is start.fails
    for finding in start.findings if "SEED" not in start.text else ():
        path, _, line = finding.partition(" ")[2].partition(":")
        assert (path, line) in {(name.removeprefix(f"{folder}/"), number) for name, number in places}


def test_a_procfile_starts_several() -> None:
    files = {"web.py": "x = 1\n", "jobs/run.py": "import helpers\n", "helpers.py": "", "requirements.txt": ""}
    web = {**files, "Procfile": "web: python web.py\n"}
    both = {**files, "Procfile": "web: python web.py\nworker: python jobs/run.py\n"}

    assert (_found(web), _found(both)) == ((), ("error jobs/run.py:1",))
    assert _found({**both, "jobs/helpers.py": ""}) == ()
    assert program_words(_programs(both)) == program_words(_programs(web))


def test_a_branch_that_the_arguments_do_not_take() -> None:
    script = 'set -e\ncase "$1" in\n  web) exec python -m app.main ;;\n  worker) exec python -m app.worker ;;\nesac\n'
    files = {**_APP, "app/worker.py": _GONE, "entry.sh": script}
    docker = 'FROM python:3.11\nWORKDIR /srv\nCOPY . .\nENTRYPOINT ["sh", "entry.sh"]\nCMD ["{}"]\n'

    assert _found({**files, "Dockerfile": docker.format("web")}) == ("warning app/worker.py:1",)
    assert _found({**files, "Dockerfile": docker.format("worker")}) == ("error app/worker.py:1",)


def test_an_application_stays_in_the_process_of_its_server() -> None:
    files = {
        "scripts/pre.py": "import beside\n",
        "scripts/beside.py": "",
        "web/app.py": "import views\n",
        "web/views.py": "",
    }
    pre, main = _programs(_with_start(files, "python scripts/pre.py; exec gunicorn --chdir web app:app"))

    assert [start.location.file for start in pre.starts] == ["/srv/scripts/pre.py"]
    assert [start.location.file for start in main.starts] == ["/srv/web/app.py"]
    assert (pre.is_main, pre.may_fail, main.is_main, main.may_fail) == (False, True, True, False)


def test_a_step_of_a_build_follows_the_main_process_alone() -> None:
    files = {**_APP, "scripts/wait.py": "import util\n", "scripts/util.py": ""}

    assert program_words(_programs(_with_start(files, "python scripts/wait.py && exec python -m app.main"))) == (
        "--start=app=app/__init__.py",
        "--start=__main__@app=app/main.py",
        "--front=.",
        "--path=.",
    )
    assert program_words(_programs(_with_start(files, "python scripts/wait.py && exec ./other"))) == ("--start=?",)


def test_an_undecided_import_counts_once() -> None:
    files = {**_APP, "app/main.py": "from app.db import x\n", "app/db.py": "def __getattr__(name): ...\n"}
    for text in ("python -m app.main; exec python -m app.main", "exec python -m app.main; python -m app.main"):
        (item,) = _judged(_with_start(files, text)).undecided
        assert (item.path, item.line, item.is_executed) == ("app/main.py", 1, True)
