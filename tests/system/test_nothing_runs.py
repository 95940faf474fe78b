"""Nothing under check is ever imported or executed, whatever is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.system import programs
from tests.compare import damage
from tests.conftest import Project, missing

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULES = (
    "module.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "setup.py",
    "__init__.py",
    "__main__.py",
    "hashlib.py",
    "warnings.py",
    "resource.py",
    "encodings/__init__.py",
    "encodings/evil.py",
    "click.py",
    "ruff.py",
    "yaml.py",
    "sqlite3.py",
    "json.py",
)
_PROGRAMS = ("python3", "python", "python3.11", "python3.12", "git", "ruff", "docker", "bin/python3.11")


def _traps(mark: Path) -> dict[str, str]:
    source = f"# coding: evil\nimport os\nos.close(os.open({str(mark)!r}, os.O_CREAT))\n"
    plain = source.partition("\n")[2]
    files = dict.fromkeys(_MODULES, plain) | {"cookie.py": source}
    files |= dict.fromkeys(_PROGRAMS, f"#!/bin/sh\ntouch {mark}\n")
    files["evil.pth"] = f"import os; os.close(os.open({str(mark)!r}, os.O_CREAT))\n"
    files["Dockerfile"] = "FROM python:3.11\n"
    files[".python-version"] = "../../project\n"  # pyenv's shim would run ../../project/bin/python3.11
    files["fsmonitor"] = f"#!/bin/sh\ntouch {mark}\n"
    return files


@pytest.mark.parametrize("engine", ["interpreter", "static"])
@pytest.mark.parametrize("git", [True, False])
def test_no_trap_goes_off(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, git: bool
) -> None:
    mark = tmp_path / "mark"
    made = project(_traps(mark))
    for name in (*_PROGRAMS, "fsmonitor"):
        (made.path / name).chmod(0o755)
    if git:
        made.git("init", "--quiet")
        made.git("add", "--all")
        made.git("config", "core.fsmonitor", str(made.path / "fsmonitor"))
        made.git("config", "diff.external", str(made.path / "fsmonitor"))
    for folder in (".", "", str(made.path), str(made.path / "bin")):
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    result = made.check("--engine", engine, "--proof", "predicted")

    assert result.code == 1, result.err
    assert result.json["summary"]["files"] >= len(_MODULES)
    assert result.codes()["cookie.py"]
    assert not mark.exists()


def test_relative_entries_of_path_choose_no_program(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    made = project(_traps(mark))
    for name in _PROGRAMS:
        (made.path / name).chmod(0o755)
    made.git("init", "--quiet")
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}bin{os.pathsep}{os.environ['PATH']}")

    assert made.check("--engine", "interpreter").code == 1
    assert made.check("--engine", "static").code == 1
    assert not mark.exists()


def test_an_interpreter_inside_the_project_is_not_run(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    made = project({"a.py": "", "env/bin/python3.7": f"#!/bin/sh\ntouch {mark}\n"})
    (made.path / "env/bin/python3.7").chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.path / 'env/bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "no-pyenv"))

    result = made.check("--target", "3.7", "--engine", "interpreter")

    assert result.code == 3
    assert not mark.exists()


# ------------------------------------------------------------------------------------------ git's configuration


def _settings(trap: Path) -> dict[str, str]:
    """Settings of git that name a program, each with one that leaves a mark under its own name."""

    def run(name: str, then: str = "cat") -> str:
        return f"touch '{trap.parent}/ran-{name}'; {then} #"

    program = {
        name: str(_script(trap, name))
        for name in ("gpg", "ssh-gpg", "x509", "openpgp", "hook", "ssh", "askpass", "proxy")
    }
    return {
        "log.showSignature": "true",
        "gpg.program": program["gpg"],
        "gpg.openpgp.program": program["openpgp"],
        "gpg.ssh.program": program["ssh-gpg"],
        "gpg.ssh.defaultKeyCommand": program["ssh-gpg"],
        "gpg.x509.program": program["x509"],
        "filter.evil.clean": run("clean"),
        "filter.evil.smudge": run("smudge"),
        "filter.evil.required": "true",
        "filter.a=b.clean": run("clean-equals"),
        "filter.a=b.smudge": run("smudge-equals"),
        "filter.long.process": run("process", "false"),
        "filter.lfs.process": run("lfs", "false"),
        "filter.lfs.clean": run("lfs-clean"),
        "filter.lfs.smudge": run("lfs-smudge"),
        "diff.external": run("external"),
        "diff.evil.command": run("diff-command"),
        "diff.evil.textconv": run("textconv"),
        "diff.tool": "evil",
        "difftool.evil.cmd": run("difftool"),
        "merge.evil.driver": run("merge"),
        "mergetool.evil.cmd": run("mergetool"),
        "interactive.diffFilter": run("interactive"),
        "core.fsmonitor": program["hook"],
        "core.hooksPath": str(trap / "hooks"),
        "core.pager": run("pager"),
        "pager.log": "true",
        "pager.diff": run("pager-diff"),
        "pager.config": run("pager-config"),
        "core.editor": run("editor"),
        "sequence.editor": run("sequence"),
        "core.sshCommand": run("ssh-command"),
        "core.askPass": program["askpass"],
        "core.gitProxy": program["proxy"],
        "core.alternateRefsCommand": run("alternate"),
        "credential.helper": f"!{run('credential')}",
        "alias.log": f"!{run('alias')}",
        "alias.ls-files": f"!{run('alias-ls')}",
        "remote.origin.url": f"ext::{_script(trap, 'ext')}",
        "remote.origin.uploadpack": run("uploadpack"),
        "remote.origin.promisor": "true",
        "remote.origin.partialCloneFilter": "blob:none",
        "remote.other.vcs": "evil",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "uploadpack.packObjectsHook": run("pack"),
        "submodule.sub.update": f"!{run('submodule')}",
        "submodule.recurse": "true",
        "status.submoduleSummary": "true",
        "tar.tar.command": run("tar"),
        "trailer.evil.command": run("trailer"),
        "include.path": str(trap / "included"),
    }


def _script(folder: Path, name: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\ntouch '{folder.parent}/ran-{name.replace('/', '-')}'\n")
    file.chmod(0o755)
    return file


_HOOKS = (
    "applypatch-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-rewrite",
    "pre-auto-gc",
    "pre-commit",
    "reference-transaction",
)


def _plant(folder: Path, trap: Path) -> None:
    """Put every trap into a repository: its settings, its hooks, its attributes."""
    for name in _HOOKS:
        _script(trap, f"hooks/{name}")
        shutil.copy(trap / "hooks" / name, folder / damage.git(folder, "rev-parse", "--git-path", "hooks").strip())
    (trap / "included").write_text(f'[filter "inc"]\n\tclean = "touch {trap.parent}/ran-included; cat"\n')
    for name, value in _settings(trap).items():
        damage.git(folder, "config", name, value)


_ATTRIBUTES = """\
a.py filter=evil diff=evil merge=evil export-subst
b.py filter=a=b
c.py filter=long
d.py filter=inc
e.py filter=lfs
docs export-ignore
"""
_SOURCES = {name: f"# $Format:%G? %GG$\n{name[0]} = 1\n" for name in ("a.py", "b.py", "c.py", "d.py", "e.py")}
_STARTED = (
    ("check",),
    ("check", "--staged"),
    ("check", "index:"),
    ("check", "commit:HEAD"),
    ("check", "--diff-base", "HEAD~1"),
    ("check", "--diff-base", "HEAD~1", "index:"),
    ("diff", "commit:HEAD", "dir:."),
    ("diff", "index:", "dir:."),
    ("diff", "commit:HEAD", "tar:old.tar"),
    ("diff", "commit:HEAD~1", "commit:HEAD"),
    ("manifest", "commit:HEAD"),
    ("manifest", "index:"),
    ("manifest", "dir:."),
    ("diagnose", "--log", "deploy.log"),
    ("deploy", "--dry-run", "--service", "web", "--project", "p", "--region", "r"),
    ("deploy", "--dry-run", "--allow-dirty", "--service", "web", "--project", "p", "--region", "r"),
    ("doctor",),
    ("history",),
)


@pytest.fixture
def trapped(tmp_path: Path) -> Project:
    """A repository with a submodule, a signed commit and edited files, in which everything that can be set is a trap."""
    inner, made = Project(tmp_path / "inner"), Project(tmp_path / "project")
    for one in (inner, made):
        one.path.mkdir()
        one.git("init", "--quiet", "--initial-branch=main")
        one.write({**_SOURCES, ".gitattributes": _ATTRIBUTES})
    inner.commit()
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub")
    made.commit({"docs/x.txt": "", "Dockerfile": "FROM python:3.11\nCOPY . .\n", ".gitignore": "old.tar\n"})
    made.commit({"deploy.log": 'File "/app/a.py", line 2\n    a = 1\nSyntaxError: invalid syntax\n'})
    _sign(made)
    made.git("archive", "--output=old.tar", "HEAD~1")
    for folder in (made.path, made.path / "sub"):
        for name in _SOURCES:
            (folder / name).write_text(f"{name[0]} = 2\n")
    made.git("add", "a.py", "b.py")
    for name in ("a.py", "b.py"):
        (made.path / name).write_text("x = 3\n")
    _plant(made.path, tmp_path / "of-project" / "traps")
    _plant(made.path / "sub", tmp_path / "of-submodule" / "traps")
    return made


def _sign(made: Project) -> None:
    """Give the last commit a signature, which git would have a program verify."""
    head, _, message = made.git("cat-file", "commit", "HEAD").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n abcd\n -----END PGP SIGNATURE-----"
    (made.path / "old.tar").write_text(f"{head}\n{signature}\n\n{message}")
    made.git(
        "reset", "--quiet", "--soft", made.git("hash-object", "-t", "commit", "-w", "--no-filters", "old.tar").strip()
    )


def _marks(folder: Path) -> set[str]:
    return {one.name for one in folder.glob("*/ran-*")}


@pytest.mark.interpreters
def test_no_setting_of_a_repository_starts_a_program(trapped: Project, tmp_path: Path) -> None:
    for command in _STARTED:
        options = ("--engine", "static", "--proof", "predicted") if command[0] == "check" else ()
        result = trapped.run(*command, *options)

        assert not _marks(tmp_path), (command, _marks(tmp_path))
        assert "Traceback" not in result.err
        assert result.code in {0, 1, 2, 3}, (command, result.err)
        assert result.code != 2 or command[0] == "deploy", (command, result.err)


@pytest.mark.interpreters
def test_the_traps_are_real(trapped: Project, tmp_path: Path) -> None:
    for words in ("log -1", "status", "diff HEAD -- a.py", "hash-object d.py", "hash-object c.py"):
        subprocess.run(["git", *words.split()], cwd=trapped.path, capture_output=True, check=False)

    expected = {
        "ran-openpgp",
        "ran-clean",
        "ran-clean-equals",
        "ran-process",
        "ran-included",
        "ran-diff-command",
        "ran-hook",
    }
    assert expected <= _marks(tmp_path)


@pytest.mark.interpreters
def test_a_missing_object_is_not_fetched(trapped: Project, tmp_path: Path) -> None:
    oid = trapped.git("rev-parse", "HEAD:d.py").strip()
    (trapped.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    trapped.git("config", "core.repositoryFormatVersion", "1")
    trapped.git("config", "extensions.partialClone", "origin")

    for command in (
        ("diff", "commit:HEAD", "dir:."),
        ("manifest", "commit:HEAD"),
        ("check", "commit:HEAD"),
        ("check", "--diff-base", "HEAD~1"),
    ):
        assert trapped.run(*command).code in ({0} if "--diff-base" in command else {1, 3})
        assert not _marks(tmp_path), command
    subprocess.run(["git", "cat-file", "-p", oid], cwd=trapped.path, capture_output=True, check=False)
    assert "ran-ext" in _marks(tmp_path)  # what git does of its own accord


# ------------------------------------------------------------------------------------------ every program that is started

_QUICK = frozenset(("check --diff-base HEAD~1", "diff commit:HEAD tar:old.tar", "diagnose --log deploy.log"))
_EXECVE = re.compile(r'execve\("((?:[^"\\]|\\.)*)".*\) = 0$')


@pytest.mark.interpreters
@pytest.mark.skipif(sys.platform != "linux", reason="strace")
@pytest.mark.parametrize(
    "command",
    # the other commands are run among the same traps above
    [one if " ".join(one) in _QUICK else pytest.param(one, marks=pytest.mark.slow) for one in _STARTED],
    ids=" ".join,
)
def test_only_known_programs_are_started(trapped: Project, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each successful `execve` of a run, its children's too, is of git, of ruff or of a Python outside of the project."""
    if shutil.which("strace") is None:
        missing("strace", "apt-get install strace")
    options = ("--engine", "static", "--proof", "predicted") if command[0] == "check" else ()
    log = tmp_path / "strace"
    trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=execve", "-s", "4096", "-o", str(log)]

    subprocess.run(
        [*trace, str(trapped.executable), *command, *options],
        cwd=trapped.path,
        env={**os.environ, **trapped.env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )

    started = {match[1] for line in log.read_text().splitlines() if (match := _EXECVE.search(line))}
    assert str(trapped.executable) in started
    names = {re.sub(r"[0-9.]+$", "", os.path.basename(path)) for path in started}
    assert names <= {"buildguard", "git", "ruff", "python", "pyenv"}, started
    assert not [path for path in started if not os.path.isabs(path) or Path(path).is_relative_to(tmp_path)]
    assert not _marks(tmp_path)


# ------------------------------------------------------------------------------------------ programs inside the project


@pytest.mark.parametrize("inside", ["dir", "link"])
def test_git_inside_the_project_is_not_run(
    repository: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n", "pkg/a.py": "x = 1\n"})
    names = ("git", "docker", "ssh", "gcloud", "docker-credential-evil", "ruff", "uv", "python3")
    for name in names:
        _script(made.path / ".venv/bin", name)
    folder = made.path / ".venv/bin"
    if inside == "link":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(made.path / ".venv/bin" / name)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    codes = [
        made.run(*command, cwd=cwd).code
        for cwd in (made.path, made.path / "pkg")
        for command in (
            ("check", "--engine", "static", "--proof", "predicted"),
            ("diff", "commit:HEAD", "dir:."),
            ("doctor",),
        )
    ]

    assert set(codes) <= {0, 1}
    assert not list(made.path.rglob("ran-*"))


def test_libraries_find_no_program_inside_the_project(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository({})
    _script(made.path / ".venv/bin", "gcloud")
    (made.path / "deep").mkdir()
    monkeypatch.chdir(made.path / "deep")
    before = f"{made.path / '.venv/bin'}{os.pathsep}.{os.pathsep}/usr/bin"
    monkeypatch.setenv("PATH", before)
    monkeypatch.setattr(programs, "_before", {})

    programs.leave_project_out_of_path()

    assert os.environ["PATH"] == "/usr/bin"
    assert programs.users_environment()["PATH"] == before
    assert programs.which_for_user("gcloud") == str(made.path / ".venv/bin/gcloud")
    monkeypatch.setenv("PATH", "/opt/other/bin")  # what is set later counts
    assert programs.users_environment()["PATH"] == "/opt/other/bin"


def test_a_home_folder_that_is_a_repository_keeps_its_programs(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository({})
    _script(made.path / "bin", "tool")
    (made.path / "work").mkdir()
    monkeypatch.setenv("HOME", str(made.path))
    monkeypatch.setenv("PATH", str(made.path / "bin"))

    assert programs.which("tool", made.path / "work") == str(made.path / "bin/tool")
    assert programs.which("tool", made.path / "bin") is None


def test_a_submodule_counts_as_part_of_its_project(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository({})
    (made.path / "sub").mkdir()
    (made.path / "sub/.git").write_text("gitdir: ../.git/modules/sub\n")
    _script(made.path / "bin", "tool")
    monkeypatch.setenv("PATH", str(made.path / "bin"))

    assert programs.which("tool", made.path / "sub") is None


def test_a_verify_command_may_use_the_project(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    from buildguard.deploy.verify import run_verify
    from buildguard.project.verify_config import VerifyCommand

    made = repository({})
    _script(made.path / ".venv/bin", "smoke")
    before = f"{made.path / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setattr(programs, "_before", {os.environ["PATH"]: before})

    run_verify(VerifyCommand("smoke"), "http://127.0.0.1:1", "web-1", made.path)

    assert (made.path / ".venv/ran-smoke").exists()
