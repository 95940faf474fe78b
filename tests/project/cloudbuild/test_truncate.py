"""A build file cut before it deploys: what is kept, what goes with it, and what is refused."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.errors import UsageError
from buildguard.project.cloudbuild.truncate import as_json, docker_build, repository_of, tags, truncate_build
from tests.conftest import ALL

if TYPE_CHECKING:
    from buildguard.project.cloudbuild.truncate import TruncatedBuild

_DOCKER = "{name: gcr.io/cloud-builders/docker, id: build, args: [build, -t, x, .]}"


def _cut(steps: list[str], rest: str = "", until: str = "") -> TruncatedBuild:
    text = "steps:\n" + "".join(f"- {one}\n" for one in steps) + rest
    return truncate_build(text.encode(), "cloudbuild.yaml", until, {})


@pytest.mark.parametrize(
    "step",
    [
        "{name: gcr.io/google.com/cloudsdktool/cloud-sdk, entrypoint: gcloud, args: [run, deploy, web]}",
        "{name: gcr.io/cloud-builders/kubectl, args: [apply, -f, k8s]}",
        "{name: alpine/helm, entrypoint: helm, args: [upgrade, --install, web, .]}",
        "{name: hashicorp/terraform, args: [apply, -auto-approve]}",
        "{name: bash, script: 'gcloud run services update-traffic web --to-latest'}",
    ],
)
def test_the_first_step_that_deploys_is_found(step: str) -> None:
    found = _cut([_DOCKER, step, "{name: bash, script: echo done}"])

    assert [one["id"] for one in found.build["steps"]] == ["build"]
    assert len(found.steps_skipped) == 2


@pytest.mark.parametrize(
    "step",
    [
        "{name: bash, script: ./deploy.sh}",
        "{name: node, entrypoint: npm, args: [run, release]}",
        "{name: ubuntu, entrypoint: make, args: [promote]}",
    ],
)
def test_what_cannot_be_told_is_refused_until_somebody_says(step: str) -> None:
    with pytest.raises(UsageError, match="deploys is unknown") as caught:
        _cut([_DOCKER, step])
    assert "build-until" in caught.value.hint

    named = _cut([_DOCKER, step.replace("{", "{id: ship, ", 1)], until="ship")

    assert len(named.steps_run) == 1


def test_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no step with the id 'nowhere'"):
        _cut([_DOCKER], until="nowhere")
    with pytest.raises(UsageError, match="nothing of"):
        _cut(["{name: gcr.io/cloud-builders/kubectl, args: [apply]}"])


def test_what_only_the_others_used_goes_with_them() -> None:
    found = _cut(
        [
            "{name: bash, id: a, script: echo $_A, env: ['X=$_A'], secretEnv: [KEPT]}",
            "{name: bash, id: b, args: ['${_B}'], waitFor: [a, later]}",
            "{name: gcr.io/cloud-builders/kubectl, id: later, args: [apply, $_C, $_A], secretEnv: [GONE]}",
        ],
        "substitutions: {_A: a, _B: b, _C: c, _UNUSED: u}\n"
        "availableSecrets: {secretManager: [{versionName: x, env: KEPT}, {versionName: y, env: GONE}]}\n"
        "timeout: 900s\n",
    )

    assert found.build["substitutions"] == {"_A": "a", "_B": "b", "_UNUSED": "u"}
    assert found.build["steps"][1]["waitFor"] == ["a"]
    assert [one["env"] for one in found.build["availableSecrets"]["secretManager"]] == ["KEPT"]
    assert found.build["timeout"] == "900s"


def test_secrets_of_kms_that_only_the_others_used_go_with_them() -> None:
    truncated = _cut(
        [
            "{name: bash, id: a, script: echo, secretEnv: [KEPT]}",
            "{name: gcr.io/cloud-builders/kubectl, args: [apply], secretEnv: [GONE, ALSO]}",
        ],
        "secrets: [{kmsKeyName: k, secretEnv: {KEPT: YWJj, GONE: YWJj}}, {kmsKeyName: l, secretEnv: {ALSO: YWJj}}]\n",
    )

    assert truncated.build["secrets"] == [{"kmsKeyName": "k", "secretEnv": {"KEPT": "YWJj"}}]


def test_go_durations_and_single_values_become_the_api_s() -> None:
    text = "steps: {name: bash, args: a, env: A=b, waitFor: '-', timeout: 1m30s, allowExitCodes: 3}\ntimeout: 20m\nimages: x\n"

    build = as_json(text.encode(), "cloudbuild.yaml")

    step = {"name": "bash", "args": ["a"], "env": ["A=b"], "waitFor": ["-"], "timeout": "90s", "allowExitCodes": [3]}
    assert build == {"steps": [step], "timeout": "1200s", "images": ["x"]}


def test_a_push_before_the_cut_is_told() -> None:
    found = _cut([_DOCKER, "{name: gcr.io/cloud-builders/docker, id: push, args: [push, x]}"])

    assert [one.partition(" ")[0] for one in found.pushes] == ["push"]
    assert not found.steps_skipped


def test_a_build_file_becomes_what_the_api_takes() -> None:
    pytest.importorskip("google.cloud.devtools.cloudbuild_v1")
    from google.cloud.devtools import cloudbuild_v1

    text = (
        "steps:\n- name: bash\n  wait_for: ['-']\n  allow_failure: true\n  allow_exit_codes: [1, 2]\n  args: [8080, yes]\n"
        "options: {machine_type: E2_HIGHCPU_8, disk_size_gb: 100, dynamicSubstitutions: true}\n"
        "substitutions: {_some_key: v}\n"
    )
    found = as_json(text.encode(), "cloudbuild.yaml")

    import json

    build = cloudbuild_v1.Build.from_json(json.dumps(found))
    assert list(build.steps[0].allow_exit_codes) == [1, 2]
    assert build.steps[0].allow_failure
    assert list(build.steps[0].args) == ["8080", "yes"]
    assert build.options.disk_size_gb == 100
    assert dict(build.substitutions) == {"_some_key": "v"}


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("a/b:c", "a/b"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b"),
        ("localhost:5000/a/b", "localhost:5000/a/b"),
        ("a/b@sha256:00", "a/b"),
        ("a:$COMMIT_SHA", "a"),
    ],
)
def test_repositories(reference: str, repository: str) -> None:
    assert repository_of(reference) == repository


def test_the_names_that_a_build_gives() -> None:
    build = docker_build("a/b:c", "Dockerfile", "")
    build["steps"].append({"name": "docker", "args": ["build", "--tag=d", "-t", "e", "."]})

    assert tags(build) == ["a/b:c", "e", "d"]
    assert build["steps"][0]["args"][-1] == "."


def test_random_builds_never_keep_a_deploying_step() -> None:
    chance = random.Random(5)
    quiet = [
        "{name: bash, id: %d, script: echo}",
        _DOCKER.replace("id: build", "id: b%d"),
        "{name: python, id: %d, args: [-V]}",
    ]
    loud = "{name: gcr.io/cloud-builders/gcloud, id: x%d, args: [run, deploy, w%d]}"

    for _ in range(300 if ALL else 60):
        steps: list[Any] = [chance.choice(quiet) % number for number in range(chance.randint(1, 6))]
        places = sorted(chance.sample(range(1, len(steps) + 1), chance.randint(1, min(2, len(steps)))))
        for at in reversed(places):
            steps.insert(at, loud % (at, at))
        found = _cut(steps)
        assert len(found.steps_run) == places[0]
        assert not any("deploy" in word for one in found.build["steps"] for word in one.get("args", []))
