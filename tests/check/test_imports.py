"""Imports in a whole check: what is reported, cached and counted, and that nothing of the user's runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.check.compile_files import FileVerdict, Judge
from buildguard.check.fact_store import FactStore
from buildguard.check.imports import ImportCheck
from buildguard.check.result import CheckReport
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source
from buildguard.engines.static import StaticEngine
from buildguard.errors import UnprovenError
from buildguard.imports.records import UndecidedImport
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion, Target
from buildguard.stages.filesystem import stage_on_disk
from buildguard.system.cache import Cache
from tests.conftest import Project

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
    assert any("1 import could not be decided" in note for note in result.json["notes"])


def test_undecided_imports_are_unproven_with_strict() -> None:
    report = CheckReport(".", (), (), (), (), 1, 0.0, undecided_imports=(UndecidedImport("a.py", 1, "why"),))

    assert report.exit_code == 0
    assert report._replace(strict=True).exit_code == 3


def test_nothing_of_the_users_is_imported_or_executed(
    repository: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    names = ("sitecustomize", "usercustomize", "typing", "json/__init__", "app/__init__", "distutils/__init__", "imp")
    files = {f"{name}.py": _MARK.format(path=str(marks / name.replace("/", "-"))) for name in names}
    files["x.pth"] = f"import os; open({str(marks / 'pth')!r}, 'w').close()\n"
    project = repository(
        {**files, "main.py": "import app, json, imp\nfrom typing import Self\nimport distutils.core\n"}
    )
    monkeypatch.chdir(project.path)

    project.check("--target", "3.12", "--no-cache")
    project.check("--target", "3.12", "--no-cache", "--engine", "static", "--proof", "predicted")

    assert list(marks.iterdir()) == []


def test_without_an_interpreter_the_host_reads_the_imports_for_the_target(repository: Callable[..., Project]) -> None:
    source = "import sys, imp\nif sys.version_info < (3, 13):\n    import cgi\n"
    project = repository({"main.py": source, "new.py": "import tomllib\n"})
    arguments = ("--engine", "static", "--proof", "predicted", "--target")

    assert _found(project, *arguments, "3.14") == [("BG601", "main.py", 1, "error")]
    assert _found(project, *arguments, "3.10") == [("BG601", "new.py", 1, "error")]


def test_facts_that_cannot_be_read_are_unproven(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    stage = stage_on_disk(tmp_path, None)
    (entry,) = stage.entries()
    judge = Judge(stage, StaticEngine(PythonVersion(12)), _READY, 12, Cache(None))
    judge.facts.note(b"digest", b"[]")
    target = Target(PythonVersion(12), "--target")

    check = ImportCheck(stage, target, StaticEngine(PythonVersion(12)), _READY, Cache(None))
    with pytest.raises(UnprovenError, match="could not be read"):
        check.run([FileVerdict(entry, digest=b"digest")], judge)


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
