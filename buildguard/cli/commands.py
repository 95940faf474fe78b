"""The commands: parse, call one capability, render, exit. What they call is imported when they are called."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from buildguard import __version__
from buildguard.cli.check import check
from buildguard.cli.completion import complete_codes, complete_paths, complete_services, complete_stages
from buildguard.cli.env import env
from buildguard.cli.help import GroupedCommands, examples
from buildguard.cli.loop import make_loop
from buildguard.cli.options import color_option, env_option, format_option, html_option, in_google, output_option
from buildguard.cli.output import colored, deliver, protect_log, stdout_file
from buildguard.cli.render.source_line import fold_text
from buildguard.cli.terminal import columns

if TYPE_CHECKING:
    from buildguard.deploy.cycle_history import CycleStory


@click.group(
    cls=GroupedCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("buildguard check", "buildguard diff commit:HEAD dir:. tar:src.tgz"),
)
@click.version_option(__version__, prog_name="buildguard", message="%(prog)s %(version)s")
def cli() -> None:
    """Check that the committed source is what will run, and that the Python that runs it accepts it."""


cli.add_command(check)
cli.add_command(env)


@cli.command(epilog=examples("buildguard fix", "buildguard fix --diff app"))
@click.argument("paths", nargs=-1, metavar="[PATHS…]", shell_complete=complete_paths)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="3.11",
    help="Repair for this Python instead of the declared one; may be repeated.",
)
@click.option(
    "--staged", is_flag=True, help="Repair the given files, or all staged ones; files without Python are skipped."
)
@click.option("--check", "only_check", is_flag=True, help="Report what would be repaired, and write nothing.")
@click.option("--diff", is_flag=True, help="Print the repair as a patch, and write nothing.")
def fix(*, paths: tuple[str, ...], targets: tuple[str, ...], staged: bool, only_check: bool, diff: bool) -> None:
    """Rewrite the f-strings that the target rejects so that every Python accepts them; each repair is proven first."""
    from buildguard.locate import locate

    place = locate(Path.cwd(), paths)

    from buildguard.check.fix import fix as command
    from buildguard.cli.render.fix import patch, text
    from buildguard.project.request import CheckRequest

    request = CheckRequest(cwd=Path.cwd(), staged=staged, targets=targets)
    report = command(request, place, write=not only_check and not diff)
    if diff:
        sys.stdout.buffer.write(patch(report))
        sys.stdout.flush()
    words = text(report, done="would fix" if only_check or diff else "fixed")
    click.echo(fold_text(words, 0 if diff else columns()), nl=False, err=diff)
    sys.exit(report.exit_code)


@cli.command(
    epilog=examples("buildguard manifest --output SHA256SUMS", "buildguard manifest commit:HEAD --format json")
)
@click.argument("stage", default="dir:.", metavar="[STAGE]", shell_complete=complete_stages)
@format_option("text", "json")
@output_option
@in_google("Cloud Build")
def manifest(*, stage: str, form: str, output: Path | None, project: str, region: str) -> None:
    """Hash every file of a stage, as SHA256SUMS for `sha256sum -c` or as JSON with modes, links and the root digest.

    STAGE is commit:REV, index:, dir:PATH, tar:FILE (tar, tgz, zip), gs://bucket/object[#generation], build:ID,
    image:REF[:/root] or manifest:FILE.
    """
    from buildguard.compare.manifest import manifest as command
    from buildguard.compare.open_stage import CloudLocation

    where = CloudLocation(project, region)
    listed = command(Path.cwd(), stage, brief=form == "text", out=output or stdout_file(), where=where)

    from buildguard.cli.render.manifest import as_json, as_text, beside

    if form == "text":
        for line in beside(listed):
            click.echo(line, err=True)
    on_terminal = output is None and sys.stdout.isatty()
    deliver(as_json(listed) if form == "json" else as_text(listed, on_terminal=on_terminal), output)
    sys.exit(listed.exit_code)


@cli.command(
    epilog=examples("buildguard diff commit:HEAD dir:.", "buildguard diff commit:HEAD tar:src.tgz image:web:/app")
)
@click.argument("stages", nargs=-1, required=True, metavar="STAGE STAGE [STAGE…]", shell_complete=complete_stages)
@format_option("text", "json")
@output_option
@html_option
@click.option("--strict", is_flag=True, help="Treat expected differences, and what git does not record, as findings.")
@click.option("--all", "everything", is_flag=True, help="Show every difference on a terminal, not just a screenful.")
@color_option
@in_google("Cloud Build")
def diff(
    *,
    stages: tuple[str, ...],
    form: str,
    output: Path | None,
    html: Path | None,
    strict: bool,
    everything: bool,
    color: str,
    project: str,
    region: str,
) -> None:
    """Compare stages hop by hop, and report the first hop where bytes changed and the cause.

    STAGE is commit:REV, index:, dir:PATH, tar:FILE (tar, tgz, zip), gs://bucket/object[#generation], build:ID,
    image:REF[:/root] or manifest:FILE.
    """
    from buildguard.cli.render.diff import chain_json, chain_text
    from buildguard.compare.diff import diff as command
    from buildguard.compare.open_stage import CloudLocation

    result = command(Path.cwd(), stages, strict=strict, where=CloudLocation(project, region))
    if html is not None:
        from buildguard.cli.render.html_diff import page

        deliver(page(result), html)
    text = (
        chain_json(result)
        if form == "json"
        else chain_text(result, most=not everything and output is None and sys.stdout.isatty())
    )
    if form == "text":
        text = fold_text(colored(text, color, to_file=output is not None), columns(output))
    deliver(text, output)
    sys.exit(result.chain.exit_code)


@cli.command(
    epilog=examples("buildguard diagnose --log build.log", "gcloud builds log ID | buildguard diagnose --log -"),
    context_settings={"allow_extra_args": True},
)
@click.option(
    "--build", default="", metavar="ID", help="Read this build in Cloud Build: its status, its log and its workspace."
)
@click.option("--log", "log", metavar="FILE|-", help="Read the log of the build or the service; - is stdin.")
@click.option("--image", default="", metavar="REF", help="Read this image: its files and its Python.")
@click.option(
    "--revision",
    default="",
    metavar="NAME",
    help="Read this revision in Cloud Run: its conditions, its log and its image.",
)
@click.option("--job", default="", metavar="NAME", help="Read the log of the last failure of this Cloud Run job.")
@format_option("text", "json", "markdown")
@output_option
@html_option
@color_option
@in_google("Cloud Build and Cloud Run")
def diagnose(*, log: str | None, form: str, output: Path | None, html: Path | None, color: str, **asked: str) -> None:
    """Find out why a build or a service failed, from its log and this repository."""
    from buildguard.diagnose.evidence import DiagnoseOptions
    from buildguard.diagnose.run import examine
    from buildguard.errors import UsageError

    if extra := click.get_current_context().args:
        raise UsageError(
            f"diagnose takes options only, not {extra[0]}", hint=f"buildguard diagnose --log {shlex.quote(extra[0])}"
        )
    examined = examine(Path.cwd(), None if log is None else _pasted(log), DiagnoseOptions(**asked))
    diagnosis = examined.diagnosis
    if html is not None:
        from buildguard.cli.render.html import page

        deliver(page(examined), html, is_private=True)

    from buildguard.cli.render.diagnosis import RENDERINGS
    from buildguard.cli.render.diagnosis import text as as_text

    if form == "text":
        text = colored(as_text(diagnosis, columns(output)), color, to_file=output is not None)
    else:
        text = RENDERINGS[form](diagnosis)
    deliver(text, output, is_private=True)
    sys.exit(diagnosis.exit_code)


@cli.command(epilog=examples("buildguard deploy --dry-run", "buildguard deploy --build-local --no-traffic"))
@click.option("--build-local", is_flag=True, help="Build on this machine instead of in Cloud Build.")
@click.option("--dry-run", is_flag=True, help="Show the plan and what would be refused, and change nothing.")
@click.option("--yes", is_flag=True, help="Deploy without asking for confirmation.")
@click.option("--no-traffic", is_flag=True, help="Give the new revision no traffic, only its tag.")
@click.option(
    "--fallback",
    type=click.Choice(["auto", "ask", "never"]),
    help="Build on this machine if Cloud Build fails, ask first, or never; the default is the configured one, or ask.",
)
@format_option("text", "json")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_services,
    help="Deploy this service; may be repeated.",
)
@env_option
@click.option("--from", "from_env", default="", metavar="ENV", help="Ship the image that this environment has proven.")
@click.option("--all", "all_services", is_flag=True, help="Deploy every service of the configuration.")
@click.option(
    "--allow-dirty", is_flag=True, help="Deploy the tracked files as they are here, uncommitted changes included."
)
@click.option("--allow-unpushed", is_flag=True, help="Deploy a commit that no remote has.")
@click.option("--build-region", default="", metavar="NAME", help="Build in this region of Cloud Build.")
@click.option(
    "--start-env",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Start the container here with these NAME=VALUE lines instead of stand-ins.",
)
@click.option("--skip-start", default="", metavar="REASON", help="Do not start the container here; record the reason.")
@click.option("--accept-vanished", is_flag=True, help="Accept that tests of the last cycle are gone.")
@click.option("--unlock", default="", metavar="RUN", help="Take over the lock of this run, which has ended elsewhere.")
@click.option("--report", is_flag=True, help="Write the job summary of CI, and an annotation for each failing test.")
@color_option
@in_google("Cloud Run")
def deploy(
    *, dry_run: bool, yes: bool, form: str, fallback: str | None, color: str, report: bool, **asked: Any
) -> None:
    """Check, build, verify and deploy a commit, and prove which revision serves it."""
    from buildguard.cli.cycle_reports import render_cycle
    from buildguard.cli.render.deploys import as_json, as_text
    from buildguard.cli.render.progress import Progress
    from buildguard.deploy.fleet import deploy_all, plan_deploys
    from buildguard.deploy.prepare import DeployRequest as Wanted

    request = Wanted(cwd=Path.cwd(), fallback=fallback or "", **asked)
    with Progress() as progress:
        ask = _asking(yes=yes)
        result = plan_deploys(request) if dry_run else deploy_all(request, progress, ask, render_cycle)
    text = as_json(result) if form == "json" else protect_log(colored(as_text(result, columns()), color))
    deliver(text, None)
    if report:
        from buildguard.cli.ci_report import report_to_ci

        for line in report_to_ci(result, os.environ):
            click.echo(line, err=True)
    sys.exit(result.exit_code)


@cli.command(epilog=examples("buildguard rollback", "buildguard rollback --revision backend-00041-abc"))
@click.option(
    "--revision",
    default="",
    metavar="NAME",
    help="Go back to this revision; the default is the last one proven to serve alone.",
)
@click.option(
    "--service", default="", metavar="NAME", shell_complete=complete_services, help="Use this Cloud Run service."
)
@env_option
@in_google("Cloud Run")
def rollback(*, revision: str, **asked: Any) -> None:
    """Send all traffic back to an earlier revision."""
    from buildguard.cli.render.deploy import rollback_text
    from buildguard.cli.render.progress import Progress
    from buildguard.deploy.prepare import DeployRequest as Wanted
    from buildguard.deploy.rollback import rollback as command

    with Progress() as progress:
        result = command(Wanted(cwd=Path.cwd(), **asked), revision, progress)
    deliver(fold_text(rollback_text(result), columns()), None)


@cli.command(epilog=examples("buildguard history 7", "buildguard history --html story.html"))
@click.argument("cycle", default="", metavar="[CYCLE]")
@format_option("text", "json")
@html_option
@click.option("--service", default="", metavar="NAME", shell_complete=complete_services, help="Show only this service.")
@env_option
@in_google("Cloud Run")
def history(*, cycle: str, form: str, html: Path | None, **asked: Any) -> None:
    """Show each deploy, how far it got, how many tests passed, and why it stopped; with the number of a CYCLE, its report."""
    from buildguard.cli.render.deploy import HistoryView, history_json, history_text
    from buildguard.deploy.cycle_history import read_story
    from buildguard.deploy.history import fleet_of
    from buildguard.deploy.history import history as command
    from buildguard.deploy.prepare import DeployRequest as Wanted

    request = Wanted(cwd=Path.cwd(), **asked)
    story = read_story(request)
    if html is not None or cycle:
        _show_story(story, cycle, html)
        return
    view = HistoryView(command(request), story.cycles, fleet_of(request))
    text = history_json(view) if form == "json" else history_text(view, columns())
    deliver(text, None)


def _show_story(story: CycleStory, cycle: str, html: Path | None) -> None:
    """The report of one cycle, or all of them on one page."""
    from buildguard.cli.cycle_reports import cycle_text, story_page
    from buildguard.errors import UsageError

    if not story.cycles:
        raise UsageError("no cycle is recorded here yet", hint="buildguard deploy")
    if html is not None:
        chosen = story._replace(cycles=(*story.before(story.find(cycle)).cycles, story.find(cycle))) if cycle else story
        deliver(story_page(chosen), html, is_private=True)
    if cycle:
        deliver(cycle_text(story, cycle), None)


def _asking(*, yes: bool) -> Callable[[str], bool | None]:
    """Ask the person at the terminal; without one the answer is None. `--yes` answers the first question, the deploy itself."""
    asked: list[str] = []

    def ask(question: str) -> bool | None:
        asked.append(question)
        if yes and len(asked) == 1:
            return True
        if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        return click.confirm(question, default=False, err=True)

    return ask


@cli.command(
    hidden=True,
    epilog=examples("buildguard emulator", "buildguard emulator --fault http-503=1 -- pytest tests/e2e"),
    context_settings={"ignore_unknown_options": True},
)
@click.option("--fault", "faults", multiple=True, metavar="NAME[=VALUE]", help="Inject this fault; may be repeated.")
@click.option("--project", "projects", multiple=True, metavar="ID", help="A project to which calls have access.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
def emulator(*, faults: tuple[str, ...], projects: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Run Cloud Build, Cloud Storage and Cloud Run on this machine, for a COMMAND or until Ctrl-C."""
    from buildguard.cli.emulator import run

    sys.exit(run(Path.cwd(), faults, command, click.echo, projects))


