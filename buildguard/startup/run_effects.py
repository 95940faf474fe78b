"""What the commands of a RUN do to the files of an image: create, change, remove, or nobody knows. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from buildguard.project import shell
from buildguard.project.dockerfile import Instruction
from buildguard.project.start_command import in_folder
from buildguard.project.start_wrappers import unwrap


class EffectKind(StrEnum):
    """What may have happened to the paths of an effect."""

    CREATES = "creates"
    CHANGES = "changes"
    REMOVES = "removes"
    MODES = "changes the mode"
    FOLDER = "makes a folder"
    INSTALLS = "installs the project"


class RunEffect(NamedTuple):
    """One effect: its kind, the path or pattern in the image, and the line of the RUN."""

    kind: EffectKind
    path: str
    line: int

    def covers(self, path: str) -> bool:
        """Whether a path is this one, matches it, or is below it."""
        if self.path in {"/", path} or path.startswith(f"{self.path}/"):
            return True
        return fnmatchcase(path, self.path) or fnmatchcase(path, f"{self.path}/*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# These create no file of the project's.
_HARMLESS = _words(
    "apt-get apt apk dnf yum microdnf zypper dpkg groupadd useradd adduser addgroup usermod groupmod deluser chown chgrp source . echo "
    "printf true false : set export cd test [ ls cat which command id whoami env pwd sleep umask update-ca-certificates "
    "locale-gen localedef dpkg-reconfigure ldconfig playwright corepack pipx conda mamba "
    "micromamba poetry pip pip3 uv pipenv pdm easy_install rm rmdir find ln wait date hash exit type apt-key add-apt-repository "
    "apt-mark update-alternatives setcap fc-cache passwd chpasswd chsh ulimit shopt rustup gem nltk.downloader"
)
_KEYWORDS = _words("then do else if while until for case fi done esac { } ! elif")
_MODULES = _words("pip venv virtualenv ensurepip compileall playwright spacy nltk.downloader pipx uv poetry site")
_DJANGO = frozenset({"collectstatic", "compilemessages", "check", "migrate", "compress"})
_INSTALLERS = frozenset({"pip", "pip3", "uv", "poetry", "pdm", "pipenv"})
_REDIRECT = re.compile(r"(?<![<&\d])\d?>{1,2}\s*([^\s;&|<>]+)|\btee\s+(?:-a\s+)?([^\s;&|<>]+)")
_HEREDOC = re.compile(r"<<-?\s*[\"']?\w+[\"']?[^\n]*\n")


def effects_of(step: Instruction, folder: str) -> list[RunEffect]:
    """The effects of one RUN that begins in a folder of the image."""
    text = _text(step.text)
    reader = _EffectReader(step.line, folder)
    commands = shell.split_commands(text)
    if len(text) > shell.LONGEST or not commands:
        return [RunEffect(EffectKind.CREATES, folder, step.line)]
    for command in commands:
        reader.read([word for raw in command.words for word in shell.expand(raw, {})])
    for match in _REDIRECT.finditer(text):
        reader.write(match[1] or match[2])
    for flag in step.flags:
        if flag.startswith("--mount=") and re.search(r"\b(?:cp|rsync|tar|mv)\b", text):
            reader.write(".")
    return reader.effects


def _text(text: str) -> str:
    if text.strip().startswith("["):
        try:
            return shlex.join(map(str, json.loads(text)))
        except (ValueError, TypeError, RecursionError):
            return text
    match = _HEREDOC.match(text)
    return text[match.end() :] if match is not None else text


class _EffectReader:
    """Collects effects, command by command; `cd` changes the folder."""

    def __init__(self, line: int, folder: str) -> None:
        self._line = line
        self._folder = folder
        self.effects: list[RunEffect] = []

    def read(self, words: list[str]) -> None:
        """One simple command."""
        while words and (words[0] in _KEYWORDS or shell.assignment(words[0]) is not None):
            words = words[1:]
        if not words:
            return
        name = posixpath.basename(words[0])
        if name == "cd" and len(words) > 1:
            self._folder = in_folder(self._folder, words[1]) if "$" not in words[1] else "/"
        elif name in {"chmod", "mkdir"}:
            self._add(EffectKind.MODES if name == "chmod" else EffectKind.FOLDER, _operands(words[1:]))
        elif name in _CHANGERS:
            self._add(EffectKind.CHANGES, _operands(words[1:]))
        elif name in {"cp", "mv", "install", "touch", "ln"}:
            self._move(name, _operands(words[1:]))
        elif name in {"rm", "rmdir", "unlink"}:
            self._add(EffectKind.REMOVES, _operands(words[1:]))
        elif name == "find":
            self._find(words)
        elif name in _INSTALLERS and _installs_project(words):
            self._add(EffectKind.INSTALLS, ["."])
        else:
            self._other(name, words)

    def write(self, path: str) -> None:
        """A file that the shell writes."""
        if not path.startswith(("/dev/", "&")):
            self._add(EffectKind.CREATES, [path.strip("\"'")])

    def _other(self, name: str, words: list[str]) -> None:
        if name in {"npm", "yarn", "pnpm"} and {"ci", "install", "i", "add", "config"}.intersection(words[1:3]):
            return
        if name in _HARMLESS or _is_harmless_python(name, words) or _prints(name, words):
            return
        wrapped = unwrap(words)
        if wrapped is not None:
            self.read(list(wrapped.words))
            return
        self._add(EffectKind.CREATES, [".", *(word for word in words if "/" in word and "://" not in word)])
        self._add(EffectKind.CHANGES, ["."])

    def _move(self, name: str, operands: Sequence[str]) -> None:
        self._add(EffectKind.CREATES, operands[-1:] if name != "touch" else operands)
        self._add(EffectKind.CHANGES, operands[-1:])
        if name == "mv":
            self._add(EffectKind.REMOVES, operands[:-1])

    def _find(self, words: list[str]) -> None:
        start = words[1] if len(words) > 1 and not words[1].startswith("-") else "."
        if {"-delete", "-exec", "-execdir"}.intersection(words):
            self._add(EffectKind.REMOVES, [start])
            self._add(EffectKind.CHANGES, [start])

    def _add(self, kind: EffectKind, paths: Sequence[str]) -> None:
        for path in paths:
            full = "/" if "$" in path else in_folder(self._folder, path)
            self.effects.append(RunEffect(kind, full, self._line))


_CHANGERS = frozenset({"sed", "dos2unix", "perl", "awk", "gzip", "gunzip"})


def _operands(words: Sequence[str]) -> list[str]:
    """The words that may be paths: no options, but for `chmod` and `sed` also their first one."""
    return [word for word in words if not word.startswith("-") and word not in {"\\;", "{}", "+"}]


def _is_harmless_python(name: str, words: Sequence[str]) -> bool:
    if not name.startswith(("python", "pypy", "manage.py", "django-admin")):
        return False
    rest = [word for word in words if not word.startswith("-") or word == "-m"]
    if "-m" in rest and rest.index("-m") + 1 < len(rest):
        return rest[rest.index("-m") + 1] in _MODULES
    return bool(_DJANGO.intersection(words)) or {"--version", "-V"}.issuperset(words[1:])


def _prints(name: str, words: Sequence[str]) -> bool:
    """Whether a program that can write files only prints here."""
    if name in {"curl", "wget"}:
        return not any(
            word.startswith(("-o", "-O", "--output", "--remote-name", "-LO", "-sO", "-P")) for word in words[1:]
        )
    return name in {
        "grep",
        "sort",
        "head",
        "tail",
        "wc",
        "cut",
        "tr",
        "xargs",
        "gpg",
        "sha256sum",
        "md5sum",
        "uname",
        "node",
        "java",
    }


def _installs_project(words: Sequence[str]) -> bool:
    name, rest = posixpath.basename(words[0]), list(words[1:])
    operands = [word for word in rest if not word.startswith("-")]
    if name in {"pip", "pip3"} or operands[:1] == ["pip"]:
        return "install" in operands and any(_is_local(word) for word in operands)
    if name == "uv":
        return operands[:1] == ["sync"] and "--no-install-project" not in rest
    if name in {"poetry", "pdm"}:
        return operands[:1] in (["install"], ["sync"]) and not {"--no-root", "--no-self"}.intersection(rest)
    return False


def _is_local(word: str) -> bool:
    """Whether an operand of `pip install` is a folder, a wheel or a repository, and no name of the index."""
    is_place = word.startswith((".", "/", "git+", "http"))
    return word.endswith(".whl") or (is_place and not word.endswith((".txt", ".in")))
