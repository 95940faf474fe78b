"""Build files as public repositories have them, generated: each base build in several layouts, and mistakes in some of them.

Each file is named, and has the kinds of build that refuse it: `gcloud` for its loader, `trigger` and `submit` for the service.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Build = dict[str, Any]
_ALL = frozenset({"trigger", "submit"})
_DOCKER = "gcr.io/cloud-builders/docker"
_GCLOUD = "gcr.io/google.com/cloudsdktool/cloud-sdk"
_IMAGE = "europe-west1-docker.pkg.dev/$PROJECT_ID/apps/api:$COMMIT_SHA"


class CorpusFile(NamedTuple):
    """A build file, and which kinds of build refuse it."""

    name: str
    text: str
    refused_by: frozenset[str] = frozenset()


def _step(name: str, *args: str, **rest: Any) -> Build:
    return {"name": name, **({"args": list(args)} if args else {}), **rest}


_BASES: dict[str, Build] = {
    "docker": {"steps": [_step(_DOCKER, "build", "-t", _IMAGE, ".")], "images": [_IMAGE]},
    "push and deploy": {
        "steps": [
            _step(_DOCKER, "build", "-t", _IMAGE, ".", id="Build"),
            _step(_DOCKER, "push", _IMAGE, id="Push"),
            _step(_GCLOUD, "run", "deploy", "api", "--image", _IMAGE, "--region", "$_REGION", entrypoint="gcloud", id="Deploy"),
        ],
        "substitutions": {"_REGION": "europe-west1"},
        "options": {"logging": "CLOUD_LOGGING_ONLY", "substitution_option": "ALLOW_LOOSE"},
    },
    "cache": {
        "steps": [
            _step(_DOCKER, "-c", f"docker pull {_IMAGE} || exit 0", entrypoint="bash"),
            _step(_DOCKER, "build", "--cache-from", _IMAGE, "-t", _IMAGE, "."),
        ],
        "timeout": "1200s",
    },
    "kaniko": {"steps": [_step("gcr.io/kaniko-project/executor:latest", f"--destination={_IMAGE}", "--cache=true")], "timeout": "20m"},
    "pack": {"steps": [_step("gcr.io/k8s-skaffold/pack", "build", _IMAGE, "--builder=gcr.io/buildpacks/builder:v1", "--publish", entrypoint="pack")]},
    "tests side by side": {
        "steps": [
            _step("python:3.11-slim", "-m", "pip", "install", "-r", "requirements.txt", "--user", entrypoint="python", id="install"),
            _step("python:3.11-slim", "-m", "pytest", entrypoint="python", id="tests", waitFor=["install"]),
            _step("python:3.11-slim", "-m", "mypy", entrypoint="python", id="types", waitFor=["install"], allowFailure=True),
            _step(_DOCKER, "build", "-t", _IMAGE, ".", waitFor=["tests", "types"]),
        ],
        "images": [_IMAGE],
        "tags": ["api", "$SHORT_SHA"],
    },
    "secrets": {
        "steps": [_step("alpine", "-c", "echo $$TOKEN | wc -c", entrypoint="sh", secretEnv=["TOKEN"])],
        "availableSecrets": {"secretManager": [{"versionName": "projects/$PROJECT_ID/secrets/token/versions/latest", "env": "TOKEN"}]},
    },
    "kms": {
        "steps": [_step("alpine", "env", secretEnv=["TOKEN"])],
        "secrets": [{"kmsKeyName": "projects/p/locations/global/keyRings/r/cryptoKeys/k", "secretEnv": {"TOKEN": "YWJj"}}],
    },
    "volumes": {
        "steps": [
            _step("node:20", "install", entrypoint="npm", volumes=[{"name": "npm", "path": "/root/.npm"}]),
            _step("node:20", "test", entrypoint="npm", volumes=[{"name": "npm", "path": "/root/.npm"}], env=["CI=true", "NODE_ENV=$_ENV"]),
        ],
        "substitutions": {"_ENV": "test"},
    },
    "static site": {
        "steps": [
            _step("node:20", "run", "build", entrypoint="npm", dir="web"),
            _step("gcr.io/cloud-builders/gsutil", "-m", "rsync", "-r", "web/dist", "gs://$_BUCKET"),
        ],
        "substitutions": {"_BUCKET": "acme-site"},
        "options": {"machineType": "E2_HIGHCPU_8", "diskSizeGb": "100"},
    },
    "artifacts": {
        "steps": [_step("golang:1.22", "build", "-o", "app", "./...", entrypoint="go", env=["CGO_ENABLED=0"])],
        "artifacts": {"objects": {"location": "gs://acme-builds/$BUILD_ID/", "paths": ["app", "*.log"]}},
    },
    "terraform": {
        "steps": [
            _step("hashicorp/terraform:1.9", "init", dir="infra/envs/prod"),
            _step("hashicorp/terraform:1.9", "apply", "-auto-approve", dir="infra/envs/prod", timeout="600s"),
        ],
        "timeout": "1800s",
        "serviceAccount": "projects/$PROJECT_ID/serviceAccounts/tf@$PROJECT_ID.iam.gserviceaccount.com",
        "logsBucket": "gs://acme-logs",
    },
    "script": {
        "steps": [_step(_GCLOUD, script="#!/usr/bin/env bash\nset -eu\ngcloud functions deploy f --runtime python311\n", env=["PROJECT=$PROJECT_ID"])],
        "options": {"automapSubstitutions": True},
        "substitutions": {"_UNUSED": "x"},
    },
    "clone first": {
        "steps": [
            _step("gcr.io/cloud-builders/git", "clone", "https://example.invalid/acme/lib", "lib"),
            _step(_DOCKER, "build", "-t", _IMAGE, "lib"),
        ],
        "queueTtl": "3600s",
    },
    "dynamic": {
        "steps": [_step("bash", "echo", "${_NAME:-none}", "${_PATH}")],
        "substitutions": {"_NAME": "$REPO_NAME-x", "_PATH": "/opt:${_NAME}"},
        "options": {"dynamicSubstitutions": True},
    },
    "absolute folder": {"steps": [_step("ubuntu", "ls", dir="/"), _step("ubuntu", "ls", dir="../x")]},
    "pool": {
        "steps": [_step("maven:3-eclipse-temurin-21", "mvn", "-B", "verify")],
        "options": {"pool": {"name": "projects/p/locations/l/workerPools/w"}, "env": ["MAVEN_OPTS=-Xmx2g"]},
    },
    "exit codes": {"steps": [_step("bash", "-c", "exit 3", entrypoint="bash", allowExitCodes=[3])]},
}  # fmt: skip

# A change that makes a mistake of a build, and who refuses the result.
_Change = Callable[[Build], object]


def _set(*path: Any, value: Any) -> _Change:
    def change(build: Build) -> None:
        node: Any = build
        for key in path[:-1]:
            node = node[key] if isinstance(node, list) else node.setdefault(key, {})
        node[path[-1]] = value

    return change


_LOADER = frozenset({"gcloud", *_ALL})
_MISTAKES: list[tuple[str, _Change, frozenset[str]]] = [
    ("a misspelt field", _set("steps", 0, "arg", value=["a"]), _LOADER),
    ("a field of nothing", _set("sustitutions", value={"_A": "b"}), _LOADER),
    ("a field of a step at the top", _set("entrypoint", value="bash"), _LOADER),
    ("a number as an argument", _set("steps", 0, "args", value=["sleep", 5]), _LOADER),
    ("a switch as a variable", _set("steps", 0, "env", value=[True]), _LOADER),
    ("a number of seconds", _set("timeout", value=600), _LOADER),
    ("a mapping of variables", _set("steps", 0, "env", value={"A": "b"}), _LOADER),
    ("an unknown machine", _set("options", "machineType", value="N4_BIG"), _LOADER),
    ("a number as a substitution", _set("substitutions", "_A", value=1), _LOADER),
    ("a bad name of a substitution", _set("substitutions", "AB", value="1"), _LOADER),
    ("no steps", _set("steps", value=[]), _LOADER),
    ("an unknown logging", _set("options", "logging", value="CLOUD"), _LOADER),
    ("a source", _set("source", value={"repoSource": {"repoName": "a"}}), _LOADER),
    ("a commit of its own", _set("substitutions", "COMMIT_SHA", value="a"), frozenset({"gcloud", "submit"})),
    ("arguments as a string", _set("steps", 0, "args", value="build"), frozenset({"trigger"})),
    ("images as a string", _set("images", value="a"), frozenset({"trigger"})),
    ("an undefined substitution", _set("steps", 0, "dir", value="$_NOWHERE"), frozenset({"submit"})),
    ("an unused substitution", _set("substitutions", "_NEVER", value="a"), frozenset({"submit"})),
    ("a shell variable", _set("steps", 0, "dir", value="$HOME"), _ALL),
    ("a step for longer than the build", lambda build: (build.update(timeout="60s"), build["steps"][0].update(timeout="90s")), _ALL),
    ("a later step", lambda build: (build["steps"].insert(0, {"name": "bash", "waitFor": ["late"]}), build["steps"][1].update(id="late")), _ALL),
    ("a missing step", _set("steps", 0, "waitFor", value=["missing"]), _ALL),
    ("the id of a dash", _set("steps", 0, "id", value="-"), _ALL),
    ("an upper-case image", _set("steps", 0, "name", value="gcr.io/acme/Api"), _ALL),
    ("no image", _set("images", value=["a::b"]), _ALL),
    ("no name", lambda build: build["steps"][0].pop("name"), _ALL),
    ("a secret from nowhere", _set("steps", 0, "secretEnv", value=["NOWHERE"]), _ALL),
    ("a volume alone", lambda build: build["steps"].insert(0, {"name": "bash", "volumes": [{"name": "one", "path": "/one"}]}), _ALL),
    ("objects for nowhere", _set("artifacts", value={"objects": {"paths": ["a"]}}), _ALL),
    ("a script with arguments", lambda build: build["steps"].insert(0, {"name": "bash", "script": "a", "args": ["b"]}), _ALL),
    ("no equals sign", _set("steps", 0, "env", value=["AB"]), _ALL),
    ("more than a day", _set("timeout", value="90000s"), _ALL),
]  # fmt: skip


def corpus() -> Iterator[CorpusFile]:
    """All files: every base in every layout, and every mistake in three bases and two layouts."""
    layouts = (_block, _indented, _flow, _json)
    for name, build in _BASES.items():
        for layout in layouts:
            yield CorpusFile(f"{name} ({layout.__name__[1:]})", layout(build))
    strict = [name for name, build in _BASES.items() if "options" not in build and "substitutions" not in build]
    for number, (name, change, refused_by) in enumerate(_MISTAKES):
        for turn in range(3):
            base = strict[(number + 3 * turn) % len(strict)]
            build = copy.deepcopy(_BASES[base])
            change(build)
            yield CorpusFile(f"{base}: {name}", layouts[(number + turn) % len(layouts)](build), refused_by)


def _json(build: Build) -> str:
    return json.dumps(build, indent=2) + "\n"


def _flow(build: Build) -> str:
    steps = "".join(f"- {json.dumps(step)}\n" for step in build["steps"]) or "[]\n"
    rest = "".join(f"{key}: {json.dumps(value)}\n" for key, value in build.items() if key != "steps")
    return f"# generated\n{rest}steps:{' ' if steps == '[]' + chr(10) else chr(10)}{steps}"


def _block(build: Build) -> str:
    return "\n".join(_lines(build, 0)) + "\n"


def _indented(build: Build) -> str:
    return "# Cloud Build\n\n" + "\n".join(_lines(build, 2)) + "\n\n# the end\n"


def _lines(value: Any, indent: int) -> Iterator[str]:
    """YAML's block style; the items of a list are indented by `indent` below their key."""
    for key, item in value.items():
        if not item or isinstance(item, (str, int)):
            yield f"{key}: {json.dumps(item)}"
        elif isinstance(item, dict):
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(item, indent))
        else:
            yield f"{key}:"
            for child in item:
                rows = list(_lines(child, indent)) if isinstance(child, dict) else [json.dumps(child)]
                yield from (f"{' ' * indent}{'- ' if at == 0 else '  '}{row}" for at, row in enumerate(rows))
