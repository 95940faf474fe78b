"""Targets, through the command line: who decides, who disagrees, and what each Dockerfile runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import BROKEN_BEFORE_312, Project

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOUDBUILD = """\
steps:
  - name: gcr.io/cloud-builders/docker
    args: [build, -f, backend/Dockerfile, --build-arg, PY=$_PY, -t, x, .]
substitutions:
  _PY: "3.9"
"""


def _targets(made: Project, *args: str) -> list[tuple[str, str]]:
    return [(one["python"], one["found_in"]) for one in made.check("--engine", "static", *args).json["targets"]]


@pytest.mark.parametrize(
    ("file", "content", "python", "line"),
    [
        ("Dockerfile", "FROM node AS web\nFROM python:3.9-slim\n", "3.9", 2),
        ("Containerfile", "FROM python:3.9-slim\n", "3.9", 1),
        ("api.Dockerfile", "FROM python:3.9-slim\n", "3.9", 1),
        (
            "cloudbuild.json",
            '{"steps": [{"name": "x/pack",\n"env": ["GOOGLE_PYTHON_VERSION=3.10"]}]}',
            "3.10",
            2,
        ),
        ("cloudbuild.yaml", "steps:\n- name: x\n  env:\n  - GOOGLE_PYTHON_VERSION=3.10.x\n", "3.10", 4),
        (
            "cloudbuild.yaml",
            "steps:\n- name: x/pack\n  args: [build, --env, GOOGLE_PYTHON_VERSION=3.10.4]\n",
            "3.10.4",
            3,
        ),
        ("project.toml", '[[build.env]]\nname = "GOOGLE_PYTHON_VERSION"\nvalue = "3.12"\n', "3.12", 2),
        ("app.yaml", "service: x\nruntime: python312\n", "3.12", 2),
        ("app.yaml", 'runtime: python\nruntime_config:\n  runtime_version: "3.12"\n', "3.12", 3),
        ("runtime.txt", "python-3.11.9\n", "3.11.9", 1),
        (".python-version", "# mine\n3.10\n", "3.10", 2),
        (".python-version", "cpython-3.10.4-linux\n", "3.10.4", 1),
        (".tool-versions", "nodejs 20\npython 3.10.4 2.7\n", "3.10.4", 2),
        ("Pipfile", '[packages]\n[requires]\npython_version = "3.10"\n', "3.10", 3),
        ("pyproject.toml", '[project]\nname = "x"\nrequires-python = ">=3.10,<4"\n', "3.10", 3),
        ("pyproject.toml", '[project]\nrequires-python = "~=3.10"\n', "3.10", 2),
        ("pyproject.toml", '[project]\nrequires-python = ">3.9.1"\n', "3.9", 2),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.10"\n', "3.10", 2),
        ("setup.cfg", "[options]\npython_requires = >=3.10\n", "3.10", 2),
        ("pyproject.toml", '[tool.buildguard]\ntarget = ["3.10"]\n', "3.10", 2),
        ("buildguard.toml", 'target = "3.10"\n', "3.10", 1),
    ],
)
def test_each_file_is_read(project: Callable[..., Project], file: str, content: str, python: str, line: int) -> None:
    made = project({"a.py": "x = 1\n", file: content})

    assert _targets(made) == [(python, f"{file}:{line}")]


def test_the_flag_wins(project: Callable[..., Project]) -> None:
    made = project({"a.py": "", "Dockerfile": "FROM python:3.9\n", ".python-version": "3.12\n"})

    report = made.check("--target", "3.11", "--target", "3.10").json

    assert [(one["python"], one["found_in"]) for one in report["targets"]] == [
        ("3.11", "--target"),
        ("3.10", "--target"),
    ]
    assert report["diagnostics"] == []


def test_every_disagreement_is_told_with_its_line(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": "",
            "Dockerfile": "FROM python:3.11-slim\n",
            ".python-version": "3.12\n",
            "runtime.txt": "python-3.11.9\n",  # a patch release of the same minor version agrees
            "app.yaml": "service: x\nruntime: python313\n",
            "pyproject.toml": '[project]\nrequires-python = ">=3.12"\n',
            "Pipfile": '[requires]\npython_version = "3.11"\n',
        }
    )

    report = made.check().json

    assert [(one["code"], one["path"], one["line"]) for one in report["diagnostics"]] == [
        ("BG401", ".python-version", 1),
        ("BG401", "app.yaml", 2),
        ("BG401", "pyproject.toml", 2),
    ]
    assert report["targets"][0]["python"] == "3.11"
    assert report["exit_code"] == 0
    assert made.check("--strict").code == 1
    assert made.check("--strict", "--ignore", "BG401").code == 0


@pytest.mark.parametrize(
    ("files", "source", "change"),
    [
        ({}, "the builder's default", "pin another Python in .python-version"),
        ({".python-version": ">=3.13"}, ".python-version:1", "change .python-version:1"),
    ],
)
def test_a_file_that_sets_no_version_is_not_to_be_changed(
    project: Callable[..., Project], files: dict[str, str], source: str, change: str
) -> None:
    pipfile = '[requires]\npython_version = "3.9"\n'
    made = project({"Procfile": "web: gunicorn main:app\n", "main.py": "", "Pipfile": pipfile, **files})

    rows = made.check("--engine", "static").json["diagnostics"]

    row = next(row for row in rows if (row["code"], row["path"]) == ("BG401", "Pipfile"))
    assert row["message"].endswith(f"but the target is Python 3.14 ({source})")
    assert row["hint"] == f"make Pipfile:2 say 3.14, or {change}"


_TEST_STEP = "- name: python:3.9\n  entrypoint: pytest\n  args: [tests]\n"


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"Dockerfile": "FROM python:3.11-slim\nCOPY . /app\n"}, ("3.11", "Dockerfile:1")),
        ({"Dockerfile": "FROM acme/base:1\nCOPY . /app\n"}, ("unknown", "Dockerfile:1")),
        (
            {"cloudbuild.yaml": f"steps:\n- name: x/pack\n  env: [GOOGLE_PYTHON_VERSION=3.13]\n{_TEST_STEP}"},
            ("3.13", "cloudbuild.yaml:3"),
        ),
        ({".python-version": "3.12\n"}, ("3.12", ".python-version:1")),
        ({"buildguard.toml": 'target = ["3.10"]\n'}, ("3.10", "buildguard.toml:1")),
    ],
)
def test_the_image_of_a_test_step_is_no_target(
    project: Callable[..., Project], files: dict[str, str], target: tuple[str, str]
) -> None:
    made = project({"a.py": "", "tests/test_a.py": "", "cloudbuild.yaml": f"steps:\n{_TEST_STEP}", **files})

    report = made.check("--engine", "static").json

    assert [(row["python"], row["found_in"]) for row in report["targets"]] == [target]
    assert not [one for one in report["diagnostics"] if one["code"] == "BG401"]


def test_a_step_alone_is_no_target(project: Callable[..., Project]) -> None:
    """What tests run on is no evidence of what is deployed."""
    made = project({"a.py": "", "cloudbuild.yaml": f"steps:\n{_TEST_STEP}"})

    result = made.run("check")

    assert result.code == 2
    assert "cloudbuild.yaml:2: step on python:3.9" in result.err
    assert "cloudbuild.yaml:2" in made.run("doctor").out


def test_a_range_that_lets_the_target_in_agrees(project: Callable[..., Project]) -> None:
    made = project(
        {"a.py": "", "Dockerfile": "FROM python:3.12\n", "setup.cfg": "[options]\npython_requires = >=3.8\n"}
    )

    assert made.check().json["diagnostics"] == []


@pytest.mark.parametrize("image", ["python:3", "python:latest", "python", "acme/base:1", "python:${V}"])
def test_nothing_weaker_stands_in_for_production(project: Callable[..., Project], image: str) -> None:
    made = project({"a.py": "", "Dockerfile": f"FROM {image}\n", ".python-version": "3.11\n"})

    report = made.check().json

    assert report["exit_code"] == 3
    assert report["targets"][0]["proof"] == "none"
    assert "target" in report["unproven"][0]["reason"]
    assert report["unproven"][0]["path"] is None


def test_without_an_engine_the_text_is_still_judged(project: Callable[..., Project]) -> None:
    made = project({"a.py": b"x = 1  # \xff\n", "Dockerfile": "FROM python:3\n"})

    result = made.check()

    assert result.codes() == {"a.py": ["BG102"]}
    assert result.code == 1


def test_nothing_declared(project: Callable[..., Project]) -> None:
    result = project({"a.py": ""}).run("check")

    assert result.code == 2
    assert result.out == ""
    assert 'target = ["3.11"]' in result.err


def test_build_arguments_and_context_come_from_the_build_file(project: Callable[..., Project]) -> None:
    made = project(
        {
            "shared/a.py": "",
            "backend/b.py": "",
            "backend/Dockerfile": "ARG PY=3.12\nFROM python:${PY}\n",
            "cloudbuild.yaml": _CLOUDBUILD,
        }
    )

    assert [(one["python"], one["files"]) for one in made.check("--engine", "static").json["targets"]] == [("3.9", 2)]


@pytest.mark.parametrize(
    "step",
    [
        "- name: gcr.io/cloud-builders/docker\n  dir: backend\n  args: [build, --build-arg=PY=3.9, .]\n",
        "- name: gcr.io/cloud-builders/docker\n  args: ['build', '-fbackend/Dockerfile', '--build-arg', 'PY=3.9', 'backend']\n",
        "- name: gcr.io/cloud-builders/docker\n  args: [buildx, build, --push, --build-arg, PY=3.9, /workspace/backend]\n",
        "- name: x\n  entrypoint: bash\n  args: [-c, 'cd backend && docker build --build-arg PY=3.9 -t x .']\n",
        "- name: x\n  script: |\n    set -e\n    docker build \\\n      --build-arg PY=3.9 backend/\n",
        "- name: gcr.io/kaniko-project/executor:v1\n  args: ['--context=backend', '--build-arg=PY=3.9', '--destination=x']\n",
    ],
)
def test_builds_are_found_however_they_are_written(project: Callable[..., Project], step: str) -> None:
    made = project(
        {
            "backend/b.py": "",
            "backend/Dockerfile": "ARG PY=3.12\nFROM python:${PY}\n",
            "cloudbuild.yaml": f"steps:\n{step}",
        }
    )

    assert [(one["python"], one["files"]) for one in made.check("--engine", "static").json["targets"]] == [("3.9", 1)]


def test_a_build_file_of_another_name(project: Callable[..., Project]) -> None:
    made = project(
        {
            "lib/b.py": "",
            "backend/Dockerfile": "ARG PY=3.12\nFROM python:${PY}\n",
            "ci/build.yaml": "steps:\n- name: docker\n  args: [build, -f, backend/Dockerfile, --build-arg, PY=$_V, .]\n",
            "buildguard.toml": '[cloud]\nconfig = "ci/build.yaml"\nsubstitutions = { _V = "3.9" }\n',
        }
    )

    assert [(one["python"], one["files"]) for one in made.check("--engine", "static").json["targets"]] == [("3.9", 1)]


def test_several_dockerfiles_are_several_targets(project: Callable[..., Project]) -> None:
    files = {
        "backend/a.py": BROKEN_BEFORE_312,
        "worker/b.py": BROKEN_BEFORE_312,
        "tools/c.py": BROKEN_BEFORE_312,
        "backend/Dockerfile": "FROM python:3.11\n",
        "worker/Dockerfile": "FROM python:3.12\n",
        ".python-version": "3.10\n",
    }
    made = project(files)

    report = made.check().json

    rows = [(one["python"], one["service"], one["files"]) for one in report["targets"]]
    assert rows == [("3.11", "backend", 1), ("3.12", "worker", 1), ("3.10", None, 1)]
    found = {(one["path"], one["target"]) for one in report["diagnostics"] if one["code"] == "BG101"}
    assert found == {("backend/a.py", "3.11"), ("tools/c.py", "3.10")}
    assert [one["service"] for one in made.check("--service", "worker").json["targets"]] == ["worker"]
    assert made.check("--service", "worker").json["summary"]["errors"] == 0
    assert made.run("check", "--service", "absent").code == 2


def test_a_file_in_several_contexts_is_judged_for_each(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": BROKEN_BEFORE_312,
            "Dockerfile": "FROM python:3.11\n",
            "Dockerfile.next": "FROM python:3.12\n",
        }
    )

    report = made.check().json

    assert [(one["python"], one["service"]) for one in report["targets"]] == [("3.11", "root"), ("3.12", "next")]
    assert [(one["code"], one["target"]) for one in report["diagnostics"] if one["path"]] == [("BG101", "3.11")]


def test_files_that_belong_to_no_target_are_unproven(project: Callable[..., Project]) -> None:
    made = project({"backend/a.py": "", "backend/Dockerfile": "FROM python:3.11\n", "tools/c.py": ""})

    report = made.check().json

    assert report["exit_code"] == 3
    assert "outside every build context" in report["unproven"][0]["reason"]


def test_a_service_that_runs_none_of_the_files_is_not_clean(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": "",
            ".python-version": "3.11\n",
            "web/Dockerfile": "FROM nginx:1\n",
            "job/Dockerfile": "FROM python:3.11\n",
            "job/b.py": "",
        }
    )

    for args in (["--service", "web"], ["--service", "job", "a.py"]):
        report = made.check(*args).json
        assert report["exit_code"] == 3
        assert "runs none of these files" in report["unproven"][0]["reason"]


_SERVICES = {
    **{f"backend/{name}.py": "x = 1\n" for name in "abcde"},
    **{f"worker/{name}.py": "x = 1\n" for name in "pqrs"},
    "backend/Dockerfile": "FROM python:3.11\n",
    "worker/Dockerfile": "FROM python:3.12\n",
}


@pytest.mark.parametrize(("service", "count"), [("worker", 4), ("backend", 5), ("", 9)])
def test_only_the_files_of_a_service_are_counted(repository: Callable[..., Project], service: str, count: int) -> None:
    made = repository(_SERVICES)
    arguments = ["--service", service] if service else []

    report = made.check(*arguments).json

    assert report["summary"]["files"] == count == sum(row["files"] for row in report["targets"])
    lines = made.run("check", *arguments).out.splitlines()
    assert lines[-1].startswith(f"clean: {count} files compiled")
    assert f"{count} files," in lines[-2] or not service


def test_a_service_without_its_files_is_not_clean(repository: Callable[..., Project]) -> None:
    """They are in git's index, and deleted on the disk: zero files were compiled. A declared context is no guess."""
    made = repository({**_SERVICES, "compose.yaml": "services:\n  worker:\n    build: ./worker\n"})
    for file in (made.path / "worker").glob("*.py"):
        file.unlink()

    result = made.run("check", "--service", "worker")

    assert result.code == 3
    assert "service 'worker' runs none of these files" in result.out
    assert "clean" not in result.out
    assert made.check("--service", "backend").json["summary"]["files"] == 5
    assert made.check().json["summary"]["files"] == 5


