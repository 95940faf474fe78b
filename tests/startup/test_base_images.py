"""What a base image brings to the start: its own ENTRYPOINT, and the shells that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.project.image_reference import entrypoint_of
from tests.startup.projects import report_of, rows_of

_DISTROLESS = "FROM gcr.io/distroless/python3-debian12\nWORKDIR /srv\nCOPY . .\n"
_FILES = {"main.py": "print(1)\n", "pkg/__init__.py": "", "pkg/run.py": "print(2)\n"}
_BG701 = [("BG701", "Dockerfile", 4)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('CMD ["main.py"]\n', []),
        ('CMD ["pkg/run.py"]\n', []),
        ('CMD ["-m", "pkg.run"]\n', []),
        ('ENTRYPOINT ["python3", "main.py"]\n', []),
        ('ENTRYPOINT []\nCMD ["python3", "main.py"]\n', []),
        ('CMD ["mian.py"]\n', _BG701),
        ('CMD ["-m", "pkg.nope"]\n', _BG701),
        ('CMD ["python3", "main.py"]\n', _BG701),
        ("CMD python3 main.py\n", _BG701),
    ],
)
def test_an_image_that_runs_python_with_the_words_of_cmd(
    tmp_path: Path, text: str, rows: list[tuple[str, str | None, int | None]]
) -> None:
    assert rows_of(report_of(tmp_path, {"Dockerfile": f"{_DISTROLESS}{text}", **_FILES})) == rows


@pytest.mark.parametrize(
    ("base", "start", "rows"),
    [
        ("python:3.12-slim", 'ENTRYPOINT ["python"]\nCMD main.py\n', _BG701),
        ("python:3.12-slim", 'ENTRYPOINT ["python"]\nCMD ["main.py"]\n', []),
        ("python:3.12-alpine", 'CMD ["/bin/bash", "-c", "python main.py"]\n', _BG701),
        ("python:3.12-alpine", 'SHELL ["/bin/bash", "-c"]\nCMD python main.py\n', [("BG701", "Dockerfile", 5)]),
        ("python:3.12-alpine", 'RUN apk add bash\nCMD ["/bin/bash", "-c", "python main.py"]\n', []),
        ("python:3.12-alpine", 'CMD ["/bin/sh", "-c", "python main.py"]\n', []),
        ("python:3.12-slim", 'CMD ["/bin/bash", "-c", "python main.py"]\n', []),
    ],
)
def test_a_shell_of_the_start(
    tmp_path: Path, base: str, start: str, rows: list[tuple[str, str | None, int | None]]
) -> None:
    text = f"FROM {base}\nWORKDIR /srv\nCOPY . .\n{start}"

    assert rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES})) == rows


@pytest.mark.parametrize(
    ("base", "start", "rows"),
    [
        ("python:3.12-slim", 'CMD ["pythn", "main.py"]\n', _BG701),
        ("python:3.12-slim", 'CMD ["python3.12", "main.py"]\n', []),
        ("python:3.12-slim", 'CMD ["perl", "-e", "1"]\n', []),
        ("python:3.12-slim", 'CMD ["uv", "run", "pythn", "main.py"]\n', _BG701),  # uv, which is missing
        ("python:3.12-slim", 'RUN pip install uv\nCMD ["uv", "run", "pythn", "main.py"]\n', []),
        ("python:3.12-slim", 'RUN pip install flask==3.0.3\nCMD ["pythn", "main.py"]\n', []),  # may bring any program
        ("python:3.12-slim", 'RUN ln -s /usr/local/bin/python /usr/local/bin/pythn\nCMD ["pythn", "main.py"]\n', []),
        ("debian:12", 'CMD ["pythn", "main.py"]\n', []),
    ],
)
def test_a_misspelled_program_where_nothing_is_installed(
    tmp_path: Path, base: str, start: str, rows: list[tuple[str, str | None, int | None]]
) -> None:
    text = f"FROM {base}\nWORKDIR /srv\nCOPY . .\n{start}"

    report = report_of(tmp_path, {"Dockerfile": text, **_FILES})

    assert rows_of(report) == rows
    is_misspelled = bool(rows) and "uv" not in start
    assert any(item.hint == "did you mean 'python'?" for item in report.diagnostics) == is_misspelled


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("gcr.io/distroless/python3-debian12:nonroot", ("python3",)),
        ("gcr.io/distroless/python3", ("python3",)),
        ("cgr.dev/chainguard/python:latest-dev", ("python3",)),
        ("gcr.io/distroless/cc-debian12", ()),
        ("python:3.12", ()),
        ("acme/python", ()),
    ],
)
def test_the_entrypoint_of_an_image(reference: str, words: tuple[str, ...]) -> None:
    assert entrypoint_of(reference) == words
