"""`buildguard fix` as a person runs it: what it writes, what it refuses to write, and what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import buildguard
from buildguard.check.write_back import replace
from buildguard.diagnostic import RelativePath
from buildguard.stages.filesystem import FolderStage
from buildguard.stages.stage import Entry, EntryKind
from buildguard.system.pythons import candidates
from tests.conftest import Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DOCKERFILE = {"Dockerfile": "FROM python:3.11\n"}
_BEFORE = "d = {'k': 1}\ns = f'{d['k']}'\n"
_AFTER = "d = {'k': 1}\ns = f'{d[\"k\"]}'\n"
_UNFIXABLE = "s = f'{d['\\n#']=}'\n"


def test_it_writes_what_it_has_proven(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE, "b.py": "x = 1\n", "c/d.py": _BEFORE})

    first, second = made.run("fix"), made.run("fix")

    assert first.code == 0, first.out
    assert (made.path / "a.py").read_text() == (made.path / "c/d.py").read_text() == _AFTER
    assert "a.py: fixed: 1 f-string (line 2)" in first.out
    assert "fixed 2 f-strings in 2 files" in first.out
    assert "compiled by CPython 3.11." in first.out
    (compared,) = re.findall(r"meaning compared by (.*)", first.out)
    releases = re.findall(r"Python (3\.1\d\.\d+)", compared)
    assert releases, compared
    assert len(releases) == len(set(releases)) == compared.count("Python")
    assert second.code == 0
    assert second.out.startswith("nothing to fix in 3 files")
    assert made.check().code == 0


@pytest.mark.one_host
def test_check_tells_and_writes_nothing(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE})

    result = made.run("fix", "--check")

    assert result.code == 1
    assert "a.py: would fix: 1 f-string (line 2)" in result.out
    assert (made.path / "a.py").read_text() == _BEFORE
    made.run("fix")
    assert made.run("fix", "--check").code == 0


_PATCHED: dict[str, str | bytes] = {
    "a.py": _BEFORE,
    "no end.py": _BEFORE.removesuffix("\n"),
    "crlf.py": _BEFORE.replace("\n", "\r\n"),
    "cr.py": _BEFORE.replace("\n", "\r"),
    'quo"te.py': _BEFORE,
    "é/tab\t.py": _BEFORE,
    "bom.py": "\ufeff" + _BEFORE,
    "latin.py": ("# coding: latin-1\nd = {'é': 1}\ns = f'{d['é']}'\n").encode("latin-1"),
    "lift.py": "def f(x):\n\n\treturn f'''{\n  '\\n'.join(x)  # é\n}'''\n",
    "deep/er.py": "# head\n" * 30 + _BEFORE + "# tail\n" * 30 + _BEFORE,
}


@pytest.mark.one_host
def test_a_patch_does_what_fix_does(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, **_PATCHED})

    shown = subprocess.run(
        [made.executable, "fix", "--diff"],
        cwd=made.path,
        env={**os.environ, **made.env},
        capture_output=True,
        check=False,
    )

    assert shown.returncode == 1
    assert shown.stderr.count(b": would fix: ") == len(_PATCHED)
    before = {name: _bytes(content) for name, content in _PATCHED.items()}
    assert _contents(made) == before
    made.write({"the.patch": shown.stdout})
    made.git("apply", "the.patch")
    patched = _contents(made)
    made.write(_PATCHED)
    assert made.run("fix").code == 0
    assert _contents(made) == patched
    assert [name for name in before if patched[name] == before[name]] == []


def _contents(made: Project) -> dict[str, bytes]:
    return {name: (made.path / name).read_bytes() for name in _PATCHED}


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.one_host
def test_mode_and_owner_stay(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "run.py": "#!/usr/bin/env python3\n" + _BEFORE})
    file = made.path / "run.py"
    file.chmod(0o4754)
    if os.geteuid() == 0:
        os.chown(file, 12, 34)
        file.chmod(0o4754)
    before = file.stat()

    assert made.run("fix").code == 0

    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert file.read_text().endswith(_AFTER)
    assert sorted(os.listdir(made.path)) == ["Dockerfile", "run.py"]


@pytest.mark.one_host
def test_a_link_is_never_followed_out_or_replaced(project: Callable[..., Project], tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(_BEFORE)
    made = project({**_DOCKERFILE, "real.py": _BEFORE})
    (made.path / "inside.py").symlink_to("real.py")
    (made.path / "out.py").symlink_to(outside)

    result = made.run("fix")

    assert outside.read_text() == _BEFORE
    assert (made.path / "inside.py").is_symlink()
    assert (made.path / "real.py").read_text() == _AFTER
    assert "out.py: a symbolic link out of the root" in result.out
    assert "inside.py: left" not in result.out
    assert result.code == 3


def test_a_file_that_changed_meanwhile_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"new")
    entry = Entry(RelativePath(b"a.py"), EntryKind.FILE)

    refused = replace(FolderStage(tmp_path), entry, b"old", b"fixed")

    assert "changed meanwhile" in refused
    assert file.read_bytes() == b"new"
    assert replace(FolderStage(tmp_path), entry, b"new", b"fixed") == ""
    assert file.read_bytes() == b"fixed"
    assert os.listdir(tmp_path) == ["a.py"]


@pytest.mark.one_host
def test_a_full_disk_costs_the_repair_and_nothing_else(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "p/a.py": _BEFORE})

    result = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 0; exec "$0" fix', made.executable],
        cwd=made.path,
        capture_output=True,
        check=False,
    )

    assert result.returncode == 1
    assert b"p/a.py: left: it could not be written: File too large" in result.stdout
    assert (made.path / "p/a.py").read_text() == _BEFORE
    assert os.listdir(made.path / "p") == ["a.py"]


@pytest.mark.one_host
def test_what_is_left_says_why_and_what_to_do(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": _UNFIXABLE + "t = f'{d['k']}'\n"})

    result = made.run("fix")

    assert result.code == 1
    assert "a.py:1:5: left: Python versions print the text of a `=` field differently" in result.out
    assert "separate the data from the f-string" in result.out
    assert (made.path / "a.py").read_text() == _UNFIXABLE + "t = f'{d[\"k\"]}'\n"


@pytest.mark.one_host
def test_what_a_field_prints_of_itself_is_left(project: Callable[..., Project]) -> None:
    """The witness here may be 3.13.0, which decodes the text of `=` and so accepts a repair that later versions do not."""
    source = 'a = []\nprint(f"{"\\n".join(a)=}")\n'
    made = project({**_DOCKERFILE, "a.py": source})

    result = made.run("fix")

    assert result.code == 1
    assert (made.path / "a.py").read_text() == source
    assert "if it contains a backslash, # or !=" in result.out


@pytest.mark.one_host
def test_a_file_that_the_target_rejects_anyway_is_left_alone(project: Callable[..., Project]) -> None:
    source = _BEFORE + "def f[T](): pass\n"
    made = project({**_DOCKERFILE, "a.py": source, "b.py": _BEFORE})

    result = made.run("fix")

    assert result.code == 1
    assert (made.path / "a.py").read_text() == source
    assert (made.path / "b.py").read_text() == _AFTER
    assert "Python 3.11 rejects what else is in the file: line 3" in result.out


@pytest.mark.one_host
def test_without_a_python_to_compare_nothing_is_written(project: Callable[..., Project], tmp_path: Path) -> None:
    made = project({**_DOCKERFILE, "a.py": _BEFORE})
    made.env["PATH"] = f"{interpreter('3.11').parent}:{_git_alone(tmp_path)}"
    made.env["PYENV_ROOT"] = made.env["HOME"] = str(tmp_path / "nothing")

    patch, result = made.run("fix", "--diff"), made.run("fix")

    assert "+s = f'{d[\"k\"]}'" in patch.out
    if sys.version_info >= (3, 12):  # buildguard's own Python can tell
        assert (patch.code, result.code) == (1, 0)
        return
    assert (patch.code, result.code) == (3, 3)
    assert "no Python 3.12 or later on this machine" in result.out
    assert "uv python install 3.13" in result.out
    assert (made.path / "a.py").read_text() == _BEFORE


@pytest.mark.one_host
def test_without_the_target_nothing_is_written(project: Callable[..., Project], tmp_path: Path) -> None:
    made = project({**_DOCKERFILE, "a.py": _BEFORE})
    made.env["PATH"] = f"{interpreter('3.13').parent}:{_git_alone(tmp_path)}"
    made.env["PYENV_ROOT"] = made.env["HOME"] = str(tmp_path / "nothing")

    result = made.run("fix", "--target", "3.9")

    assert result.code == 3
    assert "nothing here compiles for the target: no Python 3.9 on this machine; uv python install 3.9" in result.out
    assert "a.py: not proven, not written: 1 f-string" in result.out
    assert (made.path / "a.py").read_text() == _BEFORE


@pytest.mark.one_host
def test_every_target_must_accept_it(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": _BEFORE, "b.py": "s = f'{x:{y:{z}}}'\n"})

    result = made.run("fix", "--target", "3.13", "--target", "3.8")

    assert result.code == 0
    assert made.check("--target", "3.8").code == made.check("--target", "3.13").code == 0
    assert "compiled by CPython 3.13" in result.out
    assert "compiled by CPython 3.8" in result.out


@pytest.mark.one_host
def test_a_new_target_has_nothing_to_fix(project: Callable[..., Project]) -> None:
    made = project({"a.py": _BEFORE})

    assert made.run("fix", "--target", "3.12").code == 0
    assert (made.path / "a.py").read_text() == _BEFORE


@pytest.mark.one_host
def test_no_target_and_no_source_are_not_clean(project: Callable[..., Project]) -> None:
    made = project({"a.py": _BEFORE, "empty/x.txt": ""})

    assert made.run("fix").code == 2
    assert made.run("fix", "--target", "3.11", "empty").code == 3
    assert made.run("fix", "--target", "3.11", "nowhere").code == 2


@pytest.mark.one_host
def test_what_cannot_be_read_is_not_clean(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "a.py": b"s = f'{d['k']}'  # \xff\n"})

    result = made.run("fix")

    assert result.code == 3
    assert "unproven: a.py: its bytes cannot be decoded" in result.out


@pytest.mark.one_host
def test_what_no_engine_answers_is_not_clean(project: Callable[..., Project], tmp_path: Path) -> None:
    made = project({"a.py": "x = 1\n", "buildguard.toml": 'target = ["3.11"]\nengine = ["interpreter"]\n'})
    made.env["PATH"] = f"{interpreter('3.13').parent}:{_git_alone(tmp_path)}"
    made.env["PYENV_ROOT"] = made.env["HOME"] = str(tmp_path / "nothing")

    result = made.run("fix", "--target", "3.9")

    assert (result.code, made.check("--target", "3.9").code) == (3, 3)
    assert "no Python 3.9 on this machine" in result.out


@pytest.mark.one_host
def test_check_decides_what_is_fixed(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    made = project({**_DOCKERFILE, "a.py": _BEFORE})
    with monkeypatch.context() as patched:
        patched.setattr("buildguard.check.fix.judge_shares", lambda *_arguments: None)
        assert not buildguard.fix(root=made.path).files
    assert (made.path / "a.py").read_text() == _BEFORE

    assert [file.written for file in buildguard.fix(root=made.path).files] == [True]


@pytest.mark.one_host
def test_deleted_sources_are_not_clean(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE})
    (made.path / "a.py").unlink()

    result = made.run("fix")

    assert result.code == 3
    assert "no Python source here" in result.out


@pytest.mark.one_host
def test_a_stage_of_git_cannot_be_fixed(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE})

    assert made.run("fix", "index:").code == 2


@pytest.mark.one_host
def test_what_is_ignored_is_not_fixed(project: Callable[..., Project]) -> None:
    ignored = "d = {'k': 1}\ns = f'{d['k']}'  # buildguard: ignore[BG201]\n"
    made = project({**_DOCKERFILE, "a.py": ignored, "b.py": _BEFORE, "c.py": _BEFORE})
    made.write({"buildguard.toml": 'per-file-ignores = { "c.py" = ["BG201"] }\n'})

    assert made.run("fix").code == 0
    assert (made.path / "a.py").read_text() == ignored
    assert (made.path / "b.py").read_text() == _AFTER
    assert (made.path / "c.py").read_text() == _BEFORE


@pytest.mark.one_host
def test_a_comment_that_would_become_a_cookie_is_not_moved(project: Callable[..., Project]) -> None:
    source = "s = f'''{\n  x  # coding: latin-1\n}'''\n"
    made = project({**_DOCKERFILE, "a.py": source})

    result = made.run("fix")

    assert result.code == 1
    assert (made.path / "a.py").read_text() == source
    assert "encoding" in result.out


@pytest.mark.one_host
def test_code_that_lists_its_names_is_left_alone(project: Callable[..., Project]) -> None:
    source = "def f(x):\n    s = f\"{'\\n'.join(x)}\"\n    return locals()\n"
    made = project({**_DOCKERFILE, "a.py": source})

    result = made.run("fix")

    assert result.code == 1
    assert "not proven to mean the same: the code around it asks which names there are" in result.out
    assert (made.path / "a.py").read_text() == source


def test_hostile_sources_cost_their_own_repair_only(project: Callable[..., Project]) -> None:
    hostile = "s = f'{" + "(" * 3000 + "d['k']" + ")" * 3000 + "}'\n"
    made = project({**_DOCKERFILE, "a.py": hostile, "b.py": _BEFORE, "c.py": "s = f'{" + "[" * 100_000 + "'\n"})

    result = made.run("fix")

    assert result.code == 1
    assert "a.py: left" in result.out
    assert (made.path / "a.py").read_text() == hostile
    assert (made.path / "b.py").read_text() == _AFTER


def test_the_pre_commit_hook_exists() -> None:
    from tests.conftest import REPOSITORY

    hooks = (REPOSITORY / ".pre-commit-hooks.yaml").read_text()
    assert "- id: buildguard-fix\n" in hooks
    assert "entry: buildguard fix --staged\n" in hooks


@pytest.mark.one_host
@pytest.mark.parametrize("given", [("Makefile",), ("Dockerfile", "Makefile"), ("old/a.py",), ()])
def test_a_hook_passes_over_what_is_no_source(repository: Callable[..., Project], given: tuple[str, ...]) -> None:
    made = repository({**_DOCKERFILE, "b.py": _BEFORE, "pyproject.toml": '[tool.buildguard]\nexclude = ["old"]\n'})
    made.write({"Makefile": "all:\n", "old/a.py": _BEFORE, "Dockerfile": "FROM python:3.11\nCOPY . .\n"})
    made.git("add", "--all")

    by_hook, typed = made.run("fix", "--staged", *given), made.run("fix", "--check", "Makefile")

    assert (by_hook.code, by_hook.out.partition(",")[0]) == (0, "nothing to fix in 0 files")
    assert (made.path / "old/a.py").read_text() == (made.path / "b.py").read_text() == _BEFORE
    assert (typed.code, "no Python source in Makefile" in typed.out) == (3, True)
    assert made.run("fix", "--staged", "nosuch.py").code == 2


@pytest.mark.one_host
def test_it_repairs_what_is_staged(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "b.py": _BEFORE})
    nothing = made.run("fix", "--staged")
    made.write({"a.py": _BEFORE})
    made.git("add", "--all")

    fixed = made.run("fix", "--staged")

    assert (nothing.code, fixed.code) == (0, 0)
    assert "a.py: fixed" in fixed.out
    assert ((made.path / "a.py").read_text(), (made.path / "b.py").read_text()) == (_AFTER, _BEFORE)


@pytest.mark.one_host
def test_nothing_is_staged_outside_of_a_repository(project: Callable[..., Project]) -> None:
    outside = project({**_DOCKERFILE, "a.py": _BEFORE}).run("fix", "--staged")

    assert outside.code == 2
    assert "--staged needs a git repository" in outside.err


def _git_alone(tmp_path: Path) -> Path:
    """A folder with git and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "env"):
        found = subprocess.run(["/bin/sh", "-c", f"command -v {name}"], capture_output=True, check=True, text=True)
        (folder / name).symlink_to(found.stdout.strip())
    return folder


