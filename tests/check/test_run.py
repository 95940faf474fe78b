"""`buildguard check` as people and programs meet it: what it reads, what it says, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.diagnostic import RelativePath, UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.project.sources import SourceSelection, choose
from buildguard.stages.filesystem import FolderStage, WorkingTreeStage
from buildguard.stages.stage import Entry, EntryKind
from buildguard.system import git, process
from tests.conftest import BROKEN_BEFORE_312, Project
from tests.stages.deep import flatten, nest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DOCKERFILE = {"Dockerfile": "FROM python:3.11-slim\n"}
_BROKEN = {"bad.py": BROKEN_BEFORE_312}


def test_the_order_of_findings_is_the_same_in_each_run(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("alpha", "beta", "gamma", "delta")
    made = repository(
        {
            "Dockerfile": 'FROM python:3.11-slim\nWORKDIR /app\nCOPY main.py .\nCMD ["python", "main.py"]\n',
            "main.py": "".join(f"import {name}\n" for name in names),
            **{f"{name}.py": "x = 1\n" for name in names},
        }
    )
    orders = []
    for seed in "123":
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        orders.append([finding["message"] for finding in made.check("--no-cache").json["diagnostics"]])

    assert len(orders[0]) == 4
    assert orders[0] == orders[1] == orders[2]


def test_the_contract_of_the_json(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN, "ok.py": "x = 1\n"})

    result = made.check()

    assert result.code == 1
    report = result.json
    assert (report["schema"], report["root"], report["exit_code"]) == (1, ".", 1)
    (target,) = report["targets"]
    assert target["python"] == "3.11"
    assert target["found_in"] == "Dockerfile:1"
    assert (target["engine"], target["proof"], target["files"], target["cached"]) == ("interpreter", "compiled", 2, 0)
    assert target["interpreter"].startswith("CPython 3.11.")
    assert target["image"] == "python:3.11-slim"
    one = next(one for one in report["diagnostics"] if one["code"] == "BG101")
    assert one["path"] == "bad.py"
    assert (one["severity"], one["line"], one["target"], one["engine"]) == ("error", 1, "3.11", "interpreter")
    assert one["message"] == "SyntaxError: expected '('"
    assert one["fixable"] is False
    summary = report["summary"]
    assert (summary["files"], summary["errors"], summary["unproven"]) == (2, 1, 0)


def test_clean(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "ok.py": "x = 1\n"})

    result = made.run("check")

    assert result.code == 0
    assert "compiled by CPython 3.11." in result.out
    assert result.out.splitlines()[-1].startswith("clean: 1 file compiled")
    assert result.err == ""


def test_tracked_and_untracked_but_not_ignored(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, ".gitignore": "ignored/\n", "deleted.py": BROKEN_BEFORE_312, "kept.py": ""})
    made.write({"untracked.py": BROKEN_BEFORE_312, "ignored/x.py": BROKEN_BEFORE_312, "x.pyi": "f("})
    (made.path / "deleted.py").unlink()

    report = made.check().json

    assert {one["path"] for one in report["diagnostics"] if one["code"] == "BG101"} == {"untracked.py"}
    assert report["unproven"] == []
    assert report["summary"]["files"] == 2


def test_scripts_are_found_by_their_shebang(repository: Callable[..., Project]) -> None:
    scripts = {
        "run": "#!/usr/bin/env python3\n",
        "bin/tool": "#! /usr/bin/python3.11 -I\n",
        "bin/uv": "#!/usr/bin/env -S uv run --script\n",
        "window.pyw": "",
    }
    others = {"bin/sh": "#!/bin/sh\n", "two": "#!/usr/bin/python2\n", "py": "python\n", "x.sh": "#!/usr/bin/python3\n"}
    made = repository({**_DOCKERFILE, **{k: v + "f(\n" for k, v in scripts.items()}, **others})
    made.write({"untracked": "#!/usr/bin/python3\nf(\n", "exec.cgi": "#!/usr/bin/python3\nf(\n"})
    (made.path / "exec.cgi").chmod(0o755)

    found = {path for path, codes in made.check().codes().items() if "BG101" in codes}

    assert found == {*scripts, "untracked", "exec.cgi"}
    assert {path for path, codes in made.check("index:").codes().items() if "BG101" in codes} == set(scripts)


def test_staged_judges_the_index_and_not_the_worktree(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "b.py": "y = 1\n"})
    assert made.run("check", "--staged").code == 0

    made.write({"a.py": BROKEN_BEFORE_312})
    made.git("add", "a.py")
    made.write({"a.py": "x = 2\n", "b.py": BROKEN_BEFORE_312})

    assert {path for path in made.check("--staged").codes() if path} == {"a.py"}
    assert made.check("--staged", "b.py").code == 0
    assert {path for path in made.check("index:").codes() if path} == {"a.py"}
    assert {path for path in made.check("--staged", "a.py", "README").codes() if path} == {"a.py"}


def test_a_repair_that_is_not_staged_is_a_note(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n"})
    made.write({"a.py": "x = {'a': 1}\nprint(f'{x['a']}')\n"})
    made.git("add", "a.py")
    assert "since they were staged" not in made.run("check", "--staged").out

    made.run("fix")

    words = "changed since they were staged: a.py; to commit the changes: git add"
    assert made.check("--staged").json["notes"] == [words]
    made.git("add", "a.py")
    assert made.check("--staged").json["notes"] == []


def test_init_and_then_its_hint_make_a_target_known(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n"})
    assert 'add to the top of buildguard.toml:\n    target = ["3.11"]' in made.run("init").out.replace(
        "\n      ", "\n    "
    )

    file = made.path / "buildguard.toml"
    file.write_text(f'target = ["3.11"]\n{file.read_text()}')

    assert made.run("check").code == 0


def test_staged_with_nothing_to_check_says_so(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN})
    made.write({"docs.md": "words\n"})
    made.git("add", "--all")

    result = made.run("check", "--staged")

    assert (result.code, result.out) == (0, "nothing to check: no Python source is staged\n")


@pytest.mark.parametrize(
    ("setting", "key"),
    [('include = ["nope/*"]', "include"), ('exclude = ["**"]', "exclude"), ('exclude = ["old"]', "")],
)
def test_a_configuration_that_leaves_no_source_is_named(
    repository: Callable[..., Project], setting: str, key: str
) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "pyproject.toml": f"[tool.buildguard]\n{setting}\n"})
    if not key:
        made.git("rm", "-q", "a.py")
    words = (
        f"pyproject.toml leaves out every Python source here (1 file): change its {key}" if key else "cd to the project"
    )

    for command in (("check",), ("check", "commit:HEAD"), ("fix",), ("doctor", "--fix"))[: 4 if key else 1]:
        assert words in made.run(*command).out, command


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("commit:HEAD",), "--staged and 'commit:HEAD' cannot be combined\nhint: buildguard check commit:HEAD"),
        (("index:",), "--staged and 'index:' cannot be combined"),
        (("nofile.py",), "'nofile.py' not found"),
        (("docs.md", "ol.py"), "'ol.py' not found\nhint: did you mean 'old.py'?"),
    ],
)
def test_staged_refuses_what_is_nowhere(repository: Callable[..., Project], given: tuple[str, ...], words: str) -> None:
    made = repository({**_DOCKERFILE, "old.py": "x = 1\n", "docs.md": ""})

    result = made.run("check", "--staged", *given)

    assert (result.code, words in result.err) == (2, True), result.err


def test_staged_takes_what_is_not_on_disk(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "gone/b.py": "x = 1\n"})
    made.git("rm", "-q", "-r", "gone")

    assert made.run("check", "--staged", "gone").code == made.run("check", "--staged", "gone/b.py").code == 0
    made.write({"c.py": BROKEN_BEFORE_312})
    made.git("add", "--all")
    (made.path / "c.py").unlink()
    assert made.check("--staged", "c.py").codes() == {"c.py": ["BG101"]}


def test_a_lone_staged_file_that_the_start_runs(repository: Callable[..., Project]) -> None:
    dockerfile = 'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "start"]\n'
    made = repository({"Dockerfile": dockerfile, "start": "x = 1\n", "ok.py": ""})
    made.write({"start": BROKEN_BEFORE_312})
    made.git("add", "start")

    result = made.check("--staged")

    assert result.code == 3
    assert [(item["path"], item["reason"].partition(",")[0]) for item in result.json["unproven"]] == [
        ("start", "the start command runs it with Python")
    ]


def test_a_lone_staged_script_of_the_start(repository: Callable[..., Project]) -> None:
    dockerfile = 'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["./run.sh"]\n'
    made = repository({"Dockerfile": dockerfile, "run.sh": "#!/bin/sh\nexec python ok.py\n", "ok.py": ""})
    (made.path / "run.sh").chmod(0o755)
    made.commit()
    made.write({"run.sh": "#!/bin/sh\nexec python gone.py\n"})
    made.git("add", "run.sh")

    assert made.check("--staged").codes() == {"run.sh": ["BG701"]}


def test_a_deleted_file_that_the_image_needs(repository: Callable[..., Project]) -> None:
    dockerfile = 'FROM python:3.11-slim\nCOPY run.sh ok.py ./\nENTRYPOINT ["./run.sh"]\n'
    made = repository({"Dockerfile": dockerfile, "run.sh": "#!/bin/sh\nexec python ok.py\n", "ok.py": ""})
    made.git("rm", "-q", "run.sh")

    assert "BG703" in made.check("--staged").codes()["Dockerfile"]


@pytest.mark.parametrize(
    ("gone", "codes"),
    [
        ("main.py", {"Dockerfile": ["BG701"]}),
        ("app/used.py", {"main.py": ["BG604"]}),
        ("needed.txt", {"Dockerfile": ["BG703"]}),
    ],
)
def test_what_is_deleted_and_not_staged_is_in_no_build_of_the_folder(
    repository: Callable[..., Project], gone: str, codes: dict[str, list[str]]
) -> None:
    dockerfile = 'FROM python:3.11-slim\nCOPY needed.txt ./\nCOPY . .\nCMD ["python", "main.py"]\n'
    files = {"Dockerfile": dockerfile, "needed.txt": "", "main.py": "import app.used\n", "app/__init__.py": ""}
    made = repository({**files, "app/used.py": ""})
    (made.path / gone).unlink()

    assert made.check().codes() == codes
    assert made.check("commit:HEAD").codes() == {}
    made.git("update-index", "--skip-worktree", gone)  # as a sparse checkout has it: a build of the commit has the file
    assert made.check().codes() != codes


def test_what_is_only_announced_is_in_no_commit(repository: Callable[..., Project]) -> None:
    started = {"Dockerfile": 'FROM python:3.11-slim\nCOPY . .\nCMD ["python", "main.py"]\n'}
    made = repository({**started, "app/__init__.py": "", "main.py": ""})
    made.write({"main.py": "from app.later import x\n", "app/later.py": "x = 1\n"})
    made.git("add", "--intent-to-add", "app/later.py")
    assert made.run("check", "--staged").out == "nothing to check: no Python source is staged\n"

    made.git("add", "main.py")

    assert made.check("--staged").codes() == {"main.py": ["BG604"]}
    assert made.check("index:").codes() == {"main.py": ["BG604"]}
    made.git("add", "app/later.py")
    assert made.check("--staged").code == 0


def test_a_conflict_in_the_index_is_unproven(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n"})
    made.git("checkout", "-q", "-b", "theirs")
    made.commit({"a.py": "x = 2\n"})
    made.git("checkout", "-q", "main")
    made.commit({"a.py": BROKEN_BEFORE_312})
    with contextlib.suppress(AssertionError):
        made.git("merge", "theirs")

    for arguments in (("--staged",), ("index:",)):
        result = made.check(*arguments)
        assert result.code == 3
        assert [item["reason"] for item in result.json["unproven"]] == ["it is in conflict in index:"]


def test_a_staged_target_judges_the_whole_index(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.12\n", **_BROKEN})
    made.write(_DOCKERFILE)
    assert made.run("check", "--staged").code == 0
    made.git("add", "Dockerfile")
    made.write({"Dockerfile": "FROM python:3.12\n"})

    assert {path for path in made.check("--staged").codes() if path} == {"bad.py"}
    assert {path for path in made.check("--staged", "Dockerfile").codes() if path} == {"bad.py"}


def test_a_first_commit(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, **_BROKEN})
    made.git("init", "--quiet")
    made.git("add", "--all")

    assert made.run("check", "--staged").code == 1
    assert made.run("check").code == 1


def test_a_commit_is_read_without_checking_it_out(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN})
    made.commit({"bad.py": "x = 1\n"})

    assert made.run("check", "commit:HEAD").code == 0
    assert made.run("check", "commit:HEAD~1").code == 1
    assert made.git("status", "--porcelain") == ""
    assert made.run("check", "commit:nonsense").code == 2
    assert made.run("check", "commit:--all").code == 2


def test_paths(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a/x.py": BROKEN_BEFORE_312, "b/y.py": "y = 1\n", "ab/z.py": BROKEN_BEFORE_312})

    assert {path for path in made.check("a").codes() if path} == {"a/x.py"}
    assert {path for path in made.check("a/x.py", "ab").codes() if path} == {"a/x.py", "ab/z.py"}
    assert made.check("b").code == 0
    assert {path for path in made.check(".", cwd=made.path / "a").codes() if path} == {"a/x.py"}
    assert made.check("..", cwd=made.path / "a").json["root"] == ".."
    assert made.check("dir:a").code == 1


def test_include_and_exclude(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "src/a.py": "", "gen/b.py": "f(", "docs/c.py": "f("})
    made.write({"buildguard.toml": 'include = ["src", "gen"]\nexclude = ["gen/**"]\n'})

    assert made.check().json["summary"]["files"] == 1
    assert made.check().code == 0
    made.git("add", "--all")
    assert made.check("gen").code == 1  # typed by a person
    assert made.check("--staged", "gen/b.py").code == 0  # passed by a hook


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nowhere.py"], 2, "'nowhere.py' not found"),
        (["ok.py", "/etc/passwd"], 2, "outside"),
        (["docs"], 3, "no Python source in docs"),
        (["--target", "3.99"], 2, "Python 3.99 is newer than every version that buildguard knows"),
        (["--target", "abc"], 2, "'abc' is not a Python"),
        (["--target", "2.7"], 2, "'2.7' is not a Python"),
        (["--engine", "magic"], 2, "unknown engine 'magic'"),
        (["--engine", "cloud"], 3, "no Google credentials found"),
        (["--proof", "image"], 3, "--proof image"),
        (["--select", "E501"], 2, "unknown code"),
        (["--select", "BG9"], 2, "unknown code 'BG9'"),
        (["--ignore", "BG999"], 2, "unknown code 'BG999'"),
        (["--environment", ".venv"], 2, "--environment .venv: folder not found"),
        (["--environment", "docs"], 2, "--environment docs: not a virtual environment"),
        (["--baseline", "known.json"], 2, "baseline known.json: not found"),
        (["tar:x.tgz"], 2, "file 'x.tgz' not found"),
        (["index:", "ok.py"], 2, "check takes one stage"),
        (["--diff-base", "nonsense"], 2, "unknown revision"),
        (["commit:HAED"], 2, "did you mean 'HEAD'?"),
        (["--service", "absent"], 2, "unknown service"),
        (["--jobs", "0"], 2, "--jobs"),
        (["--frobnicate"], 2, "--frobnicate"),
        (["--output", "/nowhere/at/all.json"], 3, "could not be written"),
    ],
)
def test_bad_requests_get_one_clear_line(
    repository: Callable[..., Project], args: list[str], code: int, words: str
) -> None:
    made = repository({**_DOCKERFILE, "ok.py": "", "docs/a.md": ""})

    result = made.run("check", *args)

    assert result.code == code
    assert words in result.out + result.err
    assert "Traceback" not in result.out + result.err


def test_no_sources_are_unproven(project: Callable[..., Project]) -> None:
    result = project({"Dockerfile": "FROM python:3.11\n"}).check()

    assert result.code == 3
    assert result.json["unproven"] == [
        {"path": None, "target": None, "reason": "no Python source here; cd to the project, or name its folder"}
    ]


def test_outside_of_a_repository(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "ok.py": ""})

    assert made.run("check").code == 0
    assert made.run("check", "--staged").code == 2
    assert made.run("check", "index:").code == 2
    assert made.run("check", "--diff-base", "HEAD").code == 2


def test_a_plain_folder_leaves_virtual_environments_out(project: Callable[..., Project]) -> None:
    made = project(
        {**_DOCKERFILE, "a.py": "", ".venv/pyvenv.cfg": "", ".venv/lib/x.py": "f(", "node_modules/y.py": "f("}
    )

    report = made.check().json

    assert report["summary"]["files"] == 1
    assert sorted(report["notes"]) == [
        ".venv: a virtual environment, left out",
        "node_modules: installed packages, left out",
    ]


def test_the_root_of_a_plain_folder(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "app/a.py": ""})

    report = made.check("a.py", cwd=made.path / "app").json

    assert report["root"] == ".."
    assert report["targets"][0]["found_in"] == "Dockerfile:1"


def test_special_files_are_unproven(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "ok.py": ""})
    os.mkfifo(made.path / "fifo.py")
    (made.path / "nowhere.py").symlink_to("gone")
    (made.path / "loop.py").symlink_to("loop.py")
    (made.path / "inside.py").symlink_to("ok.py")
    (made.path / "outside.py").symlink_to(Path(__file__))
    (made.path / "folder").symlink_to("/usr/lib")

    for _ in range(2):
        report = made.check().json
        assert report["exit_code"] == 3
        assert {one["path"]: one["reason"] for one in report["unproven"]} == {
            "fifo.py": "a FIFO, not a file",
            "nowhere.py": "a symbolic link that leads nowhere",
            "loop.py": "a symbolic link that leads in a circle",
            "outside.py": "a symbolic link out of the root, not followed",
        }
        assert report["notes"] == ["folder: a symbolic link out of the root, not followed"]
        assert report["summary"]["files"] == 6


def test_a_device_among_the_sources(project: Callable[..., Project]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    made = project({**_DOCKERFILE, "ok.py": ""})
    os.mknod(made.path / "zero.py", 0o666 | 0o020000, os.makedev(1, 5))

    assert made.check().json["unproven"][0]["reason"] == "a device, not a file"


def test_a_tracked_folder_that_became_a_link_is_not_followed(
    repository: Callable[..., Project], tmp_path: Path
) -> None:
    made = repository({**_DOCKERFILE, "pkg/a.py": "x = 1\n", "ok.py": ""})
    (made.path / "pkg" / "a.py").unlink()
    (made.path / "pkg").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.py").write_text("x = 1\n")
    (made.path / "pkg").symlink_to(tmp_path / "elsewhere")

    report = made.check().json

    assert report["exit_code"] == 3
    assert [(one["path"], one["reason"]) for one in report["unproven"]] == [
        ("pkg/a.py", "lies behind a symbolic link that leaves the root")
    ]


def test_a_file_that_became_a_link_is_read_as_one(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "b.py": BROKEN_BEFORE_312, "LICENSE": ""})
    for name, leads in (("a.py", "b.py"), ("LICENSE", "b.py")):
        (made.path / name).unlink()
        (made.path / name).symlink_to(leads)

    result = made.check()

    assert {path for path, codes in result.codes().items() if "BG101" in codes} == {"a.py", "b.py"}
    assert result.json["unproven"] == []


def test_a_script_that_cannot_be_read_is_unproven(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is Python at all is unknown, and that is no reason to pass it over."""
    made = project({**_DOCKERFILE, "ok.py": "", "run": "#!/usr/bin/env python3\n", "notes": "words\n"})
    real = os.open

    def closed(path: bytes, flags: int) -> int:
        if path.endswith(b"/run"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", closed)
    stage = FolderStage(made.path)

    chosen = choose(stage, SourceSelection()).sources

    assert [entry.path for entry in chosen] == [b"ok.py", b"run"]
    assert [content for _entry, content in stage.contents(chosen)][1] == UnreadableFile(
        "cannot be read: Permission denied"
    )


def test_links_of_a_commit(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "lib/real.py": BROKEN_BEFORE_312})
    (made.path / "link.py").symlink_to("lib/real.py")
    (made.path / "out.py").symlink_to("/etc/passwd")
    (made.path / "up.py").symlink_to("../../x.py")
    (made.path / "loop.py").symlink_to("loop.py")
    made.commit()

    result = made.check("commit:HEAD")

    assert {path for path, codes in result.codes().items() if "BG101" in codes} == {"lib/real.py", "link.py"}
    assert {one["path"] for one in result.json["unproven"]} == {"out.py", "up.py", "loop.py"}


