"""Which Python a line of source needs, by its syntax: for a line in a log whose file is not at hand."""

from __future__ import annotations

import re

from buildguard.definitions import lazy_pattern

# The minor version of Python 3 that first compiles what a pattern matches; the newest first.
_SINCE = (
    (14, re.compile(r"^\s*except [\w.]+, [\w.]+(?:, [\w.]+)*:")),
    (12, re.compile(r"^\s*(?:async )?(?:def|class) \w+\[")),
    (12, re.compile(r"^\s*type \w+(?:\[.*\])? =")),
    (12, re.compile(r"""\b[fF][rR]?'[^'{]*(?:\{[^{}']*\}[^'{]*)*\{[^{}']*'""")),
    (12, re.compile(r"""\b[fF][rR]?"[^"{]*(?:\{[^{}"]*\}[^"{]*)*\{[^{}"]*\"""")),
    (12, re.compile(r"""\b[fF][rR]?["'][^"'{]*\{[^{}"']*\\""")),
    (11, re.compile(r"^\s*except\*")),
    (10, re.compile(r"^\s*match [^=:]+:\s*$")),
    (10, re.compile(r"^\s*case .+:")),
    (10, re.compile(r"^\s*with \($")),
    (8, re.compile(r":= ")),
    (8, re.compile(r"^\s*(?:async )?def \w+\([^)]*[,(] ?/[,)]")),
    (8, re.compile(r"""\b[fF]["'][^"']*\{[^{}"'=!<>]+=\}""")),
    (6, re.compile(r"""(?<![\w"'])[fF][rR]?["']""")),
    (6, re.compile(r"^\s*(?!else|try|finally)[A-Za-z_][\w.]*: [\w.\[\], ]+(?: = .*)?$")),
    (6, re.compile(r"\b\d+(?:_\d+)+\b")),
    (5, re.compile(r"^\s*(?:async (?:def|with|for)|await)\b|[=(] ?await ")),
    (3, re.compile(r"\byield from\b")),
    (0, re.compile(r"^\s*(?:async )?def \w+\(.*(?:\*\w+, ?\w+ ?=|\* ?, ?\w+|\w+: ?\w+|\) ?->)")),
    (0, re.compile(r"^\s*(?:nonlocal \w|raise .* from |class \w+\(.*metaclass=)|print\(.*\b(?:end|file|sep|flush)=")),
)
_PYTHON_2 = lazy_pattern(
    r"""^\s*print(?:\s+["'%\w]|\s*$|\s*>>)|^\s*exec\s+["'\w]|^\s*except [\w.]+, [a-z_]\w*:|^\s*raise [\w.]+, |\b0[0-7]{2,}\b"""
    r"""|(?<![\w"'])ur["']|`[^`]+`|[^<]<>[^>]|^\s*def \w+\([^)]*\([^)]*\)[^)]*\):|\blambda \(|\d[lL]\b"""
)
_NEW_KEYWORD = lazy_pattern(r"(?:\b|\.)async(?: ?=|\b(?! (?:def|with|for)\b))|\bawait ?=")


def needed_minor(line: str) -> int | None:
    """The minor version of Python 3 that a line needs at least; None if nothing in it shows that."""
    return next((minor for minor, pattern in _SINCE if pattern.search(line)), None)


def is_older(line: str) -> bool:
    """Whether a line is Python 2, or uses as a name what became a keyword."""
    return _PYTHON_2.search(line) is not None or _NEW_KEYWORD.search(line) is not None


def is_old_handler(line: str) -> bool:
    """Whether a line is the `except Error, name:` of Python 2; Python 3.14 reads it as two exceptions."""
    return re.match(r"\s*except [\w.]+, [a-z_]\w*:", line) is not None


def is_conflict_marker(line: str) -> bool:
    """Whether a line is one that git writes between the two sides of a conflict."""
    return re.match(r"\s*(?:<{7}|>{7}|\|{7})(?: |$)|\s*={7}\s*$", line) is not None
