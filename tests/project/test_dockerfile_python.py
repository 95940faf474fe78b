"""The Python of an image, by what its Dockerfile installs: versions that a person can read there."""

from __future__ import annotations

import pytest

from buildguard.project import distributions, dockerfile_python
from buildguard.project.dockerfile_python import PythonRelation


def _version(text: str) -> str:
    return str(dockerfile_python.resolve(text.encode(), {}).version)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("ubuntu:22.04", "3.10"),
        ("ubuntu:jammy-20240101", "3.10"),
        ("ubuntu:24.04", "3.12"),
        ("debian:bookworm-slim", "3.11"),
        ("debian:12.5-slim", "3.11"),
        ("alpine:3.19.1", "3.11"),
        ("golang:1.22-alpine3.20", "3.12"),
        ("node:20-bookworm", "3.11"),
        ("nvidia/cuda:12.1.0-runtime-ubuntu22.04", "3.10"),
        ("registry.access.redhat.com/ubi9/ubi-minimal:9.4", "3.9"),
        ("fedora:40", "3.12"),
        ("amazonlinux:2023", "3.9"),
        ("gcr.io/google-appengine/debian11", "3.9"),
        ("marketplace.gcr.io/google/ubuntu2204", "3.10"),
        ("gcr.io/gcp-runtimes/ubuntu_20_0_4", "3.8"),
        ("gcr.io/distroless/cc-debian12", "3.11"),
        ("debian", "None"),
        ("alpine:latest", "None"),
        ("alpine:3", "None"),
        ("acme/ubuntu-tools:22.04", "None"),
    ],
)
def test_the_python_of_a_distribution(reference: str, version: str) -> None:
    assert str(distributions.python_of(reference)) == version


@pytest.mark.parametrize(
    ("text", "version", "line"),
    [
        ("FROM ubuntu:22.04\nRUN apt-get update && apt-get install -y python3\n", "3.10", 2),
        ("FROM debian:bookworm\nRUN apt-get install -y curl python3-pip\n", "3.11", 2),
        ("FROM alpine:3.19\nRUN apk add --no-cache python3 py3-pip\n", "3.11", 2),
        ("FROM ubi9/ubi:9.4\nRUN dnf install -y python3.11\n", "3.11", 2),
        ("FROM ubuntu:20.04\nRUN apt install -y python3.11 python3.11-venv\n", "3.11", 2),
        ("FROM ubuntu:20.04\nARG PY=3.11\nRUN apt install -y python${PY}\n", "3.11", 3),
        ("FROM alpine\nRUN apk add 'python3~=3.11'\n", "3.11", 2),
        (
            "FROM ubuntu:20.04\nRUN apt install -y python3-pip python3.11\nRUN python3.11 -m venv /v\n",
            "3.11",
            2,
        ),
        ('FROM ubuntu:20.04\nRUN apt install -y python3 python3.9\nCMD ["python3.9", "a.py"]\n', "3.9", 2),
        (
            "FROM debian:bookworm AS b\nRUN uv python install 3.12\nFROM debian:12\nCOPY --from=b /python /python\n",
            "3.12",
            4,
        ),
        ("FROM ghcr.io/astral-sh/uv:debian\nENV UV_PYTHON=3.12\nRUN uv sync\n", "3.12", 2),
        ("FROM debian:12\nRUN uv venv --python 3.13 /v\n", "3.13", 2),
        ("FROM ubuntu:24.04\nRUN apt-get install -y python3\nRUN uv venv && uv pip install x\n", "3.12", 2),
        ("FROM gcr.io/google_appengine/x\nRUN virtualenv -p python3.7 /env\n", "3.7", 2),
        ("FROM continuumio/miniconda3\nRUN conda create -n x python=3.10 -y\n", "3.10", 2),
        ("FROM debian:12\nRUN pyenv install 3.11.4 && pyenv global 3.11.4\n", "3.11.4", 2),
        ("FROM debian:12\nRUN curl -O https://x/Python-3.9.18.tgz && make altinstall\n", "3.9.18", 2),
        ("FROM debian:12\nCOPY --from=python:3.12-slim /usr/local /usr/local\n", "3.12", 2),
        ("FROM python:3.11 AS build\nFROM scratch\nCOPY --from=build / /\n", "3.11", 3),
        ("FROM python:3.11-slim\nRUN apt-get install -y python3-dev\n", "3.11", 1),
    ],
)
def test_installed_versions(text: str, version: str, line: int) -> None:
    python = dockerfile_python.resolve(text.encode(), {})

    assert (str(python.version), python.line) == (version, line)
    assert python.relation is PythonRelation.SHIPS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM ubuntu:20.04\nRUN apt install -y python3 python3.11\n", "3.8 (line 2) and 3.11 (line 2)"),
        ("FROM debian\nRUN apt install -y python3\n", "which version that is is unknown"),
        ("FROM debian:12\nRUN uv python install\n", "which version that is is unknown"),
        ("FROM debian:12\nRUN uv venv\n", "its name has none"),
        ("COPY . .\n", "the Dockerfile has no FROM"),
        ("# base\nFORM python:3.11\nCOPY . .\n", "the Dockerfile has no FROM: 'FORM' in line 2 is not an instruction"),
        ("FROM acme/base:1\nRUN pip install x\n", "its name has none"),
        ("FROM pypy:3.10\nCOPY . .\n", "PyPy"),
    ],
)
def test_what_is_unknown_has_a_reason(text: str, reason: str) -> None:
    python = dockerfile_python.resolve(text.encode(), {})

    assert python.version is None
    assert python.relation is PythonRelation.SHIPS
    assert reason in python.why_unknown


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ('FROM node:20\nRUN apt-get install -y python3 make g++\nCMD ["node", "x"]\n', PythonRelation.NONE),
        ('FROM node:20\nRUN apt-get install -y python3\nCMD ["python3", "x.py"]\n', PythonRelation.SHIPS),
        (
            "FROM mcr.microsoft.com/dotnet/sdk:8.0 AS b\nCOPY . .\nFROM mcr.microsoft.com/dotnet/aspnet:8.0\n",
            PythonRelation.NONE,
        ),
        ("FROM nginx:1\nCOPY . /x\n", PythonRelation.NONE),
        ("# to be written\n", PythonRelation.NONE),
        (
            "FROM node:20 AS b\nRUN apk add python3 make\nFROM alpine:3.20\nRUN apk add nodejs\nCOPY --from=b /x /x\n",
            PythonRelation.NONE,
        ),
        ("FROM alpine:3.19\nRUN apk add nodejs\nCOPY . /app\n", PythonRelation.NONE),
        ("FROM debian:12\n", PythonRelation.NONE),
        ("FROM justb4/jmeter:5.5\nCOPY . /x\n", PythonRelation.NONE),
        ("FROM acme/base:1\nCOPY . /app\n", PythonRelation.UNKNOWN_BASE),
    ],
)
def test_images_without_python(text: str, relation: PythonRelation) -> None:
    assert dockerfile_python.resolve(text.encode(), {}).relation is relation


def test_an_installed_python_is_no_image_to_ask() -> None:
    python = dockerfile_python.resolve(b"FROM ubuntu:22.04\nRUN apt-get install -y python3\n", {})

    assert python.image is None
    assert "line 2" in python.doubt
    assert _version("FROM ubuntu:22.04\nRUN apt-get install -y python3\n") == "3.10"
