"""The files that an image's own command starts Python with: wherever they are, they are the first that has to compile."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.image_stage import ImageFiles
from buildguard.docker.images import Image
from buildguard.docker.sandbox import ImagePath
from buildguard.project.start_command import CommandPlace, CommandText, StartCommand, StartContext
from buildguard.project.start_parser import parse_start

_LARGEST_SCRIPT = 1 << 20  # bytes of an entrypoint script that is looked into


def find_start_files(image: Image, cell: ImageFilesystem, files: ImageFiles) -> tuple[bytes, ...]:
    """The real paths of those files in the image, read into `files` where they were not; those that it lacks are left out."""

    def read(path: str) -> bytes | None:
        real = _read_file(path, cell, files)
        content = files.content(real) if real else b""
        return content if isinstance(content, bytes) and content and len(content) <= _LARGEST_SCRIPT else None

    env = {name: value for name, _, value in (assignment.partition("=") for assignment in image.env)}
    words = CommandText(CommandPlace(image.reference, None), image.command)
    if not image.command:
        return ()
    start = parse_start(words, StartContext(image.folder, env, read))
    found = []
    for command in (*start.before, start, *start.loads):
        places = (_read_file(path, cell, files) for path in _candidates(command, image.folder))
        found.append(next(filter(None, places), b""))
    return tuple(dict.fromkeys(filter(None, found)))


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
