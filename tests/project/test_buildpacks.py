"""Folders without a Dockerfile: the Python that buildpacks choose, and folders that declare one of their own."""

from __future__ import annotations

import pytest

from buildguard.diagnostic import Severity
from buildguard.errors import UsageError
from buildguard.project import buildpacks, discovery, folder_projects
from buildguard.project.cloudbuild import source_builds
from buildguard.project.cloudbuild.source_builds import SourceTool
from buildguard.project.config import Config
from buildguard.project.target import Certainty, ContextBasis, Target
from tests.project.memory import MemoryStage

_APP = {"svc/main.py": "", "svc/requirements.txt": "gunicorn\n"}


def _deploy(*words: str, extra: str = "") -> dict[str, str]:
    return {"cloudbuild.yaml": f"steps:\n- name: x\n  entrypoint: gcloud\n  args: [{', '.join(words)}]\n{extra}"}


def _pack(builder: str = "") -> dict[str, str]:
    option = f", --builder={builder}" if builder else ""
    return {"cloudbuild.yaml": f"steps:\n- name: gcr.io/k8s-skaffold/pack\n  args: [build, img, --path=svc{option}]\n"}


_RUN = _deploy("run", "deploy", "svc", "--source", "svc")


def _targets(files: dict[str, str]) -> list[Target]:
    stage = MemoryStage({**_APP, **files})
    return list(discovery.discover_targets(stage, Config(), stage.sources()).targets)


def _only(files: dict[str, str]) -> Target:
    [target] = _targets(files)
    return target


@pytest.mark.parametrize(
    ("files", "python", "place"),
    [
        (_RUN, "3.14", "cloudbuild.yaml:4"),
        ({**_RUN, "svc/.python-version": "3.13\n"}, "3.13", "svc/.python-version:1"),
        ({**_RUN, "svc/.python-version": ">= 3.10"}, "3.14", "svc/.python-version:1"),
        ({**_RUN, "svc/.python-version": "~3.13.2"}, "3.13", "svc/.python-version:1"),
        # what a buildpack never reads
        ({**_RUN, "svc/runtime.txt": "python-3.9\n"}, "3.14", "cloudbuild.yaml:4"),
        ({**_RUN, "svc/pyproject.toml": "[project]\nrequires-python = '>=3.9'\n"}, "3.14", "cloudbuild.yaml:4"),
        ({**_RUN, "svc/Pipfile": "[requires]\npython_version = '3.9'\n"}, "3.14", "cloudbuild.yaml:4"),
        (
            {
                **_RUN,
                "svc/project.toml": '[[build.env]]\nname = "GOOGLE_PYTHON_VERSION"\nvalue = "3.13"\n',
                "svc/.python-version": "3.14\n",
            },
            "3.13",
            "svc/project.toml:2",
        ),
        (
            {
                **_RUN,
                "svc/project.toml": '[[io.buildpacks.build.env]]\nname = "GOOGLE_RUNTIME_VERSION"\nvalue = "3.13"\n',
            },
            "3.13",
            "svc/project.toml:2",
        ),
        (
            _deploy("run", "deploy", "svc", "--source=svc", "--set-build-env-vars=GOOGLE_PYTHON_VERSION=3.13.x"),
            "3.13",
            "cloudbuild.yaml:4",
        ),
        (
            {
                **_deploy("run", "deploy", "svc", "--source=svc", "--build-env-vars-file=deploy/build.yaml"),
                "deploy/build.yaml": "GOOGLE_PYTHON_VERSION: '3.13'\n",
            },
            "3.13",
            "cloudbuild.yaml:4",
        ),
        (_deploy("run", "deploy", "svc", "--source=svc", "--base-image", "python312"), "3.12", "cloudbuild.yaml:4"),
        (_deploy("functions", "deploy", "f", "--source", "svc", "--runtime", "python310"), "3.10", "cloudbuild.yaml:4"),
        (_pack(), "3.14", "cloudbuild.yaml:3"),
        (_pack("gcr.io/buildpacks/builder:google-22"), "3.13", "cloudbuild.yaml:3"),
        (_pack("gcr.io/buildpacks/google-22/builder"), "3.13", "cloudbuild.yaml:3"),
        (_pack("gcr.io/buildpacks/builder:v1"), "3.9", "cloudbuild.yaml:3"),
        (_pack("paketobuildpacks/builder:base"), "unknown", "cloudbuild.yaml:3"),
        (
            {
                "skaffold.yaml": "build: {artifacts: [{image: x, context: svc, buildpacks: {env: [GOOGLE_PYTHON_VERSION=3.13]}}]}\n"
            },
            "3.13",
            "skaffold.yaml:1",
        ),
    ],
)
def test_the_version_of_a_source_deploy(files: dict[str, str], python: str, place: str) -> None:
    target = _only(files)

    assert (target.python, target.found_in, target.context) == (python, place, "svc")
    assert target.basis is not None
    assert target.basis.known == "declared"


