"""What other rooms need of a build file: image builds, their contexts and arguments, Python images, and each step's roles.

Only words are read: what a script of the project does stays unknown.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import image_reference, yaml
from buildguard.project.cloudbuild import source_builds
from buildguard.project.cloudbuild.fields import flat, value_of
from buildguard.project.cloudbuild.roles import KNOWN_PROGRAMS, Role, roles_of
from buildguard.project.cloudbuild.source_builds import SourceBuild

_SUBSTITUTION = lazy_pattern(r"\$(?:\$|\{(\w+)\}|(\w+))")
_SWITCHES = frozenset(
    [
        "--no-cache",
        "--pull",
        "--quiet",
        "-q",
        "--rm",
        "--force-rm",
        "--squash",
        "--push",
        "--load",
        "--compress",
        "--disable-content-trust",
        "-D",
        "--debug",
    ]
)
_VERSION_VARIABLE = lazy_pattern(r"\bGOOGLE_PYTHON_VERSION=[\"']?([\w.*><=~^!]+)")


# Images whose program is called otherwise than they are; an empty one takes its program from the arguments.
_PROGRAMS = {"cloud-sdk": "", "google-cloud-cli": "", "google-cloud-cli-slim": "", "alpine-git": "git"}
_SHELLS = frozenset({"ash", "bash", "dash", "sh"})
_COMMAND_FLAG = lazy_pattern(r"-[a-z]*c")
_BEFORE_COMMANDS = lazy_pattern(r"[A-Za-z_]\w*=.*|[({!]|then|do|else|exec|sudo|time|env|nohup|eval", re.DOTALL)


class BuildFileStep(NamedTuple):
    """One step: its number and id, its line, the image that it runs, and what it does."""

    number: int
    id: str
    line: int
    image: str
    roles: frozenset[Role]


class DockerBuild(NamedTuple):
    """One image build: Dockerfile and context relative to where the build runs, arguments, and the stage built."""

    line: int
    dockerfile: str
    context: str
    build_args: Mapping[str, str]
    target: str


class BuildCommand(NamedTuple):
    """A command of a step: its line, the folder that `cd` went to before it, and its words from the program on."""

    line: int
    folder: str
    argv: Sequence[str]


class BuildFile(NamedTuple):
    """The content of one build file; `versions` are the lines and values of GOOGLE_PYTHON_VERSION.

    `sources` are the builds without a Dockerfile, `composed` the compose files whose images are built, with their lines;
    `gcloud` are the commands of that program.
    """

    builds: tuple[DockerBuild, ...]
    step_images: tuple[tuple[int, str], ...]
    versions: tuple[tuple[int, str], ...]
    steps: tuple[BuildFileStep, ...]
    sources: tuple[SourceBuild, ...]
    composed: tuple[tuple[int, str], ...]
    gcloud: tuple[BuildCommand, ...]


def read(data: bytes, file: str, substitutions: Mapping[str, str]) -> BuildFile:
    """Read a build file; raises UsageError where it is not valid YAML."""
    build = flat(yaml.read(data, file))
    known = {key: node.text() for key, node in value_of(build, "substitutions").pairs()} | dict(substitutions)
    reader = _BuildFileReader(known)
    for number, step in enumerate(value_of(build, "steps").items()):
        reader.read_step(number, flat(step))
    return reader.result()


class _BuildFileReader:
    """Collects what the steps of a build file do."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._builds: list[DockerBuild] = []
        self._step_images: list[tuple[int, str]] = []
        self._versions: list[tuple[int, str]] = []
        self._steps: list[BuildFileStep] = []
        self._sources: list[SourceBuild] = []
        self._composed: list[tuple[int, str]] = []
        self._gcloud: list[BuildCommand] = []

    def result(self) -> BuildFile:
        """Everything that was read so far."""
        return BuildFile(
            tuple(self._builds),
            tuple(self._step_images),
            tuple(self._versions),
            tuple(self._steps),
            tuple(self._sources),
            tuple(self._composed),
            tuple(self._gcloud),
        )

    def read_step(self, number: int, step: Mapping[str, yaml.Node]) -> None:
        """Read one step: its image, its commands and its environment."""
        name_node = value_of(step, "name")
        name = _fill(name_node.text(), self._known)
        if image_reference.is_python(name):
            self._step_images.append((name_node.line, name))
        start = _fill(value_of(step, "dir").text(), self._known)
        env = [(node.line, _fill(node.text(), self._known)) for node in value_of(step, "env").items()]
        step_env = dict(text.partition("=")[::2] for _line, text in env)
        roles: set[Role] = set()
        for line, folder, argv in _commands(step, name, self._known):
            self._read_command(BuildCommand(line, posixpath.join(start, folder), argv), step_env)
            roles |= roles_of(argv)
        matches = ((line, _VERSION_VARIABLE.match(text)) for line, text in env)
        self._versions += ((line, match[1]) for line, match in matches if match)
        step_id = value_of(step, "id").text()
        self._steps.append(BuildFileStep(number, step_id, step[""].line, name, frozenset(roles)))

    def _read_command(self, command: BuildCommand, step_env: Mapping[str, str]) -> None:
        line, where, argv = command
        build = _docker_build(line, argv, where) if argv and argv[0] == "docker" else _kaniko(line, argv, where)
        if build is not None:
            self._builds.append(build)
        source = source_builds.parse(line, argv, where, step_env)
        if source is not None:
            self._sources.append(source)
        self._composed += ((line, path) for path in _compose_files(argv, where))
        if argv and argv[0] == "gcloud":
            self._gcloud.append(command)
        self._versions += ((line, match[1]) for match in map(_VERSION_VARIABLE.search, argv) if match)


