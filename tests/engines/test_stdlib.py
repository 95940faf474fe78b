"""Every standard library on this machine, its deliberately bad test files included, compiled by each version."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ALL, REPOSITORY, SOME_VERSIONS, VERSIONS, Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable


def _libraries() -> list[Path]:
    found = []
    for version in ("3.6", "3.7", *VERSIONS):
        try:
            executable = interpreter(version)
        except pytest.skip.Exception:
            continue
        except pytest.fail.Exception:
            if version in VERSIONS:
                raise
            continue
        found.append(executable.parents[1] / "lib" / f"python{version}")
    return found


@functools.cache
def _sources() -> tuple[tuple[Path, str, int], ...]:
    """Every source of the standard libraries, a name made from its digest, and its share of 72; a few shares unless all are run."""
    found = []
    for library in _libraries():
        for here, folders, files in os.walk(library):
            folders[:] = [name for name in folders if name not in {"site-packages", "dist-packages", "__pycache__"}]
            for file in (Path(here, name) for name in files if name.endswith(".py")):
                digest = hashlib.sha256(file.read_bytes())
                share = digest.digest()[1] % 72
                if ALL or share < 3:
                    found.append((file, f"{digest.hexdigest()[:32]}.py", share))
    return tuple(found)


def _fill(folder: Path, third: int) -> list[Path]:
    """A third of the distinct sources of the standard libraries, a 72nd unless all are run."""
    for file, name, share in _sources():
        if share % 3 == third:  # which spreads the files of odd encodings over all three
            (folder / name).write_bytes(file.read_bytes())
    return sorted(folder.iterdir())


def _reference(executable: Path, paths: list[Path]) -> list[tuple[str, int | None]]:
    """Name and line of each file that the interpreter's own `compile` refuses."""
    answers: list[str] = []
    while len(answers) < len(paths):
        done = subprocess.run(
            [executable, "-I", "-S", "-B", REPOSITORY / "tests" / "reference.py"],
            input=b"".join(os.fsencode(path) + b"\0" for path in paths[len(answers) :]),
            capture_output=True,
            check=False,
        )
        answers += done.stdout.decode().splitlines()
        if len(answers) < len(paths):
            answers.append(f"0 died {done.returncode}")
    return [
        (path.name, int(answer.split()[0]) or None)
        for path, answer in zip(paths, answers, strict=True)
        if not answer.endswith(" ok")
    ]


def test_verdicts_equal_compile(project: Callable[..., Project], version: str) -> None:
    made = project()
    # each file meets an old one and a new one: 3.8 and 3.11, 3.9 and 3.12, 3.10 and 3.13
    paths = _fill(made.path, SOME_VERSIONS.index(version) % 3)
    assert len(paths) > (1000 if ALL else 40)

    report = made.check("--target", version, "--no-cache", "--ignore", "BG2").json

    found = [(one["path"], one["line"]) for one in report["diagnostics"] if one["code"] in {"BG101", "BG103"}]
    expected = _reference(interpreter(version), paths)
    assert set(expected) <= set(found)
    # a second error in a file is what the compiler says once the f-strings that it refuses are out of its way
    behind = set(found) - set(expected)
    assert {path for path, _line in behind} <= {path for path, _line in expected}
    assert len(found) == len(set(found))
    assert len(behind) <= len({path for path, _line in behind})
    assert report["unproven"] == []
    assert report["summary"]["files"] == len(paths)
    text = [one["code"] for one in report["diagnostics"] if one["code"] in {"BG102", "BG107"}]
    # test/bad_coding*.py and their like; what they are about is told file by file in test_text.py
    assert len(text) <= 12
