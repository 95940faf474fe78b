"""The last hop: the image that a real docker built, held against the commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests import images
from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Project

pytestmark = pytest.mark.usefixtures("spotless")

_FILES = {
    "main.py": "import pkg\n",
    "pkg/__init__.py": "",
    "pkg/old.py": "new = True\n",
    "run.sh": "#!/bin/sh\nexec python main.py\n",
    "docs/a.md": "docs\n",
    "notes.txt": "notes\n",
    ".dockerignore": "docs\n.git\n",
}


@pytest.fixture
def built() -> Iterator[Callable[[Project], str]]:
    """Builds a project's image as people do, with the docker command."""
    if shutil.which("docker") is None:
        missing("the docker command", "apt-get install docker.io")
    tags: list[str] = []

    def build(made: Project) -> str:
        tag = f"{images.REPOSITORY}/diff-{os.getpid()}:{len(tags)}"
        env = {**os.environ, "DOCKER_BUILDKIT": "0"}
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", tag, made.path], check=True, capture_output=True, env=env
        )
        tags.append(tag)
        return tag

    yield build
    for tag in tags:
        subprocess.run(["docker", "rmi", "--force", tag], check=False, capture_output=True)


def _project(repository: Callable[..., Project], *lines: str) -> Project:
    dockerfile = "\n".join([f"FROM {images.base('3.11')}", "WORKDIR /app", *lines]) + "\n"
    made = repository({**_FILES, "pkg/old.py": "new = False\n", "Dockerfile": dockerfile})
    (made.path / "run.sh").chmod(0o755)
    (made.path / "link").symlink_to("main.py")
    made.commit({"pkg/old.py": _FILES["pkg/old.py"]})
    return made


def _diff(made: Project, *stages: str) -> dict[str, Any]:
    found: dict[str, Any] = made.run("diff", *stages, "--format", "json").json
    return found


def _rows(hop: dict[str, Any]) -> dict[str, tuple[str, str, bool]]:
    return {row["path"]: (row["change"], row["cause"], row["finding"]) for row in hop["differences"]}


def test_an_image_that_holds_what_was_committed(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY . .")
    tag = built(made)

    found = _diff(made, "commit:HEAD", "dir:.", f"image:{tag}")

    assert found["hops"][0]["identical"]
    assert _rows(found["hops"][1]) == {"docs/a.md": ("removed", "ignored", False)}
    assert "dropped by .dockerignore:1: docs" in found["hops"][1]["differences"][0]["evidence"]
    assert found["exit_code"] == 0
    assert found["verdict"].startswith("nothing changed through 2 hops but what was asked for")


def test_what_the_dockerfile_does_not_copy_is_not_missed(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY main.py ./", "COPY pkg pkg")
    tag = built(made)

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    assert found["exit_code"] == 0
    assert set(_rows(found["hops"][0])) == {
        "link", "run.sh", "docs/a.md", "notes.txt", ".dockerignore", "Dockerfile", "README",
    }  # fmt: skip
    assert {row["evidence"] for row in found["hops"][0]["differences"]} >= {"the Dockerfile copies it nowhere"}


def test_damage_inside_the_image_is_named(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(
        repository,
        "COPY . .",
        "RUN printf 'import pkg\\r\\n' > main.py && printf 'new = False\\n' > pkg/old.py && rm notes.txt && chmod 644 run.sh"
        " && printf 'x = 1\\n' > extra.py && printf 'x' > made.css && ln -sf run.sh link && cp run.sh copy.sh",
    )
    tag = built(made)

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    assert _rows(found["hops"][0]) == {
        "main.py": ("changed", "line-endings", True),
        "pkg/old.py": ("changed", "stale", True),
        "notes.txt": ("removed", "content", True),
        "run.sh": ("mode", "mode", True),
        "link": ("changed", "content", True),
        "extra.py": ("added", "content", True),
        "made.css": ("added", "content", False),
        "copy.sh": ("added", "content", False),
        "docs/a.md": ("removed", "ignored", False),
    }
    assert (found["first_changed_hop"], found["exit_code"]) == (0, 1)


def test_a_stale_image_is_named_with_its_commit(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    """The image of an older commit, which every exit status called a success."""
    made = _project(repository, "COPY . .")
    old = made.git("rev-parse", "HEAD~1").strip()
    made.git("checkout", "--quiet", "HEAD~1")
    tag = built(made)
    made.git("checkout", "--quiet", "main")

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    rows = _rows(found["hops"][0])
    assert rows["pkg/old.py"] == ("changed", "stale", True)
    assert old[:10] in next(row["evidence"] for row in found["hops"][0]["differences"] if row["path"] == "pkg/old.py")
    assert found["exit_code"] == 1


def test_a_manifest_of_an_image(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY . .")
    tag = built(made)

    result = made.run("manifest", f"image:{tag}:/app", "--format", "json")

    found = result.json
    assert result.code == 0
    assert {one["path"] for one in found["entries"]} >= {"main.py", "pkg/__init__.py", "run.sh", "link"}
    assert found["image_digest"].startswith("sha256:")


def test_an_image_that_is_not_there_is_unproven(repository: Callable[..., Project], engine: str) -> None:
    made = repository({"a.py": "x\n"})

    found = _diff(made, "commit:HEAD", f"image:{images.REPOSITORY}/nothing:1")

    assert found["exit_code"] == 3
    assert found["hops"][0]["differences"] == []
