"""The JUnit files that a verify command wrote, and none that it did not write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from buildguard.cycles import junit
from buildguard.cycles.test_reports import ANY, PYTEST, Reports
from tests.stages.deep import flatten, nest

if TYPE_CHECKING:
    from pathlib import Path

_FIRST, _SECOND = (b'<?xml version="1.0"?><testsuite tests="%d"/>' % number for number in (1, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


def test_a_second_pytest_does_not_hide_the_first(folder: Path, tmp_path: Path) -> None:
    with Reports(folder, "pytest a; pytest b", tmp_path) as reports:
        for document in (_FIRST, _SECOND):
            with open(folder / PYTEST, "wb") as pipe:
                pipe.write(document)
        assert reports.written() == [_FIRST, _SECOND]


def test_any_xml_file_in_our_folder_counts(folder: Path, tmp_path: Path) -> None:
    with Reports(folder, "npm test", tmp_path) as reports:
        (folder / ANY).write_bytes(_FIRST)
        (folder / "log.txt").write_bytes(_SECOND)
        assert reports.written() == [_FIRST]


def test_a_report_below_more_folders_than_python_calls_functions(folder: Path, tmp_path: Path) -> None:
    nest(folder, 1200, b"")
    try:
        with Reports(folder, "npm test", tmp_path) as reports:
            (folder / "d" / ANY).write_bytes(_FIRST)
            assert reports.written() == [_FIRST]
    finally:
        (folder / "d" / ANY).unlink()
        flatten(folder, 1200)


@pytest.mark.parametrize("option", ["--junitxml=own.xml", "--junit-xml own.xml", "--junitxml='own.xml'"])
def test_the_file_that_the_command_names_is_read(folder: Path, tmp_path: Path, option: str) -> None:
    with Reports(folder, f"pytest {option} -q", tmp_path) as reports:
        (tmp_path / "own.xml").write_bytes(_FIRST)
        assert reports.written() == [_FIRST]


def test_a_file_of_an_earlier_run_proves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.xml").write_bytes(_FIRST)

    with Reports(folder, "pytest --junitxml=own.xml", tmp_path) as reports:
        assert reports.written() == []
    with Reports(folder, "pytest --junitxml=own.xml", tmp_path) as reports:
        (tmp_path / "own.xml").write_bytes(_FIRST)
        os.utime(tmp_path / "own.xml", (1, 1))
        assert reports.written() == [_FIRST]


def test_more_than_can_be_read_leaves_a_mark(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", len(_FIRST))

    with Reports(folder, "pytest", tmp_path) as reports:
        (folder / "a.xml").write_bytes(_FIRST)
        (folder / "b.xml").write_bytes(_SECOND)
        contents = reports.written()

    assert contents[-1] == b""  # no JUnit file, and so no proof


def test_a_pipe_that_nothing_writes_to_is_not_waited_for(folder: Path, tmp_path: Path) -> None:
    with Reports(folder, "pytest", tmp_path) as reports:
        os.mkfifo(folder / "never.xml")
        assert reports.written() == []