def test_unusual_paths(repository: Callable[..., Project]) -> None:
    made = repository(_DOCKERFILE)
    names = [
        b"caf\xe9.py",
        b"a b.py",
        b"new\nline.py",
        b"-dash.py",
        "ünï.py".encode(),
        b"quote'\".py",
        b"esc\x1b[0m.py",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(made.path) + b"/" + name)).write_text("f(\n")
    expected = {name.decode("utf-8", "backslashreplace") for name in names}

    assert {path for path in made.check().codes() if path} == expected
    text = made.run("check", "--all").out
    assert "\x1b" not in text
    assert "new\\nline.py" in text
    made.commit()
    assert {path for path in made.check("commit:HEAD").codes() if path} == expected
    assert {path for path in made.check("--", "-dash.py").codes() if path} == {"-dash.py"}


def test_submodules_are_entered_when_checked_out(repository: Callable[..., Project], tmp_path: Path) -> None:
    inner = Project(tmp_path / "inner")
    inner.path.mkdir()
    inner.commit({"lib.py": BROKEN_BEFORE_312})
    made = repository({**_DOCKERFILE, "ok.py": ""})
    allow = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    made.git("submodule", "--quiet", "add", str(inner.path), "vendor/inner", env=allow)
    made.commit()

    for stage in ([], ["index:"], ["commit:HEAD"]):
        assert {path for path, codes in made.check(*stage).codes().items() if "BG101" in codes} == {
            "vendor/inner/lib.py"
        }

    made.git("submodule", "--quiet", "deinit", "--force", "--all")
    for stage in ([], ["index:"], ["commit:HEAD"]):
        report = made.check(*stage).json
        assert report["notes"] == ["vendor/inner: a submodule that is not checked out"]
        assert report["diagnostics"] == []


