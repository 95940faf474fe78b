"""What a command works on: the sources and targets of a place, its configuration, and what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from buildguard.check.filters import Filters, filters
from buildguard.check.shared_imports import SharedProjectImports
from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import UnreadableFile, display_path
from buildguard.engines.select import EngineSettings
from buildguard.errors import UsageError
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import config as configs
from buildguard.project import discovery, image_reference
from buildguard.project.config import Config
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest, may_fetch_python
from buildguard.project.sources import ChosenSources, decides_target
from buildguard.project.target import Target
from buildguard.stages.git_objects import GitStage
from buildguard.stages.stage import Entry, listing_of
from buildguard.system import cache as caches

if TYPE_CHECKING:
    from buildguard.engines.cloud import CloudSession
    from buildguard.system.git import GitEntry

NO_VERSION = "no file sets its Python version"
_MANY_STAGED = 200
# A name that a statement at the left margin binds; what follows its `import`.
_BINDING = lazy_pattern(
    rb"(?m)^(?:(?:async[ \t]+)?def|class)[ \t]+([\w\x80-\xff]+)|^([\w\x80-\xff]+)[ \t]*(?::[^=\n]*)?=(?!=)"
)
_IMPORTED = lazy_pattern(rb"(?m)^(?:from[ \t]+[.\w\x80-\xff]+[ \t]+)?import[ \t]+(\([^)]*\)|[^\n#]*)")
_STARRED = lazy_pattern(rb"(?m)^from[ \t]+[.\w\x80-\xff]+[ \t]+import[ \t]+\*")  # what it binds is in another source
_WORD = lazy_pattern(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*")
# Functions and classes at the left margin, whole; and the names that are declared `global` in them, or deleted outside.
_BLOCK = lazy_pattern(rb"(?m)^(?:(?:async[ \t]+)?def|class)\b[^\n]*(?:\n(?![^\s)\]}#])[^\n]*)*")
_GLOBAL = lazy_pattern(rb"(?m)^[ \t]+global[ \t]([^\n#]*)")
_DELETED = lazy_pattern(rb"(?m)^del[ \t]([^\n#]*)")
_STAR = "import *"


class Job(NamedTuple):
    """Everything that is known before the first source is judged; with `syntax_only`, imports and images are not.

    `project_imports` is what all targets share of judging imports. `base` is the revision since which findings are new:
    those that unchanged files had before are not reported. `neighbours` are the targets of the services that were not picked.
    """

    request: CheckRequest
    place: WorkScope
    config: Config
    filters: Filters
    chosen: ChosenSources
    targets: tuple[Target, ...]
    cache: caches.Cache
    notes: tuple[str, ...]
    scope: tuple[bytes, ...] | None = ()
    syntax_only: bool = False
    project_imports: SharedProjectImports | None = None
    base: str = ""
    neighbours: tuple[Target, ...] = ()

    def covers(self, path: bytes) -> bool:
        """Whether a path is among what was asked about: everything, some paths, or nothing at all (None)."""
        if self.scope is None:
            return False
        return not self.scope or any(folder in {b"", path} or path.startswith(folder + b"/") for folder in self.scope)


def prepare(request: CheckRequest, place: WorkScope) -> Job:
    """Read the configuration, choose the sources and find their targets; raises UsageError and UnprovenError."""
    project = Project(place, _own_configuration(request))
    config = project.config
    _require_environment(request)
    chosen_filters, notes = filters_of(request, config)
    is_commit = request.staged and isinstance(place.stage, GitStage)  # `fix` repairs files on disk
    scope, base = _staged(place) if is_commit else (place.paths, "")
    chosen = ChosenSources((), ()) if scope is None else project.choose(scope, explicit=not request.staged)
    notes += [*config.notes, *chosen.notes]
    targets: list[Target] = []
    neighbours: tuple[Target, ...] = ()
    if chosen.sources:
        targets, neighbours = _targets(request, project, chosen, notes)
    cache, shared = cache_of(request), SharedProjectImports()
    return Job(
        request,
        place,
        config,
        chosen_filters,
        chosen,
        tuple(targets),
        cache,
        tuple(notes),
        scope,
        project_imports=shared,
        base=request.diff_base or base,
        neighbours=neighbours,
    )


def _require_environment(request: CheckRequest) -> None:
    """Refuse an `--environment` without packages: every import of one would be reported as missing, or none."""
    name = request.environment
    if not name:
        return
    folder = request.cwd / name
    if not folder.is_dir():
        raise UsageError(f"--environment {name}: folder not found", hint="--environment .venv")
    if not any(
        found for pattern in ("lib*/python3*/site-packages", "Lib/site-packages") for found in folder.glob(pattern)
    ):
        raise UsageError(f"--environment {name}: not a virtual environment", hint="--environment .venv")


def _own_configuration(request: CheckRequest) -> Config | None:
    """The configuration of a command line that names another file or none; None where the project's own counts."""
    if request.isolated:
        return Config()
    if request.config:
        return configs.read_file(request.cwd / request.config, request.config)
    return None


