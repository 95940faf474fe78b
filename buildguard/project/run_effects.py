"""What the shell commands of a RUN do to the files of an image, as far as their literal words show it. Pure.

`mv`, `cp`, `ln`, `rm`, `chmod`, `mkdir` are followed; what is known to leave the project's files alone is passed over; any other
command makes the paths that it names and its working folder unknown.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.project.image_model import FileOrigin, PlacedFile, UnknownArea, is_below
from buildguard.project.image_stage_state import WILD, StageState
from buildguard.project.run_commands import RunCommand, split
from buildguard.project.run_environments import (
    FilledFolder,
    activated_folder,
    brings_programs,
    filled_folders,
    own_folder,
    poetry_settings,
)

_KEYWORDS = frozenset(
    {"then", "do", "else", "if", "while", "until", "!", "{", "(", "time", "exec", "sudo", "env", "command", "eatmydata"}
)
_ENDS = frozenset({"fi", "done", "}", ")", "esac"})
_ASSIGNMENT = lazy_pattern(r"[A-Za-z_]\w*=.*", re.DOTALL)
_DYNAMIC = lazy_pattern(r"[$`]")
# Commands that put nothing among a project's files, and change none of them.
_HARMLESS = frozenset(
    {
        *(
            "pip",
            "pip3",
            "pipx",
            "uv",
            "uvx",
            "virtualenv",
            "apt",
            "apt-get",
            "apt-key",
            "add-apt-repository",
            "apk",
            "dnf",
            "microdnf",
            "yum",
        ),
        *(
            "useradd",
            "adduser",
            "groupadd",
            "addgroup",
            "usermod",
            "groupmod",
            "passwd",
            "chown",
            "chgrp",
            "chpasswd",
            "gosu",
        ),
        *(
            "echo",
            "printf",
            "true",
            ":",
            "set",
            "export",
            "unset",
            "umask",
            "ulimit",
            "test",
            "[",
            "ls",
            "cat",
            "which",
            "id",
        ),
        *("ldconfig", "update-ca-certificates", "locale-gen", "dpkg-reconfigure", "update-alternatives", "dpkg", "rpm"),
        *(
            "poetry",
            "pdm",
            "pipenv",
            "conda",
            "mamba",
            "micromamba",
            "hash",
            "sleep",
            "exit",
            "wait",
            "type",
            "date",
            "uname",
        ),
        *("setcap", "touch", "sync", "head", "tail", "grep", "wc", "sort", "debconf-set-selections", "rehash", "pyenv"),
    }
)
_HARMLESS_MODULES = frozenset({"pip", "compileall", "ensurepip", "venv", "virtualenv"})
_EDITORS = frozenset({"sed", "dos2unix", "perl", "envsubst", "awk", "tee", "truncate", "patch"})
_SYMBOLIC_MODE = lazy_pattern(r"(?P<who>[ugoa]*)(?P<operator>[+-])(?P<rights>[rwxX]+)")
_OCTAL = lazy_pattern(r"[0-7]{3,4}")
_EXPORTERS = frozenset({"poetry", "uv", "pdm"})
_OUTPUT_OPTIONS = frozenset({"-o", "--output", "--output-file"})
_STEERING = ("poetry.toml", ".venv")
_TARGET_OPTIONS = frozenset({"-t", "--target", "--prefix", "--root"})


def apply(text: str, state: StageState, line: int) -> None:
    """Follow the commands of a RUN in a stage."""
    runner = _CommandRunner(state, line)
    try:
        commands = list(split(text))
    except ValueError:
        runner.give_up(text)
        return
    for command in commands:
        runner.run(command)


class _CommandRunner:
    """The commands of one RUN, one after the other; `cd` moves them."""

    def __init__(self, state: StageState, line: int) -> None:
        self._state = state
        self._line = line
        self._folder: str | None = state.workdir
        self._active = ""  # the environment whose `activate` the shell read

    def run(self, command: RunCommand) -> None:
        """Follow one command."""
        words = program_words(command.words)
        for output in command.outputs:
            self._write(output)
        if not words:
            return
        name, arguments = posixpath.basename(words[0]), words[1:]
        self._fill_environments(words, command.words)
        follow = _FOLLOWED.get(name)
        if follow is not None and not command.is_certain and name not in _WITHOUT_LOSS:
            self._perhaps(name, words)
        elif follow is not None:
            follow(self, arguments)
        elif not activated_folder(words) and not self._leaves_files_alone(name, arguments):
            self._unfollowed(name, words)

    def _fill_environments(self, words: Sequence[str], whole: Sequence[str]) -> None:
        """The folders that the image's Python fills with packages; what stands before the program sets variables for it."""
        state = self._state
        folders = self._filled(words, dict(word.split("=", 1) for word in whole[: -len(words)] if "=" in word))
        if not any(folder.is_certain for folder in folders) and not self._fills_own(words) and brings_programs(words):
            state.takes_more = True
        for folder in folders:
            is_known = folder.path.startswith("/") or (self._folder is not None and state.knows_workdir)
            if is_known and not _DYNAMIC.search(folder.path):
                state.fill_environment(self._at(folder.path), self._line, folder)

    def _filled(self, words: Sequence[str], own: Mapping[str, str]) -> list[FilledFolder]:
        """The folders of a command's environments; it sets its `own` variables."""
        settings = {**poetry_settings(self._state.run_text), **self._state.env, **own}
        folders = filled_folders(words, settings, self._state.user)
        return [
            folder._replace(is_certain=folder.is_certain and not (folder.is_steered and self._may_steer()))
            for folder in folders
        ]

    def _may_steer(self) -> bool:
        """Whether an active environment, a `.venv` or a file of the project may have packages installed elsewhere."""
        is_known = self._folder is not None and self._state.knows_workdir
        return bool(self._active) or not is_known or any(map(self._may_be_here, _STEERING))

    def _may_be_here(self, name: str) -> bool:
        """Whether the working folder may have a file or an environment of that name."""
        state, path = self._state, self._at(name)
        is_there = path in state.files or state.covers_unknown(path) or state.has_environment(path)
        return bool(is_there) or name in state.run_text

    def _fills_own(self, words: Sequence[str]) -> bool:
        """Whether a command brings programs to an environment alone: its own pip, or any after its `activate`."""
        folder = activated_folder(words)
        self._active = folder or self._active
        folder = folder or own_folder(words, self._state.env, self._active, self._state.run_text)
        return bool(folder) and self._at(folder) in self._state.environments

    # ------------------------------------------------------------------------------------------ what is followed

    def cd(self, arguments: Sequence[str]) -> None:
        """Another working folder, for the rest of this RUN."""
        target = arguments[0] if arguments else "/root"
        self._folder = None if self._folder is None or _DYNAMIC.search(target) else self._at(target)

    def mkdir(self, arguments: Sequence[str]) -> None:
        """Folders that exist from now on."""
        for path in self._literal(arguments):
            self._state.make_folder(path)

    def rm(self, arguments: Sequence[str]) -> None:
        """Files and folders that are gone; those that a variable names may be."""
        for path in self._literal(arguments):
            self._state.remove(path)
        self._doubt_dynamic("rm", arguments)

    def mv(self, arguments: Sequence[str]) -> None:
        """Copies, and the originals gone."""
        if self._transfer(arguments):
            for path in self._literal(arguments)[:-1]:
                self._state.remove(path)

    def cp(self, arguments: Sequence[str]) -> None:
        """Copies."""
        self._transfer(arguments)

    def ln(self, arguments: Sequence[str]) -> None:
        """A symbolic link, or another name of the same file."""
        operands = [word for word in arguments if not word.startswith("-")]
        if any(_DYNAMIC.search(word) for word in operands) or self._folder is None or not operands:
            return
        *targets, path = operands if len(operands) > 1 else [*operands, "."]
        symbolic = any(word.startswith("-") and "s" in word for word in arguments)
        for target in targets:
            if symbolic:
                self._state.link(target, self._at(path), self._line)
            else:
                self._state.copy(self._at(target), self._at(path), self._line)

    def chmod(self, arguments: Sequence[str]) -> None:
        """Modes, also those of everything below a folder."""
        operands = [word for word in arguments if not word.startswith("-") or _SYMBOLIC_MODE.fullmatch(word)]
        if len(operands) < 2:  # noqa: PLR2004  a mode and a path
            return
        mode, *paths = operands
        deep = any(word.startswith("-") and "R" in word for word in arguments)
        for path in self._literal(paths):
            self._chmod_at(path, mode, deep=deep or _is_wild(path))

    def _chmod_at(self, path: str, mode: str, *, deep: bool) -> None:
        def update(file: PlacedFile) -> PlacedFile:
            return self._with_mode(file, mode) if deep or file.path == path else file

        self._state.change(path, update)

    def _with_mode(self, file: PlacedFile, mode: str) -> PlacedFile:
        if _OCTAL.fullmatch(mode):
            return file._replace(mode=int(mode, 8))
        bits = _symbolic_bits(mode)
        if bits is None:
            return file._replace(doubt=f"chmod {mode} in line {self._line} is not followed")
        return file._replace(mode=(0o644 if file.mode is None else file.mode) | bits)

    def find(self, arguments: Sequence[str]) -> None:
        """What it may remove is in doubt; without an action it only looks."""
        self._doubt_removed(["find", *arguments])

    # ------------------------------------------------------------------------------------------ what is not

    def give_up(self, text: str) -> None:
        """A text that is no list of commands: its words count as those of an unknown command."""
        self._state.takes_more = True
        self._unfollowed("a command that cannot be read", text.split())

    def _perhaps(self, name: str, words: Sequence[str]) -> None:
        """A command that runs under a condition: what it names, and what it may remove, is in doubt."""
        reason = f"RUN in line {self._line} may run {name}"
        for word in words[1:]:
            if self._is_path(word):
                place = self._at(word)
                self._state.add_unknown(UnknownArea(place, reason, self._line, place != "/", name))
        self._doubt_removed(words)

    def _leaves_files_alone(self, name: str, arguments: Sequence[str]) -> bool:
        if name not in _HARMLESS and not _runs_harmless_module(name, arguments):
            return name in _ENDS or name in {"for", "case"}
        split = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--") else [word])]
        for option, value in itertools.pairwise(split):
            if option in _TARGET_OPTIONS and not _DYNAMIC.search(value):
                reason = f"{name} in line {self._line} installs into it"
                self._state.add_unknown(UnknownArea(self._at(value), reason, self._line))
            elif option in _OUTPUT_OPTIONS and name in _EXPORTERS:
                self._write(value)
        return True

    def _unfollowed(self, name: str, words: Sequence[str]) -> None:
        """Any other command: the paths that it names, and its working folder, are unknown; an editor changes what it names."""
        reason = f"RUN in line {self._line} runs {name}"
        named = [self._at(word) for word in words if self._is_path(word)]
        self._doubt_removed(words)
        if name in _EDITORS:
            for path in named:
                self._state.doubt_files((file for file, _rest in [*self._state.select(path)]), reason)
            return
        for path in dict.fromkeys(named):
            self._state.add_unknown(UnknownArea(path, reason, self._line, path != "/", name))
        folder = self._folder
        if folder is None:
            self._state.add_unknown(UnknownArea("/", reason, self._line, program=name))
        elif not any(is_below(folder, path) for path in named if path != "/"):
            self._state.add_unknown(UnknownArea(folder, reason, self._line, folder != "/", name))

    @property
    def _may_remove(self) -> str:
        return f"RUN in line {self._line} may remove it"

    def _doubt_removed(self, words: Sequence[str]) -> None:
        from buildguard.project import removals

        patterns = removals.patterns(" ".join(words))
        files = [file for path, file in self._state.files.items() if patterns and removals.covers(patterns, path)]
        self._state.doubt_files(files, self._may_remove, may_be_gone=True)

    def _is_path(self, word: str) -> bool:
        if word.startswith("-") or _DYNAMIC.search(word) or "://" in word or self._folder is None:
            return False
        place = self._at(word)
        return "/" in word or place in self._state.files or place in self._state.folders

    def _write(self, output: str) -> None:
        """A file that a redirection writes: it exists, with a content that is unknown."""
        if _DYNAMIC.search(output) or output.startswith(("/dev/", "&")) or self._folder is None:
            return
        place = self._at(output)
        reason = f"RUN in line {self._line} writes it"
        before = self._state.files.get(place)
        file = before or PlacedFile(place, "", self._line, FileOrigin.WRITTEN)
        self._state.place(file._replace(doubt=reason))

    # ------------------------------------------------------------------------------------------ paths

    def _at(self, path: str) -> str:
        return self._state.at(path, self._folder or "/")

    def _literal(self, arguments: Sequence[str]) -> list[str]:
        """The operands that are no options and hold no variable, from the root."""
        if self._folder is None:
            return []
        return [self._at(word) for word in arguments if not word.startswith("-") and not _DYNAMIC.search(word)]

    def _doubt_dynamic(self, name: str, arguments: Sequence[str]) -> None:
        dynamic = [word for word in arguments if _DYNAMIC.search(word)] or (arguments if self._folder is None else [])
        if dynamic:
            self._doubt_removed([name, *dynamic])

    def _transfer(self, arguments: Sequence[str]) -> bool:
        """Copy what literal words name; whether they were."""
        operands = [word for word in arguments if not word.startswith("-")]
        if len(operands) < 2 or self._folder is None or any(_DYNAMIC.search(word) for word in operands):  # noqa: PLR2004
            self._unfollowed("cp", operands)
            return False
        *sources, target = operands
        inside = len(sources) > 1 or target.endswith("/")
        for source in sources:
            self._copy(source, self._at(target), inside=inside)
        return True

    def _copy(self, source: str, into: str, *, inside: bool) -> None:
        """Copy a file or folder; a copy of what is unknown is unknown."""
        place = self._at(source)
        area = self._state.covers_unknown(place)
        pattern = f"{place}/*" if source.endswith("/.") else place  # `cp -r a/. b` takes what is in it
        copied = self._state.copy(pattern, into, self._line, inside=inside)
        if area is not None or not copied:
            area = area or UnknownArea(place, f"it is copied from {source} in line {self._line}", self._line)
            name = posixpath.basename(place) if inside or into in self._state.folders else ""
            path = posixpath.join(into, name) if name else into
            self._state.add_unknown(area._replace(path=path, line=self._line, deep=True))


