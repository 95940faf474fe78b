"""What a step of a deploy comes to: its summary, its outcome with a verdict, and the error that ends the deploy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from buildguard.definitions import NamedTuple
from buildguard.deploy.plan import DeployStep
from buildguard.errors import GuardError, Reason
from buildguard.project.ledger import StepVerdict

# words for people, and evidence for the ledger
StepSummary: TypeAlias = tuple[str, Mapping[str, Any]]


class StepOutcome(NamedTuple):
    """The result of one step of a deploy."""

    step: DeployStep
    verdict: StepVerdict
    seconds: float
    words: str
    evidence: Mapping[str, Any]

    @property
    def is_reached(self) -> bool:
        """Whether the step was begun, or left out on purpose."""
        return self.verdict is not StepVerdict.SKIPPED or bool(self.evidence)


class DeployStoppedError(GuardError):
    """A step that ends the deploy; exit 1 for a failure, 3 for what could not be proven."""

    def __init__(
        self,
        what: str,
        *,
        hint: str = "",
        evidence: Mapping[str, Any] | None = None,
        proven: bool = True,
        reason: Reason = Reason.OTHER,
    ) -> None:
        super().__init__(what, hint=hint, reason=reason)
        self.evidence = dict(evidence or {})
        self.exit_code = 1 if proven else 3
