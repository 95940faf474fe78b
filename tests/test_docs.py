"""Pages, README, the example and the hooks: what people read is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard import codes
from buildguard.cli import doctor, init_hooks
from buildguard.project import config
from tests.conftest import REPOSITORY, Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADINGS = ["What it means", "Why it breaks", "An example that fails", "The same, repaired", "How to silence it"]


@pytest.mark.parametrize("code", codes.CODES)
def test_every_code_has_its_page(project: Callable[..., Project], code: str) -> None:
    result = project().run("explain", code.lower())

    assert result.code == 0
    assert result.out.startswith(f"# {code}: {codes.CODES[code]}\n")
    assert re.findall(r"^## (.*)$", result.out, re.MULTILINE) == _HEADINGS


def test_no_other_pages() -> None:
    assert {file.stem for file in (REPOSITORY / "buildguard/pages").iterdir()} == set(codes.CODES)


def test_explain_of_nothing(project: Callable[..., Project]) -> None:
    result = project().run("explain", "BG999")

    assert result.code == 2
    assert "BG101" in result.err


def _blocks(code: str, heading: str) -> list[str]:
    section = codes.page(code).split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


_F_STRINGS = [code for code in codes.CODES if code in codes.RULE_ERRORS]


@pytest.mark.parametrize("code", ["BG101", "BG403", *_F_STRINGS])
def test_the_examples_fail_as_they_say(project: Callable[..., Project], code: str) -> None:
    (broken,) = _blocks(code, "An example that fails")
    (repaired,) = _blocks(code, "The same, repaired")
    made = project({"broken.py": broken, "repaired.py": repaired})

    diagnostics = made.check("--target", "3.11").json["diagnostics"]
    assert {one["path"] for one in diagnostics if one["severity"] == "error"} == {"broken.py"}
    assert made.check("--target", "3.12").codes() == {}
    outputs = [
        subprocess.run([interpreter(version), name], cwd=made.path, capture_output=True, check=True).stdout
        for version, name in (("3.12", "broken.py"), ("3.11", "repaired.py"))
    ]
    assert outputs[0] == outputs[1] != b""


@pytest.mark.parametrize("code", _F_STRINGS)
def test_the_repaired_examples_are_what_fix_makes(project: Callable[..., Project], code: str) -> None:
    (broken,) = _blocks(code, "An example that fails")
    (repaired,) = _blocks(code, "The same, repaired")
    made = project({"a.py": broken})

    assert made.check("--target", "3.11").codes()["a.py"] == [code]
    assert made.run("fix", "--target", "3.11").code == 0
    assert (made.path / "a.py").read_text() == repaired


def test_the_example_of_bg205(project: Callable[..., Project]) -> None:
    (legal,) = _blocks("BG205", "An example that fails")
    (clearer,) = _blocks("BG205", "The same, repaired")
    made = project({"legal.py": legal, "clearer.py": clearer})

    assert made.check("--target", "3.11").codes() == {"legal.py": ["BG205"]}
    assert made.check("--target", "3.12").codes() == {}


def test_the_example_of_bg105(project: Callable[..., Project]) -> None:
    (broken,) = _blocks("BG105", "An example that fails")
    (repaired,) = _blocks("BG105", "The same, repaired")
    made = project({"broken.py": broken, "repaired.py": repaired})

    assert made.check("--target", "3.11").codes() == {"broken.py": ["BG105"]}


def test_the_outage(project: Callable[..., Project]) -> None:
    made = project()
    shutil.copytree(REPOSITORY / "examples/outage", made.path, dirs_exist_ok=True)

    result = made.check()

    errors = {(one["path"], one["line"]) for one in result.json["diagnostics"] if one["severity"] == "error"}
    assert errors == {("app/invoices.py", 8), ("app/notify.py", 5), ("app/notify.py", 6), ("app/orders.py", 13)}
    assert result.codes()[".python-version"] == ["BG401"]
    assert result.code == 1
    assert made.check("--target", "3.12").code == 0
    assert "these 3 files fail 3 deploys in a row" in made.run("check").out


@pytest.mark.interpreters
def test_the_outage_inside_this_repository() -> None:
    here = Project(REPOSITORY)

    example, whole = here.check("examples/outage"), here.check()

    assert example.json["summary"]["rejected_files"] == 3
    assert example.json["targets"][0]["found_in"] == "examples/outage/Dockerfile:3"
    assert whole.code == 0, whole.out


def test_doctor_shows_the_whole_table(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\n", ".python-version": "3.12\n", "a.py": ""})
    interpreter("3.11")

    result = made.run("doctor")

    assert result.code == 0
    for words in (
        "→ 3.11",
        "Dockerfile:1",
        ".python-version:1",
        "interpreter: CPython 3.11.",
        "cache:",
        "git:",
        "ruff",
    ):
        assert words in result.out


def test_doctor_says_what_is_missing(project: Callable[..., Project]) -> None:
    assert 'target = ["3.11"]' in project({"a.py": ""}).run("doctor").out


_LOG_IN = "gcloud auth application-default login"


@pytest.fixture
def _without_google(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUDSDK_CONFIG",
        "GOOGLE_CLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "CLOUDSDK_RUN_REGION",
        "CLOUDSDK_BUILDS_REGION",
        "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_without_google")
def test_doctor_reports_an_unconfigured_cloud(project: Callable[..., Project]) -> None:
    out = project({"a.py": ""}).run("doctor").out

    assert f"packages: google-cloud-build {metadata.version('google-cloud-build')}, google-cloud-run " in out
    assert f"credentials: none on this machine (a metadata server was not asked); {_LOG_IN}" in out
    assert "project: not configured: set [tool.buildguard.cloud] project, or pass --project" in out
    assert "region: not configured: set [tool.buildguard.cloud] region, or pass --region" in out
    assert "emulator:" not in out
    assert "not part of this version" not in out


@pytest.mark.usefixtures("_without_google")
def test_doctor_reports_where_the_cloud_is_configured(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"private_key": "-----BEGIN hidden", "client_email": "ci@acme.example", "refresh_token": "hidden"}
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"type": "service_account", "project_id": "acme-key", **secret}))
    made = project({"a.py": "", "buildguard.toml": '[cloud]\nregion = "europe-west1"\n'})
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    out = made.run("doctor").out
    assert f"credentials: service_account in {key} (GOOGLE_APPLICATION_CREDENTIALS); not tried" in out
    assert "project: acme-key (credentials)" in out
    assert "region: europe-west1 (buildguard.toml, [tool.buildguard.cloud])" in out
    assert "hidden" not in out

    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme-env")
    for content, problem in (
        ("{", "not a credentials file"),
        ("[]", "not a credentials file"),
        ('{"type": "x"}', "unknown type"),
    ):
        key.write_text(content)
        out = made.run("doctor").out
        assert f"credentials: {key} (GOOGLE_APPLICATION_CREDENTIALS) cannot be used: " in out
        assert problem in out
        assert "project: acme-env (environment)" in out
    key.unlink()
    assert "cannot be used: No such file or directory" in made.run("doctor").out


@pytest.mark.usefixtures("_without_google")
def test_doctor_finds_the_credentials_of_gcloud(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project({"a.py": "", "buildguard.toml": '[cloud]\nproject = "acme"\n'})
    file = Path(os.environ["HOME"]) / ".config/gcloud/application_default_credentials.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"type": "authorized_user", "refresh_token": "hidden"}')
    monkeypatch.setenv("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "deployer@acme.example")
    monkeypatch.setenv("BUILDGUARD_RUN_ENDPOINT", "http://127.0.0.1:9")
    out = made.run("doctor").out

    assert f"credentials: authorized_user in {file} ({_LOG_IN}), impersonating deployer@acme.example; not tried" in out
    assert "project: acme (buildguard.toml, [tool.buildguard.cloud])" in out
    assert "emulator: BUILDGUARD_RUN_ENDPOINT=http://127.0.0.1:9, without credentials" in out

    monkeypatch.setenv("CLOUDSDK_CONFIG", str(file.parent.parent))  # another configuration of gcloud's
    assert "credentials: none on this machine" in made.run("doctor").out


def test_doctor_reports_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "google-cloud-run":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("buildguard.gcp.setup.metadata.version", version)

    assert next(doctor._cloud(config.Config())) == (
        '  cloud: not installed (google-cloud-run missing); pip install "buildguard-gcp[cloud]"'
    )


def test_init_is_safe_to_run_twice(repository: Callable[..., Project]) -> None:
    made = repository({"pyproject.toml": "[project]\nname = 'x'", "Dockerfile": "FROM python:3.12\n", "a.py": ""})

    first, pyproject = made.run("init"), (made.path / "pyproject.toml").read_text()
    second = made.run("init")

    assert (first.code, second.code) == (0, 0)
    assert (made.path / "pyproject.toml").read_text() == pyproject
    assert pyproject.startswith("[project]\nname = 'x'\n\n# [tool.buildguard]")
    for name in init_hooks.HOOKS:
        hook = made.path / ".git/hooks" / name
        assert hook.read_bytes() == (REPOSITORY / "hooks" / name).read_bytes()
        assert hook.stat().st_mode & 0o111
    assert "buildguard init --cloudbuild" in first.out


def test_init_never_overwrites(repository: Callable[..., Project]) -> None:
    made = repository({"buildguard.toml": "# mine\n"})
    made.write({".git/hooks/pre-commit": "mine"})

    result = made.run("init")

    assert result.code == 0
    assert (made.path / ".git/hooks/pre-commit").read_text() == "mine"
    assert (made.path / "buildguard.toml").read_text() == "# mine\n"
    assert "another hook, unchanged; add to it: buildguard check --staged --proof predicted" in result.out
    assert made.run("init").code == 0


def test_init_leaves_a_hooks_folder_of_all_repositories_alone(
    repository: Callable[..., Project], tmp_path: Path
) -> None:
    made = repository({"Dockerfile": "FROM python:3.12\n", "a.py": ""})
    (tmp_path / "global").mkdir()
    made.git("config", "core.hooksPath", str(tmp_path / "global"))

    result = made.run("init")

    assert result.code == 0
    assert "core.hooksPath is set to it" in result.out
    assert list((tmp_path / "global").iterdir()) == []


def test_init_in_a_linked_worktree(repository: Callable[..., Project], tmp_path: Path) -> None:
    made = repository({"Dockerfile": "FROM python:3.12\n", "a.py": ""})
    made.git("worktree", "add", "--quiet", str(tmp_path / "linked"))

    assert Project(tmp_path / "linked").run("init").code == 0
    assert (made.path / ".git/hooks/pre-commit").is_file()


def test_init_needs_a_repository(project: Callable[..., Project]) -> None:
    assert project().run("init").code == 2


@pytest.mark.parametrize("file", ["buildguard.toml", "pyproject.toml"])
def test_the_table_that_init_writes_is_valid_when_uncommented(repository: Callable[..., Project], file: str) -> None:
    made = repository({file: ""} if file == "pyproject.toml" else {})
    made.run("init")
    lines = (made.path / file).read_text().splitlines()

    uncommented = "\n".join(line.removeprefix("# ") for line in lines if line not in {"#", ""})

    assert config.read({file.encode(): uncommented.encode()}).target == ("3.11",)
    assert config.read({file.encode(): (made.path / file).read_bytes()}) == config.Config(
        file if file == "buildguard.toml" else ""
    )


@pytest.mark.interpreters
def test_no_text_of_ours_installs_somebody_elses_package() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
    for name in names.splitlines():
        file = REPOSITORY / name
        if file.is_file() and name != "tests/test_docs.py":
            assert not re.search(
                r"pip3? install [^\n&;|]*\bbuildguard(?!-gcp)\b", file.read_bytes().decode("utf-8", "replace")
            ), name


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_a_link_leads_to_a_file_of_a_checkout(page: Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))
    links = re.findall(r"\]\(([^)#\s]+)", text)

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_hook_runs_for_each_commit() -> None:
    """A commit that only deletes has no file to match, and each file may be one that the image needs."""
    from ruamel.yaml import YAML

    from buildguard.cli.init_pre_commit import BLOCK

    yaml = YAML(typ="safe", pure=True)
    hook, _fixer = yaml.load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())
    block = yaml.load("\n".join(BLOCK))

    assert yaml.load((REPOSITORY / "examples/service/.pre-commit-config.yaml").read_text()) == {"repos": block}
    assert hook["always_run"] is True
    assert not hook.keys() & {"files", "exclude", "pass_filenames"}
    assert {**hook, **block[0]["hooks"][0], "language": hook["language"]} == hook
