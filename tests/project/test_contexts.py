"""Build contexts: declared by a compose file or a build file, confirmed by COPY sources, or guessed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.project import compose, contexts
from tests.conftest import BROKEN_BEFORE_312, Project

if TYPE_CHECKING:
    from collections.abc import Callable

_OUTAGE = {
    "docker/Dockerfile": "FROM python:3.11-slim\nCOPY . /opt/app\n",
    "docker/util.py": "print(1)\n",
    "app/main.py": BROKEN_BEFORE_312,
    "pyproject.toml": '[project]\nname = "b"\nversion = "1"\nrequires-python = ">=3.12"\n',
}
_COMPOSE = "services:\n  web:\n    build:\n      context: .\n      dockerfile: docker/Dockerfile\n"


def _contexts(made: Project, *args: str) -> list[dict[str, Any] | None]:
    return [row["context"] for row in made.check("--engine", "static", *args).json["targets"]]


def _context(path: str, known: str, by: str) -> dict[str, str]:
    return {"path": path, "known": known, "by": by}


@pytest.mark.parametrize(
    "name",
    [
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
        "compose.override.yaml",
        "compose.override.yml",
        "docker-compose.override.yaml",
        "docker-compose.override.yml",
        "docker-compose.prod.yml",
    ],
)
def test_a_compose_file_declares_the_context(repository: Callable[..., Project], name: str) -> None:
    made = repository({**_OUTAGE, name: _COMPOSE})

    result = made.check()

    assert result.code == 1
    assert "BG101" in result.codes()["app/main.py"]
    assert [(row["python"], row["context"], row["files"]) for row in result.json["targets"]] == [
        ("3.11", _context(".", "declared", f"{name}:4"), 2)
    ]


@pytest.mark.parametrize(
    ("file", "build", "context", "line"),
    [
        ("compose.yaml", "build: .", ".", 3),
        ("compose.yaml", "build: ./svc/", "svc", 3),
        ("svc/compose.yaml", "build: .", "svc", 3),
        ("deploy/compose.yaml", "build: {context: ../svc}", "svc", 3),
        ("deploy/compose.yaml", "build: {context: .., dockerfile: svc/Dockerfile}", ".", 3),
        ("compose.yaml", "build: {context: svc, dockerfile: ../svc/Dockerfile}", "svc", 3),
        ("compose.yaml", "build: {dockerfile: svc/Dockerfile}", ".", 3),
        ("compose.yaml", "build: {context: '${DIR:-svc}'}", "svc", 3),
        ("compose.yaml", "build:\n      <<: &x {context: svc}\n", "svc", 4),
    ],
)
def test_every_form_of_build(project: Callable[..., Project], file: str, build: str, context: str, line: int) -> None:
    files = {"svc/Dockerfile": "FROM python:3.11\nCOPY . .\n", "svc/a.py": "", "Dockerfile": "FROM python:3.11\n"}
    made = project({**files, file: f"services:\n  web:\n    {build}\n", ".python-version": "3.11\n"})

    declared = [one for one in _contexts(made) if one is not None and one["known"] == "declared"]

    assert declared == [_context(context, "declared", f"{file}:{line}")]


def test_a_layer_adds_to_the_build_of_the_file_below() -> None:
    files = {
        "compose.override.yaml": b"services:\n  web:\n    build:\n      args: {PY: '3.12'}\n",
        "compose.yaml": b"services:\n  web:\n    build:\n      context: .\n      dockerfile: docker/Dockerfile\n",
    }

    builds, notes = compose.builds(files)

    assert [(one.context, one.dockerfile, one.build_args) for one in builds] == [
        ("", "docker/Dockerfile", ()),
        ("", "docker/Dockerfile", (("PY", "3.12"),)),
    ]
    assert notes == []


@pytest.mark.parametrize(
    ("dockerfile", "args", "pythons"),
    [
        ("ARG PY\nFROM python:${PY}\n", "{PY: '3.9'}", ["3.9"]),
        ("ARG PY=3.12\nFROM python:${PY}\n", "{PY: '3.9'}", ["3.12", "3.9"]),
        ("ARG PY=3.12\nFROM python:${PY}\n", "[PY=3.12, OTHER]", ["3.12"]),
        ("ARG PY=3.12\nFROM python:${PY}\n", "{PY: '${PY}', EMPTY: }", ["3.12"]),
        ("ARG PY=3.12\nFROM python:${PY}\n", "{PY: '${PY:-3.9}'}", ["3.12", "3.9"]),
        ("ARG PY\nFROM python:${PY}\n", "{PY: '${PY}'}", ["unknown"]),
    ],
)
def test_build_arguments_of_a_compose_file(
    project: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
    dockerfile: str,
    args: str,
    pythons: list[str],
) -> None:
    """What is deployed may be built without them, so the defaults of the Dockerfile count too."""
    monkeypatch.setenv("PY", "3.8")
    made = project(
        {"a.py": "", "Dockerfile": dockerfile, "compose.yaml": f"services: {{web: {{build: {{args: {args}}}}}}}\n"}
    )

    assert [row["python"] for row in made.check("--engine", "static").json["targets"]] == pythons


def test_the_target_of_a_compose_file_is_not_the_stage_that_is_deployed(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": BROKEN_BEFORE_312,
            "Dockerfile": "FROM python:3.12 AS dev\nFROM python:3.11\nCOPY . .\n",
            "compose.yaml": "services: {web: {build: {context: ., target: dev}}}\n",
        }
    )

    assert [row["python"] for row in made.check().json["targets"]] == ["3.11"]


def test_a_build_file_decides_before_a_compose_file(project: Callable[..., Project]) -> None:
    made = project(
        {
            "svc/Dockerfile": "FROM python:3.11\n",
            "svc/a.py": "",
            "compose.yaml": "services: {web: {build: {context: ., dockerfile: svc/Dockerfile}}}\n",
            "cloudbuild.yaml": "steps:\n- name: docker\n  args: [build, svc]\n",
        }
    )

    assert _contexts(made) == [_context("svc", "declared", "cloudbuild.yaml:3")]


def test_a_dockerfile_of_any_name_is_read_where_it_is_built(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": "",
            "images/web": "FROM python:3.11\n",
            "images/job.txt": "FROM python:3.9\n",
            ".devcontainer/dev": "FROM python:3.8\n",
            "compose.yaml": "services:\n  web: {build: {context: ., dockerfile: images/web}}\n"
            "  dev: {build: {context: ., dockerfile: .devcontainer/dev}}\n",
            ".devcontainer/compose.yaml": "services: {x: {build: {context: .., dockerfile: .devcontainer/dev}}}\n",
            "cloudbuild.yaml": "steps:\n- name: docker\n  args: [build, -f, images/job.txt, .]\n",
        }
    )

    assert sorted(row["found_in"] for row in made.check("--engine", "static").json["targets"]) == [
        "images/job.txt:1",
        "images/web:1",
    ]


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("build: [", "compose.yaml:1 is not valid YAML"),
        (b"build: \xff", "not UTF-8"),
        ("build: *nowhere\n", "is not valid YAML"),
        (f"{_BOMB}build: 1\n", "is not valid YAML"),
        ("build: " + "[" * 100_000, "is not valid YAML"),
        ("build: 1\n---\nbuild: 2\n", "second document"),
        ("# build\n" * 100_000, "too large"),
        ("services: {a: {build: '$HOME'}}\n", "depends on the environment"),
        ("services: {a: {build: ../..}}\n", "outside the root"),
        ("services: {a: {build: /etc}}\n", "outside the root"),
        ("services: {a: {build: '~/x'}}\n", "outside the root"),
        ("services: {a: {build: {context: ., dockerfile: ../Dockerfile}}}\n", "outside the root"),
        ("services: {a: {build: {context: [x]}}}\n", "is no path"),
        ("services: {a: {build: {dockerfile_inline: FROM x}}}\n", "dockerfile_inline"),
    ],
)
def test_a_compose_file_that_cannot_be_used_costs_a_note(
    project: Callable[..., Project], content: str | bytes, note: str
) -> None:
    made = project({"a.py": "", "Dockerfile": "FROM python:3.11\nCOPY a.py .\n", "compose.yaml": content})
    began = time.monotonic()

    report = made.check("--engine", "static", "--proof", "predicted").json

    assert report["exit_code"] == 0
    assert any(note in one for one in report["notes"]), report["notes"]
    assert [row["context"] for row in report["targets"]] == [_context(".", "confirmed", "Dockerfile:2")]
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(
    "content",
    [
        "services: {a: {build: 'https://example.invalid/x.git#main'}}\n",
        "services: {a: {build: 'git@example.invalid:x/y.git'}}\n",
        "services: {a: {build: 'github.com/x/y'}}\n",
        "services: {a: {build: }, b: {build: [x]}, c: {build: !reset null}, d: [], e: build}\n",
        "services: [build]\n",
        "- build\n",
        "build",
        "",
    ],
)
def test_what_builds_nothing_of_the_project_is_passed_over(content: str) -> None:
    assert compose.builds({"compose.yaml": content.encode()}) == ([], [])


def test_a_compose_file_behind_a_link_out_of_the_root(project: Callable[..., Project]) -> None:
    made = project({"a.py": "", "Dockerfile": "FROM python:3.11\nCOPY a.py .\n"})
    (made.path / "compose.yaml").symlink_to("/etc/hostname")

    report = made.check("--engine", "static", "--proof", "predicted").json

    assert report["exit_code"] == 0
    assert any(one.startswith("compose.yaml: ") for one in report["notes"])


# ------------------------------------------------------------------------------------------ COPY sources


@pytest.mark.parametrize(
    ("copies", "files", "expected"),
    [
        # a source that only one candidate has decides
        ("COPY app /opt/app", "docker/x.py app/a.py", (".", "confirmed", 2)),
        ("COPY app/a.py /opt/", "docker/x.py app/a.py", (".", "confirmed", 2)),
        ("COPY ./x.py /opt/\nCOPY . .", "docker/x.py app/a.py", ("docker", "confirmed", 2)),
        ("COPY . .\nADD pyproject.toml .", "docker/x.py app/a.py pyproject.toml", (".", "confirmed", 3)),
        ('COPY ["app", "/opt/app"]', "docker/x.py app/a.py", (".", "confirmed", 2)),
        ("COPY ap?/*.py /opt/", "docker/x.py app/a.py", (".", "confirmed", 2)),
        ("ENV D=app\nCOPY $D/a.py /opt/", "docker/x.py app/a.py", (".", "confirmed", 3)),
        ("COPY ../app /opt/app", "docker/x.py app/a.py", (".", "confirmed", 2)),
        ("COPY docker/run.sh /", "docker/run.sh app/a.py", (".", "confirmed", 2)),
        ("COPY run.sh /", "docker/run.sh docker/x.py a.py", ("docker", "confirmed", 2)),
        # nothing is refuted
        ("COPY . /opt/app", "docker/x.py app/a.py", ("docker", "guessed", None)),
        ("COPY x.py .", "docker/x.py x.py", ("docker", "guessed", None)),
        ("COPY . /opt/app", "docker/run.sh app/a.py", (".", "guessed", None)),
        ("COPY $UNKNOWN /x", "docker/x.py app/a.py", ("docker", "guessed", None)),
        ("COPY --from=build /app /app", "docker/x.py app/a.py", ("docker", "guessed", None)),
        ("ADD https://example.invalid/app /app", "docker/x.py app/a.py", ("docker", "guessed", None)),
        ("COPY <<EOF /app\nCOPY app /app\nEOF", "docker/x.py app/a.py", ("docker", "guessed", None)),
        # what may be missing refutes nothing
        ("COPY x.py poetry.lock* ./", "docker/x.py poetry.lock app/a.py x.py", ("docker", "guessed", None)),
        ("COPY yarn.loc[k] ./", "docker/x.py yarn.lock", ("docker", "guessed", None)),
        ("COPY app/* ./", "docker/x.py app/a.py", (".", "confirmed", 2)),
        # all miss some: the one that misses the fewest, and the nearest of those
        ("COPY gone /x\nCOPY app /app", "docker/x.py app/a.py", (".", "guessed", None)),
        ("COPY x.py app /x/", "docker/x.py app/a.py", ("docker", "guessed", None)),
        # a folder without sources counts only where it misses nothing
        ("COPY gone run.sh a.sh /x/", "docker/run.sh docker/a.sh app/a.py", (".", "guessed", None)),
    ],
)
def test_copy_sources_test_a_context(copies: str, files: str, expected: tuple[str, str, int | None]) -> None:
    paths = contexts.ProjectPaths(one.encode() for one in ["docker/Dockerfile", *files.split()])

    found = contexts.guess("docker/Dockerfile", f"FROM python:3.11\n{copies}\n".encode(), paths)

    line = "" if expected[2] is None else f":{expected[2]}"
    assert (found.context or ".", *found.basis) == (*expected[:2], f"docker/Dockerfile{line}")


def test_a_missing_copy_source_ends_the_false_pass(repository: Callable[..., Project]) -> None:
    made = repository({**_OUTAGE, "docker/Dockerfile": "FROM python:3.11-slim\nCOPY app /opt/app\n"})

    result = made.check()

    assert result.code == 1
    assert "BG101" in result.codes()["app/main.py"]


def test_a_context_without_sources_is_noted(project: Callable[..., Project]) -> None:
    """The image is of a tool, by the file that only its own folder has; what the image runs is not known."""
    made = project(
        {
            "tool/Dockerfile": "FROM python:3.8\nCOPY run.sh /\n",
            "tool/run.sh": "",
            "a.py": "match 1:\n    case 1: pass\n",
            ".python-version": "3.12\n",
        }
    )

    report = made.check().json

    assert [(row["python"], row["context"]) for row in report["targets"]] == [("3.12", None)]
    assert any(one.startswith("tool/Dockerfile:2: ") for one in report["notes"])


def test_what_lies_behind_a_link_is_not_missing() -> None:
    paths = contexts.ProjectPaths([b"svc/Dockerfile", b"svc/a.py", b"svc/shared", b"shared/x.py"])

    assert contexts.guess("svc/Dockerfile", b"FROM x\nCOPY shared/x.py .\n", paths).context == "svc"


def test_a_guess_that_misses_a_source_is_noted(project: Callable[..., Project]) -> None:
    made = project({"svc/a.py": "", "svc/Dockerfile": "FROM python:3.11\nCOPY gone.py .\n"})

    report = made.check("--engine", "static").json

    assert report["targets"][0]["context"] == _context("svc", "guessed", "svc/Dockerfile")
    assert any(one.startswith("svc/Dockerfile:2: ") for one in report["notes"])


@pytest.mark.parametrize(
    ("table", "context"),
    [
        (
            '[[service]]\nname = "x"\ndockerfile = "svc/Dockerfile"\ncontext = "."\n',
            (".", "declared", "buildguard.toml:1"),
        ),
        ('[[service]]\nname = "x"\ndockerfile = "svc/Dockerfile"\n', (".", "confirmed", "svc/Dockerfile:2")),
        ('dockerfile = "svc/Dockerfile"\n', (".", "confirmed", "svc/Dockerfile:2")),
    ],
)
def test_the_configuration_declares_what_it_sets(
    project: Callable[..., Project], table: str, context: tuple[str, str, str]
) -> None:
    made = project(
        {
            "svc/Dockerfile": "FROM python:3.11\nCOPY lib /lib\n",
            "svc/x.py": "",
            "lib/a.py": "",
            "buildguard.toml": table,
        }
    )

    assert _contexts(made) == [_context(*context)]


def test_a_target_of_no_image_has_no_context(project: Callable[..., Project]) -> None:
    made = project({"svc/Dockerfile": "FROM python:3.11\n", "svc/x.py": "", "a.py": "", ".python-version": "3.12\n"})

    assert _contexts(made) == [_context("svc", "guessed", "svc/Dockerfile"), None]
    assert _contexts(made, "--target", "3.11") == [None]
    assert _contexts(made, "--target", "3.11", "--service", "svc") == [_context("svc", "guessed", "svc/Dockerfile")]
    assert (
        "svc: Python 3.11 in python:3.11, from svc/Dockerfile:1: 1 file in svc/; build context: svc (guessed, svc/Dockerfile)"
        in made.run("doctor").out
    )


def test_the_same_build_at_two_lines_is_one_target(project: Callable[..., Project]) -> None:
    step = "- name: docker\n  args: [build, svc]\n"
    made = project({"svc/Dockerfile": "FROM python:3.11\n", "svc/a.py": "", "cloudbuild.yaml": f"steps:\n{step}{step}"})

    assert _contexts(made) == [_context("svc", "declared", "cloudbuild.yaml:3")]


def test_a_staged_compose_file_is_a_new_target(repository: Callable[..., Project]) -> None:
    made = repository(_OUTAGE)
    made.write({"compose.yaml": _COMPOSE})
    made.git("add", "compose.yaml")

    assert made.check("--staged").code == 1


@pytest.mark.parametrize("sources", ["COPY " + "x" * 10 + "/*/*/y\n", "COPY *a*a*a*a*a*a*a*a*b /x\n"])
def test_a_dockerfile_made_to_take_forever(sources: str) -> None:
    paths = contexts.ProjectPaths([b"d/Dockerfile", *(b"d/%s%d.py" % (b"a" * 50, n) for n in range(2000))])
    began = time.process_time()

    contexts.guess("d/Dockerfile", f"FROM x\n{sources * 2000}".encode(), paths)

    assert time.process_time() - began < 5


def test_only_so_many_sources_are_looked_for() -> None:
    lines = "".join(f"COPY *a*{number}*b /x\n" for number in range(2_000))

    assert len(contexts.copy_sources(f"FROM x\n{lines}".encode())) == 200
