"""What was said of the imports of one target, kept until a source, a declaration or a rule changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from buildguard import __version__
from buildguard.diagnostic import Diagnostic, Range, Severity
from buildguard.imports.records import UndecidedImport
from buildguard.system.cache import Cache, context_of

# What turns facts and answers into findings: a kept result is no older than these files.
_RULES = ("imports/*.py", "check/imports.py", "check/import_results.py")


class TargetImports(NamedTuple):
    """What is said of the imports of a target's sources: findings, and what could not be decided."""

    diagnostics: tuple[Diagnostic, ...]
    undecided: tuple[UndecidedImport, ...]


class ImportResults:
    """The result of one set of sources, by all paths and the digests of what was read in this run.

    `declared` gives the digest of the files that declare dependencies; it is asked only where a result depends on them.
    """

    def __init__(
        self, cache: Cache, about: Iterable[str], sources: Iterable[tuple[str, bytes]], declared: Callable[[], str]
    ) -> None:
        self._cache = cache
        self._context = context_of("results of imports", _rules(), *about)
        digest = hashlib.sha256()
        for path, content in sources:
            digest.update(path.encode("utf-8", "surrogatepass") + b"\0" + content)
        self._key = digest.digest()
        self._declared = declared

    def load(self) -> TargetImports | None:
        """The kept result; None where there is none that still holds."""
        kept = self._cache.known(self._context, [self._key]).get(self._key)
        if kept is None:
            return None
        declared, diagnostics, undecided = json.loads(kept)
        if declared and declared != self._declared():
            return None
        return TargetImports(
            tuple(_diagnostic(row) for row in diagnostics), tuple(UndecidedImport(*row) for row in undecided)
        )

    def store(self, results: TargetImports, *, uses_declarations: bool) -> None:
        """Keep a result."""
        rows = [
            [
                item.code,
                item.severity,
                item.path,
                item.range,
                item.message,
                item.hint,
                item.target,
                item.engine,
                item.excerpt,
            ]
            for item in results.diagnostics
        ]
        data = json.dumps([self._declared() if uses_declarations else "", rows, results.undecided])
        self._cache.store(self._context, {self._key: data.encode("ascii")})


def _diagnostic(row: list[object]) -> Diagnostic:
    code, severity, path, place, message, hint, target, engine, excerpt = row
    assert isinstance(place, list)
    return Diagnostic(
        str(code),
        Severity(str(severity)),
        str(path),
        Range(*place),
        str(message),
        str(hint),
        str(target),
        str(engine),
        str(excerpt),
    )


def _rules() -> str:
    digest = hashlib.sha256(__version__.encode())
    for pattern in _RULES:
        for file in sorted(Path(__file__).parents[1].glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()
