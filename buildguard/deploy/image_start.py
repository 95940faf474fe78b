"""`check image:REF --start`: the image is started without a network, and what is observed becomes part of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from buildguard.check.result import CheckReport
from buildguard.codes import Code
from buildguard.compare.image_project import parse
from buildguard.deploy import start
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.start import STAND_IN, StartRequest
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, count
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.offline_start import EntrypointError, OfflineResult
from buildguard.docker.serve import StartOptions
from buildguard.errors import UnprovenError
from buildguard.load import Project
from buildguard.project.start_command import CommandPlace, CommandText
from buildguard.startup.deployed_ports import DeployedPort
from buildguard.startup.variables.survey import started_images

_OWN = {"K_SERVICE": "check", "K_CONFIGURATION": "check", "K_REVISION": "check-start"}


def prove_start(report: CheckReport, project: Project, stage: str, tell: Callable[[str], None]) -> CheckReport:
    """A report with what happens when the image starts; one with errors already is left as it is."""
    if report.image is None or report.errors:
        note = f"not started: {count(report.errors, 'error')} first" if report.errors else ""
        return report._replace(notes=(*report.notes, *filter(None, [note])))  # else it could not be read
    reference, _root = parse(stage)
    config = project.config
    try:
        with closing(daemons.connect()) as daemon:
            names = start_variables(project, images.find(daemon, reference, config.platform, None).command)
        request = StartRequest(
            StartOptions({**_OWN, **dict.fromkeys(names, STAND_IN)}), names, config.deploy.health or "/"
        )
        run = start.start_here(reference, config.platform, tell)
        result, log = run(request.options, request.path, start.STARTS_WITHIN)
    except EntrypointError as error:
        return _failed(report, f"{reference} does not start: {error.what}", "correct the start command", {})
    except UnprovenError as error:
        return report._replace(unproven=(*report.unproven, Unproven(None, None, error.words)))
    evidence = {"started": result.started, **start.start_evidence(result)}
    evidence |= {"ending": result.ending, "stand_ins": list(names)}
    if result.started:
        note = f"start: {start.describe_start(result)}"
        diagnostics = (*report.diagnostics, *_early(reference, result))
        return report._replace(notes=(*report.notes, note), diagnostics=diagnostics, start=evidence)
    return _not_started(
        report, reference, start.describe_failure(project.root, request, result, log, "dir:."), evidence
    )


def _not_started(
    report: CheckReport, reference: str, failure: DeployStoppedError, evidence: dict[str, object]
) -> CheckReport:
    """An error where the log or the port proves it against the image; else it stays unproven."""
    what = failure.what.removeprefix("BG502 ")
    if failure.exit_code == 1:
        return _failed(report, f"{reference}: {what}", failure.hint, evidence)
    words = f"{what}: {failure.hint}" if failure.hint else what
    return report._replace(unproven=(*report.unproven, Unproven(None, None, words)), start=evidence)


def _early(reference: str, result: OfflineResult) -> Iterator[Diagnostic]:
    """BG502 as a warning, where a probe that only connects succeeds before the app can serve."""
    if result.opens_early:
        seconds = (result.useful_after or result.seconds) - (result.bound_after or 0)
        message = f"{reference} opens its port {seconds:.1f} s before it can serve"
        hint = "set a startup probe over HTTP: the default one only connects"
        yield Diagnostic(Code.BG502, Severity.WARNING, None, Range(), message, hint, None, "container")


def start_variables(project: Project, command: Sequence[str]) -> tuple[str, ...]:
    """The variables that get stand-ins: those that a template sets; without one, those that the code requires at start.

    `command` is the image's own.
    """
    deployed = DeployedPort(command=CommandText(CommandPlace("the image", None), tuple(command))) if command else None
    names = dict.fromkeys(project.config.deploy.required_env)
    env: set[str] = set()
    for started in started_images(project.stage, project.repository, project.config, deployed=deployed):
        env.update(started.image.tree.model.env)
        if started.template.is_known:
            names |= dict.fromkeys(started.template.names)
        else:
            required = (each.read for each in started.variables.needed if each.at_start and each.read.is_required)
            names |= dict.fromkeys(read.names[0] for read in required if read.names)
    return tuple(name for name in names if name not in {*env, *_OWN, "PORT", "PATH", "HOME"})


def _failed(report: CheckReport, message: str, hint: str, evidence: dict[str, object]) -> CheckReport:
    diagnostic = Diagnostic(Code.BG502, Severity.ERROR, None, Range(), message, hint, None, "container")
    return report._replace(diagnostics=(*report.diagnostics, diagnostic), start={"started": False, **evidence})
