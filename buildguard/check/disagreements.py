"""BG104: engines that disagree on the same bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, Severity, display_path
from buildguard.engines.engine import ReadyEngine
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import Target


class EngineVerdict(NamedTuple):
    """One engine's verdict on one file: the finding that refuses it, or None where it accepts it."""

    ready: ReadyEngine
    refusal: Finding | None

    @classmethod
    def of(cls, ready: ReadyEngine, findings: Iterable[Finding]) -> EngineVerdict:
        """The verdict from the findings of an engine."""
        return cls(ready, next((finding for finding in findings if finding.code in {Code.BG101, Code.BG103}), None))


def find_disagreements(by_engine: Sequence[Mapping[bytes, EngineVerdict]], target: Target) -> list[Diagnostic]:
    """BG104: files that one engine accepts and another refuses."""
    by_path: dict[bytes, list[EngineVerdict]] = {}
    for verdicts in by_engine:
        for path, verdict in verdicts.items():
            by_path.setdefault(path, []).append(verdict)
    diagnostics = []
    for path in sorted(by_path):
        of_engines = by_path[path]
        refusing = next((verdict for verdict in of_engines if verdict.refusal is not None), None)
        accepting = next((verdict for verdict in of_engines if verdict.refusal is None), None)
        if refusing is not None and accepting is not None:
            diagnostics.append(_disagreement(display_path(path), target.python, refusing, accepting))
    return diagnostics


def _disagreement(path: DisplayPath, python: str, refusing: EngineVerdict, accepting: EngineVerdict) -> Diagnostic:
    refusal = refusing.refusal
    assert refusal is not None
    both = (refusing.ready, accepting.ready)
    message = (
        f"engines disagree on the same bytes: {_engine_name(accepting.ready)} accepts this file,"
        f" {_engine_name(refusing.ready)} refuses it: {refusal.message}"
    )
    if ProofGrade.PREDICTED in {ready.proof for ready in both}:
        hint = "a prediction is no proof: the one that compiled is right"
    elif refusing.ready.version != accepting.ready.version:
        hint = f"{both[0].version} and {both[1].version} are not the same Python: what the image runs is what counts"
    else:
        hint = "one of them is not built as its version says: what the image runs is what counts"
    return Diagnostic(
        Code.BG104,
        Severity.ERROR,
        path,
        refusal.range,
        message,
        hint,
        python,
        ",".join(sorted(ready.engine for ready in both)),
        refusal.excerpt,
    )


def _engine_name(ready: ReadyEngine) -> str:
    return f"{ready.interpreter}{f' in {ready.image}' if ready.image else ''} ({ready.engine})"
