"""Interpreters that hang, die or lie, and the search for honest ones."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.docker import client
from buildguard.engines.engine import ReadyEngine, UnavailableEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.engines.pool import source_of
from buildguard.errors import UnprovenError
from buildguard.project.target import PythonVersion
from buildguard.system.pythons import candidates, default_python3, skipped_places
from tests.conftest import Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.interpreters


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A PATH with one program of ours in front of the system's, and no version manager."""

    def make(name: str, script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "no-pyenv"))
        return folder / name

    return make


def _prepare(version: str, patience: float = 30) -> ReadyEngine | UnavailableEngine:
    wanted = PythonVersion.parse(version)
    assert wanted is not None
    engine = InterpreterEngine(wanted, Path("/nowhere"), 1, patience=patience)
    try:
        return engine.prepare()
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\nsleep 60 & sleep 60\n", "did not answer within 1 seconds"),
        ("#!/bin/sh\nexit 7\n", "ended with status 7"),
        ("#!/bin/sh\necho no such library >&2\nexit 127\n", "no such library"),
        ("#!/bin/sh\nkill -SEGV $$\n", "SIGSEGV"),
        ("#!/bin/sh\necho Python 3.9.1\nsleep 60\n", "could not be read"),
        (
            "#!/bin/sh\nprintf '7\\n16:buildguard-probe7:cpython5:3.9.11:x1:x1:x6:sha256'; read question; exit 0\n",
            "does not compile as",
        ),
        ("#!/bin/sh\nyes\n", "could not be read"),
        ("#!/nowhere/at/all\n", "could not be started"),
        ("not a program\n", "could not be started"),
    ],
)
def test_a_bad_interpreter_is_told_and_passed_over(only: Callable[[str, str], Path], script: str, words: str) -> None:
    only("python3.9", script)

    answer = _prepare("3.9", patience=1 if "within 1 seconds" in words else 30)

    assert isinstance(answer, UnavailableEngine)
    assert words in answer.reason
    assert answer.hint == "uv python install 3.9, or buildguard check --fetch-python"


def test_a_hanging_one_is_killed_with_its_children(only: Callable[[str, str], Path], tmp_path: Path) -> None:
    only(
        "python3.9",
        f"#!/bin/sh\nsleep 4321 & echo $! > {tmp_path / 'new'}\nmv {tmp_path / 'new'} {tmp_path / 'pid'}\nwait\n",
    )

    for patience in (1, 3, 30):  # a loaded machine may not have started it before
        _prepare("3.9", patience=patience)
        if (tmp_path / "pid").exists():
            break

    pid = int((tmp_path / "pid").read_text())
    for _ in range(1200):
        if not Path(f"/proc/{pid}/cmdline").exists() or b"4321" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        time.sleep(0.05)
    pytest.fail("the hanging interpreter's child still runs")


def test_one_that_lies_about_its_version(only: Callable[[str, str], Path]) -> None:
    only("python3.9", f'#!/bin/sh\nexec {interpreter("3.12")} "$@"\n')

    answer = _prepare("3.9")

    assert isinstance(answer, UnavailableEngine)
    assert "runs Python 3.12" in answer.reason


def test_one_that_lies_even_to_the_probe(only: Callable[[str, str], Path], tmp_path: Path) -> None:
    """It claims 3.9 in sys.version_info, and is given away by what it accepts."""
    lie = tmp_path / "lie.py"
    lie.write_text(
        "import sys\nargv = sys.argv[1:]\ncode = argv[argv.index('-c') + 1]\n"
        "class V(tuple): pass\nsys.version_info = V((3, 9, 1, 'final', 0))\nsys.argv = ['-c', argv[-1]]\n"
        "exec(compile(code, 'probe', 'exec'), {'__name__': '__main__'})\n"
    )
    only("python3.9", f'#!/bin/sh\nexec {interpreter("3.12")} {lie} "$@"\n')

    answer = _prepare("3.9")

    assert isinstance(answer, UnavailableEngine)
    assert "does not compile as Python 3.9 does" in answer.reason


def test_the_exact_patch_release_is_preferred() -> None:
    paths = [path for path, _where in candidates("3.11", Path("/nowhere"))]
    if len(paths) < 2:
        pytest.skip("needs two releases of 3.11")
    interpreter("3.11")

    for wanted in ("3.11.7",):
        answer = _prepare(wanted)
        assert isinstance(answer, ReadyEngine)
        assert answer.version == wanted
        assert not answer.note


