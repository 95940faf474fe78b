"""What `check` says of the imports of a project: its own modules from its files, installed ones from a lock or an environment."""

from __future__ import annotations

import functools
import itertools
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from buildguard.check.context import Job
from buildguard.definitions import TYPE_CHECKING
from buildguard.imports.image_program import ProjectSources, project_program, read_programs
from buildguard.imports.lock import LOCKS, LockedPackages, read_lock
from buildguard.imports.program import StartedProgram
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import ModuleFacts, ProjectImports, extract
from buildguard.imports.standard import LibraryModules
from buildguard.project import discovery
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import ImageService, Target
from buildguard.stages.stage import listing_of
from buildguard.startup.project_files import BuildSender, ProjectFileTree

if TYPE_CHECKING:
    from buildguard.imports.closures import InstalledNames
    from buildguard.imports.distributions import ModuleIndex
    from buildguard.imports.faults import ImportContext
    from buildguard.imports.requirements import Requirements
    from buildguard.imports.third_party import PackageAnswer, PackageSource

if TYPE_CHECKING:  # a commit without a lock or a COPY has no time for these
    from buildguard.imports.site_packages import InstalledSource
    from buildguard.startup.image_start import ImageStart

_LARGEST = 1 << 20
_MOST_HOOKED = 150  # sources beside the staged ones that a hook reads
_MOST_EXTRACTED = 500  # sources that no engine of this run read, so that a hook on a large project stays quick
_USUAL = 11  # the minor version that counts where the target's is unknown


