"""A step put into build files as people write them: nothing else changes, and a second time nothing changes at all."""

from __future__ import annotations

import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import ruamel.yaml

from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild.edit import NewStep, as_block, with_steps
from tests.conftest import ALL, BROKEN_BEFORE_312, sample
from tests.remote.running import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

# shapes of build files, and the number that the new step gets
SHAPES: dict[str, tuple[str, int]] = {
    "comments": (
        ("# how we build\nsteps:\n  # 1. the image\n  # (slow)\n  - name: gcr.io/cloud-builders/docker  # docker\n"
        "    args: [build, -t, x, .]  # all of it\n\n  # 2. push\n  - name: gcr.io/cloud-builders/docker\n    args: [push, x]\n# the end\n"),
        0,
    ),
    "a dash at the margin": ("steps:\n- name: gcr.io/cloud-builders/docker\n  args:\n  - build\n  - .\nimages:\n- x\n", 0),
    "after a clone": (
        ("steps:\n- name: gcr.io/cloud-builders/git\n  args: [clone, https://example.invalid/x, .]\n\n"
        "- id: build\n  name: gcr.io/cloud-builders/docker\n  args: [build, .]\n"),
        1,
    ),
    "after a download": (
        ("steps:\n- {name: google/cloud-sdk, args: [gcloud, storage, cp, 'gs://b/src.tgz', .]}\n"
        "- {name: google/cloud-sdk, args: [gcloud, run, deploy, api, --source, .]}\n"),
        1,
    ),
    "an upload only": ("steps:\n- name: google/cloud-sdk\n  args: [gcloud, storage, cp, -r, dags, 'gs://b/dags']\n", 0),
    "a deploy only": ("steps:\n- name: google/cloud-sdk\n  entrypoint: gcloud\n  args: [functions, deploy, f]\n", 0),
    "a byte order mark": ("\ufeffsteps:\n- name: docker\n  args: [build, .]\n", 0),
    "a test first": ("steps:\n- name: python:3.11\n  script: |\n    # pytest\n    pytest\n- name: docker\n  args: [build, .]\n", 0),
    "anchors": (
        "steps:\n- &docker\n  name: gcr.io/cloud-builders/docker\n  args: [build, .]\n- <<: *docker\n  args: [push, x]\noptions: {env: &e [A=1]}\n",
        0,
    ),
    "flow": ("steps: [{name: gcr.io/cloud-builders/docker, args: [build, .]}, {name: docker, args: [push, x]}]\n", 0),
    "flow over lines": ("steps: [\n  {name: docker, args: [build, .]},\n  {name: docker, args: [push, x]},\n]\n", 0),
    "JSON": (json.dumps({"steps": [{"name": "docker", "args": ["build", "."]}], "images": ["x"]}, indent=2) + "\n", 0),
    "JSON on a line": (json.dumps({"steps": [{"name": "docker", "args": ["build", "."]}], "timeout": "60s"}), 0),
    "images only": ("images: ['gcr.io/$PROJECT_ID/x']\nsteps:\n  - name: 'gcr.io/cloud-builders/docker'\n    args: ['build', '.']\n", 0),
    "Windows": ("steps:\r\n  # build\r\n  - name: docker\r\n    args: [build, .]\r\nimages: [x]\r\n", 0),
    "a mark and no end": ("---\nsteps:\n- name: docker\n  args: [build, .]", 0),
    "a dash alone": ("steps:\n-   # build\n  name: docker\n  args: [build, .]\n", 0),
    "deep": ("timeout: 600s\nsteps:\n      - name: docker\n        args: [build, .]\n", 0),
    "kaniko": ("steps:\n- name: gcr.io/kaniko-project/executor:latest\n  args: [--destination=x, --cache=true]\n", 0),
    "a script of its own": ("steps:\n- id: all\n  name: gcr.io/cloud-builders/docker\n  entrypoint: bash\n  args:\n  - -c\n  - |\n    # build\n    docker build .\n", 0),
    "written the old way": ("steps:\n- {name: docker, args: [build, .], wait_for: ['-'], id: build}\n- {name: docker, args: [push, x], wait_for: [build]}\n", 0),
}  # fmt: skip


def _plain(text: str) -> Any:
    return ruamel.yaml.YAML(typ="safe", pure=True).load(text)


