"""Dockerfiles: the final stage, and agreement with BuildKit's own parser."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildguard.project import dockerfile
from tests.conftest import ALL, missing


@pytest.mark.parametrize(
    ("text", "arguments", "image", "line"),
    [
        ("FROM python:3.11\n", {}, "python:3.11", 1),
        ("from python:3.11 as x\n", {}, "python:3.11", 1),
        ("# c\n\nFROM --platform=$BUILDPLATFORM python:3.11\n", {}, "python:3.11", 3),
        ("ARG V=3.11\nFROM python:$V\n", {}, "python:3.11", 2),
        ("ARG V=3.11\nFROM python:${V}-slim\n", {"V": "3.12"}, "python:3.12-slim", 2),
        ("ARG V\nFROM python:${V:-3.10}\n", {}, "python:3.10", 2),
        ("ARG V=\nFROM python:${V:-3.10}\n", {}, "python:3.10", 2),
        ("ARG V=\nFROM python:3.9${V:+-slim}\n", {}, "python:3.9", 2),
        ("ARG S=x\nFROM python:3.9${S:+-slim}\n", {}, "python:3.9-slim", 2),
        ('ARG A=3 B="3.11"\nFROM python:$B\n', {}, "python:3.11", 2),
        ("ARG A=3.11\nARG B=python:$A\nFROM $B\n", {}, "python:3.11", 3),
        ("ARG V\nFROM python:$V\n", {}, "python:$V", 2),
        ("FROM python:3.9\nARG V=3.11\nFROM python:$V\n", {}, "python:$V", 3),  # ARGs of a stage are not global
        ("FROM python:3.9 AS build\nFROM python:3.11\n", {}, "python:3.11", 2),
        ("FROM python:3.11 AS base\nFROM node AS web\nFROM base\n", {}, "python:3.11", 1),
        ("FROM python:3.11 AS base\nFROM BASE AS b\nFROM b AS c\n", {}, "python:3.11", 1),
        ("FROM python AS python\n", {}, "python", 1),
        ("FROM python:3.11 \\\n  AS x\nRUN a \\\n# c\n\n  FROM b\nCOPY . .\n", {}, "python:3.11", 1),
        ("FROM python:3.11\nRUN <<EOF\nFROM x\nEOF\nCOPY a b\n", {}, "python:3.11", 1),
        ("FROM python:3.11\nRUN <<-A cat <<'B'\nFROM x\n\tA\nFROM y\nB\n", {}, "python:3.11", 1),
        ("# escape=`\nFROM python:3.11\nRUN a `\n  FROM b\n", {}, "python:3.11", 2),
        ("FROM python:3.11\r\nRUN x\r\n", {}, "python:3.11", 1),
        ("\ufeffFROM python:3.11\n", {}, "python:3.11", 1),
        ("FROM python@sha256:ab AS x\nFROM x\n", {}, "python@sha256:ab", 1),
    ],
)
def test_final(text: str, arguments: dict[str, str], image: str, line: int) -> None:
    found = dockerfile.resolve_final_stage(text.encode(), arguments)

    assert found is not None
    assert (found.image, found.line) == (image, line)


def test_target_stage() -> None:
    data = b"FROM python:3.9 AS dev\nFROM python:3.11 AS prod\nFROM dev AS test\n"

    found = dockerfile.resolve_final_stage(data, {}, "prod")

    assert found is not None
    assert found.image == "python:3.11"


def test_no_stage() -> None:
    assert dockerfile.resolve_final_stage(b"# nothing\nARG X=1\n", {}) is None


_LINES = st.lists(
    st.sampled_from(
        [
            "FROM python:3.11 AS base",
            "FROM --platform=linux/amd64 base",
            "  from\tscratch",
            "ARG V=3.11",
            "RUN a \\",
            "  && FROM b",
            "# a comment",
            "  # another",
            "",
            "RUN <<EOF",
            "EOF",
            "RUN <<-'X' sh",
            "\tX",
            "COPY --from=base a b",
            'CMD ["python", "-m", "app"]',
            "RUN echo a << b",
            "ENV A=1 \\  ",
            "RUN cat <<< word",
            "RUN a \\ b",
        ]
    ),
    max_size=12,
)


@settings(max_examples=500 if ALL else 150, deadline=None)
@given(_LINES)
def test_agrees_with_buildkit(lines: list[str]) -> None:
    """Same instructions on the same lines as the parser that builds images, wherever that one accepts the file."""
    if importlib.util.find_spec("dockerfile") is None:
        missing("the dockerfile package", "it has wheels for x86-64 Linux")
    import dockerfile as buildkit

    text = "\n".join(lines)
    try:
        expected = [(step.start_line, step.cmd.upper()) for step in buildkit.parse_string(text)]
    except buildkit.GoParseError:
        return

    assert [(step.line, step.name) for step in dockerfile.instructions(text.encode())] == expected


_LISTS = [
    '["python", "main.py"]',
    ' [ "python" , "main.py" ] ',
    '["python", "main.py"] # the server',
    '["python", "main.py"]]',
    '["python", "\\ud800.py"]',
    '["python", "\\u00e9.py"]',
    '["python", NaN]',
    '["python", "main.py",]',
    '["python", "main.py"',
    "['python', 'main.py']",
    "[" * 3000,
    "[]",
    "python main.py",
]


@pytest.mark.parametrize("text", _LISTS, ids=lambda text: text[:30])
def test_a_list_has_the_words_that_docker_reads(text: str) -> None:
    if importlib.util.find_spec("dockerfile") is None:
        missing("the dockerfile package", "it has wheels for x86-64 Linux")
    import dockerfile as buildkit

    (step,) = buildkit.parse_string(f"CMD {text}")

    assert dockerfile.exec_words(text) == (list(step.value) if step.json else None)
    assert not dockerfile.is_refused_list(text)


@pytest.mark.parametrize(
    "text", ['["gunicorn", "-w", 4, "main:app"]', "[null]", '["python", ["main.py"]]', "[true] # x"]
)
def test_docker_refuses_a_list_of_other_values(text: str) -> None:
    if importlib.util.find_spec("dockerfile") is None:
        missing("the dockerfile package", "it has wheels for x86-64 Linux")
    import dockerfile as buildkit

    with pytest.raises(buildkit.GoParseError):
        buildkit.parse_string(f"CMD {text}")

    assert dockerfile.is_refused_list(text)
