"""Shell text with positions: the commands, their words after quoting, what they read and what they write. Pure.

Expansions depend on the machine that runs the script: a word or a heredoc with one is marked as unknown.
"""

from __future__ import annotations

import re

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.snippets.mapped_text import MappedText, TextBuilder

_BLANK = lazy_pattern(r"(?:[ \t\r]|\\\r?\n)+")
_COMMENT = lazy_pattern(r"#[^\n]*")
_OPERATOR = lazy_pattern(r"&&|\|\||;;|[;&|()\n]")
_REDIRECT = lazy_pattern(r"(?:\d*|&)(?P<kind><<<|<<-?|>>|>&|<&|>\||<>|<|>)")
_PLAIN = lazy_pattern(r"""[^\s;&|<>()'"`\\$]+""")
_ENDS_WORD = frozenset(" \t\r\n;&|<>()")
_EXPANSION = lazy_pattern(r"\$(?:\{[^}]{0,2000}\}|[A-Za-z_]\w*|[0-9@*#?$!-])")
_ANSI = lazy_pattern(r"\$'(?:\\.|[^'\\])*'", re.DOTALL)
_BACKTICKS = lazy_pattern(r"`((?:\\.|[^`\\])*)`", re.DOTALL)
_IN_DOUBLE = lazy_pattern(r"""[^"\\$`]+""")
_IN_HEREDOC = lazy_pattern(r"\\[$`\\]|\\\n|\$(?=[\w{(@*#?$!-])|`|[^\\$`]+|.", re.DOTALL)
_DEEPEST = 20
LONGEST = 1 << 18  # characters of a script that is read


class ScriptWord(NamedTuple):
    """A word, or what a command reads from stdin; not `is_known` where an expansion is part of it."""

    text: MappedText
    is_known: bool = True


class ScriptCommand(NamedTuple):
    """A simple command: its words, its heredoc or here-string, and the file that its output goes to."""

    words: tuple[ScriptWord, ...]
    stdin: ScriptWord | None = None
    output: str = ""


class _OpenCommand:
    """A command that is being read."""

    def __init__(self) -> None:
        self.words: list[ScriptWord] = []
        self.stdin: ScriptWord | None = None
        self.output = ""
        self.feeds: _OpenCommand | None = None

    def close(self) -> ScriptCommand:
        return ScriptCommand(tuple(self.words), self.stdin, self.output)


class _PendingHeredoc(NamedTuple):
    command: _OpenCommand
    name: str
    strips_tabs: bool
    is_quoted: bool


class _BrokenScriptError(Exception):
    """The script ends inside of a quotation, or nests too deeply: the rest of it is not read."""


def read_script(source: MappedText) -> list[ScriptCommand]:
    """The commands of a script, those of command substitutions included, in no particular order."""
    reader = _ScriptReader(source, 0, 0)
    try:
        reader.read()
    except _BrokenScriptError:
        pass
    for command in reader.commands:
        if command.feeds is not None and [word.text.text for word in command.words] == ["cat"]:
            command.feeds.stdin = command.feeds.stdin or command.stdin
    return [command.close() for command in reader.commands if command.words]