def _commands(step: Mapping[str, yaml.Node], name: str, known: Mapping[str, str]) -> Iterator[BuildCommand]:
    """Every command of a step that its words show."""
    script, args = value_of(step, "script"), value_of(step, "args")
    if script.text():
        yield from _shell(script.text(), script.line)
        return
    line = (args if args.items() else value_of(step, "name")).line
    words = [(node.line, _fill(node.text(), known)) for node in args.items()]
    program = _program(step, name, [word for _line, word in words])
    if not program and words:
        program, words = posixpath.basename(words[0][1]), words[1:]
    if program in _SHELLS:
        at, text = _shell_text(words, line)
        yield from _shell(text, at)
    else:
        # `docker` in front, as the entrypoint of the builder's image is; its line is that of the Dockerfile's name
        yield BuildCommand(line, "", [program, *(word for _line, word in words)])


def _program(step: Mapping[str, yaml.Node], name: str, words: Sequence[str]) -> str:
    """The program that a step starts, empty where it is the first of its arguments."""
    entrypoint = value_of(step, "entrypoint").text()
    if entrypoint:
        return posixpath.basename(entrypoint)
    if words and posixpath.basename(words[0]) in KNOWN_PROGRAMS | _SHELLS:
        return ""
    image = image_reference.parse(name).last
    return _PROGRAMS.get(image, image)


def _shell_text(words: Sequence[tuple[int, str]], line: int) -> tuple[int, str]:
    """The commands that a shell is given: what follows `-c`, else its first argument, a file."""
    for position, (_line, word) in enumerate(words[:-1]):
        if _COMMAND_FLAG.fullmatch(word):
            return words[position + 1]
    return next(((at, word) for at, word in words if not word.startswith("-")), (line, ""))


def _shell(text: str, line: int) -> Iterator[BuildCommand]:
    """The simple commands of a shell text; where quotes do not match, blanks alone divide the words."""
    joined = re.sub(r"\\\r?\n", " ", text)
    folder = ""
    for command in re.split(r"\n|;|&&|\|\|?", joined):
        words = _shell_words(command)
        if words[:1] == ["cd"] and len(words) > 1:
            folder = posixpath.join(folder, words[1])
        if "docker" in words:
            yield BuildCommand(line, folder, words[words.index("docker") :])
        elif words:
            yield BuildCommand(line, folder, [posixpath.basename(words[0]), *words[1:]])


def _shell_words(command: str) -> list[str]:
    """The words of a command from its program on: without assignments and what else stands before it."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        words = command.split()
    while words and _BEFORE_COMMANDS.fullmatch(words[0]):
        words = words[1:]
    return words


def _docker_build(line: int, argv: Sequence[str], start: str) -> DockerBuild | None:
    words = list(argv[1:])
    if words[:1] == ["buildx"]:
        words = words[1:]
    if words[:1] not in (["build"], ["b"]):
        return None
    options, positional = _options(words[1:])
    if len(positional) != 1 or positional[0] == "-" or "://" in positional[0]:
        return None
    context = _inside(start, positional[0])
    given = options.get("--file") or options.get("-f")
    dockerfile = _inside(start, given[-1]) if given else posixpath.join(context, "Dockerfile")
    target = options.get("--target", [""])[-1]
    return DockerBuild(line, dockerfile, context, _build_args(options), target)


def _compose_files(argv: Sequence[str], start: str) -> Iterator[str]:
    """The compose files whose images a command builds; a folder with a slash at its end where it names none."""
    words = list(argv)
    words = words[1:] if words[:2] == ["docker", "compose"] else words
    if words[:1] not in (["compose"], ["docker-compose"]):
        return
    options, positional = _options(words[1:])
    builds = positional[:1] == ["build"] or (positional[:1] == ["up"] and "--build" in words)
    if not builds:
        return
    folder = _inside(start, (options.get("--project-directory") or ["."])[-1])
    named = [*options.get("--file", []), *options.get("-f", [])]
    yield from (_inside(start, file) for file in named) if named else [f"{folder}/"]


def _kaniko(line: int, argv: Sequence[str], start: str) -> DockerBuild | None:
    if not argv or argv[0] != "executor":
        return None
    options, _positional = _options(argv[1:])
    context = options.get("--context", options.get("-c", ["."]))[-1].removeprefix("dir://").removeprefix("/workspace")
    context = _inside(start, context.lstrip("/") or ".")
    given = options.get("--dockerfile") or options.get("-f") or ["Dockerfile"]
    dockerfile = _inside(context, given[-1].removeprefix("/workspace/"))
    return DockerBuild(line, dockerfile, context, _build_args(options), options.get("--target", [""])[-1])


def _options(words: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    options: dict[str, list[str]] = {}
    positional = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            positional.append(word)
        elif word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
            options.setdefault(name, []).append(value)
        elif word not in _SWITCHES:
            attached = word[2:] if not word.startswith("--") and len(word) > 2 else None  # noqa: PLR2004  -fNAME
            name = word[:2] if attached is not None else word
            options.setdefault(name, []).append(attached if attached is not None else next(rest, ""))
    return options, positional


def _build_args(options: Mapping[str, list[str]]) -> dict[str, str]:
    pairs = (argument.partition("=") for argument in options.get("--build-arg", []))
    return {name: value for name, equals, value in pairs if equals}


def _inside(start: str, path: str) -> str:
    path = path.removeprefix("/workspace/") if path.startswith("/workspace/") else path
    path = "." if path in {"/workspace", ""} else path
    joined = posixpath.normpath(posixpath.join(start, path))
    return "" if joined == "." else joined


def _fill(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        return known.get(match.group(1) or match.group(2), match.group())

    return _SUBSTITUTION.sub(value, text)
