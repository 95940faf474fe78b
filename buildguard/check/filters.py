"""Which diagnostics are reported: `--select`, `--ignore`, per-file ignores. Pure."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator

from buildguard.codes import can_be_silenced, check_pattern
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, Finding
from buildguard.errors import UsageError
from buildguard.project.config import Config
from buildguard.project.sources import matches


class Filters(NamedTuple):
    """Patterns are codes or their beginnings; an empty `select` selects everything."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def keep(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The diagnostics that stay; what cannot be silenced always does."""
        return [
            diagnostic for diagnostic in diagnostics if not can_be_silenced(diagnostic.code) or self._wanted(diagnostic)
        ]

    def _wanted(self, diagnostic: Diagnostic) -> bool:
        if (self.select and not diagnostic.code.startswith(self.select)) or (
            self.ignore and diagnostic.code.startswith(self.ignore)
        ):
            return False
        return not any(
            diagnostic.path is not None
            and diagnostic.code.startswith(codes)
            and matches([pattern], os.fsdecode(diagnostic.path))
            for pattern, codes in self.per_file
        )

    def futile(self) -> list[str]:
        """The ignored codes that stand all the same."""
        wanted = [*self.ignore, *(code for _pattern, codes in self.per_file for code in codes)]
        return sorted({code for code in wanted if _is_known_code(code)})


class IgnoreComment(NamedTuple):
    """A comment `# buildguard: ignore[…]`: its file, its line, and the codes or beginnings of codes in it."""

    path: str
    line: int
    codes: tuple[str, ...]

    @classmethod
    def of(cls, path: str, comment: Finding) -> IgnoreComment:
        """The comment in a file, from what `rules.ignores` found of it."""
        return cls(path, comment.range.line or 0, tuple(comment.message.split()))


def apply_ignores(
    diagnostics: Iterable[Diagnostic], ignores: Iterable[IgnoreComment]
) -> tuple[list[Diagnostic], list[str]]:
    """The diagnostics that no comment on one of their lines silences, and a note on each comment that does nothing."""
    by_path: dict[str, list[IgnoreComment]] = {}
    for comment in dict.fromkeys(ignores):
        by_path.setdefault(comment.path, []).append(comment)
    used: set[tuple[IgnoreComment, str]] = set()
    kept = []
    for diagnostic in diagnostics:
        hits = set(_silencing(by_path.get(diagnostic.path or "", ()), diagnostic))
        used |= hits
        if not hits:
            kept.append(diagnostic)
    notes = (_idle_note(comment, used) for comments in by_path.values() for comment in comments)
    return kept, [note for note in notes if note]


def _silencing(comments: Iterable[IgnoreComment], diagnostic: Diagnostic) -> Iterator[tuple[IgnoreComment, str]]:
    """Each code of a comment that silences a diagnostic."""
    for comment in comments:
        for code in comment.codes:
            if _silences(comment, code, diagnostic):
                yield comment, code


def _idle_note(comment: IgnoreComment, used: Container[tuple[IgnoreComment, str]]) -> str:
    """What a comment does not do; empty where each of its codes silences something."""
    place = f"{comment.path}:{comment.line}"
    if not comment.codes:
        return f"{place}: ignore names no code, and does nothing"
    idle = [code for code in comment.codes if (comment, code) not in used]
    return f"{place}: ignore[{', '.join(idle)}] does nothing{_why_idle(idle)}" if idle else ""


def _silences(ignore: IgnoreComment, code: str, diagnostic: Diagnostic) -> bool:
    if not can_be_silenced(diagnostic.code) or len(code) <= len("BG") or not diagnostic.code.startswith(code):
        return False
    lines = {diagnostic.range.line}
    if diagnostic.within is not None:  # no comment fits on the first line of an f-string that goes on
        lines |= {diagnostic.within.line, diagnostic.within.end_line}
    return ignore.line in lines


def _why_idle(codes: list[str]) -> str:
    standing = [f"{code} cannot be ignored" for code in codes if _is_known_code(code)]
    return f": {', '.join(standing)}" if standing else ""


def _is_known_code(code: str) -> bool:
    return len(code) > len("BG") and not can_be_silenced(code)


def filters(config: Config, select: tuple[str, ...], ignore: tuple[str, ...]) -> Filters:
    """The filters of the flags, which win, and the configuration; raises UsageError for an unknown code."""
    for pattern in (*select, *ignore):
        if "," in pattern:
            raise UsageError(f"--select, --ignore: unknown code '{pattern}'", hint="repeat the option for each code")
        check_pattern(pattern, "--select, --ignore")
    for pattern in (*config.select, *config.ignore, *(code for _, codes in config.per_file_ignores for code in codes)):
        check_pattern(pattern, config.file)
    return Filters(select or config.select, ignore or config.ignore, config.per_file_ignores)
