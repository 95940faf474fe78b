"""Who names a package: the commands of a RUN that may install one of that name, and the requirements of the project."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from weakref import WeakKeyDictionary

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.imports.closures import is_unbrought
from buildguard.imports.distributions import ModuleIndex, resembles
from buildguard.imports.lock import LOCKS
from buildguard.imports.requirements import Requirements, read_requirements
from buildguard.project import toml
from buildguard.project.dockerfile import Instruction
from buildguard.project.package_names import normalize
from buildguard.project.project_installs import WITH_VALUE, installs
from buildguard.project.run_commands import split
from buildguard.project.run_effects import program_words
from buildguard.startup.image_start import ImageStart
from buildguard.startup.image_tree import ImageTree
from buildguard.startup.locked_programs import installed_requirements, installs_packages

_REQUIREMENTS = lazy_pattern(
    r"(?:^|/)(?:[\w.-]*requirements?[\w.-]*\.(?:txt|in)|requirements/[^/]+|pyproject\.toml|Pipfile(?:\.lock)?|setup\.(?:py|cfg)"
    r"|poetry\.lock|uv\.lock|pdm\.lock|environment\.ya?ml|constraints[^/]*\.txt)$"
)
_SYSTEM = frozenset({"apk", "apt", "apt-get", "dnf", "microdnf", "yum"})
_INSTALLERS = _SYSTEM | {"conda", "mamba", "micromamba", "pdm", "pip", "pip3", "pipenv", "pipx", "poetry", "uv"}
_VERBS = frozenset({"add", "create", "install", "sync"})
_RUNNERS = frozenset({"exec", "run"})
_NAMING = WITH_VALUE | {"-n", "--name", "--group", "--extra", "--with", "--without", "--only", "-E", "--extras"}
_LISTS = (".in", ".txt")
# Commands that bring no module, whatever they name, unless their output goes to a file.
_BRING_NOTHING = frozenset(
    {
        *("[", ":", "addgroup", "adduser", "apt-key", "chgrp", "chmod", "chown", "chpasswd", "date", "done", "esac"),
        *("exit", "export", "false", "fi", "grep", "groupadd", "groupmod", "head", "id", "ldconfig", "ls", "mkdir"),
        *("passwd", "pwd", "rm", "rmdir", "set", "setcap", "sleep", "sort", "stat", "tail", "test", "touch", "true"),
        *("type", "umask", "uname", "unlink", "unset", "update-ca-certificates", "useradd", "usermod", "wait", "wc"),
        "which",
    }
)
_HANDING = frozenset({"cat", "cd", "echo", "printf", "pushd"})
_COPIES = frozenset({"cp", "install", "ln", "mv"})
_FOLLOWED = _BRING_NOTHING | _HANDING | _COPIES | _INSTALLERS
# Where the model of an image, which follows literal words, does not have what a copy or an output brings.
_ELSEWHERE = lazy_pattern(r"-packages|\.pth\b|[$`]")
_ABSOLUTE = lazy_pattern(r"(?<![\w.:/@-])/(?![^\s'\"]*-packages)[\w./-]*")
_BUILDS = lazy_pattern(r"(?<![\w/-])(?:build|wheel|bdist_wheel|sdist)(?![\w/-])|\bsetup\.py\b")
_WILD = lazy_pattern(r"[*$]")
_PYTHON = lazy_pattern(r"python[\d.]*|pypy3?")


class _CommandWords:
    """Collects the words of commands that may bring a package of a name."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.system: list[str] = []
        self.is_built = False

    def may_name(self, name: str) -> bool:
        """Whether one of the commands may bring a package, or a program, of a name."""
        of_system = re.compile(rf"(?i)(?:python[\d.]*-|py\d-)?{_plain(name)}(?:[=:].*)?")
        return any(map(_pattern(name).search, self.words)) or any(map(of_system.fullmatch, self.system))

    def read(self, text: str, *, is_own: bool) -> None:
        """Take the words of a RUN; of a stage that is not the image's `own` those of installers alone."""
        self.is_built = self.is_built or _BUILDS.search(text) is not None
        try:
            commands = _commands(text)
        except ValueError:
            self.words.append(text)
            return
        # what is not followed may install what is in the folder to which the shell went, and what is printed for it
        is_open = any(name not in _FOLLOWED for name, _words, _outputs in commands)
        for name, words, outputs in commands:
            if name in _INSTALLERS and not _RUNNERS.intersection(words):
                self._install(name, words[1:])
            elif is_own:
                self._run(name, words, outputs, is_open=is_open)

    def _install(self, name: str, words: Sequence[str]) -> None:
        verb = next((number for number, word in enumerate(words) if word in _VERBS), None)
        operands = [] if verb is None else list(_operands(words[verb + 1 :]))
        if name in _SYSTEM:
            self.system += operands
            return
        self.words += [word if "://" in word else posixpath.basename(word.rstrip("/")) for word in operands]
        self.is_built = self.is_built or any(_WILD.search(word) for word in operands)

    def _run(self, name: str, words: Sequence[str], outputs: Sequence[str], *, is_open: bool) -> None:
        text = " ".join([*words, *outputs])
        places = " ".join([*(words if name in _COPIES else ()), *outputs])
        if (name in _HANDING and is_open) or _ELSEWHERE.search(places):
            self.words.append(text)
        elif name not in _FOLLOWED or any(output.endswith(_LISTS) for output in outputs):
            self.words.append(_ABSOLUTE.sub(" ", text))


class _ListedPackages(NamedTuple):
    """A file of requirements: its path, its text, and what it asks for."""

    path: str
    text: str
    requirements: Requirements


