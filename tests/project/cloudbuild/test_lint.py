"""Cloud Build's rules, offline: each mistake with its code and line, and in agreement with gcloud where that looks at all.

`python -m tests.project.cloudbuild.test_lint` asks the gcloud on PATH again and rewrites `gcloud.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.diagnostic import Severity
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.lint import problems
from tests.project.cloudbuild import test_corpus
from tests.project.cloudbuild.builds import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.diagnostic import Finding
    from tests.conftest import Project

_ANSWERS = Path(__file__).with_name("gcloud.json")
_ASK = Path(__file__).with_name("ask_gcloud.py")
_IDS = [case.name.replace(" ", "-") for case in CASES]


def _errors(text: str, builds: str = "", **given: str) -> list[Finding]:
    found = problems(text.encode("utf-8"), "cloudbuild.yaml", given, builds)
    return [one for one in found if one.severity is Severity.ERROR]


@pytest.mark.parametrize("case", CASES, ids=_IDS)
def test_each_mistake_is_found_on_its_line(case: Case) -> None:
    assert [(one.code, one.range.line) for one in _errors(case.text, case.builds)] == list(case.errors)


@pytest.mark.parametrize("case", CASES, ids=_IDS)
def test_what_gcloud_refuses_is_refused_and_what_it_takes_is_not_without_a_reason(case: Case) -> None:
    answers = json.loads(_ANSWERS.read_text("utf-8"))["answers"]

    complaint = answers[case.text]
    assert bool(complaint) == (bool(case.errors) and not case.beyond), complaint


@pytest.mark.interpreters
def test_gcloud_still_says_so() -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("gcloud is not on PATH: its answers are in gcloud.json; install the Google Cloud SDK to ask again")

    recorded = json.loads(_ANSWERS.read_text("utf-8"))
    texts = {case.text: case.text for case in CASES}
    assert _ask(gcloud, texts) == recorded["answers"]
    assert _ask(gcloud, test_corpus.texts()) == recorded["corpus"]


def test_the_schema_has_every_field_that_gcloud_knows() -> None:
    fields = json.loads(_ANSWERS.read_text("utf-8"))["fields"]

    for name, known in schema.MESSAGES.items():
        missing = set(fields[name]) - set(known) if name in fields else set()
        assert not missing, name
    assert len(set(fields) & set(schema.MESSAGES)) > 15


def test_the_schema_is_that_of_the_client_library() -> None:
    """Each field and each name of an enumeration; what only gcloud knows is more, and less would be a false alarm."""
    from google.cloud.devtools import cloudbuild_v1

    found: dict[str, Any] = {}
    _messages(cloudbuild_v1.Build.pb().DESCRIPTOR, found)

    for name, known in schema.MESSAGES.items():
        described = found[name]
        ours = {field: kind for field, kind in known.items() if kind != "any"}
        theirs = {field: kind for field, kind in described.items() if known.get(field) != "any"}
        only_gcloud = {"deployFolder", "pubsubTopic"}
        assert {field: kind for field, kind in ours.items() if field not in only_gcloud} == theirs, name
        assert set(described) <= set(known)
    for name, values in schema.ENUMS.items():
        assert set(values) == set(found[f"enum {name}"]), name


def _messages(message: Any, found: dict[str, Any]) -> None:
    if message.name in found:
        return
    found[message.name] = {}
    for field in message.fields:
        found[message.name][field.json_name] = _kind(field, found)


def _kind(field: Any, found: dict[str, Any]) -> str:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"]
        return f"{{{'bytes' if value.type == value.TYPE_BYTES else 'string'}}}"
    if inner is not None:
        kind = {"Duration": "duration"}.get(inner.name, inner.name)
        _messages(inner, found)
    elif field.enum_type is not None:
        kind = f"enum {field.enum_type.name}"
        found[kind] = [value.name for value in field.enum_type.values]
    else:
        kind = {field.TYPE_STRING: "string", field.TYPE_BOOL: "bool", field.TYPE_BYTES: "bytes"}.get(field.type, "int")
    return f"[{kind}]" if field.is_repeated else kind


# ------------------------------------------------------------------------------------------ in `check`


_DOCKERFILE = {"Dockerfile": "FROM python:3.11-slim\n", "a.py": "x = 1\n"}


def test_check_reports_them_with_file_and_line(project: Callable[..., Project]) -> None:
    made = project(
        {**_DOCKERFILE, "cloudbuild.yaml": "steps:\n- nmae: x\n", "deploy/cloudbuild-prod.json": '{"steps": []}'}
    )

    result = made.check()

    rows = {(one["path"], one["code"], one["line"], one["hint"]) for one in result.json["diagnostics"]}
    assert ("cloudbuild.yaml", "BG411", 2, "did you mean 'name'?") in rows
    assert ("deploy/cloudbuild-prod.json", "BG414", 1, "") in rows
    assert result.code == 1


def test_a_file_that_is_no_yaml_is_a_finding_and_the_rest_is_checked(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "b.py": "f(\n", "cloudbuild.yaml": "steps:\n  - name: [\n"})

    assert made.check().codes() == {"cloudbuild.yaml": ["BG410"], "b.py": ["BG101"]}


def test_what_is_excluded_and_what_was_not_asked_for(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "t/cloudbuild.yaml": "{{ x }}\n", "buildguard.toml": 'exclude = ["t/"]\n'})
    assert made.check().code == 0
    made.write({"cloudbuild.yaml": "steps: []\n"})

    assert made.check("a.py").code == 0
    assert made.check(".").codes() == {"cloudbuild.yaml": ["BG414"]}
    assert made.run("check", "--staged").code == 0
    made.git("add", "--all")
    assert made.run("check", "--staged").code == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".github/workflows/cloudbuild.yml", "on: push\njobs: {}\n"),
        ("cloudbuild-trigger.yaml", "name: x\nfilename: cloudbuild.yaml\n"),
        ("k8s/cloudbuild.yaml", "apiVersion: cloudbuild.cnrm.cloud.google.com/v1beta1\nkind: CloudBuildTrigger\n"),
        ("cloudbuild.vars.json", '{"_A": 1}'),
    ],
)
def test_what_is_only_called_like_a_build_file(project: Callable[..., Project], file: str, text: str) -> None:
    assert project({**_DOCKERFILE, file: text}).check().codes() == {}


def test_nesting_without_end(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "cloudbuild.yaml": "steps: " + "[" * 5000 + "]" * 5000})

    result = made.check()

    assert result.codes() == {"cloudbuild.yaml": ["BG410"]}
    made.git("init", "--quiet")
    assert made.run("init", "--cloudbuild").code == 2


def test_substitutions_of_the_configuration_are_defined(project: Callable[..., Project]) -> None:
    config = '[cloud]\nsubstitutions = { _ENV = "staging" }\n'
    made = project({**_DOCKERFILE, "cloudbuild.yaml": "steps: [{name: 'x:$_ENV'}]\n", "buildguard.toml": config})

    assert made.check().code == 0


def test_old_limits_are_warnings() -> None:
    found = problems(b"steps:\n" + b"- {name: x}\n" * 101, "cloudbuild.yaml", {})

    assert [(one.code, one.severity) for one in found] == [("BG417", Severity.WARNING)]


def test_text_of_the_file_is_shown_and_not_obeyed(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "cloudbuild.yaml": 'steps:\n- name: x\n  "a\\e[31m": [b]\n  waitFor: ["\\e[2J"]\n'})

    result = made.run("check")

    assert "\x1b" not in result.out
    assert result.code == 1


# ------------------------------------------------------------------------------------------ asking gcloud


def _sdk(gcloud: str) -> tuple[str, str]:
    root = os.path.dirname(os.path.dirname(os.path.realpath(gcloud)))
    bundled = os.path.join(root, "platform", "bundledpythonunix", "bin", "python3")
    return root, bundled if os.path.exists(bundled) else sys.executable


def _ask(gcloud: str, texts: dict[str, str]) -> dict[str, str]:
    """gcloud's complaint about each text, empty where it has none."""
    return dict(zip(texts, _run(gcloud, list(texts.values())), strict=True))


def _run(gcloud: str, texts: list[str], *words: str) -> Any:
    root, python = _sdk(gcloud)
    done = subprocess.run(
        [python, _ASK, root, *words], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    gcloud = shutil.which("gcloud")
    assert gcloud is not None
    version = subprocess.run([gcloud, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    answers = {
        "gcloud": version,
        "command": "its loader of build configurations, by tests/project/cloudbuild/ask_gcloud.py",
        "answers": _ask(gcloud, {case.text: case.text for case in CASES}),
        "corpus": _ask(gcloud, test_corpus.texts()),
        "fields": _run(gcloud, [], "fields"),
    }
    _ANSWERS.write_text(json.dumps(answers, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
