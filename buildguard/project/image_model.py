"""What an image will be, by its Dockerfile: each project file with its place, and how the container starts. Pure records.

`image_build.build_model` makes one. What cannot be known is `unknown`, with the reason, and never counts as missing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum

if TYPE_CHECKING:
    from buildguard.project.target import PythonVersion

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")
_MOST_LINKS = 40


class FileOrigin(StrEnum):
    """Where a file of the image comes from: the build context, the Dockerfile's own text, or a symbolic link."""

    CONTEXT = "context"
    WRITTEN = "written"
    LINK = "link"


class PlacedFile(NamedTuple):
    """A path of the image that the Dockerfile places.

    `source` is the project's path (empty for what the Dockerfile writes), `line` the instruction that placed it last, `mode` what
    `--chmod` or `chmod` set (None: the sender's), `owner` what `--chown` set. `content` is known for a heredoc alone, `link` is
    where a symbolic link leads. `doubt` is why the file may have been changed or removed since, empty where it was not.
    """

    path: str
    source: str
    line: int
    origin: FileOrigin = FileOrigin.CONTEXT
    mode: int | None = None
    owner: str = ""
    content: bytes | None = None
    link: str = ""
    doubt: str = ""


class UnknownArea(NamedTuple):
    """A path of which the Dockerfile does not show what is there; with `deep` everything below it too.

    `program` is what a RUN may have run there, and what it does is not followed.
    """

    path: str
    reason: str
    line: int
    deep: bool = True
    program: str = ""

    def covers(self, path: str) -> bool:
        """Whether a path may be there because of this."""
        if path == self.path:
            return True
        return is_below(path, self.path) if self.deep else posixpath.dirname(path) == self.path


class CommandForm(StrEnum):
    """The two forms of CMD and ENTRYPOINT: a JSON list that is executed, or a text for the shell."""

    EXEC = "exec"
    SHELL = "shell"


class ImageCommand(NamedTuple):
    """A CMD or an ENTRYPOINT: its line, its form, and the words that are executed (for a text: the shell's, then the text)."""

    line: int
    form: CommandForm
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The text for the shell; the words of the exec form, joined."""
        return self.words[-1] if self.form is CommandForm.SHELL and self.words else " ".join(self.words)


class MissingSource(NamedTuple):
    """A source of a COPY or an ADD that the build context does not have."""

    line: int
    instruction: str
    source: str
    is_pattern: bool


class UnmetNeed(NamedTuple):
    """A file that a RUN reads and that no instruction before it brings: the line, its path in the image, and as the RUN writes it.

    `program` reads it, and does with any of `others` in the same folder too. `fails` is whether the build surely ends there.
    """

    line: int
    path: str
    text: str
    program: str = "pip"
    others: tuple[str, ...] = ()
    fails: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the file and of the others."""
        return (posixpath.basename(self.text), *self.others)


class PythonEnvironment(NamedTuple):
    """A folder with packages for one Python: a virtual environment, what `--prefix` or `--user` fill, or `site-packages` itself.

    `python` is None where it is not known; `base_line` is the FROM that it comes with. `line` is the instruction that the folder
    is here by, and `taken` what of another stage that one copied, empty where a RUN fills it.
    `home` is the folder whose `bin/python` its programs name in their first line, empty where that is the image's own. Where it is
    not certain, the packages may be in another folder.
    """

    path: str
    python: PythonVersion | None
    base_line: int
    line: int
    taken: str = ""
    home: str = ""
    is_certain: bool = True