def filters_of(request: CheckRequest, config: Config) -> tuple[Filters, list[str]]:
    """What is reported, and a note for each code that cannot be left out."""
    selected = filters(config, request.select, request.ignore)
    return selected, [f"{code} cannot be ignored: it stands" for code in selected.futile()]


def cache_of(request: CheckRequest) -> caches.Cache:
    """A connection to the cache; to none with `--no-cache`."""
    return caches.Cache(caches.cache_folder() if request.use_cache else None)


def _targets(
    request: CheckRequest, project: Project, chosen: ChosenSources, notes: list[str]
) -> tuple[list[Target], tuple[Target, ...]]:
    """The targets of the sources, and those of services that were not picked; if no file sets the version, a named image decides it."""
    image = request.image or ("" if request.targets else project.config.image)
    try:
        discovered = project.discover(chosen.sources, request.targets, request.service)
    except UsageError:
        if not image or request.service:
            raise
        source = "--image" if request.image else project.config.file
        return _on_image([Target(None, source, image, why_unknown=NO_VERSION)], image), ()
    notes += discovered.notes
    targets = [*discovered.targets]
    if request.image:
        _refuse_several(targets)
    if request.only_built:
        targets = [target for target in targets if target.context is not None] or targets
    if request.image:
        targets = [_run_by(image, target) for target in targets]
    return _on_image(targets, image), discovered.neighbours


def _refuse_several(targets: Sequence[Target]) -> None:
    """Raise UsageError for an image that was named where the sources run on several versions."""
    if len({target.version for target in targets}) > 1:
        names = ", ".join(sorted({target.service or target.python for target in targets}))
        raise UsageError(
            f"--image names one image, and there are several targets: {names}", hint="pick one with --service"
        )


def _run_by(image: str, target: Target) -> Target:
    """A target in an image that was named: a range is what may run, the image has what does."""
    return target._replace(version=None, image=image) if target.specifier else target


def _on_image(targets: list[Target], image: str) -> list[Target]:
    """The targets of an image that was named: whatever declares a version, CPython is no witness for another implementation."""
    name = image_reference.implementation(image)
    if not name:
        return targets
    reason = image_reference.why_not_cpython(name, image)
    return [target._replace(version=None, specifier="", image=image, why_unknown=reason) for target in targets]


def _staged(place: WorkScope) -> tuple[tuple[bytes, ...] | None, str]:
    """What a hook is about: the files given, else all staged ones (None: nothing), and since when findings are new.

    It is everything where the target may have moved, and where a file is deleted, or a name that others mention: they may import it.
    """
    assert place.repository is not None
    changes = place.repository.staged_changes()
    changed = [change.path for change in changes]
    if any(decides_target(path) for path in changed):
        return (b"",), ""
    listing = listing_of(place.stage)
    if any(listing.find(path) is None for path in changed) or _loses_names(place, changes):
        return (b"",), "HEAD"
    return place.paths or tuple(changed) or None, ""


def _loses_names(place: WorkScope, changes: Sequence[GitEntry]) -> bool:
    """Whether a staged source no longer binds a name that another one mentions; a change of many files counts as one that does."""
    before = [change for change in changes if change.path.endswith(b".py") and change.oid.strip("0")]
    if len(before) > _MANY_STAGED:
        return True
    return any(_is_mentioned(place, path, lost) for path, lost in _lost_names(place, before))


def _lost_names(place: WorkScope, before: Sequence[GitEntry]) -> Iterator[tuple[bytes, set[bytes]]]:
    """Each of some sources of HEAD with the names that it binds there and no longer in the index."""
    stage = place.stage
    assert isinstance(stage, GitStage)
    entries = listing_of(stage).at(change.path for change in before)
    now: dict[bytes, bytes | UnreadableFile] = {entry.path: data for entry, data in stage.contents(entries)}
    for change, was in stage.blobs(before):
        after = now.get(change.path)
        if isinstance(was, bytes) and isinstance(after, bytes):
            lost = _bound_in(was) - _bound_in(after)
            if words := _words_of(was) - _words_of(after) - lost:
                lost |= words.intersection(_symbols(was))
            yield change.path, lost


