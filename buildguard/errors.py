"""The errors that reach a person: what happened, why, what to do next, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class GuardError(Exception):
    """Root of every error that buildguard raises on purpose.

    `what` is one sentence without a full stop, `hint` the next thing to do (may be empty).
    """

    exit_code = 4

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    @property
    def words(self) -> str:
        """What happened and what to do next, on one line."""
        return f"{self.what}; {self.hint}" if self.hint else self.what


class UsageError(GuardError):
    """The command line or the configuration is wrong: exit 2."""

    exit_code = 2


class UnprovenError(GuardError):
    """Something that had to be looked at could not be: exit 3."""

    exit_code = 3


class OtherPlatformError(UnprovenError):
    """An image is for another machine than the one that will run it."""


class BuildRunsError(GuardError):
    """Interrupted while a build runs, which nobody has ended: exit 130. `cancel` ends it."""

    exit_code = 130

    def __init__(self, build: str, command: str, cancel: Callable[[], object]) -> None:
        super().__init__(f"interrupted: the build {build} still runs", hint=f"to end it: {command}")
        self.cancel = cancel


class TrafficMovesError(GuardError):
    """Interrupted while a new revision got its traffic, which stays as it is: exit 130."""

    exit_code = 130

    def __init__(self, service: str, revision: str, percent: int) -> None:
        what = f"interrupted while the traffic of {service} moved: {revision} may have {percent} % of it by now"
        super().__init__(what, hint=f"`buildguard deploy` goes on, `buildguard rollback --service {service}` goes back")
