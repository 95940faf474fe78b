"""The Python of an image, by its Dockerfile: what the base image promises, else what the instructions install. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage, FinalStage, Instruction
from buildguard.project.target import PythonVersion

_COMMANDS = lazy_pattern(r"&&|\|\||[;|\n]")
_PACKAGES = lazy_pattern(
    r"\b(?:apt|apt-get|apk|dnf|microdnf|tdnf|yum|zypper)\b[^\n;&|]*?\b(?:install|add)\b(?P<names>[^\n;&|]*)"
)
_DISTRIBUTION = lazy_pattern(r"(?:python3|py3)(?:-[\w.-]+)?|python-is-python3")
_EXPLICIT = lazy_pattern(r"python-?3\.?(?P<minor>\d{1,2})(?:-[\w.-]+)?")
_PIN = lazy_pattern(r"[=~<>]+(?P<version>3\.\d{1,2})")
_VERSION = r"(?:cpython-|python)?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)"
_TOOLS = (
    lazy_pattern(rf"\buv\s+python\s+install\b[^\n;&|]*?\s{_VERSION}\b"),
    lazy_pattern(rf"\buv\s+(?:venv|sync|run|pip)\b[^\n;&|]*?\s(?:--python|-p)[= ]\s*{_VERSION}\b"),
    lazy_pattern(rf"\bvirtualenv\b[^\n;&|]*?\s(?:--python|-p)[= ]\s*{_VERSION}\b"),
    lazy_pattern(rf"\bpyenv\s+(?:install|global)\b[^\n;&|]*?\s{_VERSION}\b"),
    lazy_pattern(
        rf"\b(?:conda|mamba|micromamba)\b[^\n;&|]*\b(?:create|install)\b[^\n;&|]*?[\s'\"]python={{1,2}}{_VERSION}"
    ),
    lazy_pattern(r"\bPython-(?P<version>3\.\d{1,2}\.\d{1,3})\.t(?:ar\.)?[gx]z"),
)
_OPEN_TOOL = lazy_pattern(
    r"\buv\s+python\s+install\b|\bpyenv\s+install\b|\b(?:conda|mamba|micromamba)\s+(?:env\s+)?create\b"
)
# A version of several that becomes `python` or `python3`.
_CHOICE = lazy_pattern(
    r"update-alternatives[^\n;&|]*python3\.(\d{1,2})|\bln\s+-\w+\s+\S*python3\.(\d{1,2})|python3\.(\d{1,2})\s+-m\s+venv"
)
_NAMED_PROGRAM = lazy_pattern(r"\bpython3\.(\d{1,2})\b")
_WHOLE = lazy_pattern(r"^/(?:usr(?:/local)?(?:/(?:bin|lib)?)?)?/?$|python")
_DEEPEST = 20

_INSTRUCTIONS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)


class PythonRelation(Enum):
    """What a Dockerfile has to do with Python: it ships it, it does not, or only its base image can show it."""

    SHIPS = "ships"
    NONE = "none"
    UNKNOWN_BASE = "unknown base"


class DockerfilePython(NamedTuple):
    """The Python of an image: its version with the line and words that say so, or why it is unknown.

    `image` has that interpreter, None where instructions install it; `doubt` is why another Python may run in the end;
    `has_stages` is False without a FROM.
    """

    relation: PythonRelation
    line: int
    words: str
    version: PythonVersion | None = None
    why_unknown: str = ""
    image: str | None = None
    doubt: str = ""
    has_stages: bool = True


class PythonInstall(NamedTuple):
    """An instruction that brings a Python: its line, the version (None where unknown) and what it does."""

    line: int
    version: PythonVersion | None
    words: str


def resolve(data: bytes, build_args: Mapping[str, str], target: str = "") -> DockerfilePython:
    """The Python of the stage that a build ends with, or of the one called `target`."""
    last = dockerfile.resolve_final_stage(data, build_args, target)
    if last is None:
        empty = not dockerfile.instructions(data)  # a template that is still to be written
        relation = PythonRelation.NONE if empty else PythonRelation.SHIPS
        return DockerfilePython(relation, 1, "no FROM", why_unknown=_without_from(data), has_stages=False)
    stages = dockerfile.stages(data, build_args)
    words = f"final stage on {last.image}"
    version = image_reference.promised_version(last.image)
    if version is not None or image_reference.implementation(last.image):
        why_unknown = "" if version is not None else image_reference.why_version_unknown(last.image)
        doubt = dockerfile.installs_python(last.chain)
        image = last.image if version is not None else None
        return DockerfilePython(PythonRelation.SHIPS, last.line, words, version, why_unknown, image, doubt)
    relation = _relation(last, stages)
    if relation is PythonRelation.NONE:
        return DockerfilePython(relation, last.line, words)
    return _installed(last, stages, words)._replace(relation=relation)


def _without_from(data: bytes) -> str:
    """That no stage begins, and the first word that is no instruction, for it may be a misspelt FROM."""
    odd = next((step for step in dockerfile.instructions(data) if step.name not in _INSTRUCTIONS), None)
    return "the Dockerfile has no FROM" + (f": '{odd.name}' in line {odd.line} is not an instruction" if odd else "")


def _installed(last: FinalStage, stages: Sequence[DockerfileStage], words: str) -> DockerfilePython:
    """What the instructions of the final stage and the stages below it install."""
    ships = PythonRelation.SHIPS
    installs = list(_installs(last, stages, _DEEPEST))
    versions = {install.version for install in installs if install.version is not None}
    if not versions:
        why_unknown = image_reference.why_version_unknown(last.image)
        if installs:
            why_unknown = f"{installs[0].words} in line {installs[0].line}, and which version that is is unknown"
        return DockerfilePython(
            ships, last.line, words, None, why_unknown, last.image, dockerfile.installs_python(last.chain)
        )
    chosen = _choose(installs, last)
    if chosen is None:
        each = " and ".join(
            f"{install.version or 'of an unknown version'} (line {install.line})"
            for install in _first_of_each(installs)
        )
        why_unknown = f"it installs Python {each}, and which of them runs the code is unknown"
        return DockerfilePython(ships, installs[0].line, words, None, why_unknown)
    doubt = f"line {chosen.line} installs Python, so no image has been asked"
    return DockerfilePython(ships, chosen.line, f"{chosen.words} on {last.image}", chosen.version, "", None, doubt)


def _first_of_each(installs: Iterable[PythonInstall]) -> list[PythonInstall]:
    first: dict[PythonVersion | None, PythonInstall] = {}
    for install in installs:
        first.setdefault(install.version, install)
    return list(first.values())


def _choose(installs: Sequence[PythonInstall], last: FinalStage) -> PythonInstall | None:
    """The one version that is installed, else the one of several that the Dockerfile names as the program."""
    each = _first_of_each(installs)
    if len({install.version.minor for install in each if install.version is not None}) == 1 and None not in {
        install.version for install in each
    }:
        return each[0]
    named = _named_minor(last)
    return next((i for i in each if i.version is not None and i.version.minor == named), None)


def _named_minor(last: FinalStage) -> int | None:
    """The minor version that a start command, a link or a virtual environment names; None where several are."""
    commands = _start_commands(last.chain)
    started = {int(match) for text in commands for match in _NAMED_PROGRAM.findall(text)}
    if not started:
        texts = [step.text for stage in last.chain for step in stage.instructions if step.name == "RUN"]
        groups = (group for text in texts for group in _CHOICE.findall(text))
        started = {int(part) for group in groups for part in group if part}
    return next(iter(started)) if len(started) == 1 else None


def _start_commands(chain: Iterable[DockerfileStage]) -> list[str]:
    return [step.text for stage in chain for step in stage.instructions if step.name in {"CMD", "ENTRYPOINT"}]


def _installs(last: FinalStage, stages: Sequence[DockerfileStage], depth: int) -> Iterator[PythonInstall]:
    """Every instruction of a stage, and of those below it, that brings a Python."""
    from buildguard.project import distributions

    known = distributions.python_of(last.image)
    for stage in reversed(last.chain):
        variables: dict[str, str] = {}
        for step in stage.instructions:
            if step.name in {"ENV", "ARG"}:
                variables |= dict(re.findall(r"(\w+)=[\"']?([^\s\"']+)", step.text))
                yield from _from_environment(step)
            elif step.name == "RUN":
                text = dockerfile.expand_variables(step.text, variables)
                yield from _from_run(step.line, text, known, last.image)
            elif step.name == "COPY":
                yield from _from_copy(step, stages, depth)


def _from_environment(step: Instruction) -> Iterator[PythonInstall]:
    match = re.search(rf"\bUV_PYTHON[= ][\"']?{_VERSION}\b", step.text)
    if step.name == "ENV" and match is not None:
        yield PythonInstall(step.line, PythonVersion.parse(match["version"]), f"UV_PYTHON {match['version']}")


def _from_run(line: int, text: str, known: PythonVersion | None, image: str) -> Iterator[PythonInstall]:
    for packages in _PACKAGES.finditer(text):
        for name in packages["names"].split():
            yield from _from_package(line, name.strip("\"'\\"), known, image)
    for command in _COMMANDS.split(text):
        matches = [match for tool in _TOOLS if (match := tool.search(command))]
        for match in matches:
            version = PythonVersion.parse(match["version"])
            yield PythonInstall(line, version, f"Python {match['version']} installed")
        if not matches and _OPEN_TOOL.search(command):
            yield PythonInstall(line, None, f"`{_OPEN_TOOL.findall(command)[0]}` names no version")


def _from_package(line: int, package: str, known: PythonVersion | None, image: str) -> Iterator[PythonInstall]:
    name = re.split(r"[=~<>:]", package)[0]
    explicit, pin = _EXPLICIT.fullmatch(name), _PIN.search(package)
    if explicit is not None:
        version = PythonVersion.parse(f"3.{explicit['minor']}")
        if version is not None:
            yield PythonInstall(line, version, f"package {name}")
    elif _DISTRIBUTION.fullmatch(name) and pin is not None and name == "python3":
        yield PythonInstall(line, PythonVersion.parse(pin["version"]), f"package {package}")
    elif _DISTRIBUTION.fullmatch(name):
        yield PythonInstall(line, known, f"package {name} of {image}")


def _from_copy(step: Instruction, stages: Sequence[DockerfileStage], depth: int) -> Iterator[PythonInstall]:
    """A Python that is copied out of another stage or another image."""
    origin = next((flag.removeprefix("--from=") for flag in step.flags if flag.startswith("--from=")), "")
    if not origin or not depth or not any(_WHOLE.search(word) for word in step.text.split()):
        return
    number = number_of(origin, stages)
    below = follow(stages, number) if number is not None else None
    image = below.image if below is not None else origin
    version = image_reference.promised_version(image)
    if version is not None:
        yield PythonInstall(step.line, version, f"copied from {image}")
    elif below is not None and below.line < step.line:
        yield from (install._replace(line=step.line) for install in _installs(below, stages[:number], depth - 1))


def number_of(origin: str, stages: Sequence[DockerfileStage]) -> int | None:
    """The stage that `--from` names, by its alias or its number; None for an image."""
    return next((i for i, stage in enumerate(stages) if origin.lower() in {stage.alias or str(i), str(i)}), None)


def follow(stages: Sequence[DockerfileStage], number: int) -> FinalStage:
    """A stage with those that it is built on, down to its image."""
    chain = [stages[number]]
    while True:
        base = chain[-1].base.lower()
        below = next((i for i in range(number - 1, -1, -1) if stages[i].alias == base), None)
        if below is None:
            return FinalStage(chain[-1].line, chain[-1].base, tuple(chain))
        number = below
        chain.append(stages[number])


def _relation(last: FinalStage, stages: Sequence[DockerfileStage]) -> PythonRelation:
    """Whether the Dockerfile has to do with Python at all.

    What a web server or another language's image installs as a tool (`node-gyp` needs Python) makes it no Python image.
    """
    from buildguard.project import distributions

    reference = image_reference.parse(last.image)
    if reference.last in image_reference.EMPTY:
        return PythonRelation.SHIPS if dockerfile.mentions_python(stages) else PythonRelation.NONE
    if image_reference.has_no_python(last.image):
        mentioned = dockerfile.mentions_python(map(_without_packages, last.chain))
        return PythonRelation.SHIPS if mentioned else PythonRelation.NONE
    bare = image_reference.is_bare(last.image) or distributions.python_of(last.image) is not None
    if not bare and dockerfile.mentions_python(stages):
        return PythonRelation.SHIPS
    if dockerfile.mentions_python(last.chain) or dockerfile.mentions_python(map(_without_packages, stages)):
        return PythonRelation.SHIPS
    return PythonRelation.NONE if bare else PythonRelation.UNKNOWN_BASE


def _without_packages(stage: DockerfileStage) -> DockerfileStage:
    steps = (step._replace(text=_PACKAGES.sub("", step.text)) for step in stage.instructions)
    return stage._replace(instructions=tuple(steps))
