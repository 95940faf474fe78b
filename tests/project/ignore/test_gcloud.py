"""gcloud's ignore rules: its own answers, kept with version and command, and asked for again where gcloud is installed.

`python -m tests.project.ignore.test_gcloud` writes `gcloud.json` again, with the gcloud on PATH.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from buildguard.compare import diff
from buildguard.errors import UnprovenError
from buildguard.project.ignore import gcloud
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.compare.damage import git, write
from tests.conftest import sample

_ANSWERS = Path(__file__).with_name("gcloud.json")
ASK = Path(__file__).with_name("ask_gcloud.py")
_COMMON = (
    "app/main.py",
    "app/build/lib/a.py",
    "src/build/lib/b.py",
    "a/b/build/m.py",
    "build/x.py",
    "docs/b.txt",
    "x.log",
)
# ignore files and the paths of a commit; each holds a trap in which gcloud is not git
TRAPS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "no ignore file": ({}, _COMMON),
    "gitignore": ({".gitignore": "*.log\n"}, _COMMON),
    "a slash in the middle": ({".gitignore": "build/lib\n"}, _COMMON),
    "a star and a folder": ({".gitignore": "*/build/\n"}, _COMMON),
    "a star and a name": ({".gitignore": "*/build\n"}, _COMMON),
    "two stars": ({".gitignore": "**/lib\ndocs/**\n"}, _COMMON),
    "anchored": ({".gitignore": "/build\n/x.log\n"}, _COMMON),
    "a file below": ({".gitignore": "foo/bar.py\na/*/b.py\n"}, ("x/foo/bar.py", "foo/bar.py", "z/a/x/b.py", "a/x/b.py")),
    "text of a folder": ({".gitignore": "docs/*.txt\n"}, ("docs/b.txt", "sub/docs/b.txt", "docs/c.md")),
    "escapes": ({".gitignore": "a\\*b\n\\#x\n\\!y\nz\\ \n"}, ("axb", "a*b", "#x", "!y", "z ", "z")),
    "sets": ({".gitignore": "[^a].py\n[!x].txt\n[[:digit:]].c\n"}, ("a.py", "b.py", "^.py", "x.txt", "y.txt", "1.c", ":.c")),
    "open brackets": ({".gitignore": "a[\nb[c\n"}, ("a[", "b[c", "a", "bc")),
    "a byte order mark": ({".gitignore": "\ufeff*.log\n"}, ("x.log", "\ufeffy.log")),
    "line breaks of Python": ({".gitignore": "x\x0cy\na\x85b\n"}, ("x", "y", "a\x85b", "a", "b")),
    "carriage returns": ({".gitignore": "*.log\r\nbuild/\r\n"}, _COMMON),
    "blanks at the end": ({".gitignore": "x.log  \nbuild   \n"}, _COMMON),
    "included again": ({".gitignore": "*.log\n!keep.log\n"}, ("x.log", "keep.log", "d/keep.log")),
    "not below a folder": ({".gitignore": "build/\n!build/x.py\n"}, _COMMON),
    "a nested gitignore": ({".gitignore": "*.log\n", "app/.gitignore": "*\n"}, _COMMON),
    "gcloudignore": ({".gcloudignore": "docs\n", ".gitignore": "*.log\n"}, _COMMON),
    "an empty gcloudignore": ({".gcloudignore": ""}, _COMMON),
    "it includes": ({".gcloudignore": "#!include:.gitignore\ndocs\n", ".gitignore": "*.log\n"}, _COMMON),
    "it includes with blanks": ({".gcloudignore": "#  !include:.gitignore\n", ".gitignore": "*.log\n"}, _COMMON),
    "inclusion once": ({".gcloudignore": "#!include:one\n", "one": "#!include:two\n*.log\n", "two": "*.py\n"}, _COMMON),
    "everything but": ({".gcloudignore": "*\n!app\n!app/**\n"}, _COMMON),
    "only folders": ({".gcloudignore": "x.log/\nbuild/\n"}, _COMMON),
    "a star alone": ({".gcloudignore": "*/b.txt\n"}, ("docs/b.txt", "a/docs/b.txt", "b.txt")),
}  # fmt: skip


def _repository(folder: Path, files: dict[str, str], paths: tuple[str, ...]) -> Path:
    repo = folder / "repo"
    repo.mkdir(parents=True)
    git(repo, "init", "--quiet")
    write(repo, {**{path: path.encode() for path in paths}, **{name: text.encode() for name, text in files.items()}})
    git(repo, "add", "--all", "--force")
    git(repo, "commit", "--quiet", "--message", "tree")
    return repo


def sdk() -> tuple[Path, Path] | None:
    """The SDK's folder and the Python that it brings; None where no gcloud is installed."""
    found = shutil.which("gcloud")
    if found is None:
        return None
    root = Path(found).resolve().parents[1]
    bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    return root, bundled if bundled.exists() else Path(sys.executable)


