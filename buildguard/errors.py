"""The errors that reach a person: what happened, why, what to do next, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from buildguard.definitions import StrEnum


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint with the known words that are close to one, else another hint."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(dict.fromkeys(known)), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(repr(str(name)) for name in close)}?" if close else otherwise


class Reason(StrEnum):
    """Why something failed, for programs: what follows from an error is decided by this, and never by its words."""

    OTHER = "other"
    USAGE = "usage"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed out"
    DAMAGED = "a damaged file"
    OTHER_PLATFORM = "another platform"
    # of a service that was asked
    NO_CREDENTIALS = "no credentials"
    NO_PROJECT = "no project"
    UNREACHABLE = "not reachable"
    QUOTA = "a quota"
    REGION_QUOTA = "a quota of the region"
    DENIED = "a permission"
    NOT_FOUND = "not found"
    REFUSED = "refused"
    CONFLICT = "changed meanwhile"
    NO_PROGRAM = "no such program in the image"
    NOT_EXECUTABLE = "a program that may not be executed"
    LOCKED = "locked"
    CHANGED = "other bytes than were sent"
    # of a build
    STEP_FAILED = "a step of the build"
    IMAGE_NOT_BUILT = "no step made the image"
    PUSH_FAILED = "the push of the image"
    SOURCE_NOT_FETCHED = "the source could not be fetched"
    SERVICE_TROUBLE = "the service's own trouble"
    BUILD_TIMEOUT = "the build's own timeout"
    CANCELLED = "cancelled"
    NEEDS_APPROVAL = "needs an approval"
    OVERDUE = "overdue"


class GuardError(Exception):
    """Root of every error that buildguard raises on purpose.

    `what` is one sentence without a full stop, `hint` the next thing to do (may be empty), `reason` what programs decide by.
    """

    exit_code = 4
    reason = Reason.OTHER

    def __init__(self, what: str, *, hint: str = "", reason: Reason | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        if reason is not None:
            self.reason = reason

    @property
    def words(self) -> str:
        """What happened and what to do next, on one line."""
        return f"{self.what}; {self.hint}" if self.hint else self.what


class UsageError(GuardError):
    """The command line or the configuration is wrong: exit 2."""

    exit_code = 2
    reason = Reason.USAGE


class UnprovenError(GuardError):
    """Something that had to be looked at could not be: exit 3."""

    exit_code = 3


class DamagedFileError(UnprovenError):
    """A file that had to be read is damaged in the repository: a finding of its own (BG306) names it."""

    reason = Reason.DAMAGED


class OtherPlatformError(UnprovenError):
    """An image is for another machine than the one that will run it."""

    reason = Reason.OTHER_PLATFORM


class TimedOutError(UnprovenError):
    """A process did not end in the time that it had."""

    reason = Reason.TIMED_OUT


class BuildRunsError(GuardError):
    """Interrupted while a build runs on: exit 130. `cancel` ends it."""

    exit_code = 130
    reason = Reason.INTERRUPTED

    def __init__(self, build: str, command: str, cancel: Callable[[], object]) -> None:
        super().__init__(f"interrupted: the build {build} still runs", hint=f"to end it: {command}")
        self.cancel = cancel


class DeployInterruptedError(GuardError):
    """Interrupted in the middle of a deploy, whose traffic stays as it is: exit 130. `percent` is what the revision may have.

    `rollback` is the command that goes back.
    """

    exit_code = 130
    reason = Reason.INTERRUPTED

    def __init__(self, service: str, step: str, revision: str, percent: int, rollback: str) -> None:
        hint = "`buildguard deploy` goes on: what is proven is used again"
        if percent:
            super().__init__(
                f"interrupted at the step {step}: {revision} may have {percent} % of the traffic of {service} by now",
                hint=f"{hint}; `{rollback}` goes back",
            )
        else:
            super().__init__(f"interrupted at the step {step}; no traffic was moved", hint=hint)
