"""The docker builder's steps without its image: `build`, `tag`, `push` and `pull` of `gcr.io/cloud-builders/docker`, on the local engine.

A build gets the workspace as it is at that moment, and nothing beside it; what else a step asks of docker is for the
builder's own image.
"""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from docker.utils import parse_repository_tag

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.docker import images
from buildguard.docker.build_image import NO_OPTIONS, BuildFailedError, DockerfileBuild, DockerfileOptions
from buildguard.docker.client import Daemon, is_missing, translate_errors
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.cloudbuild.steps import BuildStep

_BUILDER = lazy_pattern(r"(?:[\w.-]+/)+cloud-builders/docker(?::[\w.-]+)?")
_PROGRAM = {"", "docker", "/usr/bin/docker", "/usr/local/bin/docker"}
_WORKSPACE, _NETWORK = "/workspace", "cloudbuild"
_ONE, _TWO = 1, 2  # names that `push` and `pull`, and `tag` take


class DockerCommand(NamedTuple):
    """What a step has docker do: its verb, the images that it names, and for `build` the context, Dockerfile and options."""

    verb: str
    names: tuple[str, ...] = ()
    context: str = ""
    dockerfile: str = ""
    options: DockerfileOptions = NO_OPTIONS


class _UnknownOptionError(Exception):
    """An option that is for the builder's own image."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UnknownOptionError(message)


def read_command(step: BuildStep) -> DockerCommand | None:
    """What a step of the docker builder does; None for any other step, and for one that only the builder's image can do."""
    if _BUILDER.fullmatch(step.image) is None or step.entrypoint not in _PROGRAM or step.script or step.secrets:
        return None
    args = list(step.args[1:] if step.args[:1] in {("image",), ("buildx",)} else step.args)
    verb, names = (args[0], args[1:]) if args else ("", [])
    if verb == "build":
        return _read_build(names, step)
    wanted = {"tag": _TWO, "push": _ONE, "pull": _ONE}.get(verb)
    if wanted != len(names) or any(name.startswith("-") for name in names):
        return None
    return DockerCommand(verb, tuple(names))


def _read_build(args: Sequence[str], step: BuildStep) -> DockerCommand | None:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-t", "--tag", action="append", default=[])
    parser.add_argument("-f", "--file", default="")
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--cache-from", action="append", default=[])
    parser.add_argument("--target", default="")
    parser.add_argument("--platform", default="")
    parser.add_argument("--progress", default="")
    parser.add_argument("--network", default="", choices=["", "default", "none", "host", _NETWORK])
    for flag in ("--no-cache", "--pull", "-q", "--quiet", "--rm", "--force-rm", "--load"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("context")
    try:
        given = parser.parse_args(list(args))
    except _UnknownOptionError:
        return None
    context = _inside(step.folder, given.context)
    dockerfile = _inside(step.folder, given.file) if given.file else posixpath.join(context, "Dockerfile")
    if not context or not dockerfile:
        return None
    env = dict(variable.partition("=")[::2] for variable in step.env)
    arguments = dict(_argument(text, env) for text in given.build_arg)
    labels = dict(text.partition("=")[::2] for text in given.label)
    network = "" if given.network == _NETWORK else given.network  # the builds of this machine have the default one
    options = DockerfileOptions(arguments, labels, given.target, given.no_cache, given.platform, network)
    return DockerCommand("build", tuple(given.tag), context, dockerfile, options)


def _argument(text: str, env: Mapping[str, str]) -> tuple[str, str]:
    """A build argument; one without a value has that of the step's variable."""
    name, equals, value = text.partition("=")
    return name, value if equals else env.get(name, "")


def _inside(folder: str, path: str) -> str:
    """A path of a step from the top of the archive of its workspace; empty where it is not in the workspace."""
    whole = posixpath.normpath(posixpath.join(folder, path))
    if path.startswith(("http:", "https:", "git@", "-")) or not f"{whole}/".startswith(f"{_WORKSPACE}/"):
        return ""
    return whole.removeprefix("/")


class DockerBuilder:
    """Carries the steps of one build out; `restore` gives the engine's own tags back."""

    def __init__(self, daemon: Daemon, platform: str, push: Callable[[str], str] | None) -> None:
        """`push` sends an image away and returns its digest; without it the engine's own login counts."""
        self._daemon = daemon
        self._platform = platform
        self._push = push
        self._before: dict[str, str] = {}  # each name that was given, and the image that had it before

    def run(self, command: DockerCommand, workspace: Callable[[], Iterable[bytes]], say: Callable[[str], None]) -> int:
        """Do what a step says; its exit code. Raises UnprovenError where the engine is in trouble."""
        try:
            match command.verb:
                case "build":
                    self._build(command, workspace(), say)
                case "tag":
                    self._tag(*command.names)
                case "pull":
                    images.find(self._daemon, command.names[0], self._platform, say)
                case _:
                    digest = self._push_image(command.names[0])
                    say(f"{command.names[0]}: digest: {digest}")
        except GuardError as error:
            if not isinstance(error, BuildFailedError | UnprovenError):
                raise
            say(error.words)
            return 1
        return 0

    def restore(self) -> None:
        """Give each name back to the image that had it; a name that was new goes."""
        for name, before in self._before.items():
            repository, tag = parse_repository_tag(name)
            with suppress(UnprovenError), translate_errors("restoring a tag"):
                if before:
                    self._daemon.api.tag(before, repository, tag or "latest")
                else:
                    self._daemon.api.remove_image(name)
        self._before.clear()

    def _build(self, command: DockerCommand, workspace: Iterable[bytes], say: Callable[[str], None]) -> None:
        for name in command.names:
            self._remember(name)
        platform = command.options.platform or self._platform
        build = DockerfileBuild(workspace, command.dockerfile, command.context, platform, command.options)
        identity = build.build(self._daemon, next(iter(command.names), ""), say)
        for name in command.names[1:]:
            self._give(name, identity)

    def _tag(self, source: str, name: str) -> None:
        self._remember(name)
        self._give(name, source)

    def _give(self, name: str, image: str) -> None:
        repository, tag = parse_repository_tag(name)
        with translate_errors(f"tagging {image}"):
            self._daemon.api.tag(image, repository, tag or "latest")

    def _remember(self, name: str) -> None:
        if name in self._before:
            return
        try:
            with translate_errors(f"looking for {name}"):
                description: Any = self._daemon.api.inspect_image(name)  # type: ignore[no-untyped-call]
        except UnprovenError as error:
            if not is_missing(error):
                raise
            self._before[name] = ""
        else:
            self._before[name] = str(description["Id"])

    def _push_image(self, name: str) -> str:
        return self._push(name) if self._push is not None else images.push(self._daemon, name)