def test_a_merge_in_conflict(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n"})
    made.git("checkout", "--quiet", "-b", "topic")
    made.commit({"a.py": "x = 2\n"})
    made.git("checkout", "--quiet", "main")
    made.commit({"a.py": "x = 3\n"})
    subprocess.run(["git", "merge", "topic"], cwd=made.path, capture_output=True, check=False)

    assert sorted(made.check().codes()["a.py"]) == ["BG101", "BG106"]


def test_a_big_file(project: Callable[..., Project]) -> None:
    made = project(_DOCKERFILE)
    with (made.path / "big.py").open("wb") as file:  # larger than any content that is kept
        file.write(b"x = '" + b"y" * 70_000_000 + b"'\nf(\n")

    result = made.check()

    assert result.code == 1
    assert result.codes()["big.py"] == ["BG101"]
    assert result.json["diagnostics"][0]["line"] == 2


def test_a_file_that_changes_while_it_is_read(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "grows.py": "x = 1\n"})
    code = (
        "import sys, time\n"
        "while True:\n"
        "    with open('grows.py', 'ab') as f: f.write(b'x = 1\\n' * 10)\n"
        "    if f.name and __import__('os').path.getsize('grows.py') > 300_000: open('grows.py', 'wb').close()\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=made.path)
    try:
        for _ in range(3):
            result = made.check()
            assert result.code in {0, 3}
            for one in result.json["unproven"]:
                assert one["reason"] == "changed while it was read"
    finally:
        writer.kill()
        writer.wait()


def test_an_unreadable_folder_is_unproven(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "ok.py": ""})
    made.write({"closed/a.py": ""})
    if os.geteuid() != 0:
        (made.path / "closed").chmod(0)
        unproven = [one["path"] for one in made.check().json["unproven"]]
        (made.path / "closed").chmod(0o755)
        assert unproven == ["closed"]
        return
    # root may read everything, so these are git's words as another user gets them (2.39.5)
    words = "warning: could not open directory 'closed/': Permission denied"
    assert _listed_closed(made.path, words) == [b"closed"]


