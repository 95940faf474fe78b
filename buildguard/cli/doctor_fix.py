"""`buildguard doctor --fix`: the commands that would make every verdict a proof."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from buildguard.cli.doctor import choose_engine
from buildguard.diagnostic import count, escape_text
from buildguard.errors import UsageError
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import discovery
from buildguard.project.config import Config
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import Target

_PROOFS = frozenset({ProofGrade.COMPILED, ProofGrade.IMAGE})
_SET_TARGET = 'set [tool.buildguard] target = ["3.11"], or target = ["3.11"] in buildguard.toml'


def doctor_fix(cwd: Path, path: str) -> str:
    """What to run for each target whose verdicts would be no proof; raises UsageError if the configuration is broken."""
    lines = list(_steps(Project.load(cwd, () if path == "." else (path,)))) or [
        "every verdict is a proof: nothing to do"
    ]
    return "".join(f"{escape_text(line)}\n" for line in lines)


def _steps(project: Project) -> Iterator[str]:
    sources = project.chosen.sources
    if not sources:
        yield project.why_no_source() or "no Python source here: run buildguard doctor --fix in the project"
        return
    try:
        targets = project.targets
    except UsageError as error:
        yield error.what
        yield f"  {_SET_TARGET}"
        return
    for target in targets:
        yield from _steps_of(project.place, project.config, target)
    uncovered = [
        entry for entry in sources if not any(discovery.target_covers(t, targets, entry.path) for t in targets)
    ]
    if uncovered:
        yield f"{count(len(uncovered), 'file')} outside every build context, so the Python version is unknown"
        yield f"  {_SET_TARGET}"


def _steps_of(place: WorkScope, config: Config, target: Target) -> Iterator[str]:
    """The target, and one command a line; nothing if it is proven already."""
    name = f"{f'{target.service}: ' if target.service else ''}Python {target.python} ({target.found_in})"
    if target.version is None:
        yield f"{name}: {target.why_unknown}"
        yield f"  {_SET_TARGET}"
        return
    choice = choose_engine(place, config, target)
    if any(ready.proof in _PROOFS for _engine, ready in choice.ready):
        return
    yield f"{name}: {'; '.join(unavailable.reason for unavailable in choice.unavailable) or 'not compiled'}"
    hints = dict.fromkeys(unavailable.hint for unavailable in choice.unavailable if unavailable.hint)
    yield from (f"  {'or: ' if number else ''}{hint}" for number, hint in enumerate(hints))
    if not hints:
        yield "  remove [tool.buildguard] engine, so that interpreters and containers are tried"
