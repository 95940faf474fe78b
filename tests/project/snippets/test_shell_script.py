"""Shell text as a shell reads it."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.project.snippets.mapped_text import map_whole
from buildguard.project.snippets.shell_script import ScriptCommand, read_script


def _read(text: str) -> list[ScriptCommand]:
    return read_script(map_whole(text))


def _words(text: str) -> list[list[str]]:
    return [[word.text.text for word in command.words] for command in _read(text)]


_SCRIPTS = (
    r"""say a 'b c' "d e" f\ g""",
    r"""say "a\"b\\c\$d\`e\n" '\n' x\\y""",
    'say "a\\\nb" c\\\nd',
    "say 'a\nb'\nsay second",
    "say a;say b&&say c||say d",
    "say 'it'\"'\"'s' # comment 'x\nsay b",
    'say a#b "#c"',
    "(say a; say b) ; { say c; }",
    "say a >/dev/null; say b 2>&1 >/dev/null",
    'say "$" a$ "50$."',
    "if say a; then say b; else say c; fi",
    "say <<EOF\n$ 'x' \"y\" \\\\ \\$ \\n\nEOF\nsay after",
)


@pytest.mark.interpreters
@pytest.mark.parametrize("script", _SCRIPTS)
def test_words_are_those_of_a_shell(script: str) -> None:
    """Each word that a real shell passes to a command is one that is read from its text."""
    prelude = "say() { for word; do printf '%s\\0' \"$word\" >&3; done; }\n"
    shell = ["sh", "-c", f"exec 3>&1; {prelude}{script}"]
    printed = subprocess.run(shell, capture_output=True, check=False, text=True).stdout

    real = printed.split("\0")[:-1]
    assert real or "/dev/null" in script
    read = [word for words in _words(script) if "say" in words for word in words[words.index("say") + 1 :]]
    assert set(real) <= set(read)


@pytest.mark.parametrize(
    "word", ['"$HOME"', "$1", "${x:-y}", "$(date)", '"`date`"', "a$@", "$'a\\n'", '"$((1 + 2))"', "$?"]
)
def test_an_expansion_makes_a_word_unknown(word: str) -> None:
    (command,) = [command for command in _read(f"say {word} b") if command.words[0].text.text == "say"]

    assert [each.is_known for each in command.words] == [True, False, True]


def test_command_substitutions_are_read_too() -> None:
    words = _words("""x="$(python -c 'a()')" say `inner one` $(outer "$(deep x)")""")

    assert ["python", "-c", "a()"] in words
    assert ["inner", "one"] in words
    assert ["deep", "x"] in words


def test_heredocs() -> None:
    first, second = _read("cat <<A - <<-'B' > x.py\n$x\nA\n\t$y\n\tB\n say z")[:2]

    assert first.stdin is not None
    assert (first.stdin.text.text, first.stdin.is_known, first.output) == ("$y\n", True, "x.py")
    assert first.stdin.text.place(0) == (4, 2)
    assert [word.text.text for word in second.words] == ["say", "z"]
    (here,) = _read("cat <<< 'a b'")
    assert here.stdin is not None
    assert here.stdin.text.text == "a b"


@pytest.mark.parametrize(
    "text", ["say 'open", 'say "open', "say `open", "say $(open", "$(" * 100, "a <<", "<<E", ")", ""]
)
def test_what_is_not_closed_ends_the_script(text: str) -> None:
    assert [words for words in _words(f"say before\n{text}") if "before" in words] == [["say", "before"]]