def _listed_closed(folder: Path, *lines: str) -> list[bytes]:
    """The folders that git cannot open, by what it writes of them."""
    pair = [process.start(["/bin/sh", "-c", 'printf "%s\\n" "$@" >&2', "", *words]) for words in ((), lines)]
    opened = git.repository_of(folder)
    assert opened is not None
    return git.WorktreeListing(pair[0], pair[1], opened.folder).result()[2]


def test_a_closed_folder_is_known_by_its_whole_name(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "it's/a.py": "", "x': y/a.py": ""})
    lines = [
        "warning: could not open directory 'it's/': Permission denied",
        "warning: unable to access 'x': y/.gitignore': Permission denied",
        "warning: could not open directory 'x': y/': Permission denied",
        "warning: could not open directory 'gone/': No such file or directory",
    ]

    assert _listed_closed(made.path, *lines) == [b"it's", b"x': y"]


@pytest.mark.parametrize("name", ["a\nb/': Permission denied", "d/" * 2100])
def test_a_closed_folder_that_git_does_not_name_is_unproven(repository: Callable[..., Project], name: str) -> None:
    made = repository(_DOCKERFILE)

    with pytest.raises(UnprovenError, match="git could not open a folder: "):
        _listed_closed(made.path, f"warning: could not open directory '{name}")


