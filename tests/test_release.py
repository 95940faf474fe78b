"""What a release is made of: built as the workflow builds it, described, and installed as users install it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from cyclonedx.output.json import JsonV1Dot6
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from referencing import Registry, Resource
from ruamel.yaml import YAML

from buildguard.cli.init_hooks import HOOKS
from scripts import metadata, sbom
from tests.conftest import REPOSITORY, interpreter, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

_BIN = Path(sys.executable).parent
_MOST_MEGABYTES = 30  # beyond ruff and libcst


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheels(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the wheels that it needs, so that an installer of another kind asks no index."""
    folder = tmp_path_factory.mktemp("wheels")
    (wheel,) = dist.glob("*.whl")
    words = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--dest",
        str(folder),
        str(wheel),
        "pip",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("the package index", done.stderr)
    return folder


@pytest.mark.interpreters
def test_the_distributions_are_fit_to_be_uploaded(dist: Path) -> None:
    files = sorted(dist.iterdir())

    done = subprocess.run([_BIN / "twine", "check", "--strict", *files], capture_output=True, text=True, check=False)

    assert [file.suffix for file in files] == [".whl", ".gz"]
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2)


@pytest.mark.interpreters
def test_no_link_leads_to_a_page_that_does_not_exist(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(".dist-info/METADATA")]
        text = packed.read(name).decode()

    assert "Project-URL" not in text


def test_the_links_follow_the_one_setting() -> None:
    assert metadata.links('X = 1\nDOCUMENTATION_URL = "https://docs.example.com/"\n') == {
        "Documentation": "https://docs.example.com",
        "Codes": "https://docs.example.com/reference/codes/",
    }
    assert metadata.links('DOCUMENTATION_URL = ""\n') == {}
    with pytest.raises(LookupError):
        metadata.links("")


def test_the_bill_of_materials_names_what_is_locked(tmp_path: Path) -> None:
    lock = (REPOSITORY / "requirements.txt").read_text("utf-8")
    file = tmp_path / "a.whl"
    file.write_bytes(b"x")

    bill = json.loads(JsonV1Dot6(sbom.bom(lock, [file])).output_as_string())

    pins = {f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^(\S+?)==([^\s;]+)", lock, re.MULTILINE)}
    assert {part["purl"] for part in bill["components"]} == pins
    (released,) = bill["metadata"]["component"]["components"]
    assert released["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"x").hexdigest()}]
    _validate(bill)


def _validate(bill: object) -> None:
    """Against the schema that the format's own library carries."""
    import cyclonedx

    folder = Path(str(cyclonedx.__file__)).parent / "schema/_res"
    resources = [
        (
            f"http://cyclonedx.org/schema/{file.name.replace('.SNAPSHOT', '')}",
            Resource.from_contents(json.loads(file.read_text("utf-8"))),
        )
        for file in folder.glob("*.schema.json")
        if file.name.startswith(("spdx", "jsf"))
    ]
    schema = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text("utf-8"))
    jsonschema.Draft7Validator(schema, registry=Registry().with_resources(resources)).validate(bill)


def _closure(name: str, seen: set[str]) -> Iterator[str]:
    """A distribution and everything that it requires without an extra."""
    name = canonicalize_name(name)
    if name in seen:
        return
    seen.add(name)
    yield name
    for text in importlib.metadata.distribution(name).requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield from _closure(wanted.name, seen)


def test_an_installation_is_small() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    seen: set[str] = set()
    names = [name for row in project["dependencies"] for name in _closure(Requirement(row).name, seen)]
    sizes = {
        name: sum(
            Path(str(file.locate())).stat().st_size
            for file in importlib.metadata.files(name) or ()
            if Path(str(file.locate())).is_file()
        )
        for name in names
        if name not in {"libcst", "ruff"}
    }
    own = sum(
        file.stat().st_size for file in (REPOSITORY / "buildguard").rglob("*.*") if "__pycache__" not in file.parts
    )

    assert len(sizes) > 8
    assert sum(sizes.values()) + own < _MOST_MEGABYTES << 20, sorted(sizes.items(), key=lambda row: -row[1])[:5]


@pytest.mark.interpreters
@pytest.mark.parametrize("installer", [pytest.param("pipx", marks=pytest.mark.slow), "uvx"])
def test_it_is_installed_as_users_install_it(wheels: Path, dist: Path, tmp_path: Path, installer: str) -> None:
    """Without any extra, `check` finds all that is wrong in the example, `init` writes the hooks, and `emulator` names the extra."""
    interpreter("3.11")
    (wheel,) = dist.glob("*.whl")
    example = tmp_path / "outage"
    shutil.copytree(REPOSITORY / "examples/outage", example)
    env = {
        **os.environ,
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PYTHONWARNINGS": "",
        "PYTHONPATH": "",  # the checkout is not what is installed
    }
    if installer == "pipx":
        offline = f"--no-index --find-links {wheels}"
        words = [str(_BIN / "pipx"), "install", "--quiet", "--backend", "pip", "--pip-args", offline, str(wheel)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        command = [str(tmp_path / "bin/buildguard")]
    else:
        options = ("--offline", "--no-index", "--find-links", wheels, "--python", sys.executable)
        command = [str(_BIN / "uvx"), *map(str, options), "--from", str(wheel), "buildguard"]

    checked = subprocess.run(
        [*command, "check", "--format", "concise"], cwd=example, env=env, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert {line.split(":")[0] for line in checked.stdout.splitlines() if " BG2" in line} == {
        "app/invoices.py",
        "app/notify.py",
        "app/orders.py",
    }

    subprocess.run(["git", "init", "-q", example], check=True)
    begun = subprocess.run([*command, "init"], cwd=example, env=env, capture_output=True, text=True, check=False)

    assert begun.returncode == 0, begun.stdout + begun.stderr
    for name in HOOKS:
        assert (example / ".git/hooks" / name).read_bytes() == (REPOSITORY / "hooks" / name).read_bytes()
    emulator = subprocess.run(
        [*command, "emulator", "--", "true"], cwd=example, env=env, capture_output=True, text=True, check=False
    )
    assert (emulator.returncode, "buildguard-gcp[cloud]" in emulator.stderr) == (3, True), emulator.stderr


def test_a_trigger_is_one_that_cloud_build_knows() -> None:
    from google.cloud.devtools.cloudbuild_v1 import BuildTrigger
    from google.protobuf import json_format

    trigger = YAML(typ="safe").load(REPOSITORY / "templates/trigger.yaml")
    message = BuildTrigger.pb()()

    json_format.ParseDict(trigger, message)

    assert (message.filename, message.repository_event_config.push.branch) == ("cloudbuild.yaml", "^main$")
    assert (REPOSITORY / "examples/service" / message.filename).is_file()


def test_the_citation_names_this_version() -> None:
    from buildguard import __version__

    citation = YAML(typ="safe").load(REPOSITORY / "CITATION.cff")

    assert (citation["cff-version"], citation["title"], str(citation["version"])) == (
        "1.2.0",
        "buildguard",
        __version__,
    )


def test_a_release_is_published_without_a_stored_password() -> None:
    jobs = YAML(typ="safe").load(REPOSITORY / ".github/workflows/release.yml")["jobs"]

    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "build"
    assert "secrets." not in (REPOSITORY / ".github/workflows/release.yml").read_text("utf-8")
    runs = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert "python -m build --no-isolation" in runs
    assert "twine check --strict dist/*" in runs
