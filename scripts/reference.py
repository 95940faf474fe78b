"""The reference pages of the documentation, made from the program itself when the site is built (a hook of MkDocs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from mkdocs.structure.files import File

from buildguard import codes as buildguard_codes
from buildguard.cli.commands import cli as root
from buildguard.project import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.structure.files import Files


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for name, lines in (("commands", commands()), ("configuration", configuration()), ("codes", codes())):
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines) + "\n"))
    return files


def on_page_markdown(markdown: str, **_page: Any) -> str:
    """Lead links that work in a checkout to the pages of the site."""
    return markdown.replace("](../buildguard/pages)", "](reference/codes.md)")


def commands() -> Iterator[str]:
    """Every command, as its `--help` has it."""
    yield "# Commands\n"
    context = click.Context(root, info_name="buildguard")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None and not command.hidden:
            words = command.get_help(click.Context(command, parent=context, info_name=name))
            yield f"## {name}\n\n```text\n{words}\n```\n"


def configuration() -> Iterator[str]:
    """Every key of every table, with its type."""
    yield "# Configuration\n"
    yield "In `buildguard.toml`, or below `[tool.buildguard]` in `pyproject.toml`. An unknown key is an error.\n"
    for table, keys in config.KEYS.items():
        title = {"": "Top level", "service": "`[[service]]`, as often as there are services"}.get(table, f"`[{table}]`")
        yield f"## {title}\n\n| key | value |\n|---|---|"
        yield from (f"| `{key}` | {config.WORDS[kind]} |" for key, kind in keys.items())
        yield ""


def codes() -> Iterator[str]:
    """The page of every code."""
    yield "# Codes\n"
    for code in buildguard_codes.CODES:
        yield buildguard_codes.page(code).replace("\n## ", "\n### ").replace("# BG", "## BG", 1)
