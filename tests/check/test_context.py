"""What a command works on: sources, targets and images, from flags, configuration and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.check.context import asked_about, image_of, nothing_checked, prepare, share_of
from buildguard.errors import UsageError
from buildguard.locate import locate
from buildguard.project.config import Config
from buildguard.project.request import CheckRequest
from buildguard.project.target import PythonVersion, Target

if TYPE_CHECKING:
    from buildguard.check.context import Job

pytestmark = pytest.mark.interpreters

_TARGET = Target(PythonVersion(11), "Dockerfile", "python:3.11-slim")


def _prepare(folder: Path, files: dict[str, str], *paths: str, **flags: Any) -> Job:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return prepare(CheckRequest(folder, use_cache=False, **flags), locate(folder, paths))


def test_the_dockerfile_decides_the_target(tmp_path: Path) -> None:
    job = _prepare(tmp_path, {"Dockerfile": "FROM python:3.9\nCOPY . .\n", "a.py": "", "b.txt": ""})

    assert [(target.python, target.image) for target in job.targets] == [("3.9", "python:3.9")]
    assert [entry.path for entry in share_of(job.targets[0], job)] == [b"a.py"]
    assert asked_about(job) == {b"a.py"}


def test_a_flag_wins_over_the_files(tmp_path: Path) -> None:
    job = _prepare(tmp_path, {"Dockerfile": "FROM python:3.9\n", "a.py": ""}, targets=("3.12",))

    assert [target.python for target in job.targets] == ["3.12"]


def test_an_image_alone_is_a_target(tmp_path: Path) -> None:
    job = _prepare(tmp_path, {"a.py": ""}, image="acme/web")

    assert [(target.version, target.image) for target in job.targets] == [(None, "acme/web")]
    with pytest.raises(UsageError):
        _prepare(tmp_path, {})


def test_another_implementation_is_no_cpython_whatever_is_declared(tmp_path: Path) -> None:
    files = {"a.py": "", "pyproject.toml": '[tool.buildguard]\ntarget = ["3.10"]\n'}
    named = _prepare(tmp_path, files, image="pypy:3.10")
    configured = _prepare(
        tmp_path, {**files, "pyproject.toml": '[tool.buildguard]\ntarget = ["3.10"]\nimage = "pypy:3.10"\n'}
    )

    for job in (named, configured):
        [target] = job.targets
        assert (target.version, target.image) == (None, "pypy:3.10")
        assert "PyPy" in target.why_unknown


def test_one_image_cannot_stand_for_several_targets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several targets"):
        _prepare(tmp_path, {"a.py": ""}, targets=("3.9", "3.12"), image="acme/web")


def test_a_deploy_leaves_out_what_no_build_has(tmp_path: Path) -> None:
    files = {"api/Dockerfile": "FROM python:3.9\nCOPY a.py .\n", "api/a.py": "", "tool.py": ""}

    everything, built = (_prepare(tmp_path, files, only_built=only) for only in (False, True))
    library = _prepare(tmp_path / "lib", {".python-version": "3.11\n", "x.py": ""}, only_built=True)

    assert [target.context for target in everything.targets] == ["api", None]
    assert [target.context for target in built.targets] == ["api"]
    assert (asked_about(everything), asked_about(built)) == ({b"api/a.py", b"tool.py"}, {b"api/a.py"})
    assert [target.python for target in library.targets] == ["3.11"]


def test_paths_narrow_what_is_covered(tmp_path: Path) -> None:
    job = _prepare(tmp_path, {"Dockerfile": "FROM python:3.9\n", "src/a.py": "", "b.py": ""}, "src")

    assert [entry.path for entry in job.chosen.sources] == [b"src/a.py"]
    assert [job.covers(path) for path in (b"src/a.py", b"src", b"srcs/a.py", b"b.py")] == [True, True, False, False]
    assert nothing_checked(job) == "no Python source in src"
    assert not job._replace(scope=None).covers(b"src/a.py")


def test_a_log_is_for_another_command(tmp_path: Path) -> None:
    job = _prepare(tmp_path, {"Dockerfile": "FROM python:3.9\n", "build.log": "SyntaxError\n"}, "build.log")

    assert nothing_checked(job) == "no Python source in build.log (`buildguard diagnose --log build.log` reads a log)"


@pytest.mark.parametrize(
    ("flags", "config_image", "target", "expected"),
    [
        ({"image": "acme/web"}, "acme/other", _TARGET, ("acme/web", "image")),
        ({}, "acme/other", _TARGET, ("acme/other", "image")),
        ({"targets": ("3.11",)}, "acme/other", _TARGET, ("python:3.11-slim", "image")),
        ({}, "", _TARGET._replace(image="$BASE"), ("python:3.11-slim", "compiled")),
        ({}, "", Target(None, "nothing"), ("", "compiled")),
        ({}, "", _TARGET._replace(doubt="another stage may run"), ("python:3.11-slim", "compiled")),
        ({"image": "acme/web"}, "", _TARGET._replace(doubt="another stage may run"), ("acme/web", "image")),
    ],
)
def test_which_image_is_asked_and_what_that_proves(
    flags: dict[str, Any], config_image: str, target: Target, expected: tuple[str, str]
) -> None:
    assert image_of(CheckRequest(Path(), **flags), Config(image=config_image), target) == expected
