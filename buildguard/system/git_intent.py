"""The paths that `git add --intent-to-add` put into the index: listed there as empty files, and in no commit."""

from __future__ import annotations

from buildguard.system.git_directory import GitDir

_EMPTY_TREE = {  # by the object format
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_DIFF = ("diff-index", "--cached", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=all", "-z")


def find_intended(folder: GitDir, head: str) -> frozenset[bytes]:
    """Those of the index."""
    tree = head or _EMPTY_TREE[folder.parts.object_format]
    shown = _changes(folder.ask(*_DIFF, tree))
    return frozenset(path for _words, path in shown - _changes(folder.ask(*_DIFF, "--ita-invisible-in-index", tree)))


def _changes(output: bytes) -> set[tuple[bytes, bytes]]:
    words = output.split(b"\0")[:-1]
    return set(zip(words[::2], words[1::2], strict=True))
