"""What identifies a finding while the lines around it move: for code scanning services and baselines. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from buildguard.diagnostic import Diagnostic


def fingerprints(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """A fingerprint for each finding, in order: of its code, its path and its source line, not of the line's number.

    Equal lines of one file are told apart by a count, so that one more of them is a new finding.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    marks = []
    for diagnostic in diagnostics:
        key = _key(diagnostic)
        marks.append(_digest((*key, str(counts[key]))))
        counts[key] += 1
    return marks


def _key(diagnostic: Diagnostic) -> tuple[str, ...]:
    line = " ".join(diagnostic.excerpt.split())
    return diagnostic.code, diagnostic.path or "", line or diagnostic.message


def _digest(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
