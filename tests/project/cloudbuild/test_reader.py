"""What each step of a build file does, as far as its words tell."""

from __future__ import annotations

import pytest

from buildguard.project.cloudbuild.reader import read
from buildguard.project.cloudbuild.roles import Role

_B, _P, _U, _D, _F = Role.BUILDS, Role.PUSHES, Role.UPLOADS, Role.DEPLOYS, Role.FETCHES


@pytest.mark.parametrize(
    ("step", "roles"),
    [
        ("{name: gcr.io/cloud-builders/docker, args: [build, -t, x, .]}", {_B}),
        ("{name: gcr.io/cloud-builders/docker, args: [--debug, build, .]}", {_B}),
        ("{name: docker, args: [buildx, build, --push, .]}", {_B, _P}),
        ("{name: docker, args: [push, --all-tags, x]}", {_P}),
        ("{name: docker, args: [pull, x]}", set()),
        ("{name: docker, entrypoint: bash, args: [-c, 'cd a && docker build . && docker push x']}", {_B, _P}),
        ('{name: docker, script: "docker build .\\ndocker push x\\n"}', {_B, _P}),
        ("{name: gcr.io/kaniko-project/executor, args: [--destination=x]}", {_B, _P}),
        ("{name: gcr.io/k8s-skaffold/pack, args: [build, x, --publish]}", {_B, _P}),
        ("{name: gcr.io/google.com/cloudsdktool/cloud-sdk, entrypoint: gcloud, args: [run, deploy, api]}", {_D}),
        ("{name: gcr.io/google.com/cloudsdktool/cloud-sdk, args: [gcloud, beta, run, deploy, api]}", {_D}),
        ("{name: gcr.io/google.com/cloudsdktool/google-cloud-cli:slim, args: [gcloud, run, services, update-traffic, api]}", {_D}),
        ("{name: gcr.io/cloud-builders/gcloud, args: [run, deploy, api]}", {_D}),
        ("{name: gcr.io/cloud-builders/gcloud, args: [run, jobs, list]}", set()),
        ("{name: gcr.io/cloud-builders/gcloud, args: [run, jobs, execute, j]}", {_D}),
        ("{name: gcr.io/cloud-builders/gcloud, args: [run, services, describe, api]}", set()),
        ("{name: gcr.io/cloud-builders/gcloud, args: [info]}", set()),
        ("{name: gcr.io/cloud-builders/gcloud, args: [functions, deploy, f]}", {_D}),
        ("{name: gcr.io/cloud-builders/kubectl, args: [--context, c, apply, -f, k8s]}", {_D}),
        ("{name: gcr.io/cloud-builders/kubectl, args: [get, pods]}", set()),
        ("{name: gcr.io/$PROJECT_ID/helm, args: [upgrade, --install, api, .]}", {_D}),
        ("{name: gcr.io/cloud-builders/gke-deploy, args: [run, -f, k8s]}", {_D}),
        ("{name: hashicorp/terraform, args: [-chdir=x, apply, -auto-approve]}", {_D}),
        ("{name: gcr.io/cloud-builders/git, args: [clone, x]}", {_F}),
        ("{name: gcr.io/cloud-builders/gsutil, args: [-m, cp, gs://a, .]}", {_F}),
        ("{name: alpine/git, entrypoint: sh, args: [-c, git submodule update --init]}", {_F}),
        ("{name: gcr.io/cloud-builders/gsutil, args: [-m, cp, -r, dist, gs://a]}", {_U}),
        ("{name: gcr.io/cloud-builders/gsutil, args: [rsync, -r, gs://a, gs://b]}", {_U}),
        ("{name: google/cloud-sdk, args: [gcloud, storage, cp, dist, 'gs://a']}", {_U}),
        ("{name: google/cloud-sdk, args: [gcloud, storage, cp, 'gs://a/x', .]}", {_F}),
        ("{name: google/cloud-sdk, args: [gcloud, storage, rsync, $_SOURCE, .]}", {_F}),
        ("{name: google/cloud-sdk, script: 'curl -fsSLO https://example.invalid/x.tgz'}", {_F}),
        ("{name: google/cloud-sdk, script: 'curl -X POST -d x https://example.invalid/'}", {_U}),
        ("{name: gcr.io/k8s-skaffold/skaffold, args: [skaffold, build]}", {_B, _P}),
        ("{name: gcr.io/k8s-skaffold/skaffold, args: [skaffold, -p, prod, run]}", {_B, _P, _D}),
        ("{name: gcr.io/kaniko-project/executor:debug, entrypoint: sh, args: [-c, /kaniko/executor -d x]}", {_B, _P}),
        ("{name: gcr.io/x/ko, args: [build, ./cmd]}", {_B, _P}),
        ("{name: gcr.io/cloud-builders/bazel, args: [build, '//a:b']}", {_B}),
        ("{name: gcr.io/cloud-builders/bazel, args: [--output_base=x, run, '//a:push']}", {_B, _P}),
        ("{name: gcr.io/cloud-builders/gcloud, args: [builds, submit, --tag=x]}", {_B, _P}),
        ("{name: gcr.io/cloud-builders/gcloud, args: [run, deploy, api, --source=.]}", {_B, _P, _D}),
        ("{name: gcr.io/$PROJECT_ID/tools, args: [gcloud, run, deploy, api, --source, .]}", {_B, _P, _D}),
        ("{name: ubuntu, args: [bash, -c, 'docker build .']}", {_B}),
        ("{name: docker, entrypoint: bash, args: [-eo, pipefail, -c, 'docker push x']}", {_P}),
        ("{name: google/cloud-sdk, entrypoint: bash, args: [-c, 'if x; then A=b gcloud run deploy api; fi']}", {_D}),
        ("{name: google/cloud-sdk, script: \"gcloud run deploy api --args='a\"}", {_D}),
        ("{name: python, script: pytest}", set()),
        ("{name: python, args: [python, build.py]}", set()),
        ("{name: node, entrypoint: npm, args: [run, build]}", set()),
    ],
)  # fmt: skip
def test_what_a_step_does(step: str, roles: set[Role]) -> None:
    (found,) = read(f"steps: [{step}]\nsubstitutions: {{_X: x}}\n".encode(), "cloudbuild.yaml", {}).steps

    assert found.roles == roles


def test_steps_by_number_id_and_image() -> None:
    text = "steps:\n- name: python:$_V\n  id: a\n- &x\n  name: docker\n- <<: *x\n  id: b\nsubstitutions: {_V: '3.11'}\n"

    found = read(text.encode(), "cloudbuild.yaml", {"_V": "3.12"})

    assert [(one.number, one.id, one.line, one.image) for one in found.steps] == [
        (0, "a", 2, "python:3.12"),
        (1, "", 4, "docker"),
        (2, "b", 6, "docker"),
    ]
    assert found.step_images == ((2, "python:3.12"),)
