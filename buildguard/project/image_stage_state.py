"""A stage of a Dockerfile while its instructions are followed: its files, folders and what became unknown."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern, records
from buildguard.project.image_model import (
    DEFAULT_SHELL,
    SYSTEM_FOLDERS,
    FileOrigin,
    ImageCommand,
    ImageModel,
    MissingSource,
    PlacedFile,
    PythonEnvironment,
    UnknownArea,
    UnmetNeed,
    is_below,
)

if TYPE_CHECKING:
    from buildguard.project.run_environments import FilledFolder
    from buildguard.project.target import PythonVersion

WILD = "*?["
# A folder that is copied here does not become the project's as a whole: what it adds does.
_NO_ROOTS = SYSTEM_FOLDERS - {"/home", "/opt", "/root", "/srv", "/tmp", "/mnt", "/media"}  # noqa: S108
_SYSTEM = ("/usr/", "/bin", "/sbin", "/lib", "/opt/", "/root/.local")  # where programs are installed
# Tools that keep packages in a folder that their words or a variable name.
_KEEPS_PACKAGES = lazy_pattern(r"\b(?:conda|mamba|micromamba|pipx|pyenv)\b|\buv\s+(?:tool|python)\b|\s--root[\s=]")
_PACKAGES = lazy_pattern(r"/lib/python3\.(?P<minor>\d{1,2})(?:/(?:site|dist)-packages)?$")
_EDITS = lazy_pattern(r"\b(?:sed|perl|awk|ed|venv-pack|virtualenv-clone|shebangs?)\b")
_PYTHON_HOMES = frozenset({"/", "/usr", "/usr/local"})  # what is installed there is the image's own Python's
_SYSTEM = ("/usr/", "/etc/", "/var/lib/", "/bin/", "/sbin/", "/lib/")


class Placement(NamedTuple):
    """How an instruction places files: its line, and the mode and owner that it sets."""

    line: int
    mode: int | None = None
    owner: str = ""


class StageState:
    """What a stage holds so far; a stage that is built on another one begins with a copy of that."""

    def __init__(self, below: StageState | None = None) -> None:
        self.base, self.base_line = "", 0  # the image that all of it rests on
        self.python: PythonVersion | None = None  # of that image, and no other one beside it
        self.environments: dict[str, PythonEnvironment] = {}
        self.takes_more = False
        self.files: dict[str, PlacedFile] = {}
        self.folders: set[str] = {"/"}
        self.unknown: list[UnknownArea] = []
        self.roots: set[str] = set()
        self.doubts: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.arguments: dict[str, str] = {}
        self.workdir = "/"
        self.knows_workdir = True
        self.user = ""
        self.shell: tuple[str, ...] = DEFAULT_SHELL
        self.entrypoint: ImageCommand | None = None
        self.cmd: ImageCommand | None = None
        self.sets_cmd = False
        self.ports: list[str] = []
        self.missing: list[MissingSource] = []
        self.unmet: list[UnmetNeed] = []
        self.run_text = ""  # of every RUN so far
        if below is not None:
            self._inherit(below)

    def _inherit(self, below: StageState) -> None:
        """Take over what an image hands on."""
        self.base, self.base_line, self.python = below.base, below.base_line, below.python
        self.environments, self.takes_more = dict(below.environments), below.takes_more
        self.files = dict(below.files)
        self.folders = set(below.folders)
        self.unknown = list(below.unknown)
        self.roots = set(below.roots)
        self.doubts = dict(below.doubts)
        self.env = dict(below.env)
        self.arguments = dict(below.arguments)
        self.workdir, self.knows_workdir = below.workdir, below.knows_workdir
        self.user, self.shell = below.user, below.shell
        self.entrypoint, self.cmd = below.entrypoint, below.cmd
        self.ports = list(below.ports)
        self.missing = list(below.missing)
        self.run_text = below.run_text

    def finished(self, line: int, *, knows_base: bool) -> ImageModel:
        """The image that ends here; `line` is the FROM of its last stage."""
        outer = {
            root for root in self.roots if not any(root != other and is_below(root, other) for other in self.roots)
        }
        return ImageModel(
            base=self.base,
            line=line,
            files=MappingProxyType(dict(self.files)),
            folders=frozenset(self.folders),
            unknown=tuple(dict.fromkeys(self.unknown)),
            roots=tuple(sorted(outer)),
            doubts=MappingProxyType(dict(self.doubts)),
            workdir=self.workdir,
            env=MappingProxyType(dict(self.env)),
            user=self.user,
            shell=self.shell,
            entrypoint=self.entrypoint,
            cmd=self.cmd,
            ports=tuple(dict.fromkeys(self.ports)),
            missing=tuple(dict.fromkeys(self.missing)),
            knows_base=knows_base,
            knows_workdir=self.knows_workdir,
            python=self.python,
            base_line=self.base_line,
            environments=tuple(self.environments.values()),
            takes_more=self.takes_more,
        )

    @property
    def variables(self) -> dict[str, str]:
        """What a variable of an instruction means: ENV before ARG."""
        return {**self.arguments, **self.env}

    def at(self, path: str, folder: str = "") -> str:
        """A path from the root, "" of `folder` being the working folder."""
        return posixpath.normpath(posixpath.join(folder or self.workdir, path)).replace("//", "/")

    # ------------------------------------------------------------------------------------------ placing

    def make_folder(self, path: str) -> None:
        """A folder exists from now on, and those above it."""
        while path and path not in self.folders:  # above one that is there, all are
            self.folders.add(path)
            above, slash, _name = path.rpartition("/")
            path = above or slash

    def place(self, file: PlacedFile) -> None:
        """A file arrives, over whatever was there."""
        self.files[file.path] = file
        folder, slash, _name = file.path.rpartition("/")
        self.make_folder(folder or slash)
        if self.doubts and file.source:
            self.doubts.pop(file.source, None)

    def put(
        self, files: Sequence[tuple[PlacedFile, str]], destination: str, placement: Placement, *, several: bool
    ) -> None:
        """Some files arrive, each with its path below what is copied ("" for a file itself): in a folder, or under a new name."""
        where = self.at(destination)
        is_folder = where in self.folders or (where in SYSTEM_FOLDERS and self.base != "scratch")
        into = several or destination.endswith(("/", "/.")) or destination in {".", "./"} or is_folder
        paths = _places(files, where, into=into)
        inside = [path for path, (_file, rest) in zip(paths, files, strict=True) if rest]
        if len(inside) < len(files):
            self.roots.update(_root_of_file(path) for path, (_file, rest) in zip(paths, files, strict=True) if not rest)
        if where in _NO_ROOTS:
            self.roots.update(_root_of(path, where) for path in inside)
        elif inside:
            self.roots.add(where)
        self._place_all(paths, _moved([file for file, _rest in files], paths, placement))

    def _place_all(self, paths: Sequence[str], files: Sequence[PlacedFile]) -> None:
        """The same as `place` for each of them: a COPY of everything has as many as the repository."""
        self.files.update(zip(paths, files, strict=True))
        for folder in {path[: path.rfind("/")] or "/" for path in paths}:
            self.make_folder(folder)
        if self.doubts:
            for source in filter(None, (file.source for file in files)):
                self.doubts.pop(source, None)

    # ------------------------------------------------------------------------------------------ environments

    def fill_environment(self, path: str, line: int, folder: FilledFolder) -> None:
        """The image's Python installs packages in a folder of their own, which may have that Python too."""
        known = self.environments.get(path)
        home = (path if folder.has_python else "") if known is None else known.home
        python = None if folder.is_flat else self.python  # any Python finds them there
        if path in _PYTHON_HOMES:
            self.takes_more = True
        else:
            self.environments[path] = PythonEnvironment(
                path, python, self.base_line, line, home=home, is_certain=folder.is_certain
            )

    def note_edits(self, text: str) -> None:
        """An editor in a RUN may write another Python into the first lines of the programs of an environment that it names."""
        if not _EDITS.search(text):
            return
        for path, found in self.environments.items():
            if "/bin" in text or posixpath.basename(path) in text or is_below(self.workdir, path):
                self.environments[path] = found._replace(home="")

    def has_environment(self, path: str) -> bool:
        """Whether a path is an environment's, or a folder above one."""
        return any(is_below(path, place) or is_below(place, path) for place in self.environments)

    def take_environments(self, other: StageState, source: str, target: str, line: int) -> bool:
        """Those in a folder of another stage come here with a COPY of it; whether there are any, and each is certain."""
        taken = [
            (found, rest) for path, found in other.environments.items() if (rest := _rest(path, source)) is not None
        ]
        match = _PACKAGES.search(source)
        if match is not None and other.python is not None and other.python.minor == int(match["minor"]):
            taken = [(PythonEnvironment(source, other.python, other.base_line, line), "")]
        for found, rest in taken:
            path = posixpath.normpath(posixpath.join(target, rest))
            self.environments[path] = found._replace(path=path, line=line, taken=source)
        return bool(taken) and all(found.is_certain for found, _rest in taken)

    def has_only_sources(self, path: str) -> bool:
        """Whether a path has files of the project, and surely no packages beside them."""
        has_sources = any(file.source for file, _rest in self.select(path)) and not path.startswith(_SYSTEM)
        is_certain = all(found.is_certain for found in self.environments.values())
        return has_sources and is_certain and not (self.covers_unknown(path) or _KEEPS_PACKAGES.search(self.run_text))

    def _move_environments(self, pattern: str, target: str, *, into: bool) -> bool:
        moved: dict[str, PythonEnvironment] = {}
        for path, found in self.environments.items():
            rest = _rest(path, pattern)
            if rest is not None:
                name = posixpath.basename(path.removesuffix(rest).rstrip("/")) if into else ""
                place = posixpath.normpath(posixpath.join(target, name, rest))
                moved[place] = found._replace(path=place)
        self.environments |= moved
        return bool(moved)

    # ------------------------------------------------------------------------------------------ doubting

    def add_unknown(self, area: UnknownArea) -> None:
        """What is at a path, and below it, is unknown from now on; files that were placed there may have changed."""
        self.unknown.append(area)
        self.doubt_files((file for place, file in self.files.items() if area.covers(place)), area.reason)

    def doubt_files(self, files: Iterable[PlacedFile], reason: str, *, may_be_gone: bool = False) -> None:
        """Some files may have changed, or be gone."""
        for file in [*files]:
            self.files[file.path] = file._replace(doubt=reason)
            if file.source and may_be_gone:
                self.doubts[file.source] = reason

    def may_hold(self, sources: Iterable[str], reason: str) -> None:
        """Some paths of the project may be in this stage as well: that decides nothing for those that are placed for certain."""
        certain = {file.source for file in self.files.values()} - self.doubts.keys()
        self.doubts.update((source, reason) for source in sources if source not in certain)

    # ------------------------------------------------------------------------------------------ looking

    def select(self, pattern: str) -> Iterator[tuple[PlacedFile, str]]:
        """The files at and below a path, which may have wildcards, each with its path below what matched."""
        parts = [part for part in pattern.split("/") if part]
        is_wild = any(char in pattern for char in WILD)
        for path, file in list(self.files.items()):
            rest = words_below(path, parts, is_wild=is_wild)
            if rest is not None:
                yield file, "/".join(rest)

    def covers_unknown(self, path: str) -> UnknownArea | None:
        """The unknown area that a path is in, or that is below it."""
        return next((area for area in self.unknown if area.covers(path) or is_below(area.path, path)), None)

    def change(self, pattern: str, update: Callable[[PlacedFile], PlacedFile]) -> None:
        """Change every file at and below a path."""
        for file, _below in [*self.select(pattern)]:
            self.files[file.path] = update(file)

    def remove(self, pattern: str) -> None:
        """Take away every file and folder at and below a path."""
        for file, _below in [*self.select(pattern)]:
            del self.files[file.path]
        for path in [path for path in self.environments if _rest(path, pattern) is not None]:
            del self.environments[path]
        if not any(char in pattern for char in WILD):
            self.folders = {folder for folder in self.folders if not is_below(folder, pattern)} | {"/"}

    def copy(self, pattern: str, target: str, line: int, *, inside: bool = False) -> bool:
        """Place copies of the files and environments at and below a path, as `cp -r` and `ln` do; whether there were any.

        With `inside`, the target is a folder.
        """
        selected = [*self.select(pattern)]
        into = target in self.folders or inside
        has_moved = self._move_environments(pattern, target, into=into)
        for file, rest in selected:
            matched = file.path[: -len(rest) - 1] if rest else file.path
            base = posixpath.join(target, posixpath.basename(matched)) if into else target
            self.place(file._replace(path=posixpath.join(base, rest) if rest else base, line=line))
        return bool(selected) or has_moved

    def link(self, target: str, path: str, line: int) -> None:
        """Place a symbolic link."""
        place = posixpath.join(path, posixpath.basename(target)) if path in self.folders else path
        self.place(PlacedFile(place, "", line, FileOrigin.LINK, link=target))