class ProjectImportCheck:
    """Judges the imports of a job, target by target; what all targets share is read once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stage = job.place.stage
        self._files = ProjectFileTree(self._stage, job.place.repository, BuildSender.UNKNOWN)
        self._images: dict[ImageService, ImageStart | None] = {}
        self._foreign: dict[str, bool] = {}  # whether packages may bring a module, by its top-level name
        self._installed: dict[ImageService, InstalledNames | None] = {}
        self._locks: dict[str, LockedPackages | None] = {}  # by their folder
        self._listing = listing_of(self._stage)

    def judge(self, target: Target, known: Mapping[str, ModuleFacts | None]) -> ProjectImports:
        """The findings in the imports that one target runs; `known` are the facts that its engine extracted, by path."""
        if self._stage.name.startswith("image:"):
            return self._judge_image(target, known)
        facts = _FactsOfTarget(known, self._files.read, target)
        recipes = [recipe for recipe in self._recipes if belongs(recipe, target)]
        sources = ProjectSources(self._listing, self._files.read)
        programs = read_programs(sources, recipes, self._job.config.entry, self._why_unknown)
        packages = self._packages(target, recipes)

        def packages_of(image: ImageRecipe | None) -> PackageSource | None:
            return packages if image is None or len(recipes) == 1 else self._packages(target, [image])

        subjects = [self._subject(program, facts, packages_of(program.image)) for program in programs]
        found = read_imports(subjects, known.keys(), follows_starts=self._has_time(known))
        # a target that is set by hand runs what no image holds as well; which start would reach it is unknown
        rest = set() if target.service is not None else known.keys() - self._held(programs)
        if not rest:
            return found
        subject = self._subject(project_program(sources), facts, packages)
        return _merged(found, read_imports([subject], rest, follows_starts=False))

    @staticmethod
    def _held(programs: Iterable[StartedProgram]) -> set[str]:
        """The paths of the project that some programs hold."""
        return {origin for program in programs for origin in program.tree.origins.values()}

    def _subject(
        self, program: StartedProgram, facts: _FactsOfTarget, packages: PackageSource | None
    ) -> ProgramSubject:
        from buildguard.imports.doubts import ProjectTexts

        context = self._context(program, facts)
        tree = program.tree

        def read_each(files: Iterable[str]) -> Iterator[tuple[str, bytes]]:
            places = {tree.origins[file]: file for file in files}
            return ((places[path], content) for path, content in self._files.read_each(places))

        texts = ProjectTexts(context.read, self._is_ignored, context.facts, lambda: self._build_texts, read_each)
        return ProgramSubject(program, context, texts, packages)

    def _has_time(self, known: Mapping[str, ModuleFacts | None]) -> bool:
        """Whether every module that the project starts can be read: a hook has no time for it in a large project."""
        if not self._job.request.staged:
            return True
        sources = (os.fsdecode(path) for path in self._listing.paths if path.endswith(b".py"))
        others = (path for path in sources if path not in known)
        first = list(itertools.islice(others, _MOST_HOOKED + 1))
        if len(first) > _MOST_HOOKED:
            return False
        self._files.load(first)
        return True

    def _judge_image(self, target: Target, known: Mapping[str, ModuleFacts | None]) -> ProjectImports:
        """The same in a built image: its own files and packages decide."""
        from buildguard.check.image_imports import ExplainedPackages, ImageImportFiles
        from buildguard.docker.image_stage import ImageStage
        from buildguard.imports.doubts import ProjectTexts

        stage = self._stage
        if not isinstance(stage, ImageStage) or stage.image is None:
            return ProjectImports({}, (), {})
        image = ImageImportFiles(stage, stage.image)
        packages = image.packages(_FactsOfTarget({}, image.read, target).of)
        facts = _FactsOfTarget(known, self._files.read, target)
        explained = ExplainedPackages(packages, stage.lacking)
        subjects = []
        for program in image.programs(packages):
            context = self._context(program, facts)._replace(may_be_foreign=lambda name: _is_installed(packages, name))
            texts = ProjectTexts(context.read, lambda _path: False, context.facts)
            subjects.append(ProgramSubject(program, context, texts, explained))
        return read_imports(subjects, known.keys())

    # -------------------------------------------------------------------------------------- the project's files

    @functools.cached_property
    def _build_texts(self) -> bytes:
        """The text of every file that may name what a build makes."""
        from buildguard.imports.doubts import is_build_file

        wanted = list(filter(is_build_file, self._listing.texts))
        self._files.load(wanted)
        texts = (self._files.read(path) or b"" for path in wanted)
        return b"\n".join(text for text in texts if len(text) <= _LARGEST)

    def _is_ignored(self, path: str) -> bool:
        """Whether a `.gitignore` of the project keeps a path out of git."""
        return self._files.git_ignore_rule(path) is not None

    def _why_unknown(self, recipe: ImageRecipe, path: str) -> str:
        """Why an image may hold a path that no COPY is known to bring, or that the project loses on the way there (BG704)."""
        image = self._image(recipe.service)
        if image is None:
            return ""
        sources = (source for source in image.tree.project_paths(path) if image.tree.holds(source) is None)
        lost = next(filter(self._files.is_file, sources), "")
        return image.tree.why_unknown(path) or (f"{lost} does not arrive in the image" if lost else "")

    def _image(self, service: ImageService) -> ImageStart | None:
        if service not in self._images:
            from buildguard.startup.image_start import open_image

            recipe = next(recipe for recipe in self._recipes if recipe.service == service)
            self._images[service] = open_image(recipe, self._files)
        return self._images[service]

    # -------------------------------------------------------------------------------------- programs

    @functools.cached_property
    def _recipes(self) -> list[ImageRecipe]:
        return discovery.list_recipes(self._job.place.stage, self._job.config)

    def _context(self, program: StartedProgram, facts: _FactsOfTarget) -> ImportContext:
        from buildguard.imports.faults import ImportContext

        tree = program.tree

        def read(file: str) -> bytes | None:
            origin = tree.origins.get(file)
            return self._files.read(origin) if origin else None

        unlisted = functools.partial(self._ask_unlisted, program.image, facts.minor)
        facts_of = _FactsByFile(tree.origins, facts)
        return ImportContext(facts_of.__getitem__, read, LibraryModules(facts.minor), self._may_be_foreign, unlisted)

    @functools.cached_property
    def _requirements(self) -> Requirements:
        from buildguard.imports.requirements import read_requirements

        return read_requirements(self._listing.texts, self._files.read)

    def _may_be_foreign(self, dotted: str) -> bool:
        top = dotted.partition(".")[0]
        known = self._foreign.get(top)
        if known is None:
            requirements = self._requirements
            known = self._foreign[top] = requirements.has_unnamed or requirements.may_bring(top, self._index)
        return known

    def _ask_unlisted(self, recipe: ImageRecipe | None, minor: int, top: str) -> PackageAnswer | None:
        """What is known of a module where no lock is installed: that nothing brings it, for sure if nothing is installed at all."""
        from buildguard.imports.closures import is_unbrought
        from buildguard.imports.third_party import PackageAnswer, PackagePresence

        installed = self._declared if recipe is None else self._installed_by(recipe)
        if installed is None or not is_unbrought(top, installed, self._index, minor):
            return None
        if recipe is not None and not installed.names and self._declares_nothing and self._index.knows(top):
            return PackageAnswer(PackagePresence.MISSING, top, min(self._index.bringers_of(top), key=len, default=top))
        whose = "of the project" if recipe is None else "that the image installs"
        return PackageAnswer(PackagePresence.UNKNOWN, top, f"no requirement {whose} is known to bring {top}")

    @functools.cached_property
    def _declared(self) -> InstalledNames | None:
        """What the files of a project without an image ask for; None where one of them is a path or an address."""
        from buildguard.imports.closures import InstalledNames

        requirements = self._requirements
        return None if requirements.has_unnamed else InstalledNames(requirements.names)

    @functools.cached_property
    def _declares_nothing(self) -> bool:
        """Whether no file of the project asks for a distribution, and no script installs any."""
        is_empty = not self._requirements.names and not self._requirements.has_unnamed
        return is_empty and not re.search(rb"\b(?:pip3?|uv|poetry|pdm|pipenv|conda)\b", self._build_texts)

    def _installed_by(self, recipe: ImageRecipe) -> InstalledNames | None:
        if recipe.service not in self._installed:
            from buildguard.startup.locked_programs import installed_requirements

            image = self._image(recipe.service)
            self._installed[recipe.service] = None if image is None else installed_requirements(image)
        return self._installed[recipe.service]

    @functools.cached_property
    def _index(self) -> ModuleIndex:
        from buildguard.imports.distributions import ModuleIndex

        return ModuleIndex({})

    # -------------------------------------------------------------------------------------- packages

    def _packages(self, target: Target, recipes: Sequence[ImageRecipe]) -> PackageSource | None:
        request = self._job.request
        if request.environment:
            return open_environment(request.cwd / request.environment, target)
        folder = recipes[0].service.context if len(recipes) == 1 else ""
        locked = self._locked(folder) or self._locked("")
        if locked is None:
            return None
        from buildguard.imports.locked_groups import with_installed_groups
        from buildguard.imports.locked_source import LockedSource
        from buildguard.imports.open_lock import asks_for_extras, explain_open_lock, installs_lock
        from buildguard.imports.tool_installs import with_tools

        if recipes and not any(map(installs_lock, recipes)):
            return None  # what they install is not locked
        why_open = next(filter(None, (explain_open_lock(recipe, locked.file) for recipe in recipes)), "")
        locked, undecided = with_tools(with_installed_groups(locked, recipes), recipes)
        if recipes and not any(map(asks_for_extras, recipes)):
            reason = f"only an extra of {locked.file} brings it, and no instruction is seen to ask for one"
            undecided = {**dict.fromkeys(locked.optional, reason), **undecided}
        return LockedSource(locked, self._index, undecided, why_open)

    def _locked(self, folder: str) -> LockedPackages | None:
        if folder not in self._locks:
            self._locks[folder] = self._read_lock(folder)
        return self._locks[folder]

    def _read_lock(self, folder: str) -> LockedPackages | None:
        for name in LOCKS:
            data = self._files.read(posixpath.join(folder, name))
            if data is not None:
                return read_lock(name, data, self._files.read(posixpath.join(folder, "pyproject.toml")))
        return None


def _merged(first: ProjectImports, second: ProjectImports) -> ProjectImports:
    """What was said of different files of one project."""
    return ProjectImports(
        {**second.findings, **first.findings}, (*first.undecided, *second.undecided), {**second.reach, **first.reach}
    )


def _is_installed(packages: InstalledSource, dotted: str) -> bool:
    """Whether an image has a top-level module among its packages."""
    return packages.tree.find(dotted.partition(".")[0], packages.folders) is not None


def belongs(recipe: ImageRecipe, target: Target) -> bool:
    """Whether a target is that of an image; a target that is set by hand runs all of them."""
    if target.service is None:
        return target.context == ""
    return recipe.service.name == target.service and recipe.service.context == target.context


class _FactsOfTarget:
    """The facts of sources: those that the target's own engine read, else what this Python reads for the target's version."""

    def __init__(
        self, known: Mapping[str, ModuleFacts | None], read: Callable[[str], bytes | None], target: Target
    ) -> None:
        self._facts = dict(known)
        self._read = read
        self._extracted = 0
        self.minor = target.version.minor if target.version is not None else _USUAL

    def of(self, path: str) -> ModuleFacts | None:
        """The facts of one source; None where they are unknown."""
        if path not in self._facts:
            self._extracted += 1
            data = self._read(path) if self._extracted <= _MOST_EXTRACTED else None
            self._facts[path] = None if data is None else extract(data, (3, self.minor))
        return self._facts[path]


class _FactsByFile(dict[str, "ModuleFacts | None"]):
    """The facts of the files of a tree: each is asked for many times, and looked for once."""

    def __init__(self, origins: Mapping[str, str], facts: _FactsOfTarget) -> None:
        super().__init__()
        self._origins = origins
        self._facts = facts

    def __missing__(self, file: str) -> ModuleFacts | None:
        origin = self._origins.get(file)
        facts = self[file] = self._facts.of(origin) if origin else None
        return facts


def open_environment(folder: Path, target: Target) -> InstalledSource:
    """The packages of a virtual environment on this disk, read as data."""
    from buildguard.imports.site_packages import InstalledSource
    from buildguard.system.walk import files_below

    base = os.path.realpath(folder)
    sites = [
        path for pattern in ("lib*/python3*/site-packages", "Lib/site-packages") for path in Path(base).glob(pattern)
    ]
    folders = list(dict.fromkeys(os.path.realpath(path) for path in sites))
    facts = _FactsOfTarget({}, _read_file, target)
    return InstalledSource(
        str(folder), folders, (file for site in folders for file in files_below(site)), _read_file, facts.of
    )


def _read_file(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
