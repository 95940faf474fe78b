"""The files of an image before it is built: where each comes from, and where nobody can know. Looked up, never listed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from buildguard.project import dockerfile, image_layout, image_reference
from buildguard.project.ignore import docker
from buildguard.project.start_command import in_folder
from buildguard.startup.project_files import SentFiles
from buildguard.startup.run_effects import EffectKind, RunEffect, effects_of

_WILD = re.compile(r"[*?\[]")
_HEREDOC = re.compile(r"<<-?[\"']?(\w+)[\"']?")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc",
    "/var",
    "/opt",
    "/root",
    "/home",
    "/tmp",  # noqa: S108  a folder of the image
    "/dev",
    "/proc",
    "/sys",
)
_FOLDERS = frozenset(
    {*_SYSTEM, "/usr/local/bin", "/usr/bin", "/usr/local", "/usr/sbin", "/srv", "/mnt", "/media", "/run"}
)
_INSTALLED = frozenset({".venv", "venv", "env", "site-packages", "node_modules", "__pypackages__"})


class ImageFile(NamedTuple):
    """A file of the image: its path in the project (empty for one that the Dockerfile itself holds), and the line of its COPY.

    `mode` is what `--chmod` sets, `?` where a RUN sets another one. `doubt` says why its content may be another one.
    """

    source: str
    line: int
    mode: str = ""
    content: bytes | None = None
    doubt: str = ""


class CopiedPath(NamedTuple):
    """One source of a COPY: a file or folder of the context, or of another stage, and the place where it goes."""

    line: int
    source: str
    place: str
    is_file: bool
    mode: str
    excludes: tuple[str, ...]
    stage: StageTree | None = None


class UnknownRegion(NamedTuple):
    """A part of the image in which files may be that nobody can know, and why."""

    path: str
    reason: str

    def covers(self, path: str) -> bool:
        """Whether a path is in it."""
        return self.path in {"/", path} or path.startswith(f"{self.path}/")


_DOUBTS = frozenset({EffectKind.CHANGES, EffectKind.REMOVES, EffectKind.CREATES})


class GeneratedFile(NamedTuple):
    """A file that a heredoc of the Dockerfile holds, and its path in the image."""

    place: str
    file: ImageFile


_Layer: TypeAlias = CopiedPath | UnknownRegion | RunEffect | GeneratedFile


class StageTree:
    """One stage of a Dockerfile, as a list of layers that a path is looked up in, the last one first."""

    def __init__(self, sent: SentFiles, below: StageTree | None, base: str) -> None:
        self._sent = sent
        self.layers: list[_Layer] = list(below.layers) if below is not None else []
        self.folder: str = below.folder if below is not None else "/"
        self.env: dict[str, str] = dict(below.env) if below is not None else {}
        self.roots: set[str] = set(below.roots) if below is not None else set()
        self.last_copy: int | None = below.last_copy if below is not None else None
        self.base: str = below.base if below is not None else base
        self.runs: int = below.runs if below is not None else 0
        self.run_text: str = below.run_text if below is not None else ""
        if below is None and not is_known_base(base):
            self.layers.append(UnknownRegion("/", f"what {base} holds is not known"))

    # -------------------------------------------------------------------------------------- looking up

    def find(self, path: str) -> ImageFile | None:
        """The file at a path; None where no layer is known to hold one."""
        doubt, mode = "", ""
        for layer in reversed(self.layers):
            if isinstance(layer, RunEffect):
                if layer.kind in _DOUBTS and layer.covers(path):
                    doubt = doubt or f"RUN in line {layer.line} may change it"
                elif layer.kind is EffectKind.MODES and layer.covers(path):
                    mode = "?"
            elif (image_file := self._in_layer(layer, path)) is not None:
                return image_file._replace(doubt=image_file.doubt or doubt, mode=mode or image_file.mode)
        return None

    def _in_layer(self, layer: _Layer, path: str) -> ImageFile | None:
        if isinstance(layer, CopiedPath):
            return _copied_file(layer, path, self._sent)
        return layer.file if isinstance(layer, GeneratedFile) and layer.place == path else None

    def is_folder(self, path: str) -> bool:
        """Whether a folder is known to exist."""
        if path == "/" or any(root == path or root.startswith(f"{path}/") for root in self.roots):
            return True
        return any(isinstance(layer, CopiedPath) and _copied_folder(layer, path, self._sent) for layer in self.layers)

    def why_unknown(self, path: str) -> str:
        """Why a file may exist at a path where `find` has none; empty where there can be none."""
        for layer in self.layers:
            if isinstance(layer, UnknownRegion) and layer.covers(path):
                return layer.reason
            if isinstance(layer, RunEffect) and layer.kind is EffectKind.CREATES and layer.covers(path):
                return f"RUN in line {layer.line} may create it"
            if (
                isinstance(layer, CopiedPath)
                and layer.stage is not None
                and (other := _mapped(layer, path)) is not None
            ):
                reason = layer.stage.why_unknown(other)
                if reason:
                    return reason
        return self._why_system(path)

    def _why_system(self, path: str) -> str:
        if _INSTALLED.intersection(path.split("/")):
            return "it is among installed packages"
        is_project = any(path == root or path.startswith(f"{root.rstrip('/')}/") for root in self.roots if root != "/")
        is_system = any(path == folder or path.startswith(f"{folder}/") for folder in _SYSTEM)
        return "it is in a folder of the system" if is_system and not is_project else ""

    def project_paths(self, path: str) -> list[str]:
        """The project paths that a path of the image would come from, if they were sent: of each COPY that reaches there."""
        candidates: list[str] = []
        for layer in self.layers:
            if isinstance(layer, CopiedPath):
                other = _mapped(layer, path)
                if layer.stage is not None and other is not None:
                    candidates += layer.stage.project_paths(other)
                elif layer.is_file:
                    folder = posixpath.dirname(layer.place)
                    if path.startswith(f"{folder.rstrip('/')}/"):
                        rest = posixpath.relpath(path, folder)
                        candidates.append(posixpath.normpath(posixpath.join(posixpath.dirname(layer.source), rest)))
                elif other is not None:
                    candidates.append(other)
        return list(dict.fromkeys(candidates))

    def holds(self, source: str) -> CopiedPath | None:
        """The COPY that brings a file of the project into the image; None where none does."""
        for layer in self.layers:
            if isinstance(layer, CopiedPath) and layer.stage is None and _brings(layer, source, self._sent):
                return layer
            if isinstance(layer, CopiedPath) and layer.stage is not None and (copied := layer.stage.holds(source)):
                rest = posixpath.relpath(source, copied.source or ".") if source != copied.source else ""
                if _is_at_or_below(posixpath.join(copied.place, rest) if rest else copied.place, layer.source):
                    return layer
        return None

    @property
    def installs_project(self) -> bool:
        """Whether a RUN installs the project as a package, so that its modules are elsewhere too."""
        return any(isinstance(layer, RunEffect) and layer.kind is EffectKind.INSTALLS for layer in self.layers)


def is_known_base(base: str) -> bool:
    """Whether an image is known to hold no file that a project could need: Python's own, or a distribution's."""
    ref = image_reference.parse(base)
    official = ref.name in {"python", "docker.io/python", "docker.io/library/python", "library/python", "pypy"}
    named = ref.name.startswith(("gcr.io/distroless/", "ghcr.io/astral-sh/uv", "cgr.dev/chainguard/python"))
    mirrored = ref.last == "python" and not ref.name.startswith("mcr.microsoft.com")
    return official or named or mirrored or ("/" not in ref.name and image_reference.is_bare(base)) or not base


def _copied_file(layer: CopiedPath, path: str, sent: SentFiles) -> ImageFile | None:
    other = _mapped(layer, path)
    if other is None:
        return None
    if layer.stage is not None:
        image_file = layer.stage.find(other)
        return image_file and image_file._replace(line=layer.line, mode=layer.mode or image_file.mode)
    if not sent.arrives(other) or _is_excluded(layer, other):
        return None
    doubt = "it is behind a symbolic link" if sent.files.is_behind_link(other) else ""
    return ImageFile(other, layer.line, layer.mode, doubt=doubt)


def _copied_folder(layer: CopiedPath, path: str, sent: SentFiles) -> bool:
    if layer.place.startswith(f"{path.rstrip('/')}/"):
        return True
    other = _mapped(layer, path)
    if other is None or layer.is_file:
        return False
    return layer.stage.is_folder(other) if layer.stage is not None else sent.folder_arrives(other)


def _mapped(layer: CopiedPath, path: str) -> str | None:
    """Where a path of the image comes from by one COPY: in the project, or in the other stage."""
    if path == layer.place:
        return layer.source
    if layer.is_file or not path.startswith(f"{layer.place.rstrip('/')}/"):
        return None
    rest = posixpath.relpath(path, layer.place)
    return posixpath.join(layer.source, rest) if layer.source else rest


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _brings(layer: CopiedPath, source: str, sent: SentFiles) -> bool:
    inside = source == layer.source or not layer.source or source.startswith(f"{layer.source}/")
    return inside and sent.arrives(source) and not _is_excluded(layer, source)


def _is_excluded(layer: CopiedPath, source: str) -> bool:
    if not layer.excludes:
        return False
    rules = docker.DockerIgnoreRules(lambda _name: "\n".join(layer.excludes).encode(), "", "")
    inside = posixpath.relpath(source, layer.source or ".") if source != layer.source else posixpath.basename(source)
    return rules.drops(inside) is not None


# ------------------------------------------------------------------------------------------ reading a Dockerfile


def build_trees(
    stages: Sequence[dockerfile.DockerfileStage], build_args: Mapping[str, str], sent: SentFiles
) -> list[StageTree]:
    """The tree of each stage, in order."""
    trees: list[StageTree] = []
    names: dict[str, StageTree] = {}
    for number, stage in enumerate(stages):
        tree = StageTree(sent, names.get(stage.base.lower()), stage.base)
        reader = _StageReader(tree, names, build_args, sent)
        for step in stage.instructions:
            reader.read(step)
        trees.append(tree)
        names[str(number)] = tree
        if stage.alias:
            names[stage.alias] = tree
    return trees


class _StageReader:
    """Applies instructions to the tree of a stage."""

    def __init__(
        self, tree: StageTree, names: Mapping[str, StageTree], build_args: Mapping[str, str], sent: SentFiles
    ) -> None:
        self._tree = tree
        self._names = names
        self._build_args = build_args
        self._sent = sent
        self._arguments: dict[str, str] = {}

    def read(self, step: dockerfile.Instruction) -> None:
        tree = self._tree
        if step.name == "RUN":
            effects = effects_of(step, tree.folder)
            tree.layers += effects
            tree.roots.update(effect.path for effect in effects if effect.kind is EffectKind.FOLDER)
            tree.runs += 1
            tree.run_text += f"{step.text}\n"
            return
        text = dockerfile.expand_variables(step.text, {**self._arguments, **tree.env})
        if step.name == "WORKDIR":
            tree.folder = in_folder(tree.folder, text.strip().strip("\"'"))
            tree.roots.add(tree.folder)
        elif step.name == "ENV":
            tree.env |= image_layout.variables(step.name, text, {})
        elif step.name == "ARG":
            self._arguments |= image_layout.variables(step.name, text, self._build_args)
        elif step.name in {"COPY", "ADD"}:
            self._copy(step._replace(text=text))

    def _copy(self, step: dockerfile.Instruction) -> None:
        words = image_layout.words(step.text)
        if len(words) < 2:  # noqa: PLR2004  a source and a destination
            return
        *sources, destination = words
        self._tree.last_copy = step.line
        place = in_folder(self._tree.folder, destination)
        if "$" in destination:
            self._tree.layers.append(UnknownRegion("/", f"line {step.line} copies to an unknown folder"))
            return
        into = len(sources) > 1 or destination.endswith(("/", ".")) or place in _FOLDERS or self._tree.is_folder(place)
        if not into and self._tree.why_unknown(place):
            self._tree.layers.append(UnknownRegion(place, f"line {step.line} copies to {place}, a file or a folder"))
        for source in sources:
            self._source(step, source, place, into=into)
        holds_files = any(
            isinstance(layer, CopiedPath) and not layer.is_file for layer in self._tree.layers[-len(sources) :]
        )
        if into or holds_files:
            self._tree.roots.add(place)

    def _source(self, step: dockerfile.Instruction, source: str, place: str, *, into: bool) -> None:
        layers = self._tree.layers
        heredoc = _HEREDOC.fullmatch(source)
        origin = next((flag.partition("=")[2] for flag in step.flags if flag.startswith("--from=")), None)
        if heredoc is not None:
            content = step.text.partition("\n")[2].encode()
            path = posixpath.join(place, heredoc[1]) if into else place
            layers.append(GeneratedFile(path, ImageFile("", step.line, _chmod(step), content)))
        elif origin is not None:
            layers.append(self._from_stage(step, origin, source, place, into=into))
        elif step.name == "ADD" and (re.match(r"[\w+.-]+://|git@", source) or source.endswith(_ARCHIVES)):
            layers.append(UnknownRegion(place, f"ADD in line {step.line} brings files that are not known"))
        elif "$" in source or "--parents" in step.flags:
            layers.append(UnknownRegion(place, f"what line {step.line} copies is not known"))
        else:
            layers += self._from_context(step, source, place, into=into)

    def _from_stage(self, step: dockerfile.Instruction, origin: str, source: str, place: str, *, into: bool) -> _Layer:
        other = self._names.get(origin.lower())
        if other is None or _WILD.search(source) or "$" in source:
            return UnknownRegion(place, f"line {step.line} copies from {origin}")
        start = in_folder("/", source)
        image_file = other.find(start)
        if image_file is None and not other.is_folder(start):
            return UnknownRegion(place, f"line {step.line} copies {source} from {origin}")
        is_file = image_file is not None
        target = posixpath.join(place, posixpath.basename(start)) if is_file and into else place
        return CopiedPath(step.line, start, target, is_file, _chmod(step), (), other)

    def _from_context(self, step: dockerfile.Instruction, source: str, place: str, *, into: bool) -> Iterator[_Layer]:
        excludes = tuple(flag.partition("=")[2] for flag in step.flags if flag.startswith("--exclude="))
        for path in context_paths(self._sent, source):
            if not self._sent.files.has(path):
                yield UnknownRegion(place, f"line {step.line} copies {source}, which is not in the project")
                continue
            is_file = self._sent.files.is_file(path)
            target = posixpath.join(place, posixpath.basename(path)) if is_file and into else place
            yield CopiedPath(step.line, path, target, is_file, _chmod(step), excludes)


def context_path(context: str, source: str) -> str:
    """A source of a COPY as a path of the project."""
    inside = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
    return posixpath.join(context, inside) if inside and context else context or inside


def context_paths(sent: SentFiles, source: str) -> list[str]:
    """The files and folders that a source means: itself, or all that its wildcards match."""
    full = context_path(sent.context, source)
    if not _WILD.search(full):
        return [full]
    parts = full.split("/")
    fixed = next(number for number, part in enumerate(parts) if _WILD.search(part))
    matches: dict[str, None] = {}
    for path in sent.files.below("/".join(parts[:fixed])):
        names = path.split("/")
        if len(names) >= len(parts) and all(map(fnmatchcase, names[fixed:], parts[fixed:])):
            matches["/".join(names[: len(parts)])] = None
    return list(matches)


def _chmod(step: dockerfile.Instruction) -> str:
    return next((flag.partition("=")[2] for flag in step.flags if flag.startswith("--chmod=")), "")