def test_configured_services(project: Callable[..., Project]) -> None:
    made = project(
        {
            "lib/a.py": "",
            "docker/api": "FROM python:3.11\n",
            "buildguard.toml": '[[service]]\nname = "api"\ndockerfile = "docker/api"\ncontext = "."\n',
        }
    )

    report = made.check().json

    assert [(one["service"], one["found_in"], one["files"]) for one in report["targets"]] == [
        ("api", "docker/api:1", 1)
    ]


def test_a_configured_service_without_its_dockerfile(project: Callable[..., Project]) -> None:
    made = project({"a.py": "", "buildguard.toml": '[[service]]\nname = "api"\ndockerfile = "docker/api"\n'})

    result = made.run("check")

    assert result.code == 2
    assert "buildguard.toml:1: there is no docker/api" in result.err


def test_a_dockerfile_beside_the_source_counts_for_the_folder_above(project: Callable[..., Project]) -> None:
    made = project({"app/a.py": "", "docker/Dockerfile": "FROM python:3.11\n", ".python-version": "3.12\n"})

    report = made.check().json

    assert [(one["python"], one["files"]) for one in report["targets"]] == [("3.11", 1)]
    assert any("build context" in note for note in report["notes"])


def test_one_dockerfile_built_twice_is_two_targets(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": BROKEN_BEFORE_312,
            "Dockerfile": "ARG PY\nFROM python:${PY} AS dev\nFROM python:3.10 AS prod\n",
            "cloudbuild.yaml": "steps:\n"
            "- name: docker\n  args: [build, --target, dev, --build-arg, PY=3.12, .]\n"
            "- name: docker\n  args: [build, --target, dev, --build-arg, PY=3.11, .]\n"
            "- name: docker\n  args: [build, .]\n",
        }
    )

    report = made.check().json

    assert [one["python"] for one in report["targets"]] == ["3.12", "3.11", "3.10"]
    (one,) = (one for one in report["diagnostics"] if one["code"] == "BG101")
    assert one["targets"] == ["3.10", "3.11"]