class _ScriptReader:
    """Reads commands up to the end of a text, or to the bracket that closes a command substitution."""

    def __init__(self, source: MappedText, at: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise _BrokenScriptError
        self.at = at
        self.commands: list[_OpenCommand] = []
        self._source, self._text, self._depth = source, source.text[:LONGEST], depth
        self._open = 0
        self._command = _OpenCommand()
        self._pending: list[_PendingHeredoc] = []

    def read(self) -> None:
        """Read to the end."""
        while self.at < len(self._text):
            if blank := _BLANK.match(self._text, self.at) or _COMMENT.match(self._text, self.at):
                self.at = blank.end()
            elif redirect := _REDIRECT.match(self._text, self.at):
                self.at = redirect.end()
                self._redirect(redirect["kind"])
            elif operator := _OPERATOR.match(self._text, self.at):
                if operator[0] == ")" and self._depth and not self._open:
                    break
                self.at = operator.end()
                self._operator(operator[0])
            else:
                self._command.words.append(self._word())
        self._end_command()

    def _end_command(self) -> None:
        self.commands.append(self._command)
        self._command = _OpenCommand()

    def _operator(self, operator: str) -> None:
        self._open += {"(": 1, ")": -1}.get(operator, 0)
        ended = self._command
        self._end_command()
        ended.feeds = self._command if operator == "|" else None
        if operator == "\n":
            for heredoc in self._pending:
                heredoc.command.stdin = self._heredoc_body(heredoc)
            self._pending = []

    def _redirect(self, kind: str) -> None:
        blank = _BLANK.match(self._text, self.at)
        self.at = blank.end() if blank else self.at
        start = self.at
        if self.at >= len(self._text) or self._text[self.at] in _ENDS_WORD:
            return
        word = self._word()
        if kind in {"<<", "<<-"}:
            raw = self._text[start : self.at]
            is_quoted = any(character in raw for character in "'\"\\")
            self._pending.append(_PendingHeredoc(self._command, word.text.text, kind == "<<-", is_quoted))
        elif kind == "<<<":
            self._command.stdin = word
        elif kind in {">", ">>", ">|"}:
            self._command.output = word.text.text

    def _heredoc_body(self, heredoc: _PendingHeredoc) -> ScriptWord:
        """The lines up to the one that is the heredoc's name."""
        builder = TextBuilder()
        while self.at < len(self._text):
            end = self._text.find("\n", self.at)
            end = len(self._text) if end < 0 else end
            line = self._text[self.at : end]
            tabs = len(line) - len(line.lstrip("\t")) if heredoc.strips_tabs else 0
            if line[tabs:].removesuffix("\r") == heredoc.name:
                self.at = min(end + 1, len(self._text))
                break
            builder.add_part(self._source, self.at + tabs, min(end + 1, len(self._text)))
            self.at = end + 1
        body = builder.build()
        return ScriptWord(body) if heredoc.is_quoted else expand_heredoc(body)

    def _word(self) -> ScriptWord:
        builder = TextBuilder()
        is_known = True
        while self.at < len(self._text) and self._text[self.at] not in _ENDS_WORD:
            is_known &= self._piece(builder)
        return ScriptWord(builder.build(), is_known)

    def _piece(self, builder: TextBuilder) -> bool:
        """Read one piece of a word; whether its text is known."""
        character = self._text[self.at]
        if character == "'":
            return self._single(builder)
        if character == '"':
            return self._double(builder)
        if character in "$`":
            return self._dollar(builder, is_quoted=False)
        if character == "\\":
            self._escape(builder)
            return True
        match = _PLAIN.match(self._text, self.at)
        self._take(builder, match.end() if match else self.at + 1)
        return True

    def _take(self, builder: TextBuilder, end: int) -> None:
        builder.add_part(self._source, self.at, end)
        self.at = end

    def _escape(self, builder: TextBuilder) -> None:
        self.at += 1
        if self._text[self.at : self.at + 1] == "\n":
            self.at += 1
        else:
            self._take(builder, min(self.at + 1, len(self._text)))

    def _single(self, builder: TextBuilder) -> bool:
        end = self._text.find("'", self.at + 1)
        if end < 0:
            raise _BrokenScriptError
        self.at += 1
        self._take(builder, end)
        self.at = end + 1
        return True

    def _double(self, builder: TextBuilder) -> bool:
        self.at += 1
        is_known = True
        while self.at < len(self._text):
            character = self._text[self.at]
            if character == '"':
                self.at += 1
                return is_known
            if character in "$`":
                is_known &= self._dollar(builder, is_quoted=True)
            elif character == "\\":
                self._escape_in_double(builder)
            else:
                match = _IN_DOUBLE.match(self._text, self.at)
                self._take(builder, match.end() if match else self.at + 1)
        raise _BrokenScriptError

    def _escape_in_double(self, builder: TextBuilder) -> None:
        following = self._text[self.at + 1 : self.at + 2]
        if following in {"$", "`", '"', "\\", "\n"}:
            self._escape(builder)
        else:
            self._take(builder, self.at + 1)

    def _dollar(self, builder: TextBuilder, *, is_quoted: bool) -> bool:
        """Read an expansion; whether it is a plain character instead."""
        if self._text.startswith("$(", self.at):
            self._substitution(self.at + 2)
            return False
        if self._text[self.at] == "`":
            return self._backticks()
        ansi = None if is_quoted else _ANSI.match(self._text, self.at)
        match = ansi or _EXPANSION.match(self._text, self.at)
        if match is None:
            self._take(builder, self.at + 1)
            return True
        self.at = match.end()
        return False

    def _backticks(self) -> bool:
        match = _BACKTICKS.match(self._text, self.at)
        if match is None:
            raise _BrokenScriptError
        if "\\" not in match[1]:
            self._nested(_ScriptReader(self._source.cut(match.start(1), match.end(1)), 0, self._depth + 1))
        self.at = match.end()
        return False

    def _substitution(self, start: int) -> None:
        nested = _ScriptReader(self._source, start, self._depth + 1)
        self._nested(nested)
        if self._text[nested.at : nested.at + 1] != ")":
            raise _BrokenScriptError
        self.at = nested.at + 1

    def _nested(self, reader: _ScriptReader) -> None:
        reader.read()
        self.commands += reader.commands


def expand_heredoc(body: MappedText) -> ScriptWord:
    """What a shell makes of a heredoc whose name is not quoted; not known where it contains an expansion."""
    builder, is_known = TextBuilder(), True
    for match in _IN_HEREDOC.finditer(body.text):
        token = match[0]
        if token in {"$", "`"}:
            is_known = False
        if len(token) > 1 and token[0] == "\\":
            builder.add_part(body, match.start() + 1, match.end() if token[1] != "\n" else match.start() + 1)
        else:
            builder.add_part(body, match.start(), match.end())
    return ScriptWord(builder.build(), is_known)
