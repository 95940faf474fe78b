"""The last hop: the image that a real docker built, compared with the commit."""

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
    assert found["verdict"].startswith("only expected changes through 2 hops")


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
    assert {row["evidence"] for row in found["hops"][0]["differences"]} >= {
        "the Dockerfile copies it nowhere, or removes it"
    }


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
        "notes.txt": ("removed", "ignored", False),  # by `rm` in RUN
        "run.sh": ("mode", "mode", True),
        "link": ("changed", "content", True),
        "extra.py": ("added", "content", True),
        "made.css": ("added", "content", False),
        "docs/a.md": ("removed", "ignored", False),
    }
    assert found["unproven"] == []
    assert (found["first_changed_hop"], found["exit_code"]) == (0, 1)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("lines", "undecided", "missing"),
    [
        (("COPY . .", "RUN rm pkg/old.py"), set(), set()),
        (("COPY . .", "RUN cd pkg && rm -f o*"), set(), set()),
        (("COPY . .", "RUN N=old && rm pkg/$N.py"), {"pkg/old.py"}, set()),
        (("COPY . .", "RUN python3 -c \"import os; os.remove('pkg/old.py')\""), set(), {"pkg/old.py"}),
        (("COPY . /app", "RUN rm -rf /tmp/* && python3 -c \"import os; os.remove('main.py')\""), set(), {"main.py"}),
        (("COPY ma*.py ./", "COPY p*/old.py pkg/"), set(), set()),
        (("COPY main.py ./", "COPY pkg /opt/lib/pkg"), set(), set()),
        (("COPY main.py ./", "COPY run.sh /usr/local/bin/", "COPY notes.txt /etc/notes"), set(), set()),
        (("COPY . .", "RUN rm -rf docs /root/.cache"), set(), set()),
    ],
)
def test_what_the_image_has_to_have(
    repository: Callable[..., Project],
    built: Callable[[Project], str],
    lines: tuple[str, ...],
    undecided: set[str],
    missing: set[str],
) -> None:
    made = _project(repository, *lines)
    tag = built(made)

    found = _diff(made, "commit:HEAD", f"image:{tag}:/app")

    rows = found["hops"][0]["differences"]
    sources = {one["path"] for one in found["unproven"] if one["path"].endswith(".py")}
    assert (sources, {row["path"] for row in rows if row["finding"]}) == (undecided, missing)
    assert found["exit_code"] == (1 if missing else 3 if undecided else 0)
    assert {row["path"] for row in rows if row["undecided"]} == {one["path"] for one in found["unproven"]}
    assert not undecided or "undecided" in made.run("diff", "commit:HEAD", f"image:{tag}:/app").out


def test_a_copy_of_unknown_files_decides_nothing(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY main.py ./")
    tag = built(made)
    dockerfile = (made.path / "Dockerfile").read_text()
    made.commit({"Dockerfile": dockerfile.replace("main.py ./", "main.py p$PART ./")})

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    assert {one["path"] for one in found["unproven"]} == {"pkg/__init__.py", "pkg/old.py"}
    assert "the value of $PART in COPY in line 3 is unknown" in found["unproven"][0]["reason"]
    assert found["exit_code"] == 3


def test_an_image_with_nothing_of_the_commit_is_unproven(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY main.py ./", "RUN mkdir /other && echo > /other/data.txt")
    tag = built(made)
    made.commit({"Dockerfile": "FROM x\nCOPY nothing.py /app/\n"})

    found = _diff(made, "commit:HEAD", f"image:{tag}:/other")

    assert found["exit_code"] == 3
    assert "have no file in common" in found["unproven"][0]["reason"]


def test_each_image_of_a_repository_has_its_own_files(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    """What another Dockerfile copies is not missed in this one's image."""
    made = _project(repository, "COPY main.py ./", "COPY pkg pkg")
    made.commit({"worker/Dockerfile": f"FROM {images.base('3.11')}\nCOPY . /worker\n", "worker/work.py": "x = 1\n"})
    tag = built(made)

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    assert found["exit_code"] == 0, found["verdict"]


def test_what_gcloud_does_not_send_is_not_missed(
    repository: Callable[..., Project], built: Callable[[Project], str], engine: str
) -> None:
    made = _project(repository, "COPY . .")
    shutil.rmtree(made.path / "docs")
    (made.path / "pkg/old.py").unlink()
    tag = built(made)
    made.git("checkout", "--quiet", ".")
    made.commit({".gcloudignore": "pkg/old.py\n"})

    found = _diff(made, "commit:HEAD", f"image:{tag}")

    assert _rows(found["hops"][0])["pkg/old.py"] == ("removed", "ignored", False)


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