def _asked(repo: Path) -> list[str]:
    found = sdk()
    assert found is not None
    done = subprocess.run(
        [found[1], ASK, found[0], repo, repo.parent / "uploaded.tgz"], capture_output=True, check=True
    )
    names: list[str] = json.loads(done.stdout)
    return [name for name in names if name.rstrip("/").split("/")[0] != ".git"]


def _sent(repo: Path, folder: Path) -> list[str]:
    repository = gits.repository_of(repo)
    assert repository is not None
    out = folder / "sent.tgz"
    pack(commit_of(repository, "HEAD"), out)
    with tarfile.open(out) as tar:
        names = sorted(one.name + ("/" if one.isdir() else "") for one in tar)
    return [name for name in names if not name.startswith(".buildguard/")]


@pytest.mark.interpreters
@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_sent_is_what_gcloud_sends(tmp_path: Path, trap: str) -> None:
    answers = json.loads(_ANSWERS.read_text("utf-8"))
    repo = _repository(tmp_path, *TRAPS[trap])

    assert _sent(repo, tmp_path) == answers["uploads"][trap]


@pytest.mark.interpreters
@pytest.mark.skipif(sdk() is None, reason="gcloud is not on PATH: install the Google Cloud SDK to compare again")
@pytest.mark.parametrize("trap", sample(TRAPS, 4))  # its recorded answers to all of them are compared above
def test_gcloud_still_answers_like_that(tmp_path: Path, trap: str) -> None:
    answers = json.loads(_ANSWERS.read_text("utf-8"))

    assert _asked(_repository(tmp_path, *TRAPS[trap])) == answers["uploads"][trap]


@pytest.mark.interpreters
@pytest.mark.skipif(sdk() is None, reason="gcloud is not on PATH: install the Google Cloud SDK to compare again")
def test_what_gcloud_uploads_is_read(tmp_path: Path) -> None:
    repo = _repository(tmp_path, {}, (*_COMMON, "Zürich/ü.py", "n" * 120 + "/" + "m" * 120 + ".py", "odd\\name\n.txt"))
    (repo / "run.sh").write_text("#!/bin/sh\n")
    (repo / "run.sh").chmod(0o755)
    (repo / "link").symlink_to("app/main.py")
    (repo / "linked").symlink_to("app")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "more")
    _asked(repo)

    chain = diff.diff(repo, ["commit:HEAD", "dir:.", f"tar:{tmp_path}/uploaded.tgz"]).chain

    assert [hop.identical for hop in chain.hops] == [True, True]