@pytest.mark.parametrize("deep", [1200, 2100])
@pytest.mark.parametrize("with_git", [True, False])
def test_folders_deeper_than_python_calls_functions(
    project: Callable[..., Project], deep: int, *, with_git: bool
) -> None:
    made = project({**_DOCKERFILE, "ok.py": ""})
    if with_git:
        made.git("init", "-q")
    nest(made.path, deep)
    opened = git.repository_of(made.path)
    stage = WorkingTreeStage(made.path, opened) if opened is not None else FolderStage(made.path)
    try:
        if with_git and deep > 2048:
            with pytest.raises(UnprovenError, match="git could not open a folder"):
                choose(stage, SourceSelection())
            return
        chosen = choose(stage, SourceSelection()).sources
        read = [content for _entry, content in stage.contents(chosen)]
    finally:
        flatten(made.path, deep)

    assert len(read) == 2
    assert (read[0] == b"x = (") == (deep < 2048)


def test_a_closed_folder_of_a_plain_tree_is_unproven(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project({**_DOCKERFILE, "ok.py": "", "closed/a.py": ""})
    real = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    stage = FolderStage(made.path)

    assert [entry.path for entry in choose(stage, SourceSelection()).sources] == [b"closed", b"ok.py"]
    assert [content for _entry, content in stage.contents([Entry(RelativePath(b"closed"), EntryKind.OTHER)])] == [
        UnreadableFile("a folder, not a file", special="a folder")
    ]


def test_diff_base_reports_what_changed(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "old.py": BROKEN_BEFORE_312, "new.py": "x = 1\n"})
    made.commit({"new.py": BROKEN_BEFORE_312})
    made.write({"untracked.py": BROKEN_BEFORE_312})

    result = made.check("--diff-base", "HEAD~1")

    assert {path for path in result.codes() if path} == {"new.py", "untracked.py"}
    assert any("not shown: 1 finding in files" in note for note in result.json["notes"])
    assert {path for path in made.check("--diff-base", "HEAD~1", "commit:HEAD").codes() if path} == {"new.py"}


