"""From the files of a stage to targets: every declaration is kept, the one of production decides."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import count
from buildguard.errors import GuardError, UsageError
from buildguard.project import image_reference, project_files
from buildguard.project.config import Config
from buildguard.project.contexts import ProjectPaths
from buildguard.project.folder_projects import (
    FolderProject,
    buildpack_services,
    folder_projects,
    standard_services,
    without_repeats,
)
from buildguard.project.folder_services import leave_out, services_in, unused_targets
from buildguard.project.project_files import ProjectFiles
from buildguard.project.service_targets import (
    ContextShares,
    from_buildpacks,
    from_dockerfile,
    from_folders,
    from_services,
    homes,
    root_target,
    speaks_for,
)
from buildguard.project.services import picked
from buildguard.project.services import services as services_of
from buildguard.project.sources import matches
from buildguard.project.target import ImageService, PythonVersion, Rank, Target, VersionDeclaration, note_free_threaded
from buildguard.stages.stage import Entry, Stage

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService
    from buildguard.project.cloudbuild.reader import BuildFile
    from buildguard.project.image_model import ImageModel

_FLAG = "--target"
_TABLE = lazy_pattern(rb"^\s*\[+tool\.buildguard\b", re.MULTILINE)
_MOST_PINS = 300  # more version files than that are test data, or vendored


class DiscoveredTargets(NamedTuple):
    """Everything that was found: the targets, what each file declares, and notes for people.

    `neighbours` are the targets of the services that were not picked: files of a shared context may be theirs alone.
    """

    targets: tuple[Target, ...]
    declarations: tuple[VersionDeclaration, ...] = ()
    notes: tuple[str, ...] = ()
    neighbours: tuple[Target, ...] = ()


def discover_targets(
    stage: Stage, config: Config, sources: Sequence[Entry], flags: Sequence[str] = (), service: str = ""
) -> DiscoveredTargets:
    """The targets of a stage: what flags say, else the configuration, else what the files declare.

    `sources` are the files under check; targets that run none of them are left out. Raises UsageError where
    nothing is declared at all.
    """
    if flags and not service:
        typed = tuple(_target_from_text(text, _FLAG, None, []) for text in flags)
        return DiscoveredTargets(typed, notes=_free_threaded(flags))
    declared = _read_declared(stage, config, service)
    notes = (*declared.files.notes, *declared.notes)
    neighbours = tuple(_neighbours(declared))
    unused = unused_targets(config, declared.services, picked=bool(declared.picked)) if not flags else ()
    if flags or config.target:
        set_targets = _set_targets(declared, config, flags)
        targets = set_targets if flags else _by_folder(set_targets, declared, config)
        notes = (*notes, *unused, *_free_threaded(flags or config.target))
        return DiscoveredTargets(tuple(targets), tuple(declared.declarations), notes, neighbours)
    result = _declared_targets(declared, neighbours, sources)
    targets = _by_folder(result.targets, declared, config)
    if not targets and not declared.names_image:
        raise next(
            iter((*declared.files.unreadable, *declared.broken)), _nothing_declared(declared.declarations, config)
        )
    every = (*declared.declarations, *result.seen)
    places = {target.found_in for target in targets}
    notes = (*declared.files.notes, *_notes_on(targets, declared))
    free_threaded = _free_threaded(each.words for each in every if each.place in places)
    return DiscoveredTargets(_unique(targets), every, (*notes, *result.notes, *unused, *free_threaded), neighbours)


def _notes_on(targets: Iterable[Target], declared: _ProjectDeclarations) -> Iterator[str]:
    """The notes, less those on Dockerfiles whose sources are others than those under check."""
    examined = {target.context for target in targets}
    others = [service for service in declared.services if declared.notes and service.context not in examined]
    paths = ProjectPaths(declared.files.paths) if others else None
    idle = tuple(f"{each.dockerfile}:" for each in others if paths is not None and paths.has_source(each.context))
    yield from (note for note in declared.notes if not note.startswith(idle))


def _free_threaded(texts: Iterable[str]) -> tuple[str, ...]:
    """A note for each free-threaded build among some versions."""
    return tuple(dict.fromkeys(filter(None, map(note_free_threaded, texts))))


class _ProjectDeclarations(NamedTuple):
    """What the files of a stage declare; `services` and `packs` are all of them, or the `picked` ones.

    `others` and `other_packs` are those that were not picked, `shares` knows the files of each. `elsewhere` is declared in
    folders that no image is built of, `broken` are files that declare nothing readable.
    """

    files: ProjectFiles
    services: Sequence[ImageService]
    packs: Sequence[BuildpackService]
    picked: str
    declarations: Sequence[VersionDeclaration]
    elsewhere: Sequence[VersionDeclaration]
    broken: Sequence[GuardError]
    notes: Sequence[str]
    shares: ContextShares
    others: Sequence[ImageService]
    other_packs: Sequence[BuildpackService]

    @property
    def deciding(self) -> list[VersionDeclaration]:
        """The declarations that can decide a target."""
        return [declaration for declaration in self.declarations if declaration.decides]

    @property
    def names_image(self) -> bool:
        """Whether a service was picked and an image of it is built."""
        return bool(self.picked) and bool(self.services or self.packs)


def _read_declared(stage: Stage, config: Config, service: str) -> _ProjectDeclarations:
    files = project_files.read(stage, config)
    services, notes = services_of(files, config)
    packs = [] if config.services or config.dockerfile else buildpack_services(files, services)
    broken: list[GuardError] = []
    every = {"", *(home for image in services for home in homes(image)), *(pack.folder for pack in packs)}
    declarations, elsewhere = _declarations(files, every, broken)
    notes += _unread(broken, declarations)
    notes += [
        f"{path}: [tool.buildguard] is ignored here: settings are read at the root" for path in _ignored(files, config)
    ]
    shares, others, other_packs = ContextShares(services, files), services, packs
    if service:
        services, packs = picked(services, packs, service, [project.name for project in _projects(files, elsewhere)])
    others = [each for each in others if each not in services]
    other_packs = [each for each in other_packs if each not in packs]
    return _ProjectDeclarations(
        files, services, packs, service, declarations, elsewhere, broken, notes, shares, others, other_packs
    )


def _unread(broken: Iterable[GuardError], declarations: Iterable[VersionDeclaration]) -> list[str]:
    """Notes on files that cannot be read, and on what is no version range in others."""
    ranges = (f"{each.place}: {each.why_unknown}" for each in declarations if each.is_unreadable)
    return [f"{what}; what it declares is unknown" for what in (*(error.what for error in broken), *ranges)]


def _projects(files: ProjectFiles, elsewhere: Iterable[VersionDeclaration]) -> list[FolderProject]:
    return folder_projects(files, elsewhere, ())


def _ignored(files: ProjectFiles, config: Config) -> list[str]:
    """The configuration files below the root that nothing reads."""
    own = (path for path in files.pins if "/" in path and posixpath.basename(path) == "pyproject.toml")
    tables = [path for path in own if _TABLE.search(files.pins[path])]
    plain = (path.decode("utf-8", "replace") for path in files.ending(b"/buildguard.toml"))
    unread = {*tables, *plain} - {folder.file for folder in config.folders}
    return sorted(path for path in unread if not matches(config.exclude, path))


def _set_targets(declared: _ProjectDeclarations, config: Config, flags: Sequence[str]) -> list[Target]:
    """A flag or the configuration sets the version of everything, or of the service that was picked."""
    runs: list[ImageService | BuildpackService | None] = [None]
    if declared.picked:
        runs = [*declared.services, *declared.packs]
    if flags:
        return [_set_target(text, _FLAG, service, [], declared.shares) for text in flags for service in runs]
    at_root = [declaration for declaration in declared.deciding if not declaration.folder]
    against = at_root + [from_dockerfile(service, declared.files).declaration for service in declared.services]
    place = _config_place(config)
    shares = declared.shares
    return [_set_target(text, place, service, against, shares) for text in config.target for service in runs]


def _by_folder(targets: Sequence[Target], declared: _ProjectDeclarations, config: Config) -> list[Target]:
    """The targets with those that the nearest configuration file sets for the services in its folder."""
    targets = list(targets)
    for folder in config.folders:
        services = services_in(folder.folder, declared.services) if folder.target else []
        if not services:
            continue
        names = {(service.name, service.context) for service in services}
        others = [target for target in targets if (target.service, target.context) not in names]
        place = folder.file if folder.target_line is None else f"{folder.file}:{folder.target_line}"
        targets = [leave_out(target, {service.context for service in services}) for target in others]
        for service in services:
            against = [from_dockerfile(service, declared.files).declaration]
            set_there = [_set_target(text, place, service, against, declared.shares) for text in folder.target]
            targets += [target._replace(service=service.name) for target in set_there]
    return targets


class _TargetList(NamedTuple):
    """The targets that run a source, what Dockerfiles declare, and notes."""

    targets: Sequence[Target]
    seen: Sequence[VersionDeclaration]
    notes: Sequence[str]


def _declared_targets(
    declared: _ProjectDeclarations, neighbours: Sequence[Target], sources: Sequence[Entry]
) -> _TargetList:
    """The targets that the files declare and that run a source."""
    targets, seen = from_services(declared.services, declared.files, declared.deciding, declared.shares)
    targets += from_buildpacks(declared.packs, declared.files, declared.deciding)
    targets += _outside_images(targets, declared, sources)
    every = (*targets, *neighbours)
    counts = {target: len(covered_entries(target, every, sources)) for target in targets}
    notes = [
        f"{count(number, 'file')} outside every build context: checked with {target.found_in} only"
        for target, number in counts.items()
        if target.context is None and number and target.version is not None
    ]
    return _TargetList([target for target in targets if counts[target]], seen, notes)


def _neighbours(declared: _ProjectDeclarations) -> list[Target]:
    """The targets of the services that were not picked, and of the projects that no image is built of; none if none was picked."""
    if not declared.picked:
        return []
    images, _seen = from_services(declared.others, declared.files, declared.deciding, declared.shares)
    images += from_buildpacks(declared.other_packs, declared.files, declared.deciding)
    known = {service.context for service in declared.services} | {target.context or "" for target in images}
    projects = folder_projects(declared.files, declared.elsewhere, known)
    return [*images, *from_folders((each for each in projects if each.name != declared.picked), declared.elsewhere)]


def _outside_images(built: Sequence[Target], declared: _ProjectDeclarations, sources: Sequence[Entry]) -> list[Target]:
    """The targets of the projects that no image is built of, and of the root; of a service that was picked, its folder's."""
    known = {target.context for target in built if target.context is not None}
    projects = folder_projects(declared.files, declared.elsewhere, known)
    if declared.picked:
        return from_folders((each for each in projects if each.name == declared.picked), declared.elsewhere)
    strongest = next((candidate for candidate in declared.deciding if not candidate.folder), None)
    folders = from_folders(without_repeats(projects, strongest), declared.elsewhere)
    return [*folders, *root_target([*built, *folders], declared.deciding, sources)]


