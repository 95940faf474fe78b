"""Where the files of a project lie in its image: by the Dockerfile's own words, or by the best match of paths. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from buildguard.declared import dockerfile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# Folders of the system: a file copied there does not make the folder the project's.
_SHARED = frozenset({"/", "/bin", "/etc", "/home", "/lib", "/opt", "/root", "/srv", "/tmp", "/usr", "/var"})  # noqa: S108
_SYSTEM = ("/usr/", "/etc/", "/var/lib/", "/bin/", "/sbin/", "/lib/")
_INSTALLED = re.compile(r"(?:^|/)(?:site-packages|dist-packages|lib(?:64)?/(?:python|pypy)3?(?:\.\d+)?)(?:/|$)")


class Layout(NamedTuple):
    """What lies where: the project's path of each path in the image, and the folders that hold the project."""

    twins: dict[str, str]
    roots: tuple[str, ...]


class Match(NamedTuple):
    """A folder of an image that looks like a folder of the project: how many files agree, and whether any other does."""

    root: str
    prefix: str
    files: int
    certain: bool
    others: tuple[str, ...] = ()


def is_installed(path: str) -> bool:
    """Whether a path lies where installers put what others wrote, or in an interpreter's own library."""
    return _INSTALLED.search(path) is not None


def of_dockerfile(
    data: bytes, build_args: Mapping[str, str], target: str, context: str, files: Collection[str]
) -> Layout:
    """What the COPY and ADD instructions of a Dockerfile put where; `files` are the project's paths.

    What it cannot follow (variables without a value, other images, what RUN moves) is left out: the image itself has
    to bear out whatever is in it.
    """
    every = dockerfile.stages(data, build_args)
    done: dict[str, _Built] = {}
    last = _Built()
    for number, stage in enumerate(every):
        last = _built(stage, done, build_args, _Context(context, files))
        done[str(number)] = last
        if stage.alias:
            done[stage.alias] = last
        if target and stage.alias == target.lower():
            break
    roots = {
        folder for folder in last.roots if not any(folder != other and is_below(folder, other) for other in last.roots)
    }
    return Layout(dict(last.twins), tuple(sorted(roots)))


class _Context(NamedTuple):
    """The build context: its folder in the project, and the project's files."""

    folder: str
    files: Collection[str]

    def below(self, source: str) -> Iterator[tuple[str, str]]:
        """Each file that a COPY source means: its project path, and its path below the source ("" for the file)."""
        start = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
        full = posixpath.join(self.folder, start) if start and self.folder else self.folder or start
        if any(char in full for char in "*?["):
            for path in self.files:
                folder = posixpath.dirname(full)
                if fnmatchcase(path, full) and posixpath.dirname(path) == folder:
                    yield path, posixpath.basename(path)
            return
        for path in self.files:
            if path == full:
                yield path, ""
            elif not full or path.startswith(full + "/"):
                yield path, path[len(full) + 1 if full else 0 :]


class _Built:
    """A stage while its instructions are followed."""

    def __init__(self, below: _Built | None = None) -> None:
        self.twins: dict[str, str] = dict(below.twins) if below is not None else {}
        self.roots: set[str] = set(below.roots) if below is not None else set()
        self.folder: str = below.folder if below is not None else "/"
        self.env: dict[str, str] = dict(below.env) if below is not None else {}

    def at(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.folder, path))

    def put(self, files: Iterable[tuple[str, str]], destination: str, *, several: bool) -> None:
        """Some files arrive, each with its path below what is copied: in a folder, or under a new name."""
        where = self.at(destination)
        into = several or destination.endswith(("/", "/.")) or destination in {".", "./"}
        for path, rest in files:
            if rest:
                self.twins[posixpath.join(where, rest)] = path
                self.roots.add(where)
            else:
                name = posixpath.join(where, posixpath.basename(path)) if into else where
                folder = posixpath.dirname(name)
                self.twins[name] = path
                self.roots.add(name if folder in _SHARED or folder.startswith(_SYSTEM) else folder)


