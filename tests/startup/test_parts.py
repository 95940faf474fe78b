"""The parts of the check of a start, each by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from buildguard.check.startup import add_startup
from buildguard.codes import Code
from buildguard.project import dockerfile
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, list_recipes
from buildguard.project.ignore.rules import find_git_rule
from buildguard.project.start_command import ListenAddress, StartCommand
from buildguard.stages.filesystem import FolderStage, stage_on_disk
from buildguard.startup.applications import check_application
from buildguard.startup.buildpack_start import buildpack_starts
from buildguard.startup.closure import StartupFile, check_needed
from buildguard.startup.copies import check_copies
from buildguard.startup.deployed_ports import DeployedPort, find_port, read_ports
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart, open_image
from buildguard.startup.image_tree import context_path
from buildguard.startup.losses import LostFile, report_lost
from buildguard.startup.modules import may_be_installed, search
from buildguard.startup.ports import check_port
from buildguard.startup.programs import check_programs
from buildguard.startup.project_files import BuildSender, ProjectFileTree
from buildguard.startup.run import check_startup
from buildguard.startup.secrets import check_secrets
from buildguard.startup.source_facts import read_facts
from buildguard.system import git
from tests.conftest import Project
from tests.project.memory import MemoryStage


def image_of(text: str, files: Mapping[str, str | None], sender: BuildSender = BuildSender.UNKNOWN) -> ImageStart:
    stage = MemoryStage({"Dockerfile": text, **files})
    image = open_image(list_recipes(stage, Config())[0], ProjectFileTree(stage, None, sender))
    assert image is not None
    return image


def test_the_files_of_an_image() -> None:
    text = """FROM python:3.11 AS build