def _is_mentioned(place: WorkScope, path: bytes, names: Collection[bytes]) -> bool:
    """Whether another source of the index mentions one of some names, and the module that had them."""
    repository = place.repository
    assert repository is not None
    if not names:
        return False
    if any(b"*" in name for name in names):
        return True  # whatever the star brought
    others = set(repository.indexed_with(name.decode("utf-8", "surrogateescape") for name in names)) - {path}
    module = display_path(path).rpartition("/")[2].removesuffix(".py")
    has_links = any(link.endswith(b".py") for link in listing_of(place.stage).unclear)
    if (
        others and module != "__init__" and not has_links
    ):  # what is in a package or comes through a link need not name it
        importing = set(repository.indexed_with([module])) - {path}
        if importing.isdisjoint(repository.indexed_with([_STAR])):  # else who mentions the name may have it from there
            others &= importing
    return any(other.endswith(b".py") for other in others)


def _bound_in(source: bytes) -> set[bytes]:
    """The names of functions, classes, variables and imports at the left margin of a source."""
    names = {name or other for name, other in _BINDING.findall(source)}
    names.update(_STARRED.findall(source), *(_WORD.findall(clause) for clause in _IMPORTED.findall(source)))
    return names.difference(*(_WORD.findall(clause) for clause in _DELETED.findall(source)))


def _words_of(source: bytes) -> set[bytes]:
    """The words of a source outside of its functions and classes, and of their `global`: what a module binds is among them."""
    return set(_WORD.findall(_BLOCK.sub(b"", source))).union(*map(_WORD.findall, _GLOBAL.findall(source)))


def _symbols(source: bytes) -> Iterator[bytes]:
    """Every name that a module binds, in whatever statement; none of a source that this Python cannot read."""
    import symtable  # when a word is gone
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = [symtable.symtable(source, "<staged>", "exec")]  # type: ignore[arg-type]  # bytes, with their encoding
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    module = tables[0]
    for table in tables:
        for symbol in table.get_symbols():
            if (symbol.is_assigned() or symbol.is_imported()) and (table is module or symbol.is_declared_global()):
                yield symbol.get_name().encode()
        tables += table.get_children()


def nothing_checked(job: Job) -> str:
    """That there was nothing to look at, and where."""
    if not job.chosen.sources and (left_out := Project(job.place, job.config).why_no_source()):
        return left_out
    if job.place.paths:
        names = [display_path(path) or "." for path in job.place.paths]
        log = next((name for name in names if name.endswith(".log")), "")
        return f"no Python source in {', '.join(names)}{log and f' (`buildguard diagnose --log {log}` reads a log)'}"
    return "no Python source here; cd to the project, or name its folder"


def setting(
    job: Job, target: Target, jobs: int, tell: Callable[[str], None] | None, cloud: CloudSession | None = None
) -> EngineSettings:
    """What the engines of a target are made from; `tell` hears of an image that is pulled, None where none may be."""
    image, proof = image_of(job.request, job.config, target)
    return EngineSettings(
        target.version,
        job.place.root,
        jobs,
        job.cache,
        image,
        job.config.platform,
        proof,
        tell,
        cloud,
        may_fetch_python(job.request),
    )


def image_of(request: CheckRequest, config: Config, target: Target) -> tuple[str, ProofGrade]:
    """The image whose interpreter would be asked for a target, empty where none is known, and what that would prove."""
    if request.image:
        image, proof = request.image, ProofGrade.IMAGE
    elif config.image and not request.targets:
        image, proof = config.image, ProofGrade.IMAGE
    elif target.image is not None and "$" not in target.image:
        image, proof = target.image, ProofGrade.IMAGE
    else:
        image, proof = f"python:{target.version}-slim" if target.version is not None else "", ProofGrade.COMPILED
    return image, ProofGrade.COMPILED if target.doubt and image == target.image else proof


def no_version(target: Target, config: Config) -> str:
    """That a target's version is unknown, and how to set it."""
    file, lines = config.how_to_set('target = ["3.11"]')
    hint = f"set {' '.join(lines.split())} in {file}, or pass --target ({target.found_in})"
    if image_reference.implementation(target.image or ""):
        hint = "name an image with CPython: --image python:3.13"
    return f"{target.why_unknown}; {hint}"


def share_of(target: Target, job: Job) -> list[Entry]:
    """The sources that a target runs."""
    return discovery.covered_entries(target, (*job.targets, *job.neighbours), job.chosen.sources)


def asked_about(job: Job) -> set[bytes]:
    """The paths that a request is about: every source, with `--service` those that it runs."""
    if not job.request.service and not job.request.only_built:
        return {entry.path for entry in job.chosen.sources}
    return {entry.path for target in job.targets for entry in share_of(target, job)}
