"""The project as an installed package: its dist-info in an image, and the source of each file that RECORD lists. Pure.

Wheels (`pip install .`, `uv sync --no-editable`), src layouts and namespace packages are told from RECORD, editable installs from
`direct_url.json`.
"""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.package_names import normalize

_RECORD = lazy_pattern(r"(?P<site>.*)/(?P<name>[^/]+?)-[^/-]+\.dist-info/RECORD")
_VERSION_FILE = lazy_pattern(r"(?:^|/)_{0,2}version(?:_info)?_{0,2}\.py$")
_VERSION_LINE = lazy_pattern(rb"\s*_{0,2}version(?:_info|_tuple)?_{0,2}\b[^=]*=")
_BUILT = ("build/", "dist/", ".venv/", "venv/")  # folders of the project with copies of its sources


class InstalledProject(NamedTuple):
    """A distribution that is the project: its dist-info, its folders or files, and the project's path of each of its files.

    `editable` is the folder of the image that an editable install refers to, empty for a wheel. `missing` are sources of its
    packages that it lacks.
    """

    dist_info: str
    roots: tuple[str, ...]
    twins: Mapping[str, str]
    editable: str = ""
    missing: tuple[str, ...] = ()


def find_installed(
    paths: Iterable[str], read: Callable[[str], bytes], sources: Collection[str], names: Collection[str]
) -> InstalledProject | None:
    """The distribution, among the paths of an image, that one of the project's `names` or a local `direct_url.json` shows.

    None where no distribution is called so, or none of its files is a source of the project.
    """
    known = {*paths}
    wanted = {normalize(name) for name in names}
    for record in sorted(path for path in known if path.endswith(".dist-info/RECORD")):
        match = _RECORD.fullmatch(record)
        if match is None:
            continue
        folder = posixpath.dirname(record)
        direct = _direct_url(read, f"{folder}/direct_url.json") if f"{folder}/direct_url.json" in known else {}
        if normalize(match["name"]) not in wanted:
            continue
        editable = _editable_folder(direct)
        if editable:
            return InstalledProject(folder, (editable,), {}, editable)
        twins = dict(_twins(match["site"], read(record), sources))
        if twins:
            return InstalledProject(folder, _roots(match["site"], twins), twins, "", tuple(_missing(twins, sources)))
    return None


def is_version_stamp(path: str, before: bytes, after: bytes) -> bool:
    """Whether an installed file differs as build backends make it: it is the version's own file, or only lines about it differ."""
    if _VERSION_FILE.search(path):
        return True
    lines, installed = before.splitlines(), after.splitlines()
    changed = {*lines}.symmetric_difference(installed)
    return len(lines) == len(installed) and bool(changed) and all(_VERSION_LINE.match(line) for line in changed)


def _direct_url(read: Callable[[str], bytes], path: str) -> dict[str, object]:
    try:
        content = json.loads(read(path))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _editable_folder(direct: Mapping[str, object]) -> str:
    """The folder of an editable install; empty for any other."""
    info, url = direct.get("dir_info"), urlsplit(str(direct.get("url", "")))
    is_editable = isinstance(info, dict) and info.get("editable") is True
    return unquote(url.path).rstrip("/") if is_editable and url.scheme == "file" else ""


def _twins(site: str, record: bytes, sources: Collection[str]) -> Iterator[tuple[str, str]]:
    """The installed files that RECORD lists, with the source that each was made of: the one whose path ends like it."""
    by_name: dict[str, list[str]] = {}
    for source in sources:
        if not source.startswith(_BUILT):
            by_name.setdefault(posixpath.basename(source), []).append(source)
    for tail in _recorded_files(record):
        origin = _source_of(tail, by_name.get(posixpath.basename(tail), ()))
        if origin is not None:
            yield f"{site}/{tail}", origin


def _recorded_files(record: bytes) -> Iterator[str]:
    """The files below site-packages that RECORD lists, those about the distribution itself aside."""
    for row in csv.reader(record.decode("utf-8", "surrogateescape").splitlines()):
        tail = posixpath.normpath(row[0]) if row and row[0] else ""
        if tail and not tail.startswith(("../", "/")) and ".dist-info/" not in tail:
            yield tail


def _source_of(tail: str, candidates: Iterable[str]) -> str | None:
    fitting = [source for source in candidates if f"/{source}".endswith(f"/{tail}")]
    exact = [name for name in (f"src/{tail}", tail) if name in fitting]
    if exact:
        return exact[0]
    return fitting[0] if len(fitting) == 1 else None


def _roots(site: str, twins: Mapping[str, str]) -> tuple[str, ...]:
    """The packages and modules of a distribution, at the top of site-packages."""
    return tuple(sorted({f"{site}/{path[len(site) + 1 :].partition('/')[0]}" for path in twins}))


def _missing(twins: Mapping[str, str], sources: Collection[str]) -> Iterator[str]:
    """Sources in the folders of installed ones that were not installed."""
    installed = {*twins.values()}
    folders = {posixpath.dirname(source) for source in installed} - {"", "src"}
    for source in sorted(sources):
        if source not in installed and posixpath.dirname(source) in folders and source.endswith(".py"):
            yield source
