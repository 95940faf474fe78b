"""Shell text as far as start commands need it: simple commands, words and variables; the rest is reported as unknown. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern

UNKNOWN = "$(…)"  # stands in a word for what only a running shell can give
PORT = "PORT"  # set by the platform: it stays a variable unless the shell itself sets it

_TOKEN = lazy_pattern(
    r"""(?P<blank>[ \t\r]+|\\\r?\n)|(?P<comment>(?<![^\s;&|])\#[^\n]*)"""
    r"""|(?P<operator>&&|\|\||;;|[;&|\n()])"""
    r"""|(?P<redirect>\d*(?:<<<|<<-?|>>|>&|<&|&>|>\||<>|<|>)(?:[ \t]*[^\s;&|<>]+)?)"""
    r"""|(?P<word>(?:'[^']*'|"(?:\\.|\$\((?:[^()]|\([^()]*\))*\)|[^"\\])*"|`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)"""
    r"""|\$\{[^}]*\}|\\.|[^\s;&|<>()'"`\\])+)"""
    r"""|(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_ASSIGNMENT = lazy_pattern(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = lazy_pattern(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-=+?])(?P<word>[^}]*))?\})")
_CLOSING = {
    "if": "fi",
    "while": "done",
    "until": "done",
    "for": "done",
    "select": "done",
    "case": "esac",
    "{": "}",
    "(": ")",
}
_KEYWORDS = frozenset({*_CLOSING, *_CLOSING.values(), "then", "else", "elif", "do", "function", "!", "[["})
_MOST_ARGUMENTS = 1000  # `set -- "$@" "$@"` doubles them
LONGEST = 1 << 14  # characters of a text that is followed


class ShellCommand(NamedTuple):
    """A simple command: its line in the text, its raw words, what connects it to the next, and whether a block holds it."""

    line: int
    words: tuple[str, ...]
    connector: str
    in_block: bool


def split_commands(text: str) -> list[ShellCommand]:
    """The simple commands of a text in their order; what no grammar here covers becomes a word of its own."""
    commands: list[ShellCommand] = []
    words: list[str] = []
    blocks: list[str] = []
    line, start = 1, 1
    for match in _TOKEN.finditer(text[:LONGEST]):
        kind, token = match.lastgroup, match[0]
        if kind == "operator":
            if words:
                commands.append(ShellCommand(start, tuple(words), token, bool(blocks) or words[0] in _KEYWORDS))
            elif match[0] == ";;" and commands and commands[-1].connector in {";", "\n"}:
                commands[-1] = commands[-1]._replace(connector=token)  # it stands on a line of its own
            words = []
            _open_or_close(blocks, token)
        elif kind in {"word", "other"}:
            if not words:
                start = line
                _open_or_close(blocks, token)
            words.append(token)
        line += token.count("\n")
    if words:
        commands.append(ShellCommand(start, tuple(words), "", bool(blocks) or words[0] in _KEYWORDS))
    return commands


def _open_or_close(blocks: list[str], token: str) -> None:
    """Keep the closing words of the blocks that are open; the `)` of a `case` closes none."""
    if token in _CLOSING:
        blocks.append(_CLOSING[token])
    elif blocks and token == blocks[-1]:
        blocks.pop()


def assignment(word: str) -> tuple[str, str] | None:
    """The name and the raw value of an assignment, None for any other word."""
    match = _ASSIGNMENT.fullmatch(word)
    return (match[1], match[2]) if match is not None else None


def expand(word: str, known: Mapping[str, str], arguments: Sequence[str] = ()) -> list[str]:
    """What a raw word becomes: `"$@"` gives every argument, an unquoted variable is split, an unknown one stays as `$NAME`."""
    if word in {'"$@"', "$@", "$*", '"${@}"', "${@}"}:
        return list(arguments) if len(arguments) <= _MOST_ARGUMENTS else [UNKNOWN]
    pieces = [_piece(piece, known, arguments) for piece in _pieces(word)]
    text = "".join(pieces)
    bare = _VARIABLE.fullmatch(word)
    return text.split() if bare is not None else [text]


def _pieces(word: str) -> Iterator[str]:
    for match in re.finditer(r"""'[^']*'|"(?:\\.|\$\((?:[^()]|\([^()]*\))*\)|[^"\\])*"|[^'"]+|.""", word, re.DOTALL):
        yield match[0]


def _piece(piece: str, known: Mapping[str, str], arguments: Sequence[str]) -> str:
    if piece.startswith("'") and piece.endswith("'") and len(piece) > 1:
        return piece[1:-1]
    if piece.startswith('"') and piece.endswith('"') and len(piece) > 1:
        return _fill(re.sub(r'\\(["\\`])', r"\1", piece[1:-1]), known, arguments)
    return _fill(re.sub(r"\\(.)", r"\1", piece), known, arguments)


def _fill(text: str, known: Mapping[str, str], arguments: Sequence[str]) -> str:
    text = re.sub(r"`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)", UNKNOWN, text)
    left = LONGEST

    def value_of(match: re.Match[str]) -> str:
        nonlocal left
        value = _value(match, known, arguments)
        left -= len(value)
        return value if left >= 0 else UNKNOWN  # variables that double would fill the memory

    return _VARIABLE.sub(value_of, text)


def _value(match: re.Match[str], known: Mapping[str, str], arguments: Sequence[str]) -> str:
    name, operator = match["plain"] or match["name"], match["operator"] or ""
    if name == PORT and name not in known:
        return "$PORT"
    if name.isdigit():
        position = int(name) - 1
        default = match["word"] or "" if operator in {"-", ":-"} else ""
        return arguments[position] if 0 <= position < len(arguments) else default
    if name in known:
        return match["word"] or "" if operator.endswith("+") else known[name]
    return f"${name}"
