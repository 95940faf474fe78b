"""`deploy --report`: the reports of its cycles as the summary of a job, and an annotation for each failing test."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from buildguard.cli.render.github import command
from buildguard.cycles.case_results import CaseResult
from buildguard.definitions import lazy_pattern
from buildguard.deploy.fleet import FleetReport
from buildguard.diagnose.redact import redact
from buildguard.errors import UnprovenError

_SUMMARY = "GITHUB_STEP_SUMMARY"
_MOST_BYTES = 900_000  # GitHub takes 1 MiB a step
_MOST_ANNOTATIONS = 10  # of one kind in a step: GitHub shows no more
_PLACE = lazy_pattern(r"(?P<path>[^/\\:][^\\:]*):(?P<line>[0-9]{1,7})")


def report_to_ci(report: FleetReport, environ: Mapping[str, str]) -> list[str]:
    """Write the summary; the annotations and notes for stderr, where a CI service reads them too and stdout stays the result."""
    note = write_summary(report, environ)
    return [*annotate_failures(report, environ), *filter(None, [note])]


def write_summary(report: FleetReport, environ: Mapping[str, str]) -> str:
    """Append the reports to the job's summary; a note where the CI service has none."""
    name = environ.get(_SUMMARY, "")
    if not name:
        return f"--report: no job summary is written, for {_SUMMARY} is not set"
    text = "\n".join(_reports(report))
    data = text.encode("utf-8", "backslashreplace")[:_MOST_BYTES].decode("utf-8", "ignore")
    try:
        with open(name, "a", encoding="utf-8", opener=_no_link) as file:
            file.write(f"{data}\n")
    except OSError as error:
        raise UnprovenError(f"the job summary {name} cannot be written: {error.strerror}") from error
    return ""


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _reports(report: FleetReport) -> Iterator[str]:
    from buildguard.cli.cycle_reports import render_cycle

    for each in report.reports:
        if each.finished is not None:
            record, history, changes, *_files = each.finished
            yield render_cycle(record, history, changes)["md"].decode("utf-8")


def annotate_failures(report: FleetReport, environ: Mapping[str, str]) -> list[str]:
    """A workflow command for each failing test, the first ones; none outside of GitHub Actions."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return []
    finished = [each.finished.record for each in report.reports if each.finished is not None]
    failing = [case for record in finished for case in record.last_results.values() if case.outcome.is_bad]
    return [_annotation(case) for case in failing[:_MOST_ANNOTATIONS]]


def _annotation(case: CaseResult) -> str:
    match = _PLACE.fullmatch(case.place)
    is_inside = match is not None and ".." not in match["path"].split("/")
    place = {"file": match["path"], "line": match["line"]} if match is not None and is_inside else {}
    message = redact(case.message) or case.outcome
    return command("error", {**place, "title": redact(case.id)}, message)