def test_the_answers_hold_traps() -> None:
    """Where gcloud agreed with git, nothing would be learned."""
    answers = json.loads(_ANSWERS.read_text("utf-8"))["uploads"]

    assert "src/build/lib/b.py" not in answers["a slash in the middle"]
    assert "a/b/build/m.py" not in answers["a star and a folder"]
    assert "app/main.py" in answers["a nested gitignore"]
    assert set(answers) == set(TRAPS)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({".gcloudignore": b"#!include:nothing\n"}, "there is no such file"),
        ({".gcloudignore": b"#!include:a/b\n"}, "same folder"),
        ({".gcloudignore": b"\xff\xfe\n"}, "not UTF-8"),
    ],
)
def test_what_gcloud_fails_on_is_unproven(files: dict[str, bytes], words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        gcloud.GcloudIgnoreRules(files.get, has_git=True)


def test_the_rule_is_named_with_file_and_line() -> None:
    files = {".gcloudignore": b"# first\n\n*.log\n!x.log\n"}
    rules = gcloud.GcloudIgnoreRules(files.get, has_git=True)

    assert str(rules.drops("a/b.log")) == ".gcloudignore:3: *.log"
    assert rules.drops("x.log") is None
    assert (
        str(gcloud.GcloudIgnoreRules(lambda _name: None, has_git=True).drops(".gitignore"))
        == "gcloud's default: .gitignore"
    )
    assert gcloud.GcloudIgnoreRules(lambda _name: None, has_git=False).drops(".gitignore") is None


@pytest.mark.interpreters
@pytest.mark.skipif(sdk() is None, reason="gcloud is not on PATH: install the Google Cloud SDK to compare again")
def test_random_patterns_match_as_gcloud_matches(tmp_path: Path) -> None:
    rng = random.Random(5)
    pieces = (
        "a",
        "b",
        "*",
        "**",
        "/",
        "?",
        "[ab]",
        "[!a]",
        "[^a]",
        "\\*",
        "\\",
        "!",
        "#",
        " ",
        "\\ ",
        ".",
        "foo",
        ".py",
        "é",
    )
    names = ("a", "b", "foo", "a.py", "ab", "a b", "é", "a*b", "foo.py", "#a", "!a")
    cases = []
    for _ in range(3000):
        lines = ["".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(rng.randint(1, 4))]
        path = "/".join(rng.choices(names, k=rng.randint(1, 4)))
        cases.append(("\n".join(lines), path, rng.random() < 0.3))
    script = tmp_path / "ask.py"
    script.write_text(
        "import json, sys, os\n"
        "sys.path[:0] = [os.path.join(sys.argv[1], 'lib'), os.path.join(sys.argv[1], 'lib', 'third_party')]\n"
        "from googlecloudsdk.command_lib.util import gcloudignore\n"
        "cases = json.load(sys.stdin)\n"
        "print(json.dumps([gcloudignore.FileChooser.FromString(t).IsIncluded(p, is_dir=d) for t, p, d in cases]))\n"
    )
    found = sdk()
    assert found is not None
    done = subprocess.run(
        [found[1], script, found[0]], input=json.dumps(cases).encode(), capture_output=True, check=True
    )

    for (text, path, is_folder), included in zip(cases, json.loads(done.stdout), strict=True):
        rules = gcloud.GcloudIgnoreRules({".gcloudignore": text.encode()}.get, has_git=True)
        assert (rules.drops(path, is_folder=is_folder) is None) == included, (text, path, is_folder)


def _write_answers() -> None:
    version = subprocess.run(["gcloud", "version", "--format=json"], capture_output=True, check=True).stdout
    uploads = {}
    for trap, (files, paths) in TRAPS.items():
        with tempfile.TemporaryDirectory() as folder:
            uploads[trap] = _asked(_repository(Path(folder), files, paths))
    answer = {
        "version": f"Google Cloud SDK {json.loads(version)['Google Cloud SDK']}",
        "command": "the snapshot of `gcloud builds submit .`, by tests/project/ignore/ask_gcloud.py",
        "uploads": uploads,
    }
    _ANSWERS.write_text(json.dumps(answer, indent=1, ensure_ascii=True) + os.linesep, "utf-8")


if __name__ == "__main__":
    _write_answers()
