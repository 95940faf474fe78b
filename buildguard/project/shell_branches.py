"""The branches of a shell's text that its arguments decide: `if [ "$1" = "gunicorn" ]; then exec "$@"; fi`, `case`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.definitions import lazy_pattern
from buildguard.project.shell import ShellCommand, expand

_BLOCKS = frozenset({"if", "elif", "case", "for", "while", "until", "select", "{", "(", "function"})
_TESTS = {"[": "]", "[[": "]]"}
_CHANGES = frozenset({"set", "shift"})
_CONSTANTS: dict[tuple[str, ...], bool] = {("true",): True, ("false",): False}
_ENDS = frozenset({"", ";", "\n"})
_PATTERN = lazy_pattern(r"""[^\s\\"'$`]+|"[^\\"*?[$`]*"|'[^'*?[]*'""")
_COUNTS = frozenset({"$#", '"$#"', "${#}", '"${#}"'})


def decided(commands: Sequence[ShellCommand], arguments: Sequence[str]) -> list[ShellCommand]:
    """The commands, without the `if` or `case` around those that certainly run, and without those that certainly do not."""
    kept: list[ShellCommand] = []
    rest = list(commands)
    while rest:
        block = [] if _changes_arguments(kept) else _block(rest) or _case(rest)
        chosen = _chosen(block, arguments) if block else None
        kept += [rest[0]] if chosen is None else chosen
        rest = rest[1:] if chosen is None else rest[len(block) :]
    return kept


def _chosen(block: Sequence[ShellCommand], arguments: Sequence[str]) -> list[ShellCommand] | None:
    """What runs of a block; None where that is not known."""
    if block[0].words[0] == "case":
        return _arm(block, arguments)
    truth = _truth(block[0].words[1:], arguments)
    return None if truth is None else _branch(block, is_true=truth)


def _case(commands: Sequence[ShellCommand]) -> list[ShellCommand]:
    """The commands from a `case` to its `esac`; none where another `case` is in it."""
    names = [command.words[0] for command in commands]
    if names[0] != "case" or commands[0].words[2:3] != ("in",) or "esac" not in names:
        return []
    block = [*commands[: names.index("esac") + 1]]
    return [] if names[: len(block)].count("case") > 1 or block[-1].connector not in _ENDS else block


def _arm(block: Sequence[ShellCommand], arguments: Sequence[str]) -> list[ShellCommand] | None:
    """What the first pattern runs that fits; None where the word or a pattern before it is not known."""
    word = " ".join(_values(block[0].words[1], arguments))
    first = block[0]._replace(words=block[0].words[3:])  # a pattern in the line of `case`
    rest = [first] * bool(first.words) + [*block[1:-1]]
    while rest:
        patterns, body = _take_arm(rest)
        fits = None if _is_open(word) else _fits(word, patterns)
        if fits is None or not all(map(_is_simple, body)):
            return None
        if fits:
            return [command._replace(in_block=False, connector=_connector(command)) for command in body]
    return []


def _take_arm(rest: list[ShellCommand]) -> tuple[list[ShellCommand], list[ShellCommand]]:
    """Take the patterns and the commands up to `;;` from some."""
    connectors = [command.connector for command in rest]
    size = [*connectors, ";;"].index(";;") + 1
    last = [*connectors, ")"].index(")") + 1
    arm, rest[:] = rest[:size], rest[size:]
    return arm[:last], arm[last:]


def _fits(word: str, patterns: Sequence[ShellCommand]) -> bool | None:
    """Whether one of some patterns fits a word; None where that is not known."""
    from fnmatch import fnmatchcase

    texts = [" ".join(pattern.words) for pattern in patterns]
    is_known = [pattern.connector for pattern in patterns] == [*["|"] * (len(patterns) - 1), ")"]
    if not is_known or not all(map(_PATTERN.fullmatch, texts)):
        return None
    return any(fnmatchcase(word, text.strip("\"'")) for text in texts)


def _is_simple(command: ShellCommand) -> bool:
    """Whether a command of a branch opens no block."""
    return not _BLOCKS & {*command.words[:2]} and command.connector not in {")", "("}


def _connector(command: ShellCommand) -> str:
    return "\n" if command.connector == ";;" else command.connector


def _changes_arguments(commands: Sequence[ShellCommand]) -> bool:
    return any(map(_changes, commands))


def _changes(command: ShellCommand) -> bool:
    """Whether a command gives other arguments; `set -e` does not."""
    return len(command.words) != len(("set", "-e")) and not _CHANGES.isdisjoint(command.words)


def _block(commands: Sequence[ShellCommand]) -> list[ShellCommand]:
    """The commands from an `if` to its `fi`; none where another block is in it, or its test is more than one command."""
    names = [command.words[0] for command in commands]
    if names[:2] != ["if", "then"] or "fi" not in names or commands[0].connector not in {";", "\n"}:
        return []
    block = [*commands[: names.index("fi") + 1]]
    words = {word for command in block[1:] for word in command.words[:2]}
    return [] if _BLOCKS & words or block[-1].connector not in _ENDS else block


def _branch(block: Sequence[ShellCommand], *, is_true: bool) -> list[ShellCommand]:
    names = [command.words[0] for command in block]
    middle = [*names[:-1], "else"].index("else")
    chosen = block[1:middle] if is_true else block[middle:-1]
    bare = (command._replace(words=_without_keyword(command.words), in_block=False) for command in chosen)
    return [command for command in bare if command.words]


def _without_keyword(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if words[0] in {"then", "else"} else words


def _truth(words: Sequence[str], arguments: Sequence[str]) -> bool | None:
    """What a test gives; None where its words are not known."""
    if tuple(words) in _CONSTANTS:
        return _CONSTANTS[tuple(words)]
    if len(words) < len("[a]") or _TESTS.get(words[0]) != words[-1]:
        return None
    values = [value for word in words[1:-1] for value in _values(word, arguments)]
    return None if any(map(_is_open, values)) else _compare(values)


def _values(word: str, arguments: Sequence[str]) -> list[str]:
    return [str(len(arguments))] if word in _COUNTS else expand(word, {}, arguments)


def _is_open(value: str) -> bool:
    return not {"$", "*", "?", "~"}.isdisjoint(value)


def _compare(values: Sequence[str]) -> bool | None:
    match values:
        case ["-z" | "-n" as operator, value]:
            return bool(value) is (operator == "-n")
        case [left, "=" | "==" | "-eq", right]:
            return left == right
        case [left, "!=" | "-ne", right]:
            return left != right
        case [left, "-gt", "0"]:
            return left != "0"
        case _:
            return None
