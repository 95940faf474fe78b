"""`buildguard check` on the command line: its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from buildguard.cli.check_command import run_check
from buildguard.cli.completion import complete_codes, complete_engines, complete_services, complete_stages
from buildguard.cli.help import examples
from buildguard.cli.options import color_option, html_option, in_google
from buildguard.cli.render.formats import FORMATS


def _output_options(command: Callable[..., None]) -> Callable[..., None]:
    """What is printed, how and where."""
    options = (
        click.option(
            "--format", "form", type=click.Choice(FORMATS), help="Print the result in this format; the default is text."
        ),
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="[FORMAT=]FILE",
            help="Write the result to a file; FORMAT=FILE may be repeated, and - is stdout.",
        ),
        click.option(
            "--all", "everything", is_flag=True, help="Show every finding on a terminal, not just a screenful."
        ),
        click.option("--statistics", is_flag=True, help="Count the findings of each code instead of listing them."),
        click.option("-q", "--quiet", is_flag=True, help="Print findings and what is unproven, and nothing else."),
        click.option("-v", "--verbose", is_flag=True, help="Print everything, with each hint and the engine."),
        color_option,
        html_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog=examples("buildguard check", "buildguard check --staged --target 3.11"),
)
@click.argument("paths", nargs=-1, metavar="[PATHS… | STAGE]", shell_complete=complete_stages)
@click.option("--staged", is_flag=True, help="Check the index: the given files, or all staged changes.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="3.11",
    help="Compile for this Python instead of the declared one; may be repeated.",
)
@click.option(
    "--engine",
    default="auto",
    metavar="NAME[,NAME…]",
    shell_complete=complete_engines,
    help="Use auto, interpreter, container, cloud or static; the default is auto.",
)
@click.option("--fetch-python", is_flag=True, help="Install a missing target Python with uv.")
@click.option("--image", default="", metavar="REF", help="Compile with the interpreter of this image.")
@click.option(
    "--service",
    default="",
    metavar="NAME",
    shell_complete=complete_services,
    help="Check only this one of several Dockerfiles or services.",
)
@click.option(
    "--proof",
    type=click.Choice(["image", "compiled", "predicted"]),
    default="compiled",
    show_default=True,
    help="Require at least this proof; anything less is unproven.",
)
@_output_options
@click.option("--no-cache", "use_cache", flag_value=False, default=True, help="Compile every file again.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=None, metavar="N", help="Use N processes; the default is all cores."
)
@click.option(
    "--select",
    multiple=True,
    metavar="CODE",
    shell_complete=complete_codes,
    help="Report only this code, or a beginning such as BG2; may be repeated.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODE",
    shell_complete=complete_codes,
    help="Leave out this code, or a beginning; may be repeated.",
)
@click.option("--diff-base", default="", metavar="REV", help="Report only findings in files changed since REV.")
@click.option("--strict", is_flag=True, help="Treat warnings as findings.")
@click.option(
    "--stdin-filename",
    metavar="PATH",
    help="Check this file with the content of stdin, as editors do: check --stdin-filename app/x.py -",
)
@click.option("--baseline", default="", metavar="FILE", help="Leave out the known findings of this baseline.")
@click.option("--write-baseline", is_flag=True, help="Write today's findings to the baseline, and leave them out.")
@click.option("--config", default="", metavar="FILE", help="Read the configuration from this file alone.")
@click.option("--isolated", is_flag=True, help="Ignore every configuration file.")
@click.option(
    "--environment",
    default="",
    metavar="DIR",
    help="Take the packages of this virtual environment for the installed ones.",
)
@click.option(
    "--start", "proves_start", is_flag=True, help="Start image:REF without a network, and report what happens."
)
@click.option(
    "--imports",
    "imports_all",
    is_flag=True,
    help="Import each reachable module of image:REF there, which executes its code, and report every failure.",
)
@click.option("--rehearse", is_flag=True, help="Show what breaks on which of several targets, file by file.")
@in_google("Cloud Build")
@click.option("--verify-download", is_flag=True, help="Read back what was uploaded, and hash it.")
def check(*, paths: tuple[str, ...], jobs: int | None, stdin_filename: str | None, **options: Any) -> None:
    """Compile every source file under the Python that will run it.

    STAGE is index:, commit:REV, tar:FILE, gs://bucket/object or image:REF[:/root]; nothing is checked out, extracted or
    run for it.
    """
    run_check(paths=paths, jobs=jobs, stdin_filename=stdin_filename, **options)