WORKDIR /src
COPY . .
FROM python:3.11-slim
WORKDIR /srv
COPY main.py conf/*.toml ./
COPY --chmod=755 main.py /usr/local/bin/tool
COPY lib /srv/lib
COPY --from=build /src/deep /srv/deep
COPY --exclude=*.md docs docs/
RUN sed -i s/a/b/ lib/a.py
CMD python main.py
"""
    files = dict.fromkeys(
        ("main.py", "conf/a.toml", "lib/a.py", "deep/x.py", "docs/a.md", "docs/b.txt", "other.py"), ""
    )
    tree = image_of(text, files).tree

    def source(path: str) -> str | None:
        image_file = tree.find(path)
        return image_file.source if image_file is not None else None

    assert source("/srv/main.py") == "main.py"
    assert source("/srv/a.toml") == "conf/a.toml"
    assert source("/srv/deep/x.py") == "deep/x.py"
    assert source("/srv/docs/b.txt") == "docs/b.txt"
    assert source("/srv/docs/a.md") is None
    assert source("/srv/other.py") is None
    tool, changed = tree.find("/usr/local/bin/tool"), tree.find("/srv/lib/a.py")
    assert tool is not None
    assert tool.mode == 0o755
    assert changed is not None
    assert "line 11" in changed.doubt
    assert tree.project_paths("/srv/other.py") == ["other.py", "conf/other.py"]
    assert tree.is_folder("/srv/lib")
    assert not tree.is_folder("/srv/nope")
    held = tree.holds("deep/x.py")
    assert held is not None
    assert held.line == 9
    assert tree.holds("other.py") is None
    assert context_path("docker", "../x/./y") == "docker/x/y"


@pytest.mark.parametrize(
    ("instruction", "path", "is_unknown"),
    [
        ("COPY . /srv", "/srv/x.py", False),
        ("COPY . /srv", "/usr/bin/x", True),
        ("COPY . /srv", "/srv/.venv/bin/x", True),
        ("COPY $X /srv/", "/srv/x.py", True),
        ("RUN tar --directory / -xf x.tar.gz", "/init", True),
        ("ADD x.tar.gz /srv", "/srv/x.py", True),
        ("COPY --from=other /a /srv", "/srv/x.py", True),
        ("RUN make", "/x.py", True),
        ("RUN cd /tmp && make", "/srv/x.py", False),
    ],
)
def test_where_files_may_be_that_cannot_be_known(instruction: str, path: str, *, is_unknown: bool) -> None:
    tree = image_of(f"FROM python:3.11\nCOPY a /a\n{instruction}\nCMD python\n", {"x.tar.gz": "", "a": ""}).tree

    assert bool(tree.why_unknown(path)) is is_unknown
    assert image_of("FROM acme/base\nCMD python\n", {}).tree.why_unknown("/srv/x.py")


def test_modules_are_looked_up_as_python_does() -> None:
    text = "FROM python:3.11\nWORKDIR /srv\nCOPY app app\nCOPY main.py .\nRUN pip install flask\nCMD python main.py\n"
    files = {
        "app/__init__.py": "",
        "app/web.py": "",
        "app/names/a.py": "",
        "main.py": "",
        "helpers.py": "",
        "app/fast.pyx": "",
    }
    image = image_of(text, files)

    assert search(image, "app.web", ["/srv"]).path == "/srv/app/web.py"
    assert search(image, "app", ["/srv"]).package == "/srv/app"
    assert search(image, "app.names.a", ["/srv"]).path == "/srv/app/names/a.py"
    assert search(image, "app.missing", ["/srv"]).is_missing
    assert search(image, "main.x", ["/srv"]).is_missing
    assert search(image, "helpers", ["/srv"]).lost == ("helpers.py",)
    assert "compiled" in search(image, "app.fast", ["/srv"]).unknown
    assert may_be_installed(image, "flask.views")
    assert may_be_installed(image, "json")
    assert not may_be_installed(image, "nothing")


def test_the_facts_of_a_source() -> None:
    text = b"""import a.b as c, d
from .e import f
if x:
    import late
with y as z:
    import certain
for i in []: pass
try:
    g = 1
except E as e: pass
def h(): global j; open('k')
class L: m = 1
n: int = 1
(o := 1)
"""
    facts = read_facts(text)

    assert facts is not None
    assert {"c", "d", "f", "late", "z", "certain", "i", "g", "h", "j", "L", "n", "o"} <= facts.names
    assert not {"a", "m", "k"} & facts.names
    assert {item.module: item.is_certain for item in facts.imports} == {
        "a.b": True,
        "d": True,
        "e": True,
        "late": False,
        "certain": True,
    }
    assert [(item.path.text, item.is_certain) for item in facts.opened] == [("k", False)]
    assert facts.binds("nope") is False
    assert read_facts(b"from x import *") is not None
    star = read_facts(b"from x import *\n")
    assert star is not None
    assert star.binds("anything") is None
    assert read_facts(b"def") is None
    assert read_facts(b"(" * 10_000) is None


def test_the_main_block_runs_in_a_script_alone() -> None:
    text = b"if __name__ == '__main__':\n    import x\n"
    script, module = read_facts(text, is_main=True), read_facts(text)

    assert script is not None
    assert module is not None
    assert script.imports[0].is_certain
    assert not module.imports[0].is_certain


@pytest.mark.parametrize(("host", "codes"), [("[::ffff:127.0.0.1]", [Code.BG705]), ("[::]", [])])
def test_an_address_that_only_the_container_reaches(host: str, codes: list[Code]) -> None:
    text = f'FROM python:3.11\nCOPY . .\nCMD ["gunicorn", "-b", "{host}:8080", "main:app"]\n'
    image, findings = image_of(text, {"main.py": "app = None\n"}), StartupFindings()
    assert image.start is not None

    check_port(image, image.start, DeployedPort("8080", "cloudbuild.yaml"), findings)

    assert [finding.code for finding in findings.report().diagnostics] == codes


def test_only_the_stages_that_a_build_needs() -> None:
    text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nFROM two\nCOPY --from=0 /x /\nRUN --mount=type=bind,from=three,source=/ x\n"

    assert dockerfile.needed_stages(image_of(text, {}).stages) == {0, 1, 2, 3}
    assert dockerfile.needed_stages(image_of("FROM a AS one\nFROM b\n", {}).stages) == {1}
    assert dockerfile.needed_stages(image_of(text, {}).stages, "0") == {0}


def test_a_stage_that_no_build_makes_needs_no_file() -> None:
    findings = StartupFindings()

    check_copies(image_of("FROM python:3.12 AS old\nCOPY old.py .\nFROM python:3.12\nCOPY new.py .\n", {}), findings)

    assert [(each.code, each.range.line) for each in findings.report().diagnostics] == [("BG703", 4)]


def test_the_rule_of_git_that_ignores_a_path() -> None:
    files = {".gitignore": b"# x\n*.log\n!keep.log\nbuild/\n", "sub/.gitignore": b"made.py\n"}

    assert str(find_git_rule(files.get, "a/b.log")) == ".gitignore:2: *.log"
    assert find_git_rule(files.get, "keep.log") is None
    assert str(find_git_rule(files.get, "build/x/y")) == ".gitignore:4: build/"
    assert str(find_git_rule(files.get, "sub/made.py")) == "sub/.gitignore:1: made.py"
    assert find_git_rule(files.get, "made.py") is None


def test_without_a_gitignore_nothing_is_read_for_a_path(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository({"app/main.py": "x = 1\n"})
    place = git.repository_of(project.path)
    files = ProjectFileTree(stage_on_disk(project.path, place), place, BuildSender.UNKNOWN)
    monkeypatch.setattr(files, "read", pytest.fail)

    assert files.git_ignore_rule("app/made.py") is None


def test_a_trigger_sends_what_git_has(repository: Callable[..., Project]) -> None:
    project = repository({"start.sh": "#!/bin/sh\n", "late.txt": "x\n", ".gitignore": "made.txt\n"})
    script = project.path / "start.sh"
    script.chmod(0o755)
    script.write_bytes(b"#!/bin/sh\r\n")
    (project.path / "made.txt").write_text("")
    place = git.repository_of(project.path)
    stage = stage_on_disk(project.path, place)
    trigger, submit, either = (
        ProjectFileTree(stage, place, sender)
        for sender in (BuildSender.TRIGGER, BuildSender.SUBMIT, BuildSender.UNKNOWN)
    )

    assert trigger.sent_content("start.sh") == b"#!/bin/sh\n"
    assert submit.sent_content("start.sh") == b"#!/bin/sh\r\n"
    assert (trigger.is_executable("start.sh"), submit.is_executable("start.sh"), either.is_executable("start.sh")) == (
        False,
        True,
        None,
    )
    assert not either.has("made.txt")
    assert str(either.git_ignore_rule("made.txt")) == ".gitignore:1: made.txt"
    assert either.other_case("START.sh") == "start.sh"
    assert os.fspath(project.path.resolve()) == os.path.realpath(either.root)


def test_attributes_of_git_give_windows_line_ends_to_a_trigger(repository: Callable[..., Project]) -> None:
    project = repository({"start.sh": "#!/bin/sh\n", ".gitattributes": "*.sh text eol=crlf\n"})
    place = git.repository_of(project.path)
    files = ProjectFileTree(stage_on_disk(project.path, place), place, BuildSender.TRIGGER)

    assert files.sent_content("start.sh") == b"#!/bin/sh\r\n"


def test_a_submodule_without_content(repository: Callable[..., Project]) -> None:
    project = repository({"Dockerfile": "FROM python:3.11\nCOPY sub/x.py /x.py\nCOPY . /srv\n", ".gitmodules": ""})
    head = project.git("rev-parse", "HEAD").strip()
    project.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    (project.path / "sub").mkdir()
    rows = [(item["code"], item["line"]) for item in project.check("--target", "3.11").json["diagnostics"]]

    assert rows == []  # no source, so no target: nothing is asked
    project.write({"main.py": "x = 1\n"})
    rows = [(item["code"], item["line"]) for item in project.check().json["diagnostics"]]
    assert ("BG703", 2) in rows
    assert ("BG707", 3) in rows


def test_findings_come_once_and_open_questions_are_counted() -> None:
    findings = StartupFindings()
    for _ in range(2):
        findings.add(Code.BG701, FindingPlace("a", 1), "x")
        findings.leave_open(FindingPlace("a", 1), "y")

    assert len(findings.report().diagnostics) == 1
    assert findings.report().undecided == ("a:1: y",)


def test_the_checks_take_an_image_and_a_start() -> None:
    image = image_of(
        "FROM python:3.11\nWORKDIR /srv\nCOPY main.py .\nCMD python main.py\n", {"main.py": "", "x.txt": ""}
    )
    start, findings = image.start, StartupFindings()
    assert isinstance(start, StartCommand)
    entry = check_application(image, start, findings)
    assert entry is not None
    assert entry.file.source == "main.py"
    assert check_programs(image, start, findings)
    check_secrets(image, findings)
    assert findings.report().diagnostics == ()
    check_needed(image, findings, StartupFile("/srv/x.txt", "a test opens it"))
    report_lost(image, findings, LostFile("x.txt", "a test needs it"))
    (lost,) = findings.report().diagnostics
    assert (lost.range.line, lost.message.rpartition(": ")[2]) == (3, "a test opens it, and 1 more place")


def test_no_port_is_known_where_nothing_deploys(tmp_path: Path) -> None:
    files = ProjectFileTree(FolderStage(tmp_path), None, BuildSender.UNKNOWN)

    assert list(read_ports(files, Config())) == []
    assert find_port([], "Dockerfile", is_only=True).port == ""
    deploys = [DeployedPort("9000", "a/cloudbuild.yaml")]
    assert find_port(deploys, "a/Dockerfile", is_only=False).port == "9000"
    assert find_port(deploys, "b/Dockerfile", is_only=False).port == ""
    assert find_port(deploys, "b/Dockerfile", is_only=True).port == "9000"
    assert ListenAddress("", "", "", StartCommand(None).place).port == ""  # type: ignore[arg-type]


def test_check_reports_and_counts(repository: Callable[..., Project]) -> None:
    project = repository(
        {"Dockerfile": 'FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD ["python", "no.py"]\n', "main.py": "x = 1\n"}
    )
    answer = project.check().json

    assert [(item["code"], item["line"], item["severity"]) for item in answer["diagnostics"]] == [("BG701", 4, "error")]
    assert answer["startup"]["undecided"] == 0
    assert project.check("main.py").json["diagnostics"] == []
    assert project.check("--ignore", "BG701").code == 0
    assert "BG701" in project.run("check").out
    assert add_startup.__doc__


@pytest.mark.parametrize(
    ("command", "path", "content"),
    [
        ('["python", "start"]', "start", "x = 1\n"),
        ("python start.PY", "start.PY", "x = 1\n"),
        ('["python", "app.pyz"]', "app.pyz", "PK"),
        ('["sh", "run.sh"]', "code.txt", "x = 1\n"),
        ('["./run.me"]', "run.me", "#!/usr/bin/env python3\nx = 1\n"),
        ('["gunicorn", "-c", "settings.conf", "main:app"]', "settings.conf", "workers = 2\n"),
    ],
)
def test_what_python_runs_and_nothing_compiled_is_unproven(
    repository: Callable[..., Project], command: str, path: str, content: str
) -> None:
    project = repository(
        {
            "Dockerfile": f"FROM python:3.11-slim\nWORKDIR /srv\nRUN pip install gunicorn\nCOPY --chmod=755 . .\nCMD {command}\n",
            "main.py": "app = print\n",
            "run.sh": "exec python code.txt\n",
            path: content,
        }
    )
    answer = project.check()

    assert answer.code == 3
    assert [(item["path"], item["reason"]) for item in answer.json["unproven"]] == [
        (
            path,
            "the start command runs it with Python, and it was not compiled: only `.py` files and `#!` scripts are",
        )
    ]
    assert project.check("main.py").code == 0
    project.write({"buildguard.toml": f'exclude = ["{path}"]\n'})
    assert project.check().code == 0


def test_the_image_of_a_buildpack_holds_the_whole_folder() -> None:
    build = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --source, api]\n"
    stage = MemoryStage({"cloudbuild.yaml": build, "api/main.py": "", "api/requirements.txt": "fastapi[standard]\n"})
    files = ProjectFileTree(stage, None, BuildSender.UNKNOWN)
    starts = list(buildpack_starts(stage, Config(), files))

    [each] = starts
    assert each.start.command is not None
    assert (each.recipe.service.context, each.by) == ("api", "cloudbuild.yaml")
    assert each.start.command.words[:2] == ("uvicorn", "main:app")
    image = open_image(each.recipe, files)
    assert image is not None
    assert image.tree.find("/workspace/main.py") is not None
    assert image.tree.why_unknown("/workspace/other.py") == ""
    assert image.tree.why_unknown("/layers/google.python.pip/pip/bin/uvicorn")


def test_a_recipe_without_a_stage_has_no_start() -> None:
    stage = MemoryStage({"Dockerfile": ""})
    recipe = ImageRecipe(list_recipes(stage, Config())[0].service, b"")

    assert open_image(recipe, ProjectFileTree(stage, None, BuildSender.UNKNOWN)) is None


def test_hostile_files_take_no_time_and_raise_nothing() -> None:
    deep = "app.run(" + "+".join(["1"] * 4000) + ")\n"
    files = {
        "main.py": f"from flask import Flask\napp = Flask(__name__)\n{deep}" + "import a(\n" * 20_000,
        "run.py": f"from flask import Flask\napp = Flask(__name__)\n{deep}",
        "gunicorn.conf.py": "bind = " + "+".join(["x"] * 4000) + "\n",
        ".env": "SECRET" * 200_000,
        "tests/lost.py": "",
        ".dockerignore": "tests\n",
    }
    head = "FROM python:3.11\nWORKDIR /srv\nCOPY . .\n"
    for command in (
        "CMD python main.py",
        "CMD python run.py",
        "CMD gunicorn run:app",
        "CMD " + "$(" * 8000,
        "CMD " + "a && " * 4000 + "b",
    ):
        report = check_startup(MemoryStage({"Dockerfile": f"{head}{command}\n", **files}), None, Config())

        assert all(item.code != "BG708" for item in report.diagnostics)


def test_many_files_are_read_without_being_kept(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text("1\n")
    files = ProjectFileTree(FolderStage(tmp_path), None, BuildSender.UNKNOWN)
    files.read("b.py")
    (tmp_path / "b.py").write_text("2\n")

    assert sorted(files.read_each(["a.py", "b.py", "gone.py"])) == [("a.py", b"1\n"), ("b.py", b"1\n")]
    (tmp_path / "a.py").write_text("3\n")
    assert files.read("a.py") == b"3\n"
