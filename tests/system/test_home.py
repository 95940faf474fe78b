"""Users without a home folder, as containers and services have them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Never

import pytest

from buildguard.project.user_config import read_user_config
from buildguard.system.cache import cache_folder
from buildguard.system.home import home_folder
from buildguard.system.pythons import candidates


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert home_folder() == tmp_path


def test_a_user_without_home_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_number: int) -> Never:
        raise KeyError

    for name in ("HOME", "BUILDGUARD_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)

    assert home_folder() == Path("/nonexistent")
    assert cache_folder() == Path("/nonexistent/.cache/buildguard")
    assert list(candidates("3.99", Path("/nowhere"))) == []
    assert not read_user_config().fetch_python


@pytest.mark.parametrize("home", ["/dev/null", "/root/x"])
def test_a_home_that_cannot_be_entered_has_no_configuration(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    assert not read_user_config().fetch_python


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_of_another_user_has_no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = tmp_path / "buildguard"
    closed.mkdir(mode=0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert not read_user_config().fetch_python
