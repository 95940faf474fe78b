"""What an image's own command starts: its files, wherever they are, what of it is missing, and what it imports by mistake."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterable, Iterator
from itertools import chain

from buildguard.definitions import lazy_pattern
from buildguard.docker.find_python import find_command, library_folders
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.image_stage import ImageFiles
from buildguard.docker.images import Image
from buildguard.docker.sandbox import ImagePath
from buildguard.project.start_command import (
    CommandPlace,
    CommandText,
    StartCommand,
    StartContext,
    is_python,
    is_unknown,
)
from buildguard.project.start_parser import parse_start
from buildguard.stages.stage import EntryKind

_LARGEST_SCRIPT = 1 << 20  # bytes of an entrypoint script that is looked into
_MODULE = lazy_pattern(rb"(?P<name>[A-Za-z_]\w*)(?:/__init__)?(?:\.py|\.pyc|(?:\.[^./]+)?\.so)")
# what is built in is found before any folder, and what Python itself starts with is loaded before
_SHADOWED = sys.stdlib_module_names - {
    *sys.builtin_module_names,
    *["os", "io", "abc", "codecs", "site", "stat", "__main__"],
}


def find_start_files(
    start: StartCommand | None, image: Image, cell: ImageFilesystem, files: ImageFiles
) -> tuple[bytes, ...]:
    """The real paths of those files in the image, read into `files` where they were not; those that it lacks are left out."""
    found = []
    for command in (*start.before, start, *start.loads) if start is not None else ():
        places = (_read_file(path, cell, files) for path in _candidates(command, image.folder))
        found.append(next(filter(None, places), b""))
    return tuple(dict.fromkeys(filter(None, found)))


def find_missing_start(start: StartCommand | None, image: Image, cell: ImageFilesystem, files: ImageFiles) -> str:
    """What an image's own command starts first and the image does not have; empty where it has that, or it is unknown."""
    if start is None or start.before or not start.programs or is_unknown(start.programs[0].name):
        return ""
    program = start.programs[0].name
    if not _may_have_program(program, image, cell):
        return program
    if start.undecided:
        return ""
    if start.script:
        return "" if _read_file(start.script, cell, files) else start.script
    return f"the module {start.module}" if start.module and not _may_have_module(start, image, cell, files) else ""


def _may_have_program(name: str, image: Image, cell: ImageFilesystem) -> bool:
    """Whether a program may be in an image; a missing Python is reported by its engine."""
    path = image.variable("PATH")
    is_relative = "/" not in name and path and not all(folder.startswith("/") for folder in path.split(":"))
    return is_python(name) or bool(is_relative) or bool(find_command(cell, image, name))


def _may_have_module(start: StartCommand, image: Image, cell: ImageFilesystem, files: ImageFiles) -> bool:
    """Whether the module of a command may be in an image: a `.pth` file adds folders, and packages search where they like."""
    top, inner = start.module.partition(".")[0], start.module.replace(".", "/")
    if top in sys.stdlib_module_names or any(path.endswith(b".pth") for path in files.entries):
        return True
    own = [posixpath.join(folder, inner) for folder in (*start.search_path, start.folder)]
    list(_read_folders(start.search_path, files))
    bases = chain(own, (posixpath.join(folder, top) for folder in library_folders(cell, image)))
    if any(cell.stat(f"{base}{end}") is not None for base in bases for end in ("", ".py", ".pyc")):
        return True
    compiled = tuple(os.fsencode(f"{base}.") for base in own)
    return any(path.startswith(compiled) and path.endswith(b".so") for path in files.entries)


def _read_folders(folders: Iterable[str], files: ImageFiles) -> Iterator[bytes]:
    """Where some folders really are, each read unless it was; all of an image is no project's."""
    for folder in dict.fromkeys(folders):
        base = os.fsencode(folder)
        if folder != "/" and not any(posixpath.dirname(path) == base for path in files.entries):
            base = os.fsencode(files.read(folder))
        if folder != "/" and base:
            yield base


def find_shadows(
    start: StartCommand | None, image: Image, cell: ImageFilesystem, files: ImageFiles
) -> Iterator[tuple[bytes, str]]:
    """The modules beside what the command starts that take the name of one of the standard library's: path and name."""
    folders = start.search_path if start is not None and (start.script or start.module) else ()
    modules = [
        (path, name)
        for base in _read_folders(folders, files)
        for path in sorted(files.entries)
        if (name := _module_in(base, path)) in _SHADOWED
    ]
    # each is a question to the engine, and hardly an image has such a file
    libraries = {posixpath.dirname(folder) for folder in library_folders(cell, image)} if modules else set()
    for path, name in modules:
        if any(cell.stat(f"{library}/{name}{end}") for library in libraries for end in (".py", "")):
            yield path, name


def _module_in(folder: bytes, path: bytes) -> str:
    """The module that a file is, seen from a folder on sys.path; a package is its `__init__`. Empty for any other file."""
    rest = path[len(folder) + 1 :] if path.startswith(folder + b"/") else b""
    match = _MODULE.fullmatch(rest)
    return os.fsdecode(match["name"]) if match is not None else ""


def read_start(image: Image, cell: ImageFilesystem, files: ImageFiles) -> StartCommand | None:
    """What the command runs in the end, scripts of the image followed; None without one."""

    def read(path: str) -> bytes | None:
        real = _read_file(path, cell, files)
        content = files.content(real) if real else b""
        return content if isinstance(content, bytes) and content and len(content) <= _LARGEST_SCRIPT else None

    if not image.command:
        return None
    env = {name: value for name, _, value in (assignment.partition("=") for assignment in image.env)}
    words = CommandText(CommandPlace(image.reference, None), image.command)
    return parse_start(words, StartContext(image.folder, env, read))


def _candidates(command: StartCommand, folder: str) -> Iterator[str]:
    """Where the file of a command may be, in the order in which Python looks."""
    if command.script:
        yield posixpath.join(folder, command.script)
    elif command.module:
        inner = command.module.replace(".", "/")
        for root in dict.fromkeys([*command.search_path, command.folder]):
            base = posixpath.join(folder, root, inner)
            yield from (f"{base}/__main__.py",) if command.is_main else ()
            yield from (f"{base}/__init__.py", f"{base}.py")


def _read_file(path: str, cell: ImageFilesystem, files: ImageFiles) -> bytes:
    """The real path of a file, which is read unless it was; empty where it is missing."""
    named = os.fsencode(posixpath.normpath(path))
    held = files.entries.get(named)
    if held is not None and held.kind is not EntryKind.LINK:
        return named  # the project's folder may be a link, and its files are known by the paths below that
    place: ImagePath | None = ImagePath("/", is_folder=True, is_executable=True)
    for part in filter(None, posixpath.normpath(path).split("/")):  # the folders on the way may be links, too
        if place is None or not place.is_folder:
            return b""
        place = cell.stat(posixpath.join(place.path, part))
    if place is None or place.is_folder:
        return b""
    real = os.fsencode(place.path)
    if real not in files.entries:
        files.read(place.path)
    return real if real in files.entries else b""
