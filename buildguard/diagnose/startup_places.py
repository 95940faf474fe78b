"""Where in the repository a start that failed was decided: the findings of `check` on start commands, copies and ports."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from buildguard.check.context import Job
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.incident import MessagePlace, SourceLocation
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnostic import Diagnostic
from buildguard.errors import GuardError
from buildguard.startup.run import check_startup

_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CauseId.START_COMMAND: ("BG701", "BG702", "BG704"),
        CauseId.ENCODING: ("BG702",),
        CauseId.WRONG_FILES_SENT: ("BG703", "BG704", "BG707"),
        CauseId.PORT: ("BG705",),
    }
)


def startup_places(job: Job, matches: Iterable[KnownMessageMatch], placed: Collection[int]) -> Iterator[MessagePlace]:
    """The one finding that explains a message about the start; `placed` are the lines whose place is known already."""
    wanted = [match for match in matches if match.message.cause in _CODES and match.line not in placed]
    if not wanted:
        return
    try:
        report = check_startup(job.place.stage, job.place.repository, job.config)
    except GuardError:
        return  # the commit's own files cannot be read: that is reported elsewhere
    for match in wanted:
        findings = [item for item in report.diagnostics if _explains(item, match)]
        if len({(item.path, item.range.line) for item in findings}) == 1 and findings[0].path is not None:
            place = SourceLocation(findings[0].path, findings[0].range.line)
            yield MessagePlace(match.line, (place,), match.message.cause, findings[0].message, findings[0].hint)


def _explains(finding: Diagnostic, match: KnownMessageMatch) -> bool:
    """Whether a finding is of a message's kind, and about what the message names, where it names something."""
    if finding.code not in _CODES[match.message.cause]:
        return False
    names = [posixpath.basename(name.strip("\"' ")) for name in match.groups.values() if name]
    return not names or any(name.partition(":")[0] in finding.message for name in names if name)
