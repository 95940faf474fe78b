"""Choosing the sources: which entries of a stage are Python that a build will ship."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import UnreadableFile, display_path
from buildguard.project.build_file_names import is_compose, is_skaffold, is_workflow
from buildguard.remote.source_names import HEAD, SUFFIXES, has_shebang, may_be_script
from buildguard.stages.filesystem import DiskStage, read_file
from buildguard.stages.stage import Entry, EntryKind, Listing, Stage, listing_of

_MANY = 1 << 17  # paths that are asked about four times in a run


class SourceSelection(NamedTuple):
    """What the person asked for: paths (empty means all), and the patterns of the configuration."""

    paths: tuple[bytes, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    # A path that a person typed beats `exclude`; one that a hook passed does not.
    explicit: bool = True


class ChosenSources(NamedTuple):
    """The sources of a stage, sorted by path, and one line for each thing that was left out."""

    sources: tuple[Entry, ...]
    notes: tuple[str, ...]


def choose(stage: Stage, selection: SourceSelection) -> ChosenSources:
    """The Python sources of a stage that the selection covers."""
    wanted = _wanted(selection)
    sources, others, links = [], [], []
    listing = listing_of(stage)
    everything = not {b"", b"."}.isdisjoint(selection.paths or {b""})
    for entry in listing if everything else listing.below(selection.paths):
        if entry.path.endswith(SUFFIXES):
            sources.append(entry)
        elif entry.kind is EntryKind.LINK:
            links.append(entry)
        elif entry.kind is EntryKind.OTHER and stage.name.startswith("dir:"):
            sources += [entry] if _is_closed_folder(stage, entry) else []
        elif may_be_script(entry.path, executable=entry.kind is EntryKind.EXECUTABLE):
            others.append(entry)
    scripts = _scripts(stage, _filter(others, wanted))
    notes = (*stage.notes(), *_links_out(stage, _filter(links, wanted)))
    return ChosenSources(tuple(sorted([*_filter(sources, wanted), *scripts])), notes)


def _filter(entries: Iterable[Entry], wanted: Callable[[bytes], bool]) -> list[Entry]:
    return [entry for entry in entries if wanted(entry.path)]


@lru_cache(maxsize=_MANY)
def decides_target(path: bytes) -> bool:
    """Whether a path is a file that takes part in deciding the target: a pin, a build file, a configuration."""
    if path.endswith(b".py"):  # most paths, and hardly ever one of the names below
        folded = path.lower()
        if b"erfile" not in folded and b"loudbuild" not in folded:
            return False
    name = path[path.rfind(b"/") + 1 :]
    if name in _PINS or b"loudbuild" in name or b"ockerfile" in name.lower() or b"ontainerfile" in name.lower():
        return True
    return is_compose(name) or is_skaffold(path) or is_workflow(path)


def deciding(listing: Listing) -> list[Entry]:
    """The entries that `decides_target` accepts, in their order."""
    return listing.choose(_deciding)


def _deciding(listing: Listing) -> list[Entry]:
    pins = [name.lower() + b"\0" for name in _PINS]
    return [entry for entry in listing.holding(_PARTS, (*pins, *_PARTS_OF_OTHERS)) if decides_target(entry.path)]


# Each path that `decides_target` accepts ends with a pin or holds one of these, in whatever case; a `.py`, one of the first.
_PARTS = (b"loudbuild", b"ockerfile", b"ontainerfile")
_PARTS_OF_OTHERS = (b"compose", b"skaffold", b".github/workflows/")
_PINS = frozenset(
    (
        b"pyproject.toml",
        b"buildguard.toml",
        b"setup.cfg",
        b"app.yaml",
        b"runtime.txt",
        b"project.toml",
        b"Pipfile",
        b".python-version",
        b".tool-versions",
        b".dockerignore",
        b"uv.lock",
        b"poetry.lock",
    )
)


def _wanted(selection: SourceSelection) -> Callable[[bytes], bool]:
    include, exclude = _matcher(selection.include), _matcher(selection.exclude)
    below = [path for path in selection.paths if path not in {b"", b"."}]
    if len(below) < len(selection.paths):
        below = []
    if include is None and exclude is None and not below:
        return lambda _path: True
    exact, prefixes = set(below), tuple(path + b"/" for path in below)
    typed = [path for path in below if selection.explicit and exclude is not None and _excluded(exclude, path)]
    typed_exact, typed_prefixes = set(typed), tuple(path + b"/" for path in typed)

    def wanted(path: bytes) -> bool:
        if below and path not in exact and not path.startswith(prefixes):
            return False
        if path in typed_exact or (typed_prefixes and path.startswith(typed_prefixes)):
            return True
        text = os.fsdecode(path)
        return (include is None or include(text)) and not (exclude is not None and exclude(text))

    return wanted


def _excluded(exclude: Callable[[str], bool], path: bytes) -> bool:
    text = os.fsdecode(path)
    return exclude(text) or exclude(text + "/x.py")


def _matcher(patterns: tuple[str, ...]) -> Callable[[str], bool] | None:
    if not patterns:
        return None
    from buildguard.project.ignore.rules import matcher_of

    return matcher_of(patterns)


def matches(patterns: Iterable[str], path: str) -> bool:
    """Whether a path matches one of some patterns in gitignore syntax."""
    matcher = _matcher(tuple(patterns))
    return matcher is not None and matcher(path)


def _is_closed_folder(stage: Stage, entry: Entry) -> bool:
    """Whether it is a folder that could not be opened, or what cannot be looked at: that may be one."""
    try:
        return stat.S_ISDIR(os.lstat(os.path.join(os.fsencode(stage.root), entry.path)).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False  # it vanished meanwhile
    except OSError:
        return True


def _scripts(stage: Stage, entries: list[Entry]) -> Iterator[Entry]:
    """Those of some entries that start with a Python shebang, or that cannot be looked at."""
    if not isinstance(stage, DiskStage):
        for entry, content in stage.contents(entries):
            if isinstance(content, UnreadableFile) or has_shebang(content[:HEAD]):
                yield entry
        return
    base = os.fsencode(stage.root) + b"/"
    for entry in entries:
        # what decides a target is read whole in any case
        whole = next(content for _entry, content in stage.contents([entry])) if decides_target(entry.path) else None
        head = read_file(base + entry.path, most=HEAD) if whole is None else whole
        if _is_plain(base + entry.path) if isinstance(head, UnreadableFile) else has_shebang(head):
            yield entry


def _is_plain(path: bytes) -> bool:
    """Whether it is a file that can be read: a link or a folder in a file's place is no script."""
    return os.path.isfile(path) and not os.path.islink(path)


def _links_out(stage: Stage, links: list[Entry]) -> list[str]:
    if not isinstance(stage, DiskStage):
        return []
    base = os.fsencode(stage.root)
    return [
        f"{display_path(link.path)}: a symbolic link out of the root, not followed"
        for link in links
        if not stage.holds(os.path.realpath(os.path.join(base, link.path)))
    ]
