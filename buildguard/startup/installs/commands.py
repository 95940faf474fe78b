"""The commands of a Dockerfile that install packages: uv and poetry with a lock, pip with files of requirements. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
from buildguard.project import shell
from buildguard.project.dockerfile import exec_words
from buildguard.project.package_names import normalize
from buildguard.startup.installs.choice import InstallChoice
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
_WITH_VALUE = frozenset(
    {
        *("-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints", "--build-constraint", "-t"),
        *(
            "-f",
            "--find-links",
            "-i",
            "--index-url",
            "--extra-index-url",
            "--prefix",
            "--root",
            "--cache-dir",
            "--index",
        ),
        *("--trusted-host", "-w", "--wheel-dir", "--extra", "--group", "--only-group", "--no-group", "--only-binary"),
        *("--package", "--with", "--without", "--only", "-E", "--extras"),
        *("--no-binary", "--timeout", "--retries", "--no-install-package", "--progress-bar", "--proxy", "-d", "--dest"),
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
        return [value for flag, value in _options(self.words) if flag in flags]

    def has(self, *flags: str) -> bool:
        """Whether an option is set."""
        return any(flag in flags for flag, _value in _options(self.words))

    @property
    def named(self) -> list[str]:
        """The requirements among its words, beside those of files."""
        before = ("", *self.words)
        pairs = zip(before, self.words, strict=False)
        return [word for last, word in pairs if not word.startswith("-") and last not in _WITH_VALUE]

    def choice(self, variables: Mapping[str, str]) -> InstallChoice:
        """The extras, groups and members that are asked for."""
        return _poetry_choice(self) if self.kind is Installer.POETRY else _uv_choice(self, variables)


def _uv_choice(command: InstallCommand, variables: Mapping[str, str]) -> InstallChoice:
    only_dev = command.has("--only-dev")
    leaves_dev = command.has("--no-dev") or variables.get("UV_NO_DEV", "").lower() not in {"", "0", "false"}
    left_out = [*command.values("--no-group"), *(["dev"] if leaves_dev else [])]
    return InstallChoice(
        extras=_names(command.values("--extra")),
        every_extra=command.has("--all-extras"),
        groups=_names([*command.values("--group", "--only-group"), *(["dev"] if only_dev else [])]),
        without_groups=_names(left_out),
        with_defaults=not command.has("--no-default-groups"),
        every_group=command.has("--all-groups"),
        only_groups=only_dev or command.has("--only-group"),
        without=_names(command.values("--no-install-package")),
        members=_names(command.values("--package")),
        every_member=command.has("--all-packages"),
    )


def _poetry_choice(command: InstallCommand) -> InstallChoice:
    only = _listed(command.values("--only"))
    without = _listed(command.values("--without"))
    is_nothing = command.has("--only-root")
    return InstallChoice(
        extras=_listed(command.values("-E", "--extras")),
        every_extra=command.has("--all-extras"),
        groups=only | _listed(command.values("--with")) if not is_nothing else frozenset(),
        without_groups=without | (frozenset({"dev"}) if command.has("--no-dev") else frozenset()),
        every_group=command.has("--all-groups"),
        only_groups=bool(only) or is_nothing,
    )


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalize, values))


def _listed(values: Iterable[str]) -> frozenset[str]:
    """Names in lists that commas or spaces separate."""
    return _names(name for value in values for name in re.split(r"[\s,]+", value) if name)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words):
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            if not equals and flag[:2] == "-r" and len(flag) > 2 and not flag.startswith("--"):  # noqa: PLR2004  -rFILE
                yield "-r", flag[2:]
            else:
                yield flag, value if equals else words[at + 1] if flag in _WITH_VALUE and at + 1 < len(words) else ""


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