def test_diff_base_compares_what_git_would_commit(repository: Callable[..., Project]) -> None:
    crlf = BROKEN_BEFORE_312.replace("\n", "\r\n")
    made = repository(
        {
            **_DOCKERFILE,
            ".gitattributes": "win.py text eol=crlf\nodd.py filter=odd\n",
            "win.py": crlf,
            "same.py": BROKEN_BEFORE_312,
        }
    )
    made.commit({"mode.py": BROKEN_BEFORE_312, "odd.py": BROKEN_BEFORE_312})
    made.git("config", "filter.odd.clean", "sed s/row/line/")
    (made.path / "mode.py").chmod(0o755)
    (made.path / "same.py").touch()

    result = made.check("--diff-base", "HEAD")

    assert {path for path in result.codes() if path} == {"mode.py"}
    assert any("not shown: 3 findings" in note for note in result.json["notes"])


def test_diff_base_looks_into_submodules(repository: Callable[..., Project], tmp_path: Path) -> None:
    inner = Project(tmp_path / "inner")
    inner.path.mkdir()
    inner.commit({"old.py": BROKEN_BEFORE_312, "edited.py": "x = 1\n"})
    made = repository(_DOCKERFILE)
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub")
    made.commit()
    made.write({"sub/edited.py": BROKEN_BEFORE_312})

    result = made.check("--diff-base", "HEAD")

    assert {path for path in result.codes() if path} == {"sub/edited.py"}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("Dockerfile", "FROM python:3.10\n", "the target changed"),
        ("buildguard.toml", 'ignore = ["BG403"]\n', "the configuration changed"),
    ],
)
def test_diff_base_reports_everything_when_the_ground_moved(
    repository: Callable[..., Project], file: str, content: str, words: str
) -> None:
    made = repository({**_DOCKERFILE, "old.py": BROKEN_BEFORE_312})
    made.commit({file: content})

    result = made.check("--diff-base", "HEAD~1")

    assert {path for path in result.codes() if path} == {"old.py"}
    assert any(words in note for note in result.json["notes"])


