"""Single rules for build files: the module of each, its messages and its places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from buildguard.project.cloudbuild.fields import FieldProblem, RefusedBy, camel, check_type, flat, value_of
from buildguard.project.cloudbuild.limit_rules import check_limits
from buildguard.project.cloudbuild.resource_rules import check_resources
from buildguard.project.cloudbuild.roles import KNOWN_PROGRAMS, Role, roles_of
from buildguard.project.cloudbuild.step_rules import check_steps
from buildguard.project.cloudbuild.substitution_rules import check_substitutions
from buildguard.project.yaml import Node, read

_Rules = Callable[[Mapping[str, Node], Sequence[Mapping[str, Node]]], Iterator[FieldProblem]]


def _build(text: str) -> tuple[dict[str, Node], list[dict[str, Node]]]:
    build = flat(read(text.encode(), "cloudbuild.yaml"))
    return build, [flat(step) for step in value_of(build, "steps").items()]


def test_names_in_either_spelling() -> None:
    assert camel("wait_for") == camel("waitFor") == "waitFor"
    fields = flat(read(b"wait_for: [a]\ntimeout:\n", "x.yaml"))
    assert fields.keys() == {"", "waitFor"}
    assert value_of(fields, "timeout").kind == "null"


@pytest.mark.parametrize(
    ("kind", "text", "messages"),
    [
        ("string", "a", []),
        ("string", "3", ["x: expected a string, and YAML reads this as a number"]),
        ("string", "[a]", ["x: expected a string, found a list"]),
        ("bool", "yes", []),
        ("bool", "'yes'", ["x: expected true or false"]),
        ("int", "'12'", []),
        ("int", "a", ["x: expected a whole number"]),
        ("bytes", "YWJj", []),
        ("bytes", "YWJ", ["x: not valid base64"]),
        ("duration", "10s", []),
        ("duration", "$_T", []),
        ("duration", "soon", ["x: 'soon' is not a duration"]),
        ("duration", "10m", ["x: '10m' is a Go duration; the API documents seconds"]),
        ("enum VerifyOption", "VERIFIED", []),
        ("enum VerifyOption", "verified", ["x: unknown value 'verified'"]),
        ("{string}", "{a: b}", []),
        ("{string}", "a", ["x: expected a mapping, found a string"]),
        ("Volume", "{name: a, pth: b}", ["x: Cloud Build has no field 'pth'"]),
        ("Volume", "{name: a, name: b}", ["x.name is set twice, on lines 1 and 1: Cloud Build uses only one of the two"]),
        ("[string]", "a", ["x: expected a list, found a string: a trigger refuses it (cannot unmarshal)"]),
        ("[string]", "[a, ~]", ["x[1] is empty"]),
        ("any", "[1, {a: b}]", []),
    ],
)  # fmt: skip
def test_types(kind: str, text: str, messages: list[str]) -> None:
    assert [problem.message for problem in check_type(read(text.encode(), "x.yaml"), kind, "x")] == messages


@pytest.mark.parametrize(
    ("refused_by", "stopped"),
    [
        (RefusedBy.EVERY_BUILD, {"", "trigger", "submit"}),
        (RefusedBy.TRIGGER, {"", "trigger"}),
        (RefusedBy.GCLOUD, {"", "submit"}),
        (RefusedBy.MUST_MATCH, {"submit"}),
        (RefusedBy.UNCERTAIN, set()),
    ],
)
def test_which_builds_a_rule_stops(refused_by: RefusedBy, stopped: set[str]) -> None:
    assert {builds for builds in ("", "trigger", "submit") if refused_by.stops(builds)} == stopped


@pytest.mark.parametrize(
    ("rules", "text", "code", "place"),
    [
        (check_steps, "steps:\n- name: x\n  waitFor: [a]\n", "BG415", (3, 13)),
        (check_steps, "steps:\n- name: x\n  id: a\n- name: x\n  id: a\n", "BG413", (5, 7)),
        (check_steps, "steps: [{name: x, timeout: 9s}]\ntimeout: 8s\n", "BG414", (1, 28)),
        (check_steps, "steps: [{name: x}]\nartifacts: {images: ['A:B']}\n", "BG412", (2, 22)),
        (check_resources, "steps: [{name: x, volumes: [{name: va, path: a}]}, {name: x, volumes: [{name: va, path: /a}]}]\n", "BG418", (1, 46)),
        (check_resources, "steps: [{name: x}]\nartifacts: {objects: {location: b, paths: [c]}}\n", "BG412", (2, 33)),
        (check_limits, "steps: [{name: x}]\ntimeout: 25h\n", "BG417", (2, 10)),
        (check_limits, "steps: [{name: x}]\ntags: ['a/b']\n", "BG412", (2, 8)),
    ],
)  # fmt: skip
def test_a_rule_and_its_place(rules: _Rules, text: str, code: str, place: tuple[int, int]) -> None:
    (problem,) = rules(*_build(text))

    assert (problem.code, (problem.place.line, problem.place.column)) == (code, place)
    assert problem.refused_by is RefusedBy.EVERY_BUILD


def test_both_lines_of_a_repeated_id_and_key() -> None:
    build, steps = _build("steps:\n- name: x\n  id: a\n- name: x\n  id: a\n")
    assert [problem.message for problem in check_steps(build, steps)] == ["two steps have the id 'a', on lines 3 and 5"]

    root = read(b"images: [a]\nsteps: []\nimages: [b]\n", "x.yaml")
    (repeated,) = root.repeated
    assert (repeated.key, repeated.first.line, repeated.place.line) == ("images", 1, 3)


def test_an_undefined_substitution_and_one_that_is_given() -> None:
    text = "steps:\n- name: x\n  args:\n  - |\n    a\n    b ${_B} $_C\n"
    build, steps = _build(text)

    (problem,) = check_substitutions(build, steps, text, {"_C": "given"})

    assert (problem.place.line, problem.place.column, problem.refused_by) == (6, 7, RefusedBy.MUST_MATCH)


def test_a_secret_of_secret_manager_that_nothing_uses_is_only_a_warning() -> None:
    text = "steps: [{name: x}]\navailableSecrets: {secretManager: [{versionName: v, env: A}]}\n"

    assert [problem.refused_by for problem in check_resources(*_build(text))] == [RefusedBy.UNCERTAIN]


def test_roles_of_commands() -> None:
    assert roles_of(["gcloud", "beta", "run", "deploy", "a"]) == {Role.DEPLOYS}
    assert roles_of(["gsutil", "cp", "a"]) == {Role.UPLOADS}
    assert roles_of([]) == set()
    assert {"docker", "gcloud", "gsutil", "curl"} <= KNOWN_PROGRAMS