def test_shims_are_looked_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, mark = tmp_path / "pyenv", tmp_path / "mark"
    (root / "shims").mkdir(parents=True)
    for name in ("python3", "python3.9"):
        (root / "shims" / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (root / "shims" / name).chmod(0o755)
    real = interpreter("3.9")
    (root / "versions" / "3.9.18" / "bin").mkdir(parents=True)
    for name in ("python3", "python3.9"):
        (root / "versions" / "3.9.18" / "bin" / name).symlink_to(real)
    (root / "version").write_text("3.9\n")
    monkeypatch.setenv("PYENV_ROOT", str(root))
    monkeypatch.setenv("PATH", str(root / "shims"))
    folder = tmp_path / "project"
    folder.mkdir()

    assert next(candidates("3.9", folder))[0] == real.resolve()
    assert default_python3(folder) == real.resolve()
    (folder / ".python-version").write_text("../../evil\n")
    assert default_python3(folder) is None
    assert not mark.exists()


def test_uv_and_conda_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    places = [tmp_path / "uv" / "cpython-3.9.18-linux-x86_64-gnu" / "bin", tmp_path / "conda" / "bin"]
    for place in places:
        place.mkdir(parents=True)
        for name in ("python3", "python3.9"):
            (place / name).write_text(f"#!/bin/sh\n# {place}\n")
            (place / name).chmod(0o755)
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"{tmp_path / 'conda'}\n")

    found = {path for path, _where in candidates("3.9", Path("/nowhere"))}

    assert {place / "python3.9" for place in places} <= found


def test_folders_that_may_not_be_read_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `su`: PATH, HOME and XDG_RUNTIME_DIR are still another person's."""
    locked, mine = tmp_path / "locked", tmp_path / "mine"
    mine.mkdir()
    (mine / "python3.9").write_text("#!/bin/sh\n")
    (mine / "python3.9").chmod(0o755)
    real, scandir = os.stat, os.scandir

    def listed(path: Any) -> Any:
        stat(path)
        return scandir(path)

    def stat(path: Any, **how: Any) -> os.stat_result:
        if str(path).startswith(str(locked)):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **how)

    monkeypatch.setenv("PATH", f"{locked}{os.pathsep}{mine}")
    for name in ("HOME", "PYENV_ROOT", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(locked))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "scandir", listed)

    found = list(candidates("3.9", tmp_path / "project"))

    assert found[0][0] == mine / "python3.9"
    assert list(skipped_places()) == [f"{locked}/versions is skipped: Permission denied"]
    (mine / "python3").symlink_to("python3.9")
    monkeypatch.setenv("PATH", f"{locked}/shims{os.pathsep}{mine}")
    assert default_python3(tmp_path / "project") == mine / "python3.9"
    with suppress(UnprovenError):
        client.find()


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.13"])
def test_every_version_greets(version: str) -> None:
    interpreter(version)

    answer = _prepare(version)

    assert isinstance(answer, ReadyEngine)
    assert answer.version.startswith(f"{version}.")
    assert answer.proof == "compiled"


def test_the_running_one_counts(only: Callable[[str, str], Path]) -> None:
    only("nothing", "")

    answer = _prepare(f"3.{sys.version_info.minor}")

    assert isinstance(answer, ReadyEngine)


def test_verdicts_come_from_those_very_bytes(project: Callable[..., Project]) -> None:
    """A probe that answers for other bytes than it was sent is no witness."""
    from buildguard.engines.pool import Pool
    from buildguard.engines.verify_interpreter import probe_text
    from buildguard.engines.worker import ProbeLimits
    from buildguard.errors import UnprovenError
    from buildguard.system.channels import LocalSite

    text = probe_text()
    lying = text.replace("(data).hexdigest()", "(data + b'x').hexdigest()")
    assert lying != text
    pool = Pool(
        LocalSite(lambda memory: [sys.executable, "-I", "-S", "-B", "-c", lying, str(memory)]), 1, ProbeLimits()
    )
    try:
        pool.greet(10)
        with pytest.raises(UnprovenError, match="other bytes"):
            list(pool.run(iter([source_of(0, b"x = 1\n")])))
    finally:
        pool.close()