def _initialised(project: Callable[..., Project], text: str, name: str = "cloudbuild.yaml") -> Project:
    made = project({"Dockerfile": "FROM python:3.11-slim\n", "app/a.py": "x = 1\n", name: text})
    made.git("init", "--quiet")
    return made


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_but_the_step_changes(project: Callable[..., Project], shape: str) -> None:
    before, place = SHAPES[shape]
    made = _initialised(project, before)

    result = made.run("init", "--cloudbuild")

    assert result.code == 0, result.err
    after = (made.path / "cloudbuild.yaml").read_bytes().decode()
    plain = _plain(after)
    new = plain["steps"].pop(place)
    assert plain == _plain(before)
    assert (new["id"], new["name"], new["entrypoint"]) == ("buildguard", "python:3.11-slim", "python3")
    assert new["args"][:-1] == ["-I", "-S", "-B", "-c"]
    kept = iter(after.splitlines(keepends=True)) if shape not in {"flow", "JSON on a line"} else None
    if kept is not None:
        assert all(line in kept for line in before.splitlines(keepends=True))  # every line, in its order
    assert ("\r\n" in after) == ("\r\n" in before)
    assert after.replace("\r\n", "").count("\r") == 0


@pytest.mark.parametrize("shape", sample(SHAPES, 7))
def test_a_second_time_changes_nothing(project: Callable[..., Project], shape: str) -> None:
    made = _initialised(project, SHAPES[shape][0])
    made.run("init", "--cloudbuild")
    files = {file: file.read_bytes() for file in sorted(made.path.rglob("*")) if file.is_file()}

    result = made.run("init", "--cloudbuild")

    assert result.code == 0
    assert "commit" not in result.out
    assert {file: file.read_bytes() for file in sorted(made.path.rglob("*")) if file.is_file()} == files
    assert made.run("check").code == 0, made.run("check").out


@pytest.mark.parametrize("shape", sample(SHAPES, 5))
def test_an_old_step_is_brought_up_to_date_and_keeps_what_people_added(
    project: Callable[..., Project], shape: str
) -> None:
    made = _initialised(project, SHAPES[shape][0])
    made.run("init", "--cloudbuild")
    file = made.path / "cloudbuild.yaml"
    first = file.read_bytes()
    digest = step.sha256((made.path / step.NAME).read_bytes()).encode()
    file.write_bytes(
        first.replace(digest, b"0" * 64).replace(b"\n  entrypoint: python3\n", b"\n  entrypoint: python3  # theirs\n")
    )
    old = file.read_bytes()
    assert made.run("check").code == 1

    made.run("init", "--cloudbuild")

    assert file.read_bytes() == old.replace(b"0" * 64, digest)
    assert made.run("check").code == 0


def test_the_step_runs_as_it_is_written(project: Callable[..., Project], tmp_path: Path) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    made.run("init", "--cloudbuild")
    code = _plain((made.path / "cloudbuild.yaml").read_text())["steps"][0]["args"][-1]

    assert run(made.path, code).code == 0
    made.write({"app/b.py": BROKEN_BEFORE_312})
    assert run(made.path, code).code == 1