def _runs_harmless_module(name: str, arguments: Sequence[str]) -> bool:
    module = arguments[1] if arguments[:1] == ["-m"] and len(arguments) > 1 else ""
    return module in _HARMLESS_MODULES and re.fullmatch(r"python[\d.]*|pypy3?", name) is not None


def program_words(words: Sequence[str]) -> list[str]:
    """The words from the program on: without keywords, assignments and options of `sudo`."""
    rest = list(words)
    while rest and (rest[0] in _KEYWORDS or _ASSIGNMENT.fullmatch(rest[0])):
        rest = rest[1:]
    return rest


def _symbolic_bits(mode: str) -> int | None:
    """The bits that a mode such as `+x` or `u+rwx,g+x` adds; None for any other."""
    bits = 0
    for part in mode.split(","):
        match = _SYMBOLIC_MODE.fullmatch(part)
        if match is None or match["operator"] != "+":
            return None
        rights = sum({"r": 4, "w": 2, "x": 1, "X": 0}[right] for right in set(match["rights"]))
        who = match["who"] or "a"
        bits |= sum(rights << shift for name, shift in (("u", 6), ("g", 3), ("o", 0)) if name in who or "a" in who)
    return bits


def _is_wild(path: str) -> bool:
    return any(char in path for char in WILD)


# What may run or not: whoever needs more than a folder's name looks at the files in it.
_WITHOUT_LOSS = frozenset({"cd", "pushd", "mkdir", "find"})
_FOLLOWED: dict[str, Callable[[_CommandRunner, Sequence[str]], None]] = {
    "cd": _CommandRunner.cd,
    "pushd": _CommandRunner.cd,
    "mkdir": _CommandRunner.mkdir,
    "rm": _CommandRunner.rm,
    "rmdir": _CommandRunner.rm,
    "unlink": _CommandRunner.rm,
    "mv": _CommandRunner.mv,
    "cp": _CommandRunner.cp,
    "install": _CommandRunner.cp,
    "ln": _CommandRunner.ln,
    "chmod": _CommandRunner.chmod,
    "find": _CommandRunner.find,
}
