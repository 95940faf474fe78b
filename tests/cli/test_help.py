"""Help pages: whole sentences, commands grouped by job, and examples that can be pasted."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from buildguard.cli.commands import cli
from buildguard.cli.help import GROUPS, examples, summary
from buildguard.cli.options import format_option, in_google, output_option

_COMMANDS = sorted(cli.commands)


def _context(name: str) -> click.Context:
    return click.Context(cli.commands[name], info_name=name, parent=click.Context(cli, info_name="buildguard"))


def _examples(text: str) -> list[str]:
    return re.findall(r"^ +\$ (.*)$", text.split("Examples:")[1], re.MULTILINE)


def test_each_command_is_listed_with_its_whole_summary() -> None:
    text = cli.get_help(click.Context(cli, info_name="buildguard", terminal_width=80))

    assert "…" not in text
    assert "..." not in text.split("Commands:")[1]
    words = " ".join(text.split())
    for name in _COMMANDS:
        listed = f"{name} {summary(cli.commands[name])}"
        assert (listed in words) is not cli.commands[name].hidden
    assert [title for title in GROUPS if f"\n{title}:\n" not in text] == []
    assert "\nOther:" not in text


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_option_has_a_full_sentence(name: str) -> None:
    options = [parameter for parameter in cli.commands[name].params if isinstance(parameter, click.Option)]

    for option in options:
        assert re.match(r"[A-Z].* ", option.help or ""), option.opts
        assert (option.help or "").endswith((".", "app/x.py -")), option.opts


def test_an_option_with_a_default_shows_it() -> None:
    for name in _COMMANDS:
        for option in cli.commands[name].params:
            if isinstance(option, click.Option) and isinstance(option.type, click.Choice):
                assert option.show_default or "the default is" in (option.help or ""), (name, option.opts)


@pytest.mark.parametrize("name", [*_COMMANDS, ""])
def test_a_page_ends_with_two_examples_that_parse(name: str) -> None:
    text = _context(name).get_help() if name else cli.get_help(click.Context(cli, info_name="buildguard"))
    found = _examples(text)

    assert len(found) == 2
    assert text.rstrip().endswith(found[-1])
    for example in found:
        words = shlex.split(example.rpartition("| ")[2])
        assert words[0] == "buildguard"
        assert not name or words[1] == name
        command = cli.commands[words[1]]
        command.make_context(words[1], words[2:], parent=click.Context(cli, info_name="buildguard"))


def test_shared_options_are_added_to_a_command() -> None:
    @click.command(epilog=examples("a", "b"))
    @in_google("Cloud Run")
    @format_option("text", "json")
    @output_option
    def command(**_options: object) -> None:
        """Do it."""

    text = command.get_help(click.Context(command))

    assert "Use this region of Cloud Run." in text
    assert "[text|json]" in text
    assert _examples(text) == ["a", "b"]
    assert command.make_context("x", []).params == {"project": "", "region": "", "form": "text", "output": None}