def _built(
    stage: dockerfile.Stage, done: Mapping[str, _Built], build_args: Mapping[str, str], context: _Context
) -> _Built:
    built = _Built(done.get(stage.base.lower()))
    for step in stage.instructions:
        text = dockerfile.fill(step.text, built.env)
        if step.name == "WORKDIR":
            built.folder = built.at(text.strip().strip("\"'"))
        elif step.name in {"ENV", "ARG"}:
            built.env |= variables(step.name, text, build_args)
        elif step.name in {"COPY", "ADD"}:
            _copy(step, text, built, done, context)
    return built


def _copy(
    step: dockerfile.Instruction, text: str, built: _Built, done: Mapping[str, _Built], context: _Context
) -> None:
    paths = words(text)
    if len(paths) < 2 or "$" in text:  # noqa: PLR2004  a source and a destination
        return
    *sources, destination = paths
    origin = next((flag.partition("=")[2] for flag in step.flags if flag.startswith("--from=")), None)
    several = len(sources) > 1
    for source in sources:
        if origin is None:
            several = several or any(char in source for char in "*?[")
            built.put(list(context.below(source)), destination, several=several)
        elif origin.lower() in done:
            other = done[origin.lower()]
            built.put(_from_stage(other, posixpath.normpath(posixpath.join("/", source))), destination, several=several)


def _from_stage(other: _Built, source: str) -> list[tuple[str, str]]:
    """What of the project lies at a path of another stage."""
    inside = source.rstrip("/") + "/"
    return [
        (path, name[len(inside) :] if name != source else "")
        for name, path in other.twins.items()
        if name == source or name.startswith(inside)
    ]


def words(text: str) -> list[str]:
    """The sources of a COPY or ADD, and its destination last."""
    if text.strip().startswith("["):
        try:
            paths = json.loads(text)
        except (ValueError, RecursionError):
            return []
        return [str(path) for path in paths] if isinstance(paths, list) else []
    return [word.strip("\"'") for word in text.partition("\n")[0].split()]


def variables(name: str, text: str, build_args: Mapping[str, str]) -> dict[str, str]:
    """What an ENV or an ARG sets."""
    pairs = re.findall(r"""(\w+)=("[^"]*"|'[^']*'|\S*)""", text)
    if not pairs and name == "ENV":
        key, _, value = text.strip().partition(" ")
        pairs = [(key, value.strip())]
    found = {key: value.strip("\"'") for key, value in pairs}
    return {key: build_args.get(key, value) for key, value in found.items()} if name == "ARG" else found


# ------------------------------------------------------------------------------------------ by paths


def best_match(image_paths: Iterable[str], sources: Collection[str], prefixes: Iterable[str]) -> Match | None:
    """The folder of an image that holds most of a project's sources, for each folder that may have been the context.

    None where no file agrees. It is certain where every other folder holds fewer than half as many, or only some of
    the same files.
    """
    by_name: dict[str, list[str]] = {}
    for path in image_paths:
        if not is_installed(path):
            by_name.setdefault(posixpath.basename(path), []).append(path)
    held: dict[tuple[str, str], set[str]] = {}
    for prefix in prefixes:
        start = f"{prefix}/" if prefix else ""
        for source in sources:
            if source.startswith(start):
                rest = "/" + source[len(start) :]
                for path in by_name.get(posixpath.basename(source), ()):
                    if path.endswith(rest):
                        held.setdefault((path[: -len(rest)] or "/", prefix), set()).add(source)
    if not held:
        return None
    (root, prefix), most = max(held.items(), key=lambda item: (len(item[1]), -len(item[0][1]), item[0]))
    rivals = {
        folder: len(found)
        for (folder, _prefix), found in held.items()
        if folder != root and not (found < most) and 2 * len(found) > len(most)
    }
    # `COPY src/ /app/` is found with both contexts: the longer agreement is the same folder
    return Match(root, prefix, len(most), not rivals, tuple(sorted(rivals)))


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder's, or the folder itself."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
