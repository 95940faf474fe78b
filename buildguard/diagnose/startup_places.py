"""Where in the repository a start that failed was decided: the findings of `check` on start commands, copies and ports."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.check.context import Job
from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.incident import MessagePlace, SourceLocation
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnose.log_parser import Failure
from buildguard.diagnostic import Diagnostic
from buildguard.errors import GuardError
from buildguard.startup.run import check_startup

_MISSING: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "FileNotFoundError": re.compile(r"No such file or directory: ['\"](?P<name>[^'\"\n]+)"),
        "ModuleNotFoundError": re.compile(r"No module named ['\"](?P<name>[\w.]+)"),
    }
)
_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CauseId.START_COMMAND: ("BG701", "BG702", "BG704"),
        CauseId.ENCODING: ("BG702",),
        CauseId.WRONG_FILES_SENT: ("BG703", "BG704", "BG707"),
        CauseId.PORT: ("BG705",),
    }
)


class StartMessages(NamedTuple):
    """What a log says about a start: known messages, and exceptions."""

    matches: Collection[KnownMessageMatch]
    failures: Collection[Failure] = ()


def startup_places(job: Job, messages: StartMessages, placed: Collection[int]) -> Iterator[MessagePlace]:
    """The one finding that explains a message about the start; `placed` are the lines whose place is known already."""
    wanted = [match for match in messages.matches if match.message.cause in _CODES and match.line not in placed]
    failures = [failure for failure in messages.failures if failure.type in _MISSING]
    if not wanted and not failures:
        return
    try:
        report = check_startup(job.place.stage, job.place.repository, job.config)
    except GuardError:
        return  # the commit's own files cannot be read: that is reported elsewhere
    for match in wanted:
        findings = [item for item in report.diagnostics if _explains(item, match)]
        yield from _place(match.line, match.message.cause, findings)
    for failure in failures:
        yield from _place(failure.line, CauseId.WRONG_FILES_SENT, _losing(failure, report.diagnostics))


def _place(line: int, cause: str, findings: Sequence[Diagnostic]) -> Iterator[MessagePlace]:
    if len({(item.path, item.range.line) for item in findings}) == 1 and findings[0].path is not None:
        place = SourceLocation(findings[0].path, findings[0].range.line)
        yield MessagePlace(line, (place,), cause, findings[0].message, findings[0].hint)


def _losing(failure: Failure, findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The findings about a file that no hop brings, or a submodule that is not checked out, which an exception asks for."""
    match = _MISSING[failure.type].search(failure.message)
    if match is None:
        return []
    if failure.type == "FileNotFoundError":
        return [item for item in findings if item.code == Code.BG704 and _names_file(item, match["name"])]
    imports = re.compile(rf"\bimports {re.escape(match['name'])}(?![\w.])")
    return [item for item in findings if item.code == Code.BG707 and imports.search(item.message)]


def _names_file(finding: Diagnostic, path: str) -> bool:
    """Whether a finding is about the file that a path in the image means: one of them ends with the other."""
    source, wanted = finding.subject, path.lstrip("./")
    return f"/{wanted}".endswith(f"/{source}") or f"/{source}".endswith(f"/{wanted}")


def _explains(finding: Diagnostic, match: KnownMessageMatch) -> bool:
    """Whether a finding is of a message's kind, and about what the message names, where it names something."""
    if finding.code not in _CODES[match.message.cause]:
        return False
    names = [posixpath.basename(name.strip("\"' ")) for name in match.groups.values() if name]
    return not names or any(name.partition(":")[0] in finding.message for name in names if name)
