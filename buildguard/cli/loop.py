"""The command `loop`: the options of `deploy`, and its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from buildguard.cli.help import examples
from buildguard.cli.output import colored, deliver, protect_log
from buildguard.cli.terminal import columns
from buildguard.definitions import lazy_pattern
from buildguard.errors import UsageError

_OWN = frozenset({"dry_run", "report"})  # of `deploy`
_DURATION = lazy_pattern(r"(?P<number>\d{1,6})(?P<unit>[smh]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_HELP = """Deploy and verify cycle after cycle until the gates hold; a red cycle is diagnosed and leaves the traffic as it is.

After a red cycle it ends, waits for a new commit (--wait), or runs a command that makes one (--between). Gates, verify commands, known
failures and the set of tests are frozen when it starts: a commit that changes them stops it.
"""


def make_loop(deploy: click.Command, asking: Callable[..., Callable[[str], bool | None]]) -> click.Command:
    """The command, with the options of `deploy`; `asking` makes what puts questions to the person."""
    own = [
        click.Option(["--wait"], is_flag=True, help="After a red cycle, wait until another commit is checked out."),
        click.Option(
            ["--between"],
            default="",
            metavar="CMD",
            help="After a red cycle, run this; it gets the report in BUILDGUARD_REPORT, no cloud credentials, and makes a commit.",
        ),
        click.Option(
            ["--max-cycles"],
            type=click.IntRange(min=1),
            metavar="N",
            help="End after so many cycles; the default is no limit.",
        ),
        click.Option(
            ["--max-time"],
            metavar="DURATION",
            help="Begin no cycle after so long (90s, 30m or 2h); the default is no limit.",
        ),
        click.Option(
            ["--report"],
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="Copy each report there.",
        ),
        click.Option(
            ["--restart"], is_flag=True, help="Freeze gates, verify commands and tests again, and count from 1."
        ),
    ]
    shared = [parameter for parameter in deploy.params if parameter.name not in _OWN]
    return click.Command(
        "loop",
        params=[*own, *shared],
        callback=lambda **options: run_loop(asking, **options),
        help=_HELP,
        epilog=examples('buildguard loop --between "./fix-it" --max-cycles 5', "buildguard loop --wait --max-time 2h"),
    )


def run_loop(
    asking: Callable[..., Callable[[str], bool | None]], *, yes: bool, form: str, color: str, **options: Any
) -> None:
    """Run the loop, print what became of it, and exit."""
    from buildguard.cli.cycle_reports import render_cycle
    from buildguard.cli.render.loop import loop_json, loop_text
    from buildguard.cli.render.progress import Progress
    from buildguard.deploy.prepare import DeployRequest
    from buildguard.loop.run import LoopOptions, LoopTools, loop

    own = {name: options.pop(name) for name in LoopOptions._fields if name in options}
    own["max_time"] = parse_duration(own["max_time"])
    request = DeployRequest(cwd=Path.cwd(), fallback=options.pop("fallback") or "", **options)
    with Progress() as progress:
        report = loop(request, LoopOptions(**own), LoopTools(progress, asking(yes=yes), render_cycle))
    text = loop_json(report) if form == "json" else protect_log(colored(loop_text(report, columns()), color))
    deliver(text, None)
    sys.exit(report.exit_code)


def parse_duration(text: str | None) -> float | None:
    """Seconds; None without a limit. Raises UsageError for what is no duration."""
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(f"--max-time {text}: not a duration", hint="--max-time 30m")
    return float(int(match["number"]) * _UNITS[match["unit"]])