@pytest.mark.parametrize(
    ("files", "severity", "words"),
    [
        (_RUN, Severity.WARNING, "3.14 today"),
        ({**_RUN, "svc/.python-version": "3.12\n"}, Severity.ERROR, "offers 3.13 to 3.14 only"),
        ({**_RUN, "svc/.python-version": "\n"}, Severity.ERROR, "is empty"),
        ({**_RUN, "svc/.python-version": ">=3.10"}, Severity.WARNING, "lets the builder choose"),
        ({**_RUN, "svc/.python-version": "<3.13"}, Severity.ERROR, "no Python in <3.13"),
        ({**_RUN, "svc/.python-version": "# ours\n3.13\n"}, Severity.ERROR, "more than a version"),
        ({**_pack("gcr.io/buildpacks/builder:google-22"), "svc/.python-version": "3.14"}, Severity.ERROR, "ubuntu2204"),
        ({**_RUN, "svc/.python-version": "3.13\n"}, None, ""),
        (_deploy("run", "deploy", "svc", "--source=svc", "--base-image", "python39"), None, ""),
    ],
)
def test_what_is_wrong_with_a_pin(files: dict[str, str], severity: Severity | None, words: str) -> None:
    problem = _only(files).pin_problem

    assert (problem.severity if problem is not None else None) is severity
    assert problem is None or words in problem.message


@pytest.mark.parametrize(
    ("text", "version"),
    [("# ours\n3.14\n", "3.14"), ("3.13.2\n3.12\n", "3.13.2"), ("\n", "3.14"), ("latest\n", "3.14")],
)
def test_the_version_of_a_broken_pin_is_kept(text: str, version: str) -> None:
    problem = _only({**_RUN, "svc/.python-version": text}).pin_problem

    assert problem is None or problem.hint == f"write one version to svc/.python-version: {version}"


def test_a_range_that_excludes_the_default_is_a_contradiction() -> None:
    target = _only({**_RUN, "svc/pyproject.toml": "[project]\nrequires-python = '<3.14'\n"})

    assert [conflict.file for conflict in target.conflicts] == ["svc/pyproject.toml"]


@pytest.mark.parametrize(
    ("runtime", "names", "expected"),
    [
        ("", ["main.py", "package.json"], True),
        ("", ["tool.py", "package.json"], False),
        ("", ["tool.py"], True),
        ("", ["index.js"], False),
        ("nodejs20", ["main.py"], False),
        ("python312", [], True),
    ],
)
def test_what_is_a_python_folder(runtime: str, names: list[str], expected: bool) -> None:
    service = buildpacks.BuildpackService("x", "", ContextBasis(Certainty.DECLARED, "x:1"), (), "", runtime)

    assert buildpacks.is_python(service, names) is expected


def test_another_runtime_is_no_target() -> None:
    with pytest.raises(UsageError, match="the target Python is unknown"):
        _targets(_deploy("functions", "deploy", "f", "--source", "svc", "--runtime", "nodejs20"))


def test_a_dockerfile_in_the_folder_is_built_by_cloud_run_alone() -> None:
    files = {"svc/Dockerfile": "FROM python:3.9\nCOPY . .\n"}

    by_run, by_function = (
        _only({**_RUN, **files}),
        _targets({**_deploy("functions", "deploy", "f", "--source=svc"), **files}),
    )

    assert (by_run.python, by_run.basis) == ("3.9", by_run.basis)
    assert by_run.basis is not None
    assert by_run.basis.by == "cloudbuild.yaml:4"
    assert [target.python for target in by_function] == ["3.9", "3.14"]


