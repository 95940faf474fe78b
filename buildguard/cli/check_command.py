"""`buildguard check` with its options parsed: what it runs, and what it prints. click is not imported here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from buildguard.cli.output import Destination, deliver_all, destinations, protect_log
from buildguard.cli.render.formats import render
from buildguard.cli.render.layout import Detail, TextLayout
from buildguard.cli.terminal import ColorChoice, screen, wants_color
from buildguard.definitions import TYPE_CHECKING
from buildguard.errors import UnprovenError, UsageError

if TYPE_CHECKING:
    from typing import Any

    from buildguard.check.result import CheckReport
    from buildguard.cli.render.progress import Progress
    from buildguard.locate import WorkScope
    from buildguard.project.request import CheckRequest

_FOR_PEOPLE = frozenset({"text", "concise"})


def run_check(*, paths: tuple[str, ...], jobs: int | None, stdin_filename: str | None, **options: Any) -> None:
    """Check, print the report, and exit with its status."""
    stage = "index:" if options["staged"] else paths[0] if len(paths) == 1 else "dir:."
    asked, print_report = _printer(options, stage)
    _refuse_configuration(paths, asked)
    _refuse_stdin(paths, stdin_filename, asked)
    named, write, rehearses = asked.pop("baseline"), asked.pop("write_baseline"), asked.pop("rehearse")
    executed = _executed(stage, imports_all=asked.pop("imports_all"), proves_start=asked.pop("proves_start"))
    report = _without_known(_run(paths, jobs or 0, asked, stdin_filename), named, write=write)
    report = executed(report)
    print_report(_rehearsed(report) if rehearses else report)
    sys.exit(report.exit_code)


def _executed(stage: str, *, imports_all: bool, proves_start: bool) -> Callable[[CheckReport], CheckReport]:
    """What is added to a report by executing an image; raises UsageError where that makes no sense, or is refused."""
    flag = "--imports" if imports_all else "--start" if proves_start else ""
    if not flag:
        return lambda report: report
    if not stage.startswith("image:"):
        raise UsageError(f"{flag} executes an image", hint=f"buildguard check image:REF {flag}")

    from buildguard.cli.render.progress import Progress
    from buildguard.system.fork_event import refuse_fork_event

    refuse_fork_event(f"check image:REF {flag}", os.environ)

    def execute(report: CheckReport) -> CheckReport:
        from buildguard.deploy.image_modules import import_all
        from buildguard.deploy.image_start import prove_start
        from buildguard.load import Project

        project = Project.load(Path.cwd())
        with Progress() as progress:
            if imports_all:
                report = import_all(report, project, stage, progress.tell)
            return prove_start(report, project, stage, progress.tell) if proves_start else report

    return execute


def _rehearsed(report: CheckReport) -> CheckReport:
    from buildguard.check.rehearsal import rehearse

    return report._replace(rehearsal=rehearse(report))


def _printer(options: dict[str, Any], stage: str) -> tuple[dict[str, Any], Callable[[CheckReport], None]]:
    """Split the options of the output off, and refuse those that contradict each other before anything runs."""
    names = ("form", "outputs", "everything", "statistics", "quiet", "verbose", "color", "html")
    output = {name: options.pop(name) for name in names}
    where = destinations(output["form"], output["outputs"])
    if output["quiet"] and output["verbose"]:
        raise UsageError("-q and -v cannot be combined")
    if output["statistics"] and not any(destination.form in _FOR_PEOPLE for destination in where):
        raise UsageError("--statistics needs the format text or concise", hint="buildguard check --statistics")

    def print_report(report: CheckReport) -> None:
        pages = [(_page(report, stage), output["html"])] if output["html"] is not None else []
        deliver_all([*pages, *((_rendered(report, output, to), to.file) for to in where)])

    return options, print_report


def _page(report: CheckReport, stage: str) -> str:
    from buildguard.cli.render.html_check import page

    return page(report, stage)


def _rendered(report: CheckReport, output: dict[str, Any], to: Destination) -> str:
    folder = str(Path.cwd())
    layout = _layout(output, to)._replace(root=os.path.normpath(os.path.join(folder, report.root)), folder=folder)
    text = render(report, to.form, layout)
    return protect_log(text) if to.file is None and to.form in _FOR_PEOPLE else text


def _layout(output: dict[str, Any], to: Destination) -> TextLayout:
    size = screen() if to.file is None else None
    detail = Detail.QUIET if output["quiet"] else Detail.VERBOSE if output["verbose"] else Detail.NORMAL
    return TextLayout(
        color=wants_color(ColorChoice(output["color"]), to_file=to.file is not None),
        lines=size.lines if size is not None and not output["everything"] and not output["verbose"] else None,
        width=size.columns if size is not None else 0,
        detail=detail,
        statistics=output["statistics"],
    )


def _refuse_configuration(paths: tuple[str, ...], asked: dict[str, Any]) -> None:
    """Raise UsageError for two sources of configuration, and for a stage that reads its own."""
    given = "--config" if asked["config"] else "--isolated" if asked["isolated"] else ""
    if asked["config"] and asked["isolated"]:
        raise UsageError("--config and --isolated cannot be combined")
    if given and paths and paths[0].startswith("image:"):
        raise UsageError(
            f"{given} cannot be combined with image:", hint="the project's configuration locates its files"
        )


def _refuse_stdin(paths: tuple[str, ...], name: str | None, asked: dict[str, Any]) -> None:
    """Stdin is one file with a name, in the working tree; raises UsageError for anything else."""
    example = "buildguard check --stdin-filename app/x.py -"
    if name is None:
        if "-" in paths:
            raise UsageError("stdin needs a file name", hint=example)
        return
    if paths not in {(), ("-",)}:
        raise UsageError("--stdin-filename checks one file, from stdin", hint=example)
    for option, value in (("--staged", asked["staged"]), ("--diff-base", asked["diff_base"])):
        if value:
            raise UsageError(f"--stdin-filename and {option} cannot be combined", hint=example)
    if "cloud" in asked["engine"]:
        raise UsageError("--stdin-filename and --engine cloud cannot be combined", hint=example)


def _unsaved(name: str) -> WorkScope:
    """The working tree with the content of stdin in place of one file's."""
    from buildguard.locate import locate
    from buildguard.stages.unsaved import UnsavedStage

    file = Path(name)
    if file.name in {"", ".", ".."}:
        raise UsageError(f"--stdin-filename {name}: this is no file name", hint="--stdin-filename app/x.py")
    scope = locate(Path.cwd(), (str(file.parent),))
    folder = scope.paths[0]
    path = (folder + b"/" if folder else b"") + os.fsencode(file.name)
    return scope._replace(stage=UnsavedStage(scope.stage, path, sys.stdin.buffer.read()), paths=(path,))