def test_an_empty_image_with_a_python_copied_in_is_not_passed_over(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": "",
            ".python-version": "3.12\n",
            "Dockerfile": "FROM python:3.11 AS build\nCOPY . .\nFROM scratch\nCOPY --from=build / /\n",
            "job/a.py": "",
            "job/Dockerfile": "FROM acme/python:1 AS build\nFROM scratch\nCOPY --from=build / /\n",
        }
    )

    report = made.check("--engine", "static").json

    assert _targets(made) == [("3.11", "Dockerfile:4"), ("unknown", "job/Dockerfile:2")]
    assert "scratch" in report["unproven"][-1]["reason"] or "scratch" in report["unproven"][0]["reason"]


def test_images_without_python_make_no_target(project: Callable[..., Project]) -> None:
    made = project(
        {
            "a.py": "",
            ".python-version": "3.11\n",
            "web/Dockerfile": "FROM node AS b\nFROM nginx:1\nCOPY --from=b /x /y\n",
            ".devcontainer/Dockerfile": "FROM python:3.8\n",
            "docs/Dockerfile.md": "FROM python:3.8\n",
            "Dockerfile.backup": "FROM python:3.8\n",
            "Dockerfile.old": "FROM python:3.8\n",
            "Dockerfile.sample": "FROM python:3.8\n",
            "Dockerfile.orig": "FROM python:3.8\n",
            "Dockerfile.tmpl": "FROM python:3.8\n",
            "Dockerfile.cloudbuild.yaml": "steps: []\n",
        }
    )

    assert _targets(made) == [("3.11", ".python-version:1")]


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("pyproject.toml", "[project]\nname = \n[tool.buildguard]\n", "pyproject.toml:2"),
        ("pyproject.toml", '[tool.buildguard]\nx = 1\ntraget = ["3.11"]\n', "pyproject.toml:2"),
        ("buildguard.toml", 'traget = ["3.11"]\n', "buildguard.toml:1"),
        ("buildguard.toml", "target = 3.11\n", "buildguard.toml:1"),
        ("buildguard.toml", 'target = ["3.99"]\n', "3.99"),
        ("buildguard.toml", 'ignore = ["E501"]\n', "buildguard.toml"),
        ("buildguard.toml", "[cloud]\nprojekt = 'x'\n", "buildguard.toml:2"),
    ],
)
def test_broken_files_are_named_with_their_line(
    project: Callable[..., Project], file: str, content: str, place: str
) -> None:
    result = project({"a.py": "", "Dockerfile": "FROM python:3.11\n", file: content}).run("check")

    assert result.code == 2
    assert place in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "content", ["[project]\nname = \n", '[project]\nrequires-python = "about 3"\n', '[project]\nx = "\x00"\n']
)
def test_a_broken_file_beside_a_dockerfile_costs_a_note(project: Callable[..., Project], content: str) -> None:
    made = project(
        {
            "api/Dockerfile": "FROM python:3.11\nCOPY a.py /\n",
            "api/a.py": "",
            "api/pyproject.toml": content,
            "Dockerfile": "FROM python:3.11\nCOPY api /api\n",
            "pyproject.toml": content,
        }
    )

    report = made.check("--engine", "static", "--proof", "predicted").json

    assert report["exit_code"] == 0
    assert [note.split(":")[0] for note in report["notes"]] == ["api/pyproject.toml", "pyproject.toml"]


