"""Where the files of a project lie in its image: by the Dockerfile's own words, or by the best match of paths. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from buildguard.project import dockerfile, removals
from buildguard.project.ignore import docker

# Folders of the system: a file copied there does not make the folder the project's.
_SHARED = frozenset({"/", "/bin", "/etc", "/home", "/lib", "/opt", "/root", "/srv", "/tmp", "/usr", "/var"})  # noqa: S108
_SYSTEM = ("/usr/", "/etc/", "/var/lib/", "/bin/", "/sbin/", "/lib/")
_INSTALLED = re.compile(r"(?:^|/)(?:site-packages|dist-packages|lib(?:64)?/(?:python|pypy)3?(?:\.\d+)?)(?:/|$)")


_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")  # ADD extracts these
_COPIES = re.compile(r"\b(?:cp|rsync|tar)\b")
_WILD = "*?["


class Layout(NamedTuple):
    """The project's path of each path in the image, and the folders that hold the project.

    `doubts` gives the reason why the image may lack a path of the project, or may hold it, and the Dockerfile cannot decide.
    """

    twins: dict[str, str]
    roots: tuple[str, ...]
    doubts: Mapping[str, str] = MappingProxyType({})


class LayoutMatch(NamedTuple):
    """A folder of an image that looks like a folder of the project: how many files agree, and whether any other does."""

    root: str
    prefix: str
    files: int
    certain: bool
    others: tuple[str, ...] = ()


def is_installed(path: str) -> bool:
    """Whether a path lies where installers put what others wrote, or in an interpreter's own library."""
    return _INSTALLED.search(path) is not None


def follow_dockerfile(
    data: bytes, build_args: Mapping[str, str], target: str, context: str, files: Collection[str]
) -> Layout:
    """What the COPY and ADD instructions of a Dockerfile put where; `files` are the project's paths.

    What it cannot follow (variables without a value, other images, what RUN moves) is left out: the image itself has
    to bear out whatever is in it.
    """
    every = dockerfile.stages(data, build_args)
    done: dict[str, _StageFiles] = {}
    last = _StageFiles()
    for number, stage in enumerate(every):
        last = _follow_stage(stage, done, build_args, _BuildContext(context, files))
        done[str(number)] = last
        if stage.alias:
            done[stage.alias] = last
        if target and stage.alias == target.lower():
            break
    roots = {
        folder for folder in last.roots if not any(folder != other and is_below(folder, other) for other in last.roots)
    }
    return Layout(dict(last.twins), tuple(sorted(roots)), dict(last.doubts))


class _BuildContext(NamedTuple):
    """The build context: its folder in the project, and the project's files."""

    folder: str
    files: Collection[str]

    def below(self, source: str) -> Iterator[tuple[str, str]]:
        """Each file that a COPY source means: its project path, and its path below the source ("" for the file)."""
        start = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
        full = posixpath.join(self.folder, start) if start and self.folder else self.folder or start
        return _below(full, ((path, path) for path in self.files))


