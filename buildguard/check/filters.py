"""Which diagnostics are reported: `--select`, `--ignore`, per-file ignores. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from buildguard.codes import can_be_silenced, check_pattern
from buildguard.diagnostic import Diagnostic, Finding
from buildguard.project.config import Config
from buildguard.project.sources import matches


class Filters(NamedTuple):
    """Patterns are codes or their beginnings; an empty `select` selects everything."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def keep(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The diagnostics that stay; what cannot be silenced always does."""
        return [one for one in diagnostics if not can_be_silenced(one.code) or self._wanted(one)]

    def _wanted(self, one: Diagnostic) -> bool:
        if (self.select and not one.code.startswith(self.select)) or (self.ignore and one.code.startswith(self.ignore)):
            return False
        return not any(
            one.path is not None and one.code.startswith(codes) and matches([pattern], os.fsdecode(one.path))
            for pattern, codes in self.per_file
        )

    def futile(self) -> list[str]:
        """The ignored codes that stand all the same."""
        wanted = [*self.ignore, *(code for _pattern, codes in self.per_file for code in codes)]
        return sorted({code for code in wanted if _stands(code)})


class Ignore(NamedTuple):
    """A comment `# buildguard: ignore[…]`: its file, its line, and the codes or beginnings of codes in it."""

    path: str
    line: int
    codes: tuple[str, ...]

    @classmethod
    def of(cls, path: str, comment: Finding) -> Ignore:
        """The comment in a file, from what `rules.ignores` found of it."""
        return cls(path, comment.range.line or 0, tuple(comment.message.split()))


def silenced(diagnostics: Iterable[Diagnostic], ignores: Iterable[Ignore]) -> tuple[list[Diagnostic], list[str]]:
    """The diagnostics that no comment on one of their lines silences, and a note on each comment that does nothing."""
    by_path: dict[str, list[Ignore]] = {}
    for one in dict.fromkeys(ignores):
        by_path.setdefault(one.path, []).append(one)
    used: set[tuple[Ignore, str]] = set()
    kept = []
    for diagnostic in diagnostics:
        of_file = by_path.get(diagnostic.path or "", ())
        hits = [(one, code) for one in of_file for code in one.codes if _silences(one, code, diagnostic)]
        used.update(hits)
        if not hits:
            kept.append(diagnostic)
    notes = []
    for one in (ignore for found in by_path.values() for ignore in found):
        idle = [code for code in one.codes if (one, code) not in used]
        if idle or not one.codes:
            what = f"ignore[{', '.join(idle)}] does nothing" if one.codes else "ignore names no code, and does nothing"
            notes.append(f"{one.path}:{one.line}: {what}{_why_idle(idle)}")
    return kept, notes


def _silences(ignore: Ignore, code: str, diagnostic: Diagnostic) -> bool:
    if not can_be_silenced(diagnostic.code) or len(code) <= len("BG") or not diagnostic.code.startswith(code):
        return False
    lines = {diagnostic.range.line}
    if diagnostic.within is not None:  # no comment fits on the first line of an f-string that goes on
        lines |= {diagnostic.within.line, diagnostic.within.end_line}
    return ignore.line in lines


def _why_idle(codes: list[str]) -> str:
    standing = [f"{code} cannot be ignored" for code in codes if _stands(code)]
    return f": {', '.join(standing)}" if standing else ""


def _stands(code: str) -> bool:
    return len(code) > len("BG") and not can_be_silenced(code)


def filters(config: Config, select: tuple[str, ...], ignore: tuple[str, ...]) -> Filters:
    """The filters of the flags, which win, and the configuration; raises UsageError for what is no code."""
    for pattern in (*select, *ignore):
        check_pattern(pattern, "--select, --ignore")
    for pattern in (*config.select, *config.ignore, *(code for _, codes in config.per_file_ignores for code in codes)):
        check_pattern(pattern, config.file)
    return Filters(select or config.select, ignore or config.ignore, config.per_file_ignores)
