"""`buildguard env`: the variables that the code requires, and what sets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from buildguard.cli.completion import complete_services
from buildguard.cli.help import examples
from buildguard.cli.options import format_option, output_option
from buildguard.cli.output import deliver
from buildguard.cli.render.source_line import fold_text
from buildguard.cli.terminal import columns

if TYPE_CHECKING:
    from buildguard.startup.variables.survey import ImageContract


@click.command(epilog=examples("buildguard env", "buildguard env --format dotenv --output .env.example"))
@format_option("text", "dotenv", "json")
@output_option
@click.option(
    "--service", default="", metavar="NAME", shell_complete=complete_services, help="Show only this service's image."
)
def env(*, form: str, output: Path | None, service: str) -> None:
    """Show the variables that the code requires at start, later or not at all, and what sets each of them."""
    from buildguard.cli.render.env import as_dotenv, as_json, as_text
    from buildguard.load import Project
    from buildguard.startup.variables.survey import read_contracts

    project = Project.load(Path.cwd())
    contracts = read_contracts(project.stage, project.repository, project.config, service)
    renderings: dict[str, Callable[[Sequence[ImageContract]], str]] = {
        "text": as_text,
        "dotenv": as_dotenv,
        "json": as_json,
    }
    text = renderings[form](contracts)
    deliver(fold_text(text, columns(output)) if form == "text" else text, output)
