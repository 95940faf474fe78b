"""Records that the tests of the renderers share."""

from __future__ import annotations

from buildguard.check.result import CheckReport, TargetRow
from buildguard.codes import Code
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.difference import Difference
from buildguard.diagnostic import Diagnostic, DisplayPath, Edit, Range, RelativePath, Severity, Unproven
from buildguard.stages.manifest import Manifest, ManifestEntry, Sha256
from buildguard.stages.snapshot import Snapshot, StageKind

ROW = TargetRow("3.11", "Dockerfile:1", "interpreter", "compiled", "CPython 3.11.9", None, None, 9, 0)


def finding(
    path: str | None = "a.py",
    code: str = Code.BG101,
    *,
    line: int = 3,
    severity: Severity = Severity.ERROR,
    message: str = "invalid syntax",
    edits: tuple[Edit, ...] = (),
) -> Diagnostic:
    """A finding of the 3.11 interpreter, four columns wide."""
    where = Range(line, 5, line, 9) if path is not None else Range()
    hint = "fix the syntax"
    return Diagnostic(
        Code(code),
        severity,
        DisplayPath(path) if path is not None else None,
        where,
        message,
        hint,
        "3.11",
        "interpreter",
        excerpt="x = f(1",
        edits=edits,
    )


def report(
    *diagnostics: Diagnostic,
    unproven: tuple[Unproven, ...] = (),
    notes: tuple[str, ...] = (),
    chain: Chain | None = None,
    strict: bool = False,
) -> CheckReport:
    """A report of nine files for one target."""
    return CheckReport(".", (ROW,), diagnostics, unproven, notes, 9, 0.25, strict, chain=chain)


def snapshot(stage: str, *names: str, kind: StageKind = StageKind.FOLDER) -> Snapshot:
    """A stage with empty files."""
    entries = [ManifestEntry(RelativePath(name.encode()), "100644", 0, Sha256("0" * 64)) for name in names]
    return Snapshot(stage, kind, Manifest(entries))


def chain(*differences: Difference, strict: bool = False, notes: tuple[str, ...] = ()) -> Chain:
    """One hop from a commit to a folder."""
    hop = Hop(snapshot("commit:HEAD", "a.py", kind=StageKind.COMMIT), snapshot("dir:.", "a.py"), differences, notes)
    return Chain((hop,), strict=strict)
