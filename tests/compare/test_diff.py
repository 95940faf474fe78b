"""`buildguard diff` and `check tar:` as people and programs meet them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.diagnostic import UnreadableFile
from buildguard.stages.archive import ArchiveStage
from tests.compare.damage import git
from tests.conftest import BROKEN_BEFORE_312

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project, Result

_DOCKERFILE = {"Dockerfile": "FROM python:3.11\nWORKDIR /app\nCOPY . .\n"}


def _diff(made: Project, *args: str) -> Result:
    return made.run("diff", *args)


def _json(made: Project, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = _diff(made, *args, "--format", "json").json
    return found


def test_identical_stages(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n"})

    result = _diff(made, "commit:HEAD", "index:", "dir:.")
    found = _json(made, "commit:HEAD", "index:", ".")

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "identical through 2 hops: 2 entries"
    assert [(hop["from"], hop["to"], hop["identical"]) for hop in found["hops"]] == [
        ("commit:HEAD", "index:", True),
        ("index:", ".", True),
    ]
    digests = {hop[side] for hop in found["hops"] for side in ("from_digest", "to_digest")}
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")
    assert (found["schema"], found["first_changed_hop"], found["exit_code"]) == (1, None, 0)


@pytest.mark.parametrize("stages", [("dir:.", "dir:."), ("dir:.", "commit:HEAD", "dir:."), (".", "dir:.", ".")])
def test_a_working_tree_that_is_named_again(repository: Callable[..., Project], stages: tuple[str, ...]) -> None:
    made = repository({"a.py": "x = 1\n"})

    result = _diff(made, *stages)

    assert result.code == 0
    assert "identical through" in result.out.splitlines()[-1]


def test_the_first_hop_that_changed(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    made.write({"a.py": "x = 1\r\n"})
    made.git("add", "a.py")
    made.write({"b.py": "y = 1"})

    result = _diff(made, "commit:HEAD", "index:", "dir:.")
    found = _json(made, "commit:HEAD", "index:", "dir:.")

    assert result.code == 1
    assert "  a.py  BG303 changed: line-endings — LF became CRLF in 1 lines" in result.out
    assert result.out.splitlines()[-1] == "first changed at hop commit:HEAD → index:: a.py (line-endings)"
    assert found["first_changed_hop"] == 0
    assert [[row["path"] for row in hop["differences"]] for hop in found["hops"]] == [["a.py"], ["b.py"]]
    (row,) = found["hops"][1]["differences"]
    assert {key: row[key] for key in ("path", "change", "cause", "code", "finding")} == {
        "path": "b.py",
        "change": "changed",
        "cause": "final-newline",
        "code": "BG303",
        "finding": True,
    }


def test_a_refused_archive_is_unproven_and_named(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n"})
    made.git("archive", "--output=x.tgz", "HEAD")
    whole = (made.path / "x.tgz").read_bytes()
    (made.path / "x.tgz").write_bytes(whole[:-4])

    result = _diff(made, "commit:HEAD", "x.tgz")
    found = _json(made, "commit:HEAD", "tar:x.tgz")

    assert result.code == 3
    assert "unproven: x.tgz: the archive cannot be trusted: it is cut short" in result.out
    assert (found["exit_code"], found["hops"][0]["identical"], found["hops"][0]["differences"]) == (3, False, [])
    assert found["unproven"][0]["path"] is None


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["commit:HEAD"], 2, "two stages or more"),
        (["commit:HEAD", "commit:nonsense"], 2, "unknown revision"),
        (["commit:HEAD", "nowhere"], 2, "folder 'nowhere' not found"),
        (["commit:HEAD", "README"], 2, "a file is tar:FILE or manifest:FILE"),
        (["commit:HEAD", "tar:nothing.tgz"], 2, "file 'nothing.tgz' not found"),
        (["commit:HEAD", "gs://bucket"], 2, "names no object"),
        (["index:x", "dir:."], 2, "takes nothing after the colon"),
    ],
)
def test_bad_requests(repository: Callable[..., Project], args: list[str], code: int, words: str) -> None:
    result = _diff(repository(), *args)

    assert result.code == code
    assert words in result.err
    assert "Traceback" not in result.err


def test_a_manifest_is_a_stage(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n", "run": "#!/bin/sh\n"})
    (made.path / "run").chmod(0o755)
    made.run("manifest", "--format", "json", "--output", "../m.json")
    made.run("manifest", "--output", "../SUMS")

    assert _diff(made, "dir:.", "manifest:../m.json").code == 0
    sums = _diff(made, "dir:.", "manifest:../SUMS")
    made.write({"a.py": "x = 2\n"})
    changed = _json(made, "manifest:../m.json", "dir:.")

    assert sums.code == 3
    assert "run: executable, which manifest:../SUMS cannot tell" in sums.out
    assert (changed["exit_code"], changed["hops"][0]["differences"][0]["change"]) == (1, "changed")
    assert "the contents are not at hand" in changed["hops"][0]["differences"][0]["evidence"]


def test_what_gcloud_would_drop_is_a_note_unless_it_is_source(repository: Callable[..., Project]) -> None:
    made = repository(
        {**_DOCKERFILE, ".gcloudignore": "docs/\n*.md\n", "docs/a.txt": "a\n", "b.md": "b\n", "docs/conf.py": "x = 1\n"}
    )
    made.git("archive", "--output=../x.tar", "HEAD", "--", ".", ":!docs", ":!b.md")

    found = _json(made, "commit:HEAD", "tar:../x.tar")

    rows = {row["path"]: (row["cause"], row["evidence"], row["finding"]) for row in found["hops"][0]["differences"]}
    # the Dockerfile copies everything, so each of them is missed
    assert rows == {
        "docs/a.txt": ("ignored", "dropped by .gcloudignore:1: docs/", True),
        "docs/conf.py": ("ignored", "dropped by .gcloudignore:1: docs/", True),
        "b.md": ("ignored", "dropped by .gcloudignore:2: *.md", True),
    }
    made.write({".dockerignore": "*.md\n"})  # what docker never gets, the Dockerfile does not copy
    made.commit()
    made.git("archive", "--output=../x.tar", "HEAD", "--", ".", ":!docs", ":!b.md")
    kept = {row["path"]: row["finding"] for row in _json(made, "commit:HEAD", "tar:../x.tar")["hops"][0]["differences"]}
    assert kept == {"docs/a.txt": True, "docs/conf.py": True, "b.md": False}
    made.commit({"Dockerfile": "FROM python:3.11\nCOPY app /app\n"})
    rows = {
        row["path"]: row["finding"] for row in _json(made, "commit:HEAD~1", "tar:../x.tar")["hops"][0]["differences"]
    }
    made.git("archive", "--output=../x.tar", "HEAD", "--", ".", ":!docs", ":!b.md")
    later = {
        row["path"]: row["finding"] for row in _json(made, "commit:HEAD", "tar:../x.tar")["hops"][0]["differences"]
    }
    assert rows["docs/a.txt"]
    assert later == {"docs/a.txt": False, "docs/conf.py": True, "b.md": False}


def test_the_quiet_killers(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            **_DOCKERFILE,
            ".gitignore": "*/build/\n",
            ".dockerignore": "**/secret.py\n",
            "a/b/keep.py": "x = 1\n",
            "app/secret.py": "x = 1\n",
            "run.sh": "#!/bin/sh\r\necho\r\n",
            "Read.txt": "1\n",
            "read.txt": "2\n",
            "large.bin": b"\0" * ((50 << 20) + 1048576),
            "model.dat": "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12\n",
            "twin.txt": "twin\n",
        }
    )
    made.write({"a/b/build/m.py": "x = 1\n", "untracked.py": "x = 1\n"})
    (made.path / "gone").symlink_to("nowhere")
    (made.path / "out").symlink_to("/etc/hostname")
    made.git("add", "--force", "a/b/build/m.py", "gone", "out")
    made.git("commit", "--quiet", "--message", "links")
    (made.path / "run.sh").chmod(0o755)
    (made.path / "other").hardlink_to(made.path / "twin.txt")

    found = _json(made, "commit:HEAD", "dir:.")
    text = _diff(made, "commit:HEAD", "dir:.", "--all").out

    risks = {(one["kind"], one["path"]): one["message"] for one in found["upload"]["warnings"]}
    assert risks["dropped", "a/b/build/m.py"].endswith("gcloud does not send it: .gitignore:1: */build/")
    assert "buildguard does not" in risks["untracked", "untracked.py"]
    assert risks["dockerignore", "app/secret.py"].endswith(".dockerignore:1: **/secret.py")
    assert "it will dangle" in risks["symlink", "gone"]
    assert "/etc/hostname" in risks["symlink", "out"]
    assert "CRLF" in risks["crlf", "run.sh"]
    assert "51 MB" in risks["large", "large.bin"]
    assert "Git LFS pointer" in risks["lfs", "model.dat"]
    assert "executable here, and not in the commit" in risks["mode", "run.sh"]
    assert "hard link" in risks["hard-link", "twin.txt"]
    assert ("collision", "read.txt") in risks
    assert {row["path"] for row in found["upload"]["dropped"]} == {".gitignore", "a/b/build/m.py"}
    assert all(message in text for message in risks.values())


def test_ignore_files_on_which_gcloud_fails_are_told(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x\n", ".gcloudignore": "#!include:nothing\n"})

    result = _diff(made, "commit:HEAD", "dir:.")

    assert (
        "  warning: .gcloudignore:1 includes 'nothing', and gcloud fails on that: there is no such file" in result.out
    )


def test_no_killers_in_a_plain_project(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "link/x": "x"})
    (made.path / "l").symlink_to("a.py")
    (made.path / "m").symlink_to("link")
    made.commit()

    found = _json(made, "commit:HEAD", "dir:.")

    assert found["upload"]["warnings"] == []
    assert (found["upload"]["files"], found["exit_code"]) == (6, 0)


def test_the_output_goes_to_a_file_whole(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n"})

    result = _diff(made, "commit:HEAD", "dir:.", "--output", "../out.txt")

    assert (result.code, result.out) == (0, "")
    assert (made.path.parent / "out.txt").read_text("utf-8").endswith("identical through 1 hop: 2 entries\n")


def test_names_cannot_write_on_the_terminal(repository: Callable[..., Project]) -> None:
    made = repository({"a\x1b[31m.py": "x\n", "a\nb.py": "y\n"})
    made.write({"a\x1b[31m.py": "z\n", "a\nb.py": "\x1b]0;title\x07\n"})

    result = _diff(made, "commit:HEAD", "dir:.")

    assert "\x1b" not in result.out
    assert "\x07" not in result.out
    assert "a\\x1b[31m.py" in result.out
    assert "a\\nb.py" in result.out


# ---------------------------------------------------------------------------------------------- check tar:


@pytest.mark.parametrize("form", ["tar", "tgz", "zip"])
def test_an_archive_is_checked_without_being_unpacked(repository: Callable[..., Project], form: str) -> None:
    made = repository(
        {**_DOCKERFILE, "bad.py": BROKEN_BEFORE_312, "ok.py": "x = 1\n", "tool": "#!/usr/bin/env python3\n"}
    )
    (made.path / "link.py").symlink_to("bad.py")
    (made.path / "tool").chmod(0o755)
    made.commit()
    made.git("archive", f"--output=../x.{form}", "HEAD")
    made.write({"bad.py": "x = 1\n"})

    result = made.check(f"tar:../x.{form}")

    assert result.code == 1
    assert set(result.codes()) == {"bad.py", "link.py"}
    assert result.json["targets"][0]["found_in"] == "Dockerfile:1"
    assert result.json["summary"]["files"] == 4


def test_an_archive_that_cannot_be_trusted_is_not_checked(repository: Callable[..., Project]) -> None:
    made = repository({**_DOCKERFILE, "ok.py": "x = 1\n"})
    made.git("archive", "--output=../x.tgz", "HEAD")
    data = (made.path.parent / "x.tgz").read_bytes()
    (made.path.parent / "x.tgz").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    result = made.check("tar:../x.tgz")

    assert result.code == 3
    assert "checksum or its length is wrong" in result.json["unproven"][0]["reason"]


def test_links_inside_an_archive_stay_inside(project: Callable[..., Project]) -> None:
    made = project({**_DOCKERFILE, "ok.py": "x = 1\n"})
    for name, target in {
        "out.py": "../../etc/passwd",
        "abs.py": "/etc/passwd",
        "loop.py": "loop.py",
        "no.py": "gone.py",
    }.items():
        (made.path / name).symlink_to(target)
    subprocess.run(["tar", "-czf", "../x.tgz", "."], cwd=made.path, check=True)

    result = made.check("tar:../x.tgz")

    reasons = {one["path"]: one["reason"] for one in result.json["unproven"]}
    assert set(reasons) == {"out.py", "abs.py", "loop.py", "no.py"}
    assert "out of the root" in reasons["out.py"]
    assert "circle" in reasons["loop.py"]
    assert result.code == 3


def test_contents_that_were_lost_on_the_way_are_unproven(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits in a file without a name is hashed again before it is judged."""
    made = repository({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    made.git("archive", "--output=../x.tar", "HEAD")
    stage = ArchiveStage("tar:x", made.path.parent / "x.tar", made.path)
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *args: real(*args).replace(b"x = 1", b"x = 2"))

    found: dict[bytes, object] = {entry.path: content for entry, content in stage.contents(stage.entries())}

    assert found[b"a.py"] == UnreadableFile("what was kept of it was lost")
    assert found[b"b.py"] == b"y = 1\n"


def test_a_manifest_cannot_be_checked(project: Callable[..., Project]) -> None:
    result = project({"a.py": ""}).run("check", "manifest:x.json")

    assert result.code == 2
    assert "holds only digests" in result.err


def test_a_linked_worktree_and_a_bare_name(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x = 1\n"})
    git(made.path, "worktree", "add", "--quiet", "../linked")

    assert _diff(made, "commit:HEAD", "../linked").code == 0