def _nothing_declared(declarations: Iterable[VersionDeclaration], config: Config) -> UsageError:
    file, lines = config.how_to_set('target = ["3.11"]')
    steps = (f"{place.place}: {place.words}; it runs that step only\n" for place in declarations if not place.decides)
    return UsageError(
        "the target Python is unknown: no Dockerfile, build file or version file sets it",
        hint="".join([*steps, f"add to {file}:", *(f"\n  {line}" for line in lines.split("\n"))]),
    )


class ImageRecipe(NamedTuple):
    """How one image is built: its service, and the text of its Dockerfile, or by buildpacks of the whole context."""

    service: ImageService
    dockerfile: bytes
    by_buildpacks: bool = False

    @property
    def builder(self) -> str:
        """What builds it, for people: the Dockerfile, or the buildpacks."""
        return self.service.dockerfile or "Google's buildpacks"

    def model(self, files: Collection[str], modes: Mapping[str, int] = MappingProxyType({})) -> ImageModel:
        """What the image will be, built of some files of the project with the modes of their sender."""
        from buildguard.project.buildpack_model import build_buildpack_model
        from buildguard.project.image_build import BuildInput, build_model

        service = self.service
        if self.by_buildpacks:
            return build_buildpack_model(service.context, files, modes)
        arguments = dict(service.build_args)
        return build_model(BuildInput(self.dockerfile, files, service.context, arguments, service.stage, modes))


