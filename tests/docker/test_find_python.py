"""Which interpreter of an image is tried first, by nothing but the image's files."""

from __future__ import annotations

import pytest

from buildguard.docker.find_python import candidates, library_folders
from buildguard.errors import UnprovenError
from tests.docker.fakes import FakeCell, image_of

_PYTHON = b"\x7fELF"


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (("python3.9", "main.py"), "/usr/bin/python3.9"),
        (("/opt/venv/bin/python", "main.py"), "/opt/venv/bin/python"),
        (("tini", "--", "/opt/venv/bin/python"), "/opt/venv/bin/python"),
        (("env", "A=1", "python3.9"), "/usr/bin/python3.9"),
        (("/bin/sh", "-c", "exec python3.9 -m app"), "/usr/bin/python3.9"),
        (("sh", "-c", "an 'unclosed quote"), "/usr/bin/python3"),
        (("gunicorn", "app:app"), "/opt/venv/bin/python"),
        (("flask", "run"), "/usr/bin/python3.9"),
        (("/srv/server",), "/usr/bin/python3"),
        (("missing",), "/usr/bin/python3"),
        ((), "/usr/bin/python3"),
        (("bin/python", "x.py"), "/app/bin/python"),
    ],
)
def test_the_command_of_an_image_names_its_python(command: tuple[str, ...], first: str) -> None:
    cell = FakeCell(
        {
            "/usr/bin/python3": _PYTHON,
            "/usr/bin/python3.9": _PYTHON,
            "/opt/venv/bin/python": _PYTHON,
            "/app/bin/python": _PYTHON,
            "/usr/bin/gunicorn": b"#!/opt/venv/bin/python\nimport gunicorn\n",
            "/usr/bin/flask": b"#!/usr/bin/env python3.9\nimport flask\n",
            "/srv/server": b"#!/bin/sh\nexec true\n",
        }
    )

    assert next(candidates(cell.cell, image_of(*command))) == first


def test_a_python_that_the_command_names_and_the_image_lacks_is_no_guess() -> None:
    cell = FakeCell({"/usr/bin/python3": _PYTHON})

    with pytest.raises(UnprovenError, match=r"app:1 runs python3\.9"):
        next(candidates(cell.cell, image_of("python3.9", "main.py")))


@pytest.mark.parametrize("command", [("/opt/bin/python", "x.py"), ("gunicorn", "app:app")])
def test_no_other_python_answers_for_the_one_that_starts(command: tuple[str, ...]) -> None:
    files = {"/usr/bin/python": _PYTHON, "/opt/bin/python": _PYTHON, "/usr/bin/gunicorn": b"#!/opt/bin/python\n"}

    assert list(candidates(FakeCell(files).cell, image_of(*command))) == ["/opt/bin/python"]


@pytest.mark.parametrize("line", [b"#!/opt/venv/bin/python\n", b"#!/usr/bin/env python3.9\n"])
def test_a_script_whose_python_is_missing_does_not_start(line: bytes) -> None:
    cell = FakeCell({"/usr/bin/python3": _PYTHON, "/usr/bin/gunicorn": line})

    with pytest.raises(UnprovenError, match=r"app:1 runs /usr/bin/gunicorn, whose first line names \S*python"):
        next(candidates(cell.cell, image_of("gunicorn", "app:app")))


def test_an_empty_path_finds_no_program() -> None:
    cell = FakeCell({"/usr/bin/python3": _PYTHON})

    with pytest.raises(UnprovenError, match="app:1 runs python3"):
        next(candidates(cell.cell, image_of("python3", env=("PATH=",))))


def test_candidates_come_once_and_the_whole_image_is_read_last() -> None:
    cell = FakeCell(
        {
            "/usr/bin/python": _PYTHON,
            "/app/.venv/bin/python": _PYTHON,
            "/srv/env/bin/python": _PYTHON,
            "/opt/deep/er/bin/python3": _PYTHON,
            "/opt/python": _PYTHON,  # not in a folder called bin
        }
    )
    rest = candidates(cell.cell, image_of(env=("VIRTUAL_ENV=/srv/env",)))

    assert [next(rest) for _ in range(3)] == ["/usr/bin/python", "/srv/env/bin/python", "/app/.venv/bin/python"]
    assert cell.exports == 0
    assert list(rest) == ["/opt/deep/er/bin/python3"]


def test_library_folders_follow_the_programs_that_are_there() -> None:
    cell = FakeCell(
        {
            "/usr/lib/python3/dist-packages/apt.py": b"",
            "/usr/local/lib/python3.11/site-packages/a.py": b"",
            "/opt/venv/lib/python3.12/site-packages/b.py": b"",
        }
    )

    folders = list(library_folders(cell.cell, image_of("/opt/venv/bin/gunicorn", env=("PYTHONPATH=/extra:relative",))))

    assert "/usr/local/lib/python3.11/site-packages" in folders
    assert "/usr/lib/python3/dist-packages" in folders
    assert "/opt/venv/lib/python3.12/site-packages" in folders
    assert folders[-1] == "/extra"
    assert not [folder for folder in folders if "lib64" in folder or "relative" in folder]


@pytest.mark.parametrize(
    ("user", "env", "home"),
    [
        ("", (), "/root"),
        ("web", (), "/srv/web"),
        ("1000:1000", (), "/srv/web"),
        ("1000", ("HOME=/opt/home",), "/opt/home"),
        ("other", (), ""),
    ],
)
def test_the_packages_of_the_user_are_searched(user: str, env: tuple[str, ...], home: str) -> None:
    sites = [f"{base}/.local/lib/python3.11/site-packages" for base in ("/root", "/srv/web", "/opt/home")]
    accounts = b"root:x:0:0::/root:/bin/sh\nbroken\nweb:x:1000:1000::/srv/web:/bin/sh\n"
    cell = FakeCell({"/etc/passwd": accounts, **{f"{site}/a.py": b"" for site in sites}})

    folders = list(library_folders(cell.cell, image_of("python3", env=env)._replace(user=user)))

    found = [folder for folder in folders if folder.endswith("site-packages")]
    assert found == ([f"{home}/.local/lib/python3.11/site-packages"] if home else [])


def test_without_accounts_root_has_its_home() -> None:
    cell = FakeCell({"/root/.local/lib/python3.11/site-packages/a.py": b""})

    assert "/root/.local/lib/python3.11/site-packages" in library_folders(cell.cell, image_of("python3"))
