"""Whether an image installs a lock file, and what it may hold beside that: base images, and what pip and apt install. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from buildguard.definitions import lazy_pattern
from buildguard.imports.tool_installs import TOOLS, InstallPlaces
from buildguard.project import dockerfile, image_reference
from buildguard.project.discovery import ImageRecipe
from buildguard.project.dockerfile import FinalStage, Instruction
from buildguard.project.dockerfile_python import follow, number_of
from buildguard.project.project_installs import WITH_VALUE

_LOCKED = lazy_pattern(
    r"\buv\s+(?:sync|export|pip\s+sync)\b|\buv\s+run\b(?![^\n;&|]*\s--no-(?:project|sync)\b)"
    r"|\bpoetry\s+(?:install|export|sync)\b|pylock|\bpdm\b"
)
_WITH_GROUPS = lazy_pattern(r"--group\b|--all-groups|--with[= ]|--dev\b")
_WITHOUT_GROUPS = lazy_pattern(
    r"--no-dev|--no-default-groups|--only[= ]main|--without[= ]\S*dev|--no-group|UV_NO_DEV|--prod\b"
)
_EXTRAS = lazy_pattern(r"(?i)extra|\s-E\b|\.\[|\]==")
_COMMANDS = lazy_pattern(r"&&|\|\||[;|&\n]")
_PIP = lazy_pattern(r"\bpip[\d.]*\s+(?:-\S+\s+)*install\b(?P<words>.*)|\b(?:poetry|uv|pdm)\s+add\b(?P<added>.*)")
_SYSTEM = lazy_pattern(r"\b(?:conda|mamba|apt|apt-get|apk|dnf|microdnf|yum)\b.*?\b(?:install|add)\b(?P<words>.*)")
_OUTPUT = lazy_pattern(r"\s\d*>>?\s*\S*")
_NAME = lazy_pattern(r"[A-Za-z][\w.-]*")
_FILE_OPTION = lazy_pattern(r"(?:-r|--requirements?)(?:=|\b)(?P<name>.*)")
_OF_LIBRARY = lazy_pattern(r"python3-(?:dev|venv|minimal|distutils|lib2to3|tk|dbg|doc)")
_OWN_TOOL = lazy_pattern(r"(?:poetry|pdm)\b")
# `uv export -o FILE`, `poetry export > FILE`, and what a pipe hands to pip
_EXPORTED = lazy_pattern(
    r"\b(?:uv|poetry|pdm)\s+export\b[^\n;&|]*?(?:\s(?:-o|--output(?:-file)?)[= ]\s*|>\s*)[\"']?(?P<name>[^\s\"';&|]+)"
)
_PIPED = lazy_pattern(r"\b(?:uv|poetry|pdm)\s+export\b[^\n;&|]*\|[^\n;&|]*\binstall\b")
_STREAMS = frozenset({"/dev/stdin", "-", "/dev/fd/0"})

_FROM = lazy_pattern(r"^--(?:mount=(?:\S*,)?)?from=(?P<origin>[^,]+)")
_MOUNTED = lazy_pattern(r"\b(?:source|src)=([^,]+)")
# A folder that may have packages, in an image that has no Python of its own, and in any other.
_MAY_HOLD = lazy_pattern(r"^/(?:usr(?:/lib(?:64)?)?)?/?$|python|-packages|venv|[*?$]", re.IGNORECASE)
_PROGRAM = lazy_pattern(r"/s?bin/(?!python|pip)[\w.-]+$|^/uvx?$")
_INSTALLERS = lazy_pattern(r"\bpip[\d.]*\b|\buvx?\b|\bpoetry\b|\bpdm\b|\bpipenv\b|conda\b|\bmamba\b")

# What lets the image's own Python see the packages of a distribution's, or starts that one.
_OF_DISTRIBUTION = lazy_pattern(
    r"dist-packages|/usr/bin/python|/usr/lib/python|system-site-packages|UV_PROJECT_ENVIRONMENT[= ][\"']?/usr/?(?=[\"'\s]|$)"
)
# An environment of uv whose name does not show that it is a virtual one.
_OTHER_ENVIRONMENT = lazy_pattern(r"UV_PROJECT_ENVIRONMENT[= ](?!\S*venv)")
# What starts the program in an environment of its own.
_ENTERS = lazy_pattern(r"\bPATH[= ][\"']?[^\s:]*(?:venv|virtual_?env)[^\s:]*/bin\b", re.IGNORECASE)
_STARTS_IN = lazy_pattern(r"\b(?:uv|poetry|pdm)\s+run\b|venv/bin/")
_STARTING = frozenset({"CMD", "ENTRYPOINT"})


def installs_lock(recipe: ImageRecipe) -> bool:
    """Whether an instruction of an image installs a lock file."""
    return any(map(_LOCKED.search, _LockedImage(recipe).commands))


def explain_open_lock(recipe: ImageRecipe, file: str) -> str:
    """Why an image may hold more than a lock file says; empty where the lock is all."""
    image = _LockedImage(recipe)
    foreign = next(image.foreign(), "")
    if foreign:
        return f"{foreign} may bring packages of its own"
    if not installs_lock(recipe):
        return f"no instruction installs {file}"
    others = sorted(image.others(), key=lambda word: _OWN_TOOL.match(word) is not None)
    return f"{others[0]} is installed beside {file}" if others else ""


def installs_groups(recipe: ImageRecipe) -> bool:
    """Whether an image may get development groups of a lock file: tools install them by default, or are asked for some."""
    text = recipe.dockerfile.decode("utf-8", "replace")
    return _WITHOUT_GROUPS.search(text) is None or _WITH_GROUPS.search(text) is not None


def asks_for_extras(recipe: ImageRecipe) -> bool:
    """Whether an image may get extras of the project: a command or a variable asks for some."""
    return _EXTRAS.search(recipe.dockerfile.decode("utf-8", "replace")) is not None


class _LockedImage:
    """The stages that the Python packages of an image come from."""

    def __init__(self, recipe: ImageRecipe) -> None:
        self._recipe = recipe
        self._text = recipe.dockerfile.decode("utf-8", "replace")
        self._stages = dockerfile.stages(recipe.dockerfile, dict(recipe.service.build_args))
        needed = dockerfile.needed_stages(self._stages, recipe.service.stage)
        self._needed = [self._stages[number] for number in sorted(needed)]

    @cached_property
    def _sources(self) -> list[FinalStage]:
        """The stage that is built, and those that hand packages on to it; each with the stages below it."""
        service = self._recipe.service
        final = dockerfile.resolve_final_stage(self._recipe.dockerfile, dict(service.build_args), service.stage)
        found = [] if final is None else [final]
        for source in found:
            found += [stage for step in _steps(source) for stage in self._taken(step) if stage not in found]
        return found

    def _taken(self, step: Instruction) -> Iterator[FinalStage]:
        """The stages and images that a COPY, or the mount of a RUN, may take packages from."""
        for match in filter(None, map(_FROM.search, step.flags)):
            number = number_of(match["origin"], self._stages)
            source = FinalStage(step.line, match["origin"], ()) if number is None else follow(self._stages, number)
            paths = dockerfile.source_words(step.text)[:-1] if step.name == "COPY" else _MOUNTED.findall(match.string)
            if any(_hands_on(source, path) for path in paths or ["."]):
                yield source

    def foreign(self) -> Iterator[str]:
        """The base images that may have packages."""
        return (source.image for source in self._sources if not _is_plain(source.image))

    @property
    def commands(self) -> Iterator[str]:
        """The commands and settings of the stages that count."""
        return (_command(step) for source in self._sources for step in _steps(source))

    # ------------------------------------------------------------------------------------------ beside the lock

    def others(self) -> Iterator[str]:
        """What is installed beside the lock file, tools that need nothing else aside."""
        for source in self._sources:
            is_own = _has_own_python(source.image) and _OF_DISTRIBUTION.search(self._text) is None
            has_entered = False  # then pip may be that of the environment
            for step in _steps(source):
                has_entered |= step.name == "ENV" and _starts_in(step)
                if step.name == "RUN":
                    yield from self._of_run(step.text, is_own=is_own, has_entered=has_entered)

    def _of_run(self, text: str, *, is_own: bool, has_entered: bool) -> Iterator[str]:
        for command in map(str.strip, _COMMANDS.split(text)):
            pip, system = _PIP.search(command), _SYSTEM.search(command)
            if pip is not None and (has_entered or not self._is_apart(command)):
                yield from self._of_pip(pip["words"] or pip["added"] or "", is_piped=_PIPED.search(text) is not None)
            elif pip is None and system is not None and not is_own and not self._is_separate:
                yield from filter(_is_module, _plain_words(system["words"]))

    def _of_pip(self, text: str, *, is_piped: bool) -> Iterator[str]:
        words = iter(_plain_words(text))
        for word in words:
            file = _FILE_OPTION.fullmatch(word)
            if file is not None:
                name = file["name"] or next(words, "")
                is_export = name.rpartition("/")[2] in self._exported or (is_piped and name in _STREAMS)
                yield from () if is_export else [f"-r {name}"]
            elif word in WITH_VALUE:
                next(words, "")
            elif _is_package(word):
                yield word

    @cached_property
    def _exported(self) -> frozenset[str]:
        """The names of the files that the lock is written to."""
        steps = [step for stage in self._needed for step in stage.instructions]
        names = {match["name"] for step in steps for match in _EXPORTED.finditer(step.text)}
        copied = " ".join(step.text for step in steps if step.name in {"COPY", "ADD"} and not step.flags)
        bases = {name.rpartition("/")[2] for name in names}
        return frozenset(base for base in bases if base not in re.split(r"[\s/\"',]+", copied))

    # ------------------------------------------------------------------------------------------ environments

    def _is_apart(self, command: str) -> bool:
        """Whether a command surely installs into another environment than that of the program."""
        return self._is_separate and self._places.of(command) == "system"

    @cached_property
    def _places(self) -> InstallPlaces:
        return InstallPlaces(self._recipe)

    @cached_property
    def _is_separate(self) -> bool:
        """Whether the lock is installed into an environment of the project, and the program starts there."""
        is_project = self._places.of_lock == {"project"} and _OTHER_ENVIRONMENT.search(self._text) is None
        return is_project and any(map(_starts_in, _steps(self._sources[0])))


def _steps(source: FinalStage) -> Iterator[Instruction]:
    """The instructions of some stages, those below first."""
    return (step for stage in reversed(source.chain) for step in stage.instructions)


def _command(step: Instruction) -> str:
    """What an instruction runs or sets; empty for one that does neither."""
    if step.name not in {"RUN", "ENV", *_STARTING}:
        return ""
    return " ".join(dockerfile.exec_words(step.text) or [step.text])


def _starts_in(step: Instruction) -> bool:
    pattern = {"ENV": _ENTERS, **dict.fromkeys(_STARTING, _STARTS_IN)}.get(step.name)
    return pattern is not None and pattern.search(_command(step)) is not None


def _hands_on(source: FinalStage, path: str) -> bool:
    """Whether packages may come with a path of a stage or an image.

    Of an image, or of a stage without Python, those are only what the path names: `site-packages`, or all of the system.
    """
    if _PROGRAM.search(path):
        return False
    return _MAY_HOLD.search(path) is not None or not _has_no_packages(source)


def _has_no_packages(source: FinalStage) -> bool:
    if source.chain and not image_reference.has_no_python(source.image):
        return False
    return not any(step.name == "RUN" and _INSTALLERS.search(step.text) for step in _steps(source))


def _is_plain(base: str) -> bool:
    """Whether an image is Python's own or a plain system's, without packages of its own."""
    ref = image_reference.parse(base)
    return ref.last in {"python", "scratch", "debian", "ubuntu", "alpine", "uv"} or ref.last.startswith(
        ("python3", "base-debian")
    )


def _has_own_python(base: str) -> bool:
    """Whether an image has a Python beside that of its distribution, which does not see what apt installs."""
    ref = image_reference.parse(base)
    named = ref.last == "python" and "chainguard" not in ref.name
    return named or (ref.last == "uv" and image_reference.promised_version(base) is not None)


def _plain_words(text: str) -> Sequence[str]:
    """The words of a command, without quotes and what sends its output elsewhere."""
    return [word.strip("\"'()") for word in _OUTPUT.sub(" ", text).split()]


def _is_module(word: str) -> bool:
    """Whether a package of a distribution may bring modules."""
    return word.startswith(("python3-", "py3-", "$")) and _OF_LIBRARY.fullmatch(re.split("[=:~]", word)[0]) is None


def _is_package(word: str) -> bool:
    """Whether a word of `pip install` is a package that is no part of the project, and no tool that needs nothing else."""
    name = _NAME.match(word)
    if name is not None:
        return "/" in word or name[0].lower() not in TOOLS
    return word.startswith(("$", "*", "./", "../", "/")) and word not in {"./", "/"}