class _NamedPackages(NamedTuple):
    """What may name a package: the commands of the image, those of other stages that install, and files of requirements.

    `is_built` says that a command may build the project, and so install what it names itself.
    """

    own: _CommandWords
    others: _CommandWords
    files: tuple[_ListedPackages, ...]
    is_built: bool


_NAMED: WeakKeyDictionary[ImageTree, _NamedPackages] = WeakKeyDictionary()


def who_names(image: ImageStart, top: str) -> str:
    """The RUN or the file of requirements that names a top-level module, or the project that a RUN builds; else empty."""
    named = _named(image)
    pattern = _pattern(top)
    texts = (file.path for file in named.files if named.is_built and pattern.search(file.text))
    path = next(texts, "")
    return f"{path} names {top}" if path else who_requires(image, top)


def who_requires(image: ImageStart, top: str) -> str:
    """The RUN or the file of requirements that asks for a package with a top-level module; empty where none does."""
    if is_in_run(image, top) or _named(image).others.may_name(top):
        return f"a RUN names {top}"
    index = ModuleIndex({})
    path = next((file.path for file in _named(image).files if _may_bring(file, top, index)), "")
    return f"{path} names {top}" if path else ""


def may_be_needed(image: ImageStart, top: str) -> str:
    """Why a package that is installed may need one of a known name; empty where all that they need is known, or nothing is."""
    index = ModuleIndex({})
    if not index.knows(top) or not (installs_packages(image) or image.recipe.by_buildpacks):
        return ""
    installed, python = installed_requirements(image), image.tree.model.python
    if installed is not None and python is not None and is_unbrought(top, installed, index, python.minor):
        return ""
    return f"another package may need {min(index.bringers_of(top), key=len)}"


def is_in_run(image: ImageStart, name: str) -> bool:
    """Whether a RUN of the image names a package or a program in a command that may bring it."""
    return _named(image).own.may_name(name)


def _plain(top: str) -> str:
    """A name in a regular expression, with any of the marks that mean the same in names of packages."""
    return re.sub("[-_.]+", "[-_.]", re.escape(top))


def _pattern(top: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<![a-z0-9]){_plain(top)}(?![a-z0-9])")


def _may_bring(file: _ListedPackages, top: str, index: ModuleIndex) -> bool:
    """Whether a file asks for a package of a name, or for one by its address or path."""
    is_text = file.requirements.has_unnamed or "." not in posixpath.basename(file.path)
    is_named = "git+" in file.text or (is_text and _pattern(top).search(file.text) is not None)
    return is_named or any(_brings(name, top, index) for name in file.requirements.names)


def _brings(name: str, top: str, index: ModuleIndex) -> bool:
    modules = index.modules_of(name)
    return resembles(name, top) if modules is None else any(module.partition(".")[0] == top for module in modules)


def requirement_files(image: ImageStart) -> list[str]:
    """The files of the context that name requirements."""
    return image.files.named(_REQUIREMENTS.search, image.service.context)


def _named(image: ImageStart) -> _NamedPackages:
    """What may name a package; it is read once."""
    named = _NAMED.get(image.tree)
    if named is None:
        named = _NAMED[image.tree] = _read(image)
    return named


def _read(image: ImageStart) -> _NamedPackages:
    own, others = _CommandWords(), _CommandWords()
    for text in _runs(image.tree.steps):
        own.read(text, is_own=True)
    # what the other stages install may be copied to the last one
    for text in (text for stage in image.stages for text in _runs(stage.instructions)):
        others.read(text, is_own=False)
    is_built = own.is_built or others.is_built or any(any(installs(stage)) for stage in image.stages)
    return _NamedPackages(own, others, tuple(_files(image)), is_built)


def _runs(instructions: Iterable[Instruction]) -> Iterator[str]:
    return (step.text for step in instructions if step.name == "RUN")


def _files(image: ImageStart) -> Iterator[_ListedPackages]:
    for path in requirement_files(image):
        data = image.files.read(path)
        if data:
            requirements = read_requirements([path], image.files.read)
            own = _own_name(image, path) if posixpath.basename(path) in LOCKS else ""
            requirements = requirements._replace(names=requirements.names - {own})
            yield _ListedPackages(path, data.decode("utf-8", "replace"), requirements)


def _own_name(image: ImageStart, lock: str) -> str:
    """The name of the project that a lock file belongs to, which it lists as well."""
    data = image.files.read(posixpath.join(posixpath.dirname(lock), "pyproject.toml"))
    try:
        project = toml.table(toml.read(data or b"", "pyproject.toml"), "project")
    except UsageError:
        return ""
    return normalize(str(project.get("name", "")))


def _commands(text: str) -> list[tuple[str, Sequence[str], tuple[str, ...]]]:
    """The commands of a RUN: the program, the words from it on, and the files that the output goes to."""
    items = [(program_words(item.words) or item.words, item.outputs) for item in split(text)]
    return [(_program(words), words, outputs) for words, outputs in items if words]


def _program(words: Sequence[str]) -> str:
    """The program of a command; `pip` for `python -m pip`."""
    name = posixpath.basename(words[0])
    return "pip" if _PYTHON.fullmatch(name) and tuple(words[1:3]) == ("-m", "pip") else name


def _operands(words: Sequence[str]) -> Iterator[str]:
    """The words of an installer that are no options, values of them or lists of requirements."""
    before = ""
    for word in words:
        if not word.startswith("-") and before not in _NAMING and not word.endswith(_LISTS):
            yield word
        before = word
