"""Which commands of a script run Python source that stands in the script itself, or write it to a file. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.project.snippets.shell_script import ScriptCommand, ScriptWord, read_script
from buildguard.project.snippets.snippet import EmbeddedSource, SnippetForm
from buildguard.project.start_wrappers import unwrap
from buildguard.remote.source_names import HEAD, SUFFIXES, has_shebang

PROGRAM = lazy_pattern(r"(?:python(?:3(?:\.\d+)?t?)?|pypy(?:3(?:\.\d+)?)?)")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh", "su"})
_ASSIGNMENT = lazy_pattern(r"[A-Za-z_]\w*\+?=")
_KEYWORDS = frozenset({"!", "{", "if", "then", "elif", "else", "while", "until", "do", "time"})
_COMMAND_FLAG = lazy_pattern(r"-[A-Za-z]*c")  # -c, and -Ic, -uc: what follows is source
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_DEEPEST = 5
_WRITERS = frozenset({"cat", "tee"})


def sources_in_script(script: ScriptWord, depth: int = 0) -> Iterator[EmbeddedSource]:
    """The Python source in a shell script; a script that holds an expansion itself has none that is known."""
    if depth > _DEEPEST:
        return
    for command in read_script(script.text):
        for source in sources_in_command(command, depth):
            yield source if script.is_known else source._replace(is_known=False)


def sources_in_command(command: ScriptCommand, depth: int = 0) -> Iterator[EmbeddedSource]:
    """The Python source in one command."""
    words = _from_program(command.words)
    if not words:
        return
    program = words[0].text.text
    name = posixpath.basename(program)
    if PROGRAM.fullmatch(name):
        yield from _of_python(program, words[1:], command.stdin)
    elif name in _SHELLS:
        yield from _of_shell(words[1:], command.stdin, depth)
    elif name == "uv" and command.stdin is not None and _reads_stdin([each.text.text for each in words]):
        yield _embedded(command.stdin, SnippetForm.STDIN, program)
    elif name in _WRITERS and command.stdin is not None:
        file = command.output or next((each.text.text for each in words[1:] if is_source_name(each.text.text)), "")
        if is_source_name(file) or is_python_script(command.stdin.text.text):
            yield _embedded(command.stdin, SnippetForm.FILE, "")


def _reads_stdin(words: Sequence[str]) -> bool:
    """Whether it is `uv run -`, with options in between."""
    return "run" in words and words[-1] == "-"


def sources_in_argv(words: Sequence[ScriptWord]) -> Iterator[EmbeddedSource]:
    """The Python source in a command that no shell reads."""
    yield from sources_in_command(ScriptCommand(tuple(words)))


def is_source_name(name: str) -> bool:
    """Whether a file is called like Python source."""
    return name.encode("utf-8", "surrogateescape").endswith(SUFFIXES)


def is_python_script(text: str) -> bool:
    """Whether a text starts with a shebang of Python's."""
    return has_shebang(text[:HEAD].encode("utf-8", "surrogateescape"))


def _embedded(word: ScriptWord, form: SnippetForm, program: str) -> EmbeddedSource:
    return EmbeddedSource(word.text, form, program, word.is_known)


def _from_program(words: tuple[ScriptWord, ...]) -> tuple[ScriptWord, ...]:
    """The words from the program on, behind keywords, assignments and programs that only start another one."""
    while words:
        first = words[0].text.text
        if _ASSIGNMENT.match(first) or first in _KEYWORDS:
            words = words[1:]
            continue
        behind = unwrap([each.text.text for each in words])
        dropped = len(words) - len(behind.words) if behind is not None else 0
        if behind is None or dropped <= 0 or behind.words != tuple(each.text.text for each in words[dropped:]):
            return words
        words = words[dropped:]
    return words


def _of_python(program: str, words: Sequence[ScriptWord], stdin: ScriptWord | None) -> Iterator[EmbeddedSource]:
    """What an interpreter is given: the word after `-c`, or stdin where no file and no module is named."""
    at = 0
    while at < len(words):
        option = words[at].text.text
        if option == "-":
            break
        if _COMMAND_FLAG.fullmatch(option):
            if at + 1 < len(words):
                yield _embedded(words[at + 1], SnippetForm.COMMAND, program)
            return
        if not option.startswith("-") or option.startswith("-m"):
            return
        at += 2 if option in _WITH_VALUE else 1
    if stdin is not None:
        yield _embedded(stdin, SnippetForm.STDIN, program)


def _of_shell(words: Sequence[ScriptWord], stdin: ScriptWord | None, depth: int) -> Iterator[EmbeddedSource]:
    """What another shell is given as its script."""
    for position, word in enumerate(words[:-1]):
        if _COMMAND_FLAG.fullmatch(word.text.text):
            yield from sources_in_script(words[position + 1], depth + 1)
            return
    if stdin is not None and all(word.text.text.startswith("-") for word in words):
        yield from sources_in_script(stdin, depth + 1)