def words_below(path: str, parts: Sequence[str], *, is_wild: bool) -> list[str] | None:
    """The names by which a path is below some others, which may have wildcards; None where it is not."""
    words = path.strip("/").split("/")
    head = words[: len(parts)]
    if head == parts or (is_wild and len(head) == len(parts) and all(map(fnmatchcase, head, parts))):
        return words[len(parts) :]
    return None


def _rest(path: str, pattern: str) -> str | None:
    """The same for two paths."""
    parts = [part for part in pattern.split("/") if part]
    words = words_below(path, parts, is_wild=any(char in pattern for char in WILD))
    return None if words is None else "/".join(words)


def _places(files: Sequence[tuple[PlacedFile, str]], where: str, *, into: bool) -> list[str]:
    """Where some files arrive, each with its path below what is copied; a file itself, `into` a folder or under a new name."""
    start = where if where.endswith("/") else f"{where}/"
    if all(rest for _file, rest in files):
        return [start + rest for _file, rest in files]
    belows = (rest or (posixpath.basename(file.path) if into else "") for file, rest in files)
    return [start + below if below else where for below in belows]


def _moved(files: Sequence[PlacedFile], paths: Sequence[str], placement: Placement) -> list[PlacedFile]:
    """Some files at other paths, as an instruction places them."""
    _paths, sources, _lines, origins, modes, owners, *rest = zip(*files, strict=True) if files else ((),) * 9
    count = len(files)
    if placement.mode is not None:
        modes = (placement.mode,) * count
    if placement.owner:
        owners = (placement.owner,) * count
    return records(PlacedFile, paths, sources, (placement.line,) * count, origins, modes, owners, *rest)


def _root_of(path: str, folder: str) -> str:
    """What of the project a file belongs to that came with a whole folder: that, or below a folder of the system its own top."""
    if folder not in _NO_ROOTS:
        return folder
    first, slash, _rest = path[len(folder.rstrip("/")) + 1 :].partition("/")
    top = posixpath.join(folder, first)
    return top if slash and top not in SYSTEM_FOLDERS else path


def _root_of_file(path: str) -> str:
    """The folder of a file that was copied alone; the file itself in a folder of the system."""
    folder = posixpath.dirname(path)
    return path if folder in SYSTEM_FOLDERS or folder.startswith(_SYSTEM) else folder
