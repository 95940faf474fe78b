"""An incident: everything that is known of it, as records."""

from __future__ import annotations

from buildguard.check.text_rules import MERGE_CONFLICT
from buildguard.definitions import NamedTuple
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnose.log_parser import Failure


class SourceLocation(NamedTuple):
    """A line of a file of the repository; `line` is None for the whole file."""

    path: str
    line: int | None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}, line {self.line}"


class TargetRefusal(NamedTuple):
    """What the target refuses here and now: place, code, message, the target, and whether a newer Python accepts the file.

    `accepted_by` names that Python; empty where none was found that does, None where none could be asked. `reported_by`
    is whose Python the target is, where that is not what the repository declares.
    """

    place: SourceLocation
    code: str
    message: str
    target: str
    accepted_by: str | None
    reported_by: str = ""

    @property
    def words(self) -> str:
        """The place with what is wrong there."""
        return f"{self.place}: {self.code} {self.message}"

    @property
    def is_conflict(self) -> bool:
        """Whether a merge left its markers there."""
        return self.message == MERGE_CONFLICT


class LocatedFailure(NamedTuple):
    """A failure of the log with its place in the repository, None where it has none.

    `outside` is the path in the image then. `as_shown` is whether the repository's line is the one that the log shows
    (None where it shows none), `older_commit` the newest commit in which it is, and `at_commit` what the target refuses there.
    """

    failure: Failure
    place: SourceLocation | None
    outside: str = ""
    as_shown: bool | None = None
    older_commit: str = ""
    at_commit: TargetRefusal | None = None


class MissingFile(NamedTuple):
    """A module or file that the image lacks and the repository has: its path there, and the rule that drops it.

    `package` is the folder whose package it is a member of: only a file of that folder can import it by this name. Empty for none.
    """

    name: str
    path: str
    dropped_by: str
    package: str = ""


class CauseVerdict(NamedTuple):
    """What an image, a build or a revision shows of a cause: that it is at work (`proven`), or that it is not.

    `explains` is set where that by itself ended a build, or kept a revision from starting.
    """

    cause: str
    proven: bool
    words: str
    place: SourceLocation | None = None
    remedy: str = ""
    explains: bool = False


class MessagePlace(NamedTuple):
    """Where a known message comes from; `cause` and `sentence` if the repository shows more than the message does."""

    line: int
    places: tuple[SourceLocation, ...]
    cause: str = ""
    sentence: str = ""
    remedy: str = ""


class ImportFinding(NamedTuple):
    """A finding of `check` in the imports that explains an exception; `line` is the exception's in the log.

    0 where none is about it. `executed` is whether the program surely executes it when it is imported.
    `chain` are the modules from the start command on, `lowest` and `highest` the Pythons that have what is missing, each empty
    where it is unknown.
    """

    line: int
    place: SourceLocation
    code: str
    message: str
    target: str
    chain: tuple[str, ...] = ()
    lowest: str = ""
    highest: str = ""
    executed: bool = True

    @property
    def words(self) -> str:
        """Place, code, message, and the versions that have what is missing."""
        lowest = f"; the lowest Python that has it is {self.lowest}" if self.lowest else ""
        highest = f"; the last Python that has it is {self.highest}" if self.highest else ""
        return f"{self.place}: {self.code} {self.message}{lowest}{highest}"


class IncidentEvidence(NamedTuple):
    """All that is known: from the log (failures, known messages, versions in its paths), and from what was deployed.

    `quote` is the last line of the log that looks like an error, `alive` what proves that something runs or was built;
    each is empty if unknown. `target` and `found_in` are the declared Python and the file that declares it, `examined` how many
    sources were compiled by which interpreter, empty where none were. `misread` are sources whose bytes are not what they should
    be, `unproven` what could not be compiled. `accepted` are the files that `compiler` compiled in this run without an error.
    `verdicts` are about what was read beside the log and the repository, `unexamined` why some of that could not be, by cause,
    and `unread` what was named on the command line and could not be read; `compared` is how the text of the files was compared
    with the commit's and was the same, and `interpreters` which ones are known to have run, each with its source;
    `build_failure` is how a build failed, `calm` what went well, in words.
    `neighbours` are the lines around the quote with it, `service` is the configured Cloud Run service.
    `import_findings` explain exceptions of the log, `broken_imports` are all that was found in imports. `starts` is set where `alive`
    is more than that a build ended well. `recovered` is set where what proves that something runs came after the quote.
    """

    failures: tuple[LocatedFailure, ...]
    known_messages: tuple[KnownMessageMatch, ...]
    pythons: tuple[str, ...]
    has_log: bool
    quote: str
    target: str
    found_in: str
    examined: str
    proof: str
    refused: tuple[TargetRefusal, ...]
    newer: tuple[str, ...]
    misread: tuple[TargetRefusal, ...]
    missing: tuple[MissingFile, ...]
    unproven: tuple[str, ...]
    verdicts: tuple[CauseVerdict, ...] = ()
    unexamined: tuple[tuple[str, str], ...] = ()
    compared: str = ""
    interpreters: tuple[tuple[str, str], ...] = ()
    build_failure: str = ""
    unread: tuple[str, ...] = ()
    alive: str = ""
    calm: tuple[str, ...] = ()
    accepted: frozenset[str] = frozenset()
    compiler: str = ""
    neighbours: tuple[str, ...] = ()
    message_places: tuple[MessagePlace, ...] = ()
    is_python_2: bool = False
    service: str = ""
    import_findings: tuple[ImportFinding, ...] = ()
    recovered: bool = False
    broken_imports: tuple[ImportFinding, ...] = ()
    starts: bool = False