def test_diff_base_notices_another_interpreter(repository: Callable[..., Project]) -> None:
    from buildguard.system.cache import Cache, context_of

    made = repository({**_DOCKERFILE, "old.py": BROKEN_BEFORE_312})
    first = made.git("rev-parse", "HEAD").strip()
    made.commit({"new.py": ""})
    assert made.check("--diff-base", first).code == 0
    cache = Cache(Path(os.environ["BUILDGUARD_CACHE_DIR"]))
    key = context_of("interpreter seen", str(made.path), "3.11", first)
    cache.store(key, {b"interpreter": b"CPython 3.11.0"})
    cache.close()

    result = made.check("--diff-base", first)

    assert result.code == 1
    assert any("it was CPython 3.11.0" in note for note in result.json["notes"])


def test_what_cannot_be_ignored_stands(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN})
    made.write({"buildguard.toml": 'ignore = ["BG1"]\nper-file-ignores = { "*.py" = ["BG101"] }\n'})

    for args in ([], ["--ignore", "BG101"], ["--select", "BG4"]):
        result = made.check(*args)
        assert result.codes()["bad.py"] == ["BG101"]
    assert "BG1 cannot be ignored: it stands" in made.check().json["notes"]


def test_per_file_ignores(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "ok.py": "", ".python-version": "3.12\n"})
    assert made.check().codes() == {".python-version": ["BG401"]}
    made.write({"buildguard.toml": 'per-file-ignores = { ".python-*" = ["BG401"] }\n'})

    assert made.check().codes() == {}


def test_works_here_breaks_there(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN, "worse.py": "f(\n", ".python-version": "3.12\n"})

    (one,) = (one for one in made.check().json["diagnostics"] if one["code"] == "BG403")

    assert (one["path"], one["line"], one["severity"]) == (None, None, "warning")
    assert "python3 is 3.12" in one["message"]
    assert "accepts 1 file that Python 3.11 rejects" in one["message"]


def test_the_moving_target_is_named(repository: Callable[..., Project]) -> None:
    """Of the files that the start surely executes; not of those that it does not import, or that no COPY brings."""
    dockerfile = 'FROM python:3.11-slim\nWORKDIR /app\nCOPY app app\nCMD ["python", "-m", "app.main"]\n'
    broken = {"app/a.py": BROKEN_BEFORE_312, "app/b.py": BROKEN_BEFORE_312, "app/c.py": "f(\n"}
    made = repository({"Dockerfile": dockerfile, "app/main.py": "import app.a\nimport app.b\nimport app.c\n", **broken})

    for _ in range(2):  # the second time from the cache
        assert "these 3 files fail 3 deploys in a row" in made.run("check").out
    assert made.check().json["summary"]["rejected_files"] == 3
    made.write({"app/main.py": "import app.a\nimport app.b\n", "tests/test_a.py": "f(\n"})
    assert "the 2 of these 4 files that the start executes fail 2 deploys in a row" in made.run("check").out
    made.write({"app/main.py": "import app.a\n"})
    last = "4 files do not compile; the start command is known to execute 1 of them (app/a.py)"
    assert last in made.run("check").out
    made.write({"app/main.py": "def f():\n    import app.a\n"})
    assert "4 files do not compile; the start command is known to execute none of them" in made.run("check").out


