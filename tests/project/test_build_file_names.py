"""The names of the files that say how images are built."""

from __future__ import annotations

import pytest

from buildguard.project.build_file_names import is_compose, is_skaffold, is_workflow


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        (b"compose.yaml", "c"),
        (b"deploy/docker-compose.prod.yml", "c"),
        (b"compose/readme.md", ""),
        (b"decompose.yaml", ""),
        (b"skaffold.yaml", "s"),
        (b"deploy/skaffold-dev.yml", "s"),
        (b"my-skaffold.yaml", ""),
        (b".github/workflows/ci.yml", "w"),
        (b"sub/.github/workflows/ci.yaml", "w"),
        (b".github/workflows/old/ci.yml", ""),
    ],
)
def test_each_kind_has_its_names(path: bytes, kinds: str) -> None:
    asked = {"c": is_compose, "s": is_skaffold, "w": is_workflow}

    assert "".join(kind for kind, is_one in asked.items() if is_one(path)) == kinds