def test_nothing_is_committed_or_staged(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n", "a.py": "", "cloudbuild.yaml": SHAPES["comments"][0]})

    made.run("init", "--cloudbuild")

    assert made.git("status", "--porcelain").splitlines() == [" M cloudbuild.yaml", "?? .buildguard/"]


def test_the_image_follows_the_dockerfile(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    made.run("init", "--cloudbuild")
    made.write({"Dockerfile": "FROM python:3.12-slim\n"})

    made.run("init", "--cloudbuild")

    assert _plain((made.path / "cloudbuild.yaml").read_text())["steps"][0]["name"] == "python:3.12-slim"


def test_an_image_that_people_chose_for_the_step_stays(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    made.run("init", "--cloudbuild")
    file = made.path / "cloudbuild.yaml"
    file.write_text(file.read_text().replace("python:3.11-slim", "mirror.example.invalid/python:3.11"))

    made.run("init", "--cloudbuild")

    assert "name: mirror.example.invalid/python:3.11\n" in file.read_text()


def test_several_targets_are_several_steps(project: Callable[..., Project]) -> None:
    made = project(
        {
            "one/Dockerfile": "FROM python:3.11\n",
            "one/a.py": BROKEN_BEFORE_312,
            "two/Dockerfile": "FROM python:3.12\n",
            "two/a.py": BROKEN_BEFORE_312,
            "cloudbuild.yaml": "steps:\n- {name: docker, args: [build, one]}\n- {name: docker, args: [build, two]}\n",
        }
    )
    made.git("init", "--quiet")

    assert made.run("init", "--cloudbuild").code == 0

    steps = _plain((made.path / "cloudbuild.yaml").read_text())["steps"]
    assert [(one.get("id"), one["name"], one["args"][5]) for one in steps[:2]] == [
        ("buildguard-one", "python:3.11", "one"),
        ("buildguard-two", "python:3.12", "two"),
    ]
    code = steps[0]["args"][4]
    assert run(made.path, code, "3.11", words=["one"]).code == 1
    assert run(made.path, code, "3.12", words=["two"]).code == 0


def test_an_image_without_python(project: Callable[..., Project]) -> None:
    files = {
        "Dockerfile": "FROM debian:testing-slim\nRUN apt-get install python3\n",
        "a.py": "",
        "cloudbuild.yaml": SHAPES["comments"][0],
    }
    made = project(files)
    made.git("init", "--quiet")

    bare = made.run("init", "--cloudbuild")
    step_of = _plain((made.path / "cloudbuild.yaml").read_text())["steps"][0]

    assert bare.code == 0
    assert "debian:testing-slim has no Python" in bare.out
    assert (step_of["name"], step_of["entrypoint"]) == ("debian:testing-slim", "sh")
    assert "sha256sum -c" in step_of["args"][1]
    checked = subprocess.run(
        ["sh", "-n", "-c", step_of["args"][1].replace("$$", "$")], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_an_image_without_python_and_a_target_that_is_known(project: Callable[..., Project]) -> None:
    made = project(
        {
            "Dockerfile": "FROM debian:12-slim\nRUN apt-get install python3\n",
            "a.py": "",
            "buildguard.toml": 'target = ["3.11"]\n',
            "cloudbuild.yaml": SHAPES["comments"][0],
        }
    )
    made.git("init", "--quiet")

    assert made.run("init", "--cloudbuild").code == 0
    assert _plain((made.path / "cloudbuild.yaml").read_text())["steps"][0]["name"] == "python:3.11-slim"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("images: [x]\n", "no list of steps"),
        ("steps: []\n", "no list of steps"),
        ("x: &s [{name: docker}]\nsteps: *s\n", "no list of steps"),
        ("steps: [\n", "not valid YAML"),
        ("steps:\n- name: gcr.io/cloud-builders/git\n  args: [clone, x]\n", "nothing to guard"),
    ],
)
def test_a_file_that_can_take_no_step_is_left_alone(project: Callable[..., Project], text: str, words: str) -> None:
    made = _initialised(project, text)

    result = made.run("init", "--cloudbuild")

    assert result.code == 2
    assert words in result.err
    assert (made.path / "cloudbuild.yaml").read_text() == text
    assert not (made.path / ".buildguard").exists()


def test_steps_that_would_not_wait_for_it_are_named(project: Callable[..., Project]) -> None:
    text = (
        "steps:\n- {name: docker, args: [build, .], id: b}\n- {name: docker, args: [push, x], waitFor: ['-'], id: early}\n"
        "- {name: docker, args: [push, x], waitFor: [b]}\n"
    )

    result = _initialised(project, text).run("init", "--cloudbuild")

    assert "step #2 (early) does not wait for the guard: add its id to waitFor" in result.out
    assert result.out.count("does not wait") == 1


def test_without_a_build_file_the_step_is_shown(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\n", "a.py": ""})
    made.git("init", "--quiet")

    result = made.run("init", "--cloudbuild")

    assert result.code == 0
    assert "  - id: buildguard\n    name: python:3.11\n" in result.out
    assert (made.path / step.NAME).exists()


def test_a_step_file_that_gcloud_would_leave_behind(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    made.write({".gcloudignore": "# x\n.buildguard\n"})

    assert "gcloud does not send it (.gcloudignore:2: .buildguard)" in made.run("init", "--cloudbuild").out


def test_links_are_left_alone(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0], "real.yaml")
    (made.path / "cloudbuild.yaml").symlink_to("real.yaml")

    assert made.run("init", "--cloudbuild").code == 2
    assert (made.path / "real.yaml").read_text() == SHAPES["comments"][0]


def test_doctor_tells_when_it_is_out_of_date(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    assert "build step: none" in made.run("doctor").out
    made.run("init", "--cloudbuild")
    assert "verify.py is up to date" in made.run("doctor").out

    made.write({"buildguard.toml": 'exclude = ["x/"]\n'})
    assert "is out of date (version " in made.run("doctor").out
    file = made.path / step.NAME
    file.write_bytes(file.read_bytes().replace(b"BG101", b"BG999"))
    assert "was changed by hand" in made.run("doctor").out
    assert "was written for another version of .buildguard/verify.py" in made.run("doctor").out


def test_check_tells_of_other_patterns(project: Callable[..., Project]) -> None:
    made = _initialised(project, SHAPES["comments"][0])
    made.run("init", "--cloudbuild")
    made.write({"buildguard.toml": 'include = ["app"]\nexclude = ["x/"]\n'})

    found = [one for one in made.check(".").json["diagnostics"] if one["code"] == "BG406"]

    assert [(one["path"], one["severity"]) for one in found] == [(step.NAME, "warning")] * 2
    made.run("init", "--cloudbuild")
    assert made.check(".").codes() == {}


def _random_build(rng: random.Random) -> str:
    """A build file as a person might lay it out: comments, blank lines, indents and styles in any mixture."""
    indent = " " * rng.choice((0, 0, 2, 4))
    end = rng.choice(("\n", "\n", "\r\n"))
    lines = rng.choice(([], ["# a build"], ["---"], ["timeout: 60s", ""], ["# a", "", "# b"]))
    lines = [*lines, f"steps:{rng.choice(('', ' ', '  # all of them'))}"]
    for number in range(rng.randint(1, 4)):
        lines += rng.choices(["", f"{indent}# step {number}", f"{indent}#", "# far left"], k=rng.randint(0, 2))
        style = rng.randrange(4)
        image = rng.choice(("docker", "'docker'", '"docker"', "gcr.io/cloud-builders/docker"))
        words = rng.choice(("[build, .]", "[push, x]", "['build', '-t', \"x y\", .]"))
        if style == 0:
            lines.append(f"{indent}- {{name: {image}, args: {words}}}")
        elif style == 1:
            lines += [f"{indent}- name: {image}{rng.choice(('', '   # why'))}", f"{indent}  args: {words}"]
        elif style == 2:
            lines += [
                f"{indent}-{rng.choice(('', '   ', ' # here'))}",
                f"{indent}  name: {image}",
                f"{indent}  args: {words}",
            ]
        else:
            lines += [
                f"{indent}- id: s{number}",
                f"{indent}  name: bash",
                f"{indent}  args:",
                f"{indent}  - -c",
                f"{indent}  - |",
            ]
            lines += [
                f"{indent}    # not a comment",
                "",
                f"{indent}    docker build . || exit 1",
                f"{indent}  # after it",
            ]
    lines += rng.choice(([], ["images: [x]"], ["", "# the end"], ["options: {logging: NONE}", ""]))
    return end.join(lines) + rng.choice(("", end))


def test_any_layout_keeps_every_line() -> None:
    data = step.text([], [])
    steps = [NewStep("buildguard", "python:3.11", "python3", ("-I", "-S", "-B", "-c"), step.loader(data))]
    changed = [steps[0]._replace(code=step.loader(b"another"))]
    for seed in range(600 if ALL else 20):
        text = _random_build(random.Random(seed))

        after = with_steps(text.encode(), "cloudbuild.yaml", steps, ".buildguard/").data

        rest = iter(after.decode().splitlines(keepends=True))
        assert all(line in rest for line in text.splitlines(keepends=True)), seed
        assert with_steps(after, "cloudbuild.yaml", steps, ".buildguard/").data == after, seed
        again = with_steps(after, "cloudbuild.yaml", changed, ".buildguard/").data
        assert again == after.replace(step.sha256(data).encode(), step.sha256(b"another").encode()), seed


@pytest.mark.parametrize("flow", [False, True])
def test_words_of_the_program_are_brought_up_to_date(*, flow: bool) -> None:
    old = NewStep("buildguard", "python:3.12", "python3", ("-c",), "run('.buildguard/')\n", ("api", "--start=a=a.py"))
    new = old._replace(rest=("--start=b=b.py", "--path=."))
    if flow:
        text = f"steps: [{json.dumps(old.fields())}, {{name: x}}]\n"
    else:
        text = "steps:\n" + "\n".join(as_block(old, "")) + "\n- name: x\n"

    edited = with_steps(text.encode(), "cloudbuild.yaml", [new], ".buildguard/").data

    (step, other) = ruamel.yaml.YAML(typ="safe").load(edited)["steps"]
    assert step["args"] == ["-c", old.code, "api", "--start=b=b.py", "--path=."]
    assert other == {"name": "x"}
    assert with_steps(edited, "cloudbuild.yaml", [new], ".buildguard/").data == edited
    without = with_steps(edited, "cloudbuild.yaml", [new._replace(rest=())], ".buildguard/").data
    assert ruamel.yaml.YAML(typ="safe").load(without)["steps"][0]["args"] == ["-c", old.code, "api"]