@cli.command(epilog=examples("buildguard explain 201", "buildguard explain f-string"))
@click.argument("word", required=False, metavar="[CODE | WORD]", shell_complete=complete_codes)
@click.option("--all", "everything", is_flag=True, help="Print the page of every code.")
def explain(*, word: str | None, everything: bool) -> None:
    """Explain a code: what it means, why it breaks, and how to repair it.

    A number (201), a beginning (BG2) or a word (f-string) will do; without any of them, all codes are listed.
    """
    from buildguard.cli import explain as pages
    from buildguard.errors import UsageError

    if word is not None and everything:
        raise UsageError("a code and --all cannot be combined", hint="buildguard explain --all")
    text = pages.explain_all() if everything else pages.list_codes() if word is None else pages.explain(word)
    click.echo(fold_text(text, columns()), nl=False)


@cli.command(epilog=examples("buildguard doctor", "buildguard doctor --fix backend"))
@click.argument("path", default=".", shell_complete=complete_paths)
@click.option("--fix", is_flag=True, help="Print what would make every verdict a proof, and nothing else.")
@format_option("text", "json")
def doctor(path: str, *, fix: bool, form: str) -> None:
    """Show the detected targets, interpreters and engines, and which would be used; as JSON, the services and their proof."""
    if form == "json":
        from buildguard.cli.doctor_services import services_json

        click.echo(services_json(Path.cwd()), nl=False)
        return
    if fix:
        from buildguard.cli.doctor_fix import doctor_fix

        click.echo(doctor_fix(Path.cwd(), path), nl=False)
        return
    from buildguard.cli.doctor import doctor as show

    click.echo(fold_text(show(Path.cwd(), path), columns()), nl=False)