def test_folders_that_declare_a_python_of_their_own() -> None:
    files = {
        "a/app.yaml": "runtime: python311\n",
        "a/main.py": "",
        "b/.python-version": "3.13\n",
        "b/main.py": "",
        "c/pyproject.toml": "[project]\nrequires-python = '>=3.12'\n",
        "c/x.py": "",
        "tests/fixtures/d/.python-version": "3.8\n",
        "tests/fixtures/d/main.py": "",
        ".python-version": "3.10\n",
        "tool.py": "",
    }

    rows = [(target.python, target.context) for target in _targets(files)]

    assert rows == [("3.11", "a"), ("3.13", "b"), ("3.12", "c"), ("3.10", None)]
    stage = MemoryStage({**files})
    assert [t.python for t in discovery.discover_targets(stage, Config(), stage.sources(), service="b").targets] == [
        "3.13"
    ]


@pytest.mark.parametrize(
    ("files", "python"),
    [
        ({}, "3.13"),
        ({"svc/.python-version": "3.12"}, "3.12"),
        ({"svc/app.yaml": "runtime: python\nenv: flex\nruntime_config: {operating_system: ubuntu24}\n"}, "3.14"),
        (
            {
                "svc/app.yaml": "runtime: python\nruntime_config: {operating_system: ubuntu22, runtime_version: '3.11'}\n"
            },
            "3.11",
        ),
        (
            {
                "svc/app.yaml": "runtime: nodejs\nruntime_config: {operating_system: ubuntu22}\nx: '3.10'\n",
                "svc/.python-version": "3.9",
            },
            "3.9",
        ),
    ],
)
def test_a_flexible_service(files: dict[str, str], python: str) -> None:
    app = "runtime: python\nenv: flex\nruntime_config:\n  operating_system: ubuntu22\n"

    assert _only({"svc/app.yaml": app, **files}).python == python


def test_a_workspace_of_one_range_is_one_target() -> None:
    member = "[project]\nrequires-python = '>=3.11'\n"

    rows = [
        (t.python, t.context) for t in _targets({"pyproject.toml": member, "svc/pyproject.toml": member, "p/x.py": ""})
    ]

    assert rows == [("3.11", "")]
    assert folder_projects.without_repeats([], None) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pack build img", (SourceTool.PACK, "x", (), "", "")),
        (
            "pack build img --path . -B b:1 -e A=1 --env B=2",
            (SourceTool.PACK, "x", (("A", "1"), ("B", "2")), "b:1", ""),
        ),
        ("gcloud beta run deploy s --source ../y --quiet", (SourceTool.RUN, "y", (), "", "")),
        (
            "gcloud run deploy s --source=. --set-build-env-vars ^:^A=1:B=2,3",
            (SourceTool.RUN, "x", (("A", "1"), ("B", "2,3")), "", ""),
        ),
        (
            "gcloud functions deploy f --gen2 --runtime=python39",
            (SourceTool.FUNCTIONS, "x", (("GOOGLE_FUNCTION_TARGET", "f"),), "", "python39"),
        ),
        ("gcloud run deploy s --image i", None),
        ("gcloud run deploy s --source $DIR", None),
        ("gcloud run deploy s --source ../../z", None),
        ("gcloud functions deploy f --source gs://b/o.zip", None),
        ("docker build .", None),
    ],
)
def test_commands_that_build_from_source(command: str, expected: tuple[object, ...] | None) -> None:
    build = source_builds.parse(1, command.split(), "x", {})

    shown = None if build is None else (build.tool, build.folder, build.env, build.builder, build.runtime)
    assert shown == expected


def test_a_pin_that_only_a_guess_contradicts_is_a_warning() -> None:
    target = _only({"svc/Procfile": "web: gunicorn main:app\n", "svc/.python-version": "3.12\n"})

    assert target.pin_problem is not None
    assert target.pin_problem.severity is Severity.WARNING
    assert target.basis is not None
    assert target.basis.known is Certainty.GUESSED
