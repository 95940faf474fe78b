"""`check image:REF --imports`: which modules are imported, what each failure means, and a real image with several."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from buildguard.check.result import CheckReport
from buildguard.cli.check import check
from buildguard.deploy.image_modules import ModuleToImport, import_all, modules_without_result, reached_modules
from buildguard.docker.import_container import ImportOutcome, import_in_container
from buildguard.errors import UsageError
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram
from buildguard.imports.resolver import SearchPath
from buildguard.remote import import_modules
from tests import images
from tests.conftest import Project, interpreter
from tests.project.memory import empty_project

_TEXTS = {
    "/srv/main.py": "import os\nfrom app import web, missing\nimport flask\ntry:\n    import fast\nexcept ImportError:\n    pass\ndef f():\n    import app.late\n",
    "/srv/app/__init__.py": "",
    "/srv/app/web.py": "from . import db\nfrom .db import connect\n",
    "/srv/app/db.py": "",
    "/srv/app/late.py": "",
    "/srv/app/unused.py": "",
}


def test_modules_that_a_program_reaches() -> None:
    start = LoadedModule("__main__", ModuleLocation(ModuleKind.MODULE, "/srv/main.py"), home="")
    tree = FileTree({path: path.removeprefix("/srv/") for path in _TEXTS})
    program = StartedProgram(tree, SearchPath(("/srv",), ()), (start,))

    modules = list(reached_modules(program, lambda path: _TEXTS[path].encode()))

    assert modules == [
        ModuleToImport("main", True, "main.py"),
        ModuleToImport("app", True, "main.py", 2),
        ModuleToImport("app.web", True, "main.py", 2),
        ModuleToImport("flask", True, "main.py", 3),
        ModuleToImport("app.late", False, "main.py", 9),
        ModuleToImport("app.db", True, "app/web.py", 1),
    ]


@pytest.mark.interpreters
def test_each_module_is_imported_in_a_child_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("import sys\nprint('noise')\nsys.modules['shared'] = 1\n")
    (tmp_path / "alone.py").write_text("import shared\n")
    (tmp_path / "raises.py").write_text("import os\nos.environ['GONE']\n")
    (tmp_path / "broken.py").write_text("x = (\n")
    (tmp_path / "exits.py").write_text("import os\nos._exit(3)\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit('no')\n")
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(60)\n")
    names = ["good", "alone", "raises", "broken", "exits", "leaves", "sleeps"]
    request = json.dumps({"path": [str(tmp_path)], "modules": names, "seconds": 2})

    program = import_modules.__file__
    done = subprocess.run(
        [interpreter("3.8"), "-B", program, request],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    rows = {row["module"]: row for row in map(json.loads, done.stdout.splitlines())}
    kinds = {name: row.get("type", "") for name, row in rows.items()}
    assert kinds == {
        "good": "",
        "alone": "ModuleNotFoundError",
        "raises": "KeyError",
        "broken": "SyntaxError",
        "exits": "ended",
        "leaves": "SystemExit",
        "sleeps": "timeout",
    }
    assert rows["alone"]["name"] == "shared"
    assert [str(tmp_path / "raises.py"), 2] in rows["raises"]["frames"]


@pytest.mark.parametrize(
    ("names", "left_out", "reasons"),
    [
        ("ab", 0, []),
        ("a", 0, ["1 module of 2 gave no result"]),
        ("ab", 3, ["3 modules not imported: more than 1000 are reached"]),
    ],
)
def test_a_module_without_a_result_is_unproven(names: str, left_out: int, reasons: list[str]) -> None:
    modules = [ModuleToImport(name, True, "main.py") for name in "ab"]

    gaps = modules_without_result(modules, left_out, [ImportOutcome(name) for name in names])

    assert [gap.reason for gap in gaps] == reasons


def test_no_module_at_all_is_unproven() -> None:
    assert [gap.reason for gap in modules_without_result([], 0, [])] == ["0 modules of 0 gave no result"]


def test_an_image_is_needed() -> None:
    for flag in ("--imports", "--start"):
        with pytest.raises(UsageError, match=f"{flag} executes an image"):
            CliRunner().invoke(check, [flag, "."], catch_exceptions=False)
    assert import_all(CheckReport(".", (), (), (), (), 0, 0.0), empty_project(), "image:x", print).notes == ()


def test_events_from_forks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGE_FORK", "someone")

    with pytest.raises(UsageError, match="is refused"):
        CliRunner().invoke(check, ["--imports", "image:x"], catch_exceptions=False)


def test_every_failure_of_an_image_is_reported_at_once(engine: str, project: Callable[..., Project]) -> None:
    assert engine
    assert ImportOutcome("x").kind == ""
    assert callable(import_in_container)
    base = images.base("3.11")
    sources = {
        "main.py": "import a\nimport b\nimport c\nimport d\nimport fine\n",
        "a.py": "import not_there_at_all\n",
        "b.py": "raise RuntimeError('broken')\n",
        "c.py": "import os\nX = os.environ['NEEDED'] + str(1 / 0)\n",
        "d.py": "import socket\nsocket.create_connection(('example.invalid', 80))\n",
        "fine.py": "open('/srv/x', 'w') if False else None\n",
    }
    reference = images.derived(
        f"{images.REPOSITORY}/modules:3.11",
        base,
        {f"srv/{name}": text for name, text in sources.items()},
        ["WORKDIR /srv", 'CMD ["python3", "main.py"]'],
    )
    made = project({"Dockerfile": f"FROM {base}\nWORKDIR /srv\nCOPY . .\nCMD python3 main.py\n", **sources})

    answer = made.run("check", f"image:{reference}:/srv", "--imports", "--format", "json").json

    rows = {(row["code"], row["path"], row["line"]) for row in answer["diagnostics"] if row["engine"] == "container"}
    assert {("BG603", "a.py", 1), ("BG502", "b.py", 1), ("BG502", "c.py", 2)} <= rows, rows
    assert not any(path == "fine.py" for _code, path, _line in rows)
    assert any(item["path"] == "d.py" for item in answer["unproven"])
    assert answer["exit_code"] == 1
