"""A program as words of a command: what a step of a build is told of it, in paths of the project. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.imports.build_imports import BACK, FRONT, START, UNKNOWN, WORKS_ANYWHERE, WORKS_IN
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram


def program_words(programs: Sequence[StartedProgram]) -> tuple[str, ...]:
    """The words for the main process of a target; that it is unknown where there are several, or its folders are mixed.

    What runs before it is left to `check`.
    """
    main = [program for program in programs if program.is_main]
    if len(main) != 1 or len({program.image for program in programs}) != 1:
        return (UNKNOWN,)
    (program,) = main
    try:
        words = tuple(_words(program))
    except LookupError:
        return (UNKNOWN,)
    return () if words == (f"{BACK}.",) else words  # what holds without any word


def _words(program: StartedProgram) -> Iterator[str]:
    origins = program.tree.origins
    yield from (START + _start_word(start, origins) for start in program.starts)
    path = program.path
    for kind, folders in ((FRONT, path.front), (BACK, [*path.back, *(() if program.starts else program.roots)])):
        yield from (kind + folder for folder in _project_folders(folders, origins))
    if program.starts and (word := _folder_word(program)) != f"{WORKS_IN}.":
        yield word


def _folder_word(program: StartedProgram) -> str:
    """The word for the folder in which a program runs: it matters for the relative folders that its modules add."""
    try:
        return next(
            (WORKS_IN + folder for folder in _project_folders([program.folder], program.tree.origins)), WORKS_ANYWHERE
        )
    except LookupError:
        return WORKS_ANYWHERE


def _start_word(start: LoadedModule, origins: Mapping[str, str]) -> str:
    name = f"{start.name}@{start.home}" if start.home else start.name
    return f"{name}={origins[start.location.file]}"


def _project_folders(folders: Iterable[str], origins: Mapping[str, str]) -> Iterator[str]:
    """The folder of the project that each folder of an image was copied from; raises LookupError for one with several."""
    for folder in dict.fromkeys(folders):
        bases = {_base(place.removeprefix(f"{folder}/"), origin) for place, origin in _below(folder, origins)}
        if len(bases) > 1:
            raise LookupError(folder)
        yield from (base or "." for base in bases)


def _below(folder: str, origins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    start = folder.rstrip("/") + "/"
    return ((place, origin) for place, origin in origins.items() if place.startswith(start) and origin)


def _base(inside: str, origin: str) -> str:
    """What comes before a path in the place where a file is in the project; raises LookupError where it moved."""
    if origin == inside:
        return ""
    if not origin.endswith(f"/{inside}"):
        raise LookupError(origin)
    return origin[: -len(inside) - 1]
