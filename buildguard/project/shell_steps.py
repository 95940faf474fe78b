"""What a shell's text runs one after the other, and whether the shell goes on where one of them fails. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from buildguard.definitions import NamedTuple
from buildguard.project.shell import ShellCommand

# Commands that change nothing about what a script starts in the end.
HARMLESS = frozenset({
    "echo", "printf", "sleep", "true", ":", "mkdir", "chown", "chmod", "touch", "ls", "cat", "pwd", "whoami", "id", "date",
    "trap", "ulimit", "umask", "set", "wait", "test", "[", "cp", "ln", "rm", "printenv", "unset", "readonly", "hash",
})  # fmt: skip
_LATER = frozenset({"|", "||"})
_TESTS = frozenset({"[", "[[", "test", "!", "grep", "command"})
_CLOSING = {"{": "}", "if": "fi", "case": "esac", "for": "done", "while": "done", "until": "done"}
_OPENING = frozenset({"{", "then", "else", "do"})
_EXITS = frozenset({"exit", "return"})


class ShellOption(NamedTuple):
    """An option of a shell, by its letter and its name."""

    letter: str
    name: str


ERREXIT = ShellOption("e", "errexit")
ALLEXPORT = ShellOption("a", "allexport")


class ShellStep(NamedTuple):
    """A command without what `||` runs in its place, and without the other programs of its pipeline.

    `ends` says that what `||` runs ends the shell, None where nothing handles a failure. `is_piped` says that the
    status of another program counts.
    """

    command: ShellCommand
    ends: bool | None = None
    is_piped: bool = False


def steps_of(commands: Sequence[ShellCommand]) -> list[ShellStep]:
    """The commands that run where none of them fails."""
    rest = list(commands)
    steps: list[ShellStep] = []
    while rest:
        steps.append(_take_step(rest))
    return steps


def _take_step(rest: list[ShellCommand]) -> ShellStep:
    step = ShellStep(rest.pop(0))
    while step.command.connector in _LATER and rest and not step.command.in_block:
        later = _take(rest)
        step = _without(step, later)
        step = step._replace(command=step.command._replace(connector=later[-1].connector))
    return step


def _without(step: ShellStep, later: Sequence[ShellCommand]) -> ShellStep:
    """A step without what `||` or `|` runs after it."""
    if step.command.connector == "||":
        ends = any(map(_is_exit, later))
        is_subshell = later[-1].connector == ")"  # it ends itself alone: `set -e` decides then
        return step._replace(ends=None if ends and is_subshell else ends)
    if step.command.words[0] in HARMLESS and not later[0].in_block:
        return step._replace(command=later[0])  # it gets a text, and is what the pipeline is for
    return step._replace(is_piped=True)


def _take(rest: list[ShellCommand]) -> list[ShellCommand]:
    """Take the next command from some, or the whole block that it opens."""
    taken = [rest.pop(0)]
    closing = _CLOSING.get(taken[0].words[0], ")")
    is_open = taken[0].in_block and taken[0].words[0] not in _TESTS
    depth = 1
    while is_open and rest and rest[0].in_block and not _closes(taken[-1], closing, depth):
        taken.append(rest.pop(0))
        depth += (taken[-1].words[0] in _CLOSING) - (taken[-1].words[0] in _CLOSING.values())
    return taken


def _closes(command: ShellCommand, closing: str, depth: int) -> bool:
    return command.connector == ")" if closing == ")" else depth == 0


def _is_exit(command: ShellCommand) -> bool:
    """Whether a command ends a shell; with status 0 the rest of it is not started either."""
    return not _EXITS.isdisjoint([word for word in command.words if word not in _OPENING][:1])


def _is_conditional(steps: Sequence[ShellStep], number: int) -> bool:
    """Whether a step runs only where a test before it holds: `[ -f x ] && python x.py`."""
    connected = itertools.takewhile(lambda step: step.command.connector == "&&", reversed(steps[:number]))
    return any(step.command.words[0] in _TESTS for step in connected)


def find_last(steps: Sequence[ShellStep]) -> list[bool]:
    """For each step, whether the container runs as long as it does: by `exec`, or as no program is started after it."""
    every: list[bool] = []
    is_end = True
    for step in reversed(steps):
        words = step.command.words
        every.append(not step.command.in_block and (is_end or (words[0] == "exec" and len(words) > 1)))
        is_end = is_end and _starts_nothing(step.command)
    return every[::-1]


def _starts_nothing(command: ShellCommand) -> bool:
    """Whether a command is error handling, or waits for others; a block is, unless it ends in a program of its own."""
    return "exec" not in command.words if command.in_block else command.words[0] in {"wait", "exit"}


def may_fail(steps: Sequence[ShellStep], number: int, last: Sequence[bool], *, has_errexit: bool) -> bool:
    """Whether the shell goes on where a step fails that is not one of the `last`; `has_errexit` says that `set -e` holds."""
    if steps[number].is_piped or _is_conditional(steps, number):
        return True
    for at in range(number, len(steps)):
        step = steps[at]
        if at > number and last[at]:
            return False  # it is not started then
        if step.ends is not None:
            return not step.ends
        if step.command.connector != "&&":
            # `set -e` does not end a shell for what comes before `&&`
            return step.command.connector == "&" or at > number or not has_errexit
    return True


def has_option(words: Sequence[str], option: ShellOption, *, default: bool = False) -> bool:
    """Whether the words behind a shell, or behind `set`, switch an option on; the default where they do not name it."""
    answer = default
    rest = list(words)
    while rest and rest[0][:1] in {"-", "+"} and rest[0][1:2] not in {"-", ""}:
        letters = rest.pop(0)
        named = rest.pop(0) if "o" in letters and rest else ""
        if option.letter in letters or named == option.name:
            answer = letters.startswith("-")
    return answer
