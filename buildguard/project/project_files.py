"""The files of a stage that decide targets, read once: Dockerfiles, build files, compose files, pins, ignore files."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from weakref import WeakKeyDictionary

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import display_path
from buildguard.errors import DamagedFileError, UnprovenError
from buildguard.project.build_file_names import is_compose, is_skaffold, is_workflow
from buildguard.project.config import Config
from buildguard.project.sources import decides_target, deciding
from buildguard.stages.stage import Entry, Listing, Stage, listing_of

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService
    from buildguard.project.cloudbuild.reader import BuildFile
    from buildguard.project.declared_builds import DeclaredBuild
    from buildguard.project.yaml import InvalidYamlError

_DOCKERFILE = lazy_pattern(
    rb"(?:^|/)(?:(?:Docker|Container)file(?![-._]template)(?:[-._][^/]+)?|[^/]+\.(?:Docker|Container)file)$",
    re.IGNORECASE,
)
_NO_DOCKERFILE = lazy_pattern(
    rb"(?i)(?:\.dockerignore|\.md|\.txt|\.j2|\.jinja2?|\.tmpl|\.tpl|\.template|\.erb|\.py|\.sh|\.backup|\.bak|\.old|\.orig"
    rb"|\.sample|\.example|\.disabled|\.swp|\.in|\.ya?ml|~)$"
)
_CODE = lazy_pattern(rb"(?i)\.(?:[cm]?[jt]sx?|map|json|go|rs|java|html?|css|lua|vim|el|rb|php|c|h|xml|svg|png)$")
_TOOLING = (b".devcontainer", b".github", b".gitlab", b".git")
_FOREIGN = (b"vendor", b"node_modules", b"site-packages", b"testdata", b"fixtures")
_INCLUDE_ROUNDS = 4  # compose files that include compose files that include …


class ProjectFiles(NamedTuple):
    """The files of a stage that decide targets, by path; `notes` are on those that cannot be used.

    `paths` are all paths of the stage, `variables` the files of build variables that build files name, `image_builds` what compose files, Skaffold and workflows build, `buildpacks` what
    they build without a Dockerfile.
    """

    paths: tuple[bytes, ...]
    dockerfiles: Mapping[str, bytes]
    buildfiles: Mapping[str, BuildFile]
    image_builds: Sequence[DeclaredBuild]
    pins: Mapping[str, bytes]
    ignores: Mapping[str, bytes]
    unreadable: Sequence[InvalidYamlError]
    notes: Sequence[str]
    buildpacks: tuple[BuildpackService, ...] = ()
    variables: Mapping[str, bytes] = MappingProxyType({})

    def ending(self, name: bytes) -> list[bytes]:
        """The paths that end with a name, which few projects have."""
        return [path for path in self.paths if path.endswith(name)] if name in b"\0".join(self.paths) else []


class _FileCollector:
    """The files of a stage while they are read; `composed`, `skaffold` and `workflows` are those that say how images are built."""

    def __init__(self) -> None:
        self.dockerfiles: dict[str, bytes] = {}
        self.buildfiles: dict[str, BuildFile] = {}
        self.pins: dict[str, bytes] = {}
        self.ignores: dict[str, bytes] = {}
        self.composed: dict[str, bytes] = {}
        self.skaffold: dict[str, bytes] = {}
        self.workflows: dict[str, bytes] = {}
        self.unreadable: list[InvalidYamlError] = []
        self.notes: list[str] = []


_known: WeakKeyDictionary[Stage, tuple[Config, ProjectFiles]] = WeakKeyDictionary()


def read(stage: Stage, config: Config) -> ProjectFiles:
    """Read them, once for each stage; raises UnprovenError where one cannot be read, other than those that only say how images are built.

    Targets, images, starts and installs are made of them, each by itself.
    """
    known = _known.get(stage)
    if known is None or known[0] != config:
        known = _known[stage] = config, _read(stage, config)
    return known[1]


def _read(stage: Stage, config: Config) -> ProjectFiles:
    entries = listing_of(stage)
    files = _FileCollector()
    configured = {*map(os.fsencode, configured_dockerfiles(config)), os.fsencode(config.build_file)} - {b""}
    wanted = {entry.path for entry in deciding(entries) if _is_read(entry.path)} | configured
    for entry, content in _contents(stage, entries.at(wanted), files.notes):
        _sort_in(entry.path, content, config, files)
    declared = _declared_builds(stage, entries, files)
    names = _named_dockerfiles(files, declared.images)
    named = [entry for entry in entries.at(names) if not _is_tooling(entry.path)]
    files.dockerfiles.update((display_path(entry.path), data) for entry, data in _contents(stage, named, files.notes))
    variables = dict(_variable_files(stage, entries, files))
    return ProjectFiles(
        tuple(entries.paths),
        files.dockerfiles,
        files.buildfiles,
        declared.images,
        files.pins,
        files.ignores,
        files.unreadable,
        files.notes,
        declared.buildpacks,
        variables,
    )


def _variable_files(stage: Stage, entries: Listing, files: _FileCollector) -> Iterator[tuple[str, bytes]]:
    """The files of build variables that a source deploy names; one that cannot be read costs a note."""
    names = {
        os.fsencode(from_base(base, source.env_file))
        for file, buildfile in files.buildfiles.items()
        for source in buildfile.sources
        for base in build_folders(file)
        if source.env_file
    }
    for entry, content in stage.contents(entries.at(names)):
        if isinstance(content, bytes):
            yield display_path(entry.path), content
        elif not content.is_missing:
            files.notes.append(f"{display_path(entry.path)}: {content.reason}; its build variables are unknown")


class _DeclaredBuilds(NamedTuple):
    """The images that compose files, Skaffold files and workflows build, and what they build with buildpacks."""

    images: tuple[DeclaredBuild, ...]
    buildpacks: tuple[BuildpackService, ...]


def _declared_builds(stage: Stage, entries: Listing, files: _FileCollector) -> _DeclaredBuilds:
    named = _compose_files_named(files)
    if not (named or files.composed or files.skaffold or files.workflows):
        return _DeclaredBuilds((), ())
    from buildguard.project import compose, skaffold, workflows

    _read_referenced(stage, entries, files.notes, files.composed, named)
    composed, compose_notes = compose.builds(files.composed, named)
    by_skaffold = skaffold.builds(files.skaffold)
    by_workflows, workflow_notes = workflows.builds(files.workflows)
    files.notes.extend([*compose_notes, *by_skaffold.notes, *workflow_notes])
    return _DeclaredBuilds((*composed, *by_skaffold.images, *by_workflows), by_skaffold.buildpacks)


def _compose_files_named(files: _FileCollector) -> set[str]:
    """The compose files of other names whose images a build file builds."""
    named: set[str] = set()
    for file, buildfile in files.buildfiles.items():
        for _line, path in buildfile.composed:
            named |= {from_base(base, path) for base in build_folders(file) if not path.endswith("/")}
    return named


def _read_referenced(
    stage: Stage, entries: Listing, notes: list[str], composed: dict[str, bytes], named: Iterable[str]
) -> None:
    """Read the compose files that are named, included or extended."""
    from buildguard.project import compose

    wanted = {*named} - composed.keys()
    for _round in range(_INCLUDE_ROUNDS):
        found = [entry for path in sorted(wanted) if (entry := _find_shown(entries, path)) is not None]
        composed.update((display_path(entry.path), data) for entry, data in _contents(stage, found, notes))
        wanted = compose.referenced(composed)
        if all(_find_shown(entries, path) is None for path in wanted):
            return


def _find_shown(entries: Listing, path: str) -> Entry | None:
    """The entry of a path as reports write it; None where it is not listed."""
    if "\\x" in path:
        return next((entry for entry in entries if display_path(entry.path) == path), None)
    return entries.find(path.encode("utf-8", "backslashreplace"))


def _sort_in(raw: bytes, content: bytes, config: Config, files: _FileCollector) -> None:
    """Put a file where its name belongs."""
    from buildguard.project import version_files

    path = display_path(raw)
    if os.fsdecode(raw) in configured_dockerfiles(config):
        files.dockerfiles[path] = content
    elif _is_dockerfile(raw):
        _add_dockerfile(path, content, files)
    elif path.endswith(".dockerignore"):
        files.ignores[path] = content
    elif posixpath.basename(path) in version_files.NAMES:
        files.pins[path] = content
    elif raw == os.fsencode(config.build_file) or is_build_file_name(raw):
        _read_build_file(path, content, config, files)
    elif is_compose(raw):
        files.composed[path] = content
    elif is_skaffold(raw):
        files.skaffold[path] = content
    elif is_workflow(raw):
        files.workflows[path] = content


def _add_dockerfile(path: str, content: bytes, files: _FileCollector) -> None:
    """A Dockerfile; a template of one costs a note."""
    from buildguard.project.tool_images import why_template

    reason = why_template(path, content)
    if reason:
        files.notes.append(f"{path}: not a Dockerfile but a template of one: {reason}; it is no target")
    else:
        files.dockerfiles[path] = content


def _is_read(path: bytes) -> bool:
    if not decides_target(path):
        return False
    return is_workflow(path) or not (_declares_builds(path) and _is_tooling(path))


def _declares_builds(path: bytes) -> bool:
    """Whether a file only says how images are built: without it they are built in another way, or none is known."""
    return is_compose(path) or is_skaffold(path) or is_workflow(path)


def _contents(stage: Stage, wanted: Iterable[Entry], notes: list[str]) -> Iterator[tuple[Entry, bytes]]:
    """The content of some files; a compose file that cannot be read costs a note, any other one everything."""
    for entry, content in stage.contents(wanted):
        if isinstance(content, bytes):
            yield entry, content
        elif not content.is_missing:
            reason = f"{display_path(entry.path)}: {content.reason}"
            if not _declares_builds(entry.path):
                raise DamagedFileError(reason) if content.damaged else UnprovenError(reason)
            notes.append(f"{reason}; its build contexts are not known")


def _read_build_file(path: str, content: bytes, config: Config, files: _FileCollector) -> None:
    from buildguard.project.cloudbuild import reader
    from buildguard.project.yaml import InvalidYamlError

    try:
        files.buildfiles[path] = reader.read(content, path, dict(config.substitutions))
    except InvalidYamlError as error:
        files.unreadable.append(error)  # BG410 says so


def _named_dockerfiles(files: _FileCollector, image_builds: Iterable[DeclaredBuild]) -> set[bytes]:
    """The Dockerfiles of other names that some file builds."""
    names = {build.dockerfile for build in image_builds}
    for file, buildfile in files.buildfiles.items():
        names |= {from_base(base, build.dockerfile) for build in buildfile.builds for base in build_folders(file)}
    return {os.fsencode(name) for name in names - files.dockerfiles.keys()}


def build_folders(file: str) -> tuple[str, ...]:
    """Where the build of a build file may run: in its folder, or at the root."""
    return tuple(dict.fromkeys((posixpath.dirname(file), "")))


def from_base(base: str, path: str) -> str:
    """A path of a build file, from the root."""
    joined = posixpath.normpath(posixpath.join(base, path))
    return "" if joined == "." else joined


def configured_dockerfiles(config: Config) -> set[str]:
    """The Dockerfiles that the configuration names."""
    return {config.dockerfile, *(service.dockerfile for service in config.services)} - {""}


def is_build_file_name(path: bytes) -> bool:
    """Whether a path is called like a build file: cloudbuild.yaml, cloudbuild-staging.yaml, api.cloudbuild.json."""
    name = path[path.rfind(b"/") + 1 :]
    if b"cloudbuild" not in name:
        return False
    stem, _, suffix = name.rpartition(b".")
    named = suffix in {b"yaml", b"yml", b"json"} and b"cloudbuild" in re.split(rb"[-._]", stem)
    return named and not _is_tooling(path)


def _is_dockerfile(path: bytes) -> bool:
    name = path[path.rfind(b"/") + 1 :]
    if name != b"Dockerfile" and not (
        _DOCKERFILE.search(path) and not _NO_DOCKERFILE.search(path) and not _CODE.search(path)
    ):
        return False
    return not _is_tooling(path) and not any(folder in _FOREIGN for folder in path.split(b"/")[:-1])


def _is_tooling(path: bytes) -> bool:
    return any(folder in _TOOLING for folder in path.split(b"/")[:-1])
