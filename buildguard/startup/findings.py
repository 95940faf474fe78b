"""Collects what the checks of a start report, and counts what cannot be decided."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity

# Codes that had no false error on public repositories: docs/trust.md has the numbers. The others are warnings until then.
_WARNINGS = frozenset({Code.BG706, Code.BG708})


class FindingPlace(NamedTuple):
    """The file and line that decide a finding, both may be None; `subject` is the file of the project that it is about, if another."""

    path: str | None
    line: int | None = None
    subject: str = ""


class StartupReport(NamedTuple):
    """The findings of all images, what could not be decided, with the reasons, and the imports that a BG704 explains.

    `executed` are the files of the project that a start lets Python read as code, whatever their names are.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    undecided: tuple[str, ...] = ()
    explained_imports: frozenset[FindingPlace] = frozenset()
    executed: tuple[str, ...] = ()


class StartupFindings:
    """Findings and undecided items while images are checked."""

    def __init__(self) -> None:
        self._diagnostics: dict[tuple[str, str | None, int | None, str], Diagnostic] = {}
        self._messages: dict[
            tuple[str, str | None, int | None, str], set[str]
        ] = {}  # all that were given for one finding
        self._undecided: dict[str, None] = {}
        self._imports: set[FindingPlace] = set()
        self._needed: dict[str, str] = {}
        self._executed: dict[str, None] = {}
        self.only_warns = False  # while a program is checked without which the start goes on
        self.explained_placeholders: set[str] = set()  # those that another finding is about

    def add(self, code: Code, place: FindingPlace, message: str, hint: str = "", *, is_error: bool = True) -> None:
        """Report a finding, once for each place and message; of one file at one place the first error, and how many others.

        `place.subject` is that file.
        """
        is_error = is_error and code not in _WARNINGS and not self.only_warns
        severity = Severity.ERROR if is_error else Severity.WARNING
        path = None if place.path is None else DisplayPath(place.path)
        where = Range(place.line)
        diagnostic = Diagnostic(code, severity, path, where, message, hint, None, "rule", subject=place.subject)
        key = (code, place.path, place.line, place.subject or message)
        known = self._diagnostics.setdefault(key, diagnostic)
        if known.severity is Severity.WARNING and severity is Severity.ERROR:
            self._diagnostics[key] = diagnostic
        self._messages.setdefault(key, set()).add(message)

    def leave_open(self, place: FindingPlace, reason: str) -> None:
        """Count something that cannot be decided."""
        where = f"{place.path}:{place.line}" if place.line is not None else f"{place.path}"
        self._undecided.setdefault(f"{where}: {reason}")

    def need(self, source: str, reason: str) -> None:
        """Keep a file of the project that a start reads, or the submodule that would have it, with what reads it."""
        self._needed.setdefault(source, reason)

    def why_needed(self, source: str) -> str:
        """What reads a file during the start; empty where nothing is known to."""
        return self._needed.get(source, "")

    def execute(self, source: str) -> None:
        """Keep a file of the project that Python reads as code during the start."""
        self._executed.setdefault(source)

    def explain_import(self, place: FindingPlace) -> None:
        """Keep the place of an import that fails because a file does not reach the image."""
        self._imports.add(place)

    def report(self) -> StartupReport:
        """Everything so far."""
        diagnostics = (_with_count(item, len(self._messages[key]) - 1) for key, item in self._diagnostics.items())
        return StartupReport(
            tuple(diagnostics), tuple(self._undecided), frozenset(self._imports), tuple(self._executed)
        )


def _with_count(item: Diagnostic, more: int) -> Diagnostic:
    if not more:
        return item
    return item._replace(message=f"{item.message}, and {more} more {'place' if more == 1 else 'places'}")
