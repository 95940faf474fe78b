"""Help: whole summaries, commands grouped by job, and two examples at the end of each page."""

from __future__ import annotations

import inspect

import click

GROUPS = {
    "Check the source": ("check", "fix", "manifest", "diff", "env"),
    "Deploy": ("deploy", "loop", "rollback", "history"),
    "Find out why": ("diagnose", "explain"),
    "Set up": ("init", "doctor"),
}


def examples(*commands: str) -> str:
    """The end of a help page; the first lines are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  $ {command}" for command in commands)])


class GroupedCommands(click.Group):
    """Lists its commands by job, each with its whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, those of no job last."""
        visible = {
            name: command
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        }
        grouped = {name for names in GROUPS.values() for name in names}
        groups = GROUPS | {"Other": tuple(name for name in visible if name not in grouped)}
        width = max(map(len, visible)) + 2
        formatter.write("\nCommands:\n")
        for title, names in groups.items():
            rows = [(name.ljust(width), summary(visible[name])) for name in names if name in visible]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_spacing=0)


def summary(command: click.Command) -> str:
    """The first sentence of a command's help, whole."""
    paragraph = inspect.cleandoc(command.help or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split())
