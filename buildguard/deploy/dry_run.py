"""What would stop a deploy on this machine, as far as that can be seen without running anything."""

from __future__ import annotations

from contextlib import closing
from functools import cached_property

from buildguard.definitions import NamedTuple
from buildguard.deploy.fallback import FallbackMode
from buildguard.deploy.plan import Builder, DeployPlan, DeployStep
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.errors import Reason, UnprovenError
from buildguard.gcp import setup

_ENGINE_PATIENCE = 5  # seconds
# The first step of a plan that asks Google for anything, and the first that asks Cloud Run.
_FIRST_OF_GOOGLE = (DeployStep.PROMOTE, DeployStep.UPLOAD, DeployStep.PUSH, DeployStep.VALIDATE)


class PlanStop(NamedTuple):
    """A step at which a plan would stop here, and why."""

    step: DeployStep
    reason: str


class ThisMachine:
    """What this machine has for a deploy: asked once for all services of a request."""

    def stops(self, ready: PreparedDeploy) -> tuple[PlanStop, ...]:
        """Where a plan would stop here, in the order of its steps; a step may stop it for another reason as well."""
        plan, order = ready.plan, list(DeployStep)
        google = None if plan.serving.known else _without_google(plan, ready.fallback)
        # where Google's bucket cannot be used, `fallback = "auto"` builds here
        is_local = plan.wishes.builder is Builder.LOCAL or (google is not None and google.step is DeployStep.PUSH)
        found = [self._engine_stop if is_local else None, google]
        return tuple(sorted(filter(None, found), key=lambda stop: order.index(stop.step)))

    @cached_property
    def _engine_stop(self) -> PlanStop | None:
        from buildguard.docker import client  # heavy

        try:
            with closing(client.connect(_ENGINE_PATIENCE)):
                return None
        except UnprovenError as error:
            return PlanStop(DeployStep.BUILD, error.words)


def _without_google(plan: DeployPlan, fallback: str) -> PlanStop:
    """Without credentials nothing of Google's works; what else kept Cloud Run from being read stops what asks it."""
    serving, steps = plan.serving, [step.id for step in plan.steps]
    is_offline = serving.unknown_because in {Reason.NO_CREDENTIALS, Reason.NO_PROJECT}
    first = next((step for step in _FIRST_OF_GOOGLE if step in steps), DeployStep.VALIDATE)
    if is_offline and first is DeployStep.UPLOAD and fallback == FallbackMode.AUTO:
        first = DeployStep.PUSH
    is_installed = all(setup.installed().values())
    return PlanStop(first if is_offline or not is_installed else DeployStep.VALIDATE, serving.unknown_reason)
