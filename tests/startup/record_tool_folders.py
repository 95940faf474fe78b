"""Asks real poetries and pipenvs where they keep a project's environment, and keeps the answers: tests/cases/tool_folders.jsonl.

`python -m tests.startup.record_tool_folders TOOL [TOOL…]`: each is the program of one version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CASES = Path(__file__).parents[1] / "cases" / "tool_folders.jsonl"
_PYPROJECT = (
    '[tool.poetry]\nname = "svc"\nversion = "1"\ndescription = ""\nauthors = []\npackage-mode = false\n'
    '[tool.poetry.dependencies]\npython = ">=3.8,<4"\n'
)
_WHERE = "import sys; print(sys.prefix)"
_OF_POETRY = (
    ("", "", ""),
    ("POETRY_VIRTUALENVS_CREATE=false", "", ""),
    ("POETRY_VIRTUALENVS_CREATE=true", "", ""),
    ("POETRY_VIRTUALENVS_IN_PROJECT=true", "", ""),
    ("POETRY_VIRTUALENVS_IN_PROJECT=false", "", ""),
    ("POETRY_CACHE_DIR=/HOME/cache", "", ""),
    ("POETRY_VIRTUALENVS_PATH=/HOME/envs", "", ""),
    ("XDG_CACHE_HOME=/HOME/xdg", "", ""),
    ("VIRTUAL_ENV=/HOME/active", "", ""),
    ("", "virtualenvs.in-project true", ""),
    ("", "virtualenvs.in-project false", ""),
    ("", "virtualenvs.create false", ""),
    ("", "virtualenvs.path /HOME/envs", ""),
    ("", "cache-dir /HOME/cache", ""),
    ("", "", "poetry.toml"),
    ("", "", ".venv"),
)
_OF_PIPENV = (
    ("", "", ""),
    ("PIPENV_VENV_IN_PROJECT=1", "", ""),
    ("WORKON_HOME=/HOME/envs", "", ""),
    ("VIRTUAL_ENV=/HOME/active", "", ""),
    ("", "", ".venv"),
)


class ToolCase(NamedTuple):
    """One case: the tool and its version, a variable, a setting, a file of the project, and the folder that the packages are in.

    `folder` begins with "~", the home, or with ".", the project; "" is any other one, and "*" a name by chance.
    """

    tool: str
    version: str
    variable: str
    setting: str
    file: str
    folder: str


def ask(program: Path) -> Iterator[ToolCase]:
    """What one version of a tool does in each case."""
    tool = program.name
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = next(word.strip("()") for word in reversed(said.split()) if word.strip("()")[0].isdigit())
    for variable, setting, file in _OF_POETRY if tool == "poetry" else _OF_PIPENV:
        with tempfile.TemporaryDirectory() as scratch:
            folder = _folder_of(program, Path(scratch), variable, (setting, file))
        yield ToolCase(tool, version, variable, setting, file, folder)


def _folder_of(program: Path, scratch: Path, variable: str, others: tuple[str, str]) -> str:
    setting, file = others
    home, project = scratch / "home", scratch / "project"
    home.mkdir()
    project.mkdir()
    (project / "pyproject.toml").write_text(_PYPROJECT)
    (project / "Pipfile").write_text("[packages]\n")
    if file == "poetry.toml":
        (project / file).write_text("[virtualenvs]\nin-project = true\n")
    name, _equals, value = variable.replace("/HOME", str(home)).partition("=")
    environment = {key: item for key, item in os.environ.items() if key in {"PATH", "LANG"}}
    environment |= {"HOME": str(home), **({name: value} if name else {})}
    for place in [Path(value)] if name == "VIRTUAL_ENV" else [project / file] if file == ".venv" else []:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    if setting:
        words = setting.replace("/HOME", str(home)).split()
        subprocess.run([program, "config", *words], cwd=project, env=environment, check=True)
    run = [str(program), "run", "python", "-c", _WHERE]
    said = subprocess.run(run, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout
    printed = said.splitlines()[-1]
    inside = printed.replace(str(home), "~").replace(str(project), ".")
    if not inside.startswith(("~", ".")):
        return ""
    folder, _slash, own = inside.rpartition("/")
    return inside if own in {".venv", "active"} else f"{folder}/*"  # a name by chance


def main() -> None:
    """Ask the tools that are named, and write the cases."""
    cases = [case for name in sys.argv[1:] for case in ask(Path(name))]
    CASES.write_text("".join(json.dumps(case) + "\n" for case in cases))


if __name__ == "__main__":
    main()