def _run(paths: tuple[str, ...], jobs: int, asked: dict[str, Any], unsaved: str | None) -> CheckReport:
    """The report, which exists even if nothing could be examined, so that programs get JSON here too."""
    from buildguard.locate import locate

    inside = len(paths) == 1 and paths[0].startswith("image:")
    place: WorkScope | UnprovenError | None = None
    try:
        # first, so that git lists the files while the rest is being imported
        if unsaved is not None:
            place = _unsaved(unsaved)
        elif not inside:
            place = locate(Path.cwd(), paths, staged=asked["staged"])
    except UnprovenError as error:
        place = error

    from buildguard.cli.render.progress import Progress
    from buildguard.project.proof_grade import ProofGrade
    from buildguard.project.request import CheckRequest

    request = CheckRequest(cwd=Path.cwd(), jobs=jobs, **{**asked, "proof": ProofGrade(asked["proof"])})
    with Progress() as progress:
        try:
            return _examine(request, place or paths[0], progress)
        except UnprovenError as error:
            return _nothing_proven(error, strict=request.strict)


def _without_known(report: CheckReport, named: str, *, write: bool) -> CheckReport:
    """The report without the findings of its baseline, which is written first if that is asked for."""
    if not (named or report.baseline or write):
        return report
    from buildguard.check import baseline
    from buildguard.cli.render.formats import write as write_file
    from buildguard.stages.filesystem import read_file

    name = named or report.baseline or baseline.DEFAULT_FILE
    file = Path.cwd() / (name if named else Path(report.root) / name)
    if write:
        write_file(baseline.to_text(report), file)
    data = read_file(os.fsencode(file))
    if not isinstance(data, bytes):
        why = "not found" if data.is_missing else data.reason
        raise UsageError(f"baseline {name}: {why}", hint="buildguard check --write-baseline")
    return baseline.apply(report, baseline.parse(data, name), name)


def _examine(request: CheckRequest, place: WorkScope | UnprovenError | str, progress: Progress) -> CheckReport:
    """The report on a place, or on an image."""
    if isinstance(place, UnprovenError):
        raise place
    if isinstance(place, str):
        from buildguard.check.image import check_image

        return check_image(request, place, progress)
    from buildguard.check.run import check as command

    return command(request, place, progress)


def _nothing_proven(error: UnprovenError, *, strict: bool) -> CheckReport:
    """A report for what could not even begin."""
    from buildguard.check.result import CheckReport
    from buildguard.diagnostic import Unproven

    return CheckReport(".", (), (), (Unproven(None, None, error.words),), (), 0, 0.0, strict)
