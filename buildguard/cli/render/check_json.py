"""The result for programs: schema 1, keys may be added and are never renamed."""

from __future__ import annotations

from typing import Any

from buildguard import __version__
from buildguard.check.rehearsal import Rehearsal
from buildguard.check.result import CheckReport, ImageReport, TargetRow
from buildguard.cli.render import safe_json
from buildguard.compare.chain import Chain
from buildguard.diagnostic import Diagnostic
from buildguard.engines.miss_rates import miss_rate
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.snippets.unchecked import UncheckedPython


def render(report: CheckReport) -> str:
    """The report as JSON, one document."""
    return safe_json.dumps(as_json(report))


def as_json(report: CheckReport) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "schema": 1,
        "buildguard": __version__,
        "root": report.root,
        "targets": [_target(row) for row in report.targets],
        "diagnostics": [_diagnostic(diagnostic) for diagnostic in report.diagnostics],
        "unproven": [item._asdict() for item in report.counted_unproven],
        "notes": list(report.notes),
        "summary": {
            "files": report.files,
            "errors": report.errors,
            "warnings": report.warnings,
            "unproven": len(report.counted_unproven),
            "rejected_files": len(report.rejected_files),
            "seconds": report.seconds,
        },
        "startup": {"undecided": len(report.startup_undecided), "items": list(report.startup_undecided)},
        "imports": {"undecided": len(report.undecided_imports)},
        "snippets": report.snippets,
        "not_checked": [_unchecked(item) for item in report.unchecked],
        "exit_code": report.exit_code,
        **(_rehearsal(report.rehearsal) if report.rehearsal is not None else {}),
        **({"start": dict(report.start)} if report.start is not None else {}),
        **({"image": _image(report.image)} if report.image is not None else {}),
        **(_chain(report.chain) if report.chain is not None else {}),
    }


def _unchecked(item: UncheckedPython) -> dict[str, Any]:
    return {"kind": str(item.kind), "path": item.path, "line": item.line, "reason": item.reason}


def _rehearsal(rehearsal: Rehearsal) -> dict[str, Any]:
    """The matrix of several Pythons."""
    from buildguard.cli.render import rehearsal as matrix

    return {"rehearsal": matrix.as_json(rehearsal)}


def _chain(chain: Chain) -> dict[str, Any]:
    """How the bytes came to where they were compiled, as `diff` has it."""
    from buildguard.cli.render.diff import hop_object

    return {"hops": [hop_object(hop) for hop in chain.hops], "first_changed_hop": chain.first_changed}


def _image(image: ImageReport) -> dict[str, Any]:
    dependencies = image.dependencies
    return image._asdict() | {
        "misfits": [{"path": path, "reason": reason} for path, reason in image.misfits],
        "dependencies": {
            "files": dependencies.files,
            "folders": list(dependencies.folders),
            "rejected": [_diagnostic(diagnostic) for diagnostic in dependencies.rejected],
            "unproven": [item._asdict() for item in dependencies.unproven],
        },
    }


def _target(row: TargetRow) -> dict[str, Any]:
    values = row._asdict()
    basis = values.pop("basis")
    rate = miss_rate(row.python) if row.proof == ProofGrade.PREDICTED else None
    return values | {
        "context": {"path": row.context or ".", **basis._asdict()} if basis is not None else None,
        "miss_rate": rate._asdict() if rate is not None else None,
    }


def _diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "path": diagnostic.path,
        "line": diagnostic.range.line,
        "column": diagnostic.range.column,
        "end_line": diagnostic.range.end_line,
        "end_column": diagnostic.range.end_column,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "target": diagnostic.target,
        "targets": list(diagnostic.shared),
        "engine": diagnostic.engine,
        "fixable": diagnostic.fixable,
        "evidence": diagnostic.evidence,
    }
