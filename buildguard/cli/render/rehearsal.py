"""The rehearsal for people: one line for each file, one column for each Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildguard.check.rehearsal import Rehearsal, RehearsedFile
from buildguard.cli.render.source_line import fold
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count, escape_text

_FINE, _OPEN = "ok", "unproven"


class RehearsalTable(NamedTuple):
    """The cells of the matrix, and a line about the files that it leaves out."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    others: str


def table(rehearsal: Rehearsal) -> RehearsalTable:
    """A row for each file that some target refuses: its path, a cell for each target, and the lowest that it works on."""
    heading = ("", *(_heading(target, rehearsal) for target in rehearsal.targets), "works from")
    rows = tuple((file.path, *_cells(file, rehearsal)) for file in rehearsal.files)
    others = f"{count(rehearsal.others, 'file')} without errors on any of them: from {rehearsal.targets[0]}"
    return RehearsalTable(heading, rows, others)


def matrix(rehearsal: Rehearsal, width: int = 0) -> list[str]:
    """The lines of the matrix, and one about the files that it leaves out; on a narrow terminal, a few lines for each file."""
    heading, rows, others = table(rehearsal)
    cells = [heading, *((escape_text(path), *marks) for path, *marks in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    if width and max(map(len, lines)) > width:
        lines = [line for row in cells[1:] for line in _stacked(heading, row, width)]
    return [*(lines if rows else []), *fold(others, width, "  "), ""]


def _stacked(heading: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """A row that is too wide: the path, and below it each cell behind its heading."""
    path, *cells = row
    yield path
    named = ", ".join(f"{name} {cell}" for name, cell in zip(heading[1:], cells, strict=True))
    yield from fold(f"  {named}", width, "  ")


def as_json(rehearsal: Rehearsal) -> dict[str, object]:
    """The matrix for programs."""
    return {
        "targets": list(rehearsal.targets),
        "predicted": list(rehearsal.predicted),
        "files": [
            {
                "path": file.path,
                "codes": {target: list(codes) for target, codes in file.codes.items()},
                "unproven": list(file.unproven),
                "lowest": file.lowest,
            }
            for file in rehearsal.files
        ],
        "others": rehearsal.others,
    }


def _heading(target: str, rehearsal: Rehearsal) -> str:
    return f"{target} (predicted)" if target in rehearsal.predicted else target


def _cells(file: RehearsedFile, rehearsal: Rehearsal) -> Iterator[str]:
    for target in rehearsal.targets:
        codes = file.codes.get(target)
        yield ", ".join(codes) if codes else _OPEN if target in file.unproven else _FINE
    yield file.lowest or "none of them"
