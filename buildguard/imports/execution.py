"""When a program executes an import: surely while its module is imported, perhaps, later, or never. Pure."""

from __future__ import annotations

from buildguard.imports.records import Guard, ImportStatement

_CAUGHT = frozenset({Guard.HANDLER, Guard.TESTED, Guard.EXCEPT})
_CERTAIN = frozenset({Guard.NONE, Guard.MAIN, Guard.IMPORTED, Guard.MODULE_ONLY})


def is_guarded(row: ImportStatement) -> bool:
    """Whether the source handles the failure of an import, or asks first whether it can work."""
    return row.guard in _CAUGHT


def runs_at_import(row: ImportStatement, *, is_main: bool) -> bool:
    """Whether an import is executed with its module; `is_main` says that the module is the program that was started."""
    never = row.guard is Guard.FALSE or row.guard is (Guard.IMPORTED if is_main else Guard.MAIN)
    return not (never or row.late or row.lazy)


def is_certain(row: ImportStatement, *, is_main: bool) -> bool:
    """Whether an import is executed whatever the program's conditions are, and its failure ends the program."""
    guard = row.guard  # asked of every import: no call of `runs_at_import`
    is_run = guard in _CERTAIN and guard is not (Guard.IMPORTED if is_main else Guard.MAIN)
    return is_run and not (row.late or row.lazy)
