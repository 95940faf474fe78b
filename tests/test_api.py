"""`import buildguard`: light, typed, documented, and the same results as the command line."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import buildguard
from buildguard import api
from tests.conftest import BROKEN_BEFORE_312, REPOSITORY, Project, interpreter

pytestmark = pytest.mark.interpreters

_BROKEN = "row = {'name': 'x'}\nprint(f'{row['name']}')\n"
_LOG = """Traceback (most recent call last):
  File "/app/app/report.py", line 2
    print(f'{row['name']}')
                  ^^^^
SyntaxError: f-string: unmatched '['
"""
_BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (REPOSITORY / "docs/api.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture
def outage(repository: Callable[..., Project]) -> Project:
    interpreter("3.11")
    return repository(
        {
            "Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY . /app\nCMD python -m app.report\n",
            "app/report.py": _BROKEN,
            "build.log": _LOG,
        }
    )


def test_another_program_runs_the_examples_in_order(outage: Project, tmp_path: Path) -> None:
    script = _script(tmp_path, str(outage.path))
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("app/report.py:2: BG201 ")
    assert [line for line in done.stdout.splitlines() if line.startswith("check: ")]


def test_another_program_type_checks_the_examples(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, _script(tmp_path, "project")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 1 source file\n")


def test_the_examples_show_every_function() -> None:
    functions = {
        name for name, value in vars(api).items() if inspect.isfunction(value) and name in vars(buildguard)["__all__"]
    }
    shown = {
        node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        for node in ast.walk(ast.parse("".join(_BLOCKS)))
        if isinstance(node, ast.Call)
    }

    assert functions == {"check", "fix", "diff", "manifest", "diagnose", "deploy"}
    assert functions <= shown


def _script(folder: Path, project: str) -> str:
    """The examples as one program outside of the checkout; its path."""
    file = folder / "program.py"
    file.write_text("\n".join(["from pathlib import Path", f"project = Path({project!r})", *_BLOCKS]), "utf-8")
    return str(file)


@pytest.mark.interpreters
def test_the_import_is_light() -> None:
    code = (
        "import sys, buildguard; "
        "heavy = {'click', 'docker', 'libcst', 'google', 'ruamel', 'jinja2'} & {name.split('.')[0] for name in sys.modules}; "
        "ours = [name for name in sys.modules if name.startswith('buildguard.')]; "
        "sys.exit(repr((heavy, ours)) if heavy or ours else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_stub_names_what_is_there() -> None:
    stub = ast.parse((REPOSITORY / "buildguard/__init__.pyi").read_text("utf-8"))
    imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assigned = {ast.unparse(target) for node in stub.body if isinstance(node, ast.Assign) for target in node.targets}
    typed = (imported | assigned) - {None}

    names = vars(buildguard)["__all__"]
    assert typed | {"__version__"} == set(names)
    for name in names:
        assert getattr(buildguard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = buildguard.nothing  # type: ignore[attr-defined]


def test_a_package_and_a_function_share_a_name(outage: Project) -> None:
    from buildguard.check import run

    assert run.check is not None
    for _ in range(2):
        assert buildguard.check("app", root=outage.path, target="3.12").exit_code == 0


def test_check_is_what_the_command_line_does(outage: Project) -> None:
    report = buildguard.check(root=outage.path, strict=True, select=["BG2"])
    shown = outage.check("--strict", "--select", "BG2")

    assert report.exit_code == shown.code == 1
    assert [diagnostic.code for diagnostic in report.diagnostics] == [
        row["code"] for row in json.loads(shown.out)["diagnostics"]
    ]
    assert buildguard.check(["app/report.py"], root=str(outage.path), target=["3.12", "3.13"]).exit_code == 0
    assert buildguard.check("commit:HEAD", root=outage.path).diagnostics[0].severity is buildguard.Severity.ERROR


def test_what_was_not_examined_is_no_clean_report(outage: Project) -> None:
    with pytest.raises(buildguard.UsageError):
        buildguard.check(root=outage.path, engine="magic")
    (outage.path / "app/report.py").unlink()

    assert buildguard.check(root=outage.path).exit_code == 3
    with pytest.raises(buildguard.UnprovenError, match="is not complete"):
        buildguard.manifest("dir:nothing-in-it", root=_with_empty_folder(outage.path))


def _with_empty_folder(path: Path) -> Path:
    (path / "nothing-in-it").mkdir()
    return path


def test_programs_of_the_project_are_left_out_and_path_is_restored(
    outage: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    path = f"{outage.path / 'bin'}{os.pathsep}.{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)

    def stop(*_args: object) -> None:
        seen.append(os.environ["PATH"])
        raise buildguard.UsageError("far enough")

    monkeypatch.setattr("buildguard.check.run.prepare", stop)

    with pytest.raises(buildguard.UsageError):
        buildguard.check(root=outage.path)

    assert str(outage.path) not in seen[0]
    assert os.environ["PATH"] == path


def test_only_yes_deploys_and_it_answers_one_question() -> None:
    yes, no = api._answer_once(yes=True), api._answer_once(yes=False)

    assert [yes("deploy?"), yes("build on this machine?"), no("deploy?")] == [True, None, None]


def test_a_plan_changes_nothing(outage: Project) -> None:
    report = buildguard.deploy(root=outage.path, dry_run=True, project="acme", region="europe-west1", service="shop")

    assert report.outcomes is None
    assert report.plan.steps[0].id == "check"


def test_broken_code_in_memory_of_nothing(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\n", "a.py": BROKEN_BEFORE_312})

    assert [diagnostic.code for diagnostic in buildguard.check(root=made.path).diagnostics][:1] == ["BG101"]