def test_warnings_do_not_fail_without_strict(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": 'x = "\\d"\n'})

    assert made.check().codes() == {"a.py": ["BG105"]}
    assert made.check().code == 0
    assert made.check("--strict").code == 1


def test_warnings_that_never_become_errors_are_not_reported(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1 is 1\nassert (1, 'a')\n"})

    assert made.check().codes() == {}


def test_a_patch_release_that_is_not_here_is_stood_in_for(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11.99\n", "a.py": ""})

    report = made.check().json

    assert report["exit_code"] == 0
    assert report["targets"][0]["proof"] == "compiled"
    assert any("stands in for it" in note for note in report["notes"])


def test_columns_count_code_points(project: Callable[..., Project], version: str) -> None:
    made = project({"a.py": "é = 'ü'; return 1\n".encode()})

    (one,) = (one for one in made.check("--target", version).json["diagnostics"] if one["code"] == "BG101")

    assert (one["line"], one["column"]) == (1, 10)


def test_ctrl_c_leaves_nothing_behind(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, **{f"m{n}.py": f"x = {n}\n" * 3000 for n in range(400)}})
    run = subprocess.Popen(
        [sys.executable, "-m", "buildguard", "check", "--output", "report.txt"],
        cwd=made.path,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with _held(run.pid) as probes:
        os.killpg(run.pid, signal.SIGINT)
    _out, err = run.communicate(timeout=300)

    assert run.returncode == 130
    assert err.decode().strip() == "interrupted"
    assert sorted(path.name for path in made.path.iterdir() if not path.name.startswith("m")) == ["Dockerfile"]
    _wait_for_end(probes)  # one that was just being started ends when it has read all that it was sent
    made.write(
        {f"m{n}.py": f"x = {n}\n" for n in range(400)}
    )  # the cache is what it left, and the sources are soon compiled
    assert made.run("check").code == 0


def test_a_ctrl_c_after_the_answer_keeps_its_status(project: Callable[..., Project]) -> None:
    """While Python ends, a signal would have its default meaning again and end the program instead."""
    made = project({"a.py": "def f(:\n"})
    target = f"3.{sys.version_info.minor}"
    program = (
        "import os, sys\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, own=os.getpid()):\n"
        "        kill(own, 2)\n"
        "sys.late = Late()\n"
        "from buildguard.cli.main import main\n"
        f"sys.argv = ['buildguard', 'check', '--target', {target!r}, 'a.py']\n"
        "main()\n"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=made.path, capture_output=True, text=True, check=False)

    assert (done.returncode, "BG101" in done.stdout, done.stderr) == (1, True, "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_killed_it_leaves_nothing_running(project: Callable[..., Project], number: int, status: int) -> None:
    made = project({**_DOCKERFILE, **{f"m{n}.py": f"x = {n}\n" * 3000 for n in range(400)}})
    run = subprocess.Popen(
        [sys.executable, "-m", "buildguard", "check"],
        cwd=made.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with _held(run.pid) as probes:
        run.send_signal(number)

    assert run.wait(120) == status
    _wait_for_end(probes)
    made.write(
        {f"m{n}.py": f"x = {n}\n" for n in range(400)}
    )  # the cache is what it left, and the sources are soon compiled
    assert made.run("check").code == 0


def test_a_bar_shows_on_a_terminal_and_only_there(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, **{f"m{n}.py": f"x = {n}\n" * 6000 for n in range(160)}})
    terminal, side = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "buildguard", "check", "--no-cache"], cwd=made.path, stdout=subprocess.PIPE, stderr=side
    )
    os.close(side)
    shown = b""
    while run.poll() is None or shown == b"":
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:  # EIO: the other side is closed
            break
    out, _err = run.communicate()
    os.close(terminal)

    assert b"compiling" in shown
    assert b"compiling" not in out
    assert made.run("check").err == ""


def _probes_at_work(pid: int) -> list[str]:
    """The probes of a run, as soon as it has both."""
    for _ in range(4800):
        if len(found := _alive(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())) >= 2:
            return found
        time.sleep(0.05)
    pytest.fail("it started no probes")


@contextlib.contextmanager
def _held(pid: int) -> Iterator[list[str]]:
    """The probes of a run that cannot end its work while they stand still."""
    probes = _probes_at_work(pid)
    _signal_each(probes, signal.SIGSTOP)
    yield probes
    _signal_each(probes, signal.SIGCONT)


def _signal_each(probes: list[str], number: signal.Signals) -> None:
    for one in probes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(one), number)


def _wait_for_end(probes: list[str]) -> None:
    until = time.monotonic() + 30
    while _alive(probes):
        assert time.monotonic() < until, "they still run"
        time.sleep(0.02)


def _alive(probes: list[str]) -> list[str]:
    """Which of them still run; one that no one reaped has no command line."""
    found = []
    for one in probes:
        with contextlib.suppress(OSError):
            if b"buildguard-probe" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(one)
    return found


def test_output_goes_to_a_file_whole(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_BROKEN})

    result = made.run("check", "--format", "sarif", "--output", "out.sarif")

    assert (result.code, result.out) == (1, "")
    assert (made.path / "out.sarif").read_text().startswith("{")
    assert (made.path / "out.sarif").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("closed", "code"), [(">&-", 3), (">&- 2>&- <&-", 3), ("2>&-", 0), ("<&-", 0)])
def test_a_closed_stream_is_no_bug_and_a_lost_result_no_success(
    project: Callable[..., Project], closed: str, code: int
) -> None:
    made = project({"a.py": "x = 1\n", "Dockerfile": "FROM python:3.11\n"})

    done = subprocess.run(
        ["sh", "-c", f"'{made.executable}' check --output made.txt && '{made.executable}' check {closed}"],
        cwd=made.path, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == code, done.stderr
    assert b"bug" not in done.stderr
    assert (b"clean" in done.stdout) == (code == 0)


def test_a_closed_or_full_stdout_is_not_a_pass(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "ok.py": ""})
    command = [sys.executable, "-m", "buildguard", "check"]

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=made.path, stdout=full, stderr=subprocess.PIPE, check=False)

    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert b"No space left" in done.stderr