@cli.command(epilog=examples("buildguard init", "buildguard init --cloudbuild"))
@click.option(
    "--cloudbuild", "cloud_build", is_flag=True, help="Write the build step that checks every build, and nothing else."
)
@click.option("--pre-commit", is_flag=True, help="Add the hook to .pre-commit-config.yaml.")
def init(*, cloud_build: bool, pre_commit: bool) -> None:
    """Write the git hooks and a commented configuration, and never overwrite your files."""
    from buildguard.cli.init import init as command

    for line in command(Path.cwd(), cloud_build=cloud_build, pre_commit=pre_commit):
        click.echo(fold_text(line, columns()), nl=False)


cli.add_command(make_loop(deploy, _asking))


def _pasted(log: str) -> bytes:
    """The end of the log, as much as is read of one: of a file, or of what is pasted."""
    from buildguard.diagnose.log_parser import read_tail
    from buildguard.errors import UsageError

    if log == "-":
        if sys.stdin.isatty():
            click.echo("paste the log, then press Ctrl-D on a line of its own", err=True)
        return read_tail(sys.stdin.buffer)
    try:
        with open(log, "rb") as file:
            return read_tail(file)
    except OSError as error:
        raise UsageError(
            f"{log}: {error.strerror}", hint="buildguard diagnose --log FILE, or --log - to paste it"
        ) from error
