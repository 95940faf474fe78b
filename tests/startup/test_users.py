"""The user that a container starts as; podman says of a missing one "no matching entries in passwd file"."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.startup.findings import StartupFindings, StartupReport
from buildguard.startup.users import check_user
from tests.startup.projects import report_of, rows_of
from tests.startup.test_parts import image_of

_HEAD = "FROM python:3.12-slim\nWORKDIR /srv\nRUN pip install -r requirements.txt\n"
_END = "COPY . .\nCMD gunicorn -b :$PORT main:app\n"
_STAGED = "FROM python:3.12-slim AS base\nRUN useradd app\nFROM python:3.12-slim\nRUN pip install gunicorn\nUSER app\n"


def _report(
    tmp_path: Path, steps: str, head: str = _HEAD.replace("RUN", "COPY requirements.txt .\nRUN")
) -> StartupReport:
    return report_of(tmp_path, {"Dockerfile": f"{head}{steps}{_END}"})


@pytest.mark.parametrize(
    ("steps", "head", "line"),
    [
        ("USER app\n", None, 5),
        ("USER app:app\n", None, 5),
        ("USER 1000:app\n", None, 5),
        ("USER nobody:app\n", None, 5),
        ("ENV WHO=app\nUSER $WHO\n", None, 6),
        ("", _STAGED, 5),
    ],
)
def test_an_account_that_nothing_creates(tmp_path: Path, steps: str, head: str | None, line: int) -> None:
    report = _report(tmp_path, steps, head) if head else _report(tmp_path, steps)

    assert rows_of(report) == [("BG701", "Dockerfile", line)]


@pytest.mark.parametrize(
    "steps",
    [
        "USER daemon\n",
        "USER nobody\n",
        "USER www-data:www-data\n",
        "USER 1000\n",
        "USER 1000:1000\n",
        "USER root\n",
        "USER app\nUSER www-data\n",
        "RUN useradd --create-home app\nUSER app\n",
        "RUN adduser --system --group app\nUSER app:app\n",
        "RUN echo 'app:x:1000:1000::/:/bin/sh' >> /etc/passwd\nUSER app\n",
        "COPY passwd /etc/passwd\nUSER app\n",
        "ARG WHO=app\nRUN useradd -u 1000 $WHO\nUSER $WHO\n",
        "ARG WHO\nUSER $WHO\n",
        "USER ${WHO:-}\n",
    ],
)
def test_an_account_that_exists_or_may(tmp_path: Path, steps: str) -> None:
    report = report_of(
        tmp_path, {"passwd": "", "Dockerfile": f"FROM python:3.12-slim\nWORKDIR /srv\n{steps}COPY . .\n"}
    )

    assert rows_of(report) == []


@pytest.mark.parametrize("steps", ["RUN apt-get install -y nginx\n", "RUN ./accounts.sh\n", "RUN . /x && make\n"])
def test_a_command_may_create_the_account(tmp_path: Path, steps: str) -> None:
    report = _report(tmp_path, f"{steps}USER nginx2\n")

    assert rows_of(report) == []
    assert any("the account nginx2" in item for item in report.undecided)


def test_the_accounts_of_another_base_are_unknown(tmp_path: Path) -> None:
    report = report_of(tmp_path, {"Dockerfile": "FROM acme/python:3.12\nUSER app\nCOPY . .\nCMD python main.py\n"})

    assert rows_of(report) == []


def test_the_message_names_the_account_and_what_creates_it() -> None:
    findings = StartupFindings()
    check_user(image_of(f"{_HEAD}USER app\n{_END}", {"main.py": "", "requirements.txt": ""}), findings)
    (found,) = findings.report().diagnostics

    assert found.message == "the container starts as app, and no instruction of its stage creates that account"
    assert (found.hint or "").startswith("add RUN useradd app to the last stage")
