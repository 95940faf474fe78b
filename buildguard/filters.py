"""Which diagnostics are reported: `--select`, `--ignore`, per-file ignores. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from buildguard.catalogue import can_be_silenced, check_pattern
from buildguard.source import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buildguard.config import Config
    from buildguard.diagnostic import Diagnostic


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
        return sorted({code for code in wanted if len(code) > len("BG") and not can_be_silenced(code)})


def filters(config: Config, select: tuple[str, ...], ignore: tuple[str, ...]) -> Filters:
    """The filters of the flags, which win, and the configuration; raises UsageError for what is no code."""
    for pattern in (*select, *ignore):
        check_pattern(pattern, "--select, --ignore")
    for pattern in (*config.select, *config.ignore, *(code for _, codes in config.per_file_ignores for code in codes)):
        check_pattern(pattern, config.file)
    return Filters(select or config.select, ignore or config.ignore, config.per_file_ignores)
