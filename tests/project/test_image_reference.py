"""Image references, and the Python that they promise."""

from __future__ import annotations

import pytest

from buildguard.project import image_reference


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("python:3.11", "3.11"),
        ("python:3.11-slim-bookworm", "3.11"),
        ("python:3.11.9", "3.11.9"),
        ("python:3.11.9-alpine3.20", "3.11.9"),
        ("python:3.14-rc-slim", "3.14"),
        ("python:3.13.0rc1", "3.13.0"),
        ("python:3.9-alpine", "3.9"),
        ("python:3.11@sha256:" + "0" * 64, "3.11"),
        ("docker.io/library/python:3.10-slim", "3.10"),
        ("mirror.gcr.io/library/python:3.12", "3.12"),
        ("public.ecr.aws/docker/library/python:3.12", "3.12"),
        ("localhost:5000/python:3.9", "3.9"),
        ("registry.example.com:443/team/python:3.8-buster", "3.8"),
        ("europe-west1-docker.pkg.dev/acme/mirror/python:3.11-slim", "3.11"),
        ("gcr.io/distroless/python3-debian12", "3.11"),
        ("gcr.io/distroless/python3-debian11:nonroot", "3.9"),
        ("gcr.io/distroless/python3-debian12:debug@sha256:" + "0" * 64, "3.11"),
        ("ghcr.io/astral-sh/uv:python3.12-bookworm-slim", "3.12"),
        ("ghcr.io/astral-sh/uv:0.5.1-python3.13-alpine", "3.13"),
        ("tiangolo/uvicorn-gunicorn-fastapi:python3.11-slim", "3.11"),
        ("mcr.microsoft.com/azure-functions/python:4-python3.11", "3.11"),
        ("mcr.microsoft.com/devcontainers/python:1-3.11-bookworm", "3.11"),
        ("registry.access.redhat.com/ubi9/python-311:latest", "3.11"),
        ("us-central1-docker.pkg.dev/serverless-runtimes/google-22/runtimes/python312", "3.12"),
        ("public.ecr.aws/lambda/python:3.13", "3.13"),
        ("cimg/python:3.11.4", "3.11.4"),
        ("apache/beam_python3.9_sdk:2.50.0", "3.9"),
        ("gcr.io/acme/python311-template-launcher-base", "3.11"),
        ("us-docker.pkg.dev/vertex-ai/training/tf2-cpu.2-11.py310:latest", "3.10"),
        ("registry.example.com/python:v3.12", "3.12"),
        ("nvcr.io/nvidia/pytorch:23.10-py310", "3.10"),
        ("gcr.io/dataflow-templates-base/python3-template-launcher-base:PY311-2024-12-01", "3.11"),
        ("quay.io/sclorg/python-38-centos7", "3.8"),
    ],
)
def test_promised(reference: str, version: str) -> None:
    assert str(image_reference.promised_version(reference)) == version


@pytest.mark.parametrize(
    "reference",
    [
        "python",
        "python:latest",
        "python:3",
        "python:3-slim",
        "python:slim",
        "python:2.7",
        "python:3.99",
        "python:bookworm",
        "python@sha256:" + "0" * 64,
        "localhost:3000/python",
        "ghcr.io/astral-sh/uv:debian",
        "ghcr.io/astral-sh/uv:0.5.1",
        "gcr.io/distroless/python3",
        "acme/base:3.11",  # a version of what?
        "europe-west1-docker.pkg.dev/acme/apps/base:1.2",
        "debian:12",
        "alpine:3.11",
        "python:${VERSION}-slim",
        "acme/service-311",
        "",
    ],
)
def test_untold(reference: str) -> None:
    assert image_reference.promised_version(reference) is None
    assert image_reference.why_version_unknown(reference)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("pypy:3.10-7.3.17", "PyPy"),
        ("docker.io/library/pypy:3.10", "PyPy"),
        ("ghcr.io/graalvm/graalpy-community:24", "GraalPy"),
        ("micropython/unix:v1.22", "MicroPython"),
        ("acme/base:1-pypy3.10", "PyPy"),
    ],
)
def test_cpython_is_no_witness_for_another_implementation(reference: str, name: str) -> None:
    assert image_reference.promised_version(reference) is None
    assert image_reference.is_python(reference)
    assert name in image_reference.why_version_unknown(reference)
