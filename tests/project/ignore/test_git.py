"""`include` and `exclude` are in gitignore's syntax, and mean what git makes of the same lines.

In two things they do not, and both times more is checked than git would take: a pattern with `!` brings back what is in
an excluded folder, and a character is a character where git counts bytes.
"""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.project.cloudbuild.guard_step import rules
from buildguard.project.sources import matches
from buildguard.remote.source_names import matches_any

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("a", "b", "ab", "a.py", "b.py", "ab.py", "a b", ".a", "A.py", "build", "é")
_PARTS = (*_NAMES, "*", "?.py", "*.py", "a*", "*b*", "[ab].py", "[!a].py", "[a-c]", "\\a", "\\*")


def _pattern(rng: random.Random) -> str:
    parts = [rng.choice(_PARTS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    if rng.random() < 0.3:
        parts.insert(rng.randint(0, len(parts)), "**")
    before, after = rng.choice(["", "", "/", "!", "!/", "# "]), rng.choice(["", "", "/", "  "])
    return before + "/".join(parts) + after


def _files(rng: random.Random) -> list[str]:
    """Paths none of which is the folder of another."""
    found = {"/".join(rng.choice(_NAMES) for _ in range(rng.randint(1, 4))) for _ in range(40)}
    return sorted(path for path in found if not any(other.startswith(f"{path}/") for other in found))


@pytest.mark.interpreters
@pytest.mark.parametrize("seed", range(4))
def test_patterns_mean_what_they_mean_to_git(tmp_path: Path, seed: int) -> None:
    """Three hundred files of ignored patterns, each with forty paths."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    rng = random.Random(seed)
    told = 0
    for _ in range(75):
        patterns, paths = [_pattern(rng) for _ in range(rng.randint(1, 4))], _files(rng)
        (tmp_path / ".gitignore").write_text("\n".join(patterns) + "\n", "utf-8")
        words = ["git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "-z", "--stdin"]
        done = subprocess.run(
            words, input="".join(f"{path}\0" for path in paths).encode(), cwd=tmp_path, capture_output=True, check=False
        )
        expected = set(done.stdout.decode().split("\0")) - {""}
        told += len(expected)

        ours = {path for path in paths if matches(patterns, path)}
        assert ours <= expected, patterns
        if not any(one.startswith("!") for one in patterns):
            assert ours == expected, patterns
        pairs = list(rules(patterns))
        assert {path for path in paths if matches_any(pairs, path)} == ours, patterns
    assert told > 100


def test_a_folder_at_any_depth_is_no_file() -> None:
    """What the test above found: `app/**/` left out the files of `app` itself."""
    for patterns in (["app/**/"], ["app/**/  "]):
        assert not matches(patterns, "app/main.py")
        assert matches(patterns, "app/gen/main.py")
        assert matches(patterns, "app/gen/deep/main.py")
