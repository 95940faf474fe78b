"""`verify` in the configuration: commands as strings and as tables, and what is refused."""

from __future__ import annotations

from datetime import date

import pytest

from buildguard.errors import UsageError
from buildguard.project import config
from buildguard.project.deploy_table import DeployTable
from buildguard.project.verify_config import KnownFailure, VerifyCommand


def _read(text: str) -> DeployTable:
    return config.read({b"buildguard.toml": f"[deploy]\n{text}\n".encode()}).deploy


def test_commands() -> None:
    table = _read(
        'verify = ["pytest tests/e2e", {run = "curl -fsS x", tests = false}, {run = "go", pattern = "ok {passed}"}]'
    )

    assert table.verify == (
        VerifyCommand("pytest tests/e2e"),
        VerifyCommand("curl -fsS x", tests=False),
        VerifyCommand("go", pattern="ok {passed}"),
    )


def test_what_is_set_for_all_commands() -> None:
    table = _read('verify = ["run", {run = "curl", tests = false}]\npattern = "P: {passed}"')

    assert table.verify == (
        VerifyCommand("run", pattern="P: {passed}"),
        VerifyCommand("curl", tests=False, pattern="P: {passed}"),
    )


def test_gates_and_known_failures() -> None:
    table = _read(
        'verify = [{run = "a", gate = 0.9}, {run = "b", gate = 1}]\nno-regressions = true\nknown-failures = ['
        '{test = "t", reason = "r", until = 2026-12-31}, {test = "u", reason = "r", until = "2026-12-31"}]'
    )

    assert [command.gate for command in table.verify] == [0.9, 1]
    assert table.no_regressions
    assert table.known_failures == (
        KnownFailure("t", "r", date(2026, 12, 31)),
        KnownFailure("u", "r", date(2026, 12, 31)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("verify = [1]", "must be a list of commands"),
        ("verify = [{tests = false}]", "must be a list of commands"),
        ('verify = [{run = "x", gates = 1}]', "unknown key 'verify.gates'"),
        ('verify = [{run = "x", tests = "no"}]', "wrong type"),
        ('verify = [{run = "x", gate = 0}]', "gate = 0"),
        ('verify = [{run = "x", gate = 90}]', "gate = 90"),
        ('verify = [{run = "x", gate = true}]', "wrong type"),
        ('known-failures = ["t"]', "a test, a reason and a day"),
        ('known-failures = [{test = "t", reason = "r"}]', "a test, a reason and a day"),
        ('known-failures = [{test = "t", reason = "", until = 2026-01-01}]', "a test, a reason and a day"),
        ('known-failures = [{test = "t", reason = "r", until = "soon"}]', "a test, a reason and a day"),
        ('no-regressions = "yes"', "must be true or false"),
        ('pattern = "Failed: {failed}"', "{passed}"),
        ('pattern = "{passed} {passed}"', "{passed} once"),
        ('pattern = "{passed} {broken}"', "{broken}"),
        ("pattern = '(?P<passed>[0-9]+'", "no regular expression"),
        (r"pattern = '(?P<passed>(\d+)+)x'", "may repeat no group"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        _read(text)
    assert words in error.value.what
