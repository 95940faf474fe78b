"""Images of tools, and templates of Dockerfiles: neither ships a file of the project."""

from __future__ import annotations

import pytest

from buildguard.project.tool_images import is_tool_image, why_template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FROM python:3.9\nRUN pip install pylint\nENTRYPOINT ["pylint"]\n', True),
        ('FROM python:3.9\nENTRYPOINT ["make"]\n', True),
        ("FROM python:3.9\nRUN pip install -U black flake8==7\n", True),
        ("FROM python:3.9\nCMD tox\n", True),
        ("FROM quay.io/jupyter/base-notebook\nRUN pip install flake8 x\n", True),
        ("FROM quay.io/jupyter/base-notebook\n", False),
        ("FROM debian:12\nRUN apt-get install -y python3\n", False),
        ("FROM python:3.9\n", False),
        ("FROM python:3.9\nRUN pip install flask\n", False),
        ("FROM python:3.9\nRUN pip install -r requirements.txt black\n", False),
        ("FROM python:3.9\nCMD python main.py\n", False),
        ("FROM python:3.9\nCMD flask --app main run\n", False),
        ('FROM python:3.9\nCMD ["bash"]\n', False),
        ('FROM python:3.9\nCMD ["./start.sh"]\n', False),
        ('FROM python:3.9\nCOPY . .\nENTRYPOINT ["pylint"]\n', False),
    ],
)
def test_a_tool(text: str, expected: bool) -> None:
    assert is_tool_image(text.encode(), {}) is expected


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("{{slug}}/Dockerfile", "FROM python:3.9\n", "its folder"),
        ("Dockerfile", "FROM python:{{ version }}\n", "line 1"),
        ("Dockerfile", "FROM python:3.9\n{% if x %}\nCOPY a .\n{% endif %}\n", "line 2"),
        ("Dockerfile", "FROM ${base}\n", ""),
        ("Dockerfile", "ARG base\nFROM ${base}\n", ""),
        ("Dockerfile", "FROM --platform=$BUILDPLATFORM python:3.9\n", ""),
        ("Dockerfile", "FROM python:3.9\nRUN docker inspect --format '{{.Id}}' x\n", ""),
    ],
)
def test_a_template(path: str, text: str, words: str) -> None:
    reason = why_template(path, text.encode())

    assert reason.startswith(words) if words else not reason