def _below(source: str, files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The files, as pairs of a name and a value, at or below a source; each value with its path below what matched."""
    parts = [part for part in source.split("/") if part]
    is_wild = any(char in source for char in _WILD)
    for name, value in files:
        words = name.split("/")
        head = words[: len(parts)]
        if head == parts or (is_wild and len(head) == len(parts) and all(map(fnmatchcase, head, parts))):
            yield value, "/".join(words[len(parts) :])


class _StageFiles:
    """A stage while its instructions are followed."""

    def __init__(self, below: _StageFiles | None = None) -> None:
        self.twins: dict[str, str] = dict(below.twins) if below is not None else {}
        self.roots: set[str] = set(below.roots) if below is not None else set()
        self.folder: str = below.folder if below is not None else "/"
        self.env: dict[str, str] = dict(below.env) if below is not None else {}
        self.doubts: dict[str, str] = dict(below.doubts) if below is not None else {}

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
            self.doubts.pop(path, None)

    def doubt(self, paths: Iterable[str], reason: str) -> None:
        """Some paths of the project may be in this stage or not."""
        self.doubts.update(dict.fromkeys(paths, reason))

    def may_hold(self, paths: Iterable[str], reason: str) -> None:
        """Some paths may be in this stage as well: that decides nothing for those that are copied for certain."""
        certain = set(self.twins.values())
        self.doubt((path for path in paths if path not in certain), reason)


def _follow_stage(
    stage: dockerfile.DockerfileStage,
    done: Mapping[str, _StageFiles],
    build_args: Mapping[str, str],
    context: _BuildContext,
) -> _StageFiles:
    built = _StageFiles(done.get(stage.base.lower()))
    for step in stage.instructions:
        text = dockerfile.expand_variables(step.text, built.env)
        if step.name == "WORKDIR":
            built.folder = built.at(text.strip().strip("\"'"))
        elif step.name in {"ENV", "ARG"}:
            built.env |= variables(step.name, text, build_args)
        elif step.name in {"COPY", "ADD"}:
            _copy(step._replace(text=text), built, done, context)
        elif step.name == "RUN":
            _run(step, built, context)
    return built


def _copy(
    step: dockerfile.Instruction, built: _StageFiles, done: Mapping[str, _StageFiles], context: _BuildContext
) -> None:
    paths = words(step.text)
    if len(paths) < 2:  # noqa: PLR2004  a source and a destination
        return
    *sources, destination = paths
    origin = next((flag.partition("=")[2] for flag in step.flags if flag.startswith("--from=")), None)
    other = done.get(origin.lower()) if origin is not None else None
    if origin is not None and other is None:
        return  # another image
    several = len(sources) > 1 or any(char in source for source in sources for char in _WILD)
    for source in sources:
        files = _copied_files(
            step, _from_stage(other, source) if other is not None else context.below(_spelled(source))
        )
        unclear = _unclear(step, source, built.at(destination))
        if unclear:
            built.may_hold((path for path, _rest in files), unclear)
        else:
            built.put(files, destination, several=several)
    if other is not None:
        _hand_on(other, built)


def _copied_files(step: dockerfile.Instruction, files: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of some files that an instruction puts into the image as they are."""
    if step.name == "ADD":
        files = (file for file in files if file[1] or not file[0].endswith(_ARCHIVES))
    return list(_without_excluded(step, list(files)))


def _unclear(step: dockerfile.Instruction, source: str, destination: str) -> str:
    """Why the files or the destination of a COPY are unknown; empty where both are known."""
    place = f"{step.name} in line {step.line}"
    for text in (source, destination):
        variable = re.search(r"\$\{?\w*\}?", text)
        if variable:
            return f"the value of {variable[0]} in {place} is unknown"
    return f"--parents of {place} is not supported" if "--parents" in step.flags else ""


def _without_excluded(step: dockerfile.Instruction, files: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The files that no `--exclude` of a COPY keeps out; its patterns are .dockerignore's, from the source on."""
    lines = [flag.partition("=")[2] for flag in step.flags if flag.startswith("--exclude=")]
    if not lines:
        yield from files
        return
    rules = docker.DockerIgnoreRules(lambda _name: "\n".join(lines).encode(), "", "")
    for path, rest in files:
        if rules.drops(rest or posixpath.basename(path)) is None:
            yield path, rest


def _spelled(source: str) -> str:
    """A source with a wildcard for each variable that has no value."""
    return re.sub(r"\$\{[^}]*\}|\$\w+", "*", source)


def _from_stage(other: _StageFiles, source: str) -> Iterator[tuple[str, str]]:
    """The project's files at a path of another stage."""
    start = posixpath.normpath(posixpath.join("/", _spelled(source))).lstrip("/")
    return _below(start, ((name.lstrip("/"), path) for name, path in other.twins.items()))


def _hand_on(other: _StageFiles, built: _StageFiles) -> None:
    """What is in doubt in a stage is in doubt in whatever copies from it."""
    copied, placed = set(built.twins.values()), set(other.twins.values())
    for path, reason in other.doubts.items():
        if path in copied or path not in placed:
            built.doubts.setdefault(path, reason)


def _run(step: dockerfile.Instruction, built: _StageFiles, context: _BuildContext) -> None:
    """A command may remove what was copied before it, and bring what it sees of the context."""
    patterns = removals.patterns(step.text)
    if patterns:
        reason = f"RUN in line {step.line} may remove it"
        built.doubt((path for place, path in built.twins.items() if removals.covers(patterns, place)), reason)
    for flag in step.flags:
        source = _mounted(flag)
        if source is not None and _COPIES.search(step.text):
            files = context.below(_spelled(source))
            built.may_hold((path for path, _rest in files), f"RUN in line {step.line} may copy it")


def _mounted(flag: str) -> str | None:
    """The folder of the context that a RUN sees by `--mount`; None for any other flag."""
    if not flag.startswith("--mount="):
        return None
    options: dict[str, str] = dict(re.findall(r"(\w+)=([^,]*)", flag.removeprefix("--mount=")))
    if options.get("type", "bind") != "bind" or "from" in options:
        return None
    return options.get("source", options.get("src", "."))


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
    values = {key: value.strip("\"'") for key, value in pairs}
    return {key: build_args.get(key, value) for key, value in values.items()} if name == "ARG" else values


# ------------------------------------------------------------------------------------------ by paths


def find_best_match(
    image_paths: Iterable[str], sources: Collection[str], prefixes: Iterable[str]
) -> LayoutMatch | None:
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
        folder: len(matched)
        for (folder, _prefix), matched in held.items()
        if folder != root and not (matched < most) and 2 * len(matched) > len(most)
    }
    # `COPY src/ /app/` is found with both contexts: the longer agreement is the same folder
    return LayoutMatch(root, prefix, len(most), not rivals, tuple(sorted(rivals)))


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder's, or the folder itself."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
