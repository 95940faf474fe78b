"""The step: the verdicts of `check`, every damaged byte, and no way to pass what was not looked at."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from buildguard.project.cloudbuild import guard_step as step
from buildguard.stages.manifest import CARRIED
from tests.compare import damage
from tests.compare.damage import DAMAGES, Damage, write
from tests.conftest import BROKEN_BEFORE_312, CASES, Project
from tests.engines.test_cases import MEASURED
from tests.remote.running import carry, install, run, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_ERRORS = {"BG101", "BG102", "BG103", "BG106", "BG107"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


# ------------------------------------------------------------------------------------------ verdicts


def test_its_verdicts_are_those_of_check(project: Callable[..., Project], version: str) -> None:
    made = project()
    shutil.copytree(CASES / "syntax", made.path, dirs_exist_ok=True)
    report = made.check("--target", MEASURED[version], "--ignore", "BG2").json
    code = install(made.path)

    ran = run(made.path, code, MEASURED[version])

    errors = [one for one in report["diagnostics"] if one["severity"] == "error"]
    refused = [one for one in errors if one["code"] in {"BG101", "BG103"}]
    fields = ("path", "code", "line", "column", "message")
    found = {tuple(one[key] for key in fields) for one in ran.answer["diagnostics"]}
    assert len(refused) > 40
    assert {one for one in found if one[1] in {"BG101", "BG103"}} == {
        tuple(one[key] for key in fields) for one in refused
    }
    assert {one[0] for one in found} == {one["path"] for one in errors}
    assert ran.answer["unproven"] == []
    assert ran.answer["files"] == report["summary"]["files"]
    assert ran.answer["interpreter"] == report["targets"][0]["interpreter"]
    assert ran.code == 1


def test_what_compilers_let_pass(workspace: Path, version: str) -> None:
    code = install(workspace)
    write(
        workspace,
        {
            "comment.py": b"x = 1  # \xff\n",
            "hidden.py": b"# coding: utf-7\n# +AAo-import os\n",
            "latin.py": b"# coding: latin-1\nx = '\xe9'\n",
            "both.py": b"\xef\xbb\xbf# coding: latin-1\nx = 1\n",
            "fine.py": "x = 'é'\n".encode(),
        },
    )

    ran = run(workspace, code, MEASURED[version])

    assert ran.found("diagnostics") == {"comment.py": "BG102", "hidden.py": "BG106", "both.py": "BG101"}
    assert ran.code == 1


def test_a_clean_workspace(workspace: Path, version: str) -> None:
    code = install(workspace)
    write(workspace, {"a.py": b"x = 1\n", "b/c.pyw": b"y = 1\n", "bin/tool": b"#!/usr/bin/env python3\nz = 1\n"})

    ran = run(workspace, code, MEASURED[version])

    assert ran.code == 0
    assert ran.answer["files"] == 3
    assert ran.answer["identical"] is None
    assert f"clean: Python {MEASURED[version]} compiles all 3 files" in ran.out
    assert "bytes: not compared" in ran.out


def test_findings_are_printed_as_people_read_them(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"app/a.py": b'row = {}\nprint(f"{row["id"]}")\n', "app/b.py": b"def f[T](): pass\n"})

    ran = run(workspace, code)

    assert "app/a.py\n  2:15  BG101 error: SyntaxError: f-string: unmatched '['" in ran.out
    assert 'print(f"{row["id"]}")\n                    ^' in ran.out
    assert "refuses 2 of 2 files: an import stops at the first one" in ran.out


def test_sources_are_chosen_as_check_chooses_them(project: Callable[..., Project]) -> None:
    broken = BROKEN_BEFORE_312.encode()
    made = project(
        {
            "buildguard.toml": 'include = ["src", "*.py", "!src/no.py"]\nexclude = ["templates/**", "!templates/yes.py"]\n'
        }
    )
    write(
        made.path,
        {
            "src/tool": b"#!/usr/bin/python3\n" + broken,
            "src/text": broken,
            "src/no.py": broken,
            "src/run.txt": broken,
            "other/tool": b"#!/usr/bin/python3\n" + broken,
            "a.py": broken,
            "templates/a.py": broken,
            "templates/yes.py": broken,
            "node_modules/x/a.py": broken,
            "env/pyvenv.cfg": b"",
            "env/a.py": broken,
            "__pycache__/a.py": broken,
        },
    )
    os.chmod(made.path / "src/run.txt", 0o755)
    code = install(made.path, ("src", "*.py", "!src/no.py"), ("templates/**", "!templates/yes.py"))

    report = made.check("--target", "3.11")

    ran = run(made.path, code)
    assert {path for path, codes in report.codes().items() if "BG101" in codes} == set(ran.found("diagnostics"))
    assert set(ran.found("diagnostics")) == {"src/tool", "a.py", "templates/yes.py"}


def test_only_some_folders(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {f"{name}/a.py": BROKEN_BEFORE_312.encode() for name in ("one", "two", "one-more")})

    assert set(run(workspace, code, words=["one"]).found("diagnostics")) == {"one/a.py"}
    assert set(run(workspace, code, words=["!one", "!two"]).found("diagnostics")) == {"one-more/a.py"}
    assert run(workspace, code, words=["three"]).code == 3


# ------------------------------------------------------------------------------------------ bytes


@pytest.mark.parametrize("one", DAMAGES, ids=lambda one: one.name.replace(" ", "-"))
def test_every_damage_is_named(workspace: Path, one: Damage) -> None:
    damage.fill(workspace)
    digest = carry(workspace)
    code = install(workspace)
    one.do(workspace)

    ran = run(workspace, code, env={step.VARIABLE: digest})

    assert {path: row["change"] for path, row in _rows(ran.answer).items()} == {
        path: change for path, (change, _cause) in one.expected.items()
    }
    assert ran.code == 1
    assert ran.answer["identical"] is False


def _rows(answer: dict[str, object]) -> dict[str, dict[str, str]]:
    rows = answer["differences"]
    assert isinstance(rows, list)
    return {row["path"].encode().decode("unicode_escape") if "\\x" in row["path"] else row["path"]: row for row in rows}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("crlf", "line-endings"),
        ("lf", "line-endings"),
        ("cr", "line-endings"),
        ("bom", "bom"),
        ("no bom", "bom"),
        ("final newline", "final-newline"),
        ("a newline more", "final-newline"),
        ("moved", "moved"),
        ("link copied", "symlink-replaced"),
        ("executable", "mode"),
        ("edited", "content"),
    ],
)
def test_causes_that_the_digest_alone_can_tell(workspace: Path, name: str, cause: str) -> None:
    damage.fill(workspace)
    digest = carry(workspace)
    code = install(workspace)
    next(one for one in DAMAGES if one.name == name).do(workspace)

    ran = run(workspace, code, env={step.VARIABLE: digest})

    assert {row["cause"] for row in ran.answer["differences"]} == {cause}


def test_what_was_sent_is_identical(tmp_path: Path, version: str) -> None:
    damage.repository(tmp_path / "repo")
    install(tmp_path / "repo")
    damage.git(tmp_path / "repo", "add", "--all")
    damage.git(tmp_path / "repo", "commit", "--quiet", "--message", "step")
    workspace = tmp_path / "workspace"
    digest = unpacked(tmp_path / "repo", workspace)

    ran = run(workspace, step.loader((workspace / step.NAME).read_bytes()), version, {step.VARIABLE: digest})

    assert ran.code == 0, ran.out
    assert ran.answer["identical"] is True
    assert ran.answer["digest"] == digest
    assert "bytes: identical: all " in ran.out


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b"sys.exit(main(", b"sys.exit(0 and main("),
        lambda _data: b"print('all is well')\n",
        lambda _data: None,
    ],
)
def test_another_file_in_the_place_of_the_step_file_is_never_run(
    workspace: Path, change: Callable[[bytes], bytes | None]
) -> None:
    write(workspace, {"a.py": b"x = 1\n"})
    code = install(workspace)
    file = workspace / step.NAME
    data = change(file.read_bytes())
    file.unlink() if data is None else file.write_bytes(data)

    ran = run(workspace, code)

    assert ran.code == 1
    assert ran.answer == {}
    assert step.NAME in ran.out
    assert "well" not in ran.out


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.replace(b"a.py", b"b.py"),
        lambda rows: rows[:-1],
        lambda rows: b"",
        lambda rows: rows + rows,
        lambda rows: None,
    ],
)
def test_a_changed_manifest_proves_nothing(workspace: Path, change: Callable[[bytes], bytes | None]) -> None:
    write(workspace, {"a.py": b"x = 1\n"})
    digest = carry(workspace)
    code = install(workspace)
    file = workspace / os.fsdecode(CARRIED)
    data = change(file.read_bytes())
    file.unlink() if data is None else file.write_bytes(data)

    ran = run(workspace, code, env={step.VARIABLE: digest})

    assert ran.code == 1
    assert ran.answer["identical"] is None
    assert ran.answer["wrong"]
    assert "bytes: not what was sent" in ran.out


@pytest.mark.parametrize("digest", ["", "x", "sha256:", "sha256:" + "0" * 63, "0" * 64, "sha256:" + "0" * 64])
def test_a_wrong_digest(workspace: Path, digest: str) -> None:
    write(workspace, {"a.py": b"x = 1\n"})
    carry(workspace)

    assert run(workspace, install(workspace), env={step.VARIABLE: digest}).code == 1


def test_whatever_else_lies_beside_the_step_file_is_added(workspace: Path) -> None:
    write(workspace, {"a.py": b"x = 1\n"})
    digest = carry(workspace)
    code = install(workspace)
    write(workspace, {".buildguard/sitecustomize.py": b"x = 1\n", ".git/config": b"[core]\n"})

    ran = run(workspace, code, env={step.VARIABLE: digest})

    assert ran.found("differences") == {".buildguard/sitecustomize.py": "BG302", ".git": "BG302"}


# ------------------------------------------------------------------------------------------ unproven, and hostile


def test_nothing_to_look_at_is_not_clean(workspace: Path) -> None:
    code = install(workspace)

    assert run(workspace, code).code == 3
    write(workspace, {"a.txt": b"", "__pycache__/a.py": b""})
    ran = run(workspace, code)
    assert ran.code == 3
    assert "unproven: .: no Python source here" in ran.out
    assert " found no file to compile\n" in ran.out


def test_a_started_file_that_is_no_source_by_its_name_is_unproven(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"a.py": b"x = 1\n", "start": b"x = 1\n", "app.pyz": b"PK"})

    for path in ("start", "app.pyz"):
        ran = run(workspace, code, words=[f"--start=__main__={path}"])
        assert (ran.code, [item["path"] for item in ran.answer["unproven"]]) == (3, [path])

    write(workspace, {"start": b"#!/usr/bin/env python3\nx = 1\n"})
    assert run(workspace, code, words=["--start=__main__=start"]).code == 0
    assert run(workspace, install(workspace, exclude=["app.pyz"]), words=["--start=__main__=app.pyz"]).code == 0


def test_links_that_lead_out_or_nowhere_are_unproven(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"a.py": b"x = 1\n"})
    (workspace.parent / "out.py").write_text("x = 1\n")
    (workspace / "out.py").symlink_to("../out.py")
    (workspace / "gone.py").symlink_to("nowhere.py")
    (workspace / "in.py").symlink_to("a.py")

    ran = run(workspace, code)

    assert ran.code == 3
    assert {one["path"] for one in ran.answer["unproven"]} == {"out.py", "gone.py"}
    assert ran.answer["files"] == 4


def test_what_is_no_file_is_unproven(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"a.py": b"x = 1\n"})
    os.mkfifo(workspace / "pipe.py")

    ran = run(workspace, code)

    assert ran.code == 3
    assert [one["path"] for one in ran.answer["unproven"]] == ["pipe.py"]


def test_a_file_that_kills_the_compiler_costs_no_other_its_verdict(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {f"m{number:03}.py": b"x = 1\n" for number in range(40)})
    write(workspace, {"m010.py": b"x = " + b"a+" * 20000 + b"a\n", "m011.py": b"f(\n", "m039.py": b"f(\n"})

    ran = run(workspace, code)

    assert ran.found("diagnostics") == {"m010.py": "BG103", "m011.py": "BG101", "m039.py": "BG101"}
    assert ran.answer["unproven"] == []


def test_a_child_that_dies_is_tried_alone(workspace: Path) -> None:
    """3.8's compiler overflows its C stack on this: a signal ends the child, twice."""
    code = install(workspace)
    nested = b"x = " + b"lambda: " * 100_000 + b"1\n"
    write(workspace, {"a.py": b"x = 1\n", "b.py": nested, "c.py": b"f(\n"})

    ran = run(workspace, code, "3.8")

    assert ran.found("diagnostics")["c.py"] == "BG101"
    assert ran.found("diagnostics").get("b.py") in {"BG101", "BG103"}
    assert ran.answer["files"] == 3


