"""README and the documentation as readers paste them: every command of a page runs, in order, in a fresh folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import REPOSITORY, interpreter, missing

_DOCS = REPOSITORY / "docs"
# What needs a real Google project: nothing else may be left out.
_NEEDS_GOOGLE = frozenset(
    {
        "buildguard check --engine interpreter,cloud",
        "BUILDGUARD_LIVE_PROJECT=my-project python -m pytest tests/live",
        "buildguard deploy --dry-run",
        "buildguard deploy",
        "buildguard deploy --build-local",
        "buildguard rollback",
        "buildguard history",
        "buildguard history 7",
        "buildguard history --html story.html",
        "buildguard loop --wait",
        'buildguard loop --between "./fix-it" --max-cycles 5 --yes',
        "gcloud iam service-accounts create deployer --project acme",
        "gcloud run services add-iam-policy-binding web --project acme --region europe-west1",
        "gcloud storage buckets add-iam-policy-binding gs://acme_cloudbuild",
        "gcloud builds triggers import --region europe-west1 --source trigger.yaml",
    }
)
# What sets an environment up from a checkout: `scripts/newcomer` pastes these, in a clone with nothing beside it.
_NEWCOMER = frozenset(
    {
        "./scripts/try",
        "./scripts/test",
        "pip install .",
        '. .venv/bin/activate && export BUILDGUARD="$PWD" && cd "$(mktemp -d)"',
        'python3 -m pip wheel --wheel-dir wheels "${BUILDGUARD:?set it to the path of your checkout}"',
        "python3 -m venv guard",
        "guard/bin/pip install --no-index --find-links wheels buildguard-gcp",
        "guard/bin/buildguard --version",
    }
)
# What needs a container engine and takes minutes: `tests/test_newcomer.py` pastes the whole page.
_NEEDS_ENGINE = frozenset(
    {
        'python3 -m pip install --quiet "${BUILDGUARD:?set it to the path of your checkout}[cloud]"',
        "buildguard emulator -- buildguard deploy --service web --yes",
        "buildguard emulator -- buildguard deploy --service web --build-local --yes",
    }
)
_LEFT_OUT = _NEEDS_GOOGLE | _NEWCOMER | _NEEDS_ENGINE
_SHELLS = {"console": "bash", "sh": "bash", "zsh": "zsh", "fish": "fish"}
# A reader's own project: two services, and a module that is newer than 3.11.
_PROJECT = {
    **{f"{name}/Dockerfile": "FROM python:3.11-slim\nCOPY . .\nCMD python a.py\n" for name in ("web", "worker")},
    **{f"{name}/a.py": "x = 1\n" for name in ("web", "worker")},
    "cloudbuild.yaml": "steps:\n- name: python:3.11-slim\n  args: [python, worker/a.py]\n",
}
_EMPTY = frozenset({"tutorial.md", "example.md", "emulator.md", "README.md"})  # they begin in an empty folder
_FINDINGS = {  # status 1 is what the page shows
    ("tutorial.md", "buildguard check"),
    ("tutorial.md", "buildguard diagnose --log three-deploys.log"),
    ("example.md", "buildguard check"),
    ("example.md", "buildguard check --staged"),
    ("README.md", "buildguard check examples/outage"),
}


class Command(NamedTuple):
    """What is pasted at once, and the output that the page shows for it."""

    shell: str
    text: str
    shown: tuple[str, ...]


def _file(page: str) -> Path:
    return REPOSITORY / page if page == "README.md" else _DOCS / page


def commands(page: str) -> list[Command]:
    """Every command of a page."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", _file(page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found: list[Command] = []
    for number, (language, text) in enumerate(blocks):
        if language == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *shown = _joined(part).rstrip("\n").split("\n")
                found.append(Command("bash", _without_comment(command), tuple(shown)))
        elif language in _SHELLS:
            follower = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            is_output = follower[0] == "text" and not follower[1].startswith("$ ")
            shown = follower[1].rstrip("\n").split("\n") if is_output else []
            joined = re.sub(r"&&\n", "&& ", _joined(text)) if language == "sh" else text.replace("\n", "; ")
            lines = [_without_comment(line) for line in joined.splitlines() if line]
            found += [Command(_SHELLS[language], line, ()) for line in lines[:-1]]
            found += [Command(_SHELLS[language], line, tuple(shown)) for line in lines[-1:]]
    return found


def _joined(text: str) -> str:
    return re.sub(r" *\\\n.*", "", text)  # the first line names the command


def _without_comment(line: str) -> str:
    return re.sub(r"\s+# .*", "", line)


_VARIES = re.compile(r"(?<=CPython 3\.)\d+\.\d+|\d+\.\d+(?= s\b)")
_PAGES = sorted(page for page in ("README.md", *(file.name for file in _DOCS.glob("*.md"))) if commands(page))


def fits(shown: tuple[str, ...], printed: str) -> bool:
    """Whether every line that is shown was printed, in that order; `…` stands for anything."""
    printed = _VARIES.sub("…", printed)
    wanted = [_VARIES.sub("…", line) for line in shown if line != "…"]
    pattern = r"[\s\S]*?".join(r"[^\n]*".join(map(re.escape, line.split("…"))) for line in wanted)
    return re.search(pattern, printed) is not None


class Reader:
    """A reader who pastes one command after the other; the folder and the variables stay from one to the next."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder, self.shell = folder, shell
        self._state = folder.parent / "state"
        self._state.write_text(f"cd {folder}\n")

    def paste(self, text: str) -> subprocess.CompletedProcess[str]:
        script = f". {self._state}\n{text}\nstatus=$?\necho \"cd '$PWD'\" > {self._state}\nexit $status\n"
        if self.shell != "bash":
            script = text
        env = {
            **os.environ,
            "BUILDGUARD": str(REPOSITORY),
            "PATH": f"{sys.executable.rpartition('/')[0]}:/usr/bin:/bin",
        }
        return subprocess.run([self.shell, "-c", script], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, and the reader's project with a first commit in it."""
    project = tmp_path / "folder"
    project.mkdir()
    return project


def _fill(project: Path, page: str) -> None:
    if page in _EMPTY:
        return
    toml = list(re.findall(r"^```toml\n(.*?)^```", _file(page).read_text("utf-8"), re.MULTILINE | re.DOTALL))
    files = {**_PROJECT, **({"buildguard.toml": toml[0]} if page in {"monorepo.md", "private-base.md"} else {})}
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    for words in (("init", "-q", "."), ("add", "-A"), ("commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=project, check=True)


@pytest.mark.interpreters
@pytest.mark.parametrize("page", _PAGES)
def test_every_command_of_a_page_runs(folder: Path, page: str) -> None:
    interpreter("3.11")
    interpreter("3.12")
    _fill(folder, page)
    readers: dict[str, Reader] = {}
    problems = []
    for command in commands(page):
        if command.text in _LEFT_OUT:
            continue
        if shutil.which(command.shell) is None:
            missing(f"the shell {command.shell}", f"apt-get install {command.shell}")
        start = REPOSITORY if page == "README.md" else folder
        if command.shell not in readers:
            readers[command.shell] = Reader(folder, command.shell)
        reader = readers[command.shell]
        done = reader.paste(f"cd {start}\n{command.text}" if page == "README.md" else command.text)
        expected = {0, 1} if (page, command.text) in _FINDINGS else {0}
        if done.returncode not in expected or not fits(command.shown, done.stdout):
            problems.append(f"$ {command.text} [{done.returncode}]\n{done.stdout}{done.stderr}")

    assert not problems, "\n".join(problems)


def test_what_is_left_out_is_still_on_a_page() -> None:
    """An exemption for a command that no page has any more would hide the next one."""
    written = {command.text for page in _PAGES for command in commands(page)}

    assert sorted(_LEFT_OUT - written) == []


def test_only_what_asks_google_is_left_out() -> None:
    assert all(
        re.match(r"gcloud |buildguard (deploy|rollback|history|loop|check --engine \S*cloud)|BUILDGUARD_LIVE_", text)
        for text in _NEEDS_GOOGLE
    )


def test_findings_are_shown_where_they_are_expected() -> None:
    written = {(page, command.text) for page in _PAGES for command in commands(page)}

    assert written >= _FINDINGS


def test_a_wrong_page_would_be_noticed(folder: Path) -> None:
    assert not fits(("clean: …",), "1 error\n")
    assert fits(("a…", "…", "c"), "abc\nx\nc\n")
