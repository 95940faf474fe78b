"""Which files are Python sources, by name, shebang and patterns. Also a part of the step file."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # for those who read types: `typing` takes longer to load than all of this

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIXES = (b".py", b".pyw")
# python, python3, python3.11, python3.13t, pypy3.10, `uv run` and `pipx run`, also behind env; python2 is another interpreter.
_SHEBANG = (
    rb"#![ \t]*\S*(?:/|\benv[ \t]+(?:-\S+[ \t]+)*(?:\S+=\S*[ \t]+)*)(?:python(?:3(?:\.\d+)?t?)?|pypy(?:3(?:\.\d+)?)?"
    rb"|(?:uv|pipx)[ \t]+run)(?:[ \t\r\n]|$)"
)
HEAD = 256  # the bytes of a file that its shebang is looked for in
NO_SOURCE = frozenset({b".git", b".hg", b".svn", b"__pycache__"})
PACKAGES, VIRTUAL = b"node_modules", b"pyvenv.cfg"


def may_be_script(path: bytes, *, executable: bool) -> bool:
    """Whether a file without Python's suffix is looked into: it can be started, or its name has no suffix at all."""
    return executable or b"." not in path.rpartition(b"/")[2]


def has_shebang(head: bytes) -> bool:
    """Whether a file that begins so is started by Python."""
    return head.startswith(b"#!") and re.match(_SHEBANG, head) is not None


def matches_any(rules: Sequence[tuple[str, str]], path: str) -> bool:
    """Whether a path is one that some patterns mean, each given with the regular expression that pathspec makes of it.

    The last one counts that names the path itself; only where none does, the last that names a folder above it.
    """
    is_covered, strength = False, 0
    for pattern, regex in reversed(rules):
        match = re.search(regex, path)
        if match is None:
            continue
        folder = match.groupdict().get("ps_d")  # pathspec's mark of a folder
        if not folder:
            return not pattern.startswith("!")
        if not strength:
            is_covered, strength = not pattern.startswith("!"), 1
    return is_covered