def builds_images(stage: Stage, config: Config) -> bool:
    """Whether any image is built of a stage's files: by a Dockerfile, or by buildpacks; raises UsageError."""
    files = project_files.read(stage, config)
    images, _notes = services_of(files, config)
    return bool(images or buildpack_services(files, images) or [*standard_services(files, images)])


def list_recipes(stage: Stage, config: Config, service: str = "") -> list[ImageRecipe]:
    """The images that a stage's Dockerfiles build, or the one that is called `service`; raises UsageError."""
    files = project_files.read(stage, config)
    services, _notes = services_of(files, config)
    if service:
        services, _packs = picked(services, buildpack_services(files, services), service)
    return [ImageRecipe(image_service, files.dockerfiles[image_service.dockerfile]) for image_service in services]


def list_buildpack_recipes(stage: Stage, config: Config, service: str = "") -> list[ImageRecipe]:
    """The images that buildpacks build, or the one that is called `service`; raises UsageError."""
    files = project_files.read(stage, config)
    services, _notes = services_of(files, config)
    packs = [] if config.services or config.dockerfile else buildpack_services(files, services)
    if service:
        services, packs = picked(services, packs, service)
    return [buildpack_recipe(pack) for pack in packs]


def buildpack_recipe(pack: BuildpackService) -> ImageRecipe:
    """The image of a folder that buildpacks build."""
    service = ImageService(pack.name, "", pack.folder, pack.basis, from_source=pack.from_source)
    return ImageRecipe(service, b"", by_buildpacks=True)


