"""Imports in a whole check: what is reported, cached and counted, and that nothing of the user's runs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard import api
from buildguard.check.compile_files import FileVerdict
from buildguard.check.fact_store import FactStore
from buildguard.check.import_results import KeptResult, TargetImports, _text_of
from buildguard.check.imports import _is_refused
from buildguard.check.recording_stage import RecordingStage
from buildguard.check.result import CheckReport
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, Range, RelativePath, Severity
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source
from buildguard.imports.records import UndecidedImport
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import Target
from buildguard.stages.filesystem import stage_on_disk
from buildguard.stages.stage import Entry, EntryKind
from buildguard.system.cache import Cache
from tests.conftest import Project, untraced
from tests.remote.running import install, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARK = "import os\nopen({path!r}, 'w').close()\n"
_READY = ReadyEngine(EngineName.INTERPRETER, ProofGrade.COMPILED, "CPython 3.11.7", "3.11.7", "identity")


def _found(project: Project, *arguments: str) -> list[tuple[str, str, int, str]]:
    return [
        (row["code"], row["path"], row["line"], row["severity"])
        for row in project.check(*arguments).json["diagnostics"]
        if row["code"].startswith("BG6")
    ]


_LOCK = """
version = 1
[[package]]
name = "svc"
source = { virtual = "." }
dependencies = [{ name = "flask" }]
[[package]]
name = "flask"
source = { registry = "https://example.invalid" }
"""


@pytest.mark.parametrize("target", [[], ["--target", "3.12"]])
def test_each_image_has_what_it_installs(repository: Callable[..., Project], target: list[str]) -> None:
    """An image that does not install the lock decides nothing for one that does, and is not judged by it."""
    base = "FROM python:3.12-slim\nWORKDIR /app\n"
    project = repository(
        {
            "uv.lock": _LOCK,
            "requirements.txt": "requests\n",
            "Dockerfile": f'{base}RUN pip install uv && uv sync\nCOPY api api\nCMD ["uv", "run", "api/main.py"]\n',
            "Dockerfile.jobs": f'{base}RUN pip install -r requirements.txt\nCOPY jobs jobs\nCMD ["python", "jobs/run.py"]\n',
            "api/main.py": "import flask\nimport requests\n",
            "jobs/run.py": "import requests\n",
        }
    )

    assert _found(project, *target) == [("BG603", "api/main.py", 2, "warning")]
    assert project.check(*target).json["imports"]["undecided"] == 0


def test_what_the_target_does_not_have_is_reported_cold_and_warm(repository: Callable[..., Project]) -> None:
    project = repository(
        {
            "Dockerfile": "FROM python:3.12-slim\n",
            "main.py": "from distutils.version import LooseVersion\nfrom typing import Nothing\nimport json\n",
            "late.py": "def f():\n    import imp\n",
            "tests/test_x.py": "import imp\n",
            "ignored.py": "import imp  # buildguard: ignore[BG601]\n",
        }
    )

    for _ in range(2):
        assert _found(project) == [
            ("BG601", "late.py", 2, "warning"),
            ("BG601", "main.py", 1, "error"),
            ("BG602", "main.py", 2, "error"),
        ]
    assert project.check().code == 1
    assert project.check("--ignore", "BG6").code == 0


def test_a_test_that_the_program_runs_is_judged_as_any_module(repository: Callable[..., Project]) -> None:
    project = repository(
        {
            "Dockerfile": 'FROM python:3.12-slim\nCOPY . .\nCMD ["python", "tests/run.py"]\n',
            "tests/run.py": "import imp\nimport helpers\n",
            "tests/helpers/__init__.py": "from .data_test import x\nfrom . import fixtures\n",
            "tests/helpers/data_test.py": "import asynchat\ny = 1\n",
            "tests/helpers/fixtures.py": "import smtpd\n",
            "tests/test_x.py": "import imp\n",
        }
    )

    for _ in range(2):
        assert sorted(_found(project)) == [
            ("BG601", "tests/helpers/data_test.py", 1, "error"),
            ("BG601", "tests/helpers/fixtures.py", 1, "error"),
            ("BG601", "tests/run.py", 1, "error"),
            ("BG604", "tests/helpers/__init__.py", 1, "error"),
        ]
    project.write({"tests/helpers/data_test.py": "x = 1\n"})
    assert sorted(row[:2] for row in _found(project)) == [
        ("BG601", "tests/helpers/fixtures.py"),
        ("BG601", "tests/run.py"),
    ]


def test_a_test_without_a_start_counts_where_a_module_imports_it(repository: Callable[..., Project]) -> None:
    project = repository(
        {
            "pkg/__init__.py": "",
            "pkg/main.py": "from pkg.testing import a, b\nfrom pkg.testing.more import c, d\n",
            "pkg/testing/__init__.py": "from pkg.testing.more import c as a\n",
            "pkg/testing/more.py": "c = 1\n",
        }
    )

    assert _found(project, "--target", "3.12") == [
        ("BG604", "pkg/main.py", 1, "error"),
        ("BG604", "pkg/main.py", 2, "error"),
    ]


def test_what_no_image_holds_is_judged_for_a_target_that_is_set_by_hand(repository: Callable[..., Project]) -> None:
    project = repository(
        {
            "tools/Dockerfile": "FROM python:3.11\nRUN true\n",
            "tools/make.py": "",
            "app/main.py": "import imp\nfrom app import nothing\n",
            "app/__init__.py": "",
            "tests/test_x.py": "import imp\n",
        }
    )

    assert _found(project, "--target", "3.12") == [
        ("BG601", "app/main.py", 1, "error"),
        ("BG604", "app/main.py", 2, "warning"),
    ]
    assert _found(project) == []


def test_the_imports_of_tests_are_read_where_a_module_may_import_them(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    original = FactStore.note

    def note(store: FactStore, digest: bytes, facts: bytes) -> None:
        noted.append(names[digest])
        original(store, digest, facts)

    monkeypatch.setattr(FactStore, "note", note)
    files = {
        "main.py": "import tools\nimport conftest\n",
        "tools.py": "x = 1\n",
        "conftest.py": "from tests import common\n",
        "tests/__init__.py": "# tests\n",
        "tests/common.py": "x = 2\n",
        "tests/test_a.py": "import imp\n",
        "tests/test_b.py": "import imp  # again\n",
    }
    names = {hashlib.sha256(text.encode()).digest(): path for path, text in files.items()}
    project = repository(files)

    api.check(target="3.12", root=project.path, use_cache=False)

    assert sorted(noted) == [
        "conftest.py",
        "main.py",
        "tests/__init__.py",
        "tests/common.py",
        "tools.py",
    ]


def test_another_target_has_what_one_lacks(repository: Callable[..., Project]) -> None:
    project = repository({"main.py": "import imp\n"})

    assert _found(project, "--target", "3.11") == []
    assert _found(project, "--target", "3.12") == [("BG601", "main.py", 1, "error")]
    assert _found(project, "--target", "3.11", "--target", "3.12") == [("BG601", "main.py", 1, "error")]


def test_undecided_imports_are_counted_and_change_nothing(repository: Callable[..., Project]) -> None:
    project = repository(
        {"Dockerfile": "FROM python:3.12-slim\n", "main.py": "import distutils\n", "requirements.txt": "setuptools\n"}
    )

    result = project.check()

    assert (result.code, result.json["imports"]) == (0, {"undecided": 1})
    assert project.check("--strict").code == 3
    assert any("1 import could not be decided" in note for note in result.json["notes"])


def test_undecided_imports_are_unproven_with_strict() -> None:
    report = CheckReport(".", (), (), (), (), 1, 0.0, undecided_imports=(UndecidedImport("a.py", 1, "why"),))

    assert report.exit_code == 0
    assert report._replace(strict=True).exit_code == 3


def test_nothing_of_the_users_is_imported_or_executed(
    repository: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither `.pth`, `sitecustomize`, an entry point nor a package's `__init__`, of the project or of an environment."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def mark(name: str) -> str:
        return _MARK.format(path=str(marks / name.replace("/", "-")))

    names = (
        "sitecustomize",
        "usercustomize",
        "typing",
        "json/__init__",
        "app/__init__",
        "app/cli",
        "distutils/__init__",
        "imp",
    )
    files = {f"{name}.py": mark(name) for name in names}
    files["x.pth"] = mark("pth").replace("\n", ";") + "\n"
    files["pyproject.toml"] = (
        '[project]\nname = "app"\nversion = "1"\n[project.scripts]\napp = "app.cli:main"\n'
        '[project.entry-points.pytest11]\napp = "app.plugin"\n[project.gui-scripts]\ngui = "app:main"\n'
    )
    project = repository(
        {
            **files,
            "main.py": "import app, json, imp, lib\nfrom lib.sub import x\nfrom typing import Self\nimport distutils.core\n",
        }
    )
    site = tmp_path / "venv" / "lib" / "python3.12" / "site-packages"
    for name in ("sitecustomize.py", "usercustomize.py", "lib/__init__.py", "lib/sub/__init__.py", "lib/plugin.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(mark(f"site-{name}"))
    (site / "lib.pth").write_text(f"import os; open({str(marks / 'site-pth')!r}, 'w').close()\n")
    (site / "lib-1.dist-info").mkdir()
    (site / "lib-1.dist-info" / "entry_points.txt").write_text("[console_scripts]\nlib = lib.plugin:main\n")
    (site / "lib-1.dist-info" / "RECORD").write_text("lib/__init__.py,,\n")
    monkeypatch.chdir(project.path)
    project.git("add", "--all")

    project.check("--target", "3.12", "--no-cache")
    project.check("--target", "3.12", "--no-cache", "--engine", "static", "--proof", "predicted")
    project.check("--target", "3.12", "--no-cache", "--environment", str(site.parents[2]))
    project.check("--target", "3.12", "--no-cache", "--staged")
    run(project.path, install(project.path), "3.12", words=("--start=app.cli=app/cli.py", "--path=."))

    assert list(marks.iterdir()) == []


def test_without_an_interpreter_the_host_reads_the_imports_for_the_target(repository: Callable[..., Project]) -> None:
    source = "import sys, imp\nif sys.version_info < (3, 13):\n    import cgi\n"
    project = repository({"main.py": source, "new.py": "import tomllib\n"})
    arguments = ("--engine", "static", "--proof", "predicted", "--target")

    assert _found(project, *arguments, "3.14") == [("BG601", "main.py", 1, "error")]
    assert _found(project, *arguments, "3.10") == [("BG601", "new.py", 1, "error")]


def test_facts_that_no_run_kept_are_read_again(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def compile_sources(sources: Iterator[Source]) -> Iterator[Outcome]:
        for source in sources:
            asked.append(source.data)
            yield Outcome(source.number, source.digest, facts=b"{}")

    def contents(_digests: set[bytes]) -> list[bytes]:
        return [b"x = 1\n"]

    digest = hashlib.sha256(b"x = 1\n").digest()
    for _ in range(2):
        cache = Cache(tmp_path)
        assert FactStore(cache, _READY).of([digest], contents, compile_sources) == {digest: b"{}"}
        cache.close()

    assert asked == [b"x = 1\n"]


def test_a_result_is_kept_until_what_it_depends_on_changes(repository: Callable[..., Project]) -> None:
    project = repository({"Dockerfile": "FROM python:3.12-slim\n", "main.py": "import distutils\n"})

    assert _found(project) == _found(project) == [("BG601", "main.py", 1, "error")]
    project.write({"requirements.txt": "setuptools\n"})
    assert _found(project) == _found(project) == []
    project.write({"requirements.txt": "flask\n", "main.py": "import distutils\nimport imp\n"})
    assert len(_found(project)) == 2
    project.write({"imp.py": ""})
    assert len(_found(project)) == 1


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    lock = tmp_path / "source" / "lock"
    lock.write_bytes(b"1")
    diagnostic = Diagnostic(
        Code.BG601, Severity.ERROR, DisplayPath("a.py"), Range(1, 2), "m", "h", "3.12", "rule", "import x"
    )
    results = TargetImports((diagnostic,), (UndecidedImport("b.py", 3, "why"),))
    stage = RecordingStage(stage_on_disk(tmp_path / "source", None))
    cache = Cache(tmp_path / "cache")
    list(stage.contents(stage.entries()))

    def kept(about: bytes = b"1") -> KeptResult:
        return KeptResult(cache, stage, [about])

    assert kept().load() is None
    kept().store(results, stage.digests)
    assert kept().load() == results
    assert kept(b"2").load() is None
    lock.write_bytes(b"2")
    assert kept().load() is None
    cache.close()


_LOADED = """
import atexit, sys
from buildguard.cli.main import main
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = ["buildguard", "check"]
main()
"""


@untraced
def test_a_start_command_decides_and_a_warm_run_judges_nothing(repository: Callable[..., Project]) -> None:
    dockerfile = 'FROM python:3.13-slim\nWORKDIR /srv\nCOPY . .\nCMD ["python", "main.py"]\n'
    files = {"main.py": "import db\n", "db.py": "import cgi\n", "other.py": "import cgi\n"}
    project = repository({"Dockerfile": dockerfile, **files})

    assert _found(project) == [("BG601", "db.py", 1, "error"), ("BG601", "other.py", 1, "warning")]
    argv = [sys.executable, "-P", "-c", _LOADED]
    warm = subprocess.run(argv, cwd=project.path, capture_output=True, text=True, check=False)
    assert "buildguard.check.import_results" in warm.stderr.split()
    assert "buildguard.check.imports" not in warm.stderr.split()


def test_a_result_is_found_again_whatever_order_a_set_has_in_a_run() -> None:
    target = Target(None, "Dockerfile:1", ships=frozenset({"b", "a", "c"}))

    assert "{'a', 'b', 'c'}" in _text_of(target)
    assert _text_of({"x": target}) == "{'x': " + _text_of(target) + "}"


def test_a_package_that_only_another_file_requires(repository: Callable[..., Project]) -> None:
    docker = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python main.py\n"
    project = repository(
        {
            "Dockerfile": docker,
            "requirements.txt": "flask==3.0.3\n",
            "requirements-dev.txt": "pyyaml==6.0.2\n",
            "main.py": "import flask\nimport werkzeug\nimport yaml\n",
        }
    )
    report = project.check().json

    assert report["imports"]["undecided"] == 1
    assert "main.py:3: no requirement that the image installs is known to bring yaml" in report["notes"][-1]


_REFUSED = {
    "main.py": "import app.a, app.b, app.c, app.d\n",
    "app/__init__.py": "",
    "app/a.py": 'import tomllib\nx = f"{"a"}"\n',  # read without its f-string
    "app/b.py": "import sys\nmatch 1:\n    case 1: from enum import StrEnum\n",  # read by this Python
    "app/c.py": "import tomllib\nprint 1\n",  # read by none
    "app/d.py": "print 1\n",  # there is nothing to read
}


def test_imports_of_what_does_not_compile_are_found_in_the_same_run(repository: Callable[..., Project]) -> None:
    docker = "FROM python:3.9-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"
    project = repository({"Dockerfile": docker, **_REFUSED})
    expected = [("BG601", "app/a.py", 1, "error"), ("BG602", "app/b.py", 3, "warning")]

    for _ in range(2):  # the second run knows them from the cache
        report = project.check().json
        rows = [item for item in report["diagnostics"] if item["code"].startswith("BG6")]
        assert [(row["code"], row["path"], row["line"], row["severity"]) for row in rows] == expected
        assert report["imports"]["undecided"] == 1
        assert "app/c.py:1: the imports of the file could not be read" in report["notes"][-1]


@pytest.mark.parametrize(
    ("codes", "is_read"),
    [(["BG101"], True), (["BG101", "BG201"], True), (["BG103"], False), (["BG101", "BG103"], False)],
)
def test_what_a_compiler_died_of_is_not_compiled_by_this_python(codes: list[str], *, is_read: bool) -> None:
    findings = tuple(Finding(Code(code), Range(), "") for code in codes)

    assert _is_refused(FileVerdict(Entry(RelativePath(b"a.py"), EntryKind.FILE), findings)) is is_read


_LOCAL = {".python-version": "3.12\n"}
_BARE = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"


@pytest.mark.parametrize(
    ("files", "found", "count"),
    [
        ({"Dockerfile": _BARE}, [("BG603", "main.py", 1, "warning")], 0),
        ({"Dockerfile": _BARE, "requirements.txt": "requests\n"}, [], 1),  # something else may install them
        ({"Dockerfile": _BARE, "run.sh": "pip install requests\n"}, [], 1),
        ({"Dockerfile": _BARE, "vendor/requests/__init__.py": ""}, [], 1),
        ({"Dockerfile": _BARE.replace("python:3.12-slim", "acme/python")}, [], 0),  # that may have it
        ({"Dockerfile": _BARE, "main.py": "def f():\n    import requests\n"}, [("BG603", "main.py", 2, "warning")], 0),
        ({"Dockerfile": _BARE, "main.py": "", "other.py": "import requests\n"}, [], 1),
        (
            {"Dockerfile": _BARE, "main.py": "import pip\nimport pkg_resources\n"},
            [("BG603", "main.py", 2, "warning")],
            0,
        ),
        ({"Dockerfile": _BARE.replace("3.12", "3.11"), "main.py": "import pip\nimport pkg_resources\n"}, [], 0),
        ({**_LOCAL, "requirements.txt": "flask\n"}, [], 1),
        ({**_LOCAL, "requirements.txt": "flask\nrequests\n"}, [], 0),
        ({**_LOCAL, "requirements.txt": "flask\nacme-tools\n"}, [], 0),  # that may need anything
        (_LOCAL, [], 1),
    ],
)
def test_a_package_that_nothing_installs(
    repository: Callable[..., Project], files: dict[str, str], found: list[tuple[str, str, int, str]], count: int
) -> None:
    project = repository({"main.py": "import requests\n", **files})

    assert _found(project) == found
    assert project.check().json["imports"]["undecided"] == count


@pytest.mark.parametrize(("options", "is_open"), [("--frozen", True), ("--frozen --extra cache", False)])
def test_a_package_of_an_extra(repository: Callable[..., Project], options: str, *, is_open: bool) -> None:
    extra = '[package.optional-dependencies]\ncache = [{ name = "redis" }]\n'
    redis = '[[package]]\nname = "redis"\nsource = { registry = "https://example.invalid" }\n'
    lock = _LOCK.replace('[[package]]\nname = "flask"', f'{extra}{redis}[[package]]\nname = "flask"')
    docker = f"FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install uv && uv sync {options}\nCMD .venv/bin/python main.py\n"
    report = repository({"Dockerfile": docker, "uv.lock": lock, "main.py": "import redis\n"}).check().json

    assert any("only an extra of uv.lock brings it" in note for note in report["notes"]) is is_open
    assert report["imports"]["undecided"] == int(is_open)
