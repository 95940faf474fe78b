"""What the commands of a Dockerfile need of a context that is copied as a whole."""

from __future__ import annotations

import pytest

from buildguard.project import context_evidence, contexts
from buildguard.project.target import Certainty

_COPY = "FROM python:3.11\nWORKDIR /app\nCOPY . .\n"


@pytest.mark.parametrize(
    ("lines", "paths"),
    [
        ("RUN pip install -r requirements.txt", [("requirements.txt",)]),
        ("RUN pip install -r /app/docker/requirements.txt", [("docker/requirements.txt",)]),
        ("RUN echo x > made.txt", []),
        ('CMD ["python", "app/main.py"]', [("app/main.py",)]),
        ('CMD ["uvicorn", "app.main:app"]', [("app/main.py", "app/main/__init__.py", "src/app/main.py")]),
        ("CMD python -m app.main", [("app/main.py", "app/main/__init__.py", "src/app/main.py")]),
        ("CMD python -m gunicorn -b :8080", []),
        ("CMD /usr/bin/run.sh", []),
        ("CMD python $FILE.py", []),
    ],
)
def test_needed_files(lines: str, paths: list[tuple[str, ...]]) -> None:
    assert [need.paths for need in context_evidence.needed_files(f"{_COPY}{lines}\n".encode())] == paths


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("COPY . /app", True),
        ('COPY [".", "/app"]', True),
        ("COPY ./ /app/", True),
        ("ADD * /app/", True),
        ("COPY app /app", False),
        ("COPY --from=b . /app", False),
    ],
)
def test_a_context_that_is_copied_as_a_whole(text: str, whole: bool) -> None:
    assert context_evidence.copies_whole_context(f"FROM x\n{text}\n".encode()) is whole


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        ('CMD ["python", "app/main.py"]', "docker/x.py app/main.py", ("", Certainty.CONFIRMED, None)),
        ('CMD ["python", "main.py"]', "docker/main.py app/x.py", ("docker", Certainty.CONFIRMED, None)),
        ("RUN pip install -r requirements.txt", "docker/x.py requirements.txt", ("", Certainty.CONFIRMED, None)),
        ("RUN pip install x", "docker/x.py requirements.txt", ("docker", Certainty.GUESSED, "")),
        ("RUN pip install x", "docker/x.py docker/requirements.txt a.py", ("docker", Certainty.GUESSED, None)),
        ("RUN pip install x", "docker/run.sh a.py", ("", Certainty.GUESSED, None)),
    ],
)
def test_commands_decide_between_contexts(
    command: str, files: str, expected: tuple[str, Certainty, str | None]
) -> None:
    paths = contexts.ProjectPaths(path.encode() for path in ["docker/Dockerfile", *files.split()])

    guess = contexts.guess("docker/Dockerfile", f"{_COPY}{command}\n".encode(), paths)

    assert (guess.context, guess.basis.known, guess.reach) == expected


@pytest.mark.parametrize(
    ("folder", "alone", "reach"),
    [("docker", True, ""), ("docker", False, ""), ("svc", True, ""), ("svc", False, None), ("images/svc", False, "")],
)
def test_a_wider_context_of_a_guess(folder: str, alone: bool, reach: str | None) -> None:
    paths = contexts.ProjectPaths([f"{folder}/Dockerfile".encode(), f"{folder}/x.py".encode(), b"app/a.py"])

    guess = contexts.guess(f"{folder}/Dockerfile", b"FROM python:3.11\nCOPY . .\n", paths, alone=alone)

    assert (guess.context, guess.basis.known, guess.reach) == (folder, Certainty.GUESSED, reach)
