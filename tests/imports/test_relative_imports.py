"""Relative imports in folders without `__init__.py` that no start reaches. Each case is loaded by every name that it may have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports.projects import TextProject

_FAILING: dict[str, tuple[str, dict[str, str]]] = {
    "the module is missing": ("from .views import a\n", {}),
    "the module is missing by name": ("from . import views\n", {}),
    "the module lacks the name": ("from .views import b\n", {"x/part/views.py": "a = 1\n"}),
    "a module above is missing": ("from ..views import a\n", {}),
    "the package is above": ("from .views import a\n", {"x/__init__.py": ""}),
    "a module of another folder": ("from .views import a\n", {"views.py": "a = 1\n", "x/views.py": "a = 1\n"}),
}
_WORKING: dict[str, tuple[str, dict[str, str]]] = {
    "the module is there": ("from .views import a\n", {"x/part/views.py": "a = 1\n"}),
    "the module is there by name": ("from . import views\n", {"x/part/views.py": ""}),
    "a module above is there": ("from ..views import a\n", {"x/views.py": "a = 1\n"}),
    "a folder is there": ("from . import views\n", {"x/part/views/page.html": ""}),
    "it is caught": ("try:\n    from .views import a\nexcept ImportError:\n    pass\n", {}),
    "another folder is a part of the package": ("from .views import a\n", {"part/views.py": "a = 1\n"}),
}


def _files(text: str, others: dict[str, str]) -> dict[str, str]:
    return {"main.py": "", "x/part/urls.py": text, **others}


@pytest.mark.interpreters
@pytest.mark.parametrize("name", [*_FAILING, *_WORKING])
def test_what_fails_by_every_name_is_reported(tmp_path: Path, name: str) -> None:
    files = _files(*(_FAILING.get(name) or _WORKING[name]))

    result = TextProject(files).judge()

    lines = [(str(item.severity), path) for path, found in result.findings.items() for item in found]
    assert lines == [("warning", "x/part/urls.py")] * (name in _FAILING)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        _ = (tmp_path / path).write_text(text, "utf-8")
    assert any(_loads(tmp_path, module) for module in ("x.part.urls", "part.urls", "urls")) is (name in _WORKING)


def _loads(folder: Path, module: str) -> bool:
    places = (folder, folder / "x", folder / "x/part")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    command = [sys.executable, "-P", "-m", module] if sys.version_info >= (3, 11) else [sys.executable, "-m", module]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("path", "others", "requires"),
    [
        ("v1.2/urls.py", {}, ()),
        ("email/urls.py", {}, ()),
        ("part/urls.py", {}, ("acme-part",)),
        ("part/urls.py", {"lib/part/views.py": ""}, ()),
    ],
    ids=["no name", "a name of the standard library", "a package of that name", "another part of the package"],
)
def test_what_may_work_is_undecided(path: str, others: dict[str, str], requires: tuple[str, ...]) -> None:
    result = TextProject({"main.py": "", path: "from .views import a\n", **others}, requires=requires).judge()

    assert result.findings == {}
    assert [(left.path, left.line) for left in result.undecided] == [(path, 1)]


def test_without_a_start_it_is_a_warning_for_what_runs_it_is_unknown() -> None:
    result = TextProject({"x/part/urls.py": "from .views import a\n"}, start="").judge()

    assert [str(item.severity) for found in result.findings.values() for item in found] == ["warning"]


@pytest.mark.parametrize(
    ("text", "others", "undecided"),
    [
        ("from .views import a\n", {}, 1),
        ("from ..views import a\n", {}, 1),
        ("from . import views\n", {}, 0),
        ("from .views import a\n", {"x/part/views.py": "a = 1\n"}, 0),
        ("from ..views import a\n", {"x/views.py": "a = 1\n"}, 0),
    ],
    ids=["missing", "missing above", "a name", "there", "there above"],
)
def test_outside_of_every_folder_that_may_be_searched(text: str, others: dict[str, str], undecided: int) -> None:
    project = TextProject({"main.py": "", "x/part/urls.py": text, **others})
    project.program = project.program._replace(roots=("/elsewhere",))

    result = project.judge()

    assert result.findings == {}
    assert len(result.undecided) == undecided