@pytest.mark.one_host
def test_hard_links_lead_to_the_repaired_file(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE, "c.py": _BEFORE})
    for name in ("b.py", "data.txt"):
        os.link(made.path / "a.py", made.path / name)
    outside = made.path.with_name("outside.py")
    os.link(made.path / "c.py", outside)

    result = made.run("fix")

    assert result.code == 0, result.out
    assert {(made.path / name).read_text() for name in ("a.py", "b.py", "c.py", "data.txt")} == {_AFTER}
    assert len({(made.path / name).stat().st_ino for name in ("a.py", "b.py", "data.txt")}) == 1
    assert outside.read_text() == _BEFORE
    assert "c.py: note: 1 hard link outside of the project still has its old content\n" in result.out
    assert made.run("fix").out.startswith("nothing to fix")
    assert not list(made.path.glob(".*buildguard*"))


@pytest.mark.one_host
def test_the_newest_python_is_the_witness(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": _BEFORE})
    newest = next(
        version for version in ("3.15", "3.14", "3.13", "3.12") if next(iter(candidates(version, made.path)), None)
    )

    (compared,) = re.findall(r"meaning compared by (.*)", made.run("fix", "--check").out)

    assert compared.startswith(f"Python {newest}.")


@pytest.mark.one_host
def test_messages_have_the_lines_of_the_users_file(repository: Callable[..., Project]) -> None:
    """A constant that a repair binds before the statement moves everything below it."""
    before = "def f(a):\n    return f'{'\\n'.join(a)}'\n\n\nx = 1\nnonlocal x\n"
    made = repository({**_DOCKERFILE, "a.py": before})

    result = made.run("fix", "--check")

    assert (
        "rejects what else is in the file: line 6: SyntaxError: name 'x' is assigned to before nonlocal" in result.out
    )


@pytest.mark.one_host
@pytest.mark.parametrize(
    ("cookie", "python", "text"),
    [
        ("latin-1-unix", "3.11", "é"),
        ("iso-8859-1-dos", "3.8", "é"),
        ("iso_latin_1-mac", "3.11", "é"),
        ("utf-8-unix", "3.11", "é"),
        ("cp932", "3.9", "鬘"),
    ],
)
def test_a_repair_in_every_encoding_that_the_target_has(
    repository: Callable[..., Project], cookie: str, python: str, text: str
) -> None:
    codec = {"cp932": "cp932", "utf-8-unix": "utf-8"}.get(cookie, "latin-1")
    source = f"# -*- coding: {cookie} -*-\nd = {{'k': '{text}'}}\ns = f'{{d['k']}}{text}'\n".encode(codec)
    made = repository({"Dockerfile": f"FROM python:{python}\n", "a.py": source})

    result = made.run("fix")

    assert result.code == 0, result.out
    assert (made.path / "a.py").read_bytes() == source.replace(b"d['k']", b'd["k"]')
    assert made.check().code == 0


@pytest.mark.one_host
def test_which_codecs_there_are_is_the_targets_matter(repository: Callable[..., Project]) -> None:
    source = "# coding: windows-31j\ns = '鬘'\n".encode("cp932")
    made = repository({"a.py": source})

    assert made.check("--target", "3.13").code == 0
    refused = made.check("--target", "3.12")
    assert (refused.code, set(refused.codes()["a.py"]) - {"BG106"}) == (1, {"BG101"})
    predicted = [
        made.check("--target", f"3.{minor}", "--engine", "static", "--proof", "predicted") for minor in (12, 14)
    ]
    assert [result.code for result in predicted] == [1, 0]
