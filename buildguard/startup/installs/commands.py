"""The commands of a Dockerfile that install packages: uv and poetry with a lock, pip with files of requirements. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
from buildguard.project import shell
from buildguard.project.dockerfile import exec_words
from buildguard.project.install_choice import (
    WITH_VALUE,
    InstallChoice,
    has_option,
    option_values,
    poetry_choice,
    uv_choice,
)
from buildguard.startup.installs.platform import BuildStage

_PIP = lazy_pattern(r"pip3?(?:\.\d+)?")
_PYTHON = lazy_pattern(r"python3?(?:\.\d+)?")
_UNDECIDED = frozenset(
    {
        *("--python", "-p", "--no-install-project-dependencies", "--script", "--no-extra", "--directory", "--project"),
        *("-C", "-P", "--no-directory", "--config-file", "--isolated"),
        *(
            "--python-platform",
            "--python-version",
            "--platform",
            "--abi",
            "--implementation",
            "--target",
            "--no-sources",
        ),
    }
)


class Installer(StrEnum):
    """The kinds of commands that are read."""

    UV_LOCK = "uv.lock"
    POETRY = "poetry.lock"
    PYLOCK = "pylock.toml"
    REQUIREMENTS = "requirements"


class InstallCommand(NamedTuple):
    """One command: its line, its stage, what it installs from, and its words; `files` are those that it names.

    `is_moved` says that a `cd` comes before it.
    """

    kind: Installer
    line: int
    stage: BuildStage
    words: tuple[str, ...]
    files: tuple[str, ...] = ()
    is_moved: bool = False

    @property
    def is_undecided(self) -> bool:
        """Whether its options change what is installed, or for which Python."""
        return any(word.partition("=")[0] in _UNDECIDED or "$" in word for word in self.words)

    def values(self, *flags: str) -> list[str]:
        """The values of an option, under any of its names."""
        return option_values(self.words, *flags)

    def has(self, *flags: str) -> bool:
        """Whether an option is set."""
        return has_option(self.words, *flags)

    @property
    def named(self) -> list[str]:
        """The requirements among its words, beside those of files."""
        before = ("", *self.words)
        pairs = zip(before, self.words, strict=False)
        return [word for last, word in pairs if not word.startswith("-") and last not in WITH_VALUE]

    def choice(self, variables: Mapping[str, str]) -> InstallChoice:
        """The extras, groups and members that are asked for."""
        return poetry_choice(self.words) if self.kind is Installer.POETRY else uv_choice(self.words, variables)


def install_commands(stages: Sequence[BuildStage]) -> Iterator[InstallCommand]:
    """Each command that installs from a lock or a file of requirements."""
    for stage in stages:
        for step in stage.chain[0].instructions:
            if step.name == "RUN":
                is_moved = False
                for words in _commands(step.text):
                    command = _read(step.line, stage, words)
                    is_moved = is_moved or words[:1] == ["cd"]
                    if command is not None:
                        yield command._replace(is_moved=is_moved)


def _commands(text: str) -> Iterator[list[str]]:
    words = exec_words(text)
    if words is not None:
        yield words
        return
    for command in shell.split_commands(text):
        yield [part for word in command.words for part in shell.expand(word, {})]


def _read(line: int, stage: BuildStage, words: Sequence[str]) -> InstallCommand | None:
    rest = list(words)
    while rest and ("=" in rest[0] or rest[0] in {"env", "exec", "sudo"}):
        rest = rest[1:]
    if rest[:1] == ["uv"]:
        return _uv(line, stage, rest[1:])
    if rest and rest[0].rpartition("/")[2] == "poetry":
        return _poetry(line, stage, rest[1:])
    if len(rest) > 2 and _PYTHON.fullmatch(rest[0].rpartition("/")[2]) and rest[1:3] == ["-m", "pip"]:  # noqa: PLR2004
        rest = rest[2:]
    if rest and _PIP.fullmatch(rest[0].rpartition("/")[2]) and rest[1:2] == ["install"]:
        return _files(line, stage, rest[2:])
    return None


def _poetry(line: int, stage: BuildStage, words: Sequence[str]) -> InstallCommand | None:
    at = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
    if words[at : at + 1] not in (["install"], ["sync"]):
        return None
    return InstallCommand(Installer.POETRY, line, stage, (*words[:at], *words[at + 1 :]))


def _uv(line: int, stage: BuildStage, words: Sequence[str]) -> InstallCommand | None:
    if words[:1] == ["sync"]:
        return InstallCommand(Installer.UV_LOCK, line, stage, tuple(words[1:]))
    if words[:2] == ["pip", "install"]:
        return _files(line, stage, words[2:])
    if words[:2] == ["pip", "sync"]:
        named = [word for word in words[2:] if not word.startswith("-")]
        return _files(line, stage, ["-r", *named[:1], *words[2:]]) if named else None
    return None


def _files(line: int, stage: BuildStage, words: Sequence[str]) -> InstallCommand | None:
    command = InstallCommand(Installer.REQUIREMENTS, line, stage, tuple(words))
    files = tuple(command.values("-r", "--requirement", "--requirements"))
    if not files and not (command.has("--no-index") and command.named):
        return None
    is_lock = bool(files) and all(re.search(r"pylock[^/]*\.toml$", file) for file in files)
    return command._replace(files=files, kind=Installer.PYLOCK if is_lock else Installer.REQUIREMENTS)