class ImageModel(NamedTuple):
    """The final stage with what it takes from others.

    `files` are by path in the image; `folders` exist for certain. `roots` are the folders that are the project's. `doubts` gives the
    reason why a path of the project may be in the image or not. `knows_base` says whether the base image is one whose working
    folder, variables and start command are known: then `workdir` and a missing `command` are certain.
    `knows_workdir` says that `workdir` is, whatever the base image is. `unmet` are of every stage that the build makes.
    `python` is the base image's, which `base_line` names; None where it is not known or another one comes beside it.
    `takes_more` says that a COPY or RUN may bring programs beside those of `environments`.
    """

    base: str
    line: int
    files: Mapping[str, PlacedFile]
    folders: frozenset[str]
    unknown: tuple[UnknownArea, ...]
    roots: tuple[str, ...]
    doubts: Mapping[str, str]
    workdir: str
    env: Mapping[str, str] = MappingProxyType({})
    user: str = ""
    shell: tuple[str, ...] = DEFAULT_SHELL
    entrypoint: ImageCommand | None = None
    cmd: ImageCommand | None = None
    ports: tuple[str, ...] = ()
    missing: tuple[MissingSource, ...] = ()
    knows_base: bool = True
    knows_workdir: bool = True
    unmet: tuple[UnmetNeed, ...] = ()
    python: PythonVersion | None = None
    base_line: int = 1
    environments: tuple[PythonEnvironment, ...] = ()
    takes_more: bool = False

    @property
    def twins(self) -> dict[str, str]:
        """The project's path of each path in the image that has one."""
        return {path: file.source for path, file in self.files.items() if file.source}

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders of PATH."""
        return tuple(self.env.get("PATH", DEFAULT_PATH).split(":"))

    @property
    def command(self) -> tuple[str, ...]:
        """The words that start the container: ENTRYPOINT with CMD as its arguments, or CMD alone; empty where neither is set."""
        if self.entrypoint is None:
            return self.cmd.words if self.cmd is not None else ()
        if self.entrypoint.form is CommandForm.SHELL:
            return self.entrypoint.words  # the shell's own form takes no CMD
        return (*self.entrypoint.words, *(self.cmd.words if self.cmd is not None else ()))

    def absolute(self, path: str) -> str:
        """A path of a command, from the root of the image."""
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def file(self, path: str) -> PlacedFile | None:
        """The file at a path, symbolic links followed; None where the Dockerfile places none."""
        place = self.absolute(path)
        for _ in range(_MOST_LINKS):
            found = self.files.get(place) or self._through_folder_link(place)
            if found is None or found.origin is not FileOrigin.LINK:
                return found
            place = posixpath.normpath(
                posixpath.join(posixpath.dirname(found.path), found.link, place[len(found.path) + 1 :])
            )
        return None

    def _through_folder_link(self, place: str) -> PlacedFile | None:
        """The link that a folder above a path is."""
        parents = (self.files.get(folder) for folder in folders_above(place))
        return next((file for file in parents if file is not None and file.origin is FileOrigin.LINK), None)

    def why_unknown(self, path: str) -> str:
        """Why the content of a path is unknown; empty where the Dockerfile decides it: placed for certain, or absent.

        Absent means that neither the Dockerfile nor an official base image puts anything there.
        """
        place = self.absolute(path)
        file = self.file(place)
        if file is not None:
            return file.doubt
        area = next((area for area in self.unknown if area.covers(place)), None)
        if area is not None:
            return area.reason
        if not self.knows_base:
            return f"what {self.base} holds is unknown"
        return "" if self._is_ours(place) else f"{place} may be {self.base}'s own"

    def _is_ours(self, place: str) -> bool:
        """Whether a path is in a folder that the base image does not have: one that the Dockerfile made."""
        return any(folder in self.folders and folder not in SYSTEM_FOLDERS for folder in folders_above(place))


# Folders of the system: a file copied there does not make the folder the project's.
SYSTEM_FOLDERS = frozenset(
    {
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root"),
        *("/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin"),  # noqa: S108
        *("/usr/local/lib", "/usr/sbin", "/usr/share", "/var", "/var/lib", "/var/log"),
    }
)


def folders_above(path: str) -> Iterator[str]:
    """The folders that a path is in, the nearest first."""
    while path not in {"/", ""}:
        path = posixpath.dirname(path)
        yield path


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder's, or the folder itself."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
