"""Contexts that compose files, Skaffold, workflows and build files declare."""

from __future__ import annotations

import pytest

from buildguard.project import compose, declared_builds, discovery, skaffold, workflows
from buildguard.project.config import Config
from tests.project.memory import MemoryStage

_DOCKERFILE = {"docker/Dockerfile": "FROM python:3.11\nCOPY . /opt/app\n", "docker/util.py": "", "app/main.py": ""}
_BUILD = "services:\n  web:\n    build: {context: .., dockerfile: docker/Dockerfile}\n"


def _contexts(files: dict[str, str]) -> list[tuple[str | None, str, str]]:
    stage = MemoryStage({**_DOCKERFILE, **files})
    targets = discovery.discover_targets(stage, Config(), stage.sources()).targets
    return [(t.context, t.basis.known, t.basis.by) for t in targets if t.basis is not None]


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"compose.yaml": "include: [deploy/web.yml]\n", "deploy/web.yml": _BUILD}, "deploy/web.yml:3"),
        ({"compose.yaml": "include:\n- path: [deploy/web.yml]\n", "deploy/web.yml": _BUILD}, "deploy/web.yml:3"),
        (
            {
                "compose.yaml": "services: {web: {extends: {file: deploy/web.yml, service: web}}}\n",
                "deploy/web.yml": _BUILD,
            },
            "compose.yaml:3",
        ),
        (
            {
                "compose.yaml": "services:\n  base: {build: {context: ., dockerfile: docker/Dockerfile}}\n"
                "  web: {extends: base, build: {args: {A: b}}}\n"
            },
            "compose.yaml:2",
        ),
        (
            {
                "cloudbuild.yaml": "steps:\n- name: docker/compose\n  args: [-f, deploy/web.yml, build]\n",
                "deploy/web.yml": _BUILD,
            },
            "deploy/web.yml:3",
        ),
        (
            {
                "skaffold.yaml": "build:\n  artifacts:\n  - image: x\n    context: .\n    docker: {dockerfile: docker/Dockerfile}\n"
            },
            "skaffold.yaml:3",
        ),
        (
            {
                "skaffold.yaml": "kind: Config\n---\nprofiles:\n- build:\n    artifacts:\n"
                "    - {image: x, docker: {dockerfile: docker/Dockerfile}}\n"
            },
            "skaffold.yaml:6",
        ),
        (
            {
                ".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n    - uses: docker/build-push-action@v6\n"
                "      with: {context: ., file: ./docker/Dockerfile}\n"
            },
            ".github/workflows/ci.yml:4",
        ),
        (
            {
                ".github/workflows/ci.yml": "jobs:\n  a:\n    strategy: {matrix: {dir: [docker, other]}}\n    steps:\n"
                "    - uses: docker/build-push-action@v6\n      with: {context: ., file: '${{ matrix.dir }}/Dockerfile'}\n"
            },
            ".github/workflows/ci.yml:5",
        ),
    ],
)
def test_a_file_declares_the_context(files: dict[str, str], place: str) -> None:
    assert _contexts(files) == [("", "declared", place)]


@pytest.mark.parametrize(
    "files",
    [
        {"compose.yaml": "include: ['https://example.invalid/x.yml', ../out.yml, '$X/y.yml', gone.yml]\n"},
        {"compose.yaml": "services: {web: {extends: {file: gone.yml, service: web}}}\n"},
        {"compose.yaml": "services: {a: {extends: a, image: x}}\n"},
        {"compose.yaml": "services: {a: {extends: b}, b: {extends: a}}\n"},
        {"deploy/web.yml": _BUILD},
        {"skaffold.yaml": "build: {artifacts: [{image: x, jib: {}}, {image: y, ko: {}}]}\n"},
        {
            ".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n    - uses: docker/build-push-action@v6\n"
            "      with: {context: '${{ inputs.x }}', file: docker/Dockerfile}\n"
        },
        {
            ".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n    - {uses: actions/checkout@v4, with: {repository: a/b}}\n"
            "    - {uses: docker/build-push-action@v6, with: {context: ., file: docker/Dockerfile}}\n"
        },
    ],
)
def test_what_declares_nothing_of_the_project(files: dict[str, str]) -> None:
    assert _contexts(files) == [("docker", "guessed", "docker/Dockerfile")]


@pytest.mark.parametrize("content", ["build: {artifacts: [", "x: 1\n" * 60000 + "artifacts:"])
def test_a_skaffold_file_that_cannot_be_read_costs_a_note(content: str) -> None:
    builds = skaffold.builds({"skaffold.yaml": content.encode()})

    assert not builds.images
    assert builds.notes[0].startswith("skaffold.yaml")


def test_arguments_and_stage_of_each_tool() -> None:
    by_skaffold = skaffold.builds(
        {
            "a/skaffold.yaml": b"build:\n  artifacts:\n  - image: x\n    context: svc\n"
            b"    docker: {target: prod, buildArgs: {PY: '3.12', V: '{{.X}}'}}\n"
        }
    )
    by_workflow, _notes = workflows.builds(
        {
            ".github/workflows/x.yml": b"jobs:\n  a:\n    steps:\n    - uses: docker/build-push-action@v6\n"
            b"      with:\n        context: svc\n        target: prod\n        build-args: |\n          PY=3.12\n          V=${{ x }}\n"
        }
    )

    expected = (("PY", "3.12"),)
    assert by_skaffold.images == (
        declared_builds.DeclaredBuild("a/svc/Dockerfile", "a/svc", expected, "a/skaffold.yaml:3", "prod"),
    )
    assert by_workflow == [
        declared_builds.DeclaredBuild("svc/Dockerfile", "svc", expected, ".github/workflows/x.yml:4", "prod")
    ]


def test_files_that_a_compose_file_refers_to() -> None:
    files = {"a/compose.yaml": b"include: [x.yml]\nservices: {w: {extends: {file: ../y.yml, service: w}}}\n"}

    assert compose.referenced(files) == {"a/x.yml", "y.yml"}
    assert compose.referenced({**files, "a/x.yml": b"", "y.yml": b""}) == set()
