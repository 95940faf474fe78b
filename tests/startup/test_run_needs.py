"""What pip is to install in a RUN is there by then: a COPY above it, and not below or beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.project.run_needs import requirement_files
from tests.startup.projects import report_of, rows_of

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\n"
_START = 'CMD ["gunicorn", "-b", ":8080", "main:app"]\n'
_INSTALL = "RUN pip install --no-cache-dir -r requirements.txt\n"


def _found(tmp_path: Path, steps: str, **files: str) -> list[tuple[str, str | None, int | None]]:
    texts = {"Dockerfile": f"{_HEAD}{steps}{_START}", **files}
    return [row for row in rows_of(report_of(tmp_path, texts)) if row[0] == "BG704"]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (f"{_INSTALL}COPY . .\n", 3),
        (f"COPY main.py .\n{_INSTALL}COPY requirements.txt .\n", 4),
        (f"COPY requirements.txt /tmp/\n{_INSTALL}COPY . .\n", 4),
        (f"RUN cd /tmp && true\n{_INSTALL}COPY . .\n", 4),  # the next RUN begins in the working folder again
        ("RUN uv pip install --system -r ./requirements.txt\nCOPY . .\n", 3),
        (f"RUN poetry export -o other.txt\n{_HEAD}COPY --from=0 /srv .\n{_INSTALL}COPY . .\n", 7),
        ("RUN python -m pip install --requirement=requirements.txt && rm -rf /root/.cache\nCOPY . .\n", 3),
    ],
)
def test_what_no_copy_brings_in_time(tmp_path: Path, steps: str, line: int) -> None:
    assert _found(tmp_path, steps) == [("BG704", "Dockerfile", line)]


@pytest.mark.parametrize(
    "steps",
    [
        f"COPY . .\n{_INSTALL}",
        f"COPY requirements.txt .\n{_INSTALL}COPY . .\n",
        f"COPY require*.txt ./\n{_INSTALL}COPY . .\n",
        "COPY requirements.txt /tmp/\nRUN pip install -r /tmp/requirements.txt\nCOPY . .\n",
        "RUN --mount=type=bind,source=requirements.txt,target=requirements.txt pip install -r requirements.txt\nCOPY . .\n",
        "RUN pip freeze > requirements.txt && pip install -r requirements.txt\nCOPY . .\n",
        f"RUN poetry export -o requirements.txt\n{_INSTALL}COPY . .\n",
        f"RUN poetry export -o requirements.txt\n{_HEAD}COPY --from=0 /srv/requirements.txt .\n{_INSTALL}COPY . .\n",
        f"RUN uv export --output-file=requirements.txt\n{_HEAD}COPY --from=0 /srv .\n{_INSTALL}COPY . .\n",
        f"RUN uv pip compile in.txt -o /r/requirements.txt\n{_HEAD}COPY --from=0 /r/ ./\n{_INSTALL}COPY . .\n",
        "COPY requirements.txt /deps/\nRUN sh -c 'cd /deps ; pip install -r requirements.txt'\nCOPY . .\n",
        "COPY requirements.txt /deps/\nRUN cd /deps && pip install -r requirements.txt\nCOPY . .\n",
        f"ARG FOLDER\nCOPY requirements.txt $FOLDER/\n{_INSTALL}COPY . .\n",
        f"ARG FOLDER\nWORKDIR $FOLDER\n{_INSTALL}COPY . .\n",
        "RUN pip install flask gunicorn\nCOPY . .\n",
        "RUN pip install -r $FILE\nCOPY . .\n",
    ],
)
def test_what_is_there_or_may_be_made(tmp_path: Path, steps: str) -> None:
    assert _found(tmp_path, steps) == []


def test_a_stage_that_the_build_leaves_out_needs_nothing(tmp_path: Path) -> None:
    other = f"FROM python:3.11-slim AS unused\n{_INSTALL}"
    builder = f"FROM python:3.11-slim AS builder\n{_INSTALL}"
    copy = f"{_HEAD}COPY . .\n{_INSTALL}"

    unused = rows_of(report_of(tmp_path / "a", {"Dockerfile": f"{other}{copy}{_START}"}))
    used = rows_of(report_of(tmp_path / "b", {"Dockerfile": f"{builder}{copy}COPY --from=builder /x /x\n{_START}"}))

    assert "BG704" not in [row[0] for row in unused]
    assert ("BG704", "Dockerfile", 2) in used


def test_a_base_image_of_unknown_content_may_have_it(tmp_path: Path) -> None:
    steps = f"{_INSTALL}COPY . .\n{_START}"

    assert "BG704" not in [row[0] for row in rows_of(report_of(tmp_path, {"Dockerfile": f"FROM acme/python\n{steps}"}))]


def test_an_ignore_rule_is_the_place(tmp_path: Path) -> None:
    rows = _found(tmp_path, f"COPY . .\n{_INSTALL}", **{".dockerignore": "*.md\n*.txt\n"})

    assert rows == [("BG704", ".dockerignore", 2)]


def test_only_pip_reads_them() -> None:
    text = "apt-get -r x.txt && pip install -rdev.txt -r 'base.txt' && pip3 download --requirement more.txt"

    assert [*requirement_files(text, "")] == ["dev.txt", "base.txt", "more.txt"]
    assert [*requirement_files(text, "curl -o dev.txt https://example.com")] == ["base.txt", "more.txt"]
