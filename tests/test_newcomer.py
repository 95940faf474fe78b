"""A newcomer with an empty home and README alone: from a clone to findings, a hook, a green step of Cloud Build and a deploy."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests import images
from tests.conftest import REPOSITORY, Project, interpreter, missing
from tests.test_pages_run import commands

_MOST_SECONDS = 60  # of CPU time, from the clone to the first findings, installation included
_NETWORK = re.compile(
    r"DOCKER_HOST$|PIP_|SSL_|PYENV_ROOT|REQUESTS_|CURL_|\w*_proxy$", re.IGNORECASE
)  # how this machine reaches the index, and its container engine
_TOO_NEW = "def first[T = int](rows: list[T]) -> T:\n    return rows[0]\n"


class Newcomer:
    """A shell with nothing but a system's own programs and an empty home; variables and the folder stay."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._state = home / ".state"
        self._state.write_text(f"cd {home}\n")

    def paste(self, text: str) -> subprocess.CompletedProcess[str]:
        keep = f"export -p > {self._state}; echo \"cd '$PWD'\" >> {self._state}"
        script = f". {self._state}\n{text}\nstatus=$?\n{keep}\nexit $status\n"
        kept = {name: value for name, value in os.environ.items() if _NETWORK.match(name)}
        env = {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{interpreter('3.11').parent}:/usr/local/bin:/usr/bin:/bin",
            **{f"GIT_{who}_NAME": "Ann" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ann@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """A clone with nothing beside it, after README's first command."""
    home = tmp_path_factory.mktemp("newcomer")
    subprocess.run(["git", "clone", "-q", REPOSITORY, home / "buildguard"], check=True)
    person = Newcomer(home)
    begun = _used_by_children()
    (first, *_rest) = [command.text for command in commands("README.md") if command.text.startswith("./")]
    done = person.paste(f"cd buildguard && {first}")
    seconds = _used_by_children() - begun
    if "installing" in done.stderr and "failed after" in done.stderr:
        missing("the package index", done.stderr)
    assert (first, done.returncode) == ("./scripts/try", 1), done.stdout + done.stderr
    assert "6 errors" in done.stdout
    assert seconds < _MOST_SECONDS
    return person


def _used_by_children() -> float:
    """CPU seconds of what this process has started and seen end: a busy machine is no fault of an installation."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.interpreters
def test_the_tutorial_works_from_its_first_block(newcomer: Newcomer) -> None:
    texts = [command.text for command in commands("tutorial.md")]
    results = {text: newcomer.paste(text) for text in [f"cd {newcomer.home}/buildguard", *texts[1:]]}

    assert texts[0] == "./scripts/try"
    assert {text: done.returncode for text, done in results.items() if done.returncode} == {
        "buildguard diagnose --log three-deploys.log": 1
    }, [done.stderr for done in results.values()]
    assert "hooks/pre-commit: written" in results["buildguard init"].stdout


@pytest.mark.interpreters
def test_a_wheel_is_made_for_a_machine_without_a_network(newcomer: Newcomer) -> None:
    texts = [command.text for command in commands("air-gapped.md")]

    results = [newcomer.paste(f"export BUILDGUARD={newcomer.home}/buildguard; cd {newcomer.home}")]
    results += [newcomer.paste(text) for text in texts]

    assert [done.returncode for done in results] == [0] * (len(texts) + 1), [done.stderr for done in results]
    assert results[-1].stdout.startswith("buildguard ")


@pytest.mark.interpreters
def test_a_service_gets_a_hook_and_a_green_step(newcomer: Newcomer, repository: Callable[..., Project]) -> None:
    interpreter("3.12")
    made = repository()
    shutil.copytree(REPOSITORY / "examples/service", made.path, dirs_exist_ok=True)
    (made.path / ".pre-commit-config.yaml").unlink()  # with it the hook is for `pre-commit install` to write
    activate = f". {newcomer.home}/buildguard/.venv/bin/activate && cd {made.path}"

    first = newcomer.paste(f"{activate} && buildguard init && git add --all && git commit -q -m 'with a hook'")
    (made.path / "app/rows.py").write_text(_TOO_NEW)
    second = newcomer.paste(f"{activate} && git add --all && git commit -q -m 'too new'")
    step = YAML(typ="safe").load((made.path / "cloudbuild.yaml").read_text())["steps"][0]
    (made.path / "app/rows.py").unlink()
    built = subprocess.run(
        [interpreter("3.12"), *step["args"]], cwd=made.path, capture_output=True, text=True, check=False
    )

    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode != 0
    assert "app/rows.py" in second.stdout + second.stderr
    assert made.git("log", "--format=%s", "-1").strip() == "with a hook"
    assert built.returncode == 0, built.stdout


@pytest.mark.usefixtures("engine")
def test_a_service_is_deployed_without_an_account(newcomer: Newcomer) -> None:
    install, copy, *deploys = [command.text for command in commands("emulator.md")]
    base = images.base("3.11")
    checkout = f"{newcomer.home}/buildguard"
    fits = f"sed -i 's#python:3.11-slim#{base}#' */Dockerfile && git commit -qam 'a base image that is here'"

    begun = newcomer.paste(f". {checkout}/.venv/bin/activate; export BUILDGUARD={checkout}; cd $(mktemp -d)")
    results = [begun, *(newcomer.paste(text) for text in (install, copy, fits, *deploys))]
    newcomer.paste("docker rmi $(docker images -q 'europe-west1-docker.pkg.dev/emulated/shop/web')")

    assert [done.returncode for done in results] == [0] * len(results), [done.stdout + done.stderr for done in results]
    cloud, local = (done.stdout for done in results[-2:])
    assert "built by Cloud Build" in cloud
    assert "built on this machine" in local
    for text in (cloud, local):
        assert re.search(r"ok +prove .* by the digest that was built", text)
        assert re.search(r"^deployed: http://127\.0\.0\.1:\d+ serves ", text, re.MULTILINE)
