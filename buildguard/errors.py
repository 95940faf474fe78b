"""The errors that reach a person: what happened, why, what to do next, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint with the known words that are close to one, else another hint."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(dict.fromkeys(known)), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(repr(str(name)) for name in close)}?" if close else otherwise


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


class DamagedFileError(UnprovenError):
    """A file that had to be read is damaged in the repository: a finding of its own (BG306) names it."""


class OtherPlatformError(UnprovenError):
    """An image is for another machine than the one that will run it."""


class TimedOutError(UnprovenError):
    """A process did not end in the time that it had."""


class BuildRunsError(GuardError):
    """Interrupted while a build runs on: exit 130. `cancel` ends it."""

    exit_code = 130

    def __init__(self, build: str, command: str, cancel: Callable[[], object]) -> None:
        super().__init__(f"interrupted: the build {build} still runs", hint=f"to end it: {command}")
        self.cancel = cancel


class DeployInterruptedError(GuardError):
    """Interrupted in the middle of a deploy, whose traffic stays as it is: exit 130. `percent` is what the revision may have.

    `rollback` is the command that goes back.
    """

    exit_code = 130

    def __init__(self, service: str, step: str, revision: str, percent: int, rollback: str) -> None:
        hint = "`buildguard deploy` goes on: what is proven is used again"
        if percent:
            super().__init__(
                f"interrupted at the step {step}: {revision} may have {percent} % of the traffic of {service} by now",
                hint=f"{hint}; `{rollback}` goes back",
            )
        else:
            super().__init__(f"interrupted at the step {step}; no traffic was moved", hint=hint)
