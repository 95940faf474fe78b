"""What `cloudbuild.yaml` says about the Python that will run: builds, their contexts and arguments, step images."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from buildguard.declared import images, yamlfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SUBSTITUTION = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
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
_VERSION_VARIABLE = re.compile(r"\bGOOGLE_PYTHON_VERSION=[\"']?([\w.*><=~^!]+)")


class DockerBuild(NamedTuple):
    """One image build: Dockerfile and context relative to where the build runs, arguments, and the stage built."""

    line: int
    dockerfile: str
    context: str
    build_args: dict[str, str]
    target: str


class BuildFile(NamedTuple):
    """What one build file says; `versions` are the lines and values of GOOGLE_PYTHON_VERSION."""

    builds: list[DockerBuild]
    step_images: list[tuple[int, str]]
    versions: list[tuple[int, str]]


def read(data: bytes, file: str, substitutions: Mapping[str, str]) -> BuildFile:
    """Read a build file; raises UsageError where it is no YAML."""
    root = yamlfile.read(data, file)
    declared = root.get("substitutions")
    known = {key: node.text() for key, node in declared.pairs()} if declared is not None else {}
    known |= substitutions
    found = BuildFile([], [], [])
    steps = root.get("steps")
    for step in steps.items() if steps is not None else []:
        _step(step, known, found)
    return found


def _step(step: yamlfile.Node, known: Mapping[str, str], found: BuildFile) -> None:
    name_node = step.get("name")
    name = _filled(name_node.text(), known) if name_node is not None else ""
    if name_node is not None and images.is_python(name):
        found.step_images.append((name_node.line, name))
    folder = step.get("dir")
    start = _filled(folder.text(), known) if folder is not None else ""
    for line, argv in _commands(step, name, known):
        build = _docker_build(line, argv, start) if argv and argv[0] == "docker" else _kaniko(line, argv, start)
        if build is not None:
            found.builds.append(build)
        for word in argv:
            if match := _VERSION_VARIABLE.search(word):
                found.versions.append((line, match.group(1)))
    variables = step.get("env")
    for node in variables.items() if variables is not None else []:
        if match := _VERSION_VARIABLE.match(_filled(node.text(), known)):
            found.versions.append((node.line, match.group(1)))


def _commands(step: yamlfile.Node, name: str, known: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Every command of a step that can be told: its line and words."""
    script, args, entrypoint = step.get("script"), step.get("args"), step.get("entrypoint")
    program = entrypoint.text() if entrypoint is not None else images.parse(name).last
    if script is not None:
        yield from _shell(script.text(), script.line)
    if args is None:
        return
    words = [(node.line, _filled(node.text(), known)) for node in args.items()]
    if posixpath.basename(program) in {"bash", "sh", "dash", "ash"}:
        line, text = next(((at, word) for at, word in words if not word.startswith("-")), (args.line, ""))
        yield from _shell(text, line)
    elif posixpath.basename(program) == "docker":
        # `docker` in front, as the entrypoint of the builder's image is; its line is that of the Dockerfile's name
        yield args.line, ["docker", *(word for _line, word in words)]
    else:
        yield args.line, [posixpath.basename(program), *(word for _line, word in words)]


def _shell(text: str, line: int) -> Iterator[tuple[int, list[str]]]:
    """The simple commands of a shell text, as far as words tell; what cannot be split is passed over."""
    joined = re.sub(r"\\\r?\n", " ", text)
    folder = ""
    for command in re.split(r"\n|;|&&|\|\|?", joined):
        try:
            words = shlex.split(command, comments=True)
        except ValueError:
            continue
        if words[:1] == ["cd"] and len(words) > 1:
            folder = posixpath.join(folder, words[1])
        at = words.index("docker") if "docker" in words else -1
        if at >= 0:
            yield line, ["docker", *(["--chdir", folder] if folder else []), *words[at + 1 :]]
        elif words:
            yield line, words


def _docker_build(line: int, argv: Sequence[str], start: str) -> DockerBuild | None:
    words = list(argv[1:])
    if words[:1] == ["--chdir"]:
        start, words = posixpath.join(start, words[1]), words[2:]
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
    pairs = (one.partition("=") for one in options.get("--build-arg", []))
    return {name: value for name, equals, value in pairs if equals}


def _inside(start: str, path: str) -> str:
    path = path.removeprefix("/workspace/") if path.startswith("/workspace/") else path
    path = "." if path in {"/workspace", ""} else path
    joined = posixpath.normpath(posixpath.join(start, path))
    return "" if joined == "." else joined


def _filled(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        return known.get(match.group(1) or match.group(2), match.group())

    return _SUBSTITUTION.sub(value, text)
