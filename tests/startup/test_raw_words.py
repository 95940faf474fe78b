"""What the exec form of CMD and ENTRYPOINT leaves as it is: variables, and a program that both name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from buildguard.startup.raw_words import check_raw_words
from tests.startup.projects import report_of, rows_of

_HEAD = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nENV APP=main:app W=2 S=main.py\n"
_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\nuvicorn==0.30.0\ncelery==5.4.0\n",
    "main.py": "app = 1\n",
}


def _messages(tmp_path: Path, rest: str) -> list[str]:
    report = report_of(tmp_path, {**_FILES, "Dockerfile": f"{_HEAD}{rest}\n"})
    assert {row[0] for row in rows_of(report)} <= {"BG701"}
    return [finding.message for finding in report.diagnostics]


@pytest.mark.parametrize(
    ("start", "name", "raw"),
    [
        ('CMD ["gunicorn", "-b", ":8080", "$APP"]', "gunicorn", "$APP"),
        ('ENTRYPOINT ["gunicorn", "-b", ":8080"]\nCMD ["${APP}"]', "gunicorn", "${APP}"),
        ('CMD ["gunicorn", "-b", ":8080", "-w", "$W", "main:app"]', "gunicorn", "$W"),
        ('CMD ["gunicorn", "-b", ":8080", "--threads=${W:-2}", "main:app"]', "gunicorn", "${W:-2}"),
        ('CMD ["gunicorn", "-b", ":8080", "--chdir", "$HOME", "main:app"]', "gunicorn", "$HOME"),
        ('CMD ["uvicorn", "--host", "0.0.0.0", "--port", "8080", "--workers", "$W", "main:app"]', "uvicorn", "$W"),
        ('CMD ["uvicorn", "--host", "0.0.0.0", "--port", "8080", "$APP"]', "uvicorn", "$APP"),
        ('CMD ["$S"]', "the kernel", "$S"),
        ('CMD ["nohup", "$S"]', "nohup", "$S"),
        ('CMD ["python", "-u", "$S"]', "python", "$S"),
    ],
)
def test_a_variable_that_no_shell_expands(tmp_path: Path, start: str, name: str, raw: str) -> None:
    assert _messages(tmp_path, start) == [f"{name} gets {raw} as it is written: exec form expands no variable"]


@pytest.mark.parametrize(
    "start",
    [
        "CMD gunicorn -b :8080 -w $W $APP",
        'CMD ["sh", "-c", "exec gunicorn -b :8080 -w $W $APP"]',
        'ENTRYPOINT ["sh", "-c"]\nCMD ["gunicorn -b :8080 $APP"]',
        'CMD ["env", "-S", "gunicorn -b :8080 ${APP}"]',
        'CMD ["gunicorn", "-b", ":8080", "-n", "$NAME", "main:app"]',
        'CMD ["gunicorn", "-b", ":8080", "--access-logformat", "$h", "main:app"]',
        'CMD ["gunicorn", "-b", ":8080", "$(APP)"]',
        'CMD ["python", "main.py", "$DAY"]',
        'CMD ["celery", "-A", "main", "worker", "-n", "$NAME"]',
    ],
)
def test_a_variable_that_is_expanded_or_only_a_text(tmp_path: Path, start: str) -> None:
    assert _messages(tmp_path, start) == []


@pytest.mark.parametrize(
    ("start", "server"),
    [
        ('ENTRYPOINT ["gunicorn"]\nCMD ["gunicorn", "-b", ":8080", "main:app"]', "gunicorn"),
        ('ENTRYPOINT ["gunicorn", "-b", ":8080"]\nCMD ["gunicorn", "main:app"]', "gunicorn"),
        ('ENTRYPOINT ["nohup", "/usr/local/bin/gunicorn"]\nCMD ["gunicorn", "main:app"]', "gunicorn"),
        ('ENTRYPOINT ["python", "-m", "gunicorn"]\nCMD ["gunicorn", "main:app"]', "gunicorn"),
        ('ENTRYPOINT ["uvicorn"]\nCMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8080"]', "uvicorn"),
        ('ENTRYPOINT ["flask"]\nCMD ["flask", "run", "--host", "0.0.0.0", "-p", "8080"]', "flask"),
    ],
)
def test_a_server_that_both_instructions_name(tmp_path: Path, start: str, server: str) -> None:
    assert _messages(tmp_path, start) == [f"ENTRYPOINT runs {server}, and CMD begins with {server} once more"]


@pytest.mark.parametrize(
    "start",
    [
        'ENTRYPOINT ["gunicorn"]\nCMD ["-b", ":8080", "main:app"]',
        'ENTRYPOINT ["nohup"]\nCMD ["gunicorn", "-b", ":8080", "main:app"]',
        'ENTRYPOINT gunicorn -b :8080 main:app\nCMD ["gunicorn", "main:app"]',
        'CMD ["gunicorn", "-b", ":8080", "main:app"]',
    ],
)
def test_a_server_that_is_named_once(tmp_path: Path, start: str) -> None:
    assert check_raw_words.__doc__
    assert _messages(tmp_path, start) == []


def test_a_module_of_the_project_may_be_called_like_the_server(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.py").write_text("application = 1\n")

    assert not [
        text for text in _messages(tmp_path, 'ENTRYPOINT ["gunicorn"]\nCMD ["gunicorn"]') if "once more" in text
    ]


@pytest.mark.interpreters
def test_a_real_exec_expands_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "WORDS": "two words"}

    done = subprocess.run(["printf", "%s", "$WORDS"], env=environment, capture_output=True, check=False)
    shell = subprocess.run(["sh", "-c", "printf %s $WORDS"], env=environment, capture_output=True, check=False)

    assert (done.stdout, shell.stdout) == (b"$WORDS", b"twowords")
