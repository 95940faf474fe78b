"""What `check` returns: records that the reports render and tests compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildguard.catalogue import RULE_ERRORS
from buildguard.diagnostic import Severity

if TYPE_CHECKING:
    from buildguard.diagnostic import Diagnostic, Unproven


class TargetRow(NamedTuple):
    """One target as one engine judged it; `proof` is "none" where no engine answered."""

    python: str
    found_in: str
    engine: str | None
    proof: str
    interpreter: str | None
    image: str | None
    image_id: str | None
    files: int
    cached: int
    service: str | None = None
    image_digest: str | None = None


class Report(NamedTuple):
    """The whole result; `root` is relative to the folder where the command ran, `seconds` is wall time."""

    root: str
    targets: tuple[TargetRow, ...]
    diagnostics: tuple[Diagnostic, ...]
    unproven: tuple[Unproven, ...]
    notes: tuple[str, ...]
    files: int
    seconds: float
    strict: bool = False

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return sum(one.severity is Severity.ERROR for one in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many warnings were found."""
        return len(self.diagnostics) - self.errors

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0."""
        if self.errors or (self.strict and self.warnings):
            return 1
        return 3 if self.unproven else 0

    @property
    def rejected_files(self) -> list[str]:
        """The files that the target's compiler refuses, each once: one failed deploy after another."""
        refused = {"BG101", "BG103", *RULE_ERRORS}
        return sorted({one.path for one in self.diagnostics if one.code in refused and one.path})
