"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable

import click


def in_google(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that reaches Google."""
    project = click.option("--project", default="", metavar="ID", help="The Google Cloud project.")
    return project(click.option("--region", default="", metavar="NAME", help="Cloud Build's region.")(command))