def target_covers(target: Target, every: Sequence[Target], path: bytes) -> bool:
    """Whether a target runs a path; the root's target runs what is in no service's context."""
    if target.context is None:
        others = (other for other in every if other.context is not None)
        return not any(other.covers(path) or other.may_cover(path) for other in others)
    if target.covers(path):
        return target.ships is None or not any(target.leaves_to(other, path) for other in every)
    return target.may_cover(path) and not any(other.context is not None and other.covers(path) for other in every)


def covered_entries(target: Target, every: Sequence[Target], entries: Iterable[Entry]) -> list[Entry]:
    """The entries that a target runs, as `target_covers` has it; only targets near a path are asked about it."""
    if target.context is None:
        others = [(_prefixes(other), other) for other in every if other.context is not None]
        return [
            entry
            for entry in entries
            if not any(
                entry.path.startswith(prefixes) and (other.covers(entry.path) or other.may_cover(entry.path))
                for prefixes, other in others
            )
        ]
    own = _prefixes(target)
    near = [other for other in every if _overlap(own, _prefixes(other))]
    return [entry for entry in entries if entry.path.startswith(own) and target_covers(target, near, entry.path)]


def _prefixes(target: Target) -> tuple[bytes, ...]:
    """What every path begins with that a target covers or may cover."""
    folders = (target.context or "", target.reach)
    return tuple(os.fsencode(f"{folder}/" if folder else "") for folder in folders if folder is not None)


def _overlap(some: Iterable[bytes], others: Collection[bytes]) -> bool:
    return any(one.startswith(other) or other.startswith(one) for one in some for other in others)


def _declarations(
    files: ProjectFiles, every: Iterable[str], broken: list[GuardError]
) -> tuple[list[VersionDeclaration], list[VersionDeclaration]]:
    """What is declared in the folders that speak for a service or for the root, and what is declared in others.

    Of the first, files that cannot be read are added to `broken`; the others may be test data.
    """
    from buildguard.project import version_files

    folders = {*every}
    declarations: list[VersionDeclaration] = []
    elsewhere: list[VersionDeclaration] = []
    for path, data in files.pins.items():
        is_home = speaks_for(posixpath.dirname(path), folders)
        if is_home or len(files.pins) <= _MOST_PINS:
            try:
                (declarations if is_home else elsewhere).extend(version_files.declarations(data, path))
            except GuardError as error:
                broken += [error] if is_home else []
    for path, buildfile in files.buildfiles.items():
        if speaks_for(posixpath.dirname(path), folders):
            declarations += _of_build_file(path, buildfile)
    return _sorted(declarations), _sorted(elsewhere)


def _of_build_file(path: str, buildfile: BuildFile) -> Iterator[VersionDeclaration]:
    from buildguard.project import version_files

    for line, image in buildfile.step_images:
        version = image_reference.promised_version(image)
        why_unknown = "" if version is not None else image_reference.why_version_unknown(image)
        folder, words = posixpath.dirname(path), f"step on {image}"
        yield VersionDeclaration(Rank.STEP, path, line, words, version, folder, why_unknown=why_unknown, image=image)
    own = {source.line for source in buildfile.sources}
    for line, text in buildfile.versions:
        if line not in own:  # a build from source of a known folder decides for that folder
            yield version_files.declare_exact(Rank.BUILDPACK, path, line, text, f"GOOGLE_PYTHON_VERSION {text}")


def _sorted(declarations: Iterable[VersionDeclaration]) -> list[VersionDeclaration]:
    return sorted(declarations, key=lambda declaration: (declaration.rank, declaration.file, declaration.line or 0))


def _target_from_text(
    text: str, place: str, service: ImageService | BuildpackService | None, against: Iterable[VersionDeclaration]
) -> Target:
    from buildguard.project.buildpacks import BuildpackService

    version = PythonVersion.typed(text, "" if place == _FLAG else place)
    conflicts = tuple(declaration for declaration in against if declaration.excludes(version))
    basis = service.basis if service is not None else None
    context = (
        service.folder if isinstance(service, BuildpackService) else service.context if service is not None else ""
    )
    return Target(version, place, None, None, context, "", conflicts, basis=basis)


def _set_target(
    text: str,
    place: str,
    service: ImageService | BuildpackService | None,
    against: Iterable[VersionDeclaration],
    shares: ContextShares,
) -> Target:
    """A target whose version is set, with the files of its service's image."""
    target = _target_from_text(text, place, service, against)
    return shares.limit(target, service) if isinstance(service, ImageService) else target


def _config_place(config: Config) -> str:
    return config.file if config.target_line is None else f"{config.file}:{config.target_line}"


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Targets that differ in more than what declares their context, the first of each."""
    first: dict[Target, Target] = {}
    for target in targets:
        first.setdefault(target._replace(basis=None), target)
    return tuple(first.values())
