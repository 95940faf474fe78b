"""The files of an image before it is built, with the way back to the project: which path a missing file would come from."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.project import dockerfile
from buildguard.project.build_file_names import is_compose
from buildguard.project.discovery import ImageRecipe
from buildguard.project.image_model import ImageModel, MissingSource, PlacedFile, folders_above, is_below
from buildguard.project.project_installs import installs
from buildguard.project.target import Certainty
from buildguard.startup.project_files import SentFiles

_SYSTEM = frozenset(
    {"bin", "dev", "etc", "home", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var"}
)
_MOUNTS = lazy_pattern(rb"\b(?:volumes|develop)\s*:")
_FILLED = ("bin", "lib", "lib64")  # of an environment: the project may be beside them
_INSTALLED = frozenset({".venv", "venv", "env", "site-packages", "node_modules", "__pypackages__"})


class ImageTree:
    """The model of an image, looked up by its paths and by the project's."""

    def __init__(
        self, model: ImageModel, chain: Sequence[dockerfile.DockerfileStage], sent: SentFiles, compose: str = ""
    ) -> None:
        """`compose` is the line of a compose file that builds the image, empty where none does."""
        self.model = model
        self._sent = sent
        self._by_source = _first_by_source(model.files.values())
        has_code = not compose or any(source.endswith(".py") for source in self._by_source)
        self._mount = "" if has_code else f"the Dockerfile copies no Python source, so {compose} may mount it"
        self._doubts = {posixpath.basename(source): reason for source, reason in model.doubts.items()}
        self._missing = next(filter(self._is_missing, model.missing), None)
        self._folders = {folder for path in model.files for folder in folders_above(path)} | model.folders
        self._origins = [*_origins(model.files), (model.workdir, sent.context)]
        self.steps = steps = tuple(step for stage in reversed(chain) for step in stage.instructions)
        self.run_text = "\n".join(step.text for step in steps if step.name == "RUN")
        self.last_copy = next((step.line for step in reversed(steps) if step.name in {"COPY", "ADD"}), None)
        self.installs_project = any(any(installs(stage)) for stage in chain)

    def _is_missing(self, source: MissingSource) -> bool:
        """Whether a source of a COPY is not sent; a folder is, even where every file in it is dropped."""
        path = context_path(self._sent.context, source.source)
        return not source.is_pattern and not self._sent.folder_arrives(path)

    @property
    def base(self) -> str:
        """The image that the final stage rests on."""
        return self.model.base

    def find(self, path: str) -> PlacedFile | None:
        """The file at a path; None where the Dockerfile places none."""
        placed = self.model.file(path)
        if placed is not None and placed.source and self._sent.files.is_behind_link(placed.source):
            return placed._replace(doubt=placed.doubt or "it is behind a symbolic link")
        return placed

    def below(self, folder: str) -> Iterator[str]:
        """The files that the Dockerfile places in a folder and the folders in it."""
        return (path for path in self.model.files if is_below(path, folder))

    def is_folder(self, path: str) -> bool:
        """Whether a folder is known to exist."""
        return path in self._folders

    def why_unknown(self, path: str) -> str:
        """Why a file may exist at a path where `find` has none; empty where there can be none."""
        filled = (f"{environment.path}/{name}" for environment in self.model.environments for name in _FILLED)
        if any(is_below(path, folder) for folder in filled) or _INSTALLED.intersection(path.split("/")):
            return "it is among installed packages"
        doubt = self._doubts.get(posixpath.basename(path), "")
        if doubt:
            return doubt
        if not self._by_source:
            return "the Dockerfile copies nothing of the project, so a mount may bring it"
        if self._mount:
            return self._mount
        if self._missing is not None:
            return f"line {self._missing.line} copies {self._missing.source}, which the build context lacks"
        reason = self.model.why_unknown(path)
        return reason if self.may_create(path) or self._is_system(path) else ""

    def _is_system(self, path: str) -> bool:
        """Whether a path is in a folder that the base image fills, and that the project does not work in."""
        roots = [root for root in (self.model.workdir, *self.model.roots) if root != "/"]
        return path.split("/")[1:2][0] in _SYSTEM and not any(is_below(path, root) for root in roots)

    def may_create(self, path: str) -> bool:
        """Whether an instruction may have put a file at a path, the base image aside."""
        return not self.model.knows_base or any(area.covers(path) for area in self.model.unknown)

    def holds(self, source: str) -> PlacedFile | None:
        """The place of a file of the project in the image; None where it has none."""
        return self._by_source.get(source)

    def project_paths(self, path: str) -> list[str]:
        """The paths of the project that a path of the image would come from, by what is copied beside it."""
        candidates = (
            posixpath.normpath(posixpath.join(origin, posixpath.relpath(path, folder)))
            for folder, origin in self._origins
            if is_below(path, folder)
        )
        return list(dict.fromkeys(candidate for candidate in candidates if not candidate.startswith("..")))

    def place_of(self, source: str) -> str:
        """Where a path of the project would be in the image, by what is copied beside it."""
        origins = [(origin, folder) for folder, origin in self._origins if is_below(source, origin) or not origin]
        origin, folder = max(origins, key=lambda pair: len(pair[0]), default=("", self.model.workdir))
        return posixpath.normpath(posixpath.join(folder, posixpath.relpath(source, origin or ".")))


def _first_by_source(files: Iterable[PlacedFile]) -> dict[str, PlacedFile]:
    """The first place in the image of each file of the project."""
    places: dict[str, PlacedFile] = {}
    for placed in files:
        if placed.source:
            places.setdefault(placed.source, placed)
    return places


def _origins(files: Mapping[str, PlacedFile]) -> list[tuple[str, str]]:
    """Folders of the image with the project's folder that is copied there, the deepest first."""
    pairs = {_common_root(path, placed.source) for path, placed in files.items() if placed.source}
    return sorted(pairs, key=lambda pair: (-len(pair[0]), pair))


def _common_root(path: str, source: str) -> tuple[str, str]:
    """Both paths without the folders that they end in alike; of a file that is renamed its folders."""
    place, origin = path.split("/")[:-1], source.split("/")[:-1]
    if posixpath.basename(path) == posixpath.basename(source):
        while place and origin and place[-1] == origin[-1]:
            place.pop()
            origin.pop()
    return "/".join(place) or "/", "/".join(origin)


def build_tree(recipe: ImageRecipe, stages: Iterable[dockerfile.DockerfileStage], sent: SentFiles) -> ImageTree:
    """The tree of the image of a recipe; `stages` are the chain of the stage that the build ends with."""
    files = [path for path in sent.files.below(sent.context) if sent.arrives(path)]
    basis = recipe.service.basis
    is_composed = basis.known is Certainty.DECLARED and is_compose(os.fsencode(basis.by.rpartition(":")[0]))
    compose = basis.by if is_composed and _mounts_something(sent) else ""
    return ImageTree(recipe.model(files, sent.files.modes(files)), tuple(stages), sent, compose)


def context_path(context: str, source: str) -> str:
    """A source of a COPY as a path of the project."""
    inside = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
    return posixpath.join(context, inside) if inside and context else context or inside


def _mounts_something(sent: SentFiles) -> bool:
    """Whether a compose file of the project mounts volumes, or syncs files, in whatever layer."""
    paths = sent.files.named(_is_compose_file)
    sent.files.load(paths)
    return any(_MOUNTS.search(sent.files.read(path) or b"volumes:") for path in paths)


def _is_compose_file(path: str) -> bool:
    return is_compose(os.fsencode(path))
