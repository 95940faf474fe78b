"""Clean chains: random trees through git, our archive, tar and a disk, under settings that people really have."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

from buildguard.cli.render.manifest import as_json
from buildguard.compare import diff
from buildguard.compare.manifest import manifest
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.compare import chance
from tests.compare.damage import git, write

if TYPE_CHECKING:
    from pathlib import Path

    from buildguard.compare.chain import Chain

_ATTRIBUTES = (
    b"",
    b"* text=auto\n",
    b"*.py ident\n",
    b"* text=auto eol=crlf\n",
    b"docs export-ignore\nv.txt export-subst\n",
)
_LOCALES = ("C", "C.UTF-8", "POSIX")


def chain(folder: Path, seed: int) -> Chain:
    """One chain from a commit to an unpacked archive and back to a manifest; nothing in it was damaged."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    repo = folder / "repo"
    env = {"LC_ALL": rng.choice(_LOCALES)}
    umask = os.umask(rng.choice((0o022, 0o077, 0o002)))
    try:
        chance.tree(repo, rng)
        write(
            repo,
            {
                ".gitattributes": rng.choice(_ATTRIBUTES),
                "docs/a.txt": b"a\n",
                "v.txt": b"$Format:%H$\n",
                "id.py": b"# $Id$\n",
            },
        )
        git(repo, "init", "--quiet", "--initial-branch=main", env=env)
        git(repo, "config", "core.autocrlf", rng.choice(("false", "true", "input")), env=env)
        git(repo, "config", "core.safecrlf", "false", env=env)
        git(repo, "add", "--all", env=env)
        git(repo, "commit", "--quiet", "--message", "tree", env=env)
        for name in git(repo, "ls-files", "-z").split("\0")[:-1]:
            (repo / name).unlink()
        git(repo, "checkout", "--", ".", env=env)
        if rng.random() < 0.5:
            write(repo, {".git/info/exclude": b"*.log\nbuild/\n", "x.log": b"log\n", "build/lib/a.py": b"built\n"})
        repository = gits.repository_of(repo)
        assert repository is not None
        archive = folder / "sent.tgz"
        pack(commit_of(repository, "HEAD"), archive)
        unpacked = folder / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True, env={**os.environ, **env})
        written = folder / "manifest.json"
        written.write_text(as_json(manifest(folder, f"dir:{unpacked}")), "utf-8")
        stages = ["commit:HEAD", "index:", "dir:.", f"tar:{archive}", f"dir:{unpacked}", f"manifest:{written}"]
        return diff.diff(repo, stages).chain
    finally:
        os.umask(umask)