def test_names_that_a_terminal_would_obey(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"\x1b[31mred.py": b"f(\x1b[2J\n", os.fsdecode(b"\xff.py"): b"f(\n"})

    ran = run(workspace, code)

    assert "\x1b" not in ran.out
    assert {one["path"] for one in ran.answer["diagnostics"]} == {"\x1b[31mred.py", "\\xff.py"}
    assert ran.code == 1


def test_nothing_of_the_workspace_is_imported(workspace: Path) -> None:
    code = install(workspace)
    evil = b"raise SystemExit(0)\n"
    write(workspace, {f"{name}.py": evil for name in ("re", "os", "hashlib", "codecs", "sitecustomize", "resource")})
    write(workspace, {"broken.py": b"f(\n"})

    ran = run(workspace, code, env={"PYTHONPATH": str(workspace), "PYTHONSTARTUP": str(workspace / "re.py")})

    assert ran.code == 1
    assert ran.found("diagnostics") == {"broken.py": "BG101"}


def test_a_long_answer_fits_into_what_cloud_build_keeps(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {f"{'n' * 100}{number}.py": b"f(\n" for number in range(700)})

    ran = run(workspace, code)

    assert ran.code == 1
    assert ran.answer["left_out"] + len(ran.answer["diagnostics"]) == 700
    assert len(ran.answer["diagnostics"]) > 100
    assert "refuses 700 of 700 files" in ran.out


def test_without_a_place_for_the_answer(workspace: Path) -> None:
    code = install(workspace)
    write(workspace, {"a.py": b"x = 1\n"})

    ran = run(workspace, code, env={"BUILDER_OUTPUT": "/nowhere"})

    assert ran.code == 0
    assert "cannot be written" in ran.out
