"""The rehearsal for people: one line for each file, one column for each Python."""

from __future__ import annotations

from buildguard.check.rehearsal import Rehearsal, RehearsedFile
from buildguard.diagnostic import count, escape_text

_FINE, _OPEN = "ok", "unproven"


def matrix(rehearsal: Rehearsal) -> list[str]:
    """The lines of the matrix, and one about the files that it leaves out."""
    rows = [["", *(_heading(target, rehearsal) for target in rehearsal.targets), "works from"]]
    rows += [_row(file, rehearsal) for file in rehearsal.files]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    oldest = rehearsal.targets[0]
    others = f"{count(rehearsal.others, 'file')} without errors on any of them: from {oldest}"
    return [*(lines if rehearsal.files else []), others, ""]


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


def _row(file: RehearsedFile, rehearsal: Rehearsal) -> list[str]:
    cells = [
        ", ".join(file.codes[target]) if target in file.codes else _OPEN if target in file.unproven else _FINE
        for target in rehearsal.targets
    ]
    return [escape_text(file.path), *cells, file.lowest or "none of them"]
