"""Which interpreter of an image would run its program: asked of the image's files, nothing is run for it."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator
from contextlib import closing

from buildguard.definitions import lazy_pattern
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.images import Image
from buildguard.docker.sandbox import ImagePath
from buildguard.errors import UnprovenError
from buildguard.project.target import NEWEST, OLDEST
from buildguard.stages.archives.tar import MemberKind, TarReader

_PYTHON = lazy_pattern(r"(?:python|pypy|graalpy)(?:3(?:\.\d+)?)?")
_SHEBANG = lazy_pattern(rb"#![ \t]*(\S+)(?:[ \t]+(\S+))?")
# What stands before a program and starts it as it is.
_LAUNCHERS = frozenset({"tini", "dumb-init", "catatonit", "env", "exec", "nice", "gosu", "su-exec", "--", "-s", "-g"})
_HEAD = 256
_NAMES = ("python", "python3", *(f"python3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1)), "pypy3", "graalpy")
_VERSIONS = tuple(name for name in _NAMES if name.startswith("python3"))
_SHELLS = (["/bin/sh", "-c"], ["sh", "-c"], ["/bin/bash", "-c"], ["bash", "-c"])


def candidates(cell: ImageFilesystem, image: Image) -> Iterator[str]:
    """Paths of interpreters: the one that the image's own command runs, and no other; else by its PATH, then anywhere.

    Lazy, as each is a question to the engine, and the last ones read the whole image.
    """
    seen: set[str] = set()
    for path in _all(cell, image):
        if path not in seen:
            seen.add(path)
            yield path


def _all(cell: ImageFilesystem, image: Image) -> Iterator[str]:
    named = _command_interpreter(cell, image)
    if named:
        yield named
        return  # where that does not start, the program does not: what another one says is no proof
    for name in _NAMES:
        command_path = find_command(cell, image, name)
        if command_path:
            yield command_path
    for folder in (
        image.variable("VIRTUAL_ENV"),
        *(f"{image.folder.rstrip('/')}/{venv}" for venv in (".venv", "venv")),
    ):
        path = f"{folder}/bin/python"
        if folder.startswith("/") and _executable(cell.stat(path)):
            yield path
    yield from _search_all(cell)


def library_folders(cell: ImageFilesystem, image: Image) -> Iterator[str]:
    """Folders in which installers put packages for the Pythons of an image, as far as they are there."""
    for home in _homes(cell, image):
        for library in _existing(cell, home, ("lib", "lib64", "local/lib")):
            for version in _existing(cell, library, _VERSIONS):
                yield f"{version}/site-packages"
                yield f"{version}/dist-packages"
    yield from (folder for folder in image.variable("PYTHONPATH").split(":") if folder.startswith("/"))


def _homes(cell: ImageFilesystem, image: Image) -> list[str]:
    """The prefixes that a Python of an image may be installed in."""
    programs = [folder for folder in image.path if folder.endswith("/bin")]
    programs += [posixpath.dirname(word) for word in image.command[:1] if word.startswith("/")]
    homes = {posixpath.dirname(folder) for folder in programs}
    homes |= {"/usr", "/usr/local", f"{_home_of_user(cell, image)}/.local", image.variable("VIRTUAL_ENV")}
    return sorted(homes - {"", "/"})


def _home_of_user(cell: ImageFilesystem, image: Image) -> str:
    """The home folder of the user that an image runs as: Python searches its `.local` for packages."""
    user = image.user.partition(":")[0] or "root"
    accounts = (line.split(":") for line in _read(cell, "/etc/passwd").decode("utf-8", "replace").splitlines())
    homes = (fields[5] for fields in accounts if len(fields) > 5 and user in {fields[0], fields[2]})  # noqa: PLR2004
    return image.variable("HOME") or next(homes, "/root" if user in {"root", "0"} else "")


def _read(cell: ImageFilesystem, path: str) -> bytes:
    """The first piece of a file; empty where that is none."""
    if cell.stat(path) is None:
        return b""
    with closing(cell.tar(path)) as pieces:
        reader = TarReader(pieces)
        member = next(iter(reader), None)
        return next(reader.content(), b"") if member is not None and member.kind is MemberKind.FILE else b""


def _existing(cell: ImageFilesystem, folder: str, names: Iterable[str]) -> list[str]:
    """The paths below a folder that are there."""
    return [path for path in (f"{folder}/{name}" for name in names) if cell.stat(path) is not None]


def _executable(path: ImagePath | None) -> bool:
    return path is not None and path.is_executable and not path.is_folder


def find_command(cell: ImageFilesystem, image: Image, name: str) -> str:
    """Where a command lies, as the kernel would find it; empty where it does not."""
    if name.startswith("/"):
        return name if _executable(cell.stat(name)) else ""
    if "/" in name:
        return find_command(cell, image, posixpath.join(image.folder, name))
    paths = (posixpath.join(folder, name) for folder in image.path)
    return next((path for path in paths if _executable(cell.stat(path))), "")


def _command_interpreter(cell: ImageFilesystem, image: Image) -> str:
    """The interpreter that the image's own command starts, empty if it is unknown.

    Raises UnprovenError where it, or the first line of its script, names a Python that is not there: that image cannot start.
    """
    program = _program(image)
    path = find_command(cell, image, program) if program else ""
    if _PYTHON.fullmatch(posixpath.basename(program)):
        if not path:
            raise UnprovenError(f"{image.reference} runs {program}, which it does not have")
        return path
    if not path:
        return ""
    return _script_interpreter(cell, image, path)


def _program(image: Image) -> str:
    """What the command of an image starts, behind a shell and launchers; empty for an unreadable one."""
    words = list(image.command)
    if words[:2] in _SHELLS and len(words) > 2:  # noqa: PLR2004
        try:
            words = shlex.split(words[2])
        except ValueError:
            return ""
    return next((word for word in words if posixpath.basename(word) not in _LAUNCHERS and "=" not in word), "")


def _script_interpreter(cell: ImageFilesystem, image: Image, path: str) -> str:
    """The Python that runs a script such as gunicorn, by its first line."""
    match = _SHEBANG.match(_read(cell, path)[:_HEAD])
    if match is None:
        return ""
    program, argument = (word.decode("utf-8", "replace") for word in (match[1], match[2] or b""))
    name = argument if posixpath.basename(program) == "env" else program
    if not _PYTHON.fullmatch(posixpath.basename(name)):
        return ""
    python = find_command(cell, image, name)
    if not python:
        raise UnprovenError(f"{image.reference} runs {path}, whose first line names {name}, which it does not have")
    return python


def _search_all(cell: ImageFilesystem) -> Iterator[str]:
    """Every Python in a folder called bin, wherever it lies, the shortest path first."""
    paths = []
    with closing(cell.export()) as pieces:
        for member in TarReader(pieces):
            path = "/" + member.path.decode("utf-8", "surrogateescape").strip("/")
            folder, name = posixpath.split(path)
            if posixpath.basename(folder) == "bin" and _PYTHON.fullmatch(name) and member.kind is not MemberKind.FOLDER:
                paths.append(path)
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        if _executable(cell.stat(path)):
            yield path
