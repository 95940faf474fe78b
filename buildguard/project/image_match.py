"""Where the files of a project are in an image whose Dockerfile is unknown: by the best match of paths. Pure."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from buildguard.definitions import NamedTuple, lazy_pattern

_INSTALLED = lazy_pattern(r"(?:^|/)(?:site-packages|dist-packages|lib(?:64)?/(?:python|pypy)3?(?:\.\d+)?)(?:/|$)")


class LayoutMatch(NamedTuple):
    """A folder of an image that looks like a folder of the project: how many files agree, and whether any other does."""

    root: str
    prefix: str
    files: int
    certain: bool
    others: tuple[str, ...] = ()


def is_installed(path: str) -> bool:
    """Whether a path is in a folder for installed packages, or in an interpreter's own library."""
    return bool(list_installed([path]))


def list_installed(paths: Iterable[str]) -> list[str]:
    """Those of some paths, of which an image has as many as the repository."""
    return [path for path in paths if ("lib" in path or "-packages" in path) and _INSTALLED.search(path)]


def find_best_match(
    image_paths: Iterable[str], sources: Collection[str], prefixes: Iterable[str]
) -> LayoutMatch | None:
    """The folder of an image that holds most of a project's sources, for each folder that may have been the context.

    None where no file agrees. It is certain where every other folder holds fewer than half as many, or only some of
    the same files.
    """
    held = _agreeing(image_paths, sources, prefixes)
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


def _agreeing(
    image_paths: Iterable[str], sources: Collection[str], prefixes: Iterable[str]
) -> Mapping[tuple[str, str], set[str]]:
    """The sources that each folder of an image has, if it is the copy of a folder of the project."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in image_paths:
        if not is_installed(path):
            by_name[posixpath.basename(path)].append(path)
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for prefix in prefixes:
        start = f"{prefix}/" if prefix else ""
        for source in sources:
            rest = "/" + source.removeprefix(start)
            candidates = by_name.get(posixpath.basename(source), ()) if source.startswith(start) else ()
            for path in candidates:
                if path.endswith(rest):
                    held[path[: -len(rest)] or "/", prefix].add(source)
    return held