def test_did_you_mean(project: Callable[..., Project]) -> None:
    result = project({"a.py": "", "buildguard.toml": 'traget = ["3.11"]\n'}).run("check")

    assert "did you mean 'target'?" in result.err


def test_yaml_that_blows_up_is_refused(project: Callable[..., Project]) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 12)
    )

    result = project({"a.py": "", "cloudbuild.yaml": bomb}).run("check")

    assert result.code == 2
    assert "cloudbuild.yaml" in result.err


_NESTED = {
    "Dockerfile": "FROM python:3.13\n",
    "a.py": "",
    "api/Dockerfile": "FROM python:3.11\n",
    "api/b.py": "def f[T](): pass\n",
    "api/c.py": "def f[T](): pass\n",
}


@pytest.mark.parametrize(
    ("ignores", "runs"),
    [
        ({}, ["3.11", "3.13"]),
        ({".dockerignore": "api\n"}, ["3.11"]),
        ({".dockerignore": "api\n!api\n"}, ["3.11", "3.13"]),
        ({".dockerignore": "api/b.py\n"}, ["3.11", "3.13"]),
        ({".dockerignore": "docs\n", "Dockerfile.dockerignore": "api/**\n"}, ["3.11"]),
    ],
)
def test_an_image_that_leaves_another_ones_context_out_does_not_run_it(
    repository: Callable[..., Project], ignores: dict[str, str], runs: list[str]
) -> None:
    made = repository({**_NESTED, **ignores})

    report = made.check("api").json
    assert sorted(row["python"] for row in report["targets"] if row["files"]) == runs
    whole = made.check().json
    assert {row["python"]: row["files"] for row in whole["targets"]} == {"3.11": 2, "3.13": 3 if "3.13" in runs else 1}
    assert whole["unproven"] == []
