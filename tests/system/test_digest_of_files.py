"""A context changes with the content of each file that a verdict depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

from buildguard.system.cache import digest_of_files

_PATTERNS = ("a/*", "b/*/*.py")


def test_every_matching_file_counts_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a/x.py", "a/data.json", "a/sub/y.py", "b/c/z.py", "b/z.py", "b/c/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    before = digest_of_files(tmp_path, _PATTERNS)

    for name in ("a/sub/y.py", "b/z.py", "b/c/z.txt"):
        (tmp_path / name).write_text("changed")
    assert digest_of_files(tmp_path, _PATTERNS) == before
    for name in ("a/x.py", "a/data.json", "b/c/z.py"):
        (tmp_path / name).write_text("changed")
        after = digest_of_files(tmp_path, _PATTERNS)
        assert after != before
        before = after
