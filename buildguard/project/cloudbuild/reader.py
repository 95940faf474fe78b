"""What a build file says that others need: image builds, their contexts and arguments, Python images, and what each step does.

Words are all that is looked at: what a script of the project does cannot be told from here.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from buildguard.project import image_reference, yaml
from buildguard.project.cloudbuild.fields import flat, value_of

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


class Role(Enum):
    """What a step does with an image or with sources, as far as its words tell."""

    FETCHES = "fetches sources"
    BUILDS = "builds"
    PUSHES = "pushes"
    DEPLOYS = "deploys"


# The first words of commands, by what they do; `…` stands for any words between.
_DOES: tuple[tuple[Role, str], ...] = (
    (Role.FETCHES, "git clone"),
    (Role.FETCHES, "git fetch"),
    (Role.FETCHES, "git pull"),
    (Role.FETCHES, "git checkout"),
    (Role.FETCHES, "git submodule"),
    (Role.FETCHES, "git lfs"),
    (Role.FETCHES, "gsutil … cp"),
    (Role.FETCHES, "gsutil … rsync"),
    (Role.FETCHES, "gcloud storage cp"),
    (Role.FETCHES, "gcloud storage rsync"),
    (Role.FETCHES, "gcloud source repos clone"),
    (Role.FETCHES, "curl"),
    (Role.FETCHES, "wget"),
    (Role.BUILDS, "docker … build"),
    (Role.BUILDS, "docker buildx"),
    (Role.BUILDS, "docker compose … build"),
    (Role.BUILDS, "docker-compose … build"),
    (Role.BUILDS, "buildah … bud"),
    (Role.BUILDS, "buildah … build"),
    (Role.BUILDS, "podman … build"),
    (Role.BUILDS, "executor"),
    (Role.BUILDS, "pack build"),
    (Role.BUILDS, "ko build"),
    (Role.BUILDS, "skaffold build"),
    (Role.BUILDS, "gcloud builds submit"),
    (Role.PUSHES, "docker … push"),
    (Role.PUSHES, "docker buildx … --push"),
    (Role.PUSHES, "docker manifest push"),
    (Role.PUSHES, "podman … push"),
    (Role.PUSHES, "buildah … push"),
    (Role.PUSHES, "executor"),
    (Role.PUSHES, "pack build … --publish"),
    (Role.PUSHES, "ko build"),
    (Role.PUSHES, "skaffold build"),
    (Role.PUSHES, "crane push"),
    (Role.PUSHES, "crane copy"),
    (Role.PUSHES, "skopeo copy"),
    (Role.PUSHES, "gcloud builds submit"),
    (Role.DEPLOYS, "gcloud run deploy"),
    (Role.DEPLOYS, "gcloud run services replace"),
    (Role.DEPLOYS, "gcloud run services update"),
    (Role.DEPLOYS, "gcloud run services update-traffic"),
    (Role.DEPLOYS, "gcloud run jobs create"),
    (Role.DEPLOYS, "gcloud run jobs deploy"),
    (Role.DEPLOYS, "gcloud run jobs execute"),
    (Role.DEPLOYS, "gcloud run jobs replace"),
    (Role.DEPLOYS, "gcloud run jobs update"),
    (Role.DEPLOYS, "gcloud run replace"),
    (Role.DEPLOYS, "gcloud functions deploy"),
    (Role.DEPLOYS, "gcloud app deploy"),
    (Role.DEPLOYS, "gcloud deploy releases"),
    (Role.DEPLOYS, "gcloud compute instance-groups"),
    (Role.DEPLOYS, "gcloud compute instances"),
    (Role.DEPLOYS, "kubectl … apply"),
    (Role.DEPLOYS, "kubectl … create"),
    (Role.DEPLOYS, "kubectl … patch"),
    (Role.DEPLOYS, "kubectl … replace"),
    (Role.DEPLOYS, "kubectl … rollout"),
    (Role.DEPLOYS, "kubectl … set"),
    (Role.DEPLOYS, "kustomize"),
    (Role.DEPLOYS, "helm … install"),
    (Role.DEPLOYS, "helm … upgrade"),
    (Role.DEPLOYS, "helmfile"),
    (Role.DEPLOYS, "gke-deploy"),
    (Role.DEPLOYS, "skaffold deploy"),
    (Role.DEPLOYS, "skaffold run"),
    (Role.DEPLOYS, "terraform … apply"),
    (Role.DEPLOYS, "pulumi up"),
    (Role.DEPLOYS, "firebase … deploy"),
)
# Images whose program is called otherwise than they are; an empty one takes its program from the arguments.
_PROGRAMS = {"cloud-sdk": "", "google-cloud-cli": "", "google-cloud-cli-slim": "", "alpine-git": "git"}
_RELEASE_TRACKS = frozenset({"alpha", "beta", "preview"})


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
    build_args: dict[str, str]
    target: str


class BuildFile(NamedTuple):
    """What one build file says; `versions` are the lines and values of GOOGLE_PYTHON_VERSION."""

    builds: list[DockerBuild]
    step_images: list[tuple[int, str]]
    versions: list[tuple[int, str]]
    steps: list[BuildFileStep]


def read(data: bytes, file: str, substitutions: Mapping[str, str]) -> BuildFile:
    """Read a build file; raises UsageError where it is no YAML."""
    build = flat(yaml.read(data, file))
    known = {key: node.text() for key, node in value_of(build, "substitutions").pairs()} | dict(substitutions)
    build_file = BuildFile([], [], [], [])
    for number, step in enumerate(value_of(build, "steps").items()):
        _step(number, flat(step), known, build_file)
    return build_file


def _step(number: int, step: Mapping[str, yaml.Node], known: Mapping[str, str], build_file: BuildFile) -> None:
    name_node = value_of(step, "name")
    name = _fill(name_node.text(), known)
    if image_reference.is_python(name):
        build_file.step_images.append((name_node.line, name))
    start = _fill(value_of(step, "dir").text(), known)
    roles: set[Role] = set()
    for line, argv in _commands(step, name, known):
        build = _docker_build(line, argv, start) if argv and argv[0] == "docker" else _kaniko(line, argv, start)
        if build is not None:
            build_file.builds.append(build)
        roles |= _roles(argv)
        for word in argv:
            if match := _VERSION_VARIABLE.search(word):
                build_file.versions.append((line, match.group(1)))
    for node in value_of(step, "env").items():
        if match := _VERSION_VARIABLE.match(_fill(node.text(), known)):
            build_file.versions.append((node.line, match.group(1)))
    build_file.steps.append(BuildFileStep(number, value_of(step, "id").text(), step[""].line, name, frozenset(roles)))


def _roles(argv: Sequence[str]) -> set[Role]:
    """What a command does: its first words are those of a pattern."""
    words = [word for word in argv if word not in _RELEASE_TRACKS]
    if words[:2] == ["docker", "--chdir"]:
        words = words[:1] + words[3:]
    return {role for role, pattern in _DOES if _starts_with(words, pattern.split())}


def _starts_with(words: Sequence[str], pattern: Sequence[str]) -> bool:
    at = 0
    for position, wanted in enumerate(pattern):
        if wanted == "…":
            continue
        loose = position > 0 and pattern[position - 1] == "…"
        while loose and at < len(words) and words[at] != wanted:
            at += 1
        if at >= len(words) or words[at] != wanted:
            return False
        at += 1
    return True


def _commands(step: Mapping[str, yaml.Node], name: str, known: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Every command of a step that can be told: its line and words."""
    script, args = value_of(step, "script"), value_of(step, "args")
    line = (args if args.items() else value_of(step, "name")).line
    image = image_reference.parse(name).last
    program = value_of(step, "entrypoint").text() or _PROGRAMS.get(image, image)
    if script.text():
        yield from _shell(script.text(), script.line)
        return
    words = [(node.line, _fill(node.text(), known)) for node in value_of(step, "args").items()]
    if not program and words:
        program, words = words[0][1], words[1:]
    if posixpath.basename(program) in {"bash", "sh", "dash", "ash"}:
        at, text = next(((at, word) for at, word in words if not word.startswith("-")), (line, ""))
        yield from _shell(text, at)
    elif posixpath.basename(program) == "docker":
        # `docker` in front, as the entrypoint of the builder's image is; its line is that of the Dockerfile's name
        yield line, ["docker", *(word for _line, word in words)]
    else:
        yield line, [posixpath.basename(program), *(word for _line, word in words)]


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
