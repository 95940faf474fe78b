"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from buildguard.cli.terminal import ColorChoice

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def in_google(whose: str) -> Decorator:
    """The options of a command that reaches Google; `whose` region it is."""
    project = click.option("--project", default="", metavar="ID", help="Use this Google Cloud project.")
    region = click.option("--region", default="", metavar="NAME", help=f"Use this region of {whose}.")
    return lambda command: project(region(command))


env_option = click.option(
    "--env", default="", metavar="NAME", help="Use this environment of the configuration ([tool.buildguard.env.NAME])."
)


def format_option(*names: str) -> Decorator:
    """The formats of a result; the first is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="Print the result in this format.",
    )


output_option: Decorator = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the result to a file instead of stdout.",
)

color_option: Decorator = click.option(
    "--color",
    type=click.Choice([choice.value for choice in ColorChoice]),
    default=ColorChoice.AUTO.value,
    show_default=True,
    help="Color the output; auto does so on a terminal.",
)

html_option: Decorator = click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write an HTML page as well.",
)
