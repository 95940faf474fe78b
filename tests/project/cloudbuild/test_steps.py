"""What a Build will run: substitutions compared with bash where they are its expansions, steps, order and limits."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from buildguard.errors import UsageError
from buildguard.project.cloudbuild.steps import BuildStep, plan_build_steps
from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

_VALUES = {"_A": "feature/one-two", "_B": "", "PROJECT_ID": "acme", "_UNICODE": "é$x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$_A", "feature/one-two"),
        ("${_A}", "feature/one-two"),
        ("x$_Ay", "xfeature/one-twoy"),
        ("${_A}y", "feature/one-twoy"),
        ("$$_A", "$_A"),
        ("$${_A}", "${_A}"),
        ("$$$_A", "$feature/one-two"),
        ("$_NONE|${_NONE}", "|"),
        ("$PROJECT_ID/$PROJECT_ID", "acme/acme"),
        ("$(date) $lower ${lower}", "$(date) $lower ${lower}"),
        ("$_UNICODE", "é$x"),  # what a value holds is not looked at again
    ],
)
def test_replacing(text: str, expected: str) -> None:
    assert substitute(text, _VALUES) == expected


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "text",
    [
        "${_A:-x}", "${_B:-x}", "${_B:=x}", "${_A#*/}", "${_A##*/}", "${_A%-*}", "${_A%%/*}", "${_A:2}", "${_A:2:4}", "${_A: -3}",
        "${_A/one/1}", "${_A//e/E}", "${_A//\\//-}", "${_A/x/y}", "${_A/one}", "${_A^^}", "${_A,,}", "${_A^}", "${_A#nothing}", "${_B#x}",
    ],
)  # fmt: skip
def test_bashs_expansions_are_bashs(text: str) -> None:
    env = {name: value for name, value in _VALUES.items() if name.startswith("_")}
    said = subprocess.run(
        ["bash", "-c", f'printf %s "{text}"'], env=env, capture_output=True, text=True, check=True
    ).stdout

    assert substitute(text, _VALUES) == said


def test_dynamic_substitutions_use_each_other() -> None:
    declared = {"_IMAGE": "$_HOST/$PROJECT_ID/${_NAME}", "_HOST": "europe", "_NAME": "${_BASE//\\//-}", "_BASE": "a/b"}

    assert resolve_substitutions(declared, {"PROJECT_ID": "acme"}, dynamic=True)["_IMAGE"] == "europe/acme/a-b"
    assert (
        resolve_substitutions(declared, {"PROJECT_ID": "acme"}, dynamic=False)["_IMAGE"]
        == "$_HOST/$PROJECT_ID/${_NAME}"
    )
    assert len(resolve_substitutions({"_A": "$_A$_A"}, {}, dynamic=True)["_A"]) < 10_000  # it ends


def _steps(*steps: dict[str, Any], **build: Any) -> tuple[BuildStep, ...]:
    return plan_build_steps({"steps": list(steps), **build}, {"BUILD_ID": "b-1"}).steps


def test_a_step_is_filled_in() -> None:
    (one,) = _steps(
        {"name": "docker:$_V", "args": ["build", "-t", "x:$BUILD_ID", "$$HOME"], "dir": "a/$_V", "env": ["A=$_V"], "id": "s-$_V", "timeout": "5s", "secretEnv": ["S"]},
        substitutions={"_V": "1"},
        options={"env": ["B=2"], "secretEnv": ["T"]},
        timeout="90s",
    )  # fmt: skip

    assert one.image == "docker:1"
    assert one.args == ("build", "-t", "x:b-1", "$HOME")
    assert (one.folder, one.id, one.timeout) == ("/workspace/a/1", "s-1", 5.0)
    assert one.env == ("B=2", "A=1")
    assert one.secrets == ("T", "S")
    assert one.name == 'Step #0 - "s-1"'
    assert one.tolerated == frozenset({0})


def test_scripts_are_left_as_they_are_and_get_variables() -> None:
    mapped, plain = _steps(
        {"name": "x", "script": "echo $_A $$", "automapSubstitutions": True},
        {"name": "x", "script": "echo $_A"},
        substitutions={"_A": "1"},
    )

    assert mapped.script == "echo $_A $$"
    assert set(mapped.env) == {"BUILD_ID=b-1", "_A=1"}
    assert plain.env == ()


def test_the_order_of_steps() -> None:
    steps = _steps(
        {"name": "x", "id": "a"},
        {"name": "x", "id": "b", "waitFor": ["-"]},
        {"name": "x", "waitFor": ["b"]},
        {"name": "x"},
    )

    assert [sorted(one.after) for one in steps] == [[], [], [1], [0, 1, 2]]
    with pytest.raises(UsageError, match="waits for 'z'"):
        _steps({"name": "x", "waitFor": ["z"]})


def test_what_does_not_fail_a_build() -> None:
    steps = _steps(
        {"name": "x"},
        {"name": "x", "allowFailure": True},
        {"name": "x", "allowExitCodes": [3, "4"]},
        {"name": "x", "allowFailure": True, "allowExitCodes": [5]},
    )

    assert [one.tolerated for one in steps] == [frozenset({0}), None, frozenset({0, 3, 4}), frozenset({0, 5})]


def test_images_and_limits() -> None:
    made = plan_build_steps(
        {"steps": [{"name": "x"}], "images": ["a:$BUILD_ID"], "artifacts": {"images": ["b"]}}, {"BUILD_ID": "1"}
    )

    assert made.images == ("a:1", "b")
    assert made.timeout == 3600
    with pytest.raises(UsageError, match="no steps"):
        plan_build_steps({}, {})


def test_timeouts_in_minutes_and_no_duration_at_all() -> None:
    assert plan_build_steps({"steps": [{"name": "x", "timeout": "2m"}], "timeout": "1h"}, {}).timeout == 3600
    assert _steps({"name": "x", "timeout": "2m"})[0].timeout == 120
    with pytest.raises(UsageError, match="'soon' is not a duration"):
        _steps({"name": "x", "timeout": "soon"})
